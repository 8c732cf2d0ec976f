//! REST types of patches: how far they are built, and what they saved.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warden_model::report::Way;
use warden_model::savings::Savings;

/// A patch to a release, and where its building stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatchJobBody {
    /// The digest of the image that it applies to.
    pub base: String,
    /// The version of that image.
    pub version: String,
    /// How many devices run it.
    pub devices: u64,
    /// `waiting`, `building`, `built`, `not-smaller`, `no-base`, `too-large`, `failed` or `dropped`.
    pub state: String,
    /// Why it stands there.
    pub reason: String,
    /// What is being done: `reading`, `unpacking`, `matching`, `coding` or `checking`; only while it is being built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The number of that step, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_number: Option<u64>,
    /// How many steps there are.
    pub steps: u64,
    /// How often it was begun.
    pub attempts: u32,
    /// The digest of the patch; only when it is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its size in bytes; only when it is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Whether the signed metadata lists it: devices load it only then.
    pub signed: bool,
    /// How long building it took, in milliseconds; only when that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_millis: Option<u64>,
    /// Since when it is wanted.
    pub wanted_at: String,
    /// When it was last begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it is tried again, after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_at: Option<String>,
}

/// How far the patches of a release are built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatchesBody {
    /// The size of the full image in bytes.
    pub full_bytes: u64,
    /// How many devices of the product have told what they run.
    pub devices: u64,
    /// Those whose patch is ready, will not come, or is not needed.
    pub ready_devices: u64,
    /// How many patches are still to be built.
    pub open: u64,
    /// The patches, those for most devices first.
    pub items: Vec<PatchJobBody>,
}

/// What updates saved that did not load the full image; summed over the devices' own reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SavingsBody {
    /// How many updates count.
    pub updates: u64,
    /// Those that loaded the full image.
    pub by_full_image: u64,
    /// Those that loaded a patch.
    pub by_patch: u64,
    /// Those that loaded missing parts by an index.
    pub by_index: u64,
    /// Those whose image lay in the other slot already.
    pub by_kept_image: u64,
    /// What they loaded, in bytes.
    pub loaded_bytes: u64,
    /// What full images would have taken, in bytes.
    pub full_bytes: u64,
    /// What they did not have to load, in bytes.
    pub saved_bytes: u64,
    /// The share of that, per mille.
    pub saved_per_mille: u16,
    /// How long they loaded, in milliseconds.
    pub loading_millis: u64,
    /// How long slots were written from what was loaded, in milliseconds.
    pub applying_millis: u64,
    /// How much longer full images would have loaded, in milliseconds, at the rates that the devices measured.
    pub saved_millis: u64,
    /// From how many updates that is known; the others loaded too little to measure a rate.
    pub measured: u64,
    /// All of it in one sentence.
    pub summary: String,
}

impl From<&Savings> for SavingsBody {
    fn from(savings: &Savings) -> Self {
        let by = |way: Way| savings.ways.get(&way).copied().unwrap_or(0);
        Self {
            updates: savings.updates,
            by_full_image: by(Way::Full),
            by_patch: by(Way::Patch),
            by_index: by(Way::Index),
            by_kept_image: by(Way::Kept),
            loaded_bytes: savings.loaded.0,
            full_bytes: savings.full.0,
            saved_bytes: savings.saved().0,
            saved_per_mille: savings.share().get(),
            loading_millis: savings.loading_millis,
            applying_millis: savings.applying_millis,
            saved_millis: savings.saved_millis,
            measured: savings.measured,
            summary: savings.to_string(),
        }
    }
}
