//! Inodes of ext2, ext3 and ext4.
//!
//! In: the bytes of an inode. Out: what the walk needs of it.

use super::super::fields::{array, u16_le, u32_le};

/// The part of the mode that is the type of a file, and two of these types.
const TYPE_MASK: u16 = 0o170_000;
const TYPE_DIRECTORY: u16 = 0o040_000;
const TYPE_FILE: u16 = 0o100_000;

/// The flag of a file that is mapped by extents.
const EXTENTS: u32 = 0x8_0000;

/// Flags of files whose bytes are not in blocks of their own, or not what they will be read as: compressed, encrypted,
/// in the inode.
const NOT_PLAIN: u32 = 0x4 | 0x800 | 0x1000_0000;

/// An inode.
pub(super) struct Inode {
    mode: u16,
    flags: u32,
    pub(super) size: u64,
    /// The root of its map: 15 block numbers, or a node of extents.
    pub(super) map: [u8; 60],
}

impl Inode {
    pub(super) fn is_directory(&self) -> bool {
        self.mode & TYPE_MASK == TYPE_DIRECTORY
    }

    pub(super) fn is_file(&self) -> bool {
        self.mode & TYPE_MASK == TYPE_FILE
    }

    pub(super) fn is_plain(&self) -> bool {
        self.flags & NOT_PLAIN == 0
    }

    pub(super) fn has_extents(&self) -> bool {
        self.flags & EXTENTS != 0
    }
}

/// Reads an inode.
pub(super) fn read(bytes: &[u8]) -> Option<Inode> {
    Some(Inode {
        mode: u16_le(bytes, 0)?,
        flags: u32_le(bytes, 0x20)?,
        size: u64::from(u32_le(bytes, 0x4)?) | u64::from(u32_le(bytes, 0x6c)?) << 32,
        map: array(bytes, 0x28)?,
    })
}
