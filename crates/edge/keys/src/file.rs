//! Key and certificate files in PEM: bytes in, a whole file or none out, and back; refuses to overwrite, and refuses
//! private keys that others may read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use thiserror::Error;
use warden_model::ByteCount;

/// Largest file that is read: a key takes 300 bytes, a certificate 1 KiB, and people may add comments.
pub(crate) const FILE_BYTES_MAX: ByteCount = ByteCount::kib(64);

/// A key or certificate file that could not be written, read or understood.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// There is a file already; keys are never overwritten.
    #[error("{} exists already, and keys are never overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be written.
    #[error("write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file could not be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is too large to be what it should be.
    #[error("{} is larger than {FILE_BYTES_MAX}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Others may read the private key.
    #[error("{} may be read by others (mode {mode:o}); a private key has mode 600", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error("{} holds no {what} in PEM", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The system gave no random bytes, or no key came of them.
    #[error("make a new key for {}", path.display())]
    Generate {
        /// The file that the key was for.
        path: PathBuf,
    },
}

/// Who may read a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Readers {
    /// Its owner only.
    Owner,
    /// Everybody.
    All,
}

/// Writes a PEM file that was not there before: all of it or nothing, whatever happens in between.
pub(crate) fn write_new(path: &Path, label: &str, der: &[u8], readers: Readers) -> Result<(), KeyFileError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.to_owned() },
        _ => KeyFileError::Write { path: path.to_owned(), source },
    };
    if fs::symlink_metadata(path).is_ok() {
        return Err(KeyFileError::Exists { path: path.to_owned() });
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    let new = folder.join(new_name(path)?);
    let outcome = write_synced(&new, &pem(label, der), readers).and_then(|()| place(&new, path));
    if outcome.is_err() {
        // The error that counts is the first one; a file left over is unused and harmless.
        fs::remove_file(&new).unwrap_or_default();
    }
    outcome.and_then(|()| File::open(folder)?.sync_all()).map_err(failed)
}

/// Gives a finished file its name, unless there is one of that name.
fn place(new: &Path, path: &Path) -> io::Result<()> {
    // A hard link never replaces; a rename does. File systems without links get the rename: the check before has
    // found nothing, and two processes that make the same key at the same moment have other problems.
    match fs::hard_link(new, path) {
        Ok(()) => fs::remove_file(new),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => fs::rename(new, path),
    }
}

fn write_synced(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::All => 0o644,
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn new_name(path: &Path) -> Result<String, KeyFileError> {
    let mut random = [0; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| KeyFileError::Generate { path: path.to_owned() })?;
    Ok(format!(".new-{:016x}", u64::from_be_bytes(random)))
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let base64 = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n").into_bytes();
    for line in base64.as_bytes().chunks(64) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    text
}

/// Reads a private key (PKCS#8) that nobody but the owner may read.
pub(crate) fn read_private_key(path: &Path) -> Result<PrivatePkcs8KeyDer<'static>, KeyFileError> {
    let (file, bytes) = read(path)?;
    let mode = file.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::TooOpen { path: path.to_owned(), mode });
    }
    PrivatePkcs8KeyDer::from_pem_slice(&bytes)
        .map_err(|_| KeyFileError::Content { path: path.to_owned(), what: "private key (PKCS#8)" })
}

/// Reads a certificate.
pub(crate) fn read_certificate(path: &Path) -> Result<CertificateDer<'static>, KeyFileError> {
    let (_, bytes) = read(path)?;
    CertificateDer::from_pem_slice(&bytes)
        .map_err(|_| KeyFileError::Content { path: path.to_owned(), what: "certificate" })
}

fn read(path: &Path) -> Result<(fs::Metadata, Vec<u8>), KeyFileError> {
    let failed = |source| KeyFileError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mut bytes = Vec::new();
    let length = file.take(FILE_BYTES_MAX.0 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(length).is_ok_and(|length| length <= FILE_BYTES_MAX.0) {
        Ok((metadata, bytes))
    } else {
        Err(KeyFileError::TooLarge { path: path.to_owned() })
    }
}
