//! Delta: a release goes on once the patches are ready that most devices need. They are built elsewhere, in the background.

use anyhow::{Context as _, Result};
use warden_model::release::{PatchState, Release, ReleaseState};
use warden_model::{Stage, Timestamp};
use warden_store::Write;

use super::{Failures, advance, release_event, releases_in};
use crate::context::Shared;
use crate::patches::{Readiness, readiness, refresh, told};

/// Lets every analysed release go on whose patches are ready.
pub(super) async fn run(context: &Shared, now: Timestamp) -> Result<()> {
    let mut failures = Failures::default();
    for release in releases_in(context, ReleaseState::Analysed).await? {
        let done = one(context, &release, now).await;
        failures.note(done.with_context(|| format!("build patches to {}", release.id)));
    }
    failures.end()
}

async fn one(context: &Shared, release: &Release, now: Timestamp) -> Result<()> {
    // The queue may not know of the release yet.
    refresh(context, &release.product, now).await?;
    let mut jobs = context.store.patch_jobs_to(&release.image).await?;
    jobs.retain(|job| job.state != PatchState::Dropped);
    let field = context.store.field_versions(&release.product).await?;
    let why = match readiness(&jobs, &field, &context.config.patches, now) {
        Readiness::Goes(why) => why,
        Readiness::Waits(why) => {
            context.patches.wake.notify_one();
            return say(context, release, why).await;
        }
    };
    let reason = match told(&jobs) {
        none if none.is_empty() => {
            "no other version is in the field, so there is nothing to patch from".to_owned()
        }
        each => format!("{each}; {why}"),
    };
    let event = release_event(now, Stage::Delta, &release.id, "patches built", reason);
    advance(context, &release.id, (ReleaseState::Analysed, ReleaseState::Built), event, Vec::new())
        .await
        .context("let the release go on")
}

/// Keeps for what the release waits.
async fn say(context: &Shared, release: &Release, why: String) -> Result<()> {
    let _deciding = context.deciding.lock().await;
    let Some(present) = context.store.release(&release.id).await? else { return Ok(()) };
    if present.state != ReleaseState::Analysed || present.reason == why {
        return Ok(());
    }
    Ok(context.store.commit(&[Write::Release(Release { reason: why, ..present })]).await?)
}
