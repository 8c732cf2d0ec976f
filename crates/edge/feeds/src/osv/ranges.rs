//! A range of OSV (a list of events) as ranges of the model (a beginning and an end).
//!
//! In: a range of type SEMVER or ECOSYSTEM. Out: one range for each stretch of affected versions. Refuses: a range without
//! an `introduced` event, and events that are none or several at once.

use warden_assess::versions::Scheme;
use warden_model::advisory::VersionRange;

use crate::node::Node;
use crate::{FeedError, Limits};

/// What happens at a version.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Introduced,
    Fixed,
    LastAffected,
    /// Until where git histories are searched; it says nothing of versions, and passing it over can only accuse too much.
    Limit,
}

const EVENTS: [(&str, What); 4] = [
    ("introduced", What::Introduced),
    ("fixed", What::Fixed),
    ("last_affected", What::LastAffected),
    ("limit", What::Limit),
];

/// Reads the ranges; versions are ordered by the rules of the package's type.
pub(super) fn read(range: &Node<'_>, kind: &str, limits: &Limits) -> Result<Vec<VersionRange>, FeedError> {
    let list = range.need("events")?;
    let mut events = Vec::new();
    for event in range.list("events", "events", limits.events)? {
        events.push(read_event(&event, limits)?);
    }
    if !events.iter().any(|(what, _)| *what == What::Introduced) {
        return Err(FeedError::Missing { at: format!("{}: an introduced event", list.place()) });
    }
    // OSV schema, "Evaluation": events are applied in the order of their versions, however they are listed. The sort is
    // stable, so that a fix and a new beginning at the same version stay in the order in which they are listed.
    let scheme = Scheme::of(kind);
    events.sort_by(|(_, a), (_, b)| match (*a, *b) {
        // `0` is before every version.
        ("0", "0") => std::cmp::Ordering::Equal,
        ("0", _) => std::cmp::Ordering::Less,
        (_, "0") => std::cmp::Ordering::Greater,
        (a, b) => scheme.compare(a, b),
    });
    Ok(stretches(&events))
}

fn read_event<'a>(event: &Node<'a>, limits: &Limits) -> Result<(What, &'a str), FeedError> {
    let mut found = None;
    for (name, what) in EVENTS {
        let Some(version) = event.field(name)? else { continue };
        if found.is_some() {
            let expected = "the only field of its event";
            return Err(FeedError::Value { at: version.place(), expected, found: name.to_owned() });
        }
        found = Some((what, version.short_text(limits.text_bytes)?));
    }
    found.ok_or_else(|| FeedError::Missing {
        at: format!("{}: introduced, fixed, last_affected or limit", event.place()),
    })
}

/// Walks the events: what is introduced while affected, or fixed while not, changes nothing.
fn stretches(events: &[(What, &str)]) -> Vec<VersionRange> {
    let mut ranges = Vec::new();
    let mut since: Option<&str> = None;
    for (what, version) in events {
        match (what, since) {
            (What::Introduced, None) => since = Some(version),
            (What::Fixed, Some(introduced)) => {
                ranges.push(range(introduced, Some(version), None));
                since = None;
            }
            (What::LastAffected, Some(introduced)) => {
                ranges.push(range(introduced, None, Some(version)));
                since = None;
            }
            (What::Introduced, Some(_)) | (What::Fixed | What::LastAffected, None) | (What::Limit, _) => {}
        }
    }
    ranges.extend(since.map(|introduced| range(introduced, None, None)));
    ranges
}

fn range(introduced: &str, fixed: Option<&str>, last_affected: Option<&str>) -> VersionRange {
    VersionRange {
        introduced: introduced.to_owned(),
        fixed: fixed.map(str::to_owned),
        last_affected: last_affected.map(str::to_owned),
    }
}
