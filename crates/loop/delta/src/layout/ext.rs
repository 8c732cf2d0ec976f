//! ext2, ext3 and ext4: where their files lie.
//!
//! In: an image, and where in it the file system starts. Out: the files with their paths, holes included, and the file
//! system's own data as files: inode tables, bitmaps, directories, blocks that map files, the journal. Nothing in it is
//! packed. Refuses superblocks whose numbers contradict each other or the image, journals on devices of their own, and
//! group descriptors in meta groups; files that keep their bytes in the inode, or encrypted, are not listed apart.

mod inode;
mod map;
mod tree;

use super::draft::{Draft, Pieces};
use super::fields::{from, get, u16_le, u32_le};
use super::{Layout, Piece};

/// Where the superblock stands.
const SUPERBLOCK_AT: u64 = 1024;

/// Where its magic number stands, from the start of the file system.
pub(crate) const MAGIC_AT: u64 = SUPERBLOCK_AT + 0x38;

/// The magic number.
pub(crate) const MAGIC: [u8; 2] = 0xef53_u16.to_le_bytes();

/// Largest block, as its exponent above 1 KiB: 64 KiB is what Linux can mount.
const BLOCK_LOG_MAX: u32 = 6;

/// An image may end this much before its file system, in bytes: the last block may be cut off where it is empty.
const MISSING_BYTES_MAX: u64 = 64 * 1024;

/// Features that change where things are and are not known here: a journal device, group descriptors in meta groups.
const UNKNOWN_FEATURES: u32 = 0x8 | 0x10;

/// Groups and blocks have numbers of 64 bits.
const HAS_64_BITS: u32 = 0x80;

/// Numbers of inodes with a meaning of their own.
const ROOT: u32 = 2;
const JOURNAL: u32 = 8;

struct FileSystem<'a> {
    bytes: &'a [u8],
    block_bytes: u64,
    inodes: u32,
    inodes_per_group: u32,
    inode_bytes: u64,
    groups: Vec<Group>,
}

struct Group {
    block_bitmap: u64,
    inode_bitmap: u64,
    inode_table: u64,
}

impl FileSystem<'_> {
    /// Returns the bytes of an inode.
    fn inode(&self, number: u32) -> Option<&[u8]> {
        let index = number.checked_sub(1).filter(|_| number <= self.inodes)?;
        let group = self.groups.get(usize::try_from(index / self.inodes_per_group).ok()?)?;
        let in_table = u64::from(index % self.inodes_per_group).checked_mul(self.inode_bytes)?;
        let table = group.inode_table.checked_mul(self.block_bytes)?;
        get(self.bytes, table.checked_add(in_table)?, self.inode_bytes)
    }

    /// Returns a run of blocks as a piece; `None` when it is not wholly there.
    fn run(&self, block: u64, count: u64) -> Option<Piece> {
        let start = block.checked_mul(self.block_bytes)?;
        let len = count.checked_mul(self.block_bytes)?;
        get(self.bytes, start, len)?;
        Some(Piece::Raw { start, len })
    }

    /// Returns the bytes of a block.
    fn block(&self, block: u64) -> Option<&[u8]> {
        get(self.bytes, block.checked_mul(self.block_bytes)?, self.block_bytes)
    }
}

/// Describes the file system at `start`; returns where it ends.
pub(crate) fn look(image: &[u8], start: u64, out: &mut Layout) -> Option<u64> {
    let fs = from(image, start)?;
    let fs = read(fs)?;
    // A root that is no directory: this is no file system.
    inode::read(fs.inode(ROOT)?).filter(inode::Inode::is_directory)?;
    let mut draft = Draft::default();
    // The walk ends at the limits; what was found before is worth having.
    let _tables: Option<()> = list_tables(&fs, &mut draft);
    let _found: Option<()> = tree::walk(&fs, &mut draft);
    draft.settle_into(out, start, image.len() as u64);
    start.checked_add(fs.bytes.len() as u64)
}

fn read(bytes: &[u8]) -> Option<FileSystem<'_>> {
    let superblock = get(bytes, SUPERBLOCK_AT, 1024)?;
    let number = |at| u32_le(superblock, at);
    // Copies of the superblock in later groups carry their group's number.
    let is_ours = superblock.get(0x38..0x3a)? == MAGIC && u16_le(superblock, 0x5a)? == 0;
    let block_log = number(0x18)?;
    let (revision, features) = (number(0x4c)?, number(0x60)?);
    if !is_ours || block_log > BLOCK_LOG_MAX || revision > 1 || features & UNKNOWN_FEATURES != 0 {
        return None;
    }
    let has_64_bits = features & HAS_64_BITS != 0;
    let high = if has_64_bits { u64::from(number(0x150)?) << 32 } else { 0 };
    let blocks = u64::from(number(0x4)?) | high;
    let block_bytes = 1024 << block_log;
    let said = blocks.checked_mul(block_bytes)?;
    let there = bytes.len() as u64;
    let inode_bytes = if revision == 0 { 128 } else { u64::from(u16_le(superblock, 0x58)?) };
    let (per_group, inodes_per_group) = (u64::from(number(0x20)?), number(0x28)?);
    let fits = said <= there.saturating_add(MISSING_BYTES_MAX)
        && inode_bytes.is_power_of_two()
        && (128..=block_bytes).contains(&inode_bytes)
        && per_group > 0
        && inodes_per_group > 0;
    let first_block = u64::from(number(0x14)?);
    let count = blocks.checked_sub(first_block).filter(|_| fits)?.div_ceil(per_group);
    let descriptor_bytes = if has_64_bits { u64::from(u16_le(superblock, 0xfe)?).max(32) } else { 32 };
    let descriptors = get(
        bytes,
        first_block.checked_add(1)?.checked_mul(block_bytes)?,
        count.checked_mul(descriptor_bytes)?,
    )?;
    Some(FileSystem {
        bytes: get(bytes, 0, said.min(there))?,
        block_bytes,
        inodes: number(0)?,
        inodes_per_group,
        inode_bytes,
        groups: descriptors
            .chunks(usize::try_from(descriptor_bytes).ok()?)
            .map_while(|descriptor| read_group(descriptor, has_64_bits && descriptor_bytes >= 64))
            .collect(),
    })
}

fn read_group(bytes: &[u8], has_64_bits: bool) -> Option<Group> {
    let number = |low: u64, high: u64| {
        let high = if has_64_bits { u64::from(u32_le(bytes, high)?) << 32 } else { 0 };
        Some(u64::from(u32_le(bytes, low)?) | high)
    };
    Some(Group {
        block_bitmap: number(0x0, 0x20)?,
        inode_bitmap: number(0x4, 0x24)?,
        inode_table: number(0x8, 0x28)?,
    })
}

/// Lists the tables of all groups as files.
fn list_tables(fs: &FileSystem<'_>, draft: &mut Draft) -> Option<()> {
    let table_bytes = u64::from(fs.inodes_per_group).checked_mul(fs.inode_bytes)?;
    let (mut bitmaps, mut inodes) = (Pieces::default(), Pieces::default());
    for group in &fs.groups {
        for block in [group.block_bitmap, group.inode_bitmap] {
            if let Some(piece) = fs.run(block, 1) {
                bitmaps.push(piece);
            }
        }
        if let Some(piece) = fs.run(group.inode_table, table_bytes.div_ceil(fs.block_bytes)) {
            inodes.push(piece);
        }
    }
    draft.file("<ext bitmaps>", bitmaps)?;
    draft.file("<ext inodes>", inodes)
}

#[cfg(test)]
mod tests;
