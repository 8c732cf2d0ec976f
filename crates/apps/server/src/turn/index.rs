//! Delta, for devices that no patch fits: the index of every release, by which a device fetches only what it lacks.
//!
//! In: releases whose image is fit to go out. Out: the parts of their indexes among the artifacts, and where they belong
//! in the settings: `index/<image>` tells the head, or why there is none; `index-part/<part>` tells whose part it is.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tracing::info;
use warden_delta::index::{IndexLimits, MadeIndex, make_index};
use warden_model::release::{Release, ReleaseState};
use warden_model::{ByteCount, PerMille, Sha256Digest, Stage, Timestamp};
use warden_store::{Artifacts, StoreError, Write};
use warden_trust::repository::FilePin;

use super::{Failures, release_event};
use crate::context::Shared;

/// Makes the indexes that are missing. Releases that were signed without one get theirs with the next signature.
pub(crate) async fn run(context: &Shared, now: Timestamp) -> Result<()> {
    let mut failures = Failures::default();
    for release in context.store.releases().await? {
        let wanted = match release.state {
            ReleaseState::Analysed | ReleaseState::Built | ReleaseState::Proven | ReleaseState::Signed => {
                true
            }
            ReleaseState::Uploaded | ReleaseState::Rejected | ReleaseState::Withdrawn => false,
        };
        if wanted && context.store.setting(&key(&release.image)).await?.is_none() {
            let done = one(context, &release, now).await;
            failures.note(done.with_context(|| format!("make the index of {}", release.id)));
        }
    }
    failures.end()
}

/// Returns the head of an image's index, if there is one.
pub(crate) async fn index_of(context: &Shared, image: &Sha256Digest) -> Result<Option<FilePin>, StoreError> {
    let stored = context.store.setting(&key(image)).await?;
    Ok(stored.as_ref().and_then(|stored| {
        let length = ByteCount(stored.get("length")?.as_u64()?);
        Some(FilePin { length, sha256: stored.get("head")?.as_str()?.parse().ok()? })
    }))
}

/// Returns the image to whose index a part belongs.
pub(crate) async fn image_of_part(
    context: &Shared,
    part: &Sha256Digest,
) -> Result<Option<Sha256Digest>, StoreError> {
    let stored = context.store.setting(&part_key(part)).await?;
    Ok(stored.as_ref().and_then(Value::as_str).and_then(|image| image.parse().ok()))
}

fn key(image: &Sha256Digest) -> String {
    format!("index/{image}")
}

fn part_key(part: &Sha256Digest) -> String {
    format!("index-part/{part}")
}

async fn one(context: &Shared, release: &Release, now: Timestamp) -> Result<()> {
    let image = release.image;
    let at_work = context.clone();
    let built = tokio::task::spawn_blocking(move || build(&at_work.artifacts, &image));
    let (what, reason, mut writes) = match built.await.context("wait for the index")?? {
        Built::Made(made) => {
            let (length, head) = (made.head.len(), warden_trust::sha256(&made.head));
            let parts = [made.about.map, made.about.list, made.about.content];
            let fixed = made.about.fixed_bytes();
            let share = PerMille::of(made.about.content.size.0, made.about.image_size.0);
            let reason = format!(
                "any device may fetch what it lacks of it: {fixed} tell what there is, all content packed has {} ({share})",
                made.about.content.size
            );
            let mut writes: Vec<Write> =
                parts.iter().map(|part| setting(part_key(&part.digest), json!(image.to_string()))).collect();
            writes.push(setting(key(&image), json!({ "length": length, "head": head.to_string() })));
            ("index made", reason, writes)
        }
        Built::None(why) => (
            "no index",
            format!("devices without a patch load the full image, because {why}"),
            vec![setting(key(&image), json!({ "none": why }))],
        ),
    };
    info!(release = %release.id, reason, what);
    writes.push(Write::Event(release_event(now, Stage::Delta, &release.id, what, reason)));
    context.store.commit(&writes).await.context("keep the index")
}

fn setting(key: String, value: Value) -> Write {
    Write::Setting { key, value }
}

enum Built {
    Made(Box<MadeIndex>),
    None(String),
}

/// Makes an index and keeps its parts among the artifacts.
fn build(artifacts: &Artifacts, image: &Sha256Digest) -> Result<Built> {
    let (mut file, size) = artifacts.open_read(image).context("open the image")?;
    let limits = IndexLimits::default();
    if size > limits.image_bytes_max {
        let most = limits.image_bytes_max;
        return Ok(Built::None(format!("an image of {size} is beyond the {most} that an index is made of")));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size.0).unwrap_or(0));
    file.read_to_end(&mut bytes).context("read the image")?;
    match make_index(&bytes, &limits) {
        Ok(made) => {
            for part in [&made.head, &made.map, &made.list, &made.content] {
                let mut writer = artifacts.create().context("keep the index")?;
                writer.write(part).context("keep the index")?;
                writer.finish().context("keep the index")?;
            }
            Ok(Built::Made(Box::new(made)))
        }
        Err(error) => Ok(Built::None(crate::problem::chain(&error))),
    }
}
