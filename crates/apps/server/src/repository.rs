//! The image repository on the server's disk: signed metadata that devices fetch.
//!
//! In: root and targets metadata that people have signed offline. Out: snapshot and timestamp, signed with the server's
//! online key, and all files by name. Refuses targets that the offline keys have not signed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use thiserror::Error;
use tokio::sync::Mutex;
use warden_keys::FileSigner;
use warden_model::{Seconds, Timestamp};
use warden_trust::repository::{Listing, MetaPin, RepositoryError, read_targets};
use warden_trust::verify::{TrustError, accept_targets};
use warden_trust::{Role, Signer, repository};

/// How long a timestamp is good: what a frozen device can miss at most.
const TIMESTAMP_LIFETIME: Seconds = Seconds::hours(24);
/// How long a snapshot is good.
const SNAPSHOT_LIFETIME: Seconds = Seconds::days(7);

/// Why the repository cannot do what was asked.
#[derive(Debug, Error)]
pub enum PublishError {
    /// A file cannot be read or written.
    #[error("cannot {attempt} {path}")]
    File {
        /// What was attempted.
        attempt: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no root metadata.
    #[error("there is no root metadata in {0}")]
    NoRoot(PathBuf),
    /// The metadata cannot be believed.
    #[error("the metadata cannot be believed")]
    Trust(#[from] TrustError),
    /// The online metadata cannot be written.
    #[error("the online metadata cannot be written")]
    Write(#[from] RepositoryError),
}

/// The repository.
pub struct Repository {
    folder: PathBuf,
    signer: FileSigner,
    writing: Mutex<()>,
    /// What the present targets metadata lists: asked for with every download.
    listing: RwLock<Option<Arc<Listing>>>,
}

impl Repository {
    /// Opens the repository in a folder; `signer` is the online key for snapshot and timestamp.
    pub fn open(folder: PathBuf, signer: FileSigner) -> Self {
        let repository = Self { folder, signer, writing: Mutex::new(()), listing: RwLock::new(None) };
        repository.read_listing();
        repository
    }

    /// Returns a metadata file by its exact name; nothing for names that are none.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        if !is_metadata_name(name) {
            return None;
        }
        fs::read(self.folder.join(name)).ok()
    }

    /// Returns the newest version of a versioned role, with its file.
    fn newest(&self, role: Role) -> Option<(u64, Vec<u8>)> {
        let entries = fs::read_dir(&self.folder).ok()?;
        let version = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(&format!(".{role}.json"))?.parse::<u64>().ok())
            .max()?;
        Some((version, fs::read(self.folder.join(role.file_name(version))).ok()?))
    }

    /// Returns what the present targets metadata lists.
    pub fn listing(&self) -> Option<Arc<Listing>> {
        self.listing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn read_listing(&self) {
        let listing = self.newest(Role::Targets).and_then(|(_, bytes)| read_targets(&bytes).ok());
        *self.listing.write().unwrap_or_else(PoisonError::into_inner) = listing.map(Arc::new);
    }

    /// Publishes targets metadata: checks it against the root, then writes it, a snapshot, and last a timestamp, so that
    /// a device that comes in between sees the old state whole.
    pub async fn publish(&self, targets: &[u8], now: Timestamp) -> Result<Listing, PublishError> {
        let _one_writer = self.writing.lock().await;
        let (_, root) = self.newest(Role::Root).ok_or_else(|| PublishError::NoRoot(self.folder.clone()))?;
        let current = self.newest(Role::Targets).map(|(_, bytes)| bytes);
        let listing = accept_targets(&root, targets, current.as_deref(), now)?.into_inner();
        write_atomically(&self.folder.join(Role::Targets.file_name(listing.version)), targets)?;
        self.sign_online(now)?;
        self.read_listing();
        Ok(listing)
    }

    /// Signs snapshot and timestamp anew; called before they expire, long before.
    pub async fn refresh(&self, now: Timestamp) -> Result<(), PublishError> {
        let _one_writer = self.writing.lock().await;
        self.sign_online(now)
    }

    fn sign_online(&self, now: Timestamp) -> Result<(), PublishError> {
        let Some((targets_version, targets)) = self.newest(Role::Targets) else { return Ok(()) };
        let signers: [&dyn Signer; 1] = [&self.signer];
        let version = self.newest(Role::Snapshot).map_or(1, |(version, _)| version.saturating_add(1));
        let pin = MetaPin::of(targets_version, &targets);
        let snapshot = repository::snapshot(version, now.plus(SNAPSHOT_LIFETIME), &pin, &signers)?;
        write_atomically(&self.folder.join(Role::Snapshot.file_name(version)), &snapshot)?;
        // The timestamp has the snapshot's number: both grow together, and one file tells both.
        let pin = MetaPin::of(version, &snapshot);
        let timestamp = repository::timestamp(version, now.plus(TIMESTAMP_LIFETIME), &pin, &signers)?;
        write_atomically(&self.folder.join(Role::Timestamp.file_name(version)), &timestamp)?;
        self.forget_old_snapshots(version);
        Ok(())
    }

    /// A device in the middle of a refresh may still want the snapshot before; older ones serve nobody.
    fn forget_old_snapshots(&self, newest: u64) {
        const KEPT: u64 = 10;
        if let Some(old) = newest.checked_sub(KEPT) {
            // A file that cannot be removed costs some kilobytes and nothing else.
            drop(fs::remove_file(self.folder.join(Role::Snapshot.file_name(old))));
        }
    }
}

fn is_metadata_name(name: &str) -> bool {
    if name == "timestamp.json" {
        return true;
    }
    let Some((version, rest)) = name.split_once('.') else { return false };
    let is_number = (1..=20).contains(&version.len()) && version.bytes().all(|byte| byte.is_ascii_digit());
    is_number && matches!(rest, "root.json" | "targets.json" | "snapshot.json")
}

/// Writes a file so that a crash at any point leaves the old one or the new one, whole.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), PublishError> {
    let failed = |attempt| move |source| PublishError::File { attempt, path: path.to_path_buf(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed("make the folder of"))?;
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary).map_err(failed("create"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write"))?;
    fs::rename(&temporary, path).map_err(failed("put in place"))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync the folder of"))
}

#[cfg(test)]
mod tests {
    use super::is_metadata_name;

    #[test]
    fn only_metadata_is_metadata() {
        for name in ["timestamp.json", "1.root.json", "12.targets.json", "3.snapshot.json"] {
            assert!(is_metadata_name(name), "{name}");
        }
        for name in
            ["", "root.json", "../1.root.json", "1.root.json/..", "x.root.json", "1.keys.json", ".root.json"]
        {
            assert!(!is_metadata_name(name), "{name}");
        }
    }
}
