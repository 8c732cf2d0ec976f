//! The tree of an EROFS.
//!
//! In: the file system. Out: its files in the draft. Refuses names that are none; a damaged directory or file is left
//! out, the others stay. Files that are links to each other are listed once.

use std::collections::BTreeSet;

use super::super::Piece;
use super::super::draft::{Draft, Pieces, Sliceable, join};
use super::super::fields::{byte, get, u16_le, u64_le};
use super::Superblock;
use super::inode::{self, Mapper};

/// Size of an entry of a directory without its name, in bytes.
const ENTRY_BYTES: u64 = 12;

/// The types in an entry.
const FILE: u8 = 1;
const DIRECTORY: u8 = 2;

struct Entry<'a> {
    inode: u64,
    kind: u8,
    name: &'a [u8],
}

/// Walks the tree; `None` when there is more than the limits allow.
pub(super) fn walk(fs: &[u8], superblock: &Superblock, draft: &mut Draft) -> Option<()> {
    let mut mapper = Mapper::new(fs, superblock, draft);
    if let Some(tails) = superblock.tails.and_then(|number| inode::read(fs, superblock, number)) {
        mapper.tails = Sliceable::new(mapper.pieces(&tails).unwrap_or_default());
    }
    let mut known = BTreeSet::from([superblock.root]);
    let mut folders = vec![(String::new(), superblock.root)];
    let mut directories = Pieces::default();
    while let Some((path, number)) = folders.pop() {
        let inode = inode::read(fs, superblock, number).filter(inode::Inode::is_directory);
        let Some(pieces) = inode.and_then(|inode| mapper.pieces(&inode)) else { continue };
        directories.extend(&pieces);
        let mut below = Vec::new();
        for block in blocks(fs, superblock, &pieces) {
            mapper.draft.block()?;
            for entry in entries(block) {
                mapper.draft.entry(&path)?;
                let Some(path) = join(&path, entry.name) else { continue };
                if !matches!(entry.kind, FILE | DIRECTORY) || !known.insert(entry.inode) {
                    continue;
                }
                if entry.kind == DIRECTORY {
                    below.push((path, entry.inode));
                    continue;
                }
                let inode = inode::read(fs, superblock, entry.inode).filter(inode::Inode::is_file);
                if let Some(pieces) = inode.and_then(|inode| mapper.pieces(&inode)) {
                    mapper.draft.file(&path, pieces)?;
                }
            }
        }
        folders.extend(below.into_iter().rev());
    }
    mapper.draft.file("<erofs directories>", directories)
}

/// Lists the blocks of a directory that stand as they are.
fn blocks<'a>(fs: &'a [u8], superblock: &Superblock, pieces: &Pieces) -> Vec<&'a [u8]> {
    let block_bytes = 1 << superblock.block_log;
    let raw = pieces.as_slice().iter().filter_map(|piece| match *piece {
        Piece::Raw { start, len } => get(fs, start, len),
        Piece::InPacked { .. } | Piece::Hole { .. } => None,
    });
    raw.flat_map(|bytes| bytes.chunks(block_bytes)).collect()
}

/// Lists the entries of a block: first all without their names, then the names, each up to the next one.
fn entries(block: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let count = u16_le(block, 8).map_or(0, u64::from) / ENTRY_BYTES;
    (0..count).map_while(move |number| {
        let at = number * ENTRY_BYTES;
        let start = u64::from(u16_le(block, at + 8)?);
        let end = if number + 1 < count {
            u64::from(u16_le(block, at + ENTRY_BYTES + 8)?)
        } else {
            block.len() as u64
        };
        let name = get(block, start, end.checked_sub(start)?)?;
        // The last name is followed by zeros.
        let name = name.split(|byte| *byte == 0).next()?;
        Some(Entry { inode: u64_le(block, at)?, kind: byte(block, at + 10)?, name })
    })
}
