//! Patches in place: power cuts at each write, wear, refusals, memory.

mod cuts;
mod refused;
mod stack;

use warden_model::ByteCount;
use warden_patch::flash::{Geometry, Outcome};

use super::{InPlaceError, InPlaceLimits, Simulated, apply_in_place, make_in_place, read_in_place};
use crate::make::Made;

/// A flash of small pages, so that small images have many.
fn limits(pages: u32, scratch_pages: u32) -> InPlaceLimits {
    InPlaceLimits {
        page_bytes: 256,
        write_bytes: 8,
        area: ByteCount(u64::from(pages) * 256),
        scratch_pages,
        memory: ByteCount::kib(64),
        copies: None,
    }
}

/// Bytes that look like code: words from a small set, and calls whose targets move when something is put in.
fn code(words: u32, shift: u32) -> Vec<u8> {
    let word = |at: u32| match at % 7 {
        3 => 0xeb00_0000 | (at.wrapping_mul(97) % words + shift) & 0x00ff_ffff,
        5 => 0x0800_0000 + (at.wrapping_mul(31) % words + shift) * 4,
        other => (at.wrapping_mul(2_654_435_761) >> 5) ^ other,
    };
    (0..words).flat_map(|at| word(at).to_le_bytes()).collect()
}

/// Old and new: something put in, something far moved against the order of work.
fn pair() -> (Vec<u8>, Vec<u8>) {
    pair_of(1200)
}

fn pair_of(words: u32) -> (Vec<u8>, Vec<u8>) {
    let old = code(words, 0);
    let mut new = code(words, 5);
    let len = new.len();
    new.splice(len / 12..len / 12, *b"twenty bytes put in.");
    let far: Vec<u8> = new.drain(len / 8 * 5..len / 8 * 5 + len / 12).collect();
    new.splice(len / 7..len / 7, far);
    (old, new)
}

fn made(old: &[u8], new: &[u8], limits: &InPlaceLimits) -> Vec<u8> {
    match make_in_place(old, new, limits).unwrap() {
        Made::Patch(patch) => patch,
        Made::FullIsSmaller { patch, .. } => panic!("a patch of {patch} is not worth it"),
    }
}

fn applied(old: &[u8], patch: &[u8], geometry: Geometry) -> Simulated {
    let mut flash = Simulated::new(geometry, old);
    assert_eq!(apply_in_place(&mut flash, patch, &mut |_| {}), Ok(Outcome::Updated));
    flash
}

#[test]
fn the_new_image_takes_the_place_of_the_old_one() {
    let (old, new) = pair();
    for scratch_pages in [3, 4, 7, 30] {
        let limits = limits(20, scratch_pages);
        let patch = made(&old, &new, &limits);
        let flash = applied(&old, &patch, limits.geometry());
        assert!(flash.bytes().starts_with(&new), "{scratch_pages} pages of scratch");
    }
}

#[test]
fn images_may_grow_shrink_and_stay_as_they_are() {
    let (old, new) = pair();
    let cases = [
        (old[..1000].to_vec(), new.clone()),
        (old.clone(), new[..900].to_vec()),
        (old.clone(), old.clone()),
        (old.clone(), [&old[..], &[7; 700]].concat()),
        (Vec::new(), [vec![3; 3000], b"end".to_vec()].concat()),
    ];
    for (old, new) in cases {
        let limits = limits(25, 3);
        let patch = made(&old, &new, &limits);
        let mut flash = Simulated::new(limits.geometry(), &old);
        let outcome = apply_in_place(&mut flash, &patch, &mut |_| {});
        let expected = if old == new { Outcome::WasThere } else { Outcome::Updated };
        assert_eq!(outcome, Ok(expected));
        assert!(flash.bytes().starts_with(&new));
        assert_eq!(apply_in_place(&mut flash, &patch, &mut |_| {}), Ok(Outcome::WasThere));
    }
}

#[test]
fn pages_that_stay_are_never_erased_and_the_others_once() {
    let (old, mut new) = pair();
    new.truncate(old.len());
    new[..512].copy_from_slice(&old[..512]);
    let limits = limits(19, 5);
    let patch = made(&old, &new, &limits);
    let header = read_in_place(&patch).unwrap();
    let flash = applied(&old, &patch, limits.geometry());
    let (image, behind) = flash.erasures().split_at(19);
    assert_eq!(image[..2], [0, 0]);
    assert!(image.iter().all(|count| *count <= 1), "{image:?}");
    let (scratch, journal) = behind.split_at(3);
    assert!(scratch.iter().all(|count| *count <= header.segments), "{scratch:?}");
    // 16 records of 16 bytes a page, one more to begin with, and an erasure that clears it at the end.
    assert!(journal.iter().all(|count| *count <= 3 + header.steps / 32), "{journal:?}");
}

#[test]
fn what_the_images_leave_of_the_area_is_scratch() {
    let (old, new) = pair();
    let (tight, roomy) = (made(&old, &new, &limits(20, 3)), made(&old, &new, &limits(60, 3)));
    let segments = |patch: &[u8]| read_in_place(patch).unwrap().segments;
    assert!(segments(&roomy) < segments(&tight));
    assert!(roomy.len() < tight.len());
}

#[test]
fn a_device_with_fixed_tables_gets_patches_that_fit_them() {
    let (old, new) = pair();
    let copies = |copies| {
        let limits = InPlaceLimits { copies, ..limits(20, 6) };
        read_in_place(&made(&old, &new, &limits)).unwrap()
    };
    assert!(copies(None).copies > 2);
    let fixed = copies(Some(2));
    assert!(fixed.copies <= 2 && fixed.memory <= ByteCount::kib(64));
}

#[test]
fn what_cannot_be_made_is_said() {
    let (old, new) = pair();
    let large = limits(20, 4);
    let cases = [
        (InPlaceLimits { page_bytes: 300, ..large.clone() }, "lay out the flash"),
        (InPlaceLimits { write_bytes: 256, ..large.clone() }, "lay out the flash"),
        (InPlaceLimits { area: ByteCount(4096), ..large.clone() }, "lay out the flash"),
        (InPlaceLimits { scratch_pages: 1, ..large.clone() }, "lay out the flash"),
        (InPlaceLimits { area: ByteCount(19 * 256), scratch_pages: 2, ..large.clone() }, "lay out the flash"),
        (InPlaceLimits { memory: ByteCount::kib(20), ..large.clone() }, "memory at least"),
    ];
    for (limits, expected) in cases {
        let error = make_in_place(&old, &new, &limits).unwrap_err();
        assert!(error.to_string().contains(expected), "{limits:?}: {error}");
    }
    assert!(matches!(make_in_place(&old, b"", &large), Err(InPlaceError::Empty)));
}

#[test]
fn what_has_nothing_in_common_is_better_sent_whole() {
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(3000)
    .collect();
    let made = make_in_place(&[0; 3000], &noise, &limits(12, 4)).unwrap();
    assert!(matches!(made, Made::FullIsSmaller { .. }));
}
