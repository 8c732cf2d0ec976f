//! The first page: what needs you, and how fast the fleet gets protected.
//!
//! In: the store. Out: the things that wait for a person, each with a link and the next step; four numbers; the time to
//! protected of each advisory; the rollouts on their way; the last events.

mod needs;

use axum::extract::State;
use maud::{Markup, html};
use warden_model::Timestamp;
use warden_model::device::UpdateState;
use warden_model::rollout::{MemberState, Rollout};
use warden_store::{Counts, EventScope};
use warden_wire::page::PageRequest;

use crate::failure::Failure;
use crate::page::risk::standings_table;
use crate::progress::board;
use crate::view::{
    Part, Section, Tone, bar, command_line, count, empty, events_table, href, icon, legend, release_link,
    rollout_link, rollout_state, shell,
};
use crate::{App, clock};
use needs::{Need, needs, silent_filter};

/// How many advisories stand on the first page; the risk page has the others.
const ADVISORIES_SHOWN_MAX: usize = 8;

/// How many events stand on the first page: what has happened while somebody fetched a coffee.
const EVENTS_SHOWN: u64 = 12;

/// Shows the page.
pub(crate) async fn show(State(app): State<App>) -> Result<Markup, Failure> {
    let now = clock::now();
    let store = app.store();
    let counts = store.counts(app.online_since(now)).await?;
    let body = if counts.devices == 0 {
        html! { h1 { "Now" } (first_steps()) }
    } else {
        let needs = needs(&app, now).await?;
        let mut board = board(&app, now).await?;
        let more = board.standings.len().saturating_sub(ADVISORIES_SHOWN_MAX);
        board.standings.truncate(ADVISORIES_SHOWN_MAX);
        let rollouts = running(&app).await?;
        let events = store.events(&EventScope::All, &PageRequest::new(EVENTS_SHOWN, None)?).await?;
        html! {
            h1 { "Now" }
            (numbers(&app, &counts, now)?)
            (needs_you(&needs, &counts))
            section aria-labelledby="ttp" {
                h2 #ttp { "Time to protected" }
                (standings_table(&board, now))
                @if more > 0 { p { a href="/risk" { "All advisories that concern the fleet (" (more) " more)" } } }
            }
            section aria-labelledby="running" { h2 #running { "Rollouts on their way" } (strip(&rollouts)) }
            section aria-labelledby="last" {
                h2 #last { "Last events" }
                @if events.items.is_empty() { p.muted { "Nothing has happened yet." } }
                (events_table(&events.items, now))
            }
        }
    };
    Ok(shell(&app, Section::Now, "Now", now, &body))
}

fn first_steps() -> Markup {
    html! {
        p.lead { "No device has enrolled yet. Four steps lead to the first update:" }
        ol.steps-list {
            li { p.strong { "Name a product" } p { "All devices that run the same firmware are one product." }
                (command_line("fleetwarden product set PRODUCT --name NAME --board BOARD")) }
            li { p.strong { "Let a device in" } p { "Make a one-time token, and start the agent with it." }
                (command_line("fleetwarden device enrol-token --product PRODUCT --hardware BOARD")) }
            li { p.strong { "Bring a release" } p { "Upload an image; it is analysed, and patches and proof follow by themselves." }
                (command_line("fleetwarden release upload IMAGE --product PRODUCT --version VERSION")) }
            li { p.strong { "Tell what is weak" } p { "Import advisories; affected devices show up here, with deadlines." }
                (command_line("fleetwarden advisory import PATH")) }
        }
    }
}

fn numbers(app: &App, counts: &Counts, now: Timestamp) -> Result<Markup, Failure> {
    let updating = counts.by_state.get(&UpdateState::Updating).copied().unwrap_or(0);
    let online = format!("-{}", silent_filter(app, now)?);
    let exposed_tone = if counts.exposed > 0 { Tone::Bad } else { Tone::Good };
    let numbers = [
        (Tone::Quiet, "online", counts.online, online, format!("of {}", count(counts.devices, "device"))),
        (exposed_tone, "exposed", counts.exposed, "protected:no".to_owned(), "with an open case".to_owned()),
        (Tone::Quiet, "updating", updating, "state:updating".to_owned(), "with an order".to_owned()),
        (Tone::Quiet, "shielded", counts.shielded, "shielded:yes".to_owned(), "by verified rules".to_owned()),
    ];
    Ok(html! {
        ul.numbers aria-label="The fleet in numbers" {
            @for (tone, word, number, filter, detail) in &numbers {
                li { a class=(tone.class()) href=(href("/devices", filter)) {
                    span.word { @if *tone != Tone::Quiet { (icon(*tone)) } (word) }
                    span.figure { (number) }
                    span.muted { (detail) }
                } }
            }
        }
    })
}

fn needs_you(needs: &[Need], counts: &Counts) -> Markup {
    html! {
        section aria-labelledby="needs" {
            h2 #needs { "Needs you" @if !needs.is_empty() { " " span.tally { (needs.len()) } } }
            @if needs.is_empty() {
                p.notice.good { (icon(Tone::Good)) span { "Nothing needs you. " (count(counts.devices, "device")) " watched." } }
            } @else {
                ul.needs {
                    @for need in needs {
                        li class=(need.tone.class()) {
                            (icon(need.tone))
                            div {
                                p.title { a href=(need.href) { (need.title) } }
                                p.muted { (need.detail) }
                            }
                            div.next {
                                p { (need.next) }
                                @if let Some(command) = &need.command { (command_line(command)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A rollout on its way, and how many of its devices stand where.
struct Running {
    rollout: Rollout,
    parts: [Part; 5],
}

async fn running(app: &App) -> Result<Vec<Running>, Failure> {
    let mut running = Vec::new();
    for rollout in app.store().active_rollouts().await? {
        let members = app.store().members(&rollout.id).await?;
        let parts = member_parts(members.iter().map(|member| member.state));
        running.push(Running { rollout, parts });
    }
    Ok(running)
}

/// Counts members as a bar shows them: healthy, at work, failed, ordered back, waiting.
pub(crate) fn member_parts(states: impl Iterator<Item = MemberState>) -> [Part; 5] {
    let (mut healthy, mut busy, mut failed, mut back, mut waiting) = (0, 0, 0, 0, 0);
    for state in states {
        let field = match state {
            MemberState::Healthy => &mut healthy,
            MemberState::Offered | MemberState::Updating | MemberState::Installed | MemberState::Booted => {
                &mut busy
            }
            MemberState::RolledBack | MemberState::Failed => &mut failed,
            MemberState::Reverting | MemberState::Reverted => &mut back,
            MemberState::Waiting | MemberState::Cancelled => &mut waiting,
        };
        *field += 1;
    }
    [
        Part::new(healthy, "good", "healthy"),
        Part::new(busy, "busy", "at work"),
        Part::new(failed, "bad", "failed"),
        Part::new(back, "care", "ordered back"),
        Part::new(waiting, "quiet", "waiting"),
    ]
}

fn strip(rollouts: &[Running]) -> Markup {
    html! {
        @if rollouts.is_empty() {
            (empty("No rollout is on its way.", "See what a rollout of a signed release would do:", "fleetwarden rollout plan RELEASE"))
        }
        div.cards {
            @for Running { rollout, parts } in rollouts {
                article.card {
                    p.row { (rollout_link(&rollout.id)) (rollout_state(rollout.state)) }
                    p.muted {
                        (release_link(&rollout.release)) " · phase " (rollout.phase.saturating_add(1)) " of " (rollout.phases.len())
                        @if let Some(phase) = rollout.phases.get(rollout.phase) { " (" (phase.name) ")" }
                    }
                    (bar(parts))
                    (legend(parts))
                    p.reason { (rollout.reason) }
                }
            }
        }
    }
}
