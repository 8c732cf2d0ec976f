//! Brings the queue up to date with the fleet: new wishes, numbers of devices, what nobody needs any more.
//!
//! In: a product, and `now`. Out: the queue as it should be, in one transaction. Refuses to remove a patch that the signed
//! metadata lists: a device that is told of it must be able to load it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use tracing::info;
use warden_model::event::Event;
use warden_model::release::{PatchJob, PatchState, Release, ReleaseState};
use warden_model::{ByteCount, ProductId, Sha256Digest, Stage, Timestamp};
use warden_store::{StoreError, Write};

use super::queue::{Want, wants};
use crate::context::{Context, Shared};

/// What building takes, in sizes of the larger image: up to 8.3 were measured (a SquashFS with XZ, which is unpacked).
const MEMORY_FACTOR: u64 = 9;

/// The setting that counts the patches that were dropped, and their bytes.
pub(crate) const DROPPED: &str = "patches/dropped";

type Pair = (Sha256Digest, Sha256Digest);

/// Brings the queue of a product up to date. Does nothing where nothing has changed.
pub(crate) async fn refresh(context: &Shared, product: &ProductId, now: Timestamp) -> Result<()> {
    let _one_at_a_time = context.patches.lock.lock().await;
    let store = &context.store;
    let releases = store.releases_of(product).await?;
    if releases.is_empty() {
        return Ok(());
    }
    let active: BTreeSet<_> =
        store.active_rollouts().await?.into_iter().map(|rollout| rollout.release).collect();
    let field = store.field_versions(product).await?;
    let mut wanted: BTreeMap<Pair, Want> = wants(&releases, &active, &field)
        .into_iter()
        .map(|want| ((want.result, want.base.image), want))
        .collect();
    let running: BTreeMap<Sha256Digest, u64> =
        field.iter().fold(BTreeMap::new(), |mut all, (running, devices)| {
            *all.entry(running.image).or_insert(0) += devices;
            all
        });
    let mut writes = Vec::new();
    for job in store.patch_jobs_of(product).await? {
        if let Some(want) = wanted.remove(&(job.result, job.base)) {
            writes.extend(still_wanted(context, job, &want).await?);
        } else {
            let devices = running.get(&job.base).copied().unwrap_or(0);
            writes.extend(not_wanted(context, job, (devices, &releases), now).await?);
        }
    }
    for want in wanted.into_values() {
        writes.push(Write::PatchJob(new_job(context, product, &want, now).await?));
    }
    if writes.is_empty() {
        return Ok(());
    }
    store.commit(&writes).await.context("keep the queue of patches")
}

/// Returns where a patch stands that is not built: why it cannot be, or that it waits.
fn stand(context: &Context, base: Sha256Digest, result: Sha256Digest) -> (PatchState, String) {
    let size = |image| context.artifacts.open_read(&image).map(|(_, size)| size);
    let Ok(base) = size(base) else {
        return (
            PatchState::NoBase,
            "the image that these devices run is not among the artifacts".to_owned(),
        );
    };
    // The image of a release that is there was checked when the release was made; without it nothing can be built.
    let Ok(result) = size(result) else {
        return (PatchState::NoBase, "the image of the release is not among the artifacts".to_owned());
    };
    let (need, limit) = (memory_for(base.max(result)), context.config.patches.memory);
    if need > limit {
        let reason = format!(
            "building it would take about {need} of memory, and the server may spend {limit} (serve.patch-memory)"
        );
        return (PatchState::TooLarge, reason);
    }
    (PatchState::Waiting, "it waits for its turn".to_owned())
}

/// Returns what building a patch takes at most, for the larger image.
pub(super) fn memory_for(image: ByteCount) -> ByteCount {
    ByteCount(image.0.saturating_mul(MEMORY_FACTOR))
}

/// Returns the largest image that a patch can be built for in so much memory.
pub(super) fn image_for(memory: ByteCount) -> ByteCount {
    ByteCount(memory.0 / MEMORY_FACTOR)
}

async fn new_job(
    context: &Context,
    product: &ProductId,
    want: &Want,
    now: Timestamp,
) -> Result<PatchJob, StoreError> {
    let (base, result) = (want.base.image, want.result);
    let (state, reason) = match context.store.patch(&base, &result).await? {
        Some(patch) if context.artifacts.exists(&patch.digest) => {
            (PatchState::Built, "it was built before".to_owned())
        }
        Some(_) | None => stand(context, base, result),
    };
    Ok(PatchJob {
        base,
        base_version: want.base.version.clone(),
        result,
        product: product.clone(),
        devices: want.devices,
        state,
        step: None,
        attempts: 0,
        reason,
        wanted_at: now,
        started_at: None,
        ended_at: None,
        again_at: None,
        unused_since: None,
    })
}

/// Brings a patch up to date that is wanted.
async fn still_wanted(context: &Context, job: PatchJob, want: &Want) -> Result<Option<Write>, StoreError> {
    let mut after = PatchJob { devices: want.devices, unused_since: None, ..job.clone() };
    match job.state {
        PatchState::Building | PatchState::NotSmaller | PatchState::Failed => {}
        // After a failure the reason says what failed.
        PatchState::Waiting if job.again_at.is_some() => {}
        PatchState::Waiting | PatchState::NoBase | PatchState::TooLarge => {
            (after.state, after.reason) = stand(context, job.base, job.result);
        }
        PatchState::Built | PatchState::Dropped => {
            let patch = context.store.patch(&job.base, &job.result).await?;
            if patch.is_some_and(|patch| context.artifacts.exists(&patch.digest)) {
                if job.state == PatchState::Dropped {
                    (after.state, after.reason) = (PatchState::Built, "it was built before".to_owned());
                }
            } else {
                (after.state, after.reason) = stand(context, job.base, job.result);
            }
        }
    }
    Ok((after != job).then_some(Write::PatchJob(after)))
}

/// Puts a patch aside that nobody wants at present; drops it when no device has run its base for long.
async fn not_wanted(
    context: &Context,
    job: PatchJob,
    (devices, releases): (u64, &[Release]),
    now: Timestamp,
) -> Result<Vec<Write>> {
    let (base, result) = (job.base, job.result);
    let taken_back =
        |release: &Release| matches!(release.state, ReleaseState::Withdrawn | ReleaseState::Rejected);
    let target = releases.iter().find(|release| release.image == result);
    match job.state {
        // Whoever builds it keeps or forgets it at the end.
        PatchState::Building => return Ok(Vec::new()),
        PatchState::Waiting | PatchState::NoBase | PatchState::TooLarge => {
            return Ok(vec![Write::RemovePatchJob { base, result }]);
        }
        PatchState::Dropped => return remove(context, &job).await,
        PatchState::Built | PatchState::NotSmaller | PatchState::Failed => {}
    }
    let is_used = devices > 0 && !target.is_none_or(taken_back);
    let unused_since = if is_used { None } else { job.unused_since.or(Some(now)) };
    let after = PatchJob { devices, unused_since, ..job.clone() };
    let keep = context.config.patches.keep;
    if unused_since.is_none_or(|since| now < since.plus(keep)) {
        return Ok(if after == job { Vec::new() } else { vec![Write::PatchJob(after)] });
    }
    if job.state != PatchState::Built {
        return Ok(vec![Write::RemovePatchJob { base, result }]);
    }
    let reason = format!("from {}: no device has run it for {keep}", job.base_version);
    info!(product = %job.product, reason, "patch dropped");
    let event = Event {
        at: now,
        stage: Stage::Delta,
        device: None,
        release: target.map(|release| release.id.clone()),
        rollout: None,
        what: "patch dropped".to_owned(),
        reason: reason.clone(),
    };
    Ok(vec![Write::PatchJob(PatchJob { state: PatchState::Dropped, reason, ..after }), Write::Event(event)])
}

/// Removes a patch that was dropped, as soon as the signed metadata does not list it any more; the file first, so that a
/// crash in between is made good by the next turn.
async fn remove(context: &Context, job: &PatchJob) -> Result<Vec<Write>> {
    let (base, result) = (job.base, job.result);
    let gone = Write::RemovePatch { base, result };
    let Some(patch) = context.store.patch(&base, &result).await? else { return Ok(vec![gone]) };
    let listing = context.repository.listing();
    let is_listed =
        listing.is_some_and(|listing| listing.entries.iter().any(|entry| entry.sha256 == patch.digest));
    if is_listed {
        return Ok(Vec::new());
    }
    if context.store.patches_with(&patch.digest).await? <= 1 {
        context.artifacts.remove(&patch.digest).context("remove a patch that was dropped")?;
    }
    let before = context.store.setting(DROPPED).await?.unwrap_or_default();
    let count = |name: &str| before.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let value = serde_json::json!({
        "patches": count("patches").saturating_add(1),
        "bytes": count("bytes").saturating_add(patch.size.0),
    });
    Ok(vec![gone, Write::Setting { key: DROPPED.to_owned(), value }])
}
