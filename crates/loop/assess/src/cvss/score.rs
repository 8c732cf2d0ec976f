//! The scores of CVSS version 3 (CVSS 3.1 section 7).
//!
//! In: the metrics of a vector. Out: its scores in tenths. Refuses nothing: the metrics are complete and known.

use std::fmt;

use super::{CvssVersion, Metrics};

/// A score from 0.0 to 10.0, kept in tenths so that it can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score(u8);

/// How bad a score is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Not at all.
    None,
    /// From 0.1.
    Low,
    /// From 4.0.
    Medium,
    /// From 7.0.
    High,
    /// From 9.0.
    Critical,
}

impl Score {
    /// Makes a score from tenths; more than 100 is 100.
    pub(super) fn of_tenths(tenths: u8) -> Self {
        Self(tenths.min(100))
    }

    /// Returns the score in tenths: 0 to 100.
    pub fn tenths(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// Whether the weakness reaches beyond the component (metric S).
#[derive(Clone, Copy, PartialEq)]
enum Scope {
    Unchanged,
    Changed,
}

/// The metrics as the vector says them first, or as it says them for this environment.
#[derive(Clone, Copy)]
struct View<'a> {
    metrics: &'a Metrics,
    is_modified: bool,
}

impl View<'_> {
    /// A metric, or what the environment makes of it: the one with an `M` in front (CVSS 3.1 section 4.2).
    fn value(self, metric: &str) -> Option<&'static str> {
        let modified = self.metrics.value(&format!("M{metric}")).filter(|value| *value != "X");
        modified.filter(|_| self.is_modified).or_else(|| self.metrics.value(metric))
    }

    fn scope(self) -> Scope {
        if self.value("S") == Some("C") { Scope::Changed } else { Scope::Unchanged }
    }

    /// What is lost, weighed by how much it is needed here.
    fn lost(self, metric: &str, requirement: &str) -> f64 {
        let lost = match self.value(metric) {
            Some("H") => 0.56,
            Some("L") => 0.22,
            _ => 0.0,
        };
        let need = match self.metrics.value(requirement).filter(|_| self.is_modified) {
            Some("H") => 1.5,
            Some("L") => 0.5,
            _ => 1.0,
        };
        lost * need
    }
}

/// The numbers are those of section 7.4, "Metric Values".
pub(super) fn base(metrics: &Metrics) -> Score {
    round_up(exposed(View { metrics, is_modified: false }))
}

/// "Temporal Metrics Equations", section 7.2.
pub(super) fn temporal(metrics: &Metrics) -> Score {
    round_up(f64::from(base(metrics).0) / 10.0 * temporal_weight(metrics))
}

/// "Environmental Metrics Equations", section 7.3.
pub(super) fn environmental(metrics: &Metrics) -> Score {
    let modified = round_up(exposed(View { metrics, is_modified: true }));
    round_up(f64::from(modified.0) / 10.0 * temporal_weight(metrics))
}

fn temporal_weight(metrics: &Metrics) -> f64 {
    let exploit = match metrics.value("E") {
        Some("F") => 0.97,
        Some("P") => 0.94,
        Some("U") => 0.91,
        _ => 1.0,
    };
    let remedy = match metrics.value("RL") {
        Some("W") => 0.97,
        Some("T") => 0.96,
        Some("O") => 0.95,
        _ => 1.0,
    };
    let confidence = match metrics.value("RC") {
        Some("R") => 0.96,
        Some("U") => 0.92,
        _ => 1.0,
    };
    exploit * remedy * confidence
}

/// Impact and exploitability together, before rounding.
fn exposed(view: View<'_>) -> f64 {
    let scope = view.scope();
    let kept: f64 = [("C", "CR"), ("I", "IR"), ("A", "AR")]
        .iter()
        .map(|(metric, requirement)| 1.0 - view.lost(metric, requirement))
        .product();
    let sub_score = if view.is_modified { (1.0 - kept).min(0.915) } else { 1.0 - kept };
    let impact = match (scope, view.is_modified && view.metrics.version() == CvssVersion::V3_1) {
        (Scope::Unchanged, _) => 6.42 * sub_score,
        (Scope::Changed, false) => 7.52 * (sub_score - 0.029) - 3.25 * (sub_score - 0.02).powi(15),
        // Version 3.1 changed this for modified scores only (section 7.3).
        (Scope::Changed, true) => 7.52 * (sub_score - 0.029) - 3.25 * (sub_score * 0.9731 - 0.02).powi(13),
    };
    if impact <= 0.0 {
        return 0.0;
    }
    let sum = impact + exploitability(view, scope);
    match scope {
        Scope::Unchanged => sum,
        Scope::Changed => 1.08 * sum,
    }
}

fn exploitability(view: View<'_>, scope: Scope) -> f64 {
    let vector = match view.value("AV") {
        Some("N") => 0.85,
        Some("A") => 0.62,
        Some("L") => 0.55,
        _ => 0.2,
    };
    let complexity = if view.value("AC") == Some("L") { 0.77 } else { 0.44 };
    let privileges = match (view.value("PR"), scope) {
        (Some("N"), _) => 0.85,
        (Some("L"), Scope::Unchanged) => 0.62,
        (Some("L"), Scope::Changed) => 0.68,
        (_, Scope::Unchanged) => 0.27,
        (_, Scope::Changed) => 0.5,
    };
    let interaction = if view.value("UI") == Some("N") { 0.85 } else { 0.62 };
    8.22 * vector * complexity * privileges * interaction
}

/// Rounds up to the next tenth, in integers from the fifth digit on, so that every machine gets the same score
/// (CVSS 3.1 appendix A, "Floating Point Rounding").
fn round_up(value: f64) -> Score {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value was cut to 0.0..=10.0 just before, so that it fits with room to spare"
    )]
    let hundred_thousandths = (value.clamp(0.0, 10.0) * 100_000.0).round() as u32;
    Score(u8::try_from(hundred_thousandths.div_ceil(10_000)).unwrap_or(100))
}
