//! The score of CVSS version 4 (CVSS 4.0 section 8), by the `cvss` crate of the `RustSec` project: it holds the norm's table
//! of 270 macro vectors.
//!
//! In: the metrics of a vector, and which groups of them count. Out: the score in tenths. Refuses nothing: the metrics are
//! complete and known.

use std::fmt::Write as _;

use super::score::Score;
use super::{BASE_4, Metrics, OPTIONAL_4};

/// Which metrics count (CVSS 4.0 section 1.3, "Nomenclature").
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Groups {
    /// CVSS-B.
    Base,
    /// CVSS-BT.
    BaseAndThreat,
    /// CVSS-BTE.
    All,
}

pub(super) fn score(metrics: &Metrics, groups: Groups) -> Score {
    let mut text = "CVSS:4.0".to_owned();
    let counted = OPTIONAL_4.iter().filter(|(metric, _)| match groups {
        Groups::Base => false,
        Groups::BaseAndThreat => *metric == "E",
        Groups::All => true,
    });
    // In the order of the norm's table 23: the crate insists on it.
    for (metric, _) in BASE_4.iter().chain(counted) {
        if let Some(value) = metrics.value(metric) {
            // Writing to a string cannot fail.
            write!(text, "/{metric}:{value}").unwrap_or_default();
        }
    }
    // Every vector that our reader takes is one of the crate's; were one not, it would count as the worst.
    let value = text.parse::<cvss::v4::Vector>().map_or(10.0, |vector| vector.score().value());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value was cut to 0.0..=100.0 just before"
    )]
    let tenths = (value * 10.0).round().clamp(0.0, 100.0) as u8;
    Score::of_tenths(tenths)
}
