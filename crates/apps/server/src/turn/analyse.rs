//! Analyse: an uploaded image becomes a component list and a bill of materials.

use std::fs::File;
use std::io::{self, BufReader, Read};

use anyhow::{Context as _, Result};
use warden_analyse::{AnalyseError, Analysis, Entry, Limits, Subject};
use warden_model::release::{Release, ReleaseState};
use warden_model::{Stage, Timestamp};
use warden_store::Write;

use super::{Failures, advance, release_event, releases_in};
use crate::context::Shared;

/// Analyses every release that has been uploaded.
pub(super) async fn run(context: &Shared, now: Timestamp) -> Result<()> {
    let mut failures = Failures::default();
    for release in releases_in(context, ReleaseState::Uploaded).await? {
        let done = one(context, &release, now).await;
        failures.note(done.with_context(|| format!("analyse {}", release.id)));
    }
    failures.end()
}

async fn one(context: &Shared, release: &Release, now: Timestamp) -> Result<()> {
    let (file, size) = context.artifacts.open_read(&release.image).context("open the image")?;
    let mut limits = Limits::default();
    limits.image_bytes_max = limits.image_bytes_max.max(size);
    let result = tokio::task::spawn_blocking(move || look(&file, &limits));
    let result = result.await.context("wait for the analysis")?;
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

/// Analyses an image, and walks it once more as a device does that unpacks it: what an analysis only lists, a hostile
/// path or a damaged file, is an image that no device would take. Images that are flashed as they are (for instance UBI)
/// are not walked: no device unpacks them.
fn look(image: &File, limits: &Limits) -> Result<Analysis, AnalyseError> {
    let analysis = warden_analyse::analyse(Box::new(BufReader::new(image)), limits)?;
    let mut read = |_: &Entry, content: &mut dyn Read| io::copy(content, &mut io::sink()).map(drop);
    match warden_analyse::visit(Box::new(BufReader::new(image)), limits, &mut read) {
        Ok(()) | Err(AnalyseError::UnknownFormat { .. }) => Ok(analysis),
        Err(error) => Err(error),
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
