//! The analysis itself: walks an image, and every image and archive inside it.
//!
//! In: an image. Out: an [`Analysis`]. Refuses the whole only for what concerns the whole; a damaged or oversized entry
//! is listed, and the rest goes on.

use std::io::{self, Read};

use warden_model::ByteCount;

use crate::ReadSeek;
use crate::budget::{Budget, read_head};
use crate::door::{Passed, PassedKind, Sink};
use crate::error::{AnalyseError, Halt};
use crate::identify::{Guess, HEAD_BYTES, describe, identify};
use crate::limits::Limits;
use crate::parts::{self, Collection, DATABASE_BYTES_MAX, Database, Distribution, Scanner};
use crate::report::{Analysis, FileEntry, FileKind, INSIDE, Layer, NotUnderstood, Skipped, Why};
use crate::visit::open;
use crate::walk::{Source, walk};

/// A root file system that is being walked.
struct Root {
    /// Its path, with [`INSIDE`] at the end; empty for the image's own.
    prefix: String,
    /// The index of its layer.
    layer: usize,
    distribution: Distribution,
    packages_before: usize,
}

struct Survey<'b> {
    budget: &'b Budget,
    scanner: Scanner,
    analysis: Analysis,
    collection: Collection,
    roots: Vec<Root>,
    /// The paths of the containers around what is being walked; the innermost last.
    places: Vec<String>,
}

/// Analyses an image.
pub(crate) fn survey(image: Box<dyn ReadSeek + '_>, limits: &Limits) -> Result<Analysis, AnalyseError> {
    let (image, budget) = open(image, limits)?;
    let mut survey = Survey {
        budget: &budget,
        scanner: Scanner::new(),
        analysis: Analysis::default(),
        collection: Collection::default(),
        roots: Vec::new(),
        places: Vec::new(),
    };
    let end = walk(Source::Image(image), 1, &budget, &mut survey);
    let analysis = survey.finish();
    match end {
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
    fn look(&mut self, path: &str, inner: &str, content: &mut dyn Read) -> Result<(), Halt> {
        let head = self.read(|| read_head(content, HEAD_BYTES), path)?;
        let Some(head) = head else { return Ok(()) };
        let guess = identify(&head);
        let mut whole = io::Cursor::new(head).chain(content);
        self.analysis.looked_at.files += 1;
        if let Some(database) = parts::database_at(inner) {
            return self.take_database(database, path, &mut whole);
        }
        if parts::is_os_release(inner) {
            return self.take_distribution(path, &mut whole);
        }
        match guess {
            Guess::Known(_) => self.nested(path, &mut whole),
            Guess::Foreign(name) => {
                self.analysis
                    .not_understood
                    .push(NotUnderstood { path: path.to_owned(), looks_like: name.to_owned() });
                self.scan(path, &mut whole)
            }
            Guess::Unknown => self.scan(path, &mut whole),
        }
    }

    /// Does a read; one that fails for the entry alone is listed and gives nothing.
    fn read<T>(&mut self, work: impl FnOnce() -> io::Result<T>, path: &str) -> Result<Option<T>, Halt> {
        let format =
            self.analysis.layers.last().map_or("the image", |layer| layer.format.as_str()).to_owned();
        let halt = match work() {
            Ok(value) => return Ok(Some(value)),
            Err(error) => Halt::from_read(&format, self.budget, &error),
        };
        self.list_or_stop(path, halt).map(|()| None)
    }

    /// Lists what concerns one entry; stops for what concerns the image.
    fn list_or_stop(&mut self, path: &str, halt: Halt) -> Result<(), Halt> {
        // Handled here and now: what fails later fails for a reason of its own.
        self.budget.take_reached();
        let why = match halt {
            Halt::Limit(limit) if limit.is_about_one_entry() => Why::Limit(limit),
            Halt::Damaged { format, what } => Why::Damaged { format, what },
            Halt::Unknown { looks_like } => {
                self.analysis.not_understood.push(NotUnderstood { path: path.to_owned(), looks_like });
                return Ok(());
            }
            halt @ (Halt::Limit(_) | Halt::Refused { .. } | Halt::Visitor { .. }) => return Err(halt),
        };
        self.analysis.skipped.push(Skipped { path: path.to_owned(), why });
        Ok(())
    }

    fn nested(&mut self, path: &str, content: &mut dyn Read) -> Result<(), Halt> {
        let depth = u32::try_from(self.analysis_depth()).unwrap_or(u32::MAX);
        self.places.push(path.to_owned());
        let end = walk(Source::Stream(Box::new(content)), depth, self.budget, self);
        self.places.pop();
        end.or_else(|halt| self.list_or_stop(path, halt))
    }

    /// Returns the depth of what is nested in the layer at hand: the image itself has depth 1.
    fn analysis_depth(&self) -> usize {
        self.places.len() + 2
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

    fn entry(&mut self, entry: Passed, content: &mut dyn Read) -> Result<(), Halt> {
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
        let Some(path) = self.places.last().cloned() else {
            let head = read_head(content, HEAD_BYTES).unwrap_or_default();
            let looks_like = format!("a compressed stream around something that is {}", describe(&head));
            return Err(Halt::Unknown { looks_like });
        };
        // A compressed program or kernel module: its texts count, at the path of the stream.
        self.scan(&path, content)
    }
}
