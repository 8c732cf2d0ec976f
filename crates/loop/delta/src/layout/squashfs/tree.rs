//! The tree of a SquashFS: inodes, listings, and the blocks of the files.
//!
//! In: the unpacked tables. Out: data blocks and files in the draft. Refuses names that are none and types that do not
//! exist; a damaged directory or file is left out, the others stay. Files that are links to each other, or that
//! `mksquashfs` found to be equal, are listed once.

use std::collections::BTreeSet;

use super::super::Piece;
use super::super::draft::{Draft, Pieces, join};
use super::super::fields::{get, u16_le, u32_le, u64_le};
use super::table::Tables;
use super::{Stored, Superblock, stored_bytes, take_block};

/// Stands for "no fragment".
const NO_FRAGMENT: u32 = u32::MAX;

/// Data blocks that the walk looks at: 512 GiB in blocks of 128 KiB. Holes count; they cost four bytes of an inode each.
const BLOCKS_MAX: u64 = 1 << 22;

/// A listing header is followed by at most this many entries, by the format.
const RUN_ENTRIES_MAX: u32 = 256;

/// A listing counts `.` and `..`, which are not stored, as three bytes.
const DOTS_BYTES: u32 = 3;

/// The basic types of inodes in a listing.
const DIRECTORY: u16 = 1;
const FILE: u16 = 2;

struct Walk<'a> {
    superblock: &'a Superblock,
    tables: &'a Tables,
    draft: &'a mut Draft,
    blocks_left: u64,
    /// Listings that were read, by their place: a directory that contains itself is read once.
    listed: BTreeSet<u64>,
    /// Contents that were listed.
    known: BTreeSet<Content>,
}

/// Where the content of a file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Content {
    start: u64,
    size: u64,
    fragment: u32,
    fragment_offset: u32,
}

/// Walks the tree; `None` when there is more than the limits allow.
pub(super) fn walk(superblock: &Superblock, tables: &Tables, draft: &mut Draft) -> Option<()> {
    let mut walk = Walk {
        superblock,
        tables,
        draft,
        blocks_left: BLOCKS_MAX,
        listed: BTreeSet::new(),
        known: BTreeSet::new(),
    };
    let root = tables.inodes.place(superblock.root >> 16, superblock.root & 0xffff)?;
    let mut folders = vec![(String::new(), root)];
    while let Some((path, inode)) = folders.pop() {
        let Some(listing) = walk.listing(inode) else { continue };
        let below = walk.directory(&path, listing)?;
        folders.extend(below.into_iter().rev());
    }
    Some(())
}

impl<'a> Walk<'a> {
    /// Returns the listing of a directory that was not read before.
    fn listing(&mut self, inode: u64) -> Option<&'a [u8]> {
        let inodes = &self.tables.inodes.plain;
        let u32_at = |at: u64| u32_le(inodes, inode.checked_add(at)?);
        let u16_at = |at: u64| u16_le(inodes, inode.checked_add(at)?);
        let (block, size, offset) = match u16_at(0)? {
            1 => (u32_at(16)?, u32::from(u16_at(24)?), u16_at(26)?),
            8 => (u32_at(24)?, u32_at(20)?, u16_at(34)?),
            _ => return None,
        };
        let len = size.checked_sub(DOTS_BYTES).filter(|len| *len > 0)?;
        let place = self.tables.directories.place(u64::from(block), u64::from(offset))?;
        let listing = get(&self.tables.directories.plain, place, u64::from(len))?;
        self.listed.insert(place).then_some(listing)
    }

    /// Takes the files of a listing and returns the directories below it, with the places of their inodes.
    fn directory(&mut self, path: &str, listing: &[u8]) -> Option<Vec<(String, u64)>> {
        let mut below = Vec::new();
        let mut at = 0;
        // A header: entries less one, the block of their inodes, and a number that they count from.
        while let (Some(count), Some(block)) = (u32_le(listing, at), u32_le(listing, at + 4)) {
            if count >= RUN_ENTRIES_MAX {
                break;
            }
            at += 12;
            for _ in 0..=count {
                self.draft.entry(path)?;
                let entry =
                    (|| Some((u16_le(listing, at)?, u16_le(listing, at + 4)?, u16_le(listing, at + 6)?)))();
                let Some((offset, kind, name_len)) = entry else { return Some(below) };
                let name_len = u64::from(name_len) + 1;
                let Some(name) = get(listing, at + 8, name_len) else { return Some(below) };
                at += 8 + name_len;
                let Some(inode) = self.tables.inodes.place(u64::from(block), u64::from(offset)) else {
                    continue;
                };
                match (kind, join(path, name)) {
                    (DIRECTORY, Some(path)) => below.push((path, inode)),
                    (FILE, Some(path)) => self.file(&path, inode)?,
                    _ => {}
                }
            }
        }
        Some(below)
    }

    /// Takes a file; `None` when there is more than the limits allow. One that makes no sense is left out.
    fn file(&mut self, path: &str, inode: u64) -> Option<()> {
        let Some((content, sizes_at)) = self.content(inode) else { return Some(()) };
        if content.size == 0 || !self.known.insert(content) {
            return Some(());
        }
        let block_size = u64::from(self.superblock.block_size);
        let count = match content.fragment {
            NO_FRAGMENT => content.size.div_ceil(block_size),
            _ => content.size / block_size,
        };
        let inodes = &self.tables.inodes.plain;
        let Some(sizes) = count.checked_mul(4).and_then(|bytes| get(inodes, sizes_at, bytes)) else {
            return Some(());
        };
        self.blocks_left = self.blocks_left.checked_sub(count)?;
        match self.pieces(&content, sizes) {
            Some(pieces) => self.draft.file(path, pieces),
            None => Some(()),
        }
    }

    /// Reads where a file's content lies, and where the sizes of its blocks stand.
    fn content(&self, inode: u64) -> Option<(Content, u64)> {
        let inodes = &self.tables.inodes.plain;
        let u32_at = |at: u64| u32_le(inodes, inode.checked_add(at)?);
        let u64_at = |at: u64| u64_le(inodes, inode.checked_add(at)?);
        let (start, size, tail_at, sizes_at) = match u16_le(inodes, inode)? {
            2 => (u64::from(u32_at(16)?), u64::from(u32_at(28)?), 20, 32),
            9 => (u64_at(16)?, u64_at(24)?, 44, 56),
            _ => return None,
        };
        let (fragment, fragment_offset) = (u32_at(tail_at)?, u32_at(tail_at + 4)?);
        Some((Content { start, size, fragment, fragment_offset }, inode.checked_add(sizes_at)?))
    }

    fn pieces(&mut self, content: &Content, sizes: &[u8]) -> Option<Pieces> {
        let mut pieces = Pieces::default();
        let (mut start, mut left) = (content.start, content.size);
        let (words, _) = sizes.as_chunks::<4>();
        for word in words.iter().map(|word| u32::from_le_bytes(*word)) {
            let len = left.min(u64::from(self.superblock.block_size));
            let block = take_block(self.superblock, self.draft, start, word, len)?;
            pieces.push(part_of(block, 0, len)?);
            start = start.checked_add(u64::from(stored_bytes(word)))?;
            left -= len;
        }
        if left > 0 {
            let index = usize::try_from(content.fragment).ok()?;
            let fragment = (*self.tables.fragments.get(index)?)?;
            pieces.push(part_of(fragment, u64::from(content.fragment_offset), left)?);
        }
        Some(pieces)
    }
}

fn part_of(block: Stored, skip: u64, len: u64) -> Option<Piece> {
    match block {
        Stored::Packed(index) => Some(Piece::InPacked { index, skip, len }),
        Stored::Raw { start, len: there } => {
            skip.checked_add(len).filter(|end| *end <= there)?;
            Some(Piece::Raw { start: start.checked_add(skip)?, len })
        }
        Stored::Hole => Some(Piece::Hole { len }),
    }
}
