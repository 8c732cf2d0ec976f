//! The way of pieces: chosen where no patch fits, left where it does not lead on, gone again after a cut.

use warden_model::report::ReportPhase as Phase;
use warden_wire::ddi::Finished;

use super::super::LoadFailure;
use super::check;
use super::world::{NEW, OLD, PATCH, PIECES, World, index_target, patch_target};

const WELL: [Phase; 3] = [Phase::Installed, Phase::Booted, Phase::Healthy];

fn indexed() -> World {
    let mut world = World::new();
    world.signed.indexes = vec![index_target(OLD), index_target(NEW)];
    world
}

fn is_loaded_whole(world: &World) -> bool {
    world.loaded.iter().any(|(digest, _)| *digest == NEW)
}

#[test]
fn an_image_that_no_patch_makes_is_loaded_in_pieces() {
    let mut world = indexed();
    let other = super::super::PatchTarget { base: NEW, ..patch_target() };
    world.signed.patches = vec![other];
    check(&mut world, &WELL, None, NEW, Finished::Success);
    assert!(!is_loaded_whole(&world), "{:?}", world.loaded);
    assert_eq!(world.reports.last().unwrap().downloaded, PIECES);

    // Without the index of what runs, too; without that of what is wanted, never.
    let mut world = indexed();
    world.signed.indexes.remove(0);
    check(&mut world, &WELL, None, NEW, Finished::Success);
    assert!(!is_loaded_whole(&world));
    let mut world = indexed();
    world.signed.indexes.truncate(1);
    check(&mut world, &WELL, None, NEW, Finished::Success);
    assert!(is_loaded_whole(&world));
}

#[test]
fn a_patch_that_fits_goes_before() {
    let mut world = indexed();
    world.signed.patches = vec![patch_target()];
    check(&mut world, &WELL, None, NEW, Finished::Success);
    assert!(world.loaded.iter().all(|(digest, _)| *digest == PATCH), "{:?}", world.loaded);
}

#[test]
fn pieces_that_do_not_lead_on_cost_a_download() {
    for failure in [LoadFailure::NotWorth, LoadFailure::WrongBytes, LoadFailure::NoSpace] {
        let mut world = indexed();
        world.load_fails = vec![failure];
        check(&mut world, &WELL, None, NEW, Finished::Success);
        assert!(is_loaded_whole(&world), "{failure:?}");
    }
    let mut world = indexed();
    world.patch_works = false;
    check(&mut world, &WELL, None, NEW, Finished::Success);
    assert!(is_loaded_whole(&world));
}

#[test]
fn pieces_that_are_there_are_not_loaded_again() {
    let mut world = indexed();
    world.load_fails = vec![LoadFailure::Network; 3];
    check(&mut world, &WELL, None, NEW, Finished::Success);
    let offsets: Vec<u64> = world.loaded.iter().map(|(_, offset)| *offset).collect();
    assert_eq!(offsets, [0, 0, 0, 0, 400]);
    for cut in 1..60 {
        let mut world = indexed();
        world.cuts = vec![cut];
        world.run();
        assert_eq!(world.saved.confirmed.image, NEW, "a cut at {cut}");
        assert!(!is_loaded_whole(&world), "a cut at {cut}");
    }
}
