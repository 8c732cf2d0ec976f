//! Reports: what a device says moves its member.
//!
//! In: a member and a state report whose signature, sender and counter have been checked. Out: the moved member, or
//! why the report changes nothing. Refuses reports about other orders and about what is over: late, repeated and
//! reordered reports are harmless. Every order has an action id of its own, and a newer order replaces it in the member, so
//! that a report about an order of an older generation is one about another action.

use std::fmt;

use warden_model::report::{Cause, ReportPhase, StateReport};
use warden_model::rollout::{Member, MemberState};
use warden_model::{ActionId, DeviceId, Timestamp};

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportOutcome {
    /// The member moved.
    Moved {
        /// Where it stood.
        from: MemberState,
        /// Where it stands now.
        to: MemberState,
    },
    /// Nothing changed.
    Ignored(Ignored),
}

/// Why a report changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// It is about no order.
    SignOfLife,
    /// It comes from another device.
    OtherDevice {
        /// Who reported.
        reported: DeviceId,
    },
    /// It is about another order than the one that the device has: an older one as a rule.
    OtherOrder {
        /// The order that it is about.
        reported: ActionId,
        /// The order that the device has.
        has: Option<ActionId>,
    },
    /// It says what is known.
    Repeated {
        /// Where the member stands.
        state: MemberState,
    },
    /// It says less than what is known.
    Late {
        /// Where the member stands.
        state: MemberState,
        /// What the report says.
        reported: ReportPhase,
    },
}

impl fmt::Display for ReportOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved { from, to } => write!(f, "The device was {from} and is {to} now."),
            Self::Ignored(ignored) => ignored.fmt(f),
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignOfLife => write!(f, "The report is about no order."),
            Self::OtherDevice { reported } => write!(f, "The report comes from {reported}, another device."),
            Self::OtherOrder { reported, has: Some(has) } => {
                write!(f, "The report is about order {reported}, and the device has order {has}.")
            }
            Self::OtherOrder { reported, has: None } => {
                write!(
                    f,
                    "The report is about order {reported}, and the device has no order of this rollout."
                )
            }
            Self::Repeated { state } => write!(f, "The report repeats that the device is {state}."),
            Self::Late { state, reported } => {
                write!(f, "The report says {reported}, and the device is already {state}.")
            }
        }
    }
}

/// Moves a member by a report of its device; `now` is when the report came, because device clocks may be wrong.
pub fn on_report(member: &mut Member, report: &StateReport, now: Timestamp) -> ReportOutcome {
    if report.device != member.device {
        return ReportOutcome::Ignored(Ignored::OtherDevice { reported: report.device.clone() });
    }
    let (Some(action), Some(phase)) = (report.action, report.phase) else {
        return ReportOutcome::Ignored(Ignored::SignOfLife);
    };
    if member.action != Some(action) {
        return ReportOutcome::Ignored(Ignored::OtherOrder { reported: action, has: member.action });
    }
    match next_state(member.state, phase, report.cause) {
        Some(to) if to == member.state => ReportOutcome::Ignored(Ignored::Repeated { state: to }),
        Some(to) => move_to(member, to, now),
        None => ReportOutcome::Ignored(Ignored::Late { state: member.state, reported: phase }),
    }
}

/// Notes that the device has begun to work on its order: it loads or writes, and has not reported a state yet.
pub fn on_progress(member: &mut Member, action: ActionId, now: Timestamp) -> ReportOutcome {
    if member.action != Some(action) {
        return ReportOutcome::Ignored(Ignored::OtherOrder { reported: action, has: member.action });
    }
    match member.state {
        MemberState::Offered => move_to(member, MemberState::Updating, now),
        MemberState::Updating => {
            // Each sign of progress starts the silence anew: a slow network is no silent device.
            member.since = now.max(member.since);
            ReportOutcome::Ignored(Ignored::Repeated { state: member.state })
        }
        MemberState::Waiting
        | MemberState::Installed
        | MemberState::Booted
        | MemberState::Healthy
        | MemberState::RolledBack
        | MemberState::Failed
        | MemberState::Reverting
        | MemberState::Reverted
        | MemberState::Cancelled => ReportOutcome::Ignored(Ignored::Repeated { state: member.state }),
    }
}

fn move_to(member: &mut Member, to: MemberState, now: Timestamp) -> ReportOutcome {
    let from = member.state;
    member.state = to;
    member.since = now;
    ReportOutcome::Moved { from, to }
}

/// Returns the state that follows; nothing when the report is late.
fn next_state(state: MemberState, reported: ReportPhase, cause: Option<Cause>) -> Option<MemberState> {
    match state {
        // An order was given and is not finished: the device moves forward or ends, never backward.
        MemberState::Offered
        | MemberState::Updating
        | MemberState::Installed
        | MemberState::Booted
        | MemberState::Healthy => forward(state, reported),
        // The order was taken back, and the device had acted before it knew: what it says is true, and a rollout that
        // goes back will order it back too. A FAILED says no more than that it did not install, as it should.
        MemberState::Cancelled => match reported {
            ReportPhase::Failed => Some(MemberState::Cancelled),
            ReportPhase::Installed | ReportPhase::Booted | ReportPhase::Healthy | ReportPhase::RolledBack => {
                forward(MemberState::Offered, reported)
            }
        },
        // A device that has nothing to turn back from answers ROLLED_BACK too. Any other cause than the order means that the
        // image before did not come up or was not healthy: the device came back from it, and is on the release still.
        MemberState::Reverting => match (reported, cause) {
            (ReportPhase::RolledBack, Some(Cause::Ordered) | None) => Some(MemberState::Reverted),
            (ReportPhase::RolledBack, Some(_)) | (ReportPhase::Failed, _) => Some(MemberState::Failed),
            (ReportPhase::Installed | ReportPhase::Booted | ReportPhase::Healthy, _) => None,
        },
        MemberState::RolledBack | MemberState::Reverted => {
            (reported == ReportPhase::RolledBack).then_some(state)
        }
        MemberState::Failed => (reported == ReportPhase::Failed).then_some(state),
        MemberState::Waiting => None,
    }
}

fn forward(state: MemberState, reported: ReportPhase) -> Option<MemberState> {
    let to = match reported {
        ReportPhase::Installed => MemberState::Installed,
        ReportPhase::Booted => MemberState::Booted,
        ReportPhase::Healthy => MemberState::Healthy,
        // Even a device that was healthy may turn back later; its own newer word counts.
        ReportPhase::RolledBack => return Some(MemberState::RolledBack),
        ReportPhase::Failed if state == MemberState::Healthy => return None,
        ReportPhase::Failed => return Some(MemberState::Failed),
    };
    // `MemberState` is ordered by progress up to `Healthy`.
    (to >= state).then_some(to)
}
