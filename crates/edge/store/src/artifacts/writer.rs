//! Writes one artifact: bytes into a file without a name, hashed on the way; the name comes last.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use warden_model::{ByteCount, Sha256Digest};

use super::{ArtifactError, Artifacts, Stored};

/// An artifact that is being written; dropping it before [`ArtifactWriter::finish`] leaves nothing behind.
pub struct ArtifactWriter {
    artifacts: Artifacts,
    file: File,
    path: PathBuf,
    size: u64,
    sha256: Sha256,
    sha1: Sha1,
    md5: Md5,
}

impl std::fmt::Debug for ArtifactWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArtifactWriter")
            .field("path", &self.path)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl ArtifactWriter {
    pub(super) fn create(artifacts: Artifacts) -> Result<Self, ArtifactError> {
        let serial = artifacts.serial.fetch_add(1, Ordering::Relaxed);
        let path = artifacts.new_dir().join(serial.to_string());
        let file = File::create_new(&path).map_err(|source| ArtifactError::io("make", &path, source))?;
        Ok(Self::over(artifacts, file, path))
    }

    pub(super) fn over(artifacts: Artifacts, file: File, path: PathBuf) -> Self {
        let (sha256, sha1, md5) = (Sha256::new(), Sha1::new(), Md5::new());
        Self { artifacts, file, path, size: 0, sha256, sha1, md5 }
    }

    /// Adds bytes. After an error the artifact cannot be finished usefully; drop it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        let limit = self.artifacts.limit;
        let added = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.size = self
            .size
            .checked_add(added)
            .filter(|size| *size <= limit.0)
            .ok_or(ArtifactError::TooLarge { limit })?;
        self.file.write_all(bytes).map_err(|source| ArtifactError::io("write", &self.path, source))?;
        self.sha256.update(bytes);
        self.sha1.update(bytes);
        self.md5.update(bytes);
        Ok(())
    }

    /// Returns how many bytes came so far.
    pub fn size(&self) -> ByteCount {
        ByteCount(self.size)
    }

    /// Brings all bytes to disk and gives the artifact its name. The same bytes twice are one artifact.
    pub fn finish(mut self) -> Result<Stored, ArtifactError> {
        self.file.sync_all().map_err(|source| ArtifactError::io("sync", &self.path, source))?;
        let digest = Sha256Digest(self.sha256.finalize_reset().into());
        let stored = Stored {
            digest,
            size: ByteCount(self.size),
            sha1: hex(&self.sha1.finalize_reset()),
            md5: hex(&self.md5.finalize_reset()),
        };
        let target = self.artifacts.path(&digest);
        let folder = target.parent().unwrap_or(&self.artifacts.dir).to_owned();
        fs::create_dir_all(&folder).map_err(|source| ArtifactError::io("make", &folder, source))?;
        self.write_hashes(&stored)?;
        // The bytes get their name last: an artifact that exists is complete, with its hashes beside it.
        rename(&self.path, &target)?;
        // The names are on disk only when their folders are: POSIX fsync covers a file, not the entry that names it.
        sync_dir(&folder)?;
        sync_dir(&self.artifacts.final_dir())?;
        Ok(stored)
    }

    fn write_hashes(&self, stored: &Stored) -> Result<(), ArtifactError> {
        let path = self.path.with_extension("hashes");
        let text = format!("{} {}\n", stored.sha1, stored.md5);
        let failed = |source| ArtifactError::io("write", &path, source);
        let mut file = File::create(&path).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        rename(&path, &self.artifacts.hashes_path(&stored.digest))
    }
}

impl Drop for ArtifactWriter {
    fn drop(&mut self) {
        // After a finish these names are gone already; what cannot be removed now is removed at the next opening.
        fs::remove_file(&self.path).ok();
        fs::remove_file(self.path.with_extension("hashes")).ok();
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), ArtifactError> {
    fs::rename(from, to).map_err(|source| ArtifactError::io("name", to, source))
}

fn sync_dir(dir: &Path) -> Result<(), ArtifactError> {
    let sync = File::open(dir).and_then(|dir| dir.sync_all());
    sync.map_err(|source| ArtifactError::io("sync", dir, source))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).flatten().collect()
}
