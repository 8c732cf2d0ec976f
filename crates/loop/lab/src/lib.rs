//! Scenarios and observations of virtual devices to a verdict.
//!
//! In: a release and what runs in the field; then what a virtual device was seen doing. Out: the scenarios that the
//! release must pass, each with its reason; checks with what was expected and what was seen; one verdict. Refuses: to
//! pass a release of which nothing, or not everything that was planned, has been seen.
//!
//! Whoever runs virtual devices calls [`scenarios`], does what each one says, hands what was seen to [`judge`], and lets
//! [`Plan::verdict`] decide.

mod judge;
mod scenario;
mod verdict;

pub use judge::{Check, Intact, Observation, ScenarioVerdict, judge};
pub use scenario::{
    FORCED_FAILURE_TIME_LIMIT, FieldVersion, Nothing, Plan, START_SLOT, Scenario, ScenarioKind,
    UPGRADE_TIME_LIMIT, scenarios,
};
pub use verdict::{Outcome, Verdict, verdict};

#[cfg(test)]
mod tests;
