//! The decision tables of SSVC, as the CERT/CC publishes them: Deployer Patch Application Priority 1.0.0, Human Impact
//! 1.0.0, CISA Coordinator 2.0.3, and the remediation timelines of CISA's Binding Operational Directive 26-04, 1.0.0.
//!
//! In: the values of the decision points. Out: the outcome, and the number of the official row that holds it. Refuses
//! nothing: every combination has a row.

use std::fmt;

use warden_model::advisory::{Automatable, Exploitation, TechnicalImpact};
use warden_model::case::Priority;
use warden_model::product::Exposure;

/// Name and version of the deployer table; with a row number it names the rule of a decision.
pub const DEPLOYER: &str = "ssvc-deployer-1.0.0";

/// Name and version of the table of BOD 26-04.
pub const BOD_26_04: &str = "cisa-bod-26-04-1.0.0";

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

/// Whether a weakness is in CISA's catalogue of known exploited vulnerabilities: "In KEV" 1.0.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InKev {
    /// It is not.
    No,
    /// It is.
    Yes,
}

/// Whether anybody can reach the device: "Publicly Exposed" 1.0.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PubliclyExposed {
    /// Only some can.
    No,
    /// Anybody can.
    Yes,
}

/// How long CISA grants: "CISA BOD 26-04 Remediation Timelines" 1.0.0; the shortest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timeline {
    /// With the next upgrade of the system, whenever that is.
    OnUpgrade,
    /// 60 days.
    Days60,
    /// 14 days.
    Days14,
    /// 3 days.
    Days3,
    /// 3 days, and the device must be searched for traces of an attack.
    Days3AndForensics,
}

impl Timeline {
    /// Returns the priority whose deadline is this one.
    pub fn priority(self) -> Priority {
        match self {
            Self::OnUpgrade => Priority::Defer,
            Self::Days60 => Priority::Scheduled,
            Self::Days14 => Priority::OutOfCycle,
            Self::Days3 | Self::Days3AndForensics => Priority::Immediate,
        }
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OnUpgrade => "fix on system upgrade",
            Self::Days60 => "60 days",
            Self::Days14 => "14 days",
            Self::Days3 => "3 days",
            Self::Days3AndForensics => "3 days & forensic investigation",
        })
    }
}

/// Looks up the table of BOD 26-04, 16 rows; returns the timeline and the official row, 0 to 15.
#[rustfmt::skip] // One line for each row of the official table.
pub fn bod_26_04(
    kev: InKev, exposed: PubliclyExposed, automatable: Automatable, impact: TechnicalImpact,
) -> (Timeline, u8) {
    use TechnicalImpact::{Partial, Total};
    use Timeline::{Days14, Days3, Days3AndForensics, Days60, OnUpgrade};
    match (kev, exposed, automatable, impact) {
        (InKev::No,  PubliclyExposed::No,  Automatable::No,  Partial) => (OnUpgrade, 0),
        (InKev::Yes, PubliclyExposed::No,  Automatable::No,  Partial) => (Days14, 1),
        (InKev::No,  PubliclyExposed::Yes, Automatable::No,  Partial) => (Days60, 2),
        (InKev::No,  PubliclyExposed::No,  Automatable::Yes, Partial) => (Days60, 3),
        (InKev::No,  PubliclyExposed::No,  Automatable::No,  Total)   => (OnUpgrade, 4),
        (InKev::Yes, PubliclyExposed::Yes, Automatable::No,  Partial) => (Days14, 5),
        (InKev::Yes, PubliclyExposed::No,  Automatable::Yes, Partial) => (Days14, 6),
        (InKev::No,  PubliclyExposed::Yes, Automatable::Yes, Partial) => (Days14, 7),
        (InKev::Yes, PubliclyExposed::No,  Automatable::No,  Total)   => (Days14, 8),
        (InKev::No,  PubliclyExposed::Yes, Automatable::No,  Total)   => (Days14, 9),
        (InKev::No,  PubliclyExposed::No,  Automatable::Yes, Total)   => (Days60, 10),
        (InKev::Yes, PubliclyExposed::Yes, Automatable::Yes, Partial) => (Days3, 11),
        (InKev::Yes, PubliclyExposed::Yes, Automatable::No,  Total)   => (Days3AndForensics, 12),
        (InKev::Yes, PubliclyExposed::No,  Automatable::Yes, Total)   => (Days3AndForensics, 13),
        (InKev::No,  PubliclyExposed::Yes, Automatable::Yes, Total)   => (Days3, 14),
        (InKev::Yes, PubliclyExposed::Yes, Automatable::Yes, Total)   => (Days3AndForensics, 15),
    }
}

/// What exploitation does to the mission and to people's well-being: "Mission and Well-Being Impact" 1.0.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MissionWellBeing {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

/// How CISA would act: "CISA Levels" 1.1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CisaLevel {
    /// Within standard update timelines.
    Track,
    /// The same, and watched closely.
    TrackStar,
    /// Sooner than standard.
    Attend,
    /// As soon as possible.
    Act,
}

impl fmt::Display for CisaLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Track => "track",
            Self::TrackStar => "track*",
            Self::Attend => "attend",
            Self::Act => "act",
        })
    }
}

/// Looks up the table CISA Coordinator 2.0.3, 36 rows; returns the level and the official row, 0 to 35.
pub fn coordinator(
    exploitation: Exploitation,
    automatable: Automatable,
    technical: TechnicalImpact,
    impact: MissionWellBeing,
) -> (CisaLevel, u8) {
    let (first_row, [low, medium, high]) = three_rows(exploitation, automatable, technical);
    match impact {
        MissionWellBeing::Low => (low, first_row),
        MissionWellBeing::Medium => (medium, first_row + 1),
        MissionWellBeing::High => (high, first_row + 2),
    }
}

/// The first row of three, and their levels for an impact that is low, medium, high.
#[rustfmt::skip] // One line for three rows of the official table.
fn three_rows(
    exploitation: Exploitation, automatable: Automatable, technical: TechnicalImpact,
) -> (u8, [CisaLevel; 3]) {
    use Automatable::{No, Yes};
    use CisaLevel::{Act, Attend, Track, TrackStar};
    use Exploitation::{Active, None, PublicPoc};
    use TechnicalImpact::{Partial, Total};
    match (exploitation, automatable, technical) {
        (None,      No,  Partial) => (0,  [Track,  Track,     Track]),
        (None,      No,  Total)   => (3,  [Track,  Track,     TrackStar]),
        (None,      Yes, Partial) => (6,  [Track,  Track,     Attend]),
        (None,      Yes, Total)   => (9,  [Track,  Track,     Attend]),
        (PublicPoc, No,  Partial) => (12, [Track,  Track,     TrackStar]),
        (PublicPoc, No,  Total)   => (15, [Track,  TrackStar, Attend]),
        (PublicPoc, Yes, Partial) => (18, [Track,  Track,     Attend]),
        (PublicPoc, Yes, Total)   => (21, [Track,  TrackStar, Attend]),
        (Active,    No,  Partial) => (24, [Track,  Track,     Attend]),
        (Active,    No,  Total)   => (27, [Track,  Attend,    Act]),
        (Active,    Yes, Partial) => (30, [Attend, Attend,    Act]),
        (Active,    Yes, Total)   => (33, [Attend, Act,       Act]),
    }
}
