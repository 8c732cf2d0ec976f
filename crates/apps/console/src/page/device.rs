//! One device: who it is, what it runs, what threatens it, and its whole story.
//!
//! In: an id; a page of the timeline. Out: the page. Refuses: ids that nobody has.

mod timeline;

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use warden_model::case::{Case, Priority};
use warden_model::device::{Device, Running};
use warden_model::product::{Product, Support};
use warden_model::rollout::{Member, Rollout};
use warden_model::shield::{Shield, ShieldState};
use warden_model::{DeviceId, Timestamp};
use warden_rollout::{Situation, explain};

use crate::failure::Failure;
use crate::page::devices::{badges, seen};
use crate::view::{
    Section, advisory_link, age, case_protection, command_line, criticality, deadline, member_state,
    priority_of, release_link, rollout_link, shell, shield_state, short_digest, stamp,
};
use crate::{App, clock};
use timeline::{TimelineQuery, timeline};

/// Most cases that are shown, the most urgent first; more than fifty weaknesses are read elsewhere.
const CASES_SHOWN_MAX: usize = 50;

/// Most rollouts that are shown, the newest first.
const ROLLOUTS_SHOWN_MAX: usize = 5;

/// Shows the page.
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<TimelineQuery>,
) -> Result<Markup, Failure> {
    let now = clock::now();
    let unknown = || Failure::unknown("device", &id, "fleetwarden device list");
    let device_id: DeviceId = id.parse().map_err(|_| unknown())?;
    let device = app.store().device(&device_id).await?.ok_or_else(unknown)?;
    let product = app.store().product(&device.product).await?;
    let cases = app.store().cases_of_device(&device_id).await?;
    let sightings = app.store().sightings_of(&device_id).await?;
    let shield = app.store().shield_of(&device_id).await?;
    let rollouts = rollouts(&app, &device, &cases, now).await?;
    let attributes = app.store().attributes(&device_id).await?;
    let open = cases.iter().filter(|case| case.protected.is_none());
    let exposed = open.map(|case| case.decision.priority).min();
    let body = html! {
        p.crumbs { a href="/devices" { "Devices" } " / " }
        h1 { (device.id) }
        p.badges { (seen(&app, &device, now)) " " (badges(&device, product.as_ref(), exposed, shield.as_ref().map(|one| one.state), now)) }
        div.columns {
            div {
                (identity(&device, product.as_ref(), now))
                (firmware(&device))
                @if !attributes.is_empty() {
                    section { h2 { "Says of itself" } dl.facts { @for (key, value) in &attributes { dt { (key) } dd { (value) } } } }
                }
                (protection(&device, shield.as_ref(), now))
            }
            div {
                (open_cases(&cases, now))
                (super::scans::seen(&sightings, now))
                (in_rollouts(&device, &rollouts, now))
                (timeline(&app, &device, &query, now).await?)
            }
        }
    };
    Ok(shell(&app, Section::Devices, device.id.as_str(), now, &body))
}

fn identity(device: &Device, product: Option<&Product>, now: Timestamp) -> Markup {
    html! {
        section {
            h2 { "Identity" }
            dl.facts {
                dt { "Product" }
                dd {
                    a href=(crate::view::href("/devices", &format!("product:{}", device.product))) { (device.product) }
                    @if let Some(product) = product {
                        @if product.name != product.id.as_str() { " " span.muted { (product.name) } }
                    }
                }
                dt { "Board" } dd { (device.hardware) }
                @if let Some(product) = product {
                    dt { "Support" }
                    dd { @match (product.support(now), product.support_ends) {
                        (Support::Ended, Some(end)) => { "ended " (age(now, end)) },
                        (Support::Ended, None) => { "ended" },
                        (Support::Supported, Some(end)) => { "ends " (age(now, end)) },
                        (Support::Supported, None) => { "no end is known" },
                    } }
                    dt { "Exposure" } dd { (product.exposure) }
                }
                dt { "Criticality" } dd { (criticality(device.criticality)) }
                dt { "Data" } dd { (device.sensitivity) }
                dt { "Segment" } dd { @if let Some(segment) = &device.segment { (segment) } @else { span.muted { "none" } } }
                dt { "Address" } dd { @if let Some(address) = device.address { code { (address) } } @else { span.muted { "not known" } } }
                dt { "Enrolled" } dd { (stamp(now, device.enrolled_at)) }
                dt { "Heard of" } dd { @if let Some(at) = device.last_seen { (stamp(now, at)) } @else { span.muted { "never" } } }
                dt { "Generation" } dd.number { (device.generation) }
            }
        }
    }
}

fn running(running: Option<&Running>) -> Markup {
    html! {
        @if let Some(running) = running { span.number.strong { (running.version) } " " (short_digest(&running.image)) }
        @else { span.muted { "not reported yet" } }
    }
}

fn firmware(device: &Device) -> Markup {
    html! {
        section {
            h2 { "Firmware" }
            dl.facts {
                dt { "Installed" } dd { (running(device.installed.as_ref())) }
                dt { "Confirmed" } dd { (running(device.confirmed.as_ref())) }
                dt { "Slot" } dd { (device.slot.map_or("not known yet", |slot| slot.word())) }
                dt { "Updates" } dd { (device.state) }
            }
            @if device.installed != device.confirmed {
                p.muted { "What is installed has not passed its health checks yet; the other slot still holds what is confirmed." }
            }
        }
    }
}

fn protection(device: &Device, shield: Option<&Shield>, now: Timestamp) -> Markup {
    html! {
        section {
            h2 { "Shield" }
            @if let Some(shield) = shield {
                dl.facts {
                    dt { "State" } dd { (shield_state(shield.state)) " " span.muted { (age(now, shield.since)) } }
                    dt { "Because" } dd { (shield.reason) }
                    dt { "Covers" }
                    dd {
                        @if shield.advisories.is_empty() { span.muted { "no known weakness yet" } }
                        @for advisory in &shield.advisories { (advisory_link(advisory)) " " }
                    }
                }
                @if shield.state == ShieldState::Verified {
                    p { a href={ "/shields#shield-" (device.id) } { "The rules" } }
                }
            } @else {
                p.muted { "None. A device is shielded when its product is out of support, or while a fix is on its way." }
            }
        }
    }
}

fn open_cases(cases: &[Case], now: Timestamp) -> Markup {
    let open = cases.iter().filter(|case| case.protected.is_none());
    let closed = cases.iter().filter(|case| case.protected.is_some());
    html! {
        section aria-labelledby="cases" {
            h2 #cases { "Cases" }
            @if cases.is_empty() {
                p.muted { "No known weakness in what it runs." }
            }
            @for case in open.chain(closed).take(CASES_SHOWN_MAX) {
                details.case open[case.protected.is_none() && case.decision.priority == Priority::Immediate] {
                    summary {
                        (priority_of(case)) " "
                        span.strong { (case.finding.advisory) } " "
                        @if case.protected.is_none() { (deadline(now, case.decision.deadline)) } @else { (case_protection(case)) }
                    }
                    p { (case.finding.reason) " " (advisory_link(&case.finding.advisory)) }
                    p.muted { code { (case.finding.component) } " in " code { (case.finding.path) } }
                    (factors(case))
                }
            }
            @if cases.len() > CASES_SHOWN_MAX { p.muted { "The first " (CASES_SHOWN_MAX) " of " (cases.len()) " cases." } }
        }
    }
}

/// Draws the inputs of a decision as sentences.
pub(crate) fn factors(case: &Case) -> Markup {
    html! {
        ul.factors {
            @for factor in &case.decision.factors {
                li { span.strong { (factor.name) ": " (factor.value) } " " span.muted { (factor.because) } }
            }
            li.muted { "Rule " code { (case.decision.rule) } }
        }
    }
}

/// A rollout of the device, where the device stands in it, and why.
struct Membership {
    rollout: Rollout,
    member: Member,
    why: String,
}

async fn rollouts(
    app: &App,
    device: &Device,
    cases: &[Case],
    now: Timestamp,
) -> Result<Vec<Membership>, Failure> {
    let is_urgent =
        cases.iter().any(|case| case.protected.is_none() && case.decision.priority == Priority::Immediate);
    let urgent = is_urgent.then(|| device.id.clone()).into_iter().collect();
    let mut memberships = Vec::new();
    let own = app.store().rollouts_of_device(&device.id).await?;
    for (rollout, member) in own.into_iter().take(ROLLOUTS_SHOWN_MAX) {
        let Some(release) = app.store().release(&rollout.release).await? else { continue };
        let members = app.store().members(&rollout.id).await?;
        let situation = Situation {
            rollout: &rollout,
            members: &members,
            urgent: &urgent,
            release_state: release.state,
            now,
            order_timeout: app.order_timeout(),
        };
        let why = explain(&device.id, &situation);
        memberships.push(Membership { rollout, member, why });
    }
    Ok(memberships)
}

fn in_rollouts(device: &Device, rollouts: &[Membership], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="rollouts" {
            h2 #rollouts { "Rollouts" }
            @if rollouts.is_empty() {
                p.muted { "It takes part in no rollout. Why a device is not updated, in one sentence:" }
                (command_line(&format!("fleetwarden device why {}", device.id)))
            }
            @for Membership { rollout, member, why } in rollouts {
                div.item {
                    p {
                        (member_state(member.state)) " " (rollout_link(&rollout.id)) " " (release_link(&rollout.release)) " "
                        span.muted { "phase " (member.phase.saturating_add(1)) " of " (rollout.phases.len()) ", " (age(now, member.since)) }
                    }
                    p { (why) }
                }
            }
        }
    }
}
