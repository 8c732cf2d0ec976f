//! What can go wrong with an index.

use std::io;

use thiserror::Error;
use warden_model::{ByteCount, Sha256Digest};

use crate::layers::LayerError;

/// Why an index could not be made or used.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The bytes are no head of an index.
    #[error("this is no index: it does not start with FWINDEX")]
    NotAnIndex,
    /// The index has another format.
    #[error("the index has format version {found}, only version 1 can be read")]
    Version {
        /// Its version.
        found: u8,
    },
    /// The index breaks its own format.
    #[error("the index is corrupt: {what}")]
    Corrupt {
        /// What is wrong.
        what: &'static str,
    },
    /// A part of the index, or a frame of its content, has another digest than was promised.
    #[error("the {what} of the index is not the one that was signed")]
    WrongPart {
        /// Which part.
        what: &'static str,
    },
    /// Something is more than allowed.
    #[error("the index asks for {found} {what}, only {limit} are allowed")]
    Limit {
        /// Of what there is too much.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// The packed stretches of an image cannot be handled.
    #[error("go through the layers of the image")]
    Layers {
        /// What is wrong with them.
        source: LayerError,
    },
    /// A part cannot be packed or unpacked.
    #[error("unpack the {what} of the index")]
    Unpack {
        /// Which part.
        what: &'static str,
        /// What the decoder said.
        source: io::Error,
    },
    /// What was fetched could not be read.
    #[error("read what was fetched")]
    ReadFetched {
        /// What the reader said.
        source: io::Error,
    },
    /// The base could not be read.
    #[error("read the base")]
    ReadBase {
        /// What the reader said.
        source: io::Error,
    },
    /// The result could not be written.
    #[error("write the result")]
    WriteResult {
        /// What the writer said.
        source: io::Error,
    },
    /// The result is larger than allowed.
    #[error("the index makes an image of {size}, more than the {limit} that are allowed")]
    ResultTooLarge {
        /// Its size.
        size: ByteCount,
        /// The limit.
        limit: ByteCount,
    },
    /// The result is not the promised one.
    #[error("the index made another image than promised (SHA-256 expected {expected}, found {found})")]
    ResultMismatch {
        /// The digest in the head.
        expected: Sha256Digest,
        /// The digest of what was written.
        found: Sha256Digest,
    },
}

/// The errors of reading and writing keep their own names; the others are the layers'.
impl From<LayerError> for IndexError {
    fn from(error: LayerError) -> Self {
        match error {
            LayerError::ReadBase { source, .. } => Self::ReadBase { source },
            LayerError::WriteResult { source, .. } => Self::WriteResult { source },
            source => Self::Layers { source },
        }
    }
}
