//! Devices: who they are, what they run, how much depends on them.

use std::net::IpAddr;

use crate::firmware::Version;
use crate::words::words;
use crate::{DeviceId, Generation, HardwareId, ProductId, SegmentId, Sha256Digest, Timestamp};

words! {
    /// What breaks when the device breaks; the most severe first.
    pub enum Criticality: "criticality" {
        /// People may be hurt.
        SafetyCritical = "safety-critical",
        /// The mission fails.
        MissionCritical = "mission-critical",
        /// The work suffers.
        Standard = "standard",
        /// Hardly anybody notices.
        Low = "low",
    }
}

words! {
    /// How much harm it does when the device's data leaks; the most severe first.
    pub enum DataSensitivity: "data sensitivity" {
        /// Regulated or special data.
        Restricted = "restricted",
        /// Personal or business secrets.
        Confidential = "confidential",
        /// Not meant for outsiders.
        Internal = "internal",
        /// Anybody may know it.
        Public = "public",
    }
}

words! {
    /// One of the two places where a firmware can live.
    pub enum Slot: "slot" {
        /// The first slot.
        A = "a",
        /// The second slot.
        B = "b",
    }
}

impl Slot {
    /// Returns the other slot.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

words! {
    /// Where the device stands with its updates.
    pub enum UpdateState: "update state" {
        /// Enrolled, has not reported yet.
        Enrolled = "enrolled",
        /// Runs what it should.
        Idle = "idle",
        /// Has an order that it has not finished.
        Updating = "updating",
        /// Its last update failed and it turned back.
        RolledBack = "rolled-back",
        /// Its last update failed before the slot was switched.
        Failed = "failed",
    }
}

/// A firmware as a device names it: its image and its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Running {
    /// The digest of the whole image in the slot.
    pub image: Sha256Digest,
    /// The version that the release gave it.
    pub version: Version,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Names the device.
    pub id: DeviceId,
    /// Its product.
    pub product: ProductId,
    /// Its board.
    pub hardware: HardwareId,
    /// What breaks when it breaks.
    pub criticality: Criticality,
    /// What leaks when it leaks.
    pub sensitivity: DataSensitivity,
    /// Its network segment; absent while nobody has put it into one.
    pub segment: Option<SegmentId>,
    /// Its last known address.
    pub address: Option<IpAddr>,
    /// What was last written to a slot and booted.
    pub installed: Option<Running>,
    /// What last booted and passed its health checks, by the device's own signed report.
    pub confirmed: Option<Running>,
    /// The slot that it runs from, by its own report; the other one holds what it can turn back to.
    pub slot: Option<Slot>,
    /// Where it stands with its updates.
    pub state: UpdateState,
    /// The generation of the newest order that it got.
    pub generation: Generation,
    /// The counter of its newest state report: an older report is a replay.
    pub report_counter: u64,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
    /// When it was last heard of.
    pub last_seen: Option<Timestamp>,
}
