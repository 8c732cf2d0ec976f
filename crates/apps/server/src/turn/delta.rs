//! Delta: patches from every version in the field to a release, the most common version first.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use tracing::info;
use warden_delta::{Made, MakeLimits};
use warden_model::release::{Patch, Release, ReleaseState};
use warden_model::{ByteCount, PerMille, Sha256Digest, Stage, Timestamp};
use warden_store::{Artifacts, Write};

use super::{Failures, advance, release_event, releases_in};
use crate::context::Shared;

/// Builds the patches of every release that has been analysed.
pub(super) async fn run(context: &Shared, now: Timestamp) -> Result<()> {
    let mut failures = Failures::default();
    for release in releases_in(context, ReleaseState::Analysed).await? {
        let done = one(context, &release, now).await;
        failures.note(done.with_context(|| format!("build patches to {}", release.id)));
    }
    failures.end()
}

async fn one(context: &Shared, release: &Release, now: Timestamp) -> Result<()> {
    let mut said = Vec::new();
    let mut writes = Vec::new();
    for (base, devices) in context.store.field_versions(&release.product).await? {
        if base.image == release.image || context.store.patch(&base.image, &release.image).await?.is_some() {
            continue;
        }
        let (from, to) = (base.image, release.image);
        let context = context.clone();
        let built = tokio::task::spawn_blocking(move || build(&context.artifacts, from, to));
        let (sentence, patch) = built.await.context("wait for the patch")??;
        info!(release = %release.id, from = %base.version, devices, sentence, "patch built");
        said.push(format!("from {}: {sentence}", base.version));
        writes.extend(patch.map(Write::Patch));
    }
    let reason = if said.is_empty() {
        "no other version is in the field, so there is nothing to patch from".to_owned()
    } else {
        said.join("; ")
    };
    let event = release_event(now, Stage::Delta, &release.id, "patches built", reason);
    advance(context, &release.id, (ReleaseState::Analysed, ReleaseState::Built), event, writes)
        .await
        .context("keep the patches")
}

/// Makes one patch and keeps it among the artifacts; says in a few words what came out.
fn build(artifacts: &Artifacts, from: Sha256Digest, to: Sha256Digest) -> Result<(String, Option<Patch>)> {
    if !artifacts.exists(&from) {
        return Ok(("full image, because the old one is not among the artifacts".to_owned(), None));
    }
    let limits = MakeLimits::default();
    let (base, result) = (read(artifacts, &from)?, read(artifacts, &to)?);
    match warden_delta::make(&base, &result, &limits) {
        Ok(Made::Patch(bytes)) => {
            let mut writer = artifacts.create().context("keep the patch")?;
            writer.write(&bytes).context("keep the patch")?;
            let stored = writer.finish().context("keep the patch")?;
            let full = u64::try_from(result.len()).unwrap_or(u64::MAX);
            let share = PerMille::of(stored.size.0, full);
            let sentence = format!("{} instead of {} ({share})", stored.size, ByteCount(full));
            let patch = Patch { base: from, result: to, digest: stored.digest, size: stored.size };
            Ok((sentence, Some(patch)))
        }
        Ok(Made::FullIsSmaller { patch, full }) => {
            Ok((format!("full image of {full}, because the patch would take {patch}"), None))
        }
        // An image beyond the codec's limits is no failure of the release: it goes out whole.
        Err(error) => Ok((format!("full image, because {}", crate::problem::chain(&error)), None)),
    }
}

fn read(artifacts: &Artifacts, digest: &Sha256Digest) -> Result<Vec<u8>> {
    let (mut file, size) = artifacts.open_read(digest).with_context(|| format!("open the image {digest}"))?;
    let mut bytes = Vec::with_capacity(usize::try_from(size.0).unwrap_or(0));
    file.read_to_end(&mut bytes).with_context(|| format!("read the image {digest}"))?;
    Ok(bytes)
}
