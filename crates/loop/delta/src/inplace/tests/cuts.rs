//! The power fails: at each write, in rows, at random.

use proptest::prelude::*;
use warden_patch::flash::{Geometry, Outcome};

use super::{limits, made, pair, pair_of};
use crate::inplace::make_in_place;
use crate::inplace::{Cut, InPlaceLimits, Simulated, apply_in_place};
use crate::make::Made;

fn begun(old: &[u8], patch: &[u8], geometry: Geometry, cut: Cut) -> Simulated {
    let mut flash = Simulated::new(geometry, old);
    flash.power_on(Some(cut));
    let outcome = apply_in_place(&mut flash, patch, &mut |_| {});
    assert_eq!(outcome.is_err(), flash.is_dark());
    flash
}

fn finished(flash: &mut Simulated, patch: &[u8], new: &[u8]) {
    flash.power_on(None);
    apply_in_place(flash, patch, &mut |_| {}).unwrap();
    assert!(flash.bytes().starts_with(new));
}

fn operations(old: &[u8], patch: &[u8], geometry: Geometry) -> u64 {
    let mut flash = Simulated::new(geometry, old);
    apply_in_place(&mut flash, patch, &mut |_| {}).unwrap();
    flash.operations()
}

#[test]
fn a_cut_at_any_write_does_no_harm() {
    let (old, new) = pair_of(400);
    let shapes = [
        limits(8, 3),
        limits(8, 5),
        InPlaceLimits { write_bytes: 128, ..limits(8, 4) },
        InPlaceLimits { page_bytes: 1024, ..limits(8, 3) },
    ];
    for limits in shapes {
        for (old, new) in [(&old, &new), (&new, &old)] {
            let patch = made(old, new, &limits);
            let count = operations(old, &patch, limits.geometry());
            for after in 0..count {
                let mut flash = begun(old, &patch, limits.geometry(), Cut { after, seed: 7 });
                assert!(flash.is_dark(), "there are {count} operations");
                finished(&mut flash, &patch, new);
            }
        }
    }
}

#[test]
fn a_cut_while_an_update_goes_on_after_a_cut_does_no_harm() {
    let (old, new) = pair_of(400);
    let limits = limits(8, 4);
    let patch = made(&old, &new, &limits);
    let count = operations(&old, &patch, limits.geometry());
    for first in (0..count).step_by(7) {
        for second in (0..count).step_by(5) {
            let mut flash = begun(&old, &patch, limits.geometry(), Cut { after: first, seed: 3 });
            flash.power_on(Some(Cut { after: second, seed: 4 }));
            let outcome = apply_in_place(&mut flash, &patch, &mut |_| {});
            assert_eq!(outcome.is_err(), flash.is_dark());
            finished(&mut flash, &patch, &new);
        }
    }
}

#[test]
fn an_update_ends_if_the_power_lasts_for_one_segment_at_a_time() {
    let (old, new) = pair();
    let limits = limits(20, 4);
    let patch = made(&old, &new, &limits);
    // An erasure and a record to go on; two pages of scratch and up to four others, each erased and programmed; a record.
    let lasts = 15;
    let mut flash = Simulated::new(limits.geometry(), &old);
    let mut cuts = 0;
    loop {
        flash.power_on(Some(Cut { after: lasts, seed: cuts }));
        match apply_in_place(&mut flash, &patch, &mut |_| {}) {
            // A cut while the journal is cleared at the very end leaves nothing to do.
            Ok(outcome) => break assert!(matches!(outcome, Outcome::Updated | Outcome::WasThere)),
            Err(_) => cuts += 1,
        }
        assert!(cuts < 100, "no end in sight");
    }
    assert!(flash.bytes().starts_with(&new));
    assert!(cuts > 5);
    let most = flash.erasures().iter().copied().max().unwrap_or(0);
    assert!(u64::from(most) <= cuts + 20, "{most} erasures after {cuts} cuts");
}

#[test]
fn rows_of_old_updates_in_the_journal_are_not_believed() {
    let (old, new) = pair();
    let limits = limits(20, 5);
    let (there, back) = (made(&old, &new, &limits), made(&new, &old, &limits));
    let mut flash = Simulated::new(limits.geometry(), &old);
    for _ in 0..2 {
        for (patch, image) in [(&there, &new), (&back, &old)] {
            for after in [0, 1, 2, 3, 9, 30] {
                flash.power_on(Some(Cut { after, seed: 11 }));
                assert!(apply_in_place(&mut flash, patch, &mut |_| {}).is_err());
            }
            finished(&mut flash, patch, image);
        }
    }
}

fn images() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let edit = (0_usize..3000, 0_usize..300, prop::collection::vec(any::<u8>(), 0..200));
    (prop::collection::vec(0_u8..9, 1..3000), prop::collection::vec(edit, 0..6)).prop_map(|(old, edits)| {
        let mut new = old.clone();
        for (at, cut, put) in edits {
            let at = at.min(new.len());
            let end = (at + cut).min(new.len());
            new.splice(at..end, put);
        }
        new.push(1);
        (old, new)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_images_any_cuts(
        (old, new) in images(),
        page_log in 8_u32..11,
        write_log in 0_u32..8,
        scratch_pages in 3_u32..9,
        cuts in prop::collection::vec((0_u64..60, any::<u64>()), 0..12),
    ) {
        let limits = InPlaceLimits {
            page_bytes: 1 << page_log,
            write_bytes: 1 << write_log,
            scratch_pages,
            ..limits(24, 0)
        };
        if let Made::Patch(patch) = make_in_place(&old, &new, &limits).unwrap() {
            let mut flash = Simulated::new(limits.geometry(), &old);
            for (after, seed) in cuts {
                flash.power_on(Some(Cut { after, seed }));
                let outcome = apply_in_place(&mut flash, &patch, &mut |_| {});
                prop_assert_eq!(outcome.is_err(), flash.is_dark());
            }
            finished(&mut flash, &patch, &new);
        }
    }
}
