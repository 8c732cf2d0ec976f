//! The head of an index: which image it is of, and which other parts it has.
//!
//! In: some 200 bytes that signed metadata names by digest. Out: an [`IndexHead`], or its bytes. Refuses: another magic,
//! another version, parts and images beyond the limits, numbers spelled longer than needed, bytes behind the end.

use sha2::{Digest, Sha256};
use warden_model::{ByteCount, Sha256Digest};

use super::IndexError;
use crate::format::{HeadProblem, Take, bytes, number, write_number};
use crate::layers::PLAIN_BYTES_MAX;

/// The first bytes of each index.
const MAGIC: [u8; 7] = *b"FWINDEX";

/// The version of the format, of the way in which chunks are cut included.
const VERSION: u8 = 1;

/// The longest head, in bytes: seven fixed fields and eight numbers take 190.
pub const HEAD_BYTES_MAX: u64 = 512;

/// The longest map, in bytes: what a table of layers may have, and as much again for the places of files.
pub const MAP_BYTES_MAX: u64 = 8 << 20;

/// The longest list, in bytes: the largest number of chunks, 28 bytes each, packed or not.
pub const LIST_BYTES_MAX: u64 = 8 << 20;

/// A part of an index: a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its digest, by which it is fetched.
    pub digest: Sha256Digest,
    /// Its length.
    pub size: ByteCount,
}

impl Part {
    /// Says what a part is that holds these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { digest: Sha256Digest(Sha256::digest(bytes).into()), size: ByteCount(bytes.len() as u64) }
    }

    /// Refuses bytes that are not this part, before anybody reads them.
    pub(super) fn check(&self, bytes: &[u8], what: &'static str) -> Result<(), IndexError> {
        if Self::of(bytes) == *self { Ok(()) } else { Err(IndexError::WrongPart { what }) }
    }
}

/// What an index says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexHead {
    /// The digest of the image.
    pub image: Sha256Digest,
    /// The size of the image.
    pub image_size: ByteCount,
    /// The size of the image, unpacked.
    pub plain_size: ByteCount,
    /// How the image is unpacked and packed again, and where files begin.
    pub map: Part,
    /// Its chunks, and where they lie in the content.
    pub list: Part,
    /// The content of all chunks.
    pub content: Part,
}

impl IndexHead {
    /// Reads a head. Its digest must have been checked against signed metadata.
    pub fn read(head: &[u8]) -> Result<Self, IndexError> {
        let mut rest = HeadBytes(head);
        if bytes::<7, _>(&mut rest)? != MAGIC {
            return Err(IndexError::NotAnIndex);
        }
        let [version] = bytes(&mut rest)?;
        if version != VERSION {
            return Err(IndexError::Version { found: version });
        }
        let read = Self {
            image: Sha256Digest(bytes(&mut rest)?),
            image_size: ByteCount(number(&mut rest)?),
            plain_size: ByteCount(number(&mut rest)?),
            map: part(&mut rest)?,
            list: part(&mut rest)?,
            content: part(&mut rest)?,
        };
        if !rest.0.is_empty() {
            return Err(IndexError::Corrupt { what: "the head has bytes after its end" });
        }
        for (what, found, limit) in [
            ("bytes of image", read.image_size.0, PLAIN_BYTES_MAX),
            ("bytes of unpacked image", read.plain_size.0, PLAIN_BYTES_MAX),
            ("bytes of map", read.map.size.0, MAP_BYTES_MAX),
            ("bytes of list", read.list.size.0, LIST_BYTES_MAX),
            ("bytes of content", read.content.size.0, PLAIN_BYTES_MAX),
        ] {
            super::limited(what, found, limit)?;
        }
        Ok(read)
    }

    /// Writes the head.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = [&MAGIC[..], &[VERSION], &self.image.0].concat();
        write_number(self.image_size.0, &mut out);
        write_number(self.plain_size.0, &mut out);
        for part in [self.map, self.list, self.content] {
            out.extend(part.digest.0);
            write_number(part.size.0, &mut out);
        }
        out
    }

    /// Returns what of the index a device fetches in any case: map and list.
    pub fn fixed_bytes(&self) -> ByteCount {
        ByteCount(self.map.size.0.saturating_add(self.list.size.0))
    }
}

fn part(rest: &mut HeadBytes<'_>) -> Result<Part, IndexError> {
    Ok(Part { digest: Sha256Digest(bytes(rest)?), size: ByteCount(number(rest)?) })
}

/// Bytes that are taken from the front.
pub(super) struct HeadBytes<'a>(pub(super) &'a [u8]);

impl Take for HeadBytes<'_> {
    type Error = IndexError;

    fn take(&mut self, into: &mut [u8]) -> Result<(), IndexError> {
        let (first, rest) =
            self.0.split_at_checked(into.len()).ok_or(IndexError::Corrupt { what: "it ends too early" })?;
        into.copy_from_slice(first);
        self.0 = rest;
        Ok(())
    }
}

impl From<HeadProblem> for IndexError {
    fn from(problem: HeadProblem) -> Self {
        match problem {
            HeadProblem::Magic => Self::NotAnIndex,
            HeadProblem::Version(found) => Self::Version { found },
            HeadProblem::Corrupt(_) => Self::Corrupt { what: "a number is misspelled" },
        }
    }
}
