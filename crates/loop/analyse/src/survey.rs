//! The analysis itself: walks an image, and every image and archive inside it.
//!
//! In: an image. Out: an [`Analysis`]. Refuses the whole only for what concerns the whole; a damaged or oversized entry
//! is listed, and the rest goes on.

use std::io::{self, Read};

use warden_model::ByteCount;

use crate::ReadSeek;
use crate::budget::{Cap, Capped};
use crate::digest::Digesting;
use crate::door::{Content, Passed, PassedKind, Sink};
use crate::error::{AnalyseError, Halt};
use crate::format::Formats;
use crate::identify::describe;
use crate::limits::Limits;
use crate::parts::{self, Collection, DATABASE_BYTES_MAX, Database, Distribution, Scanner};
use crate::report::{
    Analysis, FileEntry, FileKind, INSIDE, Layer, LookedAt, NotUnderstood, Skipped, Unknown, Why,
};
use crate::visit::open;
use crate::walk::{Source, Walk};

/// How far an analysis has come, for somebody who waits.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'p> {
    /// The path of the file that is looked at.
    pub path: &'p str,
    /// How much was looked at so far.
    pub looked_at: LookedAt,
}

/// A root file system that is being walked.
struct Root {
    /// Its path, with [`INSIDE`] at the end; empty for the image's own.
    prefix: String,
    /// The index of its layer.
    layer: usize,
    distribution: Distribution,
    packages_before: usize,
}

/// Bytes that say what something unknown looks like.
const DESCRIBED_BYTES: u64 = 64;

/// What content of no format is called where it is all that an image holds.
const CONTENT: &str = "content";

struct Survey<'b> {
    walk: Walk<'b>,
    progress: &'b mut dyn FnMut(&Progress<'_>),
    scanner: Scanner,
    analysis: Analysis,
    collection: Collection,
    roots: Vec<Root>,
    /// The paths of the containers around what is being walked; the innermost last.
    places: Vec<String>,
}

/// Analyses an image.
pub(crate) fn survey(
    image: Box<dyn ReadSeek + '_>,
    limits: &Limits,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<Analysis, AnalyseError> {
    let (image, budget) = open(image, limits)?;
    let walk = Walk { budget: &budget, formats: Formats::All };
    let head = image.head(0, DESCRIBED_BYTES);
    let mut survey = Survey {
        walk,
        progress,
        scanner: Scanner::new(),
        analysis: Analysis::default(),
        collection: Collection::default(),
        roots: Vec::new(),
        places: Vec::new(),
    };
    let end = walk.source(Source::Bytes(image), 1, &mut survey);
    let analysis = survey.finish();
    match end {
        // Texts of an image that is one program count; bytes that say nothing at all are no image.
        Ok(()) if analysis.layers.is_empty() && analysis.components.is_empty() => {
            let known = analysis.not_understood.iter().find(|one| one.path.is_empty() && one.offset == 0);
            let looks_like = known.map_or_else(|| describe(&head), |one| one.looks_like.clone());
            Err(AnalyseError::UnknownFormat { looks_like })
        }
        Ok(()) => Ok(analysis),
        Err(halt) => Err(halt.into_error(analysis)),
    }
}

impl Survey<'_> {
    fn finish(self) -> Analysis {
        let mut analysis = self.analysis;
        analysis.components = self.collection.finish();
        analysis.files.sort();
        analysis.files.dedup_by(|a, b| a.path == b.path);
        analysis.skipped.sort_by(|a, b| a.path.cmp(&b.path));
        analysis.not_understood.sort();
        analysis
    }

    /// Returns the path of the innermost container; empty for the image itself.
    fn place(&self) -> String {
        self.places.last().cloned().unwrap_or_default()
    }

    /// Looks at the content of a file; `path` is its full and `inner` its path in its root file system.
    fn look(&mut self, path: &str, inner: &str, content: Content<'_>) -> Result<(), Halt> {
        self.analysis.looked_at.files += 1;
        (self.progress)(&Progress { path, looked_at: self.analysis.looked_at });
        let index = self.analysis.files.len().saturating_sub(1);
        let (digest, end) = match content {
            Content::Nothing => return Ok(()),
            Content::Stream(stream) => {
                let mut digesting = Digesting::new(stream);
                let end = self.look_at_stream(path, inner, &mut digesting);
                (digesting.digest(), end)
            }
            Content::Raw(bytes) => {
                let mut digesting = Digesting::new(Capped::new(bytes.reader(), self.walk.budget, Cap::File));
                let end = self.scan(path, &mut digesting);
                (digesting.digest(), end)
            }
            Content::Window(bytes) if is_text_file(inner) => {
                let mut digesting = Digesting::new(Capped::new(bytes.reader(), self.walk.budget, Cap::File));
                let end = self.look_at_stream(path, inner, &mut digesting);
                (digesting.digest(), end)
            }
            Content::Window(bytes) => {
                let mut digesting = Digesting::new(Capped::new(bytes.reader(), self.walk.budget, Cap::File));
                let read = io::copy(&mut digesting, &mut io::sink());
                match self.read(|| read, path)? {
                    Some(_) => (digesting.digest(), self.nested(path, Source::Bytes(bytes))),
                    None => (None, Ok(())),
                }
            }
        };
        if let Some(entry) = self.analysis.files.get_mut(index) {
            entry.digest = digest;
        }
        end
    }

    fn look_at_stream(&mut self, path: &str, inner: &str, content: &mut dyn Read) -> Result<(), Halt> {
        if let Some(database) = parts::database_at(inner) {
            return self.take_database(database, path, content);
        }
        if parts::is_os_release(inner) {
            return self.take_distribution(path, content);
        }
        self.nested(path, Source::Stream(content))
    }

    /// Does a read; one that fails for the entry alone is listed and gives nothing.
    fn read<T>(&mut self, work: impl FnOnce() -> io::Result<T>, path: &str) -> Result<Option<T>, Halt> {
        let format =
            self.analysis.layers.last().map_or("the image", |layer| layer.format.as_str()).to_owned();
        let halt = match work() {
            Ok(value) => return Ok(Some(value)),
            Err(error) => Halt::from_read(&format, self.walk.budget, &error),
        };
        self.list_or_stop(path, halt).map(|()| None)
    }

    /// Lists what concerns one entry; stops for what concerns the image.
    fn list_or_stop(&mut self, path: &str, halt: Halt) -> Result<(), Halt> {
        // Handled here and now: what fails later fails for a reason of its own.
        self.walk.budget.take_reached();
        let why = match halt.settle("it", self.walk.budget) {
            Halt::Limit(limit) if limit.is_about_one_entry() => Why::Limit(limit),
            Halt::Damaged { format, what } => Why::Damaged { format, what },
            Halt::Unknown { looks_like } => {
                self.not_understood(path.to_owned(), looks_like);
                return Ok(());
            }
            halt @ (Halt::Limit(_) | Halt::Refused { .. } | Halt::Visitor { .. } | Halt::Read(_)) => {
                return Err(halt);
            }
        };
        self.analysis.skipped.push(Skipped { path: path.to_owned(), why });
        Ok(())
    }

    fn not_understood(&mut self, path: String, looks_like: String) {
        let one = NotUnderstood { path, offset: 0, length: None, entropy_millibits: None, looks_like };
        self.analysis.not_understood.push(one);
    }

    fn nested(&mut self, path: &str, content: Source<'_>) -> Result<(), Halt> {
        // The image itself has depth 1, and every layer around this file is open.
        let depth = u32::try_from(self.roots.len() + 1).unwrap_or(u32::MAX);
        self.places.push(path.to_owned());
        let walk = self.walk;
        let (roots, layers) = (self.roots.len(), self.analysis.layers.len());
        let end = walk.source(content, depth, self);
        self.places.pop();
        debug_assert!(self.roots.len() == roots && self.analysis.layers.len() >= layers);
        end.or_else(|halt| self.list_or_stop(path, halt))
    }

    fn scan(&mut self, path: &str, content: &mut dyn Read) -> Result<(), Halt> {
        let look = parts::look(&self.scanner, content);
        if let Some(look) = self.read(|| look, path)? {
            self.analysis.looked_at.bytes.0 += look.bytes;
            if let Some(entry) = self.analysis.files.last_mut().filter(|entry| entry.path == path) {
                entry.build_id = look.build_id();
            }
            self.collection.take_look(path, look);
        }
        Ok(())
    }

    fn read_text(&mut self, path: &str, content: &mut dyn Read) -> Result<Option<String>, Halt> {
        let mut bytes = Vec::new();
        let read = content.take(DATABASE_BYTES_MAX).read_to_end(&mut bytes);
        self.analysis.looked_at.bytes.0 += bytes.len() as u64;
        // What came before the damage is as good as the rest would have been.
        self.read(|| read, path)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|text| !text.is_empty()))
    }

    fn take_database(&mut self, database: Database, path: &str, content: &mut dyn Read) -> Result<(), Halt> {
        if let Some(text) = self.read_text(path, content)? {
            self.collection.take_database(database, path, &text);
        }
        Ok(())
    }

    fn take_distribution(&mut self, path: &str, content: &mut dyn Read) -> Result<(), Halt> {
        let text = self.read_text(path, content)?;
        if let (Some(text), Some(root)) = (text, self.roots.last_mut()) {
            root.distribution = Distribution::read(&text);
        }
        Ok(())
    }
}

impl Sink for Survey<'_> {
    fn enter(&mut self, format: String, packed: Option<ByteCount>) {
        let path = self.place();
        let prefix = if path.is_empty() { String::new() } else { format!("{path}{INSIDE}") };
        self.roots.push(Root {
            prefix,
            layer: self.analysis.layers.len(),
            distribution: Distribution::default(),
            packages_before: self.collection.packages_waiting(),
        });
        self.analysis.layers.push(Layer { path, format, packed, unpacked: ByteCount(0) });
    }

    fn leave(&mut self, packed: Option<ByteCount>, unpacked: Option<ByteCount>) {
        let Some(root) = self.roots.pop() else { return };
        self.collection.settle_packages(root.packages_before, &root.distribution);
        if let Some(layer) = self.analysis.layers.get_mut(root.layer) {
            layer.packed = packed.or(layer.packed);
            layer.unpacked = unpacked.unwrap_or(layer.unpacked);
        }
    }

    fn entry(&mut self, entry: Passed, content: Content<'_>) -> Result<(), Halt> {
        let Some(root) = self.roots.last() else { return Ok(()) };
        let path = format!("{}{}", root.prefix, entry.path);
        let (kind, size) = match entry.kind {
            PassedKind::File { size } => (FileKind::File, size),
            PassedKind::Directory => (FileKind::Directory, ByteCount(0)),
            PassedKind::Symlink { target } => (FileKind::Symlink { target }, ByteCount(0)),
            PassedKind::HardLink { target } => (FileKind::HardLink { target }, ByteCount(0)),
            PassedKind::Special => (FileKind::Special, ByteCount(0)),
        };
        if let Some(layer) = self.analysis.layers.get_mut(root.layer) {
            layer.unpacked.0 = layer.unpacked.0.saturating_add(size.0);
        }
        let is_file = kind == FileKind::File;
        self.analysis.files.push(FileEntry {
            path: path.clone(),
            kind,
            size,
            mode: entry.mode,
            owner: entry.owner,
            digest: None,
            build_id: None,
        });
        if is_file { self.look(&path, entry.path.as_str(), content) } else { Ok(()) }
    }

    fn skip(&mut self, path: String, why: Why) -> Result<(), Halt> {
        let prefix = self.roots.last().map_or("", |root| root.prefix.as_str());
        self.analysis.skipped.push(Skipped { path: format!("{prefix}{path}"), why });
        Ok(())
    }

    fn loose(&mut self, content: &mut dyn Read) -> Result<(), Halt> {
        // A compressed program or kernel module: its texts count, at the path of the stream.
        if let Some(path) = self.places.last().cloned() {
            return self.scan(&path, content);
        }
        if self.roots.is_empty() {
            return self.scan(CONTENT, content);
        }
        // The image is a stream around a single file.
        self.analysis.looked_at.files += 1;
        let before = self.analysis.looked_at.bytes.0;
        self.analysis.files.push(FileEntry {
            path: CONTENT.to_owned(),
            kind: FileKind::File,
            size: ByteCount(0),
            mode: 0,
            owner: None,
            digest: None,
            build_id: None,
        });
        let mut digesting = Digesting::new(content);
        self.scan(CONTENT, &mut digesting)?;
        if let Some(entry) = self.analysis.files.last_mut() {
            entry.size = ByteCount(self.analysis.looked_at.bytes.0.saturating_sub(before));
            entry.digest = digesting.digest();
        }
        Ok(())
    }

    fn foreign(&mut self, looks_like: String, content: &mut dyn Read) -> Result<(), Halt> {
        let path = self.place();
        self.not_understood(path, looks_like);
        self.loose(content)
    }

    fn unknown(&mut self, part: Unknown) -> Result<(), Halt> {
        self.analysis.not_understood.push(NotUnderstood {
            path: self.place(),
            offset: part.offset,
            length: Some(ByteCount(part.length)),
            entropy_millibits: Some(part.entropy_millibits),
            looks_like: part.looks_like,
        });
        Ok(())
    }
}

/// Says whether a file is read for what it says, not for what it holds.
fn is_text_file(inner: &str) -> bool {
    parts::database_at(inner).is_some() || parts::is_os_release(inner)
}
