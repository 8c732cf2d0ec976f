//! What a device refuses, and that it writes nothing then.

use proptest::prelude::*;
use warden_patch::flash::{Fault, Flash, Geometry, UpdateError};

use super::{limits, made, pair};
use crate::inplace::{Cut, Simulated, apply_in_place, is_in_place, read_in_place};

fn refused(flash: &mut Simulated, patch: &[u8]) -> UpdateError {
    let before = flash.bytes().to_vec();
    let error = apply_in_place(flash, patch, &mut |_| {}).unwrap_err();
    assert_eq!(flash.operations(), 0, "{error}");
    assert!(flash.bytes() == before, "{error}");
    error
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_erased() {
    let (old, new) = pair();
    let limits = limits(20, 5);
    let patch = made(&old, &new, &limits);
    let fits = limits.geometry();
    let cases = [
        (Geometry { page_bytes: 512, ..fits }, UpdateError::Pages { wanted: 256, found: 512 }),
        (Geometry { area_pages: 18, ..fits }, UpdateError::Area { needed: 19, found: 18 }),
        (Geometry { scratch_pages: 2, ..fits }, UpdateError::Scratch { needed: 6, found: 3 }),
        (Geometry { scratch_pages: 1, ..fits }, UpdateError::Scratch { needed: 2, found: 1 }),
        (Geometry { write_bytes: 3, ..fits }, UpdateError::Geometry),
    ];
    for (geometry, expected) in cases {
        let mut flash = Simulated::new(geometry, &old[..100]);
        assert_eq!(refused(&mut flash, &patch), expected);
    }
    let mut flash = Simulated::new(fits, &new[..new.len() - 1]);
    assert_eq!(refused(&mut flash, &patch), UpdateError::WrongBase);
}

#[test]
fn what_is_no_such_patch_is_refused() {
    let (old, new) = pair();
    let limits = limits(20, 5);
    let patch = made(&old, &new, &limits);
    let forged = |at: usize, byte: u8| {
        let mut forged = patch.clone();
        forged[at] = byte;
        forged
    };
    let cut = patch[..patch.len() - 1].to_vec();
    let long = [&patch[..], &[0]].concat();
    let end = UpdateError::Corrupt("the patch does not end where its head says");
    let cases = [
        (b"FW".to_vec(), UpdateError::Corrupt("the patch ends too early: it was cut")),
        (forged(0, b'G'), UpdateError::NotAPatch),
        (forged(7, 9), UpdateError::Version(9)),
        (forged(8, 2), UpdateError::NotInPlace),
        (forged(9, 40), UpdateError::Corrupt("the head names sizes that cannot be")),
        (forged(11, 200), UpdateError::Corrupt("the head names sizes that cannot be")),
        (cut, end),
        (long, end),
    ];
    let mut flash = Simulated::new(limits.geometry(), &old);
    for (patch, expected) in cases {
        assert_eq!(refused(&mut flash, &patch), expected);
    }
    assert!(is_in_place(&patch) && !is_in_place(&forged(8, 2)) && !is_in_place(b"FWDELTA"));
    assert_eq!(read_in_place(&forged(8, 2)), Err(UpdateError::NotInPlace));
}

#[test]
fn another_patch_between_the_same_images_does_not_go_on_where_one_stopped() {
    let (old, new) = pair();
    let (first, second) = (made(&old, &new, &limits(20, 5)), made(&old, &new, &limits(20, 4)));
    let mut flash = Simulated::new(limits(20, 5).geometry(), &old);
    flash.power_on(Some(Cut { after: 30, seed: 1 }));
    apply_in_place(&mut flash, &first, &mut |_| {}).unwrap_err();
    flash.power_on(None);
    assert_eq!(refused(&mut flash, &second), UpdateError::WrongBase);
    apply_in_place(&mut flash, &first, &mut |_| {}).unwrap();
    assert!(flash.bytes().starts_with(&new));
}

#[test]
fn an_image_that_was_put_there_by_other_means_is_never_taken_for_a_half_made_one() {
    let (old, new) = pair();
    let limits = limits(20, 5);
    let patch = made(&old, &new, &limits);
    let mut flash = Simulated::new(limits.geometry(), &old);
    apply_in_place(&mut flash, &patch, &mut |_| {}).unwrap();
    let other: Vec<u8> = old.iter().map(|byte| byte ^ 1).collect();
    flash.put(&other);
    flash.power_on(None);
    assert_eq!(refused(&mut flash, &patch), UpdateError::WrongBase, "after a complete update");
    flash.put(&old);
    flash.power_on(Some(Cut { after: 60, seed: 1 }));
    apply_in_place(&mut flash, &patch, &mut |_| {}).unwrap_err();
    flash.put(&other);
    flash.power_on(None);
    assert_eq!(refused(&mut flash, &patch), UpdateError::WrongBase, "after one that was cut");
}

/// A flash with a bit that stays 1.
struct Worn(Simulated);

impl Flash for Worn {
    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<(), Fault> {
        let is_scratch = at >= 20 * 256;
        self.0.read(at, into)?;
        into.iter_mut().filter(|_| is_scratch).for_each(|byte| *byte |= 0x10);
        Ok(())
    }

    fn erase(&mut self, page: u32) -> Result<(), Fault> {
        self.0.erase(page)
    }

    fn program(&mut self, at: u32, bytes: &[u8]) -> Result<(), Fault> {
        self.0.program(at, bytes)
    }
}

#[test]
fn a_page_that_does_not_keep_its_bytes_is_noticed_while_the_old_image_is_whole() {
    let (old, new) = pair();
    let limits = limits(20, 12);
    let patch = made(&old, &new, &limits);
    let mut flash = Worn(Simulated::new(limits.geometry(), &old));
    let error = apply_in_place(&mut flash, &patch, &mut |_| {}).unwrap_err();
    assert!(matches!(error, UpdateError::Worn { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn forged_patches_write_nothing_outside_the_flash(
        forgeries in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        thread_local! {
            static MADE: (Vec<u8>, Vec<u8>) = {
                let (old, new) = pair();
                let patch = made(&old, &new, &limits(20, 5));
                (old, patch)
            };
        }
        MADE.with(|(old, patch)| {
            let mut patch = patch.clone();
            for (at, byte) in forgeries {
                let at = at.index(patch.len());
                patch[at] = byte;
            }
            let mut flash = Simulated::new(limits(20, 5).geometry(), old);
            // 2: a rule of the flash was broken.
            let outcome = apply_in_place(&mut flash, &patch, &mut |_| {});
            assert_ne!(outcome, Err(UpdateError::Flash(Fault(2))));
        });
    }
}
