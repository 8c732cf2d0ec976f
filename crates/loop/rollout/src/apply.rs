//! Applying steps: the pure half of the executor.
//!
//! In: a rollout, its members and a planned step. Out: the changed rollout and members, and the orders to send. Refuses,
//! without a word, every step that does not fit the state any more: a step that was applied before, a plan that is
//! out of date. So an executor may crash between planning and storing, and simply plan and apply again.

use std::collections::{BTreeMap, BTreeSet};

use warden_model::release::ReleaseState;
use warden_model::rollout::{Directive, Member, MemberState, Order, Rollout, RolloutState};
use warden_model::{ActionId, DeviceId, Seconds, Timestamp};

use crate::plan::{Situation, next_steps};
use crate::step::{Plan, Step};

/// What a turn depends on besides the rollout and its members.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Devices with an immediate case: they do not wait for the window.
    pub urgent: &'a BTreeSet<DeviceId>,
    /// How far the release has come.
    pub release_state: ReleaseState,
    /// How long a device may be silent before it stops holding up its phase.
    pub order_timeout: Seconds,
    /// The present moment.
    pub now: Timestamp,
}

/// What a turn did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The steps that were applied, and at the end what the rollout waits for.
    pub steps: Vec<Step>,
    /// The orders to send, in the order of their generations.
    pub directives: Vec<Directive>,
    /// When to take the next turn at the latest; absent when only a report or a person can change anything.
    pub look_again_at: Option<Timestamp>,
}

/// Plans and applies until nothing is left to do at this moment.
///
/// A turn that is taken again at the same moment changes nothing and orders nothing.
pub fn take_turn(
    rollout: &mut Rollout,
    members: &mut [Member],
    circumstances: &Circumstances<'_>,
    next_action: &mut dyn FnMut() -> ActionId,
) -> Turn {
    let mut turn = Turn { steps: Vec::new(), directives: Vec::new(), look_again_at: None };
    // Each plan that does more than wait offers, marks, advances or ends: two plans a phase and one at each end are
    // more than any rollout needs. The limit holds even if a rule ever contradicted itself.
    let plans_max = rollout.phases.len().saturating_mul(2).saturating_add(4);
    for _ in 0..plans_max {
        let plan = next_steps(&Situation {
            rollout,
            members,
            urgent: circumstances.urgent,
            release_state: circumstances.release_state,
            now: circumstances.now,
            order_timeout: circumstances.order_timeout,
        });
        turn.look_again_at = plan.look_again_at();
        let done = plan.only_waits();
        turn.directives.extend(apply_plan(rollout, members, &plan, circumstances.now, next_action));
        turn.steps.extend(plan.steps.into_iter().filter(|step| done || !matches!(step, Step::Wait { .. })));
        if done {
            break;
        }
    }
    turn
}

/// Applies all steps of a plan in their order, and returns the orders to send.
pub fn apply_plan(
    rollout: &mut Rollout,
    members: &mut [Member],
    plan: &Plan,
    now: Timestamp,
    next_action: &mut dyn FnMut() -> ActionId,
) -> Vec<Directive> {
    if plan.only_waits() {
        return Vec::new();
    }
    // One look-up table a plan: a fleet of 100,000 devices is offered the release in one plan.
    let places: BTreeMap<DeviceId, usize> =
        members.iter().enumerate().map(|(place, member)| (member.device.clone(), place)).collect();
    let mut directives = Vec::new();
    for step in &plan.steps {
        let place = step.device().and_then(|device| places.get(device));
        let member = place.and_then(|place| members.get_mut(*place));
        directives.extend(apply(rollout, member, step, now, next_action));
    }
    directives
}

/// Applies one step and returns the orders to send: one for an offer, a turn back and a cancel, else none.
///
/// A cancel has an action of its own, and the member keeps the action of the order that is taken back: that is the one
/// that late reports name, and the one that the device must stop.
pub fn apply_step(
    rollout: &mut Rollout,
    members: &mut [Member],
    step: &Step,
    now: Timestamp,
    next_action: &mut dyn FnMut() -> ActionId,
) -> Vec<Directive> {
    let member = step.device().and_then(|device| members.iter_mut().find(|member| member.device == *device));
    apply(rollout, member, step, now, next_action).into_iter().collect()
}

fn apply(
    rollout: &mut Rollout,
    member: Option<&mut Member>,
    step: &Step,
    now: Timestamp,
    next_action: &mut dyn FnMut() -> ActionId,
) -> Option<Directive> {
    if let Some(member) = member {
        let (order, state) = order_of(rollout, member, step)?;
        let action = next_action();
        if order != Order::Cancel {
            member.action = Some(action);
        }
        member.state = state;
        member.since = now;
        rollout.generation = rollout.generation.next();
        return Some(Directive {
            action,
            rollout: rollout.id.clone(),
            device: member.device.clone(),
            order,
            release: rollout.release.clone(),
            generation: rollout.generation,
        });
    }
    move_rollout(rollout, step);
    None
}

/// Returns the order that the step gives to the member and the state that follows; nothing when it does not fit.
fn order_of(rollout: &Rollout, member: &Member, step: &Step) -> Option<(Order, MemberState)> {
    let fits = match step {
        Step::Offer { .. } => {
            rollout.state == RolloutState::Running
                && member.state == MemberState::Waiting
                && member.phase <= rollout.phase
        }
        Step::TurnBack { .. } => {
            matches!(rollout.state, RolloutState::RollingBack | RolloutState::RolledBack)
                && matches!(member.state, MemberState::Installed | MemberState::Booted | MemberState::Healthy)
        }
        Step::CancelOrder { .. } => {
            !matches!(rollout.state, RolloutState::Draft | RolloutState::Finished)
                && matches!(member.state, MemberState::Offered | MemberState::Updating)
        }
        Step::MarkGood { .. }
        | Step::NotGoodAnyMore { .. }
        | Step::Advance { .. }
        | Step::Wait { .. }
        | Step::Halt { .. }
        | Step::Finish { .. } => false,
    };
    let effect = match step {
        Step::TurnBack { .. } => (Order::TurnBack, MemberState::Reverting),
        Step::CancelOrder { .. } => (Order::Cancel, MemberState::Cancelled),
        Step::Offer { .. }
        | Step::MarkGood { .. }
        | Step::NotGoodAnyMore { .. }
        | Step::Advance { .. }
        | Step::Wait { .. }
        | Step::Halt { .. }
        | Step::Finish { .. } => (Order::Install, MemberState::Offered),
    };
    fits.then_some(effect)
}

/// Carries out a step that is about the rollout itself.
fn move_rollout(rollout: &mut Rollout, step: &Step) {
    let running = rollout.state == RolloutState::Running;
    match step {
        Step::MarkGood { since, .. } if running && rollout.good_since.is_none() => {
            rollout.good_since = Some(*since);
        }
        Step::NotGoodAnyMore { .. } if running => rollout.good_since = None,
        Step::Advance { to, reason }
            if running && *to == rollout.phase.saturating_add(1) && *to < rollout.phases.len() =>
        {
            rollout.phase = *to;
            rollout.good_since = None;
            rollout.reason = reason.to_string();
        }
        Step::Halt { reason } if running => {
            rollout.state = RolloutState::Halted;
            rollout.good_since = None;
            rollout.reason = reason.to_string();
        }
        Step::Finish { state, reason } if is_end(rollout.state, *state) => {
            rollout.state = *state;
            rollout.reason = reason.to_string();
        }
        Step::Offer { .. }
        | Step::MarkGood { .. }
        | Step::NotGoodAnyMore { .. }
        | Step::Advance { .. }
        | Step::Wait { .. }
        | Step::Halt { .. }
        | Step::TurnBack { .. }
        | Step::CancelOrder { .. }
        | Step::Finish { .. } => {}
    }
}

/// Says whether a rollout in the first state may end in the second one.
fn is_end(from: RolloutState, to: RolloutState) -> bool {
    matches!(
        (from, to),
        (RolloutState::Running, RolloutState::Finished)
            | (RolloutState::RollingBack, RolloutState::RolledBack)
    )
}
