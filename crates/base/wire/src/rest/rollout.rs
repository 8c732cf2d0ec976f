//! REST types of rollouts: wishes, plans, phases, members.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::SavingsBody;

/// A wish for a rollout, or for its plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutRequest {
    /// The release.
    pub release: String,
    /// The phases in one line, for instance `canary=1, early=25%, rest; success=100%; error=34%; soak=30s`; absent means
    /// the canary preset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phases: Option<String>,
    /// When updates may start, each day, in UTC: for instance `22:00-02:00`; absent means at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// Which devices, in the filter language; absent means all of the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// A device and a sentence about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceReason {
    /// The device.
    pub device: String,
    /// The sentence.
    pub reason: String,
}

/// A device and its place in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedDevice {
    /// The device.
    pub device: String,
    /// The name of its phase.
    pub phase: String,
    /// Why it is in this phase.
    pub reason: String,
    /// How many bytes it will load.
    pub bytes: u64,
}

/// What a rollout would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutPlan {
    /// Who takes part, and when.
    pub devices: Vec<PlannedDevice>,
    /// Who does not, and why.
    pub left_out: Vec<DeviceReason>,
    /// What the plan linter has to say.
    pub warnings: Vec<String>,
    /// What would be sent, with patches.
    pub bytes: u64,
    /// What would be sent without patches.
    pub full_bytes: u64,
}

/// A phase and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PhaseBody {
    /// What people call it.
    pub name: String,
    /// How many devices it has.
    pub devices: u64,
    /// How many wait.
    pub waiting: u64,
    /// How many are at it.
    pub updating: u64,
    /// How many are healthy on the new image, by their own report.
    pub healthy: u64,
    /// How many turned back or failed.
    pub failed: u64,
    /// The share of healthy devices that lets the next phase start, per mille.
    pub success_per_mille: u16,
    /// The share of failed devices that halts the rollout, per mille.
    pub error_per_mille: u16,
    /// How long it must stay good.
    pub soak_seconds: u64,
}

/// A device in a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberBody {
    /// The device.
    pub device: String,
    /// The name of its phase.
    pub phase: String,
    /// Where it stands.
    pub state: String,
    /// Since when.
    pub since: String,
    /// The order that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<u64>,
    /// What the update cost to download, in bytes, by its own report.
    #[serde(default)]
    pub downloaded_bytes: u64,
    /// What the full image would have cost, in bytes.
    #[serde(default)]
    pub full_bytes: u64,
    /// How the bytes came: `full`, `patch`, `index` or `kept`; absent until the device has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<String>,
    /// How long loading took, in milliseconds.
    #[serde(default)]
    pub loading_millis: u64,
    /// How long it took to write the slot from what was loaded, in milliseconds.
    #[serde(default)]
    pub applying_millis: u64,
}

/// A rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutBody {
    /// Names the rollout.
    pub id: String,
    /// The release.
    pub release: String,
    /// `draft`, `running`, `paused`, `halted`, `rolling-back`, `rolled-back` or `finished`.
    pub state: String,
    /// Why it stands there.
    pub reason: String,
    /// The index of the phase that runs, from 0.
    pub phase: u64,
    /// The phases.
    pub phases: Vec<PhaseBody>,
    /// The generation of its newest order.
    pub generation: u64,
    /// When it was made.
    pub created_at: String,
    /// The devices; only when one rollout is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberBody>,
    /// What patches saved; only when one rollout is asked for, and absent while no device has loaded anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savings: Option<SavingsBody>,
}
