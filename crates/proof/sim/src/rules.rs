//! The invariants that hold after each event, whatever goes wrong.
//!
//! In: devices, their flash, what they say, the server before and after a turn. Out: one sentence for each broken rule.
//! Refuses nothing; a broken rule is a bug of the machine, of a planner, or of the wiring.

use std::collections::{BTreeMap, BTreeSet};

use warden_agent::machine::Journal;
use warden_model::device::Slot;
use warden_model::release::ReleaseState;
use warden_model::report::{ReportPhase, StateReport};
use warden_model::rollout::{MemberState, Order, RolloutState};
use warden_model::{ActionId, DeviceId, Sha256Digest, Timestamp};

use crate::device::SimDevice;
use crate::server::{Server, State};
use crate::world::ImageFacts;

type Images = BTreeMap<Sha256Digest, ImageFacts>;

fn slot_rule(device: &SimDevice, slot: Slot, images: &Images, what: &str) -> Option<String> {
    let id = &device.settings.device;
    match device.flash.image(slot) {
        Some(image) if images.contains_key(&image) => None,
        Some(image) => Some(format!("{id}: {what} slot {slot} holds {}, which nobody made", image.short())),
        None => {
            Some(format!("{id}: {what} slot {slot} holds no complete image: {:?}", device.flash.slot(slot)))
        }
    }
}

/// The boot loader never starts a slot whose bytes are not a complete known image.
pub fn at_boot(device: &SimDevice, images: &Images) -> Vec<String> {
    slot_rule(device, device.flash.running, images, "boots, and").into_iter().collect()
}

/// At every moment there is a way back: the confirmed slot holds a complete known image; and what runs is complete.
pub fn of_device(device: &SimDevice, images: &Images) -> Vec<String> {
    let way_back = slot_rule(device, device.flash.confirmed, images, "the confirmed");
    let runs =
        device.machine.as_ref().and_then(|_| slot_rule(device, device.flash.running, images, "the running"));
    way_back.into_iter().chain(runs).collect()
}

/// The journal never goes back: not in its generation, not in its counter of reports, and not below the release counter
/// that is confirmed, unless the server ordered exactly that.
pub fn after_save(device: &SimDevice, before: &Journal, server: &Server) -> Vec<String> {
    let (id, after) = (&device.settings.device, &device.flash.journal);
    let mut broken = Vec::new();
    if after.generation < before.generation {
        broken.push(format!(
            "{id}: the generation goes back from {} to {}",
            before.generation, after.generation
        ));
    }
    if after.report_counter < before.report_counter {
        broken.push(format!(
            "{id}: the report counter goes back from {} to {}",
            before.report_counter, after.report_counter
        ));
    }
    let (was, is) = (&before.confirmed, &after.confirmed);
    let ordered = server.state.directives.values().any(|kept| {
        kept.directive.device == *id && kept.directive.order == Order::TurnBack && kept.image == is.image
    });
    if is.release_counter < was.release_counter && !ordered {
        broken.push(format!("{id}: goes from {} back to {} without an order", was.version, is.version));
    }
    broken
}

/// A device says BOOTED only of what has started on it, and HEALTHY only of what has started and passed its checks there.
pub fn of_report(report: &StateReport, device: &SimDevice) -> Vec<String> {
    let (id, truth) = (&report.device, &device.truth);
    let broken = match report.phase {
        Some(ReportPhase::Booted) if !truth.booted.contains(&report.running.image) => {
            Some(format!("{id}: reports BOOTED of {}, which never started", report.running.version))
        }
        Some(ReportPhase::Healthy)
            if !truth.booted.contains(&report.confirmed.image)
                || !truth.proven.contains(&report.confirmed.image) =>
        {
            Some(format!("{id}: reports HEALTHY of {}, which was not proven", report.confirmed.version))
        }
        Some(_) | None => None,
    };
    broken.into_iter().collect()
}

/// What must be remembered of the server before a turn.
#[derive(Debug, Clone)]
pub struct Before {
    orders: BTreeSet<ActionId>,
}

impl Before {
    /// Remembers it.
    pub fn of(state: &State) -> Self {
        Self { orders: state.directives.keys().copied().collect() }
    }
}

/// A turn offers nothing beyond the running phase, nothing in a rollout that does not run, nothing unsigned, and nothing
/// outside the window but to the urgent.
pub fn after_turn(before: &Before, state: &State, now: Timestamp) -> Vec<String> {
    let mut broken = Vec::new();
    for record in state.rollouts.values() {
        let rollout = &record.rollout;
        for member in &record.members {
            if member.phase > rollout.phase && member.state != MemberState::Waiting {
                broken.push(format!("{} is {} before its phase", member.device, member.state));
            }
        }
    }
    let new = state.directives.values().filter(|kept| !before.orders.contains(&kept.directive.action));
    for kept in new.filter(|kept| kept.directive.order == Order::Install) {
        let (device, rollout) = (&kept.directive.device, &kept.directive.rollout);
        let Some(record) = state.rollouts.get(rollout) else { continue };
        if record.rollout.state != RolloutState::Running {
            broken
                .push(format!("{device} is offered a release by a rollout that is {}", record.rollout.state));
        }
        let release = state.releases.get(&kept.directive.release).map(|release| release.state);
        if release != Some(ReleaseState::Signed) {
            broken.push(format!("{device} is offered a release that is not signed: {release:?}"));
        }
        let closed = record.rollout.window.and_then(|window| window.opens_after(now)).is_some();
        if closed && !state.urgent().contains(device) {
            broken.push(format!("{device} is offered a release outside the window, and is not urgent"));
        }
    }
    broken
}

/// The server calls a device healthy only when the image of the release has really passed its checks there.
pub fn of_members(state: &State, devices: &BTreeMap<DeviceId, SimDevice>) -> Vec<String> {
    let mut broken = Vec::new();
    for record in state.rollouts.values() {
        let image = state.releases.get(&record.rollout.release).map(|release| release.image);
        for member in record.members.iter().filter(|member| member.state == MemberState::Healthy) {
            let proven = devices.get(&member.device).map(|device| &device.truth.proven);
            if !image.zip(proven).is_some_and(|(image, proven)| proven.contains(&image)) {
                broken.push(format!("{} counts as healthy, and never proved the release", member.device));
            }
        }
    }
    broken
}
