//! The words of the model with the tone that each has; the words are those of API, command line and filter.

use maud::{Markup, html};
use warden_model::case::{Case, Priority, Protection};
use warden_model::device::Criticality;
use warden_model::release::{PatchState, ReleaseState};
use warden_model::rollout::{MemberState, RolloutState};
use warden_model::shield::ShieldState;

use super::tone::{Tone, badge};

/// Draws the state of a rollout.
pub(crate) fn rollout_state(state: RolloutState) -> Markup {
    let tone = match state {
        RolloutState::Draft => Tone::Quiet,
        RolloutState::Running => Tone::Busy,
        RolloutState::Paused | RolloutState::RollingBack | RolloutState::RolledBack => Tone::Care,
        RolloutState::Halted => Tone::Bad,
        RolloutState::Finished => Tone::Good,
    };
    badge(tone, state)
}

/// Draws the state of a device in a rollout.
pub(crate) fn member_state(state: MemberState) -> Markup {
    let tone = match state {
        MemberState::Waiting | MemberState::Cancelled => Tone::Quiet,
        MemberState::Offered | MemberState::Updating | MemberState::Installed | MemberState::Booted => {
            Tone::Busy
        }
        MemberState::Healthy => Tone::Good,
        MemberState::RolledBack | MemberState::Failed => Tone::Bad,
        MemberState::Reverting | MemberState::Reverted => Tone::Care,
    };
    badge(tone, state)
}

/// Draws the state of a release.
pub(crate) fn release_state(state: ReleaseState) -> Markup {
    let tone = match state {
        ReleaseState::Uploaded | ReleaseState::Analysed | ReleaseState::Built => Tone::Busy,
        ReleaseState::Proven => Tone::Care,
        ReleaseState::Signed => Tone::Good,
        ReleaseState::Rejected => Tone::Bad,
        ReleaseState::Withdrawn => Tone::Quiet,
    };
    badge(tone, state)
}

/// Draws where the building of a patch stands.
pub(crate) fn patch_state(state: PatchState) -> Markup {
    let tone = match state {
        PatchState::Waiting
        | PatchState::NotSmaller
        | PatchState::NoBase
        | PatchState::TooLarge
        | PatchState::Dropped => Tone::Quiet,
        PatchState::Building => Tone::Busy,
        PatchState::Built => Tone::Good,
        PatchState::Failed => Tone::Care,
    };
    badge(tone, state)
}

/// Draws the state of a shield.
pub(crate) fn shield_state(state: ShieldState) -> Markup {
    let tone = match state {
        ShieldState::Planned => Tone::Busy,
        ShieldState::Verified => Tone::Good,
        ShieldState::Lifted => Tone::Quiet,
        ShieldState::Refused => Tone::Bad,
    };
    badge(tone, state)
}

fn priority_tone(priority: Priority) -> Tone {
    match priority {
        Priority::Immediate => Tone::Bad,
        Priority::OutOfCycle => Tone::Care,
        Priority::Scheduled | Priority::Defer => Tone::Quiet,
    }
}

/// Draws how soon a case must be closed.
pub(crate) fn priority(priority: Priority) -> Markup {
    badge(priority_tone(priority), priority)
}

/// Draws the priority of a case; one that is protected needs nobody's attention.
pub(crate) fn priority_of(case: &Case) -> Markup {
    match case.protected {
        Some(_) => badge(Tone::Quiet, case.decision.priority),
        None => priority(case.decision.priority),
    }
}

/// Draws what breaks when the device breaks.
pub(crate) fn criticality(criticality: Criticality) -> Markup {
    let strong = match criticality {
        Criticality::SafetyCritical | Criticality::MissionCritical => "strong",
        Criticality::Standard | Criticality::Low => "muted",
    };
    html! { span class=(strong) { (criticality) } }
}

/// Draws how a device is protected from a case.
pub(crate) fn case_protection(case: &Case) -> Markup {
    match case.protected {
        Some((how @ (Protection::Patched | Protection::Shielded), _)) => badge(Tone::Good, how),
        None => badge(Tone::Bad, "exposed"),
    }
}
