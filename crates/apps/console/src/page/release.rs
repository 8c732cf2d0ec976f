//! One release: where it stands, what comes next, what is inside, what the way to it costs, what the lab saw.
//!
//! In: an id. Out: the page; the fragment that the live stream sends again. Refuses: ids that nobody has.

mod lab;
mod patches;

use std::cmp::Ordering;

use axum::extract::{Path, State};
use maud::{Markup, html};
use warden_model::case::Finding;
use warden_model::event::Event;
use warden_model::firmware::{Component, Firmware};
use warden_model::release::{Patch, PatchJob, Release, ReleaseState};
use warden_model::rollout::Rollout;
use warden_model::savings::Savings;
use warden_model::{ReleaseId, Timestamp};
use warden_store::{EventScope, LabRun, SavingsOf};
use warden_wire::page::PageRequest;

use super::releases::{STEPS, steps_done};
use crate::failure::Failure;
use crate::view::{
    Section, Tone, advisory_link, badge, command_line, count, event_log, icon, notice, release_state,
    rollout_link, rollout_state, shell, stamp,
};
use crate::{App, clock};

/// Most components that are listed; `fleetwarden inspect` and the SBOM have all.
const COMPONENTS_SHOWN_MAX: usize = 150;

/// Events that are shown.
const EVENTS_SHOWN: u64 = 30;

/// All that the fragment shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gathered {
    release: Release,
    firmware: Option<Firmware>,
    findings: Vec<Finding>,
    patches: Vec<Patch>,
    jobs: Vec<PatchJob>,
    savings: Savings,
    runs: Vec<LabRun>,
    rollouts: Vec<Rollout>,
    events: Vec<Event>,
}

/// Reads the id of a release.
pub(crate) fn parse(id: &str) -> Result<ReleaseId, Failure> {
    id.parse().map_err(|_| unknown(id))
}

fn unknown(id: &str) -> Failure {
    Failure::unknown("release", id, "fleetwarden release list")
}

/// Gathers what the fragment shows.
pub(crate) async fn gather(app: &App, id: &ReleaseId) -> Result<Gathered, Failure> {
    let store = app.store();
    let release = store.release(id).await?.ok_or_else(|| unknown(id.as_str()))?;
    let mut rollouts = store.rollouts().await?;
    rollouts.retain(|rollout| rollout.release == *id);
    let scope = EventScope::Release(id.clone());
    Ok(Gathered {
        firmware: store.firmware(&release.image).await?,
        findings: store.findings(&release.image).await?,
        patches: store.patches_to(&release.image).await?,
        jobs: store.patch_jobs_to(&release.image).await?,
        savings: store.savings(&SavingsOf::Release(id.clone())).await?,
        runs: store.lab_runs(id).await?,
        events: store.events(&scope, &PageRequest::new(EVENTS_SHOWN, None)?).await?.items,
        rollouts,
        release,
    })
}

/// Shows the page.
pub(crate) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Markup, Failure> {
    let now = clock::now();
    let id = parse(&id)?;
    let gathered = gather(&app, &id).await?;
    let body = html! {
        p.crumbs { a href="/releases" { "Releases" } " / " }
        p.hidden #announce role="status" aria-live="polite" {}
        div #live data-live={ "/releases/" (id) "/live" } { (fragment(&gathered, now)) }
    };
    let title = format!("{} {}", gathered.release.product, gathered.release.version);
    Ok(shell(&app, Section::Releases, &title, now, &body))
}

/// Draws the release; all of it changes while it is prepared.
pub(crate) fn fragment(gathered: &Gathered, now: Timestamp) -> Markup {
    let Gathered { release, firmware, .. } = gathered;
    let firmware = firmware.as_ref();
    html! {
        h1 { (release.product) " " (release.version) }
        p { (release_state(release.state)) " " span.muted { "release " } span.id { (release.id) } " " span.link-state #link-state {} }
        (stepper(release.state))
        p.reason data-announce={ (release.id) " is " (release.state) ". " (release.reason) } { (release.reason) }
        (next(release, &gathered.rollouts))
        (facts(release, firmware, now))
        (patches::patches(&gathered.jobs, &gathered.patches, &gathered.savings, firmware, now))
        (lab::runs(&gathered.runs, release.state, now))
        (weaknesses(&gathered.findings, firmware))
        (components(firmware))
        section aria-labelledby="events" {
            h2 #events { "Events" }
            @if gathered.events.is_empty() { p.muted { "Nothing has happened yet." } }
            (event_log(&gathered.events, now))
        }
    }
}

fn stepper(state: ReleaseState) -> Markup {
    let done = steps_done(state);
    if done == 0 {
        return notice(Tone::Bad, format!("This release is {state}: it will not roll out."));
    }
    html! {
        ol.stepper aria-label="Steps of the release" {
            @for (place, step) in STEPS.iter().enumerate() {
                @let (class, tone, word) = match place.cmp(&done) {
                    Ordering::Less => ("done", Tone::Good, "done"),
                    Ordering::Equal => ("next", Tone::Busy, "next"),
                    Ordering::Greater => ("open", Tone::Quiet, "open"),
                };
                li class=(class) aria-current=[(place.saturating_add(1) == done).then_some("step")] {
                    (icon(tone)) span { (step) } span.hidden { ": " (word) }
                }
            }
        }
    }
}

fn next(release: &Release, rollouts: &[Rollout]) -> Markup {
    let id = &release.id;
    let (sentence, command) = match release.state {
        ReleaseState::Uploaded => (
            "Its components are being looked for; nothing is to be done.",
            format!("fleetwarden release show {id}"),
        ),
        ReleaseState::Analysed => (
            "Patches from the versions in the field are being built; nothing is to be done.",
            format!("fleetwarden release show {id}"),
        ),
        ReleaseState::Built => (
            "The lab is trying it on virtual devices; nothing is to be done.",
            format!("fleetwarden release show {id}"),
        ),
        ReleaseState::Proven => (
            "Sign it with the offline key, on the machine that holds it. The server never has that key.",
            format!("fleetwarden release sign {id} --keys FOLDER"),
        ),
        ReleaseState::Signed if rollouts.is_empty() => {
            ("It may roll out. See what a rollout would do:", format!("fleetwarden rollout plan {id}"))
        }
        ReleaseState::Signed => ("It is in a rollout:", "fleetwarden rollout list".to_owned()),
        ReleaseState::Rejected | ReleaseState::Withdrawn => (
            "Bring another one, with a new version:",
            format!("fleetwarden release upload IMAGE --product {} --version VERSION", release.product),
        ),
    };
    html! {
        section aria-labelledby="next" {
            h2 #next { "Next step" }
            p { (sentence) }
            @for rollout in rollouts { p { (rollout_link(&rollout.id)) " " (rollout_state(rollout.state)) } }
            (command_line(&command))
        }
    }
}

fn facts(release: &Release, firmware: Option<&Firmware>, now: Timestamp) -> Markup {
    html! {
        section {
            h2 { "Image" }
            dl.facts.two {
                dt { "Digest" } dd { code.break { (release.image) } }
                dt { "Size" } dd.number { @if let Some(firmware) = firmware { (firmware.size) } @else { span.muted { "not known" } } }
                dt { "Counter" } dd.number { (release.counter) }
                dt { "Came" } dd { (stamp(now, release.created_at)) }
            }
        }
    }
}

fn weaknesses(findings: &[Finding], firmware: Option<&Firmware>) -> Markup {
    let is_analysed = firmware.is_some_and(|firmware| firmware.components.is_some());
    html! {
        section aria-labelledby="weak" {
            h2 #weak { "Known weaknesses" }
            @if !is_analysed { p.muted { "The image has not been analysed yet." } }
            @else if findings.is_empty() { p { (badge(Tone::Good, "none")) " " span.muted { "no known advisory names what is inside" } } }
            @else {
                ul.plain {
                    @for finding in findings.iter().take(COMPONENTS_SHOWN_MAX) {
                        li {
                            (badge(Tone::Bad, "weak")) " " (advisory_link(&finding.advisory)) " " (finding.reason) " "
                            code.muted { (finding.path) }
                            @if let Some(fixed) = &finding.fixed_in { " " span.muted { "fixed in " (fixed) } }
                        }
                    }
                }
            }
        }
    }
}

fn component_row(component: &Component) -> Markup {
    html! {
        tr {
            th scope="row" { (component.name) }
            td.version data-label="Version" { (component.version) }
            td data-label="Package URL" { code.muted { (component.purl) } }
            td data-label="Evidence" {
                @if let Some(first) = component.evidence.first() {
                    code { (first.path) } " " span.muted { (first.method) }
                    @if component.evidence.len() > 1 { " " span.muted { "and " (component.evidence.len().saturating_sub(1)) " more" } }
                }
            }
        }
    }
}

fn components(firmware: Option<&Firmware>) -> Markup {
    let Some(components) = firmware.and_then(|firmware| firmware.components.as_ref()) else {
        return html! {};
    };
    html! {
        section aria-labelledby="components" {
            h2 #components { "Components " span.tally { (components.len()) } }
            @if components.is_empty() {
                p.muted { "Nothing was recognised inside. Look for yourself:" }
                (command_line("fleetwarden inspect IMAGE"))
            } @else {
                table {
                    caption.hidden { "Components of the image" }
                    thead { tr { th scope="col" { "Component" } th scope="col" { "Version" } th scope="col" { "Package URL" } th scope="col" { "Evidence" } } }
                    tbody { @for component in components.iter().take(COMPONENTS_SHOWN_MAX) { (component_row(component)) } }
                }
                @if components.len() > COMPONENTS_SHOWN_MAX {
                    p.muted { "The first " (COMPONENTS_SHOWN_MAX) " of " (count(components.len() as u64, "component")) ". All of them:" }
                    (command_line("fleetwarden inspect IMAGE"))
                }
            }
        }
    }
}
