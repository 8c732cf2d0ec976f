//! The phase track: how each phase stands against its thresholds.
//!
//! In: a situation. Out: one card a phase, with a bar and the numbers that decide.

use std::cmp::Ordering;

use maud::{Markup, html};
use warden_model::Timestamp;
use warden_model::rollout::{Phase, PhaseSize, Rollout, RolloutState};
use warden_rollout::{Situation, Tally, tallies};

use crate::view::{Part, Tone, badge, bar, brief, count, legend};

/// Draws the phases.
pub(super) fn track(situation: &Situation<'_>) -> Markup {
    let rollout = situation.rollout;
    let tallies = tallies(situation);
    html! {
        section aria-labelledby="phases" {
            h2 #phases { "Phases" }
            ol.phases {
                @for (index, (phase, tally)) in rollout.phases.iter().zip(&tallies).enumerate() {
                    li class=(if index == rollout.phase { "current" } else { "other" }) {
                        (card(rollout, index, phase, tally, situation.now))
                    }
                }
            }
            @if let Some(window) = rollout.window {
                p.muted {
                    "Updates start between " (clock_time(window.start_minute())) " and "
                    (clock_time((window.start_minute().saturating_add(window.length_minutes())) % 1440)) " UTC each day; immediate cases do not wait for it."
                }
            }
        }
    }
}

fn clock_time(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn size(phase: &Phase) -> String {
    match phase.size {
        PhaseSize::Share(share) => format!("{share} of the devices"),
        PhaseSize::Count(number) => count(number, "device"),
        PhaseSize::Rest => "all that are left".to_owned(),
    }
}

/// Says where a phase stands.
fn standing(rollout: &Rollout, index: usize, now: Timestamp) -> (Tone, String) {
    let is_soaking = || rollout.good_since.zip(rollout.phases.get(index));
    match (index.cmp(&rollout.phase), rollout.state) {
        (_, RolloutState::Finished)
        | (Ordering::Less, RolloutState::Running | RolloutState::Paused | RolloutState::Halted) => {
            (Tone::Good, "done".to_owned())
        }
        (_, RolloutState::RollingBack | RolloutState::RolledBack) => (Tone::Care, rollout.state.to_string()),
        (_, RolloutState::Draft) | (Ordering::Greater, _) => (Tone::Quiet, "waits".to_owned()),
        (Ordering::Equal, RolloutState::Paused) => (Tone::Care, "paused".to_owned()),
        (Ordering::Equal, RolloutState::Halted) => (Tone::Bad, "halted".to_owned()),
        (Ordering::Equal, RolloutState::Running) => match is_soaking() {
            Some((since, phase)) => {
                let left = since.plus(phase.soak).since(now);
                (Tone::Busy, format!("soaking, {} left", brief(left)))
            }
            None => (Tone::Busy, "running".to_owned()),
        },
    }
}

fn card(rollout: &Rollout, index: usize, phase: &Phase, tally: &Tally, now: Timestamp) -> Markup {
    let (tone, word) = standing(rollout, index, now);
    let back = tally.reverting.saturating_add(tally.reverted);
    let parts = [
        Part::new(tally.healthy, "good", "healthy"),
        Part::new(tally.outstanding(), "busy", "updating"),
        Part::new(tally.failed.saturating_add(tally.accepted), "bad", "failed"),
        Part::new(back, "care", "ordered back"),
        Part::new(tally.waiting.saturating_add(tally.cancelled), "quiet", "waiting"),
    ];
    html! {
        p.row { span.strong { (index.saturating_add(1)) ". " (phase.name) } (badge(tone, word)) }
        p.muted { (size(phase)) ", " (tally.members) " here" }
        (bar(&parts))
        (legend(&parts))
        dl.gates {
            dt { "Goes on at" }
            dd { span.number { (tally.healthy) "/" (tally.needed(phase)) } " healthy " span.muted { (phase.success_threshold) } }
            dt { "Halts at" }
            dd { span.number { (tally.failed) "/" (tally.failed_limit(phase)) } " failed " span.muted { (phase.error_threshold) } }
            dt { "Soaks" }
            dd { span.number { (phase.soak) } }
            @if tally.unreachable > 0 { dt { "Silent" } dd { (count(tally.unreachable, "device")) ", not counted" } }
            @if tally.accepted > 0 { dt { "Accepted" } dd { (count(tally.accepted, "failure")) " by the person who resumed" } }
        }
    }
}
