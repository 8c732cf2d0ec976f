//! The patches of a release: from which versions, for how many devices, how far each is built, and what they saved.

use std::collections::BTreeMap;

use maud::{Markup, html};
use warden_model::firmware::Firmware;
use warden_model::release::{Patch, PatchJob, PatchState, PatchStep};
use warden_model::savings::Savings;
use warden_model::{ByteCount, Sha256Digest, Timestamp};

use crate::view::{Part, age, bar, by, patch_state, saved, short_digest, short_span};

/// Most patches that are listed, those for most devices first; the command line has all.
const PATCHES_SHOWN_MAX: usize = 100;

/// Draws the patches.
pub(super) fn patches(
    jobs: &[PatchJob],
    patches: &[Patch],
    savings: &Savings,
    firmware: Option<&Firmware>,
    now: Timestamp,
) -> Markup {
    let full = firmware.map_or(ByteCount(0), |firmware| firmware.size);
    let built: BTreeMap<Sha256Digest, &Patch> = patches.iter().map(|patch| (patch.base, patch)).collect();
    html! {
        section aria-labelledby="patches" {
            h2 #patches { "Patches" @if !jobs.is_empty() { " " span.tally { (jobs.len()) } } }
            (saved(savings))
            @if jobs.is_empty() {
                p.muted { "None: no older version is in the field." }
            } @else {
                table {
                    caption.hidden { "Patches that lead to this image" }
                    thead { tr { th scope="col" { "From" } th.number scope="col" { "Devices" } th scope="col" { "State" }
                        th.number scope="col" { "Patch" } th.number scope="col" { "Share" } th.number scope="col" { "Made in" } } }
                    tbody {
                        @for job in jobs.iter().take(PATCHES_SHOWN_MAX) { (row(job, built.get(&job.base).copied(), full, now)) }
                    }
                }
                @if jobs.len() > PATCHES_SHOWN_MAX { p.muted { "The first " (PATCHES_SHOWN_MAX) ", those for most devices." } }
            }
        }
    }
}

fn row(job: &PatchJob, patch: Option<&Patch>, full: ByteCount, now: Timestamp) -> Markup {
    let patch = patch.filter(|_| job.state == PatchState::Built);
    let took = job.started_at.zip(job.ended_at).filter(|_| patch.is_some());
    html! {
        tr {
            th scope="row" { (job.base_version) " " (short_digest(&job.base)) }
            td.number data-label="Devices" { (job.devices) }
            td data-label="State" { (patch_state(job.state)) (standing(job, now)) }
            @if let Some(patch) = patch {
                td.number data-label="Patch" { (patch.size) }
                td.number data-label="Share" { (by(patch.size.0, full.0)) }
            } @else {
                td.number.muted data-label="Patch" { "–" }
                td.number.muted data-label="Share" { "–" }
            }
            td.number data-label="Made in" {
                @if let Some((began, ended)) = took { (short_span(u64::try_from(ended.0.saturating_sub(began.0)).unwrap_or(0))) }
                @else { span.muted { "–" } }
            }
        }
    }
}

/// Draws what is being done, or why there is none.
fn standing(job: &PatchJob, now: Timestamp) -> Markup {
    html! {
        @match job.state {
            PatchState::Built => {}
            PatchState::Building => { @if let Some(step) = job.step { " " (progress(step)) } }
            PatchState::NotSmaller | PatchState::NoBase | PatchState::TooLarge | PatchState::Failed => {
                " " span.muted { "full image: " (job.reason) }
            }
            PatchState::Waiting | PatchState::Dropped => {
                " " span.muted { (job.reason) @if let Some(again) = job.again_at { ", again " (age(now, again)) } }
            }
        }
    }
}

/// Draws which step is being done, of how many.
fn progress(step: PatchStep) -> Markup {
    let (number, steps) = (step.number() as u64, PatchStep::ALL.len() as u64);
    html! {
        span.muted { (step) ", step " (number) " of " (steps) }
        (bar(&[Part::new(number.saturating_sub(1), "good", "done"), Part::new(1, "busy", "under way"),
            Part::new(steps.saturating_sub(number), "quiet", "to come")]))
    }
}
