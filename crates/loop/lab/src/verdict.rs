//! Makes one verdict of all scenarios; it gates the rollout.
//!
//! In: the plan, and the judged scenarios. Out: passed or failed, and why, in one sentence. Refuses: to pass a release
//! when nothing has run, unless there was nothing to run, or when a planned scenario is missing.

use std::collections::BTreeSet;
use std::fmt;

use crate::judge::{Check, ScenarioVerdict};
use crate::scenario::{Plan, Scenario, ScenarioKind};

/// Most failures that a reason tells in full; the rest stand in the checks.
const FAILURES_TOLD_MAX: usize = 3;

/// Whether something held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It held.
    Passed,
    /// It did not.
    Failed,
}

impl Outcome {
    /// Returns the canonical word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
        }
    }

    /// Turns a condition into its word. The one place here that takes a `bool`: it exists to get rid of them.
    pub(crate) fn of(condition: bool) -> Self {
        if condition { Self::Passed } else { Self::Failed }
    }

    /// Says whether all of them held; there must be one at least.
    pub(crate) fn all(outcomes: impl Iterator<Item = Self>) -> Self {
        outcomes.max().unwrap_or(Self::Failed)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What the lab says of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may roll out.
    pub outcome: Outcome,
    /// Why, in one sentence.
    pub reason: String,
}

impl Plan {
    /// Makes the verdict of a release: every planned scenario must have run, and all that ran must have passed. With
    /// nothing in the field there is nothing to prove and nobody to harm: passed, and the reason says so.
    pub fn verdict(&self, runs: &[(Scenario, ScenarioVerdict)]) -> Verdict {
        let planned = match self {
            Self::Run(planned) => planned,
            Self::NothingInField { nothing, .. } if runs.is_empty() => {
                return Verdict { outcome: Outcome::Passed, reason: format!("nothing to prove: {nothing}") };
            }
            Self::NothingInField { .. } => return verdict(runs),
        };
        let missing: Vec<&Scenario> =
            planned.iter().filter(|scenario| !runs.iter().any(|(run, _)| run == *scenario)).collect();
        // A failure among those that ran says more than the lack of the others.
        let some_failed = runs.iter().any(|(_, run)| run.passed == Outcome::Failed);
        match missing.first() {
            Some(first) if !some_failed => Verdict {
                outcome: Outcome::Failed,
                reason: format!(
                    "{} of {} scenarios have not run, first {}",
                    missing.len(),
                    planned.len(),
                    first.id
                ),
            },
            Some(_) | None => verdict(runs),
        }
    }
}

/// Makes the verdict of the scenarios that have run. None at all is a failure: nothing has been proven. Whoever has the
/// [`Plan`] asks [`Plan::verdict`], which knows also what should have run.
pub fn verdict(runs: &[(Scenario, ScenarioVerdict)]) -> Verdict {
    let failures: Vec<_> = runs.iter().filter(|(_, verdict)| verdict.passed == Outcome::Failed).collect();
    if runs.is_empty() {
        return Verdict {
            outcome: Outcome::Failed,
            reason: "no scenario has run: nothing is proven".to_owned(),
        };
    }
    if failures.is_empty() {
        return Verdict { outcome: Outcome::Passed, reason: passed_reason(runs) };
    }
    let mut told: Vec<String> = failures
        .iter()
        .take(FAILURES_TOLD_MAX)
        .map(|(scenario, verdict)| failure(scenario, verdict))
        .collect();
    if failures.len() > FAILURES_TOLD_MAX {
        told.push(format!("and {} more", failures.len() - FAILURES_TOLD_MAX));
    }
    let reason = format!("{} of {} scenarios failed: {}", failures.len(), runs.len(), told.join("; "));
    Verdict { outcome: Outcome::Failed, reason }
}

fn passed_reason(runs: &[(Scenario, ScenarioVerdict)]) -> String {
    let count_of = |kinds: &[ScenarioKind]| runs.iter().filter(|(run, _)| kinds.contains(&run.kind)).count();
    let sources: BTreeSet<_> = runs
        .iter()
        .filter(|(run, _)| run.kind == ScenarioKind::Upgrade)
        .map(|(run, _)| run.from.image)
        .collect();
    let forced = count_of(&[ScenarioKind::ForcedHealthFailure, ScenarioKind::ForcedBootFailure]);
    let versions = if sources.len() == 1 { "version" } else { "versions" };
    let failures = if forced == 1 { "failure" } else { "failures" };
    format!("upgraded from {} {versions}, turned back after {forced} forced {failures}", sources.len())
}

fn failure(scenario: &Scenario, verdict: &ScenarioVerdict) -> String {
    match verdict.checks.iter().find(|check| check.outcome == Outcome::Failed) {
        Some(Check { name, expected, saw, .. }) => {
            format!("{} ({name}: expected {expected}, saw {saw})", scenario.id)
        }
        None => scenario.id.clone(),
    }
}
