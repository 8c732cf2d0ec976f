//! A signing key in a file, for development: a path in, a [`Signer`] out; refuses to overwrite a key and to use one
//! that others may read.

use std::path::{Path, PathBuf};

use warden_trust::sign::{KeyScheme, PublicKey, SignError, Signer};

use crate::file::KeyFileError;
use crate::key::Key;

/// A key in a file: PKCS#8 in PEM, readable by its owner only.
///
/// The key is not encrypted: whoever can read the file can sign. That is fit for development and demonstrations,
/// and [`Signer::origin`] says so wherever the signature is recorded.
pub struct FileSigner {
    key: Key,
    path: PathBuf,
}

impl std::fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSigner").field("path", &self.path).finish_non_exhaustive()
    }
}

impl FileSigner {
    /// Makes a new key and writes it to a file that was not there before.
    pub fn create(path: &Path, scheme: KeyScheme) -> Result<Self, KeyFileError> {
        Ok(Self { key: Key::create(path, scheme)?, path: path.to_owned() })
    }

    /// Opens a key; its scheme stands in the file.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        Ok(Self { key: Key::open(path)?, path: path.to_owned() })
    }
}

impl Signer for FileSigner {
    fn public_key(&self) -> PublicKey {
        self.key.public_key().clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.key.sign(message, &self.origin())
    }

    fn origin(&self) -> String {
        format!("file key {} (development)", self.path.display())
    }
}
