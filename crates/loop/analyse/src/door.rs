//! The door that every entry of every container passes before anybody sees it.
//!
//! In: entries as they stand in a container. Out: checked entries to a [`Sink`], or the reason why not. Refuses paths
//! that lead out, entries below links, second entries of one path, and more entries than `files_max`.

use std::collections::BTreeMap;
use std::io::Read;

use warden_model::ByteCount;

use crate::budget::{Budget, Cap, Capped};
use crate::error::Halt;
use crate::path::{CleanPath, PathError, shown};
use crate::report::Why;

/// Longest link target that is read, in bytes: `PATH_MAX` of Linux.
pub(crate) const TARGET_BYTES_MAX: u64 = 4096;

/// An entry as it stands in a container.
pub(crate) struct Found {
    pub(crate) path: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) kind: FoundKind,
}

pub(crate) enum FoundKind {
    File { size: u64 },
    Directory,
    Symlink { target: Vec<u8> },
    HardLink { target: Vec<u8> },
    Special,
}

/// An entry that passed the door.
pub(crate) struct Passed {
    pub(crate) path: CleanPath,
    pub(crate) mode: u32,
    pub(crate) kind: PassedKind,
}

pub(crate) enum PassedKind {
    File { size: ByteCount },
    Directory,
    Symlink { target: String },
    HardLink { target: String },
    Special,
}

/// Who takes what a walk finds.
pub(crate) trait Sink {
    /// A layer begins.
    fn enter(&mut self, format: String, packed: Option<ByteCount>);
    /// The innermost layer ends, whole or not; a stream knows its sizes only now.
    fn leave(&mut self, packed: Option<ByteCount>, unpacked: Option<ByteCount>);
    /// An entry; its content may be left unread.
    fn entry(&mut self, entry: Passed, content: &mut dyn Read) -> Result<(), Halt>;
    /// An entry that did not pass.
    fn skip(&mut self, path: String, why: Why) -> Result<(), Halt>;
    /// Content that is no container, found in a compressed stream.
    fn loose(&mut self, content: &mut dyn Read) -> Result<(), Halt>;
}

/// The door of one container.
pub(crate) struct Door<'s, 'b> {
    pub(crate) budget: &'b Budget,
    pub(crate) sink: &'s mut dyn Sink,
    /// What came through, and whether something may lie below it.
    seen: BTreeMap<String, Below>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    Allowed,
    Forbidden,
}

impl<'s, 'b> Door<'s, 'b> {
    pub(crate) fn new(budget: &'b Budget, sink: &'s mut dyn Sink) -> Self {
        Self { budget, sink, seen: BTreeMap::new() }
    }

    /// Hands an entry on, or says why not. Whatever is left of `content` afterwards is the caller's.
    pub(crate) fn offer(&mut self, found: Found, content: &mut dyn Read) -> Result<(), Halt> {
        self.budget.charge_entry()?;
        let path = match CleanPath::from_bytes(&found.path) {
            Ok(path) => path,
            // Every archive of a tree names the root once; there is nothing to say about it.
            Err(PathError::Empty) => return Ok(()),
            Err(error) => return self.sink.skip(shown(&found.path), Why::Path(error)),
        };
        if let Err(why) = self.check_place(&path, &found.kind) {
            return self.sink.skip(path.to_string(), why);
        }
        let kind = match found.kind {
            FoundKind::File { size } => PassedKind::File { size: ByteCount(size) },
            FoundKind::Directory => PassedKind::Directory,
            FoundKind::Special => PassedKind::Special,
            FoundKind::Symlink { target } => match readable_target(target) {
                Ok(target) if path.link_climbs_out(&target) => {
                    let why = Why::LinkLeavesImage { target: shown(target.as_bytes()) };
                    self.sink.skip(path.to_string(), why)?;
                    PassedKind::Symlink { target }
                }
                Ok(target) => PassedKind::Symlink { target },
                Err(error) => return self.sink.skip(path.to_string(), Why::Path(error)),
            },
            FoundKind::HardLink { target } => match readable_target(target) {
                Ok(target) => PassedKind::HardLink { target },
                Err(error) => return self.sink.skip(path.to_string(), Why::Path(error)),
            },
        };
        let mut capped = Capped::new(content, self.budget, Cap::File);
        self.sink.entry(Passed { path, mode: found.mode & 0o7777, kind }, &mut capped)
    }

    /// Looks at what came before: a link or file above an entry would redirect it when somebody unpacks.
    fn check_place(&mut self, path: &CleanPath, kind: &FoundKind) -> Result<(), Why> {
        let blocked = path.ancestors().find(|above| self.seen.get(*above) == Some(&Below::Forbidden));
        if let Some(above) = blocked {
            return Err(Why::BelowNoDirectory { above: above.to_owned() });
        }
        let is_directory = matches!(kind, FoundKind::Directory);
        match self.seen.get(path.as_str()) {
            // Archives may name a directory again, or only after what is in it.
            Some(Below::Allowed) if is_directory => return Ok(()),
            Some(_) => return Err(Why::Twice),
            None => {}
        }
        for above in path.ancestors() {
            if self.seen.insert(above.to_owned(), Below::Allowed).is_some() {
                break;
            }
        }
        let below = if is_directory { Below::Allowed } else { Below::Forbidden };
        self.seen.insert(path.as_str().to_owned(), below);
        Ok(())
    }
}

fn readable_target(target: Vec<u8>) -> Result<String, PathError> {
    if target.contains(&0) {
        return Err(PathError::Nul);
    }
    String::from_utf8(target).map_err(|_| PathError::NotUtf8)
}
