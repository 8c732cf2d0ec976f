//! One advisory: whom it concerns, why, how they are protected, and what to do next.
//!
//! In: an id or an alias; a page of its cases. Out: the page. Refuses: advisories that nobody imported.

use std::collections::BTreeSet;

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use warden_model::advisory::Advisory;
use warden_model::case::{Case, Finding};
use warden_model::release::{Release, ReleaseState};
use warden_model::rollout::{Rollout, RolloutState};
use warden_model::{AdvisoryId, ProductId, RolloutId, Sha256Digest, Timestamp};
use warden_wire::filter::Filter;
use warden_wire::page::{Page, PageRequest};

use super::ListQuery;
use crate::failure::Failure;
use crate::page::device::factors;
use crate::page::risk::{clock_of, parts};
use crate::progress::standing;
use crate::view::{
    Section, age, bar, case_protection, command_line, deadline, device_link, href, legend, pager,
    priority_of, release_link, rollout_link, shell, stamp,
};
use crate::{App, clock};

/// Cases on a page: each brings its factors, and a page stays below 150 KB.
const CASES_SHOWN: u64 = 40;

/// Shows the page.
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Markup, Failure> {
    let now = clock::now();
    let unknown = || Failure::unknown("advisory", &id, "fleetwarden advisory list");
    let asked: AdvisoryId = id.parse().map_err(|_| unknown())?;
    let advisory = app.store().advisory(&asked).await?.ok_or_else(unknown)?;
    let all = app.store().cases_of_advisory(&advisory.id).await?;
    let findings = app.store().findings_of_advisory(&advisory.id).await?;
    let next = next_steps(&app, &all, &findings).await?;
    let filter = format!("cve:{}", advisory.id);
    let request = PageRequest::parse(Some(CASES_SHOWN), query.after.as_deref())?;
    let cases = app.store().cases(&Filter::parse(&filter, now)?, &request).await?;
    let standing = standing(advisory, &all, now);
    let advisory = &standing.advisory;
    let parts = parts(&standing.protected);
    let body = html! {
        p.crumbs { a href="/risk" { "Risk" } " / " }
        h1 { (advisory.id) }
        p.lead { (advisory.summary) }
        p { (clock_of(&standing.protected)) @if standing.is_open() { " · next deadline " (deadline(now, standing.deadline)) } }
        div.track-one { (bar(&parts)) (legend(&parts)) }
        section aria-labelledby="next" { h2 #next { "Next step" } (next_list(&next)) }
        (facts(advisory, now))
        (concerned(&cases, advisory, query.after.as_deref(), now))
    };
    Ok(shell(&app, Section::Risk, advisory.id.as_str(), now, &body))
}

fn facts(advisory: &Advisory, now: Timestamp) -> Markup {
    html! {
        section {
            h2 { "What is known" }
            dl.facts.two {
                dt { "Known here" } dd { (stamp(now, advisory.known_at)) }
                dt { "Published" } dd { (stamp(now, advisory.published)) }
                @if let Some(withdrawn) = advisory.withdrawn { dt { "Withdrawn" } dd { (stamp(now, withdrawn)) } }
                dt { "Exploitation" } dd { (advisory.exploitation) }
                dt { "CVSS vector" } dd { @if let Some(vector) = &advisory.cvss { code { (vector) } } @else { span.muted { "none" } } }
                dt { "Also named" }
                dd {
                    @if advisory.aliases.is_empty() { span.muted { "nothing else" } }
                    @for alias in &advisory.aliases { (alias) " " }
                }
                dt { "Packages" } dd { @for affected in &advisory.affected { code { (affected.package) } " " } }
            }
        }
    }
}

/// What to do for one product.
struct Next {
    product: ProductId,
    sentence: &'static str,
    release: Option<Release>,
    rollout: Option<RolloutId>,
    command: String,
}

/// Says for each product that still has exposed devices what brings the fix to them.
async fn next_steps(app: &App, cases: &[Case], findings: &[Finding]) -> Result<Vec<Next>, Failure> {
    let weak: BTreeSet<Sha256Digest> = findings.iter().map(|finding| finding.image).collect();
    let open = cases.iter().filter(|case| case.protected.is_none());
    let products: BTreeSet<&ProductId> = open.map(|case| &case.finding.product).collect();
    let rollouts = app.store().rollouts().await?;
    let mut steps = Vec::new();
    for product in products {
        let releases = app.store().releases_of(product).await?;
        let is_good = |release: &Release| {
            !weak.contains(&release.image)
                && !matches!(release.state, ReleaseState::Rejected | ReleaseState::Withdrawn)
        };
        let release = releases.into_iter().find(is_good);
        let rollout = release.as_ref().and_then(|one| foremost(&rollouts, one));
        let (sentence, command) = match (&release, rollout) {
            (None, _) => (
                "No release without the weakness is here. Build one, and bring it; until then, exposed devices get shields.",
                format!("fleetwarden release upload IMAGE --product {product} --version VERSION"),
            ),
            (Some(release), None) => release_step(release),
            (Some(_), Some(rollout)) => rollout_step(rollout),
        };
        let rollout = rollout.map(|rollout| rollout.id.clone());
        steps.push(Next { product: product.clone(), sentence, release, rollout, command });
    }
    Ok(steps)
}

/// Returns the rollout of a release that matters most: one that goes before one that waits before one that is over.
fn foremost<'r>(rollouts: &'r [Rollout], release: &Release) -> Option<&'r Rollout> {
    rollouts.iter().filter(|rollout| rollout.release == release.id).min_by_key(|rollout| {
        match rollout.state {
            RolloutState::Running | RolloutState::RollingBack => 0,
            RolloutState::Halted | RolloutState::Paused => 1,
            RolloutState::Draft => 2,
            RolloutState::RolledBack | RolloutState::Finished => 3,
        }
    })
}

fn rollout_step(rollout: &Rollout) -> (&'static str, String) {
    let command = |word| format!("fleetwarden rollout {word} {}", rollout.id);
    match rollout.state {
        RolloutState::Draft => ("The rollout of the fix waits for its start.", command("start")),
        RolloutState::Running => ("The fix is on its way. Follow the rollout.", command("show")),
        RolloutState::Paused => ("The rollout of the fix is paused.", command("resume")),
        RolloutState::Halted => {
            ("The rollout of the fix has halted: look at the failures, then decide.", command("show"))
        }
        RolloutState::RollingBack | RolloutState::RolledBack => {
            ("The fix was rolled back. Find out why, and bring a better release.", command("show"))
        }
        RolloutState::Finished => (
            "The rollout of the fix is over, and devices are still exposed: see why on each.",
            command("show"),
        ),
    }
}

fn release_step(release: &Release) -> (&'static str, String) {
    let id = &release.id;
    match release.state {
        ReleaseState::Uploaded | ReleaseState::Analysed | ReleaseState::Built => (
            "The fix is being analysed, built and proven; nothing is to be done.",
            format!("fleetwarden release show {id}"),
        ),
        ReleaseState::Proven => (
            "The fix waits for the offline key's signature.",
            format!("fleetwarden release sign {id} --keys FOLDER"),
        ),
        ReleaseState::Signed => {
            ("The fix is signed. Plan its rollout.", format!("fleetwarden rollout plan {id}"))
        }
        ReleaseState::Rejected | ReleaseState::Withdrawn => {
            ("The release was taken back. Bring another one.", format!("fleetwarden release show {id}"))
        }
    }
}

fn next_list(steps: &[Next]) -> Markup {
    html! {
        @if steps.is_empty() { p.muted { "Nothing is to be done: no device is exposed." } }
        @for step in steps {
            div.item {
                p {
                    a href=(href("/devices", &format!("product:{} protected:no", step.product))) { (step.product) } ": "
                    (step.sentence)
                    @if let Some(release) = &step.release { " Release " (release_link(&release.id)) }
                    @if let Some(rollout) = &step.rollout { " · rollout " (rollout_link(rollout)) }
                }
                (command_line(&step.command))
            }
        }
    }
}

fn concerned(cases: &Page<Case>, advisory: &Advisory, after: Option<&str>, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="devices" {
            h2 #devices { "Devices" }
            @if cases.items.is_empty() {
                p.muted { "No device runs a firmware that holds a named package in an affected version." }
            } @else {
                table {
                    caption.hidden { "Devices that the advisory concerns" }
                    thead { tr {
                        th scope="col" { "Device" } th scope="col" { "Priority" } th scope="col" { "Deadline" }
                        th scope="col" { "Protected" } th scope="col" { "Component and evidence" } th scope="col" { "Why" }
                    } }
                    tbody { @for case in &cases.items { (row(case, now)) } }
                }
                (pager(&format!("/risk/{}", advisory.id), "", after, cases.next.as_ref()))
                p { a href=(href("/devices", &format!("cve:{} protected:no", advisory.id))) { "Exposed devices as a list" } }
            }
        }
    }
}

fn row(case: &Case, now: Timestamp) -> Markup {
    html! {
        tr {
            th scope="row" { (device_link(&case.device)) }
            td data-label="Priority" { (priority_of(case)) }
            td data-label="Deadline" {
                @if case.protected.is_none() { (deadline(now, case.decision.deadline)) } @else { span.muted { "–" } }
            }
            td data-label="Protected" {
                (case_protection(case))
                @if let Some((_, since)) = case.protected { " " span.muted { (age(now, since)) } }
            }
            td data-label="Component" {
                code { (case.finding.component.name) }
                @if let Some(version) = &case.finding.component.version { " " span.number { (version) } }
                br; code.muted { (case.finding.path) }
            }
            td data-label="Why" {
                details { summary { (case.finding.reason) } (factors(case)) }
            }
        }
    }
}
