//! Moments and spans as people read them: in UTC, with the age beside.

use maud::{Markup, html};
use warden_model::{Seconds, Timestamp};

/// Returns a span with one unit: enough to judge an age.
pub(crate) fn brief(span: Seconds) -> String {
    match span.0 {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// Returns the date in UTC.
pub(crate) fn day(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('T').map_or(text.clone(), |(day, _)| day.to_owned())
}

/// Returns the time of day in UTC, in whole seconds.
pub(crate) fn time_of_day(at: Timestamp) -> String {
    let text = at.to_string();
    let time = text.split_once('T').map_or("", |(_, time)| time);
    time.trim_end_matches('Z').split('.').next().unwrap_or_default().to_owned()
}

fn full(at: Timestamp) -> String {
    format!("{} {} UTC", day(at), time_of_day(at))
}

fn since(now: Timestamp, at: Timestamp) -> String {
    if at > now { format!("in {}", brief(at.since(now))) } else { format!("{} ago", brief(now.since(at))) }
}

/// Draws the age of a moment; the moment itself shows on pointing at it.
pub(crate) fn age(now: Timestamp, at: Timestamp) -> Markup {
    html! { time datetime=(at) title=(full(at)) data-age { (since(now, at)) } }
}

/// Draws a moment in UTC, with its age.
pub(crate) fn stamp(now: Timestamp, at: Timestamp) -> Markup {
    html! { span.stamp { time datetime=(at) { (full(at)) } " " span.muted { (age(now, at)) } } }
}

/// Draws a deadline: how much time is left, or that it has passed.
pub(crate) fn deadline(now: Timestamp, at: Option<Timestamp>) -> Markup {
    let Some(at) = at else { return html! { span.muted { "no deadline" } } };
    let (class, text) = if at < now {
        ("overdue", format!("overdue by {}", brief(now.since(at))))
    } else {
        ("due", format!("in {}", brief(at.since(now))))
    };
    html! { time class=(class) datetime=(at) title=(full(at)) { (text) } }
}

#[cfg(test)]
mod tests {
    use warden_model::{Seconds, Timestamp};

    use super::{brief, deadline, full, since};

    #[test]
    fn moments_are_told_in_utc_and_as_an_age() {
        let at: Timestamp = "2026-11-22T08:00:00.125Z".parse().unwrap();
        assert_eq!(full(at), "2026-11-22 08:00:00 UTC");
        assert_eq!(since(at.plus(Seconds(200)), at), "3 min ago");
        assert_eq!(since(at, at.plus(Seconds::days(3))), "in 3 d");
        assert_eq!(brief(Seconds::hours(47)), "47 h");
        assert!(full(Timestamp(i64::MAX)).starts_with('@'), "beyond the calendar the number is shown");
    }

    #[test]
    fn a_deadline_that_has_passed_says_so() {
        let now = Timestamp(1_000_000_000);
        assert!(
            deadline(now, Some(Timestamp(1_000_000_000 - 7_200_000)))
                .into_string()
                .contains("overdue by 2 h")
        );
        assert!(deadline(now, None).into_string().contains("no deadline"));
    }
}
