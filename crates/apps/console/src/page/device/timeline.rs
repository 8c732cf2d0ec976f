//! A device's story: everything that happened to it on one time axis, the newest first.
//!
//! In: events, alerts, what the device itself said to its orders, its enrolment. Out: entries with stage and reason,
//! grouped by day. Refuses: more than a page at a time.

use maud::{Markup, html};
use serde::Deserialize;
use warden_model::device::Device;
use warden_model::{ReleaseId, RolloutId, Timestamp};
use warden_store::EventScope;
use warden_wire::page::{Cursor, PageRequest};

use crate::App;
use crate::failure::Failure;
use crate::view::{age, day, release_link, rollout_link, time_of_day};

/// Events on a page of the timeline: two screens.
const EVENTS_SHOWN: u64 = 40;

/// Orders whose answers are told, the newest first: an update has one order, and older ones are in the events.
const ORDERS_TOLD_MAX: usize = 5;

/// Where a page of the timeline starts.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct TimelineQuery {
    /// The cursor of the events.
    after: Option<String>,
    /// In milliseconds since 1970: only what is older belongs on this page.
    before: Option<i64>,
}

/// Something that happened.
struct Entry {
    at: Timestamp,
    stage: &'static str,
    what: String,
    reason: String,
    release: Option<ReleaseId>,
    rollout: Option<RolloutId>,
}

impl Entry {
    fn plain(at: Timestamp, stage: &'static str, what: &str, reason: String) -> Self {
        Self { at, stage, what: what.to_owned(), reason, release: None, rollout: None }
    }
}

/// Draws the timeline.
pub(super) async fn timeline(
    app: &App,
    device: &Device,
    query: &TimelineQuery,
    now: Timestamp,
) -> Result<Markup, Failure> {
    let request = PageRequest::parse(Some(EVENTS_SHOWN), query.after.as_deref())?;
    let page = app.store().events(&EventScope::Device(device.id.clone()), &request).await?;
    let oldest = page.items.iter().map(|event| event.at).min().filter(|_| page.next.is_some());
    let mut entries: Vec<Entry> = page
        .items
        .into_iter()
        .map(|event| Entry {
            at: event.at,
            stage: event.stage.word(),
            what: event.what,
            reason: event.reason,
            release: event.release,
            rollout: event.rollout,
        })
        .collect();
    for other in others(app, device).await? {
        // What stands between this page's oldest event and the page before belongs here.
        let is_of_page = oldest.is_none_or(|oldest| other.at >= oldest)
            && query.before.is_none_or(|before| other.at.0 < before);
        let is_told = entries.iter().any(|entry| entry.at == other.at && entry.stage == other.stage);
        if is_of_page && !is_told {
            entries.push(other);
        }
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    Ok(draw(device, &entries, page.next.as_ref().zip(oldest), query, now))
}

/// Gathers what has no event of its own.
async fn others(app: &App, device: &Device) -> Result<Vec<Entry>, Failure> {
    let store = app.store();
    let mut entries = vec![Entry::plain(
        device.enrolled_at,
        "device",
        "enrolled",
        format!("as {} on board {}", device.product, device.hardware),
    )];
    for alert in store.alerts_of(&device.id).await? {
        entries.push(Entry::plain(alert.at, "watch", "alert", alert.reason));
    }
    for order in store.directives_of_device(&device.id).await?.into_iter().take(ORDERS_TOLD_MAX) {
        for answer in store.feedback(order.directive.action).await? {
            entries.push(Entry {
                at: answer.at,
                stage: "device",
                what: format!("answered order {}: {}", order.directive.action, answer.execution),
                reason: answer.messages.join("; "),
                release: None,
                rollout: Some(order.directive.rollout.clone()),
            });
        }
    }
    Ok(entries)
}

fn draw(
    device: &Device,
    entries: &[Entry],
    next: Option<(&Cursor, Timestamp)>,
    query: &TimelineQuery,
    now: Timestamp,
) -> Markup {
    html! {
        section aria-labelledby="timeline" {
            h2 #timeline { "Timeline" }
            @if entries.is_empty() { p.muted { "Nothing has happened yet." } }
            ol.timeline {
                @for (place, entry) in entries.iter().enumerate() {
                    @let today = day(entry.at);
                    @let newer = place.checked_sub(1).and_then(|before| entries.get(before));
                    @if newer.is_none_or(|newer| day(newer.at) != today) { li.day { (today) " UTC" } }
                    li class={ "stage-" (entry.stage) } {
                        span.when { (time_of_day(entry.at)) " " span.muted { (age(now, entry.at)) } }
                        span.stage { (entry.stage) }
                        span.what {
                            span.strong { (entry.what) }
                            @if let Some(rollout) = &entry.rollout { " " (rollout_link(rollout)) }
                            @else if let Some(release) = &entry.release { " " (release_link(release)) }
                            " " span.muted { (entry.reason) }
                        }
                    }
                }
            }
            nav.pager aria-label="Pages of the timeline" {
                @if query.after.is_some() { a href={ "/devices/" (device.id) } { "Newest events" } }
                @if let Some((next, oldest)) = next {
                    a rel="next" href={ "/devices/" (device.id) "?after=" (next) "&before=" (oldest.0) } { "Older events" }
                }
            }
        }
    }
}
