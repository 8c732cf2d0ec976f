//! Inodes of an EROFS, and where the bytes of their files are.
//!
//! In: the number of an inode. Out: the pieces of its file. Refuses layouts that are not known, and places outside of the
//! file system.

use super::super::Piece;
use super::super::draft::{Draft, Pieces, Sliceable};
use super::super::fields::{get, u16_le, u32_le, u64_le};
use super::{Superblock, index};

/// The part of the mode that is the type of a file, and two of these types.
const TYPE_MASK: u16 = 0o170_000;
const TYPE_DIRECTORY: u16 = 0o040_000;
const TYPE_FILE: u16 = 0o100_000;

/// The flag in the format of a file of chunks that says that they have indices of eight bytes, with a device.
const CHUNK_INDICES: u32 = 0x20;

/// Stands for a chunk of zeros that is not stored.
const NO_BLOCK: u32 = u32::MAX;

/// Clusters and chunks that are looked at in one file system: 16 GiB in steps of 4 KiB.
const STEPS_MAX: u64 = 1 << 22;

/// An inode.
pub(super) struct Inode {
    /// How the file is stored: bits 1 to 3 of the format.
    pub(super) storage: u16,
    pub(super) size: u64,
    mode: u16,
    /// The first block of a plain file, or the format of a file of chunks.
    place: u32,
    /// Where the inode and its attributes end: indices or an inline tail stand there.
    pub(super) body: u64,
}

impl Inode {
    pub(super) fn is_directory(&self) -> bool {
        self.mode & TYPE_MASK == TYPE_DIRECTORY
    }

    pub(super) fn is_file(&self) -> bool {
        self.mode & TYPE_MASK == TYPE_FILE
    }
}

/// Reads an inode: compact in 32 bytes or extended in 64, then its attributes.
pub(super) fn read(fs: &[u8], superblock: &Superblock, number: u64) -> Option<Inode> {
    let at = superblock.inode_at(number)?;
    let bytes = get(fs, at, 32)?;
    let format = u16_le(bytes, 0)?;
    let (size, len) =
        if format & 1 == 0 { (u64::from(u32_le(bytes, 8)?), 32) } else { (u64_le(bytes, 8)?, 64) };
    let attributes = match u64::from(u16_le(bytes, 2)?) {
        0 => 0,
        count => 12 + (count - 1) * 4,
    };
    Some(Inode {
        storage: format >> 1 & 7,
        size,
        mode: u16_le(bytes, 4)?,
        place: u32_le(bytes, 16)?,
        body: at.checked_add(len + attributes)?,
    })
}

/// Finds the bytes of files.
pub(super) struct Mapper<'a> {
    pub(super) fs: &'a [u8],
    pub(super) superblock: &'a Superblock,
    pub(super) draft: &'a mut Draft,
    /// The file of tails.
    pub(super) tails: Sliceable,
    steps_left: u64,
}

impl<'a> Mapper<'a> {
    pub(super) fn new(fs: &'a [u8], superblock: &'a Superblock, draft: &'a mut Draft) -> Self {
        Self { fs, superblock, draft, tails: Sliceable::default(), steps_left: STEPS_MAX }
    }

    /// Accounts for work; `None` when it is more than the limits allow.
    pub(super) fn step(&mut self, count: u64) -> Option<()> {
        self.steps_left = self.steps_left.checked_sub(count)?;
        Some(())
    }

    /// Returns the pieces of a file.
    pub(super) fn pieces(&mut self, inode: &Inode) -> Option<Pieces> {
        match inode.storage {
            0 => self.plain(inode, inode.size),
            1 | 3 => index::pieces(self, inode),
            2 => {
                let tail = inode.size % self.superblock.block_bytes();
                let mut pieces = self.plain(inode, inode.size - tail)?;
                get(self.fs, inode.body, tail)?;
                pieces.push(Piece::Raw { start: inode.body, len: tail });
                Some(pieces)
            }
            4 => self.chunks(inode),
            _ => None,
        }
    }

    fn plain(&self, inode: &Inode, len: u64) -> Option<Pieces> {
        let start = self.superblock.block_at(inode.place);
        let mut pieces = Pieces::default();
        if len > 0 {
            get(self.fs, start, len)?;
        }
        pieces.push(Piece::Raw { start, len });
        Some(pieces)
    }

    fn chunks(&mut self, inode: &Inode) -> Option<Pieces> {
        let chunk_bytes = 1_u64.checked_shl(self.superblock.block_log + (inode.place & 0x1f))?;
        let (entry_bytes, block_at) = if inode.place & CHUNK_INDICES == 0 { (4, 0) } else { (8, 4) };
        let mut at = inode.body.checked_next_multiple_of(entry_bytes)?;
        self.step(inode.size.div_ceil(chunk_bytes))?;
        let mut pieces = Pieces::default();
        let mut left = inode.size;
        while left > 0 {
            let entry = get(self.fs, at, entry_bytes)?;
            let block = u32_le(entry, block_at)?;
            let len = left.min(chunk_bytes);
            if block == NO_BLOCK {
                pieces.push(Piece::Hole { len });
            } else {
                // Device 0 is this one.
                let is_here = block_at == 0 || u16_le(entry, 2)? == 0;
                let start = self.superblock.block_at(block);
                get(self.fs, start, len).filter(|_| is_here)?;
                pieces.push(Piece::Raw { start, len });
            }
            left -= len;
            at += entry_bytes;
        }
        Some(pieces)
    }
}
