//! Which blocks a file of ext2, ext3 or ext4 has.
//!
//! In: an inode. Out: the pieces of its file, and of the blocks that map it. Refuses maps that go backwards, are deeper
//! than the format allows, or name blocks that are not there.

use super::super::Piece;
use super::super::draft::Pieces;
use super::super::fields::{from, u16_le, u32_le};
use super::FileSystem;
use super::inode::Inode;

/// The first bytes of a node of extents.
const NODE_MAGIC: u16 = 0xf30a;

/// Header of a node, and each of its entries, in bytes.
const ENTRY_BYTES: u64 = 12;

/// A tree of extents has at most this many levels, by the format.
const DEPTH_MAX: u16 = 5;

/// An extent of more blocks than this is not written yet, and reads as zeros.
const WRITTEN_BLOCKS_MAX: u16 = 32_768;

/// Block numbers in the inode that lead to data; the three behind them lead to blocks of numbers, one to three deep.
const DIRECT: u64 = 12;

/// Block numbers and extents that are looked at in one file system, above four for each of its blocks: a map that
/// names the same blocks over and over ends here.
const STEPS_SPARE: u64 = 1 << 20;

/// Finds the blocks of files.
pub(super) struct Mapper<'a> {
    fs: &'a FileSystem<'a>,
    /// Blocks that map files.
    pub(super) maps: Pieces,
    steps_left: u64,
}

/// What has been mapped of a file.
struct Mapping {
    block_bytes: u64,
    /// The logical block that comes next.
    next: u64,
    /// Bytes that are left of the file.
    left: u64,
    pieces: Pieces,
}

impl Mapping {
    fn add(&mut self, blocks: u64, piece: Option<Piece>) -> Option<()> {
        let len = blocks.checked_mul(self.block_bytes)?.min(self.left);
        self.left -= len;
        self.next = self.next.checked_add(blocks)?;
        self.pieces.push(match piece {
            Some(Piece::Raw { start, .. }) => Piece::Raw { start, len },
            _ => Piece::Hole { len },
        });
        Some(())
    }
}

impl<'a> Mapper<'a> {
    pub(super) fn new(fs: &'a FileSystem<'a>) -> Self {
        let blocks = fs.bytes.len() as u64 / fs.block_bytes;
        Self { fs, maps: Pieces::default(), steps_left: blocks * 4 + STEPS_SPARE }
    }

    fn step(&mut self) -> Option<()> {
        self.steps_left = self.steps_left.checked_sub(1)?;
        Some(())
    }

    /// Returns the pieces of a file.
    pub(super) fn pieces(&mut self, inode: &Inode) -> Option<Pieces> {
        let block_bytes = self.fs.block_bytes;
        let mut mapping = Mapping { block_bytes, next: 0, left: inode.size, pieces: Pieces::default() };
        if inode.has_extents() {
            self.extents(&inode.map, None, &mut mapping)?;
        } else {
            self.numbers(&inode.map, DIRECT, 0, &mut mapping)?;
            for depth in 1..=3 {
                self.numbers(from(&inode.map, (DIRECT + depth - 1) * 4)?, 1, depth, &mut mapping)?;
            }
        }
        let rest = mapping.left;
        mapping.pieces.push(Piece::Hole { len: rest });
        Some(mapping.pieces)
    }

    /// Follows a node of extents. Its depth must be one less than that of the node that leads to it, so this ends.
    fn extents(&mut self, node: &[u8], expected: Option<u16>, mapping: &mut Mapping) -> Option<()> {
        let (magic, count, depth) = (u16_le(node, 0)?, u16_le(node, 2)?, u16_le(node, 6)?);
        let fits = depth <= DEPTH_MAX && expected.is_none_or(|expected| depth == expected);
        if magic != NODE_MAGIC || !fits {
            return None;
        }
        for number in 0..u64::from(count) {
            self.step()?;
            let entry = from(node, ENTRY_BYTES * (number + 1))?;
            let logical = u64::from(u32_le(entry, 0)?);
            if depth > 0 {
                let block = u64::from(u32_le(entry, 4)?) | u64::from(u16_le(entry, 8)?) << 32;
                let below = self.fs.block(block)?;
                self.maps.push(self.fs.run(block, 1)?);
                self.extents(below, Some(depth - 1), mapping)?;
                continue;
            }
            mapping.add(logical.checked_sub(mapping.next)?, None)?;
            let stored = u16_le(entry, 4)?;
            let block = u64::from(u32_le(entry, 8)?) | u64::from(u16_le(entry, 6)?) << 32;
            if stored > WRITTEN_BLOCKS_MAX {
                mapping.add(u64::from(stored - WRITTEN_BLOCKS_MAX), None)?;
            } else {
                let blocks = u64::from(stored);
                mapping.add(blocks, Some(self.fs.run(block, blocks)?))?;
            }
        }
        Some(())
    }

    /// Follows block numbers that lead, `depth` blocks of numbers further, to data.
    fn numbers(&mut self, numbers: &[u8], count: u64, depth: u64, mapping: &mut Mapping) -> Option<()> {
        let per_block = self.fs.block_bytes / 4;
        for number in 0..count {
            if mapping.left == 0 {
                break;
            }
            self.step()?;
            let block = u64::from(u32_le(numbers, number * 4)?);
            if block == 0 {
                mapping.add(per_block.checked_pow(u32::try_from(depth).ok()?)?, None)?;
            } else if depth == 0 {
                mapping.add(1, Some(self.fs.run(block, 1)?))?;
            } else {
                let below = self.fs.block(block)?;
                self.maps.push(self.fs.run(block, 1)?);
                self.numbers(below, per_block, depth - 1, mapping)?;
            }
        }
        Some(())
    }
}
