//! How the watch's baseline and checkpoints are kept: versioned JSON.
//!
//! In: what the store has. Out: what the watch works with. Refuses other versions: the watch then starts to learn anew,
//! which is slow but never wrong.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use warden_model::Timestamp;
use warden_net::Checkpoint;
use warden_watch::{Baseline, Entry, Phase, ProductPhase};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct BaselineForm {
    version: u32,
    phases: Vec<(String, bool, i64)>,
    entries: Vec<(String, String, i64, u64)>,
}

#[derive(Serialize, Deserialize)]
struct CheckpointForm {
    version: u32,
    text: String,
    /// The header lines of a Zeek log: without them its columns mean nothing after a restart.
    #[serde(default)]
    header: Vec<String>,
}

/// Writes a baseline.
pub(super) fn baseline_to(baseline: &Baseline) -> Value {
    let phase =
        |phase: ProductPhase| (phase.product.to_string(), phase.phase == Phase::Watching, phase.since.0);
    let entry = |entry: Entry| {
        (entry.product.to_string(), entry.destination.to_string(), entry.first_seen.0, entry.flows)
    };
    let form = BaselineForm {
        version: VERSION,
        phases: baseline.phases().into_iter().map(phase).collect(),
        entries: baseline.entries().into_iter().map(entry).collect(),
    };
    serde_json::to_value(form).unwrap_or_default()
}

/// Reads a baseline; what cannot be read is forgotten.
pub(super) fn baseline_from(value: &Value) -> Baseline {
    let form = BaselineForm::deserialize(value).ok().filter(|form| form.version == VERSION);
    let Some(form) = form else { return Baseline::default() };
    let phase = |(product, watching, since): (String, bool, i64)| {
        let phase = if watching { Phase::Watching } else { Phase::Learning };
        Some(ProductPhase { product: product.parse().ok()?, phase, since: Timestamp(since) })
    };
    let entry = |(product, destination, first_seen, flows): (String, String, i64, u64)| {
        Some(Entry {
            product: product.parse().ok()?,
            destination: destination.parse().ok()?,
            first_seen: Timestamp(first_seen),
            flows,
        })
    };
    Baseline::from_entries(
        form.phases.into_iter().filter_map(phase),
        form.entries.into_iter().filter_map(entry),
    )
}

/// Writes a checkpoint, with the header lines that the reader has seen.
pub(super) fn checkpoint_to(checkpoint: &Checkpoint, header: &[String]) -> Value {
    let form = CheckpointForm { version: VERSION, text: checkpoint.to_string(), header: header.to_vec() };
    serde_json::to_value(form).unwrap_or_default()
}

/// Reads a checkpoint and the header lines.
pub(super) fn checkpoint_from(value: &Value) -> Option<(Checkpoint, Vec<String>)> {
    let form = CheckpointForm::deserialize(value).ok().filter(|form| form.version == VERSION)?;
    Some((form.text.parse().ok()?, form.header))
}
