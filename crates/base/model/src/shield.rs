//! Shields: protection for devices that run no fix.

use crate::words::words;
use crate::{AdvisoryId, DeviceId, ShieldId, Timestamp};

words! {
    /// Why a device is shielded.
    pub enum ShieldReason: "shield reason" {
        /// Its product gets no updates any more.
        SupportEnded = "support-ended",
        /// The fix exists nowhere yet, or has not reached the device.
        PatchPending = "patch-pending",
        /// The device refused the fix and turned back.
        PatchFailed = "patch-failed",
    }
}

words! {
    /// Where a shield stands.
    pub enum ShieldState: "shield state" {
        /// Its rules are written.
        Planned = "planned",
        /// Its rules have passed the real `nft -c`.
        Verified = "verified",
        /// It is not needed any more.
        Lifted = "lifted",
        /// Its rules were refused.
        Refused = "refused",
    }
}

/// A shield around one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shield {
    /// Names the shield.
    pub id: ShieldId,
    /// The device.
    pub device: DeviceId,
    /// Why.
    pub reason: ShieldReason,
    /// The weaknesses that it covers; sorted.
    pub advisories: Vec<AdvisoryId>,
    /// Where it stands.
    pub state: ShieldState,
    /// Since when it stands there.
    pub since: Timestamp,
}
