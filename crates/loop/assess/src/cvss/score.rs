//! The base score of CVSS version 3 (CVSS 3.1 section 7.1).
//!
//! In: the metrics of a vector. Out: its base score in tenths. Refuses nothing: the metrics are complete and known.

use std::fmt;

use super::Metrics;

/// A score from 0.0 to 10.0, kept in tenths so that it can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score(u8);

impl Score {
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

/// Whether the weakness reaches beyond the component (metric S).
#[derive(Clone, Copy)]
enum Scope {
    Unchanged,
    Changed,
}

/// The numbers are those of section 7.4, "Metric Values".
pub(super) fn base_score(metrics: &Metrics) -> Score {
    let scope = if metrics.value("S") == Some("C") { Scope::Changed } else { Scope::Unchanged };
    let lost = |metric| match metrics.value(metric) {
        Some("H") => 0.56,
        Some("L") => 0.22,
        _ => 0.0,
    };
    let kept: f64 = (1.0 - lost("C")) * (1.0 - lost("I")) * (1.0 - lost("A"));
    let impact_sub_score = 1.0 - kept;
    let impact = match scope {
        Scope::Unchanged => 6.42 * impact_sub_score,
        Scope::Changed => 7.52 * (impact_sub_score - 0.029) - 3.25 * (impact_sub_score - 0.02).powi(15),
    };
    if impact <= 0.0 {
        return Score(0);
    }
    let sum = impact + exploitability(metrics, scope);
    match scope {
        Scope::Unchanged => round_up(sum),
        Scope::Changed => round_up(1.08 * sum),
    }
}

fn exploitability(metrics: &Metrics, scope: Scope) -> f64 {
    let vector = match metrics.value("AV") {
        Some("N") => 0.85,
        Some("A") => 0.62,
        Some("L") => 0.55,
        _ => 0.2,
    };
    let complexity = if metrics.value("AC") == Some("L") { 0.77 } else { 0.44 };
    let privileges = match (metrics.value("PR"), scope) {
        (Some("N"), _) => 0.85,
        (Some("L"), Scope::Unchanged) => 0.62,
        (Some("L"), Scope::Changed) => 0.68,
        (_, Scope::Unchanged) => 0.27,
        (_, Scope::Changed) => 0.5,
    };
    let interaction = if metrics.value("UI") == Some("N") { 0.85 } else { 0.62 };
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
