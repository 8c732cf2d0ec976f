//! Firmware bytes to component list and software bill of materials.
//!
//! In: an image as a seekable reader, and limits. Out: its layers, files and components ([`analyse`]), a CycloneDX
//! document ([`sbom`]), or its top file system entry by entry ([`visit`]). Which formats are understood stands in
//! `format`, a table; what none of them claims is searched for their marks (`carve`) and listed with its entropy.
//!
//! Refuses: paths that lead out of the image, links as a way to anywhere, and everything beyond [`Limits`]. Nothing is
//! ever written anywhere; what is read passes a size-capped reader, is looked at, and is dropped.

mod archive;
mod boot;
mod budget;
mod bytes;
mod carve;
mod cpio;
mod decode;
mod digest;
mod disk;
mod door;
mod error;
mod ext;
mod flash;
mod format;
mod held;
mod identify;
mod limits;
mod parts;
mod path;
mod report;
mod sbom;
mod squash;
mod stream;
mod survey;
mod tarball;
mod tree;
mod visit;
mod walk;

pub use error::AnalyseError;
pub use limits::{LimitReached, Limits};
pub use parts::{PRODUCTS, Product};
pub use path::{CleanPath, PathError};
pub use report::{Analysis, FileEntry, FileKind, Layer, LookedAt, NotUnderstood, Owner, Skipped, Why};
pub use sbom::{Subject, sbom};
pub use survey::Progress;
pub use visit::{Entry, EntryKind, visit};

use std::io::{BufRead, Seek};

/// What an image is read from: a buffered file, or a cursor on bytes.
pub trait ReadSeek: BufRead + Seek + Send {}

impl<T: BufRead + Seek + Send + ?Sized> ReadSeek for T {}

/// Looks through an image: its layers, its files, and the components that others made.
///
/// # Errors
/// When the image has no known format, when it is damaged, or when it reaches a limit of the whole image. The last two
/// carry what was found until then. What is wrong with a single entry is no error but stands in [`Analysis::skipped`].
pub fn analyse(image: Box<dyn ReadSeek + '_>, limits: &Limits) -> Result<Analysis, AnalyseError> {
    survey::survey(image, limits, &mut |_| {})
}

/// Does the same as [`analyse`], and tells somebody who waits how far it has come: before each file.
///
/// # Errors
/// As [`analyse`].
pub fn analyse_watched(
    image: Box<dyn ReadSeek + '_>,
    limits: &Limits,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<Analysis, AnalyseError> {
    survey::survey(image, limits, progress)
}

#[cfg(test)]
mod tests;
