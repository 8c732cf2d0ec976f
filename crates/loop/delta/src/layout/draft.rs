//! What a parser has found so far, and how that becomes part of a [`Layout`].
//!
//! In: packed stretches and files as a parser meets them, in the coordinates of its own file system. Out: a layout whose
//! packed stretches are sorted and disjoint, and whose files lie in it. Drops what is outside of the image, stretches
//! that overlap an earlier one, files that lie in a dropped stretch, and everything above the limits.

use super::{File, Layout, Packed, Piece};

/// Packed stretches of one file system: 256 GiB in blocks of 128 KiB, 8 GiB in blocks of 4 KiB; 80 MiB of memory.
const PACKED_MAX: usize = 1 << 21;

/// Pieces of all files of one file system: as many as packed stretches; 64 MiB of memory.
const PIECES_MAX: usize = 1 << 21;

/// Names that are looked at in one file system: ten times those of a large root file system.
const ENTRIES_MAX: usize = 1 << 20;

/// Longest path, in bytes: `PATH_MAX` of Linux. It bounds the depth of a tree as well.
const PATH_BYTES_MAX: usize = 4096;

/// All paths of one file system without their last names, in bytes: 64 for each entry that is allowed. The names
/// themselves stand in the image, or in tables that have a limit.
const PATHS_BYTES_MAX: usize = ENTRIES_MAX * 64;

/// Packed stretches and files, in the order in which they were met.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    packed: Vec<Packed>,
    files: Vec<File>,
    pieces: usize,
    paths_bytes: usize,
    entries: usize,
}

impl Draft {
    /// Takes a packed stretch and returns its index for [`Piece::InPacked`]; `None` when there are too many.
    pub(crate) fn pack(&mut self, packed: Packed) -> Option<usize> {
        if self.packed.len() >= PACKED_MAX {
            return None;
        }
        self.packed.push(packed);
        Some(self.packed.len() - 1)
    }

    /// Takes a file; `None` when there are too many pieces. A file without stored bytes tells nothing and is not kept.
    pub(crate) fn file(&mut self, path: &str, pieces: Pieces) -> Option<()> {
        if pieces.0.iter().all(|piece| matches!(piece, Piece::Hole { .. })) {
            return Some(());
        }
        self.pieces = self.pieces.checked_add(pieces.0.len()).filter(|count| *count <= PIECES_MAX)?;
        self.files.push(File { path: path.to_owned(), pieces: pieces.0 });
        Some(())
    }

    /// Counts a name of a directory whose own path is `folder`; `None` when there are too many.
    pub(crate) fn entry(&mut self, folder: &str) -> Option<()> {
        self.entries += 1;
        self.paths_bytes = self.paths_bytes.saturating_add(folder.len());
        (self.entries <= ENTRIES_MAX && self.paths_bytes <= PATHS_BYTES_MAX).then_some(())
    }

    /// Counts a block of a directory as if it were a name.
    pub(crate) fn block(&mut self) -> Option<()> {
        self.entry("")
    }

    /// Puts a folder before every path.
    pub(crate) fn put_below(&mut self, folder: &str) {
        for file in &mut self.files {
            file.path = format!("{folder}/{}", file.path);
        }
    }

    /// Adds everything to a layout of a whole image, in which this file system begins at `start`.
    pub(crate) fn settle_into(self, out: &mut Layout, start: u64, image_len: u64) {
        let base = out.packed.len();
        let mut packed = std::mem::take(&mut out.packed);
        let mut files = std::mem::take(&mut out.files);
        packed.extend(
            self.packed.into_iter().map(|one| Packed { start: one.start.saturating_add(start), ..one }),
        );
        for mut file in self.files {
            for piece in &mut file.pieces {
                match piece {
                    Piece::Raw { start: at, .. } => *at = at.saturating_add(start),
                    Piece::InPacked { index, .. } => *index = index.saturating_add(base),
                    Piece::Hole { .. } => {}
                }
            }
            files.push(file);
        }
        *out = settle(&packed, files, image_len);
    }
}

/// Turns a layout of a part of an image into a draft, so that it can be added to the layout of the whole.
impl From<Layout> for Draft {
    fn from(layout: Layout) -> Self {
        Self { packed: layout.packed, files: layout.files, ..Self::default() }
    }
}

/// Returns the path of a name in a folder; `None` for what is no name, or makes the path too long.
pub(crate) fn join(folder: &str, name: &[u8]) -> Option<String> {
    let is_name = !name.is_empty() && !matches!(name, b"." | b"..");
    if !is_name || name.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return None;
    }
    let name = String::from_utf8_lossy(name);
    let path = if folder.is_empty() { name.into_owned() } else { format!("{folder}/{name}") };
    (path.len() <= PATH_BYTES_MAX).then_some(path)
}

/// Sorts the packed stretches, drops what overlaps or lies outside, and lets the files follow.
fn settle(packed: &[Packed], files: Vec<File>, image_len: u64) -> Layout {
    let (kept, moved) = disjoint(packed, image_len);
    let mut placed: Vec<((u64, u64), File)> = Vec::new();
    for mut file in files {
        if let Some(first) = place_file(&mut file, &kept, &moved, image_len) {
            placed.push((first, file));
        }
    }
    placed.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one.path.cmp(&other.path)));
    Layout { packed: kept, files: placed.into_iter().map(|(_, file)| file).collect() }
}

/// Returns the stretches that stay, and for each given one where it went.
fn disjoint(packed: &[Packed], image_len: u64) -> (Vec<Packed>, Vec<Option<usize>>) {
    let mut order: Vec<(u64, usize)> =
        packed.iter().enumerate().map(|(index, one)| (one.start, index)).collect();
    order.sort_unstable();
    let mut kept: Vec<Packed> = Vec::with_capacity(packed.len());
    let mut moved = vec![None; packed.len()];
    let mut end_before = 0;
    for (_, index) in order {
        let (Some(one), Some(place)) = (packed.get(index), moved.get_mut(index)) else { continue };
        let Some(end) = one.start.checked_add(one.len).filter(|end| *end <= image_len) else { continue };
        if let Some(last) = kept.last_mut()
            && (last.start, last.len, last.hint) == (one.start, one.len, one.hint)
        {
            // Met twice, once for each file that has it.
            last.plain_len_max = last.plain_len_max.max(one.plain_len_max);
            *place = kept.len().checked_sub(1);
        } else if one.len > 0 && one.start >= end_before {
            kept.push(*one);
            end_before = end;
            *place = kept.len().checked_sub(1);
        }
    }
    (kept, moved)
}

/// Rewrites the indices of a file; returns where its first byte lies, or `None` when the file cannot stay.
fn place_file(
    file: &mut File,
    kept: &[Packed],
    moved: &[Option<usize>],
    image_len: u64,
) -> Option<(u64, u64)> {
    let mut first = None;
    for piece in &mut file.pieces {
        match piece {
            Piece::Raw { start, len } => {
                let end = start.checked_add(*len).filter(|end| *end <= image_len)?;
                // What is unpacked has no raw bytes any more.
                let next = kept.get(kept.partition_point(|one| one.start.saturating_add(one.len) <= *start));
                if next.is_some_and(|one| one.start < end) {
                    return None;
                }
                first.get_or_insert((*start, 0));
            }
            Piece::InPacked { index, skip, len } => {
                *index = (*moved.get(*index)?)?;
                let one = kept.get(*index)?;
                skip.checked_add(*len).filter(|end| *end <= one.plain_len_max)?;
                first.get_or_insert((one.start, *skip));
            }
            Piece::Hole { .. } => {}
        }
    }
    first
}

/// The pieces of a file, neighbours joined.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pieces(Vec<Piece>);

impl Pieces {
    /// Appends a piece.
    pub(crate) fn push(&mut self, piece: Piece) {
        match (self.0.last_mut(), piece) {
            (_, Piece::Raw { len: 0, .. } | Piece::Hole { len: 0 } | Piece::InPacked { len: 0, .. }) => {}
            (Some(Piece::Raw { start, len }), Piece::Raw { start: next, len: more })
                if start.checked_add(*len) == Some(next) =>
            {
                *len = len.saturating_add(more);
            }
            (Some(Piece::Hole { len }), Piece::Hole { len: more }) => *len = len.saturating_add(more),
            (
                Some(Piece::InPacked { index, skip, len }),
                Piece::InPacked { index: same, skip: next, len: more },
            ) if *index == same && skip.checked_add(*len) == Some(next) => *len = len.saturating_add(more),
            _ => self.0.push(piece),
        }
    }

    /// Appends all pieces of another file.
    pub(crate) fn extend(&mut self, other: &Self) {
        for piece in &other.0 {
            self.push(*piece);
        }
    }

    /// Lists the pieces.
    pub(crate) fn as_slice(&self) -> &[Piece] {
        &self.0
    }
}

/// The pieces of a file that others are cut out of.
#[derive(Debug, Default)]
pub(crate) struct Sliceable {
    pieces: Vec<Piece>,
    /// Where in the file each piece ends.
    ends: Vec<u64>,
}

impl Sliceable {
    /// Prepares a file.
    pub(crate) fn new(pieces: Pieces) -> Self {
        let mut end = 0_u64;
        let ends = pieces.0.iter().map(|piece| {
            end = end.saturating_add(piece_len(piece));
            end
        });
        Self { ends: ends.collect(), pieces: pieces.0 }
    }

    /// Returns the pieces of `len` bytes at `skip`; `None` when the file has them not.
    pub(crate) fn slice(&self, mut skip: u64, mut len: u64) -> Option<Pieces> {
        let mut found = Pieces::default();
        let first = self.ends.partition_point(|end| *end <= skip);
        let starts_at = first.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        skip = skip.checked_sub(starts_at)?;
        for piece in self.pieces.get(first..)? {
            let count = piece_len(piece).checked_sub(skip)?.min(len);
            found.push(match *piece {
                Piece::Raw { start, .. } => Piece::Raw { start: start.checked_add(skip)?, len: count },
                Piece::InPacked { index, skip: before, .. } => {
                    Piece::InPacked { index, skip: before.checked_add(skip)?, len: count }
                }
                Piece::Hole { .. } => Piece::Hole { len: count },
            });
            skip = 0;
            len -= count;
            if len == 0 {
                return Some(found);
            }
        }
        None
    }
}

fn piece_len(piece: &Piece) -> u64 {
    match piece {
        Piece::Raw { len, .. } | Piece::InPacked { len, .. } | Piece::Hole { len } => *len,
    }
}

#[cfg(test)]
mod tests;
