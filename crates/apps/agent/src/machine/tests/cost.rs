//! What an update costs is told with the report that the slot is right, and with those after it.

use super::world::*;
use crate::machine::*;
use warden_model::report::{ReportPhase, StateReport, Way};
use warden_model::rollout::Order;

/// Runs a world to its end and returns what it told of the cost, which is the same in every report since INSTALLED.
fn cost(world: &mut World) -> (Option<Way>, u64, u64, u64) {
    world.pace_millis = 70;
    world.run();
    let told = |report: &&StateReport| report.phase.is_some();
    let costs: Vec<_> = world
        .reports
        .iter()
        .filter(told)
        .map(|report| (report.way, report.downloaded.0, report.loading_millis, report.applying_millis))
        .collect();
    assert!(costs.windows(2).all(|pair| pair[0] == pair[1]), "{costs:?}");
    *costs.last().unwrap()
}

#[test]
fn the_cost_of_each_way_is_told() {
    let patched = |works: bool| {
        let mut world = World::new();
        (world.signed.patches, world.patch_works) = (vec![patch_target()], works);
        world
    };
    // Slices of 400: an image of 1,000 takes three, a patch of 100 takes one.
    assert_eq!(cost(&mut World::new()), (Some(Way::Full), 1_000, 210, 0));
    assert_eq!(cost(&mut patched(true)), (Some(Way::Patch), 100, 70, 70));
    assert_eq!(
        cost(&mut patched(false)),
        (Some(Way::Full), 1_100, 280, 70),
        "a patch that does not work costs too"
    );
}

#[test]
fn a_try_that_brings_nothing_is_no_loading() {
    let mut world = World::new();
    world.load_fails = vec![LoadFailure::Network, LoadFailure::Network];
    assert_eq!(cost(&mut world), (Some(Way::Full), 1_000, 210, 0));
}

#[test]
fn a_clock_that_is_set_meanwhile_costs_nothing() {
    let mut world = World::new();
    world.signed.patches = vec![patch_target()];
    world.pace_millis = 56 * 365 * 86_400_000;
    world.run();
    let last = world.reports.iter().rev().find(|report| report.phase == Some(ReportPhase::Healthy)).unwrap();
    assert_eq!((last.loading_millis, last.applying_millis), (0, 0));
}

#[test]
fn an_image_that_lay_in_the_other_slot_says_so() {
    let mut world = World::new();
    world.run();
    // Back to the image before, which is still in the other slot.
    world.reports.clear();
    world.offered = Some(Offered { order: Order::TurnBack, ..Offered::install(11, OLD) });
    assert_eq!(cost(&mut world), (Some(Way::Kept), 0, 0, 0));
}
