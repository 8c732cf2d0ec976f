//! EROFS: its packed clusters and its files.
//!
//! In: an image, and where in it the file system starts. Out: the clusters that are packed with LZ4, DEFLATE or
//! Zstandard, the files with their paths, and the directories as a file (`<erofs directories>`). Refuses features that
//! change where things are and are not known here; files packed with `MicroLZMA`, or on another device, stay raw.

mod index;
mod inode;
mod tree;

use super::Layout;
use super::draft::Draft;
use super::fields::{byte, from, get, u16_le, u32_le, u64_le};

/// Where the superblock stands.
pub(crate) const SUPERBLOCK_AT: u64 = 1024;

/// The first bytes of the superblock.
pub(crate) const MAGIC: [u8; 4] = 0xe0f5_e1e2_u32.to_le_bytes();

/// Blocks of 512 bytes to 64 KiB; these are their exponents.
const BLOCK_LOGS: std::ops::RangeInclusive<u8> = 9..=16;

/// Packed bytes stand at the end of their cluster, behind zeros.
const ZERO_PADDING: u32 = 0x1;

/// Tails of files are parts of a file of tails (`packed_nid`).
const FRAGMENTS: u32 = 0x20;

/// What may be needed to read a file system and is known here: padding, options and large clusters, chunks, devices and
/// a second packer, inline tails, fragments, prefixes of attributes.
const KNOWN_FEATURES: u32 = 0x7f;

/// Inodes stand in steps of this many bytes.
const INODE_STEP: u64 = 32;

struct Superblock {
    block_log: u32,
    /// Where inode 0 would stand, in bytes.
    inodes: u64,
    root: u64,
    tails: Option<u64>,
    features: u32,
}

impl Superblock {
    fn block_bytes(&self) -> u64 {
        1 << self.block_log
    }

    /// Returns where a block begins.
    fn block_at(&self, block: u32) -> u64 {
        u64::from(block) << self.block_log
    }

    /// Returns where an inode stands.
    fn inode_at(&self, number: u64) -> Option<u64> {
        number.checked_mul(INODE_STEP)?.checked_add(self.inodes)
    }
}

/// Describes the file system at `start`; returns where it ends.
pub(crate) fn look(image: &[u8], start: u64, out: &mut Layout) -> Option<u64> {
    let fs = from(image, start)?;
    let (superblock, len) = read_superblock(fs)?;
    let fs = get(fs, 0, len.min(fs.len() as u64))?;
    // A root that is no directory: this is no file system.
    inode::read(fs, &superblock, superblock.root).filter(inode::Inode::is_directory)?;
    let mut draft = Draft::default();
    // The walk ends at the limits; what was found before is worth having.
    let _found: Option<()> = tree::walk(fs, &superblock, &mut draft);
    draft.settle_into(out, start, image.len() as u64);
    start.checked_add(fs.len() as u64)
}

fn read_superblock(fs: &[u8]) -> Option<(Superblock, u64)> {
    let bytes = from(fs, SUPERBLOCK_AT)?;
    let block_log = byte(bytes, 12)?;
    let features = u32_le(bytes, 80)?;
    if !bytes.starts_with(&MAGIC) || !BLOCK_LOGS.contains(&block_log) || features & !KNOWN_FEATURES != 0 {
        return None;
    }
    let block_log = u32::from(block_log);
    let blocks = u64::from(u32_le(bytes, 36)?);
    let tails = u64_le(bytes, 96)?;
    let superblock = Superblock {
        block_log,
        inodes: u64::from(u32_le(bytes, 40)?) << block_log,
        root: u64::from(u16_le(bytes, 14)?),
        tails: (features & FRAGMENTS != 0 && tails > 0).then_some(tails),
        features,
    };
    (blocks > 0).then_some((superblock, blocks << block_log))
}

#[cfg(test)]
mod tests;
