//! Tails a log across rotation: each line comes out once, whatever the rotation does.
//!
//! In: the path of a log, a checkpoint. Out: batches of lines, each with the checkpoint that belongs to it; storing both
//! in one transaction makes each line count exactly once. Refuses: lines and batches above their limits.
//!
//! It withstands renaming (`eve.json` → `eve.json.1`, by logrotate or Zeek), copying and truncating, several rotations
//! between two reads or while nobody reads, a writer that goes on in the renamed file, deleted and compressed files (as
//! long as they were open here), inodes that are used again, and lines that are written in pieces.
//!
//! What it cannot do: read lines of a file that was deleted, compressed or truncated without a copy while nobody was
//! reading. It says so in [`Batch::lost_files`].

mod checkpoint;
mod lines;
mod scan;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use checkpoint::HEAD_BYTES_MAX;
pub use checkpoint::{Checkpoint, CheckpointError, Inside, Mark, Role};
use lines::Room;
use scan::{Found, Place};

/// How much a tail may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailLimits {
    /// Longest line in bytes; longer ones are passed over and counted. An alert of Suricata with a whole 64 KiB payload
    /// in base64 and as text comes to about 160 KiB.
    pub line_bytes_max: usize,
    /// Most bytes of a batch, give or take a line: a batch is held in memory and stored in one transaction.
    pub batch_bytes_max: usize,
    /// Most files that are remembered one by one; older ones are remembered by their time. Rotation keeps 4 to 30.
    pub files_max: usize,
    /// How many files stay open after they were read, so that deleting or moving them loses nothing.
    pub open_files_max: usize,
}

impl Default for TailLimits {
    fn default() -> Self {
        Self { line_bytes_max: 256 << 10, batch_bytes_max: 8 << 20, files_max: 32, open_files_max: 3 }
    }
}

/// Where to begin without a checkpoint; files that were rotated before are never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first line of the log.
    Beginning,
    /// With the first line that is written from now on.
    End,
}

/// Why a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// There is nothing more at present.
    End,
    /// The batch is full: there may be more.
    Limit,
}

/// Lines, and where the tail stands behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The lines, without their ends. Bytes that are not UTF-8 are replaced.
    pub lines: Vec<String>,
    /// Where to go on after these lines.
    pub checkpoint: Checkpoint,
    /// Why the batch ended.
    pub reached: Reached,
    /// How many lines were passed over because they are too long.
    pub too_long: u64,
    /// How many files vanished, or were truncated without a copy, before their end was seen: lines may be missing.
    pub lost_files: u64,
}

/// A log that cannot be read.
#[derive(Debug, Error)]
#[error("cannot {doing} {path}")]
pub struct TailError {
    /// What was attempted.
    pub doing: &'static str,
    /// On which log.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

/// How often a file must be missing before it counts as gone: while files are renamed, one look may miss one.
const MISSES_MAX: u8 = 3;

struct Known {
    mark: Mark,
    file: Option<File>,
    size: u64,
    misses: u8,
}

/// A log and where it was read to.
pub struct Tail {
    path: PathBuf,
    limits: TailLimits,
    files: BTreeMap<(u64, u64), Known>,
    /// The file that last had the log's own name; it may go on being written to after it was renamed.
    current: Option<(u64, u64)>,
    horizon: i64,
}

impl Tail {
    /// Opens a log, behind what the checkpoint says was read. The log need not exist yet; its folder must.
    pub fn open(path: &Path, checkpoint: Option<&Checkpoint>) -> Result<Self, TailError> {
        Self::open_with(path, checkpoint, Start::Beginning, TailLimits::default())
    }

    /// Opens a log with another start and other limits.
    pub fn open_with(
        path: &Path,
        checkpoint: Option<&Checkpoint>,
        start: Start,
        limits: TailLimits,
    ) -> Result<Self, TailError> {
        let files = BTreeMap::new();
        let mut tail = Self { path: path.to_owned(), limits, files, current: None, horizon: i64::MIN };
        if let Some(checkpoint) = checkpoint {
            tail.horizon = checkpoint.horizon;
            let known = |mark: &Mark| {
                ((mark.device, mark.inode), Known { mark: mark.clone(), file: None, size: 0, misses: 0 })
            };
            tail.files = checkpoint.marks.iter().map(known).collect();
        } else {
            let found = scan::scan(path).map_err(|source| tail.error("look for", source))?;
            for file in found {
                tail.begin(file, start).map_err(|source| tail.error("read", source))?;
            }
            tail.settle();
        }
        Ok(tail)
    }

    /// Reads at most `lines_max` lines that are new.
    pub fn read_lines(&mut self, lines_max: usize) -> Result<Batch, TailError> {
        let found = scan::scan(&self.path).map_err(|source| self.error("look for", source))?;
        let (order, mut lost_files) = self.recognise(found).map_err(|source| self.error("read", source))?;
        let lines_max = lines_max.max(1);
        let mut room = Room { lines: Vec::new(), lines_max, bytes: 0, too_long: 0 };
        let mut reached = Reached::End;
        // What is not in the folder any more is older than all that is.
        let gone: Vec<(u64, u64)> = self.files.keys().filter(|id| !order.contains(id)).copied().collect();
        for id in gone.iter().chain(&order) {
            let Some(known) = self.files.get_mut(id) else { continue };
            let Some(file) = &known.file else { continue };
            let outcome = read_one(file, &mut known.mark, &mut room, &self.limits);
            if outcome.map_err(|source| self.error("read", source))? == Reached::Limit {
                reached = Reached::Limit;
                break;
            }
        }
        if reached == Reached::End {
            lost_files += self.bury(&gone, &mut room).map_err(|source| self.error("read", source))?;
            self.settle();
        }
        let Room { lines, too_long, .. } = room;
        Ok(Batch { lines, checkpoint: self.checkpoint(), reached, too_long, lost_files })
    }

    /// Returns where the tail stands.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            marks: self.files.values().map(|known| known.mark.clone()).collect(),
            horizon: self.horizon,
        }
    }

    fn error(&self, doing: &'static str, source: io::Error) -> TailError {
        TailError { doing, path: self.path.clone(), source }
    }

    /// Tells which found file is which known one. Returns the files in reading order, and how many lost their end.
    fn recognise(&mut self, found: Vec<Found>) -> io::Result<(Vec<(u64, u64)>, u64)> {
        let mut order = Vec::new();
        let mut strangers = Vec::new();
        let mut bodiless: Vec<Mark> = Vec::new();
        for file in found {
            let id = (file.device, file.inode);
            order.push(id);
            if file.place == Place::Current {
                self.current = Some(id);
            }
            match self.files.get_mut(&id) {
                // A file that was empty cannot be told from another one that got its inode, and has nothing to lose.
                Some(known) if known.mark.head.is_empty() && file.size > 0 => strangers.push(file),
                Some(known) if is_same(&known.mark, &file)? => {
                    known.mark.modified = file.modified;
                    known.misses = 0;
                    known.size = file.size;
                    // A file that is open already stays so: it is the same one. Its copy is known by its first bytes.
                    let file = known.file.get_or_insert(file.file);
                    lines::extend_head(file, &mut known.mark)?;
                }
                Some(_) => {
                    bodiless.extend(self.files.remove(&id).map(|known| known.mark));
                    strangers.push(file);
                }
                None => strangers.push(file),
            }
        }
        // The log itself first: a copy of it must not be taken for it.
        strangers.sort_by_key(|file| file.place == Place::Rotated);
        for file in strangers {
            self.meet(file, &mut bodiless)?;
        }
        let lost = bodiless.iter().filter(|mark| mark.role == Role::Live && !mark.head.is_empty()).count();
        Ok((order, u64::try_from(lost).unwrap_or(u64::MAX)))
    }

    /// Takes in a file that was not known: the copy of one that was truncated, the copy of one that still stands (which
    /// is left alone), one that was read long ago, or a new one.
    fn meet(&mut self, file: Found, bodiless: &mut Vec<Mark>) -> io::Result<()> {
        let head = lines::head(&file.file, HEAD_BYTES_MAX)?;
        // A copy begins as its original does, and may have been made when that was shorter.
        let is_copy_of = |mark: &Mark| {
            let common = mark.head.len().min(head.len());
            common > 0 && mark.head.get(..common) == head.get(..common)
        };
        // The first few bytes of a line prove nothing: all lines of a log begin alike.
        let is_proof =
            file.place == Place::Rotated && (head.len() == HEAD_BYTES_MAX || head.contains(&b'\n'));
        let original = bodiless.iter().position(is_copy_of).filter(|_| is_proof);
        if let Some(index) = original {
            let mark = bodiless.remove(index);
            // Lines that were written after the copy was made were read from the original: the offset may be too far.
            let offset = mark.offset.min(file.size);
            return self.adopt(file, offset, mark.inside);
        }
        // While the original stands and is as long, its copy is not read; once it is longer, it is no copy.
        if self.files.values().any(|known| known.size >= file.size && is_copy_of(&known.mark)) {
            return Ok(());
        }
        if file.place == Place::Rotated && file.modified <= self.horizon {
            return Ok(());
        }
        self.adopt(file, 0, Inside::Nothing)
    }

    /// Takes in a file when there is no checkpoint.
    fn begin(&mut self, file: Found, start: Start) -> io::Result<()> {
        let offset = match (file.place, start) {
            (Place::Current, Start::Beginning) => 0,
            (Place::Current, Start::End) | (Place::Rotated, _) => {
                lines::last_line_start(&file.file, file.size, &self.limits)?
            }
        };
        self.adopt(file, offset, Inside::Nothing)
    }

    fn adopt(&mut self, found: Found, offset: u64, inside: Inside) -> io::Result<()> {
        let Found { file, device, inode, size, modified, place, .. } = found;
        if place == Place::Current {
            self.current = Some((device, inode));
        }
        let role = Role::Live;
        let mut mark = Mark { device, inode, offset, head: Vec::new(), modified, role, inside };
        lines::extend_head(&file, &mut mark)?;
        self.files.insert((device, inode), Known { mark, file: Some(file), size, misses: 0 });
        Ok(())
    }

    /// Lets go of files that are gone from the folder. Returns how many of them were not read to their end.
    fn bury(&mut self, gone: &[(u64, u64)], room: &mut Room) -> io::Result<u64> {
        let mut lost = 0;
        for id in gone {
            let Some(known) = self.files.get_mut(id) else { continue };
            known.misses = known.misses.saturating_add(1);
            if known.misses < MISSES_MAX {
                continue;
            }
            match &known.file {
                Some(file) if file.metadata()?.nlink() == 0 => {
                    lines::read_last(file, &mut known.mark, room, &self.limits)?;
                }
                // Moved elsewhere, and perhaps still written to: it stays open as long as it is among the newest.
                Some(_) => continue,
                None if known.mark.role == Role::Live => lost += 1,
                None => {}
            }
            self.files.remove(id);
        }
        Ok(lost)
    }

    /// Marks all but the log itself as read to their end, closes old files, and forgets the oldest.
    fn settle(&mut self) {
        let current = self.current;
        // A file that is not open was not read just now: it keeps its role.
        for (id, known) in self.files.iter_mut().filter(|(_, known)| known.file.is_some()) {
            known.mark.role = if Some(*id) == current { Role::Live } else { Role::Settled };
        }
        let mut by_age: Vec<((u64, u64), i64)> =
            self.files.iter().map(|(id, known)| (*id, known.mark.modified)).collect();
        by_age.sort_by_key(|(id, modified)| (Some(*id) == current, *modified));
        for (id, _) in by_age.iter().rev().skip(self.limits.open_files_max.max(1)) {
            if let Some(known) = self.files.get_mut(id) {
                known.file = None;
            }
        }
        let too_many = by_age.len().saturating_sub(self.limits.files_max.max(1));
        for (id, modified) in by_age.into_iter().take(too_many) {
            self.files.remove(&id);
            self.horizon = self.horizon.max(modified);
        }
    }
}

/// A file is the same while it has not shrunk below what was read and still begins as it did.
fn is_same(mark: &Mark, found: &Found) -> io::Result<bool> {
    Ok(found.size >= mark.offset && lines::head(&found.file, mark.head.len())? == mark.head)
}

fn read_one(file: &File, mark: &mut Mark, room: &mut Room, limits: &TailLimits) -> io::Result<Reached> {
    let reached = lines::read(file, mark, room, limits)?;
    lines::extend_head(file, mark)?;
    Ok(reached)
}

#[cfg(test)]
mod tests;
