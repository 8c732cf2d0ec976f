//! Walks the top file system of an image for somebody who unpacks it.
//!
//! In: an image and a visitor. Out: checked entries, parents before children. Refuses the whole image as soon as one
//! entry may not be unpacked: an image that would be unpacked in part is not unpacked.

use std::io::{self, Read, SeekFrom};
use std::rc::Rc;

use warden_model::ByteCount;

use crate::ReadSeek;
use crate::budget::{Budget, Cap, Capped, read_head};
use crate::bytes::{Bytes, Image};
use crate::door::{Content, Passed, PassedKind, Sink};
use crate::error::{AnalyseError, Halt};
use crate::format::Formats;
use crate::identify::describe;
use crate::limits::Limits;
use crate::path::CleanPath;
use crate::report::{Analysis, LookedAt, Unknown, Why};
use crate::walk::{Source, Walk};

/// An entry of the top file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path from the root of the file system.
    pub path: CleanPath,
    /// What it is.
    pub kind: EntryKind,
}

/// The kind of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// The permission bits (the lowest twelve of the mode).
        mode: u32,
        /// The size that the image names.
        size: ByteCount,
    },
    /// A directory.
    Directory,
    /// A symbolic link that stays inside the image. Its target may be absolute: it counts from the image's own root.
    Symlink {
        /// Where it points to, as written.
        target: String,
    },
}

/// Bytes that say what something unknown looks like.
const DESCRIBED_BYTES: usize = 64;

struct Guide<'v> {
    budget: &'v Budget,
    visitor: &'v mut dyn FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
    files: u64,
}

impl Sink for Guide<'_> {
    fn enter(&mut self, _: String, _: Option<ByteCount>) {}

    fn leave(&mut self, _: Option<ByteCount>, _: Option<ByteCount>) {}

    fn entry(&mut self, entry: Passed, content: Content<'_>) -> Result<(), Halt> {
        let kind = match entry.kind {
            PassedKind::File { size } => EntryKind::File { mode: entry.mode, size },
            PassedKind::Directory => EntryKind::Directory,
            PassedKind::Symlink { target } => EntryKind::Symlink { target },
            PassedKind::HardLink { .. } => {
                return self.skip(entry.path.to_string(), Why::Kind("a hard link"));
            }
            // Devices, pipes and sockets come from devtmpfs or the programs that own them.
            PassedKind::Special => return Ok(()),
        };
        self.files += u64::from(matches!(kind, EntryKind::File { .. }));
        let entry = Entry { path: entry.path, kind };
        let path = || entry.path.to_string();
        let done = match content {
            Content::Stream(content) => (self.visitor)(&entry, content),
            Content::Window(bytes) | Content::Raw(bytes) => {
                let mut capped = Capped::new(bytes.reader(), self.budget, Cap::File);
                (self.visitor)(&entry, &mut capped)
            }
            Content::Nothing => (self.visitor)(&entry, &mut io::empty()),
        };
        done.map_err(|source| Halt::Visitor { path: path(), source })
    }

    fn skip(&mut self, path: String, why: Why) -> Result<(), Halt> {
        Err(Halt::Refused { path, why })
    }

    fn loose(&mut self, content: &mut dyn Read) -> Result<(), Halt> {
        let head = read_head(content, DESCRIBED_BYTES).unwrap_or_default();
        Err(Halt::Unknown { looks_like: describe(&head) })
    }

    fn foreign(&mut self, looks_like: String, _: &mut dyn Read) -> Result<(), Halt> {
        Err(Halt::Unknown { looks_like })
    }

    fn unknown(&mut self, _: Unknown) -> Result<(), Halt> {
        Ok(())
    }
}

/// Walks the top file system of an image: parents come before their children, devices, pipes and sockets are left out.
///
/// # Errors
/// As [`crate::analyse`]; besides, when an entry is hostile or a hard link, and when the visitor fails.
pub fn visit(
    image: Box<dyn ReadSeek + '_>,
    limits: &Limits,
    visitor: &mut dyn FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
) -> Result<(), AnalyseError> {
    let (image, budget) = open(image, limits)?;
    let mut guide = Guide { budget: &budget, visitor, files: 0 };
    let walk = Walk { budget: &budget, formats: Formats::Device };
    walk.source(Source::Bytes(image), 1, &mut guide).map_err(|halt| {
        // A limit that stopped the visitor's reading is a limit, not the visitor's failure.
        let halt = match (halt, budget.take_reached()) {
            (Halt::Visitor { .. }, Some(limit)) => Halt::Limit(limit),
            (halt, _) => halt,
        };
        let looked_at = LookedAt { files: guide.files, bytes: ByteCount(budget.unpacked()) };
        halt.into_error(Analysis { looked_at, ..Analysis::default() })
    })
}

/// Finds out the size of an image and opens its budget.
pub(crate) fn open<'a>(
    mut image: Box<dyn ReadSeek + 'a>,
    limits: &Limits,
) -> Result<(Bytes<'a>, Budget), AnalyseError> {
    let size = image.seek(SeekFrom::End(0)).map_err(|source| AnalyseError::Size { source })?;
    image.seek(SeekFrom::Start(0)).map_err(|source| AnalyseError::Size { source })?;
    let budget =
        Budget::new(limits, size).map_err(|limit| Halt::Limit(limit).into_error(Analysis::default()))?;
    Ok((Bytes::new(Rc::new(Image::new(image, size))), budget))
}
