//! The planner: where a rollout stands, and what to do next.
//!
//! In: a [`Situation`]. Out: a [`Plan`]. Refuses nothing: a situation in which nothing can be done gives a plan that
//! waits and says for what. The planner changes nothing; [`crate::apply_step`] does.

use std::collections::BTreeSet;

use warden_model::release::ReleaseState;
use warden_model::rollout::{Member, MemberState, Phase, Rollout, RolloutState};
use warden_model::{DeviceId, Seconds, Timestamp};

use crate::reason::{
    AdvanceReason, CancelReason, FinishReason, HaltReason, OfferReason, PhaseName, TurnBackReason, Waiting,
};
use crate::step::{Plan, Step};
use crate::tally::{Tally, is_silent, tallies};

/// All that the next steps depend on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The rollout.
    pub rollout: &'a Rollout,
    /// Its devices, in the order in which they are to be offered the release.
    pub members: &'a [Member],
    /// Devices with an immediate case: they do not wait for the window. They do wait for their phase.
    pub urgent: &'a BTreeSet<DeviceId>,
    /// How far the release has come: it rolls out only when it is signed.
    pub release_state: ReleaseState,
    /// The present moment.
    pub now: Timestamp,
    /// How long a device may be silent before it stops holding up its phase.
    pub order_timeout: Seconds,
}

/// Decides the next steps.
pub fn next_steps(situation: &Situation<'_>) -> Plan {
    let why = || situation.rollout.reason.clone();
    let steps = match situation.rollout.state {
        RolloutState::Draft => vec![wait(Waiting::ApprovalOfStart)],
        RolloutState::Running => run(situation),
        RolloutState::Paused => held(situation, Waiting::Paused { why: why() }),
        RolloutState::Halted => held(situation, Waiting::Halted { why: why() }),
        RolloutState::RollingBack => roll_back(situation),
        RolloutState::RolledBack => turn_back_all(situation, &TurnBackReason::Straggler),
        RolloutState::Finished => Vec::new(),
    };
    Plan { steps }
}

/// Returns the name of the phase with this index, for reasons.
pub(crate) fn phase_name(rollout: &Rollout, index: usize) -> PhaseName {
    let name = rollout.phases.get(index).map_or_else(|| "unknown".to_owned(), |phase| phase.name.clone());
    PhaseName { index, count: rollout.phases.len(), name }
}

/// A rollout that a person must decide about gives no orders, but takes those back that nobody may follow any more.
fn held(situation: &Situation<'_>, waiting: Waiting) -> Vec<Step> {
    let mut steps = if is_taken_back(situation.release_state) {
        cancel_open(situation, &CancelReason::ReleaseTakenBack { state: situation.release_state })
    } else {
        Vec::new()
    };
    steps.push(wait(waiting));
    steps
}

/// A running rollout: first whatever stops it, then the offers, then the question whether the phase is done.
fn run(situation: &Situation<'_>) -> Vec<Step> {
    if is_taken_back(situation.release_state) {
        let state = situation.release_state;
        let mut steps = cancel_open(situation, &CancelReason::ReleaseTakenBack { state });
        steps.push(Step::Halt { reason: HaltReason::ReleaseTakenBack { state } });
        return steps;
    }
    let tallies = tallies(situation);
    if let Some(reason) = must_halt(situation, &tallies) {
        return vec![Step::Halt { reason }];
    }
    if situation.release_state != ReleaseState::Signed {
        return vec![wait(Waiting::ReleaseNotSigned { state: situation.release_state })];
    }
    let (mut steps, window) = offers(situation);
    let rollout = situation.rollout;
    if let (Some(phase), Some(tally)) = (rollout.phases.get(rollout.phase), tallies.get(rollout.phase)) {
        let counts = Counts { tallies: &tallies, offers: &steps };
        let verdict = judge(situation, phase, tally, &counts);
        steps.extend(verdict);
    }
    // Once the phase is done, the window of the next one is that plan's business.
    let goes_on = steps.iter().any(|step| matches!(step, Step::Advance { .. } | Step::Finish { .. }));
    if !goes_on {
        steps.extend(window);
    }
    steps
}

/// Returns why the rollout must halt: each phase that has started is judged alone, by its own members.
fn must_halt(situation: &Situation<'_>, tallies: &[Tally]) -> Option<HaltReason> {
    let rollout = situation.rollout;
    let started = rollout.phases.iter().zip(tallies).enumerate().take(rollout.phase.saturating_add(1));
    for (index, (phase, tally)) in started {
        let limit = tally.failed_limit(phase);
        if tally.failed >= limit {
            return Some(HaltReason::TooManyFailed {
                phase: phase_name(rollout, index),
                failed: tally.failed,
                members: tally.members,
                limit,
                threshold: phase.error_threshold,
            });
        }
        // Some failures were accepted, and the few that came after them stay below the limit; still nobody is left
        // who could show that the release works.
        if index == rollout.phase && tally.failed > 0 && tally.nobody_left() {
            return Some(HaltReason::NobodyLeft { phase: phase_name(rollout, index), failed: tally.failed });
        }
    }
    None
}

/// Returns the offers to all devices whose phase has started, and what waits for the window.
///
/// A device of an earlier phase may still be without an order, because the window was closed; it is not forgotten.
fn offers(situation: &Situation<'_>) -> (Vec<Step>, Option<Step>) {
    let rollout = situation.rollout;
    let closed_until = rollout.window.and_then(|window| window.opens_after(situation.now));
    let mut steps = Vec::new();
    let mut held_back = 0;
    for member in situation.members {
        if member.state != MemberState::Waiting || member.phase > rollout.phase {
            continue;
        }
        let phase = phase_name(rollout, member.phase);
        let reason = match closed_until {
            None => OfferReason::PhaseReached { phase },
            Some(opens) if situation.urgent.contains(&member.device) => OfferReason::Urgent { phase, opens },
            Some(_) => {
                held_back += 1;
                continue;
            }
        };
        steps.push(Step::Offer { device: member.device.clone(), reason });
    }
    let window = closed_until.filter(|_| held_back > 0).map(|opens| Step::Wait {
        until: Some(opens),
        reason: Waiting::Window { devices: held_back, opens },
    });
    (steps, window)
}

/// What the judgement of a phase counts with.
struct Counts<'a> {
    tallies: &'a [Tally],
    /// The offers of the same plan: those devices will be at work.
    offers: &'a [Step],
}

/// Decides whether the phase is good, how long it must stay so, and what follows.
fn judge(situation: &Situation<'_>, phase: &Phase, tally: &Tally, counts: &Counts<'_>) -> Vec<Step> {
    let rollout = situation.rollout;
    let name = phase_name(rollout, rollout.phase);
    if tally.members == 0 {
        return go_on(situation, counts, AdvanceReason::Empty { phase: name });
    }
    if tally.nobody_left() {
        return go_on(
            situation,
            counts,
            AdvanceReason::FailuresAccepted { phase: name, accepted: tally.accepted },
        );
    }
    let success = tally.success(name.clone(), phase);
    if success.healthy < success.needed {
        let mut steps = Vec::new();
        if rollout.good_since.is_some() {
            steps.push(Step::NotGoodAnyMore { reason: success });
        }
        steps.extend(wait_in(situation, rollout.phase, (phase, tally), counts.offers));
        return steps;
    }
    let mut steps = Vec::new();
    let since = rollout.good_since.unwrap_or(situation.now);
    if rollout.good_since.is_none() {
        steps.push(Step::MarkGood { since, reason: success.clone() });
    }
    let soaked_at = since.plus(phase.soak);
    if soaked_at > situation.now {
        let reason = Waiting::Soaking { phase: name, since, soak: phase.soak };
        steps.push(Step::Wait { until: Some(soaked_at), reason });
        return steps;
    }
    let soaked = situation.now.since(since);
    steps.extend(go_on(situation, counts, AdvanceReason::Good { success, soaked }));
    steps
}

/// Starts the next phase; after the last one ends the rollout, as soon as no device is at work or without its order.
fn go_on(situation: &Situation<'_>, counts: &Counts<'_>, reason: AdvanceReason) -> Vec<Step> {
    let rollout = situation.rollout;
    let next = rollout.phase.saturating_add(1);
    if next < rollout.phases.len() {
        return vec![Step::Advance { to: next, reason }];
    }
    let mut phases = rollout.phases.iter().zip(counts.tallies).enumerate();
    if let Some((index, phase)) = phases.find(|(_, (_, tally))| tally.working + tally.waiting > 0) {
        return wait_in(situation, index, phase, counts.offers).into_iter().collect();
    }
    let sum = |of: fn(&Tally) -> u64| counts.tallies.iter().map(of).sum();
    vec![Step::Finish {
        state: RolloutState::Finished,
        reason: FinishReason::AllPhasesDone {
            healthy: sum(|t| t.healthy),
            members: sum(|t| t.members),
            failed: sum(|t| t.failed + t.accepted),
            unanswered: sum(Tally::outstanding),
        },
    }]
}

/// Says that devices of a phase must report; nothing when none of them has an order, not even in this plan.
fn wait_in(
    situation: &Situation<'_>,
    index: usize,
    (phase, tally): (&Phase, &Tally),
    offers: &[Step],
) -> Option<Step> {
    let offered_now = count(offers.iter().filter(|step| is_offer_in(step, index)).count());
    let outstanding = tally.outstanding() + offered_now;
    if outstanding == 0 {
        return None;
    }
    let silent_at = Some(situation.now.plus(situation.order_timeout)).filter(|_| offered_now > 0);
    Some(Step::Wait {
        until: tally.next_silence.into_iter().chain(silent_at).min(),
        reason: Waiting::Devices {
            success: tally.success(phase_name(situation.rollout, index), phase),
            outstanding,
            unreachable: tally.unreachable,
            silent_since_install: tally.silent_since_install,
        },
    })
}

fn is_offer_in(step: &Step, index: usize) -> bool {
    match step {
        Step::Offer {
            reason: OfferReason::PhaseReached { phase } | OfferReason::Urgent { phase, .. },
            ..
        } => phase.index == index,
        Step::MarkGood { .. }
        | Step::NotGoodAnyMore { .. }
        | Step::Advance { .. }
        | Step::Wait { .. }
        | Step::Halt { .. }
        | Step::TurnBack { .. }
        | Step::CancelOrder { .. }
        | Step::Finish { .. } => false,
    }
}

/// A rollout on its way back: orders back whoever has the release, and waits for them without a time limit, because
/// "rolled back" must be true for every device.
fn roll_back(situation: &Situation<'_>) -> Vec<Step> {
    let why = situation.rollout.reason.clone();
    let mut steps = cancel_open(situation, &CancelReason::FleetRollback { why: why.clone() });
    let on_the_way = turn_back_all(situation, &TurnBackReason::FleetRollback { why });
    if on_the_way.is_empty() {
        steps.push(finish_rolled_back(situation));
    }
    steps.extend(on_the_way);
    steps
}

/// Orders every device back that has the release, and waits for those that were ordered back.
fn turn_back_all(situation: &Situation<'_>, reason: &TurnBackReason) -> Vec<Step> {
    let has_release = |member: &&Member| {
        matches!(member.state, MemberState::Installed | MemberState::Booted | MemberState::Healthy)
    };
    let step = |member: &Member| Step::TurnBack { device: member.device.clone(), reason: reason.clone() };
    let mut steps: Vec<Step> = situation.members.iter().filter(has_release).map(step).collect();
    let reverting = || situation.members.iter().filter(|member| member.state == MemberState::Reverting);
    let outstanding = count(reverting().count() + steps.len());
    if outstanding > 0 {
        let silent = reverting().filter(|member| is_silent(member, situation)).count();
        steps.push(wait(Waiting::TurningBack { outstanding, unreachable: count(silent) }));
    }
    steps
}

fn finish_rolled_back(situation: &Situation<'_>) -> Step {
    let mut reverted = 0;
    let mut rolled_back = 0;
    let mut failed = 0;
    let mut untouched = 0;
    for member in situation.members {
        let field = match member.state {
            MemberState::Reverted => &mut reverted,
            MemberState::RolledBack => &mut rolled_back,
            MemberState::Failed => &mut failed,
            MemberState::Waiting
            | MemberState::Offered
            | MemberState::Updating
            | MemberState::Cancelled
            // The other states have been ordered back before, so that none of them is left here.
            | MemberState::Installed
            | MemberState::Booted
            | MemberState::Healthy
            | MemberState::Reverting => &mut untouched,
        };
        *field += 1;
    }
    Step::Finish {
        state: RolloutState::RolledBack,
        reason: FinishReason::AllTurnedBack { reverted, rolled_back, failed, untouched },
    }
}

/// Takes all orders back that no device has finished.
fn cancel_open(situation: &Situation<'_>, reason: &CancelReason) -> Vec<Step> {
    let open = |member: &&Member| matches!(member.state, MemberState::Offered | MemberState::Updating);
    let step = |member: &Member| Step::CancelOrder { device: member.device.clone(), reason: reason.clone() };
    situation.members.iter().filter(open).map(step).collect()
}

fn is_taken_back(state: ReleaseState) -> bool {
    match state {
        ReleaseState::Rejected | ReleaseState::Withdrawn => true,
        ReleaseState::Uploaded
        | ReleaseState::Analysed
        | ReleaseState::Built
        | ReleaseState::Proven
        | ReleaseState::Signed => false,
    }
}

fn wait(reason: Waiting) -> Step {
    Step::Wait { until: None, reason }
}

pub(crate) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
