//! Links, commands, empty states, lists of events.

use std::fmt::{Display, Write as _};

use maud::{Markup, html};
use warden_model::event::Event;
use warden_model::{AdvisoryId, DeviceId, ReleaseId, RolloutId, Sha256Digest, Timestamp};
use warden_wire::page::Cursor;

use super::moment::{age, day, time_of_day};
use super::tone::{Tone, icon};

/// Returns a text as part of a query (RFC 3986, section 2.3: only unreserved characters stand for themselves).
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            write!(encoded, "%{byte:02X}").ok();
        }
    }
    encoded
}

/// Returns the address of a list with a filter.
pub(crate) fn href(list: &str, filter: &str) -> String {
    if filter.is_empty() { list.to_owned() } else { format!("{list}?filter={}", encode(filter)) }
}

/// Returns a number with its noun: `1 device`, `3 devices`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Draws a link to a device.
pub(crate) fn device_link(id: &DeviceId) -> Markup {
    html! { a.id href={ "/devices/" (id) } { (id) } }
}

/// Draws a link to a release.
pub(crate) fn release_link(id: &ReleaseId) -> Markup {
    html! { a.id href={ "/releases/" (id) } { (id) } }
}

/// Draws a link to a rollout.
pub(crate) fn rollout_link(id: &RolloutId) -> Markup {
    html! { a.id href={ "/rollouts/" (id) } { (id) } }
}

/// Draws a link to an advisory.
pub(crate) fn advisory_link(id: &AdvisoryId) -> Markup {
    html! { a.id href={ "/risk/" (id) } { (id) } }
}

/// Draws enough of a digest to tell images apart.
pub(crate) fn short_digest(digest: &Sha256Digest) -> Markup {
    html! { code.muted title=(digest) { (digest.short()) } }
}

/// Draws a command that does what the page shows; a button copies it.
pub(crate) fn command_line(command: &str) -> Markup {
    html! {
        div.command {
            code { (command) }
            button.copy type="button" data-copy=(command) { "Copy" }
        }
    }
}

/// Draws what stands in place of an empty list: why it is empty, and what to do.
pub(crate) fn empty(cause: &str, next: &str, command: &str) -> Markup {
    html! {
        div.empty {
            p.strong { (cause) }
            p { (next) }
            (command_line(command))
        }
    }
}

/// Draws a sentence that people should see.
pub(crate) fn notice(tone: Tone, text: impl Display) -> Markup {
    html! { p class={ "notice " (tone.class()) } { (icon(tone)) span { (text) } } }
}

/// Draws the way to the first and to the next page of a list.
pub(crate) fn pager(list: &str, filter: &str, after: Option<&str>, next: Option<&Cursor>) -> Markup {
    let base = href(list, filter);
    let join = if filter.is_empty() { '?' } else { '&' };
    html! {
        @if after.is_some() || next.is_some() {
            nav.pager aria-label="Pages of the list" {
                @if after.is_some() { a href=(base) { "First page" } }
                @if let Some(next) = next { a rel="next" href={ (base) (join) "after=" (next) } { "Next page" } }
            }
        }
    }
}

/// Draws the search box of a list; the filter stands in the address, so that it can be kept and sent.
pub(crate) fn search_box(list: &str, filter: &str, error: Option<&str>) -> Markup {
    html! {
        form.search role="search" method="get" action=(list) {
            label.hidden for="filter" { "Filter" }
            input #filter name="filter" type="search" value=(filter) autocomplete="off" spellcheck="false"
                placeholder="product:cam criticality:>standard seen:<15m text"
                aria-invalid=[error.map(|_| "true")] aria-describedby=[error.map(|_| "filter-error")];
            button type="submit" { "Filter" }
            @if !filter.is_empty() { a.clear href=(list) { "Clear" } }
        }
        @if let Some(error) = error {
            div #filter-error .notice.bad role="alert" {
                (icon(Tone::Bad))
                span {
                    (error)
                    br;
                    span.muted {
                        "A word alone is looked for in ids and names; "
                        code { "-" } " before a term turns it around; quotes keep words together."
                    }
                }
            }
        }
    }
}

/// Draws what an event is about, besides the page that it is shown on.
fn subjects(event: &Event) -> Markup {
    html! {
        @if let Some(device) = &event.device { " " (device_link(device)) }
        @if let Some(rollout) = &event.rollout { " " (rollout_link(rollout)) }
        @else if let Some(release) = &event.release { " " (release_link(release)) }
    }
}

/// Draws events, the newest first, each with its stage, its subject and its reason.
pub(crate) fn events_table(events: &[Event], now: Timestamp) -> Markup {
    html! {
        ol.log {
            @for event in events {
                li {
                    span.when { (age(now, event.at)) }
                    span.stage { (event.stage) }
                    span.what { span.strong { (event.what) } (subjects(event)) " " span.muted { (event.reason) } }
                }
            }
        }
    }
}

/// Draws the event log of one thing: with the moment in UTC, and without the thing itself.
pub(crate) fn event_log(events: &[Event], now: Timestamp) -> Markup {
    html! {
        ol.log.exact {
            @for event in events {
                li {
                    span.when { (day(event.at)) " " (time_of_day(event.at)) " " span.muted { (age(now, event.at)) } }
                    span.stage { (event.stage) }
                    span.what {
                        span.strong { (event.what) }
                        @if let Some(device) = &event.device { " " (device_link(device)) }
                        " " span.muted { (event.reason) }
                    }
                }
            }
        }
    }
}

/// Draws the share that one size is of another.
pub(crate) fn by(part: u64, whole: u64) -> Markup {
    html! { @if whole > 0 { (warden_model::PerMille::of(part, whole)) } @else { "–" } }
}

#[cfg(test)]
mod tests {
    use super::{count, encode, href};

    #[test]
    fn a_filter_survives_its_address() {
        assert_eq!(href("/devices", "seen:>7d \"a&b\""), "/devices?filter=seen%3A%3E7d%20%22a%26b%22");
        assert_eq!(href("/devices", ""), "/devices");
        assert_eq!(encode("é"), "%C3%A9");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!((count(1, "device"), count(0, "device")), ("1 device".to_owned(), "0 devices".to_owned()));
    }
}
