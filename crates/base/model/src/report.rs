//! What a device says of itself: the only thing that counts as success.

use crate::device::{Running, Slot};
use crate::words::words;
use crate::{ActionId, ByteCount, DeviceId, Generation, Timestamp};

words! {
    /// How far a device has come with an update, by its own report.
    pub enum ReportPhase: "report phase" {
        /// The new image is in the inactive slot, its hash is right.
        Installed = "INSTALLED",
        /// The new image has booted.
        Booted = "BOOTED",
        /// The new image has passed its health checks and is confirmed.
        Healthy = "HEALTHY",
        /// The device has turned back to the image before.
        RolledBack = "ROLLED_BACK",
        /// The update failed before the slot was switched.
        Failed = "FAILED",
    }
}

words! {
    /// Why a device turned back, or did not install.
    pub enum Cause: "cause" {
        /// A health check of the new image failed.
        HealthCheckFailed = "health-check-failed",
        /// A health check did not end in time.
        HealthCheckTimedOut = "health-check-timed-out",
        /// The new image did not come up in the tries that it had.
        BootFailed = "boot-failed",
        /// The server ordered it.
        Ordered = "ordered",
        /// The signed metadata could not be believed.
        NotTrusted = "not-trusted",
        /// The image or patch is not what was signed.
        WrongBytes = "wrong-bytes",
        /// The image is for another board.
        WrongHardware = "wrong-hardware",
        /// The release is older than the one that is confirmed.
        OlderRelease = "older-release",
        /// There is no room for it.
        NoSpace = "no-space",
        /// The bytes did not come.
        DownloadFailed = "download-failed",
    }
}

words! {
    /// How the bytes of an update came to the device.
    pub enum Way: "way" {
        /// The full image was loaded.
        Full = "full",
        /// A patch was loaded and made the image from the one before.
        Patch = "patch",
        /// An index told which parts were missing, and only those were loaded.
        Index = "index",
        /// Nothing was loaded: the image lay in the other slot.
        Kept = "kept",
    }
}

/// A state report; signed by the device's key when it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateReport {
    /// Who reports.
    pub device: DeviceId,
    /// Grows with every report of the device: an older one is a replay.
    pub counter: u64,
    /// When, by the device's own clock.
    pub at: Timestamp,
    /// What it runs now.
    pub running: Running,
    /// In which slot.
    pub slot: Slot,
    /// What it last confirmed.
    pub confirmed: Running,
    /// The order that the report is about; absent in a plain sign of life.
    pub action: Option<ActionId>,
    /// The generation of that order.
    pub generation: Generation,
    /// How far it has come; absent in a plain sign of life.
    pub phase: Option<ReportPhase>,
    /// Why it turned back or failed.
    pub cause: Option<Cause>,
    /// The cause in the device's own words, at most 512 characters (the DDI limit of a message).
    pub detail: String,
    /// What the update cost to download.
    pub downloaded: ByteCount,
    /// What the full image would have cost.
    pub full: ByteCount,
    /// How the bytes came; absent before the slot is filled, and from agents that do not tell.
    pub way: Option<Way>,
    /// How long loading took, in milliseconds, without the waits between tries; 0 from agents that do not tell.
    pub loading_millis: u64,
    /// How long it took to write the slot from what was loaded, in milliseconds; 0 where loading writes it.
    pub applying_millis: u64,
}
