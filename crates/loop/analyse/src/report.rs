//! What an analysis found.
//!
//! In: nothing but values. Out: [`Analysis`] and its parts, sorted, so that a difference means a change. Refuses
//! nothing.

use std::fmt;

use thiserror::Error;
use warden_model::firmware::Component;
use warden_model::{ByteCount, Sha256Digest};

use crate::limits::LimitReached;
use crate::path::PathError;

/// What stands between the path of a container and a path inside it; no path inside an image holds it.
pub(crate) const INSIDE: &str = "//";

/// What is in an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Analysis {
    /// The layers, the outermost first.
    pub layers: Vec<Layer>,
    /// The files, directories and links of all layers, sorted by path.
    pub files: Vec<FileEntry>,
    /// The components, each once, sorted.
    pub components: Vec<Component>,
    /// What is known but not taken apart, and what is not known at all, sorted by path and place.
    pub not_understood: Vec<NotUnderstood>,
    /// What was left out and why, sorted by path.
    pub skipped: Vec<Skipped>,
    /// How much was looked at.
    pub looked_at: LookedAt,
}

impl Analysis {
    /// Says in one line what was found and where; an empty result says as well what was looked at.
    pub fn summary(&self) -> String {
        let layers: Vec<&str> = self.layers.iter().map(|layer| layer.format.as_str()).take(4).collect();
        let components = match self.components.len() {
            0 => "no components".to_owned(),
            1 => "1 component".to_owned(),
            count => format!("{count} components"),
        };
        format!("{components} in {} of {}", self.looked_at, layers.join(", "))
    }
}

/// A file system, archive or compressed stream in an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layer {
    /// Where it lies: empty for the image itself, otherwise `outer//inner`.
    pub path: String,
    /// The format, for instance `squashfs 4.0 (xz)`.
    pub format: String,
    /// Its size as stored, where that is known.
    pub packed: Option<ByteCount>,
    /// How much was read out of it.
    pub unpacked: ByteCount,
}

/// One entry of a file system or archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileEntry {
    /// The path from the top of the image; `//` stands between a container and what is inside it.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// The size of a file; zero for everything else.
    pub size: ByteCount,
    /// The permission bits (the lowest twelve of the mode).
    pub mode: u32,
    /// Who owns it, where the format says so.
    pub owner: Option<Owner>,
    /// The SHA-256 of a file that was read to its end.
    pub digest: Option<Sha256Digest>,
    /// The build id of an ELF file, in hexadecimal digits.
    pub build_id: Option<String>,
}

/// The owner of a file: numbers, since names belong to the image's own `etc/passwd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The user id.
    pub user: u32,
    /// The group id.
    pub group: u32,
}

/// The kind of an entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; never followed.
    Symlink {
        /// Where it points to, as written.
        target: String,
    },
    /// A hard link of an archive to an earlier entry; never followed.
    HardLink {
        /// Where it points to, as written.
        target: String,
    },
    /// A device, pipe or socket.
    Special,
}

/// Something that is recognised but not taken apart, or not recognised at all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotUnderstood {
    /// Where it lies: empty for the image itself.
    pub path: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// How long it is, where that is known.
    pub length: Option<ByteCount>,
    /// Its entropy in thousandths of a bit a byte, where it was measured: below 6,000 code and data, above 7,900
    /// compressed or encrypted.
    pub entropy_millibits: Option<u32>,
    /// What it looks like, for instance `UBI image`.
    pub looks_like: String,
}

/// A part of a container that nothing is known of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) entropy_millibits: u32,
    pub(crate) looks_like: String,
}

/// An entry that was left out, or whose content was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The path as written, escaped, at most 200 characters behind the path of its container.
    pub path: String,
    /// Why.
    pub why: Why,
}

/// Why an entry was left out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Why {
    /// Its path is hostile or cannot be held.
    #[error("{0}")]
    Path(PathError),
    /// Something above it in the tree is a link or a file.
    #[error("{above:?} above it is no directory")]
    BelowNoDirectory {
        /// The path of what is above.
        above: String,
    },
    /// An entry of this path came before; the first one counts.
    #[error("the path stands twice")]
    Twice,
    /// It is a link that points above the root. It is listed, and never followed.
    #[error("the link leads out of the image to {target:?}")]
    LinkLeavesImage {
        /// Where it points to, escaped.
        target: String,
    },
    /// It is a kind of entry that cannot be unpacked, for instance a hard link.
    #[error("it is {0}, which is not followed")]
    Kind(&'static str),
    /// A limit was reached.
    #[error("{0}")]
    Limit(LimitReached),
    /// It cannot be read to its end.
    #[error("{format} is damaged: {what}")]
    Damaged {
        /// The format.
        format: String,
        /// What is wrong.
        what: String,
    },
}

/// How much an analysis looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LookedAt {
    /// Files whose content was read.
    pub files: u64,
    /// Bytes that were read out of all layers.
    pub bytes: ByteCount,
}

impl fmt::Display for LookedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = if self.files == 1 { "file" } else { "files" };
        write!(f, "{} {files}, {}", self.files, self.bytes)
    }
}
