//! Turns over a real store: the way there, the way back, and what a crash at any moment leaves.

mod crash;
mod delta;

use tempfile::TempDir;
use warden_kit::values::{START, digest};
use warden_model::release::ReleaseState;
use warden_model::report::{Cause, ReportPhase};
use warden_model::rollout::{MemberState, Order, RolloutState};
use warden_model::{DeviceId, Generation, Seconds, Timestamp};
use warden_store::{DirectiveState, EventScope, Store, StoredDirective, Write};
use warden_wire::page::PageRequest;

use super::reports::{Accepted, accept};
use super::run_rollouts;
use crate::context::Shared;
use crate::testing::{change_release, change_rollout, fleet_over, member, report, rollout, state_of};

struct World {
    context: Shared,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let context = fleet_over(folder.path(), Store::in_memory().await.unwrap(), &["cam-1", "cam-2"]).await;
        Self { context, _folder: folder }
    }

    async fn turn(&self, after: u64) {
        run_rollouts(&self.context, at(after)).await.unwrap();
    }

    async fn say(&self, device: &str, numbers: (u64, u64), phase: ReportPhase, cause: Option<Cause>) {
        let report = report(device, numbers, Some(phase), cause);
        assert_eq!(accept(&self.context, &report, at(1)).await.unwrap(), Accepted::Taken);
    }

    async fn rollout_state(&self) -> RolloutState {
        self.context.store.rollout(&"r1".parse().unwrap()).await.unwrap().unwrap().state
    }

    async fn roll_back(&self) {
        change_rollout(&self.context, "r1", |rollout| rollout.state = RolloutState::RollingBack).await;
    }

    /// Returns the newest order of a device.
    async fn order(&self, device: &str) -> StoredDirective {
        self.context.store.directives_of_device(&device.parse().unwrap()).await.unwrap().remove(0)
    }
}

fn at(after: u64) -> Timestamp {
    START.plus(Seconds(after))
}

async fn events(context: &Shared) -> Vec<String> {
    let page = context.store.events(&EventScope::All, &PageRequest::largest()).await.unwrap();
    let line = |event: warden_model::event::Event| {
        format!("{} {}", event.device.as_ref().map_or("-", DeviceId::as_str), event.what)
    };
    let mut lines: Vec<String> = page.items.into_iter().map(line).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn a_fleet_goes_there_and_back() {
    let world = World::new().await;
    world.turn(0).await;
    for (device, action) in [("cam-1", 1), ("cam-2", 2)] {
        world.say(device, (1, action), ReportPhase::Installed, None).await;
        world.say(device, (2, action), ReportPhase::Booted, None).await;
        world.say(device, (3, action), ReportPhase::Healthy, None).await;
        assert_eq!(world.order(device).await.state, DirectiveState::Closed);
    }
    world.turn(2).await;
    assert_eq!(world.rollout_state().await, RolloutState::Finished);

    world.roll_back().await;
    world.turn(3).await;
    for (device, action) in [("cam-1", 3), ("cam-2", 4)] {
        let order = world.order(device).await;
        assert_eq!((order.directive.action.0, order.directive.order), (action, Order::TurnBack));
        assert_eq!((order.image, order.state), (digest(1), DirectiveState::Open), "what it ran before");
        assert_eq!(state_of(&world.context, device).await, MemberState::Reverting);
        let generation =
            world.context.store.device(&device.parse().unwrap()).await.unwrap().unwrap().generation;
        assert_eq!(generation, order.directive.generation);
    }
    // A late word about the install changes nothing; the answer to the new order does.
    world.say("cam-1", (4, 1), ReportPhase::Healthy, None).await;
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Reverting);
    world.say("cam-1", (5, 3), ReportPhase::RolledBack, Some(Cause::Ordered)).await;
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Reverted);
    world.turn(4).await;
    assert_eq!(world.rollout_state().await, RolloutState::RollingBack, "cam-2 is still on its way");
    world.say("cam-2", (4, 4), ReportPhase::RolledBack, Some(Cause::Ordered)).await;
    world.turn(5).await;
    assert_eq!(world.rollout_state().await, RolloutState::RolledBack);
}

#[tokio::test]
async fn a_turn_that_orders_nothing_takes_no_numbers() {
    let world = World::new().await;
    for after in 0..5 {
        world.turn(after).await;
    }
    assert_eq!(world.context.store.reserve_action_ids(1).await.unwrap().0, 3, "two orders, two numbers");
    assert_eq!(events(&world.context).await.len(), 2);
}

#[tokio::test]
async fn a_device_that_had_never_reported_tells_on_its_way_what_it_ran_before() {
    let world = World::new().await;
    let mut device = world.context.store.device(&"cam-1".parse().unwrap()).await.unwrap().unwrap();
    (device.confirmed, device.installed) = (None, None);
    world.context.store.commit(&[Write::Device(device)]).await.unwrap();
    world.turn(0).await;
    world.say("cam-1", (1, 1), ReportPhase::Installed, None).await;
    world.say("cam-1", (2, 1), ReportPhase::Healthy, None).await;
    world.roll_back().await;
    world.turn(1).await;
    assert_eq!(world.order("cam-1").await.image, digest(1));
}

#[tokio::test]
async fn nobody_guesses_what_a_device_ran_before() {
    let world = World::new().await;
    let mut device = world.context.store.device(&"cam-1".parse().unwrap()).await.unwrap().unwrap();
    device.confirmed = None;
    world.context.store.commit(&[Write::Device(device)]).await.unwrap();
    world.turn(0).await;
    world.say("cam-1", (1, 1), ReportPhase::Healthy, None).await;
    world.roll_back().await;
    world.turn(1).await;
    assert_eq!(world.order("cam-1").await.directive.order, Order::Install, "no order back to anything");
    assert!(events(&world.context).await.contains(&"cam-1 cannot be ordered back".to_owned()));
    world.turn(2).await;
    assert_eq!(world.rollout_state().await, RolloutState::RollingBack, "which is not done");
}

#[tokio::test]
async fn a_withdrawn_release_halts_its_rollout_and_takes_its_orders_back() {
    let world = World::new().await;
    world.turn(0).await;
    world.say("cam-2", (1, 2), ReportPhase::Installed, None).await;
    change_release(&world.context, ReleaseState::Withdrawn).await;
    world.turn(1).await;
    assert_eq!(world.rollout_state().await, RolloutState::Halted);
    assert_eq!(world.order("cam-1").await.state, DirectiveState::Cancelling);
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Cancelled);
    assert_eq!(state_of(&world.context, "cam-2").await, MemberState::Installed, "it is past the point");
    let before = events(&world.context).await;
    world.turn(2).await;
    assert_eq!(events(&world.context).await, before, "once is enough");
}

#[tokio::test]
async fn an_order_outlives_its_rollout_but_not_its_release() {
    let world = World::new().await;
    world.turn(0).await;
    world.say("cam-2", (1, 2), ReportPhase::Healthy, None).await;
    // cam-1 stays silent for longer than the time limit, and the rollout ends without it.
    world.turn(200_000).await;
    assert_eq!(world.rollout_state().await, RolloutState::Finished);
    assert_eq!(world.order("cam-1").await.state, DirectiveState::Open);
    change_release(&world.context, ReleaseState::Withdrawn).await;
    world.turn(200_001).await;
    assert_eq!(world.order("cam-1").await.state, DirectiveState::Cancelling);
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Cancelled);
    let before = events(&world.context).await;
    world.turn(200_002).await;
    assert_eq!(events(&world.context).await, before, "once is enough");
}

#[tokio::test]
async fn a_straggler_is_ordered_back_with_a_generation_that_it_believes() {
    let world = World::new().await;
    world.turn(0).await;
    world.roll_back().await;
    world.turn(1).await;
    assert_eq!(world.rollout_state().await, RolloutState::RolledBack);
    // It had booted the release before it heard of the cancellation, and had orders of others meanwhile.
    let mut device = world.context.store.device(&"cam-1".parse().unwrap()).await.unwrap().unwrap();
    device.generation = Generation(70);
    world.context.store.commit(&[Write::Device(device)]).await.unwrap();
    world.say("cam-1", (1, 1), ReportPhase::Healthy, None).await;
    world.turn(2).await;
    let order = world.order("cam-1").await;
    assert_eq!((order.directive.order, order.directive.generation), (Order::TurnBack, Generation(71)));
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Reverting);
    world.say("cam-1", (2, order.directive.action.0), ReportPhase::RolledBack, Some(Cause::Ordered)).await;
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Reverted);
}

#[tokio::test]
async fn a_straggler_that_another_rollout_has_is_left_to_that_one() {
    let world = World::new().await;
    world.turn(0).await;
    world.roll_back().await;
    world.turn(1).await;
    let release = world.context.store.release(&"cam-1.1".parse().unwrap()).await.unwrap().unwrap();
    let mut other = rollout("r2", &release);
    other.state = RolloutState::Paused;
    world.context.store.commit(&[Write::Rollout(other), member("r2", "cam-1")]).await.unwrap();
    world.say("cam-1", (1, 1), ReportPhase::Booted, None).await;
    world.turn(2).await;
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Booted);
    change_rollout(&world.context, "r2", |rollout| rollout.state = RolloutState::Finished).await;
    world.turn(3).await;
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Reverting);
}
