//! The rules themselves: each one speaks up when what it forbids has happened.

use warden_agent::machine::Place;
use warden_kit::values::START;
use warden_model::device::Slot;
use warden_model::report::{ReportPhase, StateReport};
use warden_model::rollout::{MemberState, RolloutState};
use warden_model::{ByteCount, Generation};
use warden_sim::chance::digest_of;
use warden_sim::rules::{self, Before};
use warden_sim::story::Story;
use warden_sim::world::World;

/// A fleet in the middle of a rollout: gw-1 is healthy on 1.1, and the next phase has just got its orders.
fn story() -> Story {
    let mut story = Story::new(World::new(1, START));
    let text = "product gateway board gw-rev-a\n\
        firmware gateway 1.0 holds openssl=3.0.20\n\
        device gw-1..gw-4 product gateway runs 1.0\n\
        run 2min\n\
        release gateway 1.1 holds openssl=3.0.22\n\
        sign gateway-1.1\n\
        rollout gateway-1.1 phases \"canary=1,early=1,rest; success=100%; soak=10min\"\n\
        start\n\
        run 8min\n\
        expect gw-1 member healthy";
    story.tell(text).unwrap();
    assert_eq!(story.world.broken, Vec::<String>::new());
    story
}

fn check(broken: &[String], expected: &str) {
    assert!(broken.iter().any(|rule| rule.contains(expected)), "{broken:?} does not say {expected:?}");
}

#[test]
fn a_torn_slot_is_seen_before_and_at_the_boot() {
    let mut world = story().world;
    let id = "gw-2".parse().unwrap();
    let device = world.devices.get_mut(&id).unwrap();
    device.flash.damage(Place::Slot(Slot::A));
    check(&rules::of_device(device, &world.images), "gw-2: the confirmed slot a holds no complete image");
    check(&rules::at_boot(device, &world.images), "gw-2: boots, and slot a holds no complete image");
}

#[test]
fn an_image_that_nobody_made_is_seen() {
    let mut world = story().world;
    world.images.clear();
    let device = world.devices.values().next().unwrap();
    check(&rules::at_boot(device, &world.images), "which nobody made");
}

#[test]
fn a_journal_that_goes_back_is_seen() {
    let mut world = story().world;
    let device = world.devices.get_mut(&"gw-1".parse().unwrap()).unwrap();
    let before = device.flash.journal.clone();
    let after = &mut device.flash.journal;
    (after.generation, after.report_counter) = (Generation(0), 0);
    after.confirmed.release_counter -= 1;
    let broken = rules::after_save(device, &before, &world.server);
    check(&broken, "the generation goes back");
    check(&broken, "the report counter goes back");
    check(&broken, "without an order");
}

#[test]
fn a_success_that_never_happened_is_seen() {
    let world = story().world;
    let device = world.devices.get(&"gw-3".parse().unwrap()).unwrap();
    let mut running = device.flash.journal.confirmed.running();
    running.image = digest_of("image/gateway/1.1");
    let said = |phase| StateReport {
        device: device.settings.device.clone(),
        counter: 9,
        at: START,
        running: running.clone(),
        slot: Slot::B,
        confirmed: running.clone(),
        action: None,
        generation: Generation(1),
        phase: Some(phase),
        cause: None,
        detail: String::new(),
        downloaded: ByteCount(0),
        full: ByteCount(0),
        way: None,
        loading_millis: 0,
        applying_millis: 0,
    };
    check(&rules::of_report(&said(ReportPhase::Booted), device), "never started");
    check(&rules::of_report(&said(ReportPhase::Healthy), device), "was not proven");
}

#[test]
fn offers_that_must_not_be_are_seen() {
    let mut world = story().world;
    let empty = Before::of(&World::new(1, START).server.state);
    let record = world.server.state.rollouts.values_mut().next().unwrap();
    record.rollout.state = RolloutState::Halted;
    let last = record.members.last_mut().unwrap();
    last.state = MemberState::Healthy;
    let state = &world.server.state;
    check(&rules::after_turn(&empty, state, world.now), "by a rollout that is halted");
    check(&rules::after_turn(&empty, state, world.now), "healthy before its phase");
    check(&rules::of_members(state, &world.devices), "counts as healthy, and never proved the release");
}
