//! Artifacts on disk: images, patches and metadata, each under the name of its SHA-256 digest.
//!
//! In: bytes in pieces. Out: files that are complete, or not there. Refuses: artifacts above the limit; a full disk gets
//! an error of its own. A name is given only after all bytes are on disk and hashed, so that no crash leaves a wrong
//! name or half a file; leftovers are removed when the folder is opened.
//!
//! Layout: `sha256/ab/abcd…` the bytes; `sha256/ab/abcd….hashes` their SHA-1 and MD5, which DDI wants; `new/` what is
//! being written.

mod writer;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use thiserror::Error;
use warden_model::{ByteCount, Sha256Digest};

pub use writer::ArtifactWriter;

/// Largest artifact. Device firmware ends well below 4 GiB, which is also what FAT and many boot loaders hold.
pub const ARTIFACT_BYTES_MAX: ByteCount = ByteCount::mib(4096);

/// The end of the name of the file with the other hashes.
const HASHES: &str = "hashes";

/// What can go wrong with artifacts.
#[derive(Debug, Error)]
pub enum ArtifactError {
    /// The disk is full.
    #[error("the disk of {} is full", path.display())]
    StorageFull {
        /// The folder of the artifacts.
        path: PathBuf,
    },
    /// The artifact is too large.
    #[error("the artifact is larger than {limit}")]
    TooLarge {
        /// The limit.
        limit: ByteCount,
    },
    /// There is no such artifact.
    #[error("there is no artifact {digest}")]
    Unknown {
        /// The digest that was asked for.
        digest: Sha256Digest,
    },
    /// The file with the other hashes is damaged.
    #[error("the hashes beside artifact {digest} are damaged")]
    DamagedHashes {
        /// The artifact.
        digest: Sha256Digest,
    },
    /// The file system failed.
    #[error("{attempt} {}", path.display())]
    Io {
        /// What was attempted, for instance `read`.
        attempt: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl ArtifactError {
    /// Returns what a person can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::StorageFull { .. } => Some("free space on the disk of the data directory, then try again"),
            Self::DamagedHashes { .. } => Some("upload the artifact again"),
            Self::TooLarge { .. } | Self::Unknown { .. } | Self::Io { .. } => None,
        }
    }

    fn io(attempt: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::StorageFull { path: path.to_owned() }
            }
            _ => Self::Io { attempt, path: path.to_owned(), source },
        }
    }
}

/// The other hashes of an artifact, which DDI clients may check; in lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashes {
    /// SHA-1.
    pub sha1: String,
    /// MD5.
    pub md5: String,
}

/// An artifact that is complete and on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub digest: Sha256Digest,
    /// Its size.
    pub size: ByteCount,
    /// Its SHA-1, in lower-case hexadecimal digits.
    pub sha1: String,
    /// Its MD5, in lower-case hexadecimal digits.
    pub md5: String,
}

/// A folder of artifacts; clones share it.
#[derive(Debug, Clone)]
pub struct Artifacts {
    dir: PathBuf,
    limit: ByteCount,
    /// Numbers the files that are being written.
    serial: Arc<AtomicU64>,
}

impl Artifacts {
    /// Opens the folder, makes it when it is not there, and removes what a crash has left behind. One process may have
    /// it open at a time.
    pub fn open(dir: &Path) -> Result<Self, ArtifactError> {
        Self::open_limited(dir, ARTIFACT_BYTES_MAX)
    }

    /// The same with another limit for the size of an artifact.
    pub fn open_limited(dir: &Path, limit: ByteCount) -> Result<Self, ArtifactError> {
        let artifacts = Self { dir: dir.to_owned(), limit, serial: Arc::new(AtomicU64::new(0)) };
        for folder in [artifacts.new_dir(), artifacts.final_dir()] {
            fs::create_dir_all(&folder).map_err(|source| ArtifactError::io("make", &folder, source))?;
        }
        for leftover in list(&artifacts.new_dir())? {
            remove(&leftover)?;
        }
        for folder in list(&artifacts.final_dir())? {
            for path in list(&folder)? {
                let is_orphan = path.extension().is_some_and(|ending| ending == HASHES)
                    && !path.with_extension("").exists();
                if is_orphan {
                    remove(&path)?;
                }
            }
        }
        Ok(artifacts)
    }

    fn new_dir(&self) -> PathBuf {
        self.dir.join("new")
    }

    fn final_dir(&self) -> PathBuf {
        self.dir.join("sha256")
    }

    /// Starts a new artifact.
    pub fn create(&self) -> Result<ArtifactWriter, ArtifactError> {
        ArtifactWriter::create(self.clone())
    }

    /// Returns where the bytes of an artifact are, or would be.
    pub fn path(&self, digest: &Sha256Digest) -> PathBuf {
        let name = digest.to_string();
        let folder: String = name.chars().take(2).collect();
        self.final_dir().join(folder).join(name)
    }

    fn hashes_path(&self, digest: &Sha256Digest) -> PathBuf {
        self.path(digest).with_extension(HASHES)
    }

    /// Says whether an artifact is there.
    pub fn exists(&self, digest: &Sha256Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Opens an artifact for reading, and tells its size.
    pub fn open_read(&self, digest: &Sha256Digest) -> Result<(File, ByteCount), ArtifactError> {
        let path = self.path(digest);
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => ArtifactError::Unknown { digest: *digest },
            _ => ArtifactError::io("read", &path, source),
        };
        let file = File::open(&path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        Ok((file, ByteCount(size)))
    }

    /// Returns the other hashes of an artifact.
    pub fn hashes(&self, digest: &Sha256Digest) -> Result<Hashes, ArtifactError> {
        let path = self.hashes_path(digest);
        let text = fs::read_to_string(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ArtifactError::Unknown { digest: *digest },
            _ => ArtifactError::io("read", &path, source),
        })?;
        let is_hash = |text: &str, digits: usize| {
            text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
        };
        match text.split_whitespace().collect::<Vec<_>>().as_slice() {
            [sha1, md5] if is_hash(sha1, 40) && is_hash(md5, 32) => {
                Ok(Hashes { sha1: (*sha1).to_owned(), md5: (*md5).to_owned() })
            }
            _ => Err(ArtifactError::DamagedHashes { digest: *digest }),
        }
    }

    /// Removes an artifact; it is no error when it is not there.
    pub fn remove(&self, digest: &Sha256Digest) -> Result<(), ArtifactError> {
        // The bytes first: what is left of a crash in between is an orphan that the next opening removes.
        remove(&self.path(digest))?;
        remove(&self.hashes_path(digest))
    }
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, ArtifactError> {
    let failed = |source| ArtifactError::io("list", dir, source);
    let entries: Vec<fs::DirEntry> =
        fs::read_dir(dir).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    Ok(entries.into_iter().map(|entry| entry.path()).collect())
}

fn remove(path: &Path) -> Result<(), ArtifactError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ArtifactError::io("remove", path, source))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
