//! Firmware images and the components that are inside.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::purl::Purl;
use crate::words::words;
use crate::{ByteCount, ProductId, Sha256Digest, Timestamp};

/// Longest version text, in bytes: DDI clients show it in one line, and no real version comes near.
pub const VERSION_BYTES_MAX: usize = 64;

/// The version of a firmware or release, as its maker writes it. Ordered as text only: which of two releases is the
/// newer one is told by the release counter, never by this text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(String);

/// A text that cannot be a version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no version: 1 to {VERSION_BYTES_MAX} letters, digits and `.+~:_-` are allowed")]
pub struct VersionError {
    /// The text, cut to 64 characters.
    pub text: String,
}

impl Version {
    /// Checks a text and makes it a version.
    pub fn new(text: impl Into<String>) -> Result<Self, VersionError> {
        let text = text.into();
        let fits = (1..=VERSION_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".+~:_-".contains(&b));
        if fits { Ok(Self(text)) } else { Err(VersionError { text: text.chars().take(64).collect() }) }
    }

    /// Returns the version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        Self::new(text)
    }
}

words! {
    /// How a component was found; the surest first.
    pub enum Method: "method" {
        /// A package manager's database inside the image lists it.
        PackageDatabase = "package-database",
        /// A note inside an ELF file says so.
        ElfNote = "elf-note",
        /// A well-known version text stands in a file.
        VersionString = "version-string",
    }
}

/// Where in the image a component was found, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Evidence {
    /// The path inside the image, from its top.
    pub path: String,
    /// How it was found.
    pub method: Method,
    /// What was read there, for instance the version text; at most 200 characters.
    pub detail: String,
}

/// A part of a firmware that somebody else made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Component {
    /// The name of the part, for instance `busybox`.
    pub name: String,
    /// The version as found.
    pub version: String,
    /// Its package URL.
    pub purl: Purl,
    /// Its CPE 2.3 name, where one is known.
    pub cpe: Option<String>,
    /// Where it was found; never empty, sorted.
    pub evidence: Vec<Evidence>,
}

/// A firmware image that the server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// The digest of the image: its name.
    pub image: Sha256Digest,
    /// The product it is for.
    pub product: ProductId,
    /// Its version.
    pub version: Version,
    /// The size of the image.
    pub size: ByteCount,
    /// When it came.
    pub added_at: Timestamp,
    /// What is inside; absent until it has been analysed.
    pub components: Option<Vec<Component>>,
}
