//! Patches of a release: from which versions, for how many devices, and how far each is built; and what patches saved.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use warden_model::release::{Patch, PatchJob, PatchState, PatchStep, Release, ReleaseState};
use warden_model::savings::Savings;
use warden_model::{ReleaseId, Sha256Digest};
use warden_store::StoreError;
use warden_wire::rest::{PatchJobBody, PatchesBody};

use super::extract::Named;
use super::releases::find;
use crate::context::{Context, Shared};
use crate::patches::Coverage;
use crate::problem::Answer;

/// Tells how far the patches of a release are built, those for most devices first.
///
/// Where a patch is not built, devices load the full image.
#[utoipa::path(get, path = "/api/v1/releases/{id}/patches", tag = "releases", params(("id" = String, Path)),
    responses((status = 200, body = PatchesBody)))]
pub(super) async fn list(
    State(context): State<Shared>,
    Named(id): Named<ReleaseId>,
) -> Answer<Json<PatchesBody>> {
    let release = find(&context, &id).await?;
    let store = &context.store;
    let jobs = store.patch_jobs_to(&release.image).await?;
    let patches: BTreeMap<Sha256Digest, Patch> =
        store.patches_to(&release.image).await?.into_iter().map(|patch| (patch.base, patch)).collect();
    let field = store.field_versions(&release.product).await?;
    let full = store.firmware(&release.image).await?.map_or(0, |firmware| firmware.size.0);
    let listed = listed(&context);
    let coverage = Coverage::of(&jobs, &field);
    let item = |job: &PatchJob| {
        let patch = patches.get(&job.base).filter(|_| job.state == PatchState::Built);
        body(job, patch, patch.is_some_and(|patch| listed.contains(&patch.digest)))
    };
    Ok(Json(PatchesBody {
        full_bytes: full,
        devices: coverage.devices,
        ready_devices: coverage.ready,
        open: coverage.open,
        items: jobs.iter().map(item).collect(),
    }))
}

fn body(job: &PatchJob, patch: Option<&Patch>, signed: bool) -> PatchJobBody {
    let took = job.started_at.zip(job.ended_at).filter(|_| job.state == PatchState::Built);
    PatchJobBody {
        base: job.base.to_string(),
        version: job.base_version.to_string(),
        devices: job.devices,
        state: job.state.to_string(),
        reason: job.reason.clone(),
        step: job.step.map(|step| step.to_string()),
        step_number: job.step.map(|step| count(step.number())),
        steps: count(PatchStep::ALL.len()),
        attempts: job.attempts,
        digest: patch.map(|patch| patch.digest.to_string()),
        bytes: patch.map(|patch| patch.size.0),
        signed,
        made_millis: took.map(|(began, ended)| u64::try_from(ended.0.saturating_sub(began.0)).unwrap_or(0)),
        wanted_at: job.wanted_at.to_string(),
        started_at: job.started_at.map(|at| at.to_string()),
        again_at: job.again_at.map(|at| at.to_string()),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Returns the digests that the signed metadata lists.
fn listed(context: &Context) -> BTreeSet<Sha256Digest> {
    let listing = context.repository.listing();
    listing.iter().flat_map(|listing| &listing.entries).map(|entry| entry.sha256).collect()
}

/// Returns the patches that were dropped: nobody signs them any more.
pub(super) async fn dropped(context: &Context) -> Result<BTreeSet<(Sha256Digest, Sha256Digest)>, StoreError> {
    let jobs = context.store.patch_jobs_in(PatchState::Dropped).await?;
    Ok(jobs.into_iter().map(|job| (job.base, job.result)).collect())
}

/// Returns the patches to signed releases that came after the signature: devices may not load them before the next one.
/// Beside each release stands how many devices could use them.
pub(super) async fn unsigned(context: &Context) -> Result<Vec<(Release, Vec<Patch>, u64)>, StoreError> {
    let listed = listed(context);
    let mut all = Vec::new();
    for release in context.store.releases().await? {
        // An image that is not listed itself waits for more than its patches.
        if release.state != ReleaseState::Signed || !listed.contains(&release.image) {
            continue;
        }
        let jobs = context.store.patch_jobs_to(&release.image).await?;
        let devices: BTreeMap<Sha256Digest, u64> = jobs
            .iter()
            .filter(|job| job.state == PatchState::Built && job.devices > 0)
            .map(|job| (job.base, job.devices))
            .collect();
        let mut patches = context.store.patches_to(&release.image).await?;
        patches.retain(|patch| devices.contains_key(&patch.base) && !listed.contains(&patch.digest));
        let count = patches.iter().filter_map(|patch| devices.get(&patch.base)).sum();
        if !patches.is_empty() {
            all.push((release, patches, count));
        }
    }
    Ok(all)
}

/// Describes what patches saved; nothing while no device has loaded anything.
pub(super) fn savings(savings: &Savings) -> Option<warden_wire::rest::SavingsBody> {
    (savings.updates > 0).then(|| savings.into())
}
