//! Judges one scenario by what the virtual device was seen doing.
//!
//! In: the scenario, the observation. Out: one check for each thing that must hold, with what was expected and what was
//! seen, and whether all of them hold. Refuses: to take silence for success; a device that reported nothing fails.

use std::fmt;

use warden_model::Seconds;
use warden_model::device::{Running, Slot};
use warden_model::report::{Cause, ReportPhase};

use crate::scenario::{START_SLOT, Scenario, ScenarioKind};
use crate::verdict::Outcome;

/// Most phases that a check shows: a device that starts over and over would else fill pages.
const PHASES_SHOWN_MAX: usize = 12;

/// Whether the image in a slot is still what was put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intact {
    /// Its digest is right.
    Yes,
    /// Its digest is wrong.
    No,
    /// Nobody could read it.
    Unknown,
}

impl Intact {
    /// Returns the canonical word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Yes => "intact",
            Self::No => "damaged",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Intact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a virtual device was seen doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The phases that it reported, in the order in which they came. A phase reported again counts once.
    pub phases: Vec<ReportPhase>,
    /// The cause of its last report, if it named one.
    pub cause: Option<Cause>,
    /// What it runs at the end.
    pub running: Running,
    /// What it has confirmed at the end.
    pub confirmed: Running,
    /// The slot that it runs from at the end.
    pub slot: Slot,
    /// Whether the other slot holds what it should at the end: after an upgrade the old image, which is the way back.
    pub other_slot_intact: Intact,
    /// How long it all took.
    pub took: Seconds,
    /// What kept the virtual device itself from running; absent when it ran.
    pub problem: Option<String>,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is checked, for instance `phases`.
    pub name: &'static str,
    /// What must be seen.
    pub expected: String,
    /// What was seen.
    pub saw: String,
    /// Whether it holds.
    pub outcome: Outcome,
}

/// What came of one scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioVerdict {
    /// Passed when every check holds.
    pub passed: Outcome,
    /// The checks; never empty. One only when the virtual device could not run: nothing else means anything then.
    pub checks: Vec<Check>,
}

/// Judges what was seen.
pub fn judge(scenario: &Scenario, observation: &Observation) -> ScenarioVerdict {
    let checks = match (&observation.problem, scenario.kind) {
        (Some(problem), _) => {
            vec![check("virtual device", "it runs".to_owned(), problem.clone(), Outcome::Failed)]
        }
        (None, ScenarioKind::Upgrade) => upgrade_checks(scenario, observation),
        (None, ScenarioKind::ForcedHealthFailure) => {
            let causes = [Cause::HealthCheckFailed, Cause::HealthCheckTimedOut];
            turn_back_checks(scenario, observation, &causes)
        }
        (None, ScenarioKind::ForcedBootFailure) => {
            turn_back_checks(scenario, observation, &[Cause::BootFailed])
        }
    };
    let passed = Outcome::all(checks.iter().map(|check| check.outcome));
    ScenarioVerdict { passed, checks }
}

fn upgrade_checks(scenario: &Scenario, seen: &Observation) -> Vec<Check> {
    let phases = told_once(&seen.phases);
    let wanted = [ReportPhase::Installed, ReportPhase::Booted, ReportPhase::Healthy];
    vec![
        check("phases", arrows(&wanted), arrows(&phases), Outcome::of(phases == wanted)),
        check("cause", "none".to_owned(), cause_text(seen.cause), Outcome::of(seen.cause.is_none())),
        running_check("running image", &scenario.to, &seen.running),
        running_check("confirmed image", &scenario.to, &seen.confirmed),
        slot_check(START_SLOT.other(), seen.slot),
        way_back_check(seen.other_slot_intact),
        time_check(scenario.time_limit, seen.took),
    ]
}

/// The checks of a forced failure. INSTALLED must have come first: a device that never switched has proven nothing. BOOTED
/// may be missing, because an image that dies at its start has no time to report.
fn turn_back_checks(scenario: &Scenario, seen: &Observation, causes: &[Cause]) -> Vec<Check> {
    let phases = told_once(&seen.phases);
    let old = scenario.from.running();
    let first = phases.first() == Some(&ReportPhase::Installed);
    let last = phases.last() == Some(&ReportPhase::RolledBack);
    let never_healthy = !phases.contains(&ReportPhase::Healthy);
    let never_failed = !phases.contains(&ReportPhase::Failed);
    let expected_causes: Vec<&str> = causes.iter().map(|cause| cause.word()).collect();
    let cause_fits = seen.cause.is_some_and(|cause| causes.contains(&cause));
    let saw = arrows(&phases);
    let installed = ReportPhase::Installed;
    let rolled_back = ReportPhase::RolledBack;
    let outcome = Outcome::of(first && last && never_failed);
    vec![
        check(
            "phases",
            format!("{installed} first, {rolled_back} last, no {}", ReportPhase::Failed),
            saw.clone(),
            outcome,
        ),
        check("never healthy", format!("no {}", ReportPhase::Healthy), saw, Outcome::of(never_healthy)),
        check("cause", expected_causes.join(" or "), cause_text(seen.cause), Outcome::of(cause_fits)),
        running_check("running image", &old, &seen.running),
        running_check("confirmed image", &old, &seen.confirmed),
        slot_check(START_SLOT, seen.slot),
        time_check(scenario.time_limit, seen.took),
    ]
}

fn check(name: &'static str, expected: String, saw: String, outcome: Outcome) -> Check {
    Check { name, expected, saw, outcome }
}

fn running_check(name: &'static str, expected: &Running, saw: &Running) -> Check {
    // The digest decides. The version text must fit too: a device that names its image wrongly misleads people.
    check(name, running_text(expected), running_text(saw), Outcome::of(expected == saw))
}

fn slot_check(expected: Slot, saw: Slot) -> Check {
    check("slot", expected.to_string(), saw.to_string(), Outcome::of(expected == saw))
}

fn way_back_check(saw: Intact) -> Check {
    check("way back", Intact::Yes.to_string(), saw.to_string(), Outcome::of(saw == Intact::Yes))
}

fn time_check(limit: Seconds, took: Seconds) -> Check {
    check("time", format!("at most {limit}"), took.to_string(), Outcome::of(took <= limit))
}

/// Returns the phases with repetitions in a row removed: a report is sent again until the server has it.
fn told_once(phases: &[ReportPhase]) -> Vec<ReportPhase> {
    let mut phases = phases.to_vec();
    phases.dedup();
    phases
}

fn arrows(phases: &[ReportPhase]) -> String {
    if phases.is_empty() {
        return "no report".to_owned();
    }
    let words: Vec<&str> = phases.iter().take(PHASES_SHOWN_MAX).map(|phase| phase.word()).collect();
    match phases.len().saturating_sub(PHASES_SHOWN_MAX) {
        0 => words.join(" → "),
        more => format!("{} → {more} more", words.join(" → ")),
    }
}

fn cause_text(cause: Option<Cause>) -> String {
    cause.map_or_else(|| "none".to_owned(), |cause| cause.to_string())
}

fn running_text(running: &Running) -> String {
    format!("{} ({})", running.version, running.image.short())
}
