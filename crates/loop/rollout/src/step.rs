//! Steps and plans: what to do next, and why.
//!
//! In: what the planner decided. Out: data that an executor carries out exactly and that people read line by line.
//! Refuses nothing.

use std::fmt;

use warden_model::rollout::RolloutState;
use warden_model::{DeviceId, Timestamp};

use crate::reason::{
    AdvanceReason, CancelReason, FinishReason, HaltReason, OfferReason, Success, TurnBackReason, Waiting,
};

/// One step of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Order the device to install the release.
    Offer {
        /// The device.
        device: DeviceId,
        /// Why now.
        reason: OfferReason,
    },
    /// Start the soak clock: the phase has met its success threshold.
    MarkGood {
        /// From when on the phase is good.
        since: Timestamp,
        /// The numbers.
        reason: Success,
    },
    /// Stop the soak clock: the phase does not meet its success threshold any more.
    NotGoodAnyMore {
        /// The numbers.
        reason: Success,
    },
    /// Start a phase.
    Advance {
        /// The index of the phase to start, from 0.
        to: usize,
        /// Why the phase before is done.
        reason: AdvanceReason,
    },
    /// Do nothing, and look again.
    Wait {
        /// When to look again at the latest; absent when only a report or a person can change anything.
        until: Option<Timestamp>,
        /// What for.
        reason: Waiting,
    },
    /// Stop until a person decides.
    Halt {
        /// Why.
        reason: HaltReason,
    },
    /// Order the device back to the image before.
    TurnBack {
        /// The device.
        device: DeviceId,
        /// Why.
        reason: TurnBackReason,
    },
    /// Take the order back that the device has not acted on.
    CancelOrder {
        /// The device.
        device: DeviceId,
        /// Why.
        reason: CancelReason,
    },
    /// End the rollout.
    Finish {
        /// How it ends: finished or rolled back.
        state: RolloutState,
        /// Why.
        reason: FinishReason,
    },
}

impl Step {
    /// Returns a few words that stay the same, for events: `order sent`, `phase started`.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Offer { .. } => "update offered",
            Self::MarkGood { .. } => "phase good",
            Self::NotGoodAnyMore { .. } => "phase not good any more",
            Self::Advance { .. } => "phase started",
            Self::Wait { .. } => "rollout waits",
            Self::Halt { .. } => "rollout halted",
            Self::TurnBack { .. } => "device ordered back",
            Self::CancelOrder { .. } => "order taken back",
            Self::Finish { .. } => "rollout ended",
        }
    }

    /// Returns why, as a sentence.
    pub fn why(&self) -> String {
        match self {
            Self::Offer { reason, .. } => reason.to_string(),
            Self::MarkGood { reason, .. } | Self::NotGoodAnyMore { reason } => reason.to_string(),
            Self::Advance { reason, .. } => reason.to_string(),
            Self::Wait { reason, .. } => reason.to_string(),
            Self::Halt { reason } => reason.to_string(),
            Self::TurnBack { reason, .. } => reason.to_string(),
            Self::CancelOrder { reason, .. } => reason.to_string(),
            Self::Finish { reason, .. } => reason.to_string(),
        }
    }

    /// Returns the device that the step is about, where it is about one.
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Offer { device, .. } | Self::TurnBack { device, .. } | Self::CancelOrder { device, .. } => {
                Some(device)
            }
            Self::MarkGood { .. }
            | Self::NotGoodAnyMore { .. }
            | Self::Advance { .. }
            | Self::Wait { .. }
            | Self::Halt { .. }
            | Self::Finish { .. } => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offer { device, .. } => write!(f, "offer {device}: ")?,
            Self::MarkGood { since, .. } => write!(f, "mark good since {since}: ")?,
            Self::NotGoodAnyMore { .. } => write!(f, "not good any more: ")?,
            Self::Advance { to, .. } => write!(f, "advance to phase {}: ", to.saturating_add(1))?,
            Self::Wait { until: Some(until), .. } => write!(f, "wait until {until}: ")?,
            Self::Wait { until: None, .. } => write!(f, "wait: ")?,
            Self::Halt { .. } => write!(f, "halt: ")?,
            Self::TurnBack { device, .. } => write!(f, "turn back {device}: ")?,
            Self::CancelOrder { device, .. } => write!(f, "cancel {device}: ")?,
            Self::Finish { state, .. } => write!(f, "finish as {state}: ")?,
        }
        f.write_str(&self.why())
    }
}

/// What to do next, in this order; empty when the rollout is over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Says whether the plan changes nothing: it only waits, or is empty.
    pub fn only_waits(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Wait { .. }))
    }

    /// Returns when to plan again at the latest; absent when only a report or a person can change anything.
    pub fn look_again_at(&self) -> Option<Timestamp> {
        self.steps
            .iter()
            .filter_map(|step| if let Step::Wait { until, .. } = step { *until } else { None })
            .min()
    }

    /// Returns what the rollout waits for, where it waits.
    pub fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.steps
            .iter()
            .filter_map(|step| if let Step::Wait { reason, .. } = step { Some(reason) } else { None })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}
