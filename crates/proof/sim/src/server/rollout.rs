//! Rollout: each active rollout takes its next steps. Mirrors `apps/server/src/turn/rollout.rs`.

use warden_model::device::UpdateState;
use warden_model::event::Event;
use warden_model::release::ReleaseState;
use warden_model::rollout::{Directive, Order, RolloutState};
use warden_model::{ActionId, ByteCount, RolloutId, Sha256Digest, Stage, Timestamp};
use warden_rollout::{Circumstances, Situation, Step, next_steps, take_turn};

use super::{KeptOrder, OrderState, RolloutRecord, State};

/// Lets each rollout take its next steps; returns when to look again at the latest.
pub(super) fn run(state: &mut State, now: Timestamp, next_action: &mut u64) -> Option<Timestamp> {
    // One that has gone back still takes turns: it orders those back that installed late (`TurnBackReason::Straggler`).
    let takes_turns = |state| is_active(state) || state == RolloutState::RolledBack;
    let turning = state.rollouts.values().filter(|record| takes_turns(record.rollout.state));
    let ids: Vec<RolloutId> = turning.map(|record| record.rollout.id.clone()).collect();
    ids.into_iter().filter_map(|id| one(state, &id, now, next_action)).min()
}

/// Says whether a rollout has started and is not over.
pub(super) fn is_active(state: RolloutState) -> bool {
    match state {
        RolloutState::Running | RolloutState::Paused | RolloutState::Halted | RolloutState::RollingBack => {
            true
        }
        RolloutState::Draft | RolloutState::RolledBack | RolloutState::Finished => false,
    }
}

impl State {
    /// Returns when a rollout must be looked at again; nothing when only a report or a person can change anything.
    pub fn next_look(&self, record: &RolloutRecord, now: Timestamp) -> Option<Timestamp> {
        let release = self.releases.get(&record.rollout.release)?;
        let urgent = self.urgent();
        let situation = Situation {
            rollout: &record.rollout,
            members: &record.members,
            urgent: &urgent,
            release_state: release.state,
            now,
            order_timeout: self.order_timeout,
        };
        let plan = next_steps(&situation);
        if plan.only_waits() { plan.look_again_at() } else { Some(now) }
    }
}

fn one(state: &mut State, id: &RolloutId, now: Timestamp, next_action: &mut u64) -> Option<Timestamp> {
    let urgent = state.urgent();
    let order_timeout = state.order_timeout;
    let mut record = state.rollouts.get(id)?.clone();
    let release = state.releases.get(&record.rollout.release)?;
    let (image, release_state): (Sha256Digest, ReleaseState) = (release.image, release.state);
    let circumstances = Circumstances { urgent: &urgent, release_state, order_timeout, now };
    let mut next = || {
        let action = ActionId(*next_action);
        *next_action += 1;
        action
    };
    let turn = take_turn(&mut record.rollout, &mut record.members, &circumstances, &mut next);
    for directive in &turn.directives {
        order(state, directive, image);
    }
    for step in turn.steps.iter().filter(|step| !matches!(step, Step::Wait { .. })) {
        state.events.push(Event {
            at: now,
            stage: Stage::Rollout,
            device: step.device().cloned(),
            release: Some(record.rollout.release.clone()),
            rollout: Some(id.clone()),
            what: step.what().to_owned(),
            reason: step.why(),
        });
    }
    state.rollouts.insert(id.clone(), record);
    turn.look_again_at
}

/// Keeps an order, closes what it replaces, and notes the device's new generation.
fn order(state: &mut State, directive: &Directive, image: Sha256Digest) {
    let key = (directive.rollout.clone(), directive.device.clone());
    let open = state.open_order(&directive.device).map(|kept| kept.directive.action);
    if let Some(open) = open.and_then(|action| state.directives.get_mut(&action)) {
        // DDI cancels the order that the device has; it answers on the cancel channel of that very order.
        open.state = match directive.order {
            Order::Cancel => OrderState::Cancelling,
            Order::Install | Order::TurnBack => OrderState::Closed,
        };
    }
    let Some(device) = state.devices.get_mut(&directive.device) else { return };
    device.generation = device.generation.max(directive.generation);
    if directive.order == Order::Cancel {
        return;
    }
    device.state = UpdateState::Updating;
    if let Some(confirmed) = device.confirmed.as_ref().filter(|_| directive.order == Order::Install) {
        state.before.insert(key.clone(), confirmed.image);
    }
    let image = match directive.order {
        // Back means: what the device ran before. It knows its other slot best; this names what the server knows.
        Order::TurnBack => state.before.get(&key).copied().unwrap_or(image),
        Order::Install | Order::Cancel => image,
    };
    let full = state.firmware.get(&image).map_or(ByteCount(0), |firmware| firmware.size);
    let kept = KeptOrder {
        directive: directive.clone(),
        state: OrderState::Open,
        image,
        downloaded: ByteCount(0),
        full,
    };
    state.directives.insert(directive.action, kept);
}
