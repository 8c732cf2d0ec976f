//! The superblock of a squashfs: which version and byte order it has, and where its tables are.
//!
//! In: the first bytes. Out: a [`Superblock`]. Refuses versions and block sizes that do not exist, and tables behind the
//! end.

use super::codec::Codec;
use crate::bytes::{Bytes, Endian, Fields};

/// Largest block: what Linux mounts (`SQUASHFS_FILE_MAX_SIZE`).
const BLOCK_BYTES_MAX: u32 = 1 << 20;

/// Metadata blocks carry a mark behind their header (`SQUASHFS_CHECK`, before version 4).
const FLAG_CHECKED: u16 = 1 << 2;

#[derive(Debug, Clone)]
pub(super) struct Superblock {
    pub(super) version: (u16, u16),
    pub(super) endian: Endian,
    pub(super) codec: Codec,
    pub(super) block_size: u32,
    pub(super) fragments: u32,
    pub(super) bytes_used: u64,
    pub(super) root: u64,
    pub(super) inode_table: u64,
    pub(super) directory_table: u64,
    pub(super) fragment_table: u64,
    /// The table of owners: an index of metadata blocks in version 4, numbers as they are before.
    pub(super) user_table: u64,
    pub(super) group_table: u64,
    pub(super) users: u16,
    pub(super) groups: u16,
    pub(super) is_checked: bool,
}

impl Superblock {
    pub(super) fn read(bytes: &Bytes<'_>) -> Option<Self> {
        let head = bytes.head(0, 128);
        if head.len() < 64 {
            return None;
        }
        let endian = match (Fields::little(&head).u16(28), Fields::big(&head).u16(28)) {
            (1..=4, _) => Endian::Little,
            (_, 1..=4) => Endian::Big,
            _ => return None,
        };
        let fields = Fields { bytes: &head, endian };
        let superblock =
            if fields.u16(28) == 4 { Self::read_new(fields) } else { Some(Self::read_old(fields)) }?;
        let size = superblock.block_size;
        let tables = [superblock.inode_table, superblock.directory_table];
        let fits = size.is_power_of_two()
            && (512..=BLOCK_BYTES_MAX).contains(&size)
            && superblock.bytes_used >= 64
            && tables.iter().all(|table| *table < superblock.bytes_used)
            && superblock.inode_table < superblock.directory_table;
        fits.then_some(superblock)
    }

    /// Version 4.0: 96 bytes (`struct squashfs_super_block`).
    fn read_new(fields: Fields<'_>) -> Option<Self> {
        Some(Self {
            version: (4, fields.u16(30)),
            endian: fields.endian,
            codec: Codec::of_number(fields.u16(20))?,
            block_size: fields.u32(12),
            fragments: fields.u32(16),
            bytes_used: fields.u64(40),
            root: fields.u64(32),
            inode_table: fields.u64(64),
            directory_table: fields.u64(72),
            fragment_table: fields.u64(80),
            user_table: fields.u64(48),
            group_table: 0,
            users: fields.u16(26),
            groups: 0,
            is_checked: false,
        })
    }

    /// Versions 1 to 3: 119 bytes without gaps (`struct squashfs_super_block_3`); only version 3 uses the second half.
    fn read_old(fields: Fields<'_>) -> Self {
        let major = fields.u16(28);
        let pick = |old: usize, new: usize| match major {
            3 => fields.u64(new),
            _ => u64::from(fields.u32(old)),
        };
        let block_size = if major == 1 { u32::from(fields.u16(32)) } else { fields.u32(51) };
        Self {
            version: (major, fields.u16(30)),
            endian: fields.endian,
            codec: Codec::Guess,
            block_size,
            fragments: if major == 1 { 0 } else { fields.u32(55) },
            bytes_used: pick(8, 63),
            root: fields.u64(43),
            inode_table: pick(20, 87),
            directory_table: pick(24, 95),
            fragment_table: pick(59, 103),
            user_table: pick(12, 71),
            group_table: pick(16, 79),
            users: u16::from(fields.u8(37)),
            groups: u16::from(fields.u8(38)),
            is_checked: u16::from(fields.u8(36)) & FLAG_CHECKED != 0,
        }
    }
}
