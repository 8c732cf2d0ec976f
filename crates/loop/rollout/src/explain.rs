//! Why is this device not updated?
//!
//! In: a device and a situation. Out: one to three plain sentences. Refuses nothing: a device that the rollout does
//! not have is an answer too.

use warden_model::DeviceId;
use warden_model::rollout::{Member, MemberState, Rollout, RolloutState};

use crate::plan::{Situation, next_steps, phase_name};
use crate::step::Step;
use crate::tally::is_silent;

/// Says where the device stands, what it waits for, and why.
pub fn explain(device: &DeviceId, situation: &Situation<'_>) -> String {
    let rollout = situation.rollout;
    let Some(member) = situation.members.iter().find(|member| member.device == *device) else {
        return format!(
            "{device} is not in rollout {}: the release did not fit it when the rollout was planned, or it came later.",
            rollout.id
        );
    };
    match member.state {
        MemberState::Waiting => why_waiting(member, situation),
        MemberState::Offered | MemberState::Updating | MemberState::Installed | MemberState::Booted => {
            why_outstanding(member, situation)
        }
        MemberState::Healthy => {
            format!(
                "{device} is updated: it has reported HEALTHY on {} since {}.",
                rollout.release, member.since
            )
        }
        MemberState::RolledBack => format!(
            "{device} is not updated: it turned back by itself at {}. Its state report names the cause.",
            member.since
        ),
        MemberState::Failed => format!(
            "{device} is not updated: it reported a failure at {}. Its state report names the cause.",
            member.since
        ),
        MemberState::Reverting => format!(
            "{device} was ordered back at {} and has not reported yet{}. {}",
            member.since,
            silence(member, situation),
            rollout.reason
        ),
        MemberState::Reverted => {
            format!(
                "{device} is not updated: it turned back on order at {}. {}",
                member.since, rollout.reason
            )
        }
        MemberState::Cancelled => format!(
            "{device} is not updated: its order was taken back at {} before it acted. {}",
            member.since, rollout.reason
        ),
    }
}

fn why_waiting(member: &Member, situation: &Situation<'_>) -> String {
    let (device, rollout) = (&member.device, situation.rollout);
    if let Some(over) = over(rollout) {
        return format!(
            "{device} is not updated: rollout {} {over} before its turn. {}",
            rollout.id, rollout.reason
        );
    }
    let plan = next_steps(situation);
    let own =
        plan.steps.iter().find(|step| matches!(step, Step::Offer { device, .. } if *device == member.device));
    if let Some(offer) = own {
        return format!("{device} gets its order now. {}", offer.why());
    }
    let reasons: Vec<String> = plan
        .steps
        .iter()
        .filter(|step| match step {
            // The window holds up only those whose phase runs; the others wait for the phases before theirs.
            Step::Wait { reason: crate::Waiting::Window { .. }, .. } => member.phase <= rollout.phase,
            Step::Wait {
                reason: crate::Waiting::Devices { .. } | crate::Waiting::Soaking { .. }, ..
            } => member.phase > rollout.phase,
            Step::Wait { .. } | Step::Halt { .. } | Step::Advance { .. } => true,
            Step::Offer { .. }
            | Step::MarkGood { .. }
            | Step::NotGoodAnyMore { .. }
            | Step::TurnBack { .. }
            | Step::CancelOrder { .. }
            | Step::Finish { .. } => false,
        })
        .map(Step::why)
        .collect();
    let place = if member.phase > rollout.phase && rollout.state == RolloutState::Running {
        format!(
            "{device} waits for {}, and {} runs.",
            phase_name(rollout, member.phase),
            phase_name(rollout, rollout.phase)
        )
    } else {
        format!("{device} has no order yet.")
    };
    std::iter::once(place).chain(reasons).collect::<Vec<_>>().join(" ")
}

/// Returns how the rollout ended or is ending; nothing while it can still offer.
fn over(rollout: &Rollout) -> Option<&'static str> {
    match rollout.state {
        RolloutState::RollingBack => Some("is going back"),
        RolloutState::RolledBack => Some("went back"),
        RolloutState::Finished => Some("finished"),
        RolloutState::Draft | RolloutState::Running | RolloutState::Paused | RolloutState::Halted => None,
    }
}

fn why_outstanding(member: &Member, situation: &Situation<'_>) -> String {
    let (device, since) = (&member.device, member.since);
    let ago = situation.now.since(since);
    let order = member.action.map_or_else(|| "its order".to_owned(), |action| format!("order {action}"));
    let silence = silence(member, situation);
    match member.state {
        MemberState::Offered => {
            format!("{device} has had {order} for {ago}, since {since}, and has not answered{silence}.")
        }
        MemberState::Updating => {
            format!(
                "{device} is loading and writing {order}; it last made progress {ago} ago, at {since}{silence}."
            )
        }
        MemberState::Installed => {
            format!("{device} installed the release {ago} ago, and must boot it{silence}.")
        }
        MemberState::Booted => {
            format!("{device} booted the release {ago} ago, and must pass its health checks{silence}.")
        }
        MemberState::Waiting
        | MemberState::Healthy
        | MemberState::RolledBack
        | MemberState::Failed
        | MemberState::Reverting
        | MemberState::Reverted
        | MemberState::Cancelled => format!("{device} is {}.", member.state),
    }
}

/// Says that the device is silent for too long, where it is.
fn silence(member: &Member, situation: &Situation<'_>) -> String {
    if !is_silent(member, situation) {
        return String::new();
    }
    let unreachable = matches!(member.state, MemberState::Offered | MemberState::Updating);
    // Only a device that has not touched the release is out of the count.
    let counts = if unreachable { "counts as unreachable and holds nobody up" } else { "still counts" };
    format!("; silent for at least {}, it {counts}", situation.order_timeout)
}
