//! Inodes and directory listings of a squashfs.
//!
//! In: places in the tables. Out: inodes, and listings an entry at a time. Refuses types, sizes and counts that the
//! format does not know; makes no room for what an inode merely claims.

use super::FORMAT;
use super::table::{Place, Tables};
use crate::door::TARGET_BYTES_MAX;
use crate::error::Halt;

/// Stands for "no fragment".
const NO_FRAGMENT: u32 = u32::MAX;

/// A listing header is followed by at most this many entries.
const RUN_ENTRIES_MAX: u32 = 256;

/// Longest name, in bytes (`SQUASHFS_NAME_LEN`).
const NAME_BYTES_MAX: usize = 256;

pub(super) struct Inode {
    pub(super) mode: u32,
    pub(super) kind: InodeKind,
}

pub(super) enum InodeKind {
    Directory { listing: Listing },
    File(File),
    Symlink { target: Vec<u8> },
    Special,
}

/// Where the content of a file is.
#[derive(Clone)]
pub(super) struct File {
    pub(super) size: u64,
    pub(super) start: u64,
    /// The index of the fragment with the file's tail, and where in it.
    pub(super) tail: Option<(u32, u32)>,
    /// Where the sizes of the blocks stand, four bytes each.
    pub(super) sizes: Place,
}

/// Reads an inode (types 1 to 14; 8 to 14 are the extended forms of 1 to 7).
pub(super) fn read(tables: &mut Tables<'_>, mut place: Place) -> Result<Inode, Halt> {
    let place = &mut place;
    let kind = u16::from_le_bytes(tables.take(place)?);
    let mode = u32::from(u16::from_le_bytes(tables.take(place)?));
    // uid, gid, mtime, inode number.
    tables.take::<12>(place)?;
    let kind = match kind {
        1 => {
            let block = u32::from_le_bytes(tables.take(place)?);
            tables.take::<4>(place)?;
            let size = u32::from(u16::from_le_bytes(tables.take(place)?));
            let offset = u16::from_le_bytes(tables.take(place)?);
            InodeKind::Directory { listing: Listing::new(tables, block, offset, size) }
        }
        8 => {
            tables.take::<4>(place)?;
            let size = u32::from_le_bytes(tables.take(place)?);
            let block = u32::from_le_bytes(tables.take(place)?);
            // Parent and number of index entries: the listing is read from its start, so the index is not needed.
            tables.take::<6>(place)?;
            let offset = u16::from_le_bytes(tables.take(place)?);
            InodeKind::Directory { listing: Listing::new(tables, block, offset, size) }
        }
        2 => {
            let start = u64::from(u32::from_le_bytes(tables.take(place)?));
            let tail = read_tail(tables, place)?;
            let size = u64::from(u32::from_le_bytes(tables.take(place)?));
            InodeKind::File(File { size, start, tail, sizes: *place })
        }
        9 => {
            let start = u64::from_le_bytes(tables.take(place)?);
            let size = u64::from_le_bytes(tables.take(place)?);
            // Sparse bytes, links.
            tables.take::<12>(place)?;
            let tail = read_tail(tables, place)?;
            tables.take::<4>(place)?;
            InodeKind::File(File { size, start, tail, sizes: *place })
        }
        3 | 10 => {
            tables.take::<4>(place)?;
            let size = u32::from_le_bytes(tables.take(place)?);
            if u64::from(size) > TARGET_BYTES_MAX {
                return Err(Halt::damaged(FORMAT, "a link is longer than a path may be"));
            }
            let mut target = vec![0; usize::try_from(size).unwrap_or(0)];
            tables.read(place, &mut target)?;
            InodeKind::Symlink { target }
        }
        4..=7 | 11..=14 => InodeKind::Special,
        other => return Err(Halt::damaged(FORMAT, format!("an inode has the unknown type {other}"))),
    };
    Ok(Inode { mode, kind })
}

fn read_tail(tables: &mut Tables<'_>, place: &mut Place) -> Result<Option<(u32, u32)>, Halt> {
    let index = u32::from_le_bytes(tables.take(place)?);
    let offset = u32::from_le_bytes(tables.take(place)?);
    Ok((index != NO_FRAGMENT).then_some((index, offset)))
}

/// A directory, read an entry at a time.
#[derive(Clone)]
pub(super) struct Listing {
    place: Place,
    /// Bytes that are left of it.
    left: u32,
    /// Entries that are left behind the last header.
    run: u32,
    /// The block that holds the inodes of this run.
    inodes: u64,
}

pub(super) struct Name {
    pub(super) name: Vec<u8>,
    pub(super) inode: Place,
}

impl Listing {
    fn new(tables: &Tables<'_>, block: u32, offset: u16, size: u32) -> Self {
        let block = tables.superblock.dir_table.saturating_add(u64::from(block));
        // The size counts `.` and `..`, which are not stored, as three bytes.
        Self {
            place: Place { block, offset: usize::from(offset) },
            left: size.saturating_sub(3),
            run: 0,
            inodes: 0,
        }
    }

    pub(super) fn next(&mut self, tables: &mut Tables<'_>) -> Result<Option<Name>, Halt> {
        if self.run == 0 {
            if self.left == 0 {
                return Ok(None);
            }
            let count = u32::from_le_bytes(self.take(tables)?);
            let start = u32::from_le_bytes(self.take(tables)?);
            self.take::<4>(tables)?;
            if count >= RUN_ENTRIES_MAX {
                return Err(Halt::damaged(
                    FORMAT,
                    "a directory lists more entries in a run than the format allows",
                ));
            }
            self.run = count + 1;
            self.inodes = tables.superblock.inode_table.saturating_add(u64::from(start));
        }
        self.run -= 1;
        let offset = u16::from_le_bytes(self.take(tables)?);
        // The inode number and the type stand in the inode as well.
        self.take::<4>(tables)?;
        let name_bytes = usize::from(u16::from_le_bytes(self.take(tables)?)) + 1;
        if name_bytes > NAME_BYTES_MAX {
            return Err(Halt::damaged(FORMAT, "a name is longer than the format allows"));
        }
        let mut name = vec![0; name_bytes];
        self.charge(name_bytes)?;
        tables.read(&mut self.place, &mut name)?;
        Ok(Some(Name { name, inode: Place { block: self.inodes, offset: usize::from(offset) } }))
    }

    fn take<const N: usize>(&mut self, tables: &mut Tables<'_>) -> Result<[u8; N], Halt> {
        self.charge(N)?;
        tables.take(&mut self.place)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Halt> {
        let left = u32::try_from(bytes).ok().and_then(|bytes| self.left.checked_sub(bytes));
        self.left =
            left.ok_or_else(|| Halt::damaged(FORMAT, "a directory ends in the middle of an entry"))?;
        Ok(())
    }
}
