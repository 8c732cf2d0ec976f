//! Digests of files, made while somebody else reads them.
//!
//! In: a reader. Out: the same bytes, and their SHA-256 where all of them were read. Refuses nothing.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};
use warden_model::Sha256Digest;

/// Reads, and digests what it reads.
pub(crate) struct Digesting<R> {
    inner: R,
    hash: Sha256,
    has_ended: bool,
}

impl<R: Read> Digesting<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new(), has_ended: false }
    }

    /// Returns the digest, where the end was seen.
    pub(crate) fn digest(self) -> Option<Sha256Digest> {
        self.has_ended.then(|| Sha256Digest(self.hash.finalize().into()))
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.has_ended |= count == 0 && !buffer.is_empty();
        self.hash.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
