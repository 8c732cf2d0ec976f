//! Events: what happened, to whom, and why; the timeline of a device and the story of a rollout.

use crate::{DeviceId, ReleaseId, RolloutId, Stage, Timestamp};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// In which stage of the loop.
    pub stage: Stage,
    /// The device that it is about.
    pub device: Option<DeviceId>,
    /// The release that it is about.
    pub release: Option<ReleaseId>,
    /// The rollout that it is about.
    pub rollout: Option<RolloutId>,
    /// What happened, in a few words that stay the same, for instance `phase started`.
    pub what: String,
    /// Why, in one sentence with the numbers that led to it.
    pub reason: String,
}
