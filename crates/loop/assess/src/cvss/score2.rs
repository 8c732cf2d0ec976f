//! The scores of CVSS version 2 ("A Complete Guide to the Common Vulnerability Scoring System Version 2.0", section 3.2).
//!
//! In: the metrics of a vector. Out: its scores in tenths, computed in decimal fractions, so that halves are rounded as the
//! norm's own decimal numbers are. Refuses nothing: the metrics are complete and known.

use super::Metrics;
use super::score::Score;

/// A decimal fraction: units of ten to the power of minus `places`. Twenty-one places are the most that are needed, of
/// numbers below one hundred: 128 bits hold them.
#[derive(Clone, Copy)]
struct Decimal {
    units: i128,
    places: u32,
}

const fn decimal(units: i128, places: u32) -> Decimal {
    Decimal { units, places }
}

const ONE: Decimal = decimal(1, 0);

impl Decimal {
    fn at(self, places: u32) -> i128 {
        self.units * 10_i128.pow(places.saturating_sub(self.places))
    }

    fn times(self, other: Self) -> Self {
        decimal(self.units * other.units, self.places + other.places)
    }

    fn plus(self, other: Self) -> Self {
        let places = self.places.max(other.places);
        decimal(self.at(places) + other.at(places), places)
    }

    fn minus(self, other: Self) -> Self {
        self.plus(decimal(-other.units, other.places))
    }

    fn min(self, other: Self) -> Self {
        let places = self.places.max(other.places);
        if self.at(places) <= other.at(places) { self } else { other }
    }

    /// `round_to_1_decimal`: halves go up.
    fn tenths(self) -> Decimal {
        let unit = 10_i128.pow(self.places.max(1) - 1);
        decimal((self.at(self.places.max(1)) + unit / 2).div_euclid(unit), 1)
    }

    fn score(self) -> Score {
        Score::of_tenths(u8::try_from(self.tenths().units.clamp(0, 100)).unwrap_or(100))
    }
}

/// The weight of a value, in thousandths.
type Weights = &'static [(&'static str, i128)];

const ACCESS_VECTOR: Weights = &[("L", 395), ("A", 646), ("N", 1000)];
const ACCESS_COMPLEXITY: Weights = &[("H", 350), ("M", 610), ("L", 710)];
const AUTHENTICATION: Weights = &[("M", 450), ("S", 560), ("N", 704)];
const IMPACT: Weights = &[("N", 0), ("P", 275), ("C", 660)];
const EXPLOITABILITY: Weights = &[("U", 850), ("POC", 900), ("F", 950)];
const REMEDIATION_LEVEL: Weights = &[("OF", 870), ("TF", 900), ("W", 950)];
const REPORT_CONFIDENCE: Weights = &[("UC", 900), ("UR", 950)];
const COLLATERAL_DAMAGE: Weights = &[("L", 100), ("LM", 300), ("MH", 400), ("H", 500)];
const TARGET_DISTRIBUTION: Weights = &[("N", 0), ("L", 250), ("M", 750)];
const REQUIREMENT: Weights = &[("L", 500), ("H", 1510)];

fn weight(metrics: &Metrics, metric: &str, weights: Weights, otherwise: i128) -> Decimal {
    let value = metrics.value(metric);
    let found = weights.iter().find(|(name, _)| Some(*name) == value);
    decimal(found.map_or(otherwise, |(_, weight)| *weight), 3)
}

/// "Impact", of losses that are weighed by how much is needed here or not.
fn impact(metrics: &Metrics, needs: [Decimal; 3]) -> Decimal {
    let kept = ["C", "I", "A"].into_iter().zip(needs).fold(ONE, |kept, (metric, need)| {
        kept.times(ONE.minus(weight(metrics, metric, IMPACT, 0).times(need)))
    });
    decimal(1041, 2).times(ONE.minus(kept))
}

/// `BaseScore`, of an impact.
fn base_of(metrics: &Metrics, impact: Decimal) -> Decimal {
    if impact.units == 0 {
        return decimal(0, 1);
    }
    let exploitability = decimal(20, 0)
        .times(weight(metrics, "AV", ACCESS_VECTOR, 0))
        .times(weight(metrics, "AC", ACCESS_COMPLEXITY, 0))
        .times(weight(metrics, "Au", AUTHENTICATION, 0));
    let sum = decimal(6, 1).times(impact).plus(decimal(4, 1).times(exploitability)).minus(decimal(15, 1));
    sum.times(decimal(1176, 3)).tenths()
}

/// `TemporalScore`, of a base score.
fn temporal_of(metrics: &Metrics, base: Decimal) -> Decimal {
    base.times(weight(metrics, "E", EXPLOITABILITY, 1000))
        .times(weight(metrics, "RL", REMEDIATION_LEVEL, 1000))
        .times(weight(metrics, "RC", REPORT_CONFIDENCE, 1000))
        .tenths()
}

fn plain_base(metrics: &Metrics) -> Decimal {
    base_of(metrics, impact(metrics, [ONE; 3]))
}

pub(super) fn base(metrics: &Metrics) -> Score {
    plain_base(metrics).score()
}

pub(super) fn temporal(metrics: &Metrics) -> Score {
    temporal_of(metrics, plain_base(metrics)).score()
}

/// `EnvironmentalScore`.
pub(super) fn environmental(metrics: &Metrics) -> Score {
    let needs = ["CR", "IR", "AR"].map(|metric| weight(metrics, metric, REQUIREMENT, 1000));
    let adjusted = impact(metrics, needs).min(decimal(10, 0));
    let temporal = temporal_of(metrics, base_of(metrics, adjusted));
    let damage = decimal(10, 0).minus(temporal).times(weight(metrics, "CDP", COLLATERAL_DAMAGE, 0));
    temporal.plus(damage).times(weight(metrics, "TD", TARGET_DISTRIBUTION, 1000)).score()
}
