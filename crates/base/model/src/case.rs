//! Findings (an advisory meets a firmware) and cases (a finding meets a device).

use crate::purl::Purl;
use crate::words::words;
use crate::{AdvisoryId, CaseId, DeviceId, ProductId, Sha256Digest, Timestamp};

/// An advisory that applies to a firmware, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The firmware.
    pub image: Sha256Digest,
    /// The product that the firmware is for.
    pub product: ProductId,
    /// The advisory.
    pub advisory: AdvisoryId,
    /// The component, with its version.
    pub component: Purl,
    /// Where the component stands in the image.
    pub path: String,
    /// Why the advisory applies, in one sentence: the version, and the range that holds it.
    pub reason: String,
    /// The first version that is not affected, where a fix is known.
    pub fixed_in: Option<String>,
}

words! {
    /// How soon to act: the outcomes of the SSVC deployer tree; the most urgent first.
    pub enum Priority: "priority" {
        /// Drop everything: 72 hours.
        Immediate = "immediate",
        /// Before the next regular update: 14 days.
        OutOfCycle = "out-of-cycle",
        /// With the next regular update: 60 days.
        Scheduled = "scheduled",
        /// Nothing to do at present.
        Defer = "defer",
    }
}

/// One input of a decision, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factor {
    /// The decision point, for instance `exploitation`.
    pub name: &'static str,
    /// Its value, for instance `active`.
    pub value: String,
    /// One sentence: why it has this value.
    pub because: String,
}

/// How soon a case must be closed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// How soon.
    pub priority: Priority,
    /// Until when; absent when the case may wait for ever.
    pub deadline: Option<Timestamp>,
    /// The row of the decision table that said so, for instance `ssvc-deployer-1.0.0/row-71`.
    pub rule: String,
    /// The inputs.
    pub factors: Vec<Factor>,
}

words! {
    /// How a device came to be protected.
    pub enum Protection: "protection" {
        /// It runs a firmware without the weakness, and said so itself after a reboot.
        Patched = "patched",
        /// It is isolated and virtually patched.
        Shielded = "shielded",
    }
}

/// One weakness on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Names the case.
    pub id: CaseId,
    /// The device.
    pub device: DeviceId,
    /// The finding that opened it.
    pub finding: Finding,
    /// How soon it must be closed.
    pub decision: Decision,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// How and since when the device is protected; absent while it is exposed.
    pub protected: Option<(Protection, Timestamp)>,
}
