//! Reasons: why each step is taken, as data; every one reads as a plain sentence with its numbers.
//!
//! In: what the planner counted. Out: enums with `Display`. Refuses nothing.

use std::fmt;

use warden_model::release::ReleaseState;
use warden_model::{PerMille, Seconds, Timestamp};

/// A phase as people read it: `phase 2 of 3 (early)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseName {
    /// Its index, from 0.
    pub index: usize,
    /// How many phases the rollout has.
    pub count: usize,
    /// What people call it.
    pub name: String,
}

impl fmt::Display for PhaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "phase {} of {} ({})", self.index.saturating_add(1), self.count, self.name)
    }
}

/// Why a device gets its order now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferReason {
    /// Its phase runs, and updates may start now.
    PhaseReached {
        /// The device's phase.
        phase: PhaseName,
    },
    /// Its phase runs; the window is closed, but the device has an immediate case.
    Urgent {
        /// The device's phase.
        phase: PhaseName,
        /// When the window would have opened.
        opens: Timestamp,
    },
}

impl fmt::Display for OfferReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PhaseReached { phase } => write!(f, "Its turn has come in {phase}."),
            Self::Urgent { phase, opens } => write!(
                f,
                "Its turn has come in {phase}, and an immediate case does not wait for the window at {opens}."
            ),
        }
    }
}

/// How a phase stands against its success threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success {
    /// The phase.
    pub phase: PhaseName,
    /// Devices that reported HEALTHY.
    pub healthy: u64,
    /// Devices that can still succeed, the healthy ones among them.
    pub counted: u64,
    /// How many healthy devices it takes.
    pub needed: u64,
    /// The success threshold behind that number.
    pub threshold: PerMille,
}

impl fmt::Display for Success {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "In {}, {} of {} {} healthy, and {} ({}) must be.",
            self.phase,
            self.healthy,
            devices(self.counted),
            if self.counted == 1 { "is" } else { "are" },
            self.needed,
            self.threshold
        )
    }
}

/// Why the next phase starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdvanceReason {
    /// The phase met its success threshold and stayed good.
    Good {
        /// How it stands.
        success: Success,
        /// How long it has stayed good.
        soaked: Seconds,
    },
    /// The fleet is so small that the phase got no device.
    Empty {
        /// The phase.
        phase: PhaseName,
    },
    /// No device of the phase can succeed any more, and a person has accepted its failures.
    FailuresAccepted {
        /// The phase.
        phase: PhaseName,
        /// How many failures were accepted.
        accepted: u64,
    },
}

impl fmt::Display for AdvanceReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good { success, soaked } => write!(
                f,
                "In {}, {} of {} stayed healthy for {soaked}, and {} ({}) must be.",
                success.phase,
                success.healthy,
                devices(success.counted),
                success.needed,
                success.threshold
            ),
            Self::Empty { phase } => write!(f, "There is no device in {phase}."),
            Self::FailuresAccepted { phase, accepted } => {
                write!(
                    f,
                    "In {phase}, a person accepted {} that failed, and nobody else is left.",
                    devices(*accepted)
                )
            }
        }
    }
}

/// What the rollout waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// A person must start it.
    ApprovalOfStart,
    /// A person must resume it or roll it back, because it is paused.
    Paused {
        /// Why it is paused.
        why: String,
    },
    /// A person must resume it or roll it back, because it halted.
    Halted {
        /// Why it halted.
        why: String,
    },
    /// The release is not signed yet.
    ReleaseNotSigned {
        /// How far the release has come.
        state: ReleaseState,
    },
    /// The phase is good and must stay so.
    Soaking {
        /// The phase.
        phase: PhaseName,
        /// Since when it is good.
        since: Timestamp,
        /// How long it must stay good.
        soak: Seconds,
    },
    /// Updates may not start now.
    Window {
        /// How many devices wait for the window.
        devices: u64,
        /// When it opens.
        opens: Timestamp,
    },
    /// Devices must report.
    Devices {
        /// How the phase stands.
        success: Success,
        /// Devices with an order that they have not finished.
        outstanding: u64,
        /// Among the outstanding: silent for so long after the order that they do not count.
        unreachable: u64,
        /// Among the outstanding: installed the release and have been silent since.
        silent_since_install: u64,
    },
    /// Devices must turn back.
    TurningBack {
        /// Devices that were ordered back and have not reported.
        outstanding: u64,
        /// Among them: silent for longer than the order timeout.
        unreachable: u64,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApprovalOfStart => write!(f, "The rollout is a draft: a person must start it."),
            Self::Paused { why } => write!(f, "The rollout is paused: a person must resume it. {why}"),
            Self::Halted { why } => {
                write!(f, "The rollout halted: a person must resume it or roll it back. {why}")
            }
            Self::ReleaseNotSigned { state } => {
                write!(f, "The release is {state}, and must be signed first.")
            }
            Self::Soaking { phase, since, soak } => {
                write!(f, "In {phase}, everything has been good since {since} and must stay so for {soak}.")
            }
            Self::Window { devices: count, opens } => {
                write!(
                    f,
                    "The maintenance window opens at {opens}, and {} for it.",
                    verb(*count, "waits", "wait")
                )
            }
            Self::Devices { success, outstanding, unreachable, silent_since_install } => {
                write!(
                    f,
                    "In {}, {} of {} needed devices are healthy; {} still to report",
                    success.phase,
                    success.healthy,
                    success.needed,
                    verb(*outstanding, "has", "have")
                )?;
                if *unreachable > 0 {
                    write!(f, ", {unreachable} of them unreachable")?;
                }
                if *silent_since_install > 0 {
                    write!(f, ", {silent_since_install} of them silent since the release was installed")?;
                }
                write!(f, ".")
            }
            Self::TurningBack { outstanding, unreachable } => {
                write!(f, "Ordered back, {} still to report", verb(*outstanding, "has", "have"))?;
                if *unreachable > 0 {
                    write!(f, ", {unreachable} of them unreachable")?;
                }
                write!(f, ".")
            }
        }
    }
}

/// Why the rollout stops by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HaltReason {
    /// The error threshold of a phase is reached.
    TooManyFailed {
        /// The phase.
        phase: PhaseName,
        /// Devices that turned back or failed, without those that a person accepted.
        failed: u64,
        /// Devices of the phase.
        members: u64,
        /// At how many failed devices the phase halts.
        limit: u64,
        /// The error threshold behind that number.
        threshold: PerMille,
    },
    /// No device of the phase can succeed any more.
    NobodyLeft {
        /// The phase.
        phase: PhaseName,
        /// Devices that failed since the last time a person accepted failures.
        failed: u64,
    },
    /// The release was rejected or withdrawn while it rolled out.
    ReleaseTakenBack {
        /// What became of the release.
        state: ReleaseState,
    },
}

impl fmt::Display for HaltReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyFailed { phase, failed, members, limit, threshold } => write!(
                f,
                "In {phase}, {failed} of {} ({}) failed, and the limit is {limit} ({threshold}).",
                devices(*members),
                PerMille::of(*failed, *members)
            ),
            Self::NobodyLeft { phase, failed } => {
                write!(f, "In {phase}, no device is left that can succeed, and {failed} failed last.")
            }
            Self::ReleaseTakenBack { state } => {
                write!(f, "The release is {state}: nobody may install it any more.")
            }
        }
    }
}

/// Why a device is ordered back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnBackReason {
    /// The whole fleet goes back.
    FleetRollback {
        /// Why the rollout is rolled back.
        why: String,
    },
    /// The fleet has gone back already, and this device installed late.
    Straggler,
}

impl fmt::Display for TurnBackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FleetRollback { why } => write!(f, "The fleet goes back. {why}"),
            Self::Straggler => {
                write!(f, "The fleet has gone back, and this device installed the release late.")
            }
        }
    }
}

/// Why an order is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelReason {
    /// The whole fleet goes back.
    FleetRollback {
        /// Why the rollout is rolled back.
        why: String,
    },
    /// The release was rejected or withdrawn.
    ReleaseTakenBack {
        /// What became of the release.
        state: ReleaseState,
    },
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FleetRollback { why } => write!(f, "The fleet goes back before the device acted. {why}"),
            Self::ReleaseTakenBack { state } => {
                write!(f, "The release is {state}: nobody may install it any more.")
            }
        }
    }
}

/// Why the rollout ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// All phases are done.
    AllPhasesDone {
        /// Devices that reported HEALTHY.
        healthy: u64,
        /// Devices of the rollout.
        members: u64,
        /// Devices that turned back or failed.
        failed: u64,
        /// Devices that have not answered; their orders stay open.
        unanswered: u64,
    },
    /// Every device that had the release has answered the order to turn back.
    AllTurnedBack {
        /// Devices that turned back on order.
        reverted: u64,
        /// Devices that had turned back by themselves.
        rolled_back: u64,
        /// Devices that reported a failure, before the slot was switched or on the way back.
        failed: u64,
        /// Devices that never acted on an order.
        untouched: u64,
    },
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllPhasesDone { healthy, members, failed, unanswered } => write!(
                f,
                "All phases are done: {healthy} of {} healthy, {failed} failed, {unanswered} without an answer.",
                devices(*members)
            ),
            Self::AllTurnedBack { reverted, rolled_back, failed, untouched } => write!(
                f,
                "The fleet has gone back: {reverted} on order, {rolled_back} by themselves before, {failed} failed, \
                 {untouched} never touched."
            ),
        }
    }
}

/// Returns `1 device` or `7 devices`.
pub(crate) fn devices(count: u64) -> String {
    if count == 1 { "1 device".to_owned() } else { format!("{count} devices") }
}

/// Returns `1 device has` or `7 devices have`.
fn verb(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", devices(count), if count == 1 { one } else { many })
}
