//! The REST types of `/api/v1`: what people, programs and the command line send and get.
//!
//! In: JSON bodies. Out: plain values; ids and words are texts here and are checked where they become domain values.
//! Moments are RFC 3339 texts in UTC, sizes are bytes, shares are per mille, spans are seconds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

mod from_model;
mod patches;
mod rollout;
mod scan;

pub use patches::{PatchJobBody, PatchesBody, SavingsBody};
pub use rollout::{
    DeviceReason, MemberBody, PhaseBody, PlannedDevice, RolloutBody, RolloutPlan, RolloutRequest,
};
pub use scan::{ScanBody, ScanHostBody, ScanReceipt, SightingBody};

/// A page of a list, in the list's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Items<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give it back as `after` to get the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProductBody {
    /// Names the product.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The boards that its firmware runs on.
    pub boards: Vec<String>,
    /// When the last update comes; absent while no end is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_ends: Option<String>,
    /// `small`, `controlled` or `open`.
    pub exposure: String,
}

/// A firmware as a device names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunningBody {
    /// The SHA-256 digest of the image.
    pub image: String,
    /// Its version.
    pub version: String,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceBody {
    /// Names the device.
    pub id: String,
    /// Its product.
    pub product: String,
    /// Its board.
    pub hardware: String,
    /// `safety-critical`, `mission-critical`, `standard` or `low`.
    pub criticality: String,
    /// `restricted`, `confidential`, `internal` or `public`.
    pub sensitivity: String,
    /// Its network segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// Its last known address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// `enrolled`, `idle`, `updating`, `rolled-back` or `failed`.
    pub state: String,
    /// What last booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<RunningBody>,
    /// What last passed its health checks, by the device's own report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<RunningBody>,
    /// The slot that it runs from: `a` or `b`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// The generation of its newest order.
    pub generation: u64,
    /// When it enrolled.
    pub enrolled_at: String,
    /// When it was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
}

/// A change of a device's profile; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceChange {
    /// The new criticality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criticality: Option<String>,
    /// The new data sensitivity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<String>,
    /// The new segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
}

/// A wish for a one-time enrolment token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentRequest {
    /// The product of the devices that may use it.
    pub product: String,
    /// Their board.
    pub hardware: String,
    /// Their criticality.
    pub criticality: String,
    /// Their data sensitivity.
    pub sensitivity: String,
    /// Their segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// How many devices may use it: 1 to 100,000.
    pub uses: u32,
    /// How long it is good for: 60 to 2,592,000 seconds (30 days).
    pub lifetime_seconds: u64,
}

/// An enrolment token; it is shown once and kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnrolmentToken {
    /// The secret to hand to the device.
    pub token: String,
    /// Until when it is good.
    pub expires: String,
    /// The SHA-256 fingerprint of the device CA, to pin in the device.
    pub ca_fingerprint: String,
}

/// A one-time link that opens the console; it is shown once and kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoginLink {
    /// The path to open on the console's address, with the secret.
    pub url: String,
    /// Until when it is good.
    pub expires: String,
}

/// What the server says of an uploaded image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadReceipt {
    /// The SHA-256 digest: the image's name from now on.
    pub image: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A wish for a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The product.
    pub product: String,
    /// The version.
    pub version: String,
    /// The digest of an uploaded image.
    pub image: String,
}

/// A patch that leads to a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatchBody {
    /// The digest of the image that it applies to.
    pub base: String,
    /// The digest of the patch.
    pub digest: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A lab scenario and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LabRunBody {
    /// The scenario.
    pub scenario: String,
    /// `passed` or `failed`.
    pub outcome: String,
    /// The checks, with what was expected and what was seen.
    pub detail: serde_json::Value,
    /// When it ran.
    pub at: String,
}

/// A release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseBody {
    /// Names the release.
    pub id: String,
    /// The product.
    pub product: String,
    /// The version.
    pub version: String,
    /// The digest of its image.
    pub image: String,
    /// Its release counter.
    pub counter: u64,
    /// `uploaded`, `analysed`, `built`, `proven`, `signed`, `rejected` or `withdrawn`.
    pub state: String,
    /// Why it is in this state.
    pub reason: String,
    /// When it came.
    pub created_at: String,
    /// The size of its image in bytes.
    #[serde(default)]
    pub image_bytes: u64,
    /// How many components it has; absent until it has been analysed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components: Option<u64>,
    /// The patches that lead to it.
    #[serde(default)]
    pub patches: Vec<PatchBody>,
    /// What the lab has seen.
    #[serde(default)]
    pub lab: Vec<LabRunBody>,
    /// What its patches saved; absent while no device has loaded anything for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savings: Option<SavingsBody>,
}

/// A target of the signed metadata: an image or a patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TargetBody {
    /// Its name in the metadata.
    pub name: String,
    /// Its size in bytes.
    pub length: u64,
    /// Its SHA-256 digest.
    pub sha256: String,
    /// The product that it is for.
    pub product: String,
    /// The boards that it runs on.
    pub boards: Vec<String>,
    /// The version of the release.
    pub version: String,
    /// The release counter.
    pub counter: u64,
    /// For a patch: the digest of the image that it applies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// For a patch: the digest of the image that it makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// For an image: the head of its index, by which any device fetches only what it lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexHeadBody>,
}

/// The head of an image's index: a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexHeadBody {
    /// Its size in bytes.
    pub length: u64,
    /// Its SHA-256 digest.
    pub sha256: String,
}

/// What a person with the offline key has to sign: all targets that the server wants to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TargetsToSign {
    /// The version that the next targets metadata must have.
    pub version: u64,
    /// All targets of it, in the order of their names.
    pub targets: Vec<TargetBody>,
    /// The releases that the signature will set free.
    pub releases: Vec<String>,
}

/// What publishing signed targets did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TargetsReceipt {
    /// The version of the targets metadata that devices get from now on.
    pub version: u64,
    /// Until when it is good.
    pub expires: String,
    /// The releases that the signature has set free.
    pub releases: Vec<String>,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportReceipt {
    /// The advisories that were taken, by id.
    pub accepted: Vec<String>,
    /// How many of them were new.
    pub new: u64,
}

/// Time to protected, for one advisory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProtectedBody {
    /// How many devices it affects or affected.
    pub affected: u64,
    /// How many of them are protected.
    pub protected: u64,
    /// How many of those by a patch.
    pub patched: u64,
    /// How many of those by a shield.
    pub shielded: u64,
    /// From the moment it was known to the moment the last device was protected, or until now.
    pub elapsed_seconds: u64,
    /// `done`, `open` or `nobody-affected`.
    pub state: String,
}

/// An advisory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdvisoryBody {
    /// Names it.
    pub id: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// What it says, in one line.
    pub summary: String,
    /// When it was published.
    pub published: String,
    /// When it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
    /// Its CVSS vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvss: Option<String>,
    /// `none`, `public-poc` or `active`.
    pub exploitation: String,
    /// When the server learned of it.
    pub known_at: String,
    /// How far the fleet is protected against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<ProtectedBody>,
}

/// An input of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FactorBody {
    /// The decision point.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Why it has this value.
    pub because: String,
}

/// A case: one weakness on one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CaseBody {
    /// Names the case.
    pub id: String,
    /// The device.
    pub device: String,
    /// The advisory.
    pub advisory: String,
    /// The component, as package URL.
    pub component: String,
    /// Where the component stands in the image.
    pub path: String,
    /// Why the advisory applies.
    pub reason: String,
    /// The first version without the weakness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_in: Option<String>,
    /// `immediate`, `out-of-cycle`, `scheduled` or `defer`.
    pub priority: String,
    /// Until when it must be closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// The row of the decision table.
    pub rule: String,
    /// The inputs of the decision.
    pub factors: Vec<FactorBody>,
    /// When it was opened.
    pub opened_at: String,
    /// `patched` or `shielded`; absent while the device is exposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected_by: Option<String>,
    /// Since when it is protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected_at: Option<String>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertBody {
    /// Names the alert.
    pub id: String,
    /// The device.
    pub device: String,
    /// `new-destination` or `intrusion-rule`.
    pub kind: String,
    /// `suricata` or `zeek`.
    pub sensor: String,
    /// When it happened.
    pub at: String,
    /// The destination.
    pub destination: String,
    /// What was seen, and what is usual.
    pub reason: String,
}

/// A shield.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShieldBody {
    /// Names the shield.
    pub id: String,
    /// The device.
    pub device: String,
    /// `support-ended`, `patch-pending` or `patch-failed`.
    pub reason: String,
    /// The weaknesses that it covers.
    pub advisories: Vec<String>,
    /// `planned`, `verified`, `lifted` or `refused`.
    pub state: String,
    /// Since when.
    pub since: String,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventBody {
    /// When.
    pub at: String,
    /// In which stage of the loop.
    pub stage: String,
    /// The device that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The release that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The rollout that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
    /// What happened.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// Where the fleet stands, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusBody {
    /// The version of the server.
    pub version: String,
    /// All devices.
    pub devices: u64,
    /// Devices heard of within three poll pauses.
    pub online: u64,
    /// Devices with an order that they have not finished.
    pub updating: u64,
    /// Devices with an open case and no protection.
    pub exposed: u64,
    /// Devices behind a shield.
    pub shielded: u64,
    /// How many advisories are known.
    pub advisories: u64,
    /// Problems that need a person, one sentence each.
    pub attention: Vec<String>,
    /// What patches saved, over all updates; absent while no device has loaded anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savings: Option<SavingsBody>,
}
