//! The tree of ext2, ext3 and ext4.
//!
//! In: the file system. Out: its files in the draft. Refuses names that are none; a damaged directory or file is left
//! out, the others stay. Files that are links to each other are listed once.

use std::collections::BTreeSet;

use super::super::Piece;
use super::super::draft::{Draft, Pieces, join};
use super::super::fields::{byte, get, u16_le, u32_le};
use super::inode::{self, Inode};
use super::map::Mapper;
use super::{FileSystem, JOURNAL, ROOT};

/// Size of an entry of a directory without its name, in bytes.
const ENTRY_BYTES: u64 = 8;

struct Entry<'a> {
    inode: u32,
    name: &'a [u8],
}

/// Walks the tree; `None` when there is more than the limits allow.
pub(super) fn walk(fs: &FileSystem<'_>, draft: &mut Draft) -> Option<()> {
    let mut mapper = Mapper::new(fs);
    let mut directories = Pieces::default();
    let end = walk_tree(fs, &mut mapper, draft, &mut directories);
    draft.file("<ext directories>", directories)?;
    let journal = fs.inode(JOURNAL).and_then(inode::read).filter(Inode::is_file);
    if let Some(pieces) = journal.and_then(|journal| mapper.pieces(&journal)) {
        draft.file("<ext journal>", pieces)?;
    }
    draft.file("<ext maps>", mapper.maps)?;
    end
}

fn walk_tree(
    fs: &FileSystem<'_>,
    mapper: &mut Mapper<'_>,
    draft: &mut Draft,
    directories: &mut Pieces,
) -> Option<()> {
    let mut known = BTreeSet::from([ROOT]);
    let mut folders = vec![(String::new(), ROOT)];
    while let Some((path, number)) = folders.pop() {
        let inode = fs.inode(number).and_then(inode::read).filter(Inode::is_plain);
        let Some(pieces) = inode.and_then(|inode| mapper.pieces(&inode)) else { continue };
        directories.extend(&pieces);
        let mut below = Vec::new();
        for block in blocks(fs, &pieces) {
            draft.block()?;
            for entry in entries(block) {
                draft.entry(&path)?;
                let Some(path) = join(&path, entry.name) else { continue };
                if !known.insert(entry.inode) {
                    continue;
                }
                let Some(inode) = fs.inode(entry.inode).and_then(inode::read) else { continue };
                if inode.is_directory() {
                    below.push((path, entry.inode));
                } else if inode.is_file() && inode.is_plain() {
                    // A file that cannot be mapped is left out.
                    let Some(pieces) = mapper.pieces(&inode) else { continue };
                    draft.file(&path, pieces)?;
                }
            }
        }
        folders.extend(below.into_iter().rev());
    }
    Some(())
}

/// Lists the blocks of a directory.
fn blocks<'a>(fs: &FileSystem<'a>, pieces: &Pieces) -> impl Iterator<Item = &'a [u8]> {
    let (bytes, block_bytes) = (fs.bytes, usize::try_from(fs.block_bytes).unwrap_or(usize::MAX));
    let raw = pieces.as_slice().iter().filter_map(move |piece| match *piece {
        Piece::Raw { start, len } => get(bytes, start, len),
        Piece::InPacked { .. } | Piece::Hole { .. } => None,
    });
    raw.flat_map(move |bytes| bytes.chunks(block_bytes))
}

/// Lists the entries of a block that are in use. Blocks of a hashed directory that hold no names look like one unused
/// entry.
fn entries(block: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let (inode, len) = (u32_le(block, at)?, u64::from(u16_le(block, at + 4)?));
            let name = get(block, at + ENTRY_BYTES, u64::from(byte(block, at + 6)?))?;
            // A length of 0 or 65535 stands for a block of 64 KiB.
            let len = if matches!(len, 0 | 0xffff) { block.len() as u64 } else { len };
            at = at.checked_add(len.max(ENTRY_BYTES))?;
            if inode != 0 {
                return Some(Entry { inode, name });
            }
        }
    })
}
