//! How far the fleet has come with its advisories: what the first page and the risk page both show.
//!
//! In: the store, and `now`. Out: advisories with their cases and their time to protected, the most urgent first.
//! Refuses: to read all advisories of the world; it looks at those of the most urgent open cases and at the newest ones.

use std::collections::BTreeMap;

use warden_assess::{Progress, Protected, time_to_protected};
use warden_model::advisory::Advisory;
use warden_model::case::{Case, Priority};
use warden_model::{AdvisoryId, Timestamp};
use warden_wire::filter::Filter;
use warden_wire::page::PageRequest;

use crate::App;
use crate::failure::Failure;

/// How many of the newest advisories are looked at besides those with open cases: a feed brings tens of thousands that
/// concern nobody here, and each costs a query.
const NEWEST_LOOKED_AT: usize = 200;

/// How an advisory stands in the fleet.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// The advisory.
    pub(crate) advisory: Advisory,
    /// The count, and the time that it took or takes.
    pub(crate) protected: Protected,
    /// The most urgent priority among the cases that are open.
    pub(crate) priority: Option<Priority>,
    /// The first deadline among the cases that are open.
    pub(crate) deadline: Option<Timestamp>,
}

impl Standing {
    /// Says whether devices are exposed.
    pub(crate) fn is_open(&self) -> bool {
        self.protected.progress == Progress::Exposed
    }
}

/// Advisories that concern the fleet.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    /// Those that concern somebody: the open ones first, by priority and deadline; then the newest.
    pub(crate) standings: Vec<Standing>,
    /// How many advisories are known at all.
    pub(crate) known: usize,
}

/// Measures one advisory.
pub(crate) fn standing(advisory: Advisory, cases: &[Case], now: Timestamp) -> Standing {
    let protected = time_to_protected(&advisory, cases, now);
    let open = || cases.iter().filter(|case| case.protected.is_none());
    Standing {
        priority: open().map(|case| case.decision.priority).min(),
        deadline: open().filter_map(|case| case.decision.deadline).min(),
        protected,
        advisory,
    }
}

/// Measures the advisories that concern the fleet.
pub(crate) async fn board(app: &App, now: Timestamp) -> Result<Board, Failure> {
    let store = app.store();
    let advisories = store.advisories().await?;
    let known = advisories.len();
    let urgent = store.cases(&Filter::parse("protected:no", now)?, &PageRequest::largest()).await?;
    let mut wanted: BTreeMap<AdvisoryId, Advisory> = BTreeMap::new();
    for (place, advisory) in advisories.into_iter().enumerate() {
        let is_urgent = || urgent.items.iter().any(|case| case.finding.advisory == advisory.id);
        if place < NEWEST_LOOKED_AT || is_urgent() {
            wanted.insert(advisory.id.clone(), advisory);
        }
    }
    let mut standings = Vec::new();
    for (id, advisory) in wanted {
        let cases = store.cases_of_advisory(&id).await?;
        if !cases.is_empty() {
            standings.push(standing(advisory, &cases, now));
        }
    }
    standings.sort_by_key(|standing| {
        let due = standing.deadline.unwrap_or(Timestamp(i64::MAX));
        (!standing.is_open(), standing.priority, due, std::cmp::Reverse(standing.advisory.known_at))
    });
    Ok(Board { standings, known })
}
