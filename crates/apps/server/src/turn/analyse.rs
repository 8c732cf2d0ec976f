//! Analyse: an uploaded image becomes a component list and a bill of materials.

use std::io::BufReader;

use anyhow::{Context as _, Result};
use warden_analyse::{Analysis, Limits, Subject};
use warden_model::release::{Release, ReleaseState};
use warden_model::{Stage, Timestamp};
use warden_store::Write;

use super::{advance, release_event, releases_in};
use crate::context::Shared;

/// Analyses every release that has been uploaded.
pub(super) async fn run(context: &Shared, now: Timestamp) -> Result<()> {
    for release in releases_in(context, ReleaseState::Uploaded).await? {
        one(context, &release, now).await.with_context(|| format!("analyse {}", release.id))?;
    }
    Ok(())
}

async fn one(context: &Shared, release: &Release, now: Timestamp) -> Result<()> {
    let (file, size) = context.artifacts.open_read(&release.image).context("open the image")?;
    let mut limits = Limits::default();
    limits.image_bytes_max = limits.image_bytes_max.max(size);
    let result =
        tokio::task::spawn_blocking(move || warden_analyse::analyse(Box::new(BufReader::new(file)), &limits))
            .await
            .context("wait for the analysis")?;
    match result {
        Ok(analysis) => keep(context, release, &analysis, now).await,
        Err(error) => {
            let reason = format!("the image cannot be taken apart: {}", crate::problem::chain(&error));
            let event = release_event(now, Stage::Analyse, &release.id, "release rejected", reason);
            let step = (ReleaseState::Uploaded, ReleaseState::Rejected);
            advance(context, &release.id, step, event, Vec::new()).await.context("reject the release")
        }
    }
}

async fn keep(context: &Shared, release: &Release, analysis: &Analysis, now: Timestamp) -> Result<()> {
    let Some(mut firmware) = context.store.firmware(&release.image).await? else {
        anyhow::bail!("the firmware {} is not known", release.image);
    };
    let subject = Subject {
        product: release.product.to_string(),
        version: release.version.to_string(),
        image: release.image,
    };
    let sbom = warden_analyse::sbom(analysis, &subject, now);
    firmware.components = Some(analysis.components.clone());
    let event = release_event(now, Stage::Analyse, &release.id, "image analysed", analysis.summary());
    let writes = vec![
        Write::Firmware(firmware),
        Write::Setting { key: format!("sbom/{}", release.image), value: sbom },
    ];
    let step = (ReleaseState::Uploaded, ReleaseState::Analysed);
    advance(context, &release.id, step, event, writes).await.context("keep the analysis")
}
