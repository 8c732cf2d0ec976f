//! Packed streams, and the containers that hold files and streams.
//!
//! In: an image, a place in it, and how to look at file systems. Out: what stands there, added to a [`Layout`] in the
//! coordinates of the whole image, and where it ends. Refuses nothing: what breaks its format is not listed.
//!
//! - [`look_streams`] describes what starts at a place that is known; [`carve`] finds what can be found anywhere.
//! - A stream is one [`Packed`]: a gzip member, an xz stream, a Zstandard frame. What it unpacks to is the next layer's
//!   business. A stream that belongs to no named file becomes a file of its own (`<gzip>`); neighbours are one file.
//! - A member of a container is looked into where it lies: its streams are listed beside its [`File`]. When it holds
//!   files of its own, these stand in its place, their paths behind its path.
//! - Whatever the bytes, what is added is sorted, disjoint and inside the image, and the costs stay within named limits.

mod android;
mod archive;
mod bytes;
mod carving;
mod cpio;
mod elf;
mod kernel;
mod sizes;
mod tar;
mod tree;
mod zip;

use super::{File, Layout, Packed, Piece};
use crate::codec::Hint;
use bytes::{begins, byte, head, length};
use sizes::{Measured, Meter};

pub(crate) use carving::carve;

/// Describes a file system at a place, as [`look_streams`] does for streams: `None`, and nothing added, when there is
/// none that it knows.
pub(crate) type LookOther<'a> = &'a dyn Fn(&[u8], u64, &mut Layout) -> Option<u64>;

/// How deep containers may be stacked without compression between them: a kernel in a FIT in an SWU makes three.
const CONTAINERS_DEEP_MAX: u32 = 6;

/// The most files and streams that one look adds, each: a full desktop's root file system has some 300,000.
const ENTRIES_MAX: usize = 1 << 20;

/// The longest path that is listed, in bytes: that of Linux.
const PATH_BYTES_MAX: usize = 4_096;

/// The most zeros that may stand between two parts of an initramfs or behind an archive: tar fills records of 10 KiB.
const PADDING_BYTES_MAX: usize = 64 << 10;

/// Describes what starts at `start`: a stream, a kernel, a container, or several of them in a row. Returns where it ends.
/// Members of containers, too, may be file systems: `other` looks at those.
pub(crate) fn look_streams(image: &[u8], start: u64, out: &mut Layout, other: LookOther<'_>) -> Option<u64> {
    Scan::new(out, other).run(image, start)
}

/// A look at an image on its way: what was found, and what it may still cost.
struct Scan<'a> {
    out: &'a mut Layout,
    other: LookOther<'a>,
    meter: Meter,
    /// How many members of containers, each in the one before, are being looked into.
    members: u32,
    /// The same for containers: wrappers have no members.
    containers: u32,
    entries_max: usize,
}

/// Describes what starts at a place, and returns where it ends; what it added is forgotten when it returns `None`.
type Parser = fn(&mut Scan<'_>, &[u8], u64) -> Option<u64>;

/// How much a layout held at a moment.
#[derive(Clone, Copy)]
struct Mark {
    packed: usize,
    files: usize,
    pieces: usize,
}

impl<'a> Scan<'a> {
    fn new(out: &'a mut Layout, other: LookOther<'a>) -> Self {
        let entries_max = out.files.len().max(out.packed.len()).saturating_add(ENTRIES_MAX);
        Self { out, other, meter: Meter::new(), members: 0, containers: 0, entries_max }
    }

    /// Describes everything that stands in a row from `start` on, with nothing but zeros between.
    fn run(&mut self, image: &[u8], start: u64) -> Option<u64> {
        let (mut at, mut end) = (start, None);
        while let Some(next) = self.one(image, at).filter(|next| *next > at) {
            end = Some(next);
            at = skip_zeros(image, next);
        }
        end
    }

    /// Describes one stream, kernel or container.
    fn one(&mut self, image: &[u8], start: u64) -> Option<u64> {
        self.meter.step()?;
        // From here on, a place is small enough to be added to.
        if start >= length(image) {
            return None;
        }
        self.stream(image, start, 0).or_else(|| self.container(image, start))
    }

    /// Describes a kernel or a container, unless it lies too deep in others.
    fn container(&mut self, image: &[u8], start: u64) -> Option<u64> {
        if self.containers >= CONTAINERS_DEEP_MAX {
            return None;
        }
        self.containers += 1;
        let end = self.any_container(image, start);
        self.containers -= 1;
        end
    }

    fn any_container(&mut self, image: &[u8], start: u64) -> Option<u64> {
        let parsers: [Parser; 8] = [
            kernel::look,
            tree::look,
            cpio::look,
            zip::look,
            archive::look,
            android::look,
            tar::look,
            elf::look,
        ];
        let mark = self.mark();
        let accept = |scan: &mut Self, end: Option<u64>| {
            let end = end.filter(|end| *end > start && *end <= length(image));
            if end.is_none() {
                scan.turn_back(mark);
            }
            end
        };
        for look in parsers {
            let end = look(self, image, start);
            if let Some(end) = accept(self, end) {
                return Some(end);
            }
        }
        let end = self.file_system(image, start);
        accept(self, end)
    }

    /// Asks whoever knows file systems.
    fn file_system(&mut self, image: &[u8], start: u64) -> Option<u64> {
        let mark = self.mark();
        let end = (self.other)(image, start, self.out)?;
        self.is_orderly(mark, start, end).then_some(end)
    }

    /// Says whether what a stranger added since a mark is as promised.
    fn is_orderly(&self, mark: Mark, start: u64, end: u64) -> bool {
        let mut at = start.max(self.packed_end(mark.packed));
        let added = self.out.packed.get(mark.packed..).unwrap_or_default();
        let sorted = added.iter().all(|packed| {
            let fits = packed.start >= at;
            at = packed.start.saturating_add(packed.len);
            fits
        });
        sorted && at <= end && self.out.packed.len() <= self.entries_max
    }

    /// Describes a stream that unpacks to at least `plain_len_min` bytes.
    fn stream(&mut self, image: &[u8], start: u64, plain_len_min: u64) -> Option<u64> {
        let bytes = bytes::tail(image, start)?;
        let meter = &mut self.meter;
        let (measured, hint) = match bytes.first()? {
            0x1f => (sizes::gzip(bytes, meter)?, Hint::Gzip),
            0xfd => (sizes::xz(bytes, meter)?, Hint::Xz(None)),
            0x28 => (sizes::zstd(bytes, meter)?, Hint::Zstd),
            0x04 => (sizes::lz4_frame(bytes, meter)?, Hint::Lz4Frame),
            0x02 => (sizes::lz4_legacy(bytes, meter)?, Hint::Lz4Legacy),
            0x5d | 0x6d => (sizes::lzma(bytes, meter)?, Hint::Lzma),
            0x50..=0x5f => return self.skippable(image, start),
            _ => return None,
        };
        if measured.plain_len < plain_len_min {
            return None;
        }
        self.pack(start, measured, hint)
    }

    /// Goes over skippable frames when a stream of their kind follows or ends there.
    fn skippable(&mut self, image: &[u8], start: u64) -> Option<u64> {
        let mut at = start;
        while let Some(len) = sizes::skippable(bytes::tail(image, at)?) {
            self.meter.step()?;
            at += len;
        }
        let behind_one = self.out.packed.last().is_some_and(|packed| packed.start + packed.len == start);
        let before_one =
            begins(image, at, &sizes::ZSTD_MAGIC) || begins(image, at, &[0x04, 0x22, 0x4d, 0x18]);
        (at > start && (behind_one || before_one)).then_some(at)
    }

    /// Lists a stream, and a file for it when it belongs to none. Returns its end.
    fn pack(&mut self, start: u64, measured: Measured, hint: Hint) -> Option<u64> {
        if measured.plain_len == 0 {
            return start.checked_add(measured.packed_len);
        }
        let neighbour = self.packed_end(self.out.packed.len()) == start && start > 0;
        let index = self.list(start, measured, hint)?;
        let piece = Piece::InPacked { index, skip: 0, len: measured.plain_len };
        if self.members == 0 {
            let path = name(hint);
            match self.out.files.last_mut() {
                Some(file) if neighbour && file.path == path => file.pieces.push(piece),
                _ => self.add(path.to_owned(), vec![piece])?,
            }
        }
        start.checked_add(measured.packed_len)
    }

    /// Lists a stream, and returns its index.
    fn list(&mut self, start: u64, measured: Measured, hint: Hint) -> Option<usize> {
        let index = self.out.packed.len();
        if start < self.packed_end(index) || index >= self.entries_max || measured.packed_len == 0 {
            return None;
        }
        let Measured { packed_len: len, plain_len: plain_len_max } = measured;
        self.out.packed.push(Packed { start, len, plain_len_max, hint });
        Some(index)
    }

    /// Returns where the last of the first `count` packed stretches ends.
    fn packed_end(&self, count: usize) -> u64 {
        let last = count.checked_sub(1).and_then(|index| self.out.packed.get(index));
        last.map_or(0, |packed| packed.start.saturating_add(packed.len))
    }

    /// Lists a file that has bytes.
    fn add(&mut self, path: String, pieces: Vec<Piece>) -> Option<()> {
        if self.out.files.len() >= self.entries_max || path.len() > PATH_BYTES_MAX {
            return None;
        }
        self.out.files.push(File { path, pieces });
        Some(())
    }

    /// Lists a member of a container that lies in the image as it is, and looks into it. `None` when it is not wholly
    /// inside the image, or when there are too many: then the container's walk ends.
    fn member(&mut self, image: &[u8], path: String, start: u64, len: u64) -> Option<()> {
        let end = start.checked_add(len).filter(|end| *end <= length(image))?;
        let mark = self.mark();
        if len > 0 {
            self.members += 1;
            self.run(head(image, end), start);
            self.members -= 1;
        }
        let inner = self.out.files.get_mut(mark.files..).unwrap_or_default();
        if inner.is_empty() && len > 0 {
            return self.add(path, vec![Piece::Raw { start, len }]);
        }
        for file in inner {
            let long = path.len() + 1 + file.path.len() > PATH_BYTES_MAX;
            file.path = if long { file.path.clone() } else { format!("{path}/{}", file.path) };
        }
        Some(())
    }

    fn mark(&self) -> Mark {
        let pieces = self.out.files.last().map_or(0, |file| file.pieces.len());
        Mark { packed: self.out.packed.len(), files: self.out.files.len(), pieces }
    }

    /// Forgets what was added since a mark.
    fn turn_back(&mut self, mark: Mark) {
        self.out.packed.truncate(mark.packed);
        self.out.files.truncate(mark.files);
        if let Some(file) = self.out.files.last_mut() {
            file.pieces.truncate(mark.pieces);
        }
    }
}

/// The path of a stream that belongs to no file.
fn name(hint: Hint) -> &'static str {
    match hint {
        Hint::Zlib => "<zlib>",
        Hint::Gzip => "<gzip>",
        Hint::Deflate => "<deflate>",
        Hint::Xz(_) => "<xz>",
        Hint::Lzma => "<lzma>",
        Hint::Zstd => "<zstd>",
        Hint::Lz4Block | Hint::Lz4Frame | Hint::Lz4Legacy => "<lz4>",
        Hint::Lzo => "<lzo>",
    }
}

/// Goes over the zeros at a place, when they are few or go on to the end.
fn skip_zeros(image: &[u8], start: u64) -> u64 {
    let rest = bytes::tail(image, start).unwrap_or_default();
    let zeros = rest.iter().take(PADDING_BYTES_MAX).take_while(|byte| **byte == 0).count();
    start.saturating_add(u64::try_from(zeros).unwrap_or_default())
}

/// Says whether a place holds nothing but zeros, for up to `len` bytes.
fn is_blank(image: &[u8], start: u64, len: u64) -> bool {
    (start..start.saturating_add(len)).all(|at| byte(image, at).is_some_and(|byte| byte == 0))
}

#[cfg(test)]
mod tests;
