//! The signed metadata: fetched file by file, believed by `warden_trust`, kept in the device's `trust` folder.
//!
//! In: an address. Out: what the offline keys signed about an image. Refuses: whatever `warden_trust` refuses. The
//! clock that metadata is judged by never steps back under the newest moment of a complete round.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use warden_model::device::Running;
use warden_model::{Sha256Digest, Timestamp};
use warden_trust::repository::{TargetEntry, TargetKind, read_targets};
use warden_trust::verify::{Absence, Need};
use warden_trust::{Role, TrustError, Trusted};

use super::http::Client;
use crate::device::dir::{read_at_most, write_durably};
use crate::driver::now;
use crate::machine::{ImageTarget, IndexTarget, Input, MetadataFailure, PatchTarget, Signed};

/// Most files of one round: the roots that a device may have slept through, and the three others.
const FILES_MAX: u32 = warden_trust::verify::ROOTS_MAX + 8;
/// How often a refused round is tried: metadata that changes while it is fetched looks like an attack for a moment.
const ROUNDS: u32 = 2;

/// Why a round did not end well.
enum Broken {
    Unreachable(anyhow::Error),
    NotTrusted(TrustError),
}

/// Refreshes the metadata and picks what it says about an image.
pub(super) fn signed(client: &Client, base_url: &str, folder: &Path, image: Sha256Digest) -> Input {
    let mut tried = 0;
    loop {
        tried += 1;
        match round(client, base_url, folder) {
            Ok(trusted) => return Input::MetadataFetched(pick(&trusted, image)),
            Err(Broken::NotTrusted(error)) if tried >= ROUNDS => {
                let why = chain(&error);
                tracing::error!("the signed metadata cannot be believed: {why}");
                return Input::MetadataFailed(MetadataFailure::NotTrusted(why));
            }
            Err(Broken::NotTrusted(error)) => tracing::warn!("fetching the metadata anew: {}", chain(&error)),
            Err(Broken::Unreachable(error)) => {
                tracing::warn!("the signed metadata does not come: {error:#}");
                return Input::MetadataFailed(MetadataFailure::Unreachable);
            }
        }
    }
}

fn chain(error: &TrustError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Checks a root that a device is to trust from the factory on, and keeps it.
pub fn pin_root(folder: &Path, root: &[u8]) -> Result<()> {
    Trusted::start(root, now()).context("the root metadata cannot be trusted")?;
    write_durably(&folder.join("root.json"), root)
}

fn round(client: &Client, base_url: &str, folder: &Path) -> Result<Trusted, Broken> {
    let floor = time_floor(folder);
    let at = || now().max(floor);
    let mut trusted = resume(folder, at())?;
    for _ in 0..FILES_MAX {
        let Some(need) = trusted.needs() else {
            keep_time(folder, at()).map_err(Broken::Unreachable)?;
            return Ok(trusted);
        };
        let file = fetch(client, base_url, &need).map_err(Broken::Unreachable)?;
        let taken = match (need.role, file, need.absence) {
            (Role::Root, Some(bytes), _) => trusted.update_root(&bytes, at()),
            (Role::Timestamp, Some(bytes), _) => trusted.update_timestamp(&bytes, at()),
            (Role::Snapshot, Some(bytes), _) => trusted.update_snapshot(&bytes, at()),
            (Role::Targets, Some(bytes), _) => trusted.update_targets(&bytes, at()),
            (_, None, Absence::NoNewerRoot) => trusted.no_newer_root(at()),
            (_, None, Absence::Failure) => {
                return Err(Broken::Unreachable(anyhow::anyhow!("the server has no {}", need.file)));
            }
        };
        taken.map_err(Broken::NotTrusted)?;
        persist(folder, &trusted).map_err(Broken::Unreachable)?;
    }
    Err(Broken::Unreachable(anyhow::anyhow!("the round did not end after {FILES_MAX} files")))
}

fn resume(folder: &Path, at: Timestamp) -> Result<Trusted, Broken> {
    let file = |role: Role| read_at_most(&folder.join(format!("{role}.json")), role.bytes_max().0);
    let root = file(Role::Root)
        .context("this device has no pinned root\nhint: `fleetwarden-agent factory --root FILE` pins one")
        .map_err(Broken::Unreachable)?;
    let [timestamp, snapshot, targets] =
        [Role::Timestamp, Role::Snapshot, Role::Targets].map(|role| file(role).ok());
    Trusted::resume(&root, timestamp.as_deref(), snapshot.as_deref(), targets.as_deref(), at)
        .map_err(Broken::NotTrusted)
}

/// Gets a file; nothing when the server says that there is none. One byte above the limit is handed on, so that
/// `warden_trust` can name the attack.
fn fetch(client: &Client, base_url: &str, need: &Need) -> Result<Option<Vec<u8>>> {
    let answer = client.get(&format!("{base_url}{}", need.file), need.bytes_max.0)?;
    match answer.status {
        200 => Ok(Some(answer.body)),
        404 => Ok(None),
        status => anyhow::bail!("{} is answered with status {status}", need.file),
    }
}

fn persist(folder: &Path, trusted: &Trusted) -> Result<()> {
    let kept = trusted.persisted();
    let files = [
        (Role::Root, Some(kept.root)),
        (Role::Timestamp, kept.timestamp),
        (Role::Snapshot, kept.snapshot),
        (Role::Targets, kept.targets),
    ];
    for (role, bytes) in files {
        let path = folder.join(format!("{role}.json"));
        match bytes {
            Some(bytes) if fs::read(&path).is_ok_and(|stored| stored == bytes) => {}
            Some(bytes) => write_durably(&path, bytes)?,
            None if path.exists() => fs::remove_file(&path).context("forget metadata of changed keys")?,
            None => {}
        }
    }
    Ok(())
}

fn time_floor(folder: &Path) -> Timestamp {
    let text = read_at_most(&folder.join("time-floor"), 64).unwrap_or_default();
    // A floor that cannot be read is none: the metadata itself still cannot go back.
    let millis = String::from_utf8_lossy(&text).trim().parse().unwrap_or(0);
    Timestamp(millis)
}

fn keep_time(folder: &Path, at: Timestamp) -> Result<()> {
    write_durably(&folder.join("time-floor"), format!("{}\n", at.0).as_bytes())
}

fn pick(trusted: &Trusted, image: Sha256Digest) -> Signed {
    // All targets, not only those for this board: a signed image for another one is refused by its right name.
    let listed = trusted.persisted().targets.and_then(|bytes| read_targets(bytes).ok());
    let entries = listed.map(|listing| listing.entries).unwrap_or_default();
    let indexes = entries.iter().filter_map(index_target).collect();
    let image_entry =
        entries.into_iter().find(|entry| entry.sha256 == image && entry.about.kind == TargetKind::Image);
    Signed {
        image: image_entry.map(image_target),
        patches: trusted.patches_to(&image).iter().filter_map(patch_target).collect(),
        indexes,
    }
}

fn index_target(entry: &TargetEntry) -> Option<IndexTarget> {
    let head = entry.about.index.filter(|_| entry.about.kind == TargetKind::Image)?;
    Some(IndexTarget { image: entry.sha256, head: head.sha256, size: head.length })
}

fn image_target(entry: TargetEntry) -> ImageTarget {
    ImageTarget {
        running: Running { image: entry.sha256, version: entry.about.version },
        size: entry.length,
        product: entry.about.product,
        hardware: entry.about.hardware_ids.into_iter().collect(),
        release_counter: entry.about.release_counter,
    }
}

fn patch_target(entry: &TargetEntry) -> Option<PatchTarget> {
    match entry.about.kind {
        TargetKind::Patch { base, .. } => {
            Some(PatchTarget { digest: entry.sha256, size: entry.length, base })
        }
        TargetKind::Image => None,
    }
}
