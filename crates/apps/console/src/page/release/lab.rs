//! What the lab saw: scenarios on virtual devices, and their checks.
//!
//! In: runs as they are kept. Out: a line a scenario, with its checks inside. What a run kept in a form that is not known
//! here is shown as it is.

use maud::{Markup, html};
use serde_json::Value;
use warden_model::release::ReleaseState;
use warden_model::{Seconds, Timestamp};
use warden_store::{LabOutcome, LabRun};

use crate::view::{Tone, age, badge};

/// Longest raw detail that is shown, in characters.
const DETAIL_CHARS_MAX: usize = 4_000;

/// Draws the runs of a release.
pub(super) fn runs(runs: &[LabRun], state: ReleaseState, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="lab" {
            h2 #lab { "Lab" }
            @if runs.is_empty() { p.muted { (why_none(state)) } }
            @for run in runs {
                details.case open[run.outcome == LabOutcome::Failed] {
                    summary {
                        (outcome(run.outcome)) " " span.strong { (run.scenario) } " "
                        span.muted { (age(now, run.at)) }
                    }
                    (about(&run.detail))
                    (checks(&run.detail))
                }
            }
        }
    }
}

fn why_none(state: ReleaseState) -> &'static str {
    match state {
        ReleaseState::Uploaded | ReleaseState::Analysed | ReleaseState::Built => {
            "No scenario has run yet: the lab comes after the patches."
        }
        ReleaseState::Proven | ReleaseState::Signed => {
            "No scenario had to run: no device runs an older version."
        }
        ReleaseState::Rejected | ReleaseState::Withdrawn => "No scenario has run.",
    }
}

fn outcome(outcome: LabOutcome) -> Markup {
    match outcome {
        LabOutcome::Passed => badge(Tone::Good, outcome),
        LabOutcome::Failed => badge(Tone::Bad, outcome),
    }
}

/// Reads the outcome of a check; what is no word that we know has not passed.
fn outcome_of(check: &Value) -> LabOutcome {
    let word = check.get("outcome").and_then(Value::as_str).unwrap_or_default();
    word.parse().unwrap_or(LabOutcome::Failed)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Draws why the scenario ran, and how long it took, where the run says so.
fn about(detail: &Value) -> Markup {
    let took = detail.get("took_seconds").and_then(Value::as_u64);
    html! {
        @if let Some(why) = detail.get("why").and_then(Value::as_str) {
            p.muted { (why) @if let Some(took) = took { " It took " (Seconds(took)) "." } }
        }
    }
}

/// Returns the checks, which stand in a list of their own or under `checks`.
fn list(detail: &Value) -> Option<&Vec<Value>> {
    let list = detail.as_array().or_else(|| detail.get("checks").and_then(Value::as_array))?;
    list.iter().all(|check| check.get("name").is_some()).then_some(list)
}

fn checks(detail: &Value) -> Markup {
    let Some(list) = list(detail) else {
        let raw: String = detail.to_string().chars().take(DETAIL_CHARS_MAX).collect();
        return html! { pre { (raw) } };
    };
    let cell = |check: &Value, key: &str| check.get(key).map(text).unwrap_or_default();
    html! {
        table.narrow {
            thead { tr { th scope="col" { "Check" } th scope="col" { "Outcome" } th scope="col" { "Expected" } th scope="col" { "Saw" } } }
            tbody {
                @for check in list {
                    tr {
                        th scope="row" { (cell(check, "name")) }
                        td data-label="Outcome" { (outcome(outcome_of(check))) }
                        td data-label="Expected" { (cell(check, "expected")) }
                        td data-label="Saw" { (cell(check, "saw")) }
                    }
                }
            }
        }
    }
}
