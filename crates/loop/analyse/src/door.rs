//! The door that every entry of every container passes before anybody sees it.
//!
//! In: entries as they stand in a container. Out: checked entries to a [`Sink`], or the reason why not. Refuses paths
//! that lead out, entries below links, second entries of one path, and more entries than `files_max`.

use std::collections::BTreeMap;
use std::io::Read;

use warden_model::ByteCount;

use crate::budget::{Budget, Cap, Capped};
use crate::bytes::Bytes;
use crate::error::Halt;
use crate::limits::LimitReached;
use crate::path::{CleanPath, PathError, shown};
use crate::report::{Owner, Unknown, Why};

/// Longest link target that is read, in bytes: `PATH_MAX` of Linux.
pub(crate) const TARGET_BYTES_MAX: u64 = 4096;

/// An entry as it stands in a container.
pub(crate) struct Found {
    pub(crate) path: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) owner: Option<Owner>,
    pub(crate) kind: FoundKind,
}

impl Found {
    /// A part of a container that knows neither modes nor owners.
    pub(crate) fn part(name: impl Into<Vec<u8>>, size: u64) -> Self {
        Self { path: name.into(), mode: 0, owner: None, kind: FoundKind::File { size } }
    }
}

/// The content of an entry.
pub(crate) enum Content<'c> {
    /// It comes from front to back.
    Stream(&'c mut dyn Read),
    /// It lies in the container as it is.
    Window(Bytes<'c>),
    /// The same, but nothing is to be taken apart in it.
    Raw(Bytes<'c>),
    Nothing,
}

#[derive(Clone, PartialEq, Eq)]
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
    pub(crate) owner: Option<Owner>,
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
    fn entry(&mut self, entry: Passed, content: Content<'_>) -> Result<(), Halt>;
    /// An entry that did not pass.
    fn skip(&mut self, path: String, why: Why) -> Result<(), Halt>;
    /// Content that is no container.
    fn loose(&mut self, content: &mut dyn Read) -> Result<(), Halt>;
    /// Content of a format that is known, but not taken apart.
    fn foreign(&mut self, looks_like: String, content: &mut dyn Read) -> Result<(), Halt>;
    /// A part of the innermost container that nothing is known of.
    fn unknown(&mut self, part: Unknown) -> Result<(), Halt>;
}

/// The door of one container.
pub(crate) struct Door<'s, 'b> {
    pub(crate) budget: &'b Budget,
    pub(crate) sink: &'s mut dyn Sink,
    /// The format of the container, for messages.
    label: String,
    /// How many steps its walk has taken.
    steps: u64,
    /// What came through, and whether something may lie below it.
    seen: BTreeMap<String, Below>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    Allowed,
    Forbidden,
}

impl<'s, 'b> Door<'s, 'b> {
    pub(crate) fn new(label: &str, budget: &'b Budget, sink: &'s mut dyn Sink) -> Self {
        Self { budget, sink, label: label.to_owned(), steps: 0, seen: BTreeMap::new() }
    }

    /// Charges a step of the walk: a node, an entry, a block of a map.
    pub(crate) fn step(&mut self) -> Result<(), LimitReached> {
        self.steps(1)
    }

    /// Charges steps of the walk.
    pub(crate) fn steps(&mut self, count: u64) -> Result<(), LimitReached> {
        self.steps = self.steps.saturating_add(count);
        self.budget.check_steps(self.steps)
    }

    /// Lists an entry whose walk failed, and goes on; what concerns the whole image goes up.
    pub(crate) fn tolerate(&mut self, path: &[u8], end: Result<(), Halt>) -> Result<(), Halt> {
        let Err(halt) = end else { return Ok(()) };
        match halt.settle(&self.label, self.budget) {
            Halt::Damaged { format, what } => {
                self.budget.charge_entry()?;
                self.sink.skip(shown(path), Why::Damaged { format, what })
            }
            halt => Err(halt),
        }
    }

    /// Lists an entry that is left out.
    pub(crate) fn skip(&mut self, path: &[u8], why: Why) -> Result<(), Halt> {
        self.budget.charge_entry()?;
        self.sink.skip(shown(path), why)
    }

    /// Hands on a directory, link or special entry.
    pub(crate) fn offer_bare(&mut self, found: Found) -> Result<(), Halt> {
        self.offer(found, Content::Nothing)
    }

    /// Hands on a part of which is known that no format claims it: its texts are looked at, nothing else.
    pub(crate) fn offer_raw(&mut self, name: &str, content: Bytes<'_>) -> Result<(), Halt> {
        let found = Found::part(name, content.length());
        self.offer(found, Content::Raw(content))
    }

    /// Hands on a part of the container that lies there as it is.
    pub(crate) fn offer_part(&mut self, name: &str, content: Bytes<'_>) -> Result<(), Halt> {
        self.offer(Found::part(name, content.length()), Content::Window(content))
    }

    /// Hands an entry on, or says why not. Whatever is left of `content` afterwards is the caller's.
    pub(crate) fn offer(&mut self, found: Found, content: Content<'_>) -> Result<(), Halt> {
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
        let passed = Passed { path, mode: found.mode & 0o7777, owner: found.owner, kind };
        match content {
            Content::Stream(content) => {
                let mut capped = Capped::new(content, self.budget, Cap::File);
                self.sink.entry(passed, Content::Stream(&mut capped))
            }
            content => self.sink.entry(passed, content),
        }
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
