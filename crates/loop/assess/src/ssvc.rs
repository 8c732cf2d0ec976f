//! The decision tables of SSVC, as the CERT/CC publishes them: Deployer Patch Application Priority 1.0.0 and Human
//! Impact 1.0.0.
//!
//! In: the values of the decision points. Out: the outcome, and the number of the official row that holds it. Refuses
//! nothing: every combination has a row.

use std::fmt;

use warden_model::advisory::{Automatable, Exploitation};
use warden_model::case::Priority;
use warden_model::product::Exposure;

/// Name and version of the deployer table; with a row number it names the rule of a decision.
pub const DEPLOYER: &str = "ssvc-deployer-1.0.0";

/// What exploitation does to people: "Safety Impact" 2.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SafetyImpact {
    /// Hardly anything.
    Negligible,
    /// Discomfort, small losses.
    Marginal,
    /// Serious harm.
    Critical,
    /// Deaths.
    Catastrophic,
}

/// What exploitation does to what the organisation is for: "Mission Impact" 2.0.0. MEF are mission essential functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MissionImpact {
    /// Little, or what is not essential.
    Degraded,
    /// What supports an essential function fails.
    MefSupportCrippled,
    /// An essential function fails.
    MefFailure,
    /// The organisation cannot do what it is for.
    MissionFailure,
}

/// Both impacts in one: "Human Impact" 2.0.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HumanImpact {
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Very high.
    VeryHigh,
}

impl fmt::Display for SafetyImpact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Negligible => "negligible",
            Self::Marginal => "marginal",
            Self::Critical => "critical",
            Self::Catastrophic => "catastrophic",
        })
    }
}

impl fmt::Display for MissionImpact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Degraded => "degraded",
            Self::MefSupportCrippled => "mef support crippled",
            Self::MefFailure => "mef failure",
            Self::MissionFailure => "mission failure",
        })
    }
}

impl fmt::Display for HumanImpact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::VeryHigh => "very high",
        })
    }
}

/// Looks up the Human Impact table, 16 rows.
pub fn human_impact(safety: SafetyImpact, mission: MissionImpact) -> HumanImpact {
    use HumanImpact::{High, Low, Medium, VeryHigh};
    // The columns are the mission impact: degraded, MEF support crippled, MEF failure, mission failure.
    let [degraded, support_crippled, mef_failure, mission_failure] = match safety {
        SafetyImpact::Negligible | SafetyImpact::Marginal => [Low, Low, Medium, VeryHigh],
        SafetyImpact::Critical => [Medium, High, High, VeryHigh],
        SafetyImpact::Catastrophic => [VeryHigh, VeryHigh, VeryHigh, VeryHigh],
    };
    match mission {
        MissionImpact::Degraded => degraded,
        MissionImpact::MefSupportCrippled => support_crippled,
        MissionImpact::MefFailure => mef_failure,
        MissionImpact::MissionFailure => mission_failure,
    }
}

/// An outcome of the deployer table, and the number of the row that says so, counted from 0 as the official table does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// How soon to act.
    pub priority: Priority,
    /// The official row, 0 to 71.
    pub row: u8,
}

/// Looks up the deployer table, 72 rows.
pub fn deployer(
    exploitation: Exploitation,
    exposure: Exposure,
    automatable: Automatable,
    impact: HumanImpact,
) -> Outcome {
    let (first_row, [low, medium, high, very_high]) = four_rows(exploitation, exposure, automatable);
    let (offset, priority) = match impact {
        HumanImpact::Low => (0, low),
        HumanImpact::Medium => (1, medium),
        HumanImpact::High => (2, high),
        HumanImpact::VeryHigh => (3, very_high),
    };
    Outcome { priority, row: first_row + offset }
}

/// The first row of four, and their outcomes for a human impact that is low, medium, high, very high.
#[rustfmt::skip] // One line for four rows of the official table: so it can be read beside it.
fn four_rows(exploitation: Exploitation, exposure: Exposure, automatable: Automatable) -> (u8, [Priority; 4]) {
    use Automatable::{No, Yes};
    use Exploitation::{Active, None, PublicPoc};
    use Exposure::{Controlled, Open, Small};
    use Priority::{Defer, Immediate, OutOfCycle, Scheduled};
    match (exploitation, exposure, automatable) {
        (None,      Small,      No)  => (0,  [Defer,      Defer,      Scheduled,  Scheduled]),
        (None,      Small,      Yes) => (4,  [Defer,      Scheduled,  Scheduled,  Scheduled]),
        (None,      Controlled, No)  => (8,  [Defer,      Scheduled,  Scheduled,  Scheduled]),
        (None,      Controlled, Yes) => (12, [Scheduled,  Scheduled,  Scheduled,  Scheduled]),
        (None,      Open,       No)  => (16, [Defer,      Scheduled,  Scheduled,  Scheduled]),
        (None,      Open,       Yes) => (20, [Scheduled,  Scheduled,  Scheduled,  OutOfCycle]),
        (PublicPoc, Small,      No)  => (24, [Defer,      Scheduled,  Scheduled,  Scheduled]),
        (PublicPoc, Small,      Yes) => (28, [Scheduled,  Scheduled,  Scheduled,  Scheduled]),
        (PublicPoc, Controlled, No)  => (32, [Defer,      Scheduled,  Scheduled,  Scheduled]),
        (PublicPoc, Controlled, Yes) => (36, [Scheduled,  Scheduled,  Scheduled,  OutOfCycle]),
        (PublicPoc, Open,       No)  => (40, [Scheduled,  Scheduled,  Scheduled,  OutOfCycle]),
        (PublicPoc, Open,       Yes) => (44, [Scheduled,  Scheduled,  OutOfCycle, OutOfCycle]),
        (Active,    Small,      No)  => (48, [Scheduled,  Scheduled,  OutOfCycle, OutOfCycle]),
        (Active,    Small,      Yes) => (52, [Scheduled,  OutOfCycle, OutOfCycle, OutOfCycle]),
        (Active,    Controlled, No)  => (56, [Scheduled,  Scheduled,  OutOfCycle, OutOfCycle]),
        (Active,    Controlled, Yes) => (60, [OutOfCycle, OutOfCycle, OutOfCycle, OutOfCycle]),
        (Active,    Open,       No)  => (64, [Scheduled,  OutOfCycle, OutOfCycle, Immediate]),
        (Active,    Open,       Yes) => (68, [OutOfCycle, OutOfCycle, Immediate,  Immediate]),
    }
}
