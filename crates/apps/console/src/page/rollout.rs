//! One rollout: its phases as they go, why it stands where it stands, and what a person may do.
//!
//! In: an id. Out: the page; the fragment that the live stream sends again. Refuses: ids that nobody has.

mod actions;
mod track;

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Path, State};
use maud::{Markup, html};
use warden_model::event::Event;
use warden_model::release::ReleaseState;
use warden_model::report::Way;
use warden_model::rollout::{Member, MemberState, Rollout};
use warden_model::savings::Savings;
use warden_model::{DeviceId, RolloutId, Timestamp};
use warden_rollout::{Situation, Step, next_steps};
use warden_store::{EventScope, SavingsOf, StoredDirective};
use warden_wire::filter::Filter;
use warden_wire::page::PageRequest;

use crate::failure::Failure;
use crate::view::{
    Section, age, by, count, device_link, event_log, href, member_state, release_link, rollout_state, saved,
    shell, time_of_day,
};
use crate::{App, clock};

/// Most devices in the table, those that need a look first; the fleet's list has all of them.
const MEMBERS_SHOWN_MAX: usize = 100;

/// Events in the log.
const EVENTS_SHOWN: u64 = 40;

/// All that the fragment shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gathered {
    rollout: Rollout,
    members: Vec<Member>,
    release_state: ReleaseState,
    urgent: BTreeSet<DeviceId>,
    directives: Vec<StoredDirective>,
    savings: Savings,
    events: Vec<Event>,
}

/// Reads the id of a rollout.
pub(crate) fn parse(id: &str) -> Result<RolloutId, Failure> {
    id.parse().map_err(|_| unknown(id))
}

fn unknown(id: &str) -> Failure {
    Failure::unknown("rollout", id, "fleetwarden rollout list")
}

/// Gathers what the fragment shows.
pub(crate) async fn gather(app: &App, id: &RolloutId) -> Result<Gathered, Failure> {
    let store = app.store();
    let rollout = store.rollout(id).await?.ok_or_else(|| unknown(id.as_str()))?;
    let release = store.release(&rollout.release).await?.ok_or_else(|| unknown(id.as_str()))?;
    let filter = Filter::parse(&format!("rollout:{id} priority:immediate protected:no"), clock::now())?;
    let urgent = store.cases(&filter, &PageRequest::largest()).await?;
    let events =
        store.events(&EventScope::Rollout(id.clone()), &PageRequest::new(EVENTS_SHOWN, None)?).await?;
    Ok(Gathered {
        members: store.members(id).await?,
        release_state: release.state,
        urgent: urgent.items.into_iter().map(|case| case.device).collect(),
        directives: store.directives_of(id).await?,
        savings: store.savings(&SavingsOf::Rollout(id.clone())).await?,
        events: events.items,
        rollout,
    })
}

/// Shows the page.
pub(crate) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Markup, Failure> {
    let now = clock::now();
    let id = parse(&id)?;
    let gathered = gather(&app, &id).await?;
    let body = html! {
        p.crumbs { a href="/rollouts" { "Rollouts" } " / " }
        p.hidden #announce role="status" aria-live="polite" {}
        div #live data-live={ "/rollouts/" (id) "/live" } { (fragment(&app, &gathered, now)) }
        (actions::roll_back_dialog(&id))
    };
    Ok(shell(&app, Section::Rollouts, id.as_str(), now, &body))
}

/// Draws what changes while the rollout goes on.
pub(crate) fn fragment(app: &App, gathered: &Gathered, now: Timestamp) -> Markup {
    let rollout = &gathered.rollout;
    let situation = Situation {
        rollout,
        members: &gathered.members,
        urgent: &gathered.urgent,
        release_state: gathered.release_state,
        now,
        order_timeout: app.order_timeout(),
    };
    html! {
        h1 { (rollout.id) }
        p {
            (rollout_state(rollout.state)) " "
            span.muted { "· release " } (release_link(&rollout.release)) " "
            span.muted { "· made " (age(now, rollout.created_at)) " · generation " (rollout.generation) " · as of " (time_of_day(now)) " UTC" }
            " " span.link-state #link-state {}
        }
        p.reason data-announce={ (rollout.id) " is " (rollout.state) ". " (rollout.reason) } { (rollout.reason) }
        (waits_for(&situation))
        (actions::actions(rollout, now))
        (track::track(&situation))
        (saved(&gathered.savings))
        (members_table(gathered, now))
        section aria-labelledby="log" {
            h2 #log { "Event log" }
            @if gathered.events.is_empty() { p.muted { "Nothing has happened yet." } }
            (event_log(&gathered.events, now))
        }
    }
}

fn waits_for(situation: &Situation<'_>) -> Markup {
    let plan = next_steps(situation);
    let waits = plan.steps.iter().filter(|step| matches!(step, Step::Wait { .. }));
    html! { ul.waits { @for step in waits { li { (step.why()) } } } }
}

/// The place of a member in the table: what needs a look comes first.
fn place(state: MemberState) -> u8 {
    match state {
        MemberState::Failed | MemberState::RolledBack => 0,
        MemberState::Reverting => 1,
        MemberState::Offered | MemberState::Updating | MemberState::Installed | MemberState::Booted => 2,
        MemberState::Healthy | MemberState::Reverted => 3,
        MemberState::Waiting | MemberState::Cancelled => 4,
    }
}

fn members_table(gathered: &Gathered, now: Timestamp) -> Markup {
    let rollout = &gathered.rollout;
    // The last order of a device is the one that counts.
    let orders: BTreeMap<&DeviceId, &StoredDirective> =
        gathered.directives.iter().map(|one| (&one.directive.device, one)).collect();
    let mut members: Vec<&Member> = gathered.members.iter().collect();
    members.sort_by_key(|member| (place(member.state), member.phase));
    let phase = |member: &Member| rollout.phases.get(member.phase).map_or("–", |phase| phase.name.as_str());
    html! {
        section aria-labelledby="members" {
            h2 #members { "Devices " span.tally { (members.len()) } }
            @if members.is_empty() { p.muted { "No device fits this release." } } @else {
                table {
                    caption.hidden { "Devices of the rollout" }
                    thead { tr {
                        th scope="col" { "Device" } th scope="col" { "Phase" } th scope="col" { "State" } th scope="col" { "Since" }
                        th scope="col" { "By" } th.number scope="col" { "Loaded" } th.number scope="col" { "Full image" } th.number scope="col" { "Share" }
                    } }
                    tbody {
                        @for member in members.iter().take(MEMBERS_SHOWN_MAX) {
                            @let order = orders.get(&member.device).filter(|order| order.downloaded.0 > 0);
                            tr {
                                th scope="row" { (device_link(&member.device)) }
                                td data-label="Phase" { (phase(member)) }
                                td data-label="State" { (member_state(member.state)) }
                                td.nowrap data-label="Since" { (age(now, member.since)) }
                                @if let Some(order) = order {
                                    td data-label="By" { (order.way.map_or("–", Way::word)) }
                                    td.number data-label="Loaded" { (order.downloaded) }
                                    td.number data-label="Full image" { (order.full) }
                                    td.number data-label="Share" { (by(order.downloaded.0, order.full.0)) }
                                } @else {
                                    td.muted data-label="By" { "–" }
                                    td.number.muted data-label="Loaded" { "–" } td.number.muted data-label="Full image" { "–" }
                                    td.number.muted data-label="Share" { "–" }
                                }
                            }
                        }
                    }
                }
                @if members.len() > MEMBERS_SHOWN_MAX {
                    p { "The first " (MEMBERS_SHOWN_MAX) " of " (count(members.len() as u64, "device")) ". "
                        a href=(href("/devices", &format!("rollout:{}", rollout.id))) { "All of them" } }
                }
            }
        }
    }
}
