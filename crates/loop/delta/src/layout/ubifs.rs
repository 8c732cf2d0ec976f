//! UBIFS: its data nodes and its files.
//!
//! In: logical blocks, from a volume of UBI or as `mkfs.ubifs` writes them. Out: the data nodes that are packed, and the
//! files with their paths. Refuses nodes that do not fit their block. The index is not needed: every node says what it
//! is, and of two about the same the newer one counts.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::{Draft, Pieces, join};
use super::fields::{byte, from, get, u16_le, u32_le, u64_le};
use super::{Layout, Packed, Piece};
use crate::codec::Hint;

/// The first bytes of a node.
pub(crate) const MAGIC: [u8; 4] = 0x0610_1831_u32.to_le_bytes();

/// Size of the header of a node, in bytes; nodes start at multiples of eight.
const HEADER_BYTES: u64 = 24;
const NODE_STEP: u64 = 8;

/// Types of nodes.
const INODE: u8 = 0;
const DATA: u8 = 1;
const NAME: u8 = 2;
const PADDING: u8 = 5;
const SUPERBLOCK: u8 = 6;

/// Bytes of a file in a data node.
const BLOCK_BYTES: u64 = 4096;

/// Where the data of a data node begins.
const DATA_AT: u64 = 48;

/// The inode of the root, and the types in a name.
const ROOT: u32 = 1;
const FILE: u8 = 0;
const DIRECTORY: u8 = 1;

/// Logical blocks in bytes: the format wants 15 KiB at least; 16 MiB are four times those of the largest flashes.
const LOGICAL_BLOCK_BYTES: std::ops::RangeInclusive<u64> = 15 * 1024..=16 << 20;

/// Says whether a file system begins here: the node of the superblock comes first.
pub(crate) fn starts_at(image: &[u8], at: u64) -> bool {
    from(image, at).is_some_and(|bytes| bytes.starts_with(&MAGIC) && byte(bytes, 20) == Some(SUPERBLOCK))
}

/// Describes the file system at `start`, as `mkfs.ubifs` writes it; returns where it ends.
pub(crate) fn look(image: &[u8], start: u64, out: &mut Layout) -> Option<u64> {
    let fs = from(image, start).filter(|_| starts_at(image, start))?;
    let block = u64::from(u32_le(fs, 36)?);
    let said = u64::from(u32_le(fs, 40)?).checked_mul(block)?;
    if !LOGICAL_BLOCK_BYTES.contains(&block) || !block.is_multiple_of(NODE_STEP) {
        return None;
    }
    let count = said.min(fs.len() as u64) / block;
    let places: Vec<(u64, u64)> = (0..count).map(|number| (number * block, block)).collect();
    let mut draft = Draft::default();
    // The walk ends at the limits; what was found before is worth having.
    let _found: Option<()> = describe(fs, &places, "", &mut draft);
    draft.settle_into(out, start, image.len() as u64);
    start.checked_add(count * block)
}

/// A part of a file.
#[derive(Debug, Clone, Copy)]
struct Data {
    piece: Piece,
    len: u64,
}

/// What was said last about something.
#[derive(Debug, Clone, Copy)]
struct Latest<T> {
    sequence: u64,
    said: T,
}

fn note<K: Ord, T>(map: &mut BTreeMap<K, Latest<T>>, key: K, sequence: u64, said: T) {
    if map.get(&key).is_none_or(|known| known.sequence < sequence) {
        map.insert(key, Latest { sequence, said });
    }
}

/// A name, behind the inode of its folder.
type Name = (u32, Vec<u8>);

#[derive(Default)]
struct Nodes {
    /// Sizes of files.
    inodes: BTreeMap<u32, Latest<u64>>,
    /// By inode and number of the block.
    data: BTreeMap<(u32, u32), Latest<Data>>,
    /// Inode and type, by folder and name. Inode 0 says that a name is gone.
    names: BTreeMap<Name, Latest<(u32, u8)>>,
}

/// Describes a file system in the logical blocks at `places`; `None` when there is more than the limits allow.
pub(crate) fn describe(image: &[u8], places: &[(u64, u64)], folder: &str, draft: &mut Draft) -> Option<()> {
    let mut nodes = Nodes::default();
    for (start, len) in places {
        let Some(block) = get(image, *start, *len) else { continue };
        let mut at = 0;
        while let Some(node) = node(block, at) {
            let len = node.len() as u64;
            nodes.take(node, start.checked_add(at)?, draft)?;
            let padding =
                if byte(node, 20)? == PADDING { u64::from(u32_le(node, 24).unwrap_or(0)) } else { 0 };
            at = at.checked_add(len)?.checked_add(padding)?.checked_next_multiple_of(NODE_STEP)?;
        }
    }
    nodes.walk(folder, draft)
}

/// Returns the node at a place.
fn node(block: &[u8], at: u64) -> Option<&[u8]> {
    let header = get(block, at, HEADER_BYTES).filter(|header| header.starts_with(&MAGIC))?;
    let len = u64::from(u32_le(header, 16)?);
    get(block, at, len).filter(|_| len >= HEADER_BYTES)
}

impl Nodes {
    /// Takes a node that lies at `at` in the image; one that makes no sense is left out.
    fn take(&mut self, node: &[u8], at: u64, draft: &mut Draft) -> Option<()> {
        let Some((sequence, inode, below)) = key(node) else { return Some(()) };
        match byte(node, 20)? {
            INODE => {
                if let Some(size) = u64_le(node, 48) {
                    note(&mut self.inodes, inode, sequence, size);
                }
            }
            DATA => {
                if let Some(data) = data(node, at, draft) {
                    // The lower 29 bits are the number of the block.
                    note(&mut self.data, (inode, below & 0x1fff_ffff), sequence, data);
                }
            }
            NAME => {
                let name = u16_le(node, 50).and_then(|len| get(node, 56, u64::from(len)));
                if let (Some(name), Some(target), Some(kind)) = (name, u64_le(node, 40), byte(node, 49)) {
                    let target = u32::try_from(target).unwrap_or(0);
                    note(&mut self.names, (inode, name.to_vec()), sequence, (target, kind));
                }
            }
            _ => {}
        }
        Some(())
    }

    /// Lists the files; `None` when there is more than the limits allow.
    fn walk(&self, folder: &str, draft: &mut Draft) -> Option<()> {
        let mut known = BTreeSet::from([ROOT]);
        let mut folders = vec![(folder.to_owned(), ROOT)];
        while let Some((path, number)) = folders.pop() {
            let names =
                self.names.range((number, Vec::new())..).take_while(|((parent, _), _)| *parent == number);
            for ((_, name), Latest { said: (inode, kind), .. }) in names {
                draft.entry(&path)?;
                let Some(path) = join(&path, name) else { continue };
                if *inode == 0 || !matches!(*kind, FILE | DIRECTORY) || !known.insert(*inode) {
                    continue;
                }
                if *kind == DIRECTORY {
                    folders.push((path, *inode));
                } else if let Some(pieces) = self.pieces(*inode) {
                    draft.file(&path, pieces)?;
                }
            }
        }
        Some(())
    }

    fn pieces(&self, inode: u32) -> Option<Pieces> {
        let size = self.inodes.get(&inode)?.said;
        let mut pieces = Pieces::default();
        let mut end = 0_u64;
        for ((_, block), Latest { said: data, .. }) in self.data.range((inode, 0)..=(inode, u32::MAX)) {
            let start = u64::from(*block) * BLOCK_BYTES;
            if start >= size {
                break;
            }
            pieces.push(Piece::Hole { len: start.checked_sub(end)? });
            let len = data.len.min(size - start);
            pieces.push(match data.piece {
                Piece::Raw { start, .. } => Piece::Raw { start, len },
                Piece::InPacked { index, skip, .. } => Piece::InPacked { index, skip, len },
                Piece::Hole { .. } => Piece::Hole { len },
            });
            end = start + len;
        }
        pieces.push(Piece::Hole { len: size.checked_sub(end)? });
        Some(pieces)
    }
}

/// Returns the number that counts the nodes, and the two halves of the key: an inode, and what of it.
fn key(node: &[u8]) -> Option<(u64, u32, u32)> {
    Some((u64_le(node, 8)?, u32_le(node, 24)?, u32_le(node, 28)?))
}

fn data(node: &[u8], at: u64, draft: &mut Draft) -> Option<Data> {
    let plain_len = u64::from(u32_le(node, 40)?);
    let len = (node.len() as u64).checked_sub(DATA_AT)?;
    let start = at.checked_add(DATA_AT)?;
    if plain_len == 0 || plain_len > BLOCK_BYTES {
        return None;
    }
    let hint = match u16_le(node, 44)? {
        0 => None,
        1 => Some(Hint::Lzo),
        // Without the header and checksum of zlib.
        2 => Some(Hint::Deflate),
        3 => Some(Hint::Zstd),
        _ => return None,
    };
    let piece = if let Some(hint) = hint {
        let index = draft.pack(Packed { start, len, plain_len_max: plain_len, hint })?;
        Piece::InPacked { index, skip: 0, len: plain_len }
    } else {
        (plain_len <= len).then_some(Piece::Raw { start, len: plain_len })?
    };
    Some(Data { piece, len: plain_len })
}

#[cfg(test)]
mod tests;
