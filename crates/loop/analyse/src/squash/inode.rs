//! Inodes and directory listings of a squashfs.
//!
//! In: places in the tables. Out: inodes, and listings an entry at a time. Refuses types, sizes and counts that the
//! format does not know; makes no room for what an inode merely claims.

use super::table::{Place, Tables, u24};
use crate::door::TARGET_BYTES_MAX;
use crate::error::{Halt, bad};

/// Stands for "no fragment".
const NO_FRAGMENT: u32 = u32::MAX;

/// A listing header is followed by at most this many entries.
const RUN_ENTRIES_MAX: u32 = 256;

/// Longest name, in bytes (`SQUASHFS_NAME_LEN`).
const NAME_BYTES_MAX: usize = 256;

pub(super) struct Inode {
    pub(super) mode: u32,
    /// Where in the tables of owners the user and the group stand.
    pub(super) user: u32,
    pub(super) group: u32,
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
    /// Where the sizes of the blocks stand, four bytes each (two in version 1).
    pub(super) sizes: Place,
}

/// Reads an inode.
pub(super) fn read(tables: &mut Tables<'_>, mut place: Place) -> Result<Inode, Halt> {
    match tables.superblock.version.0 {
        4 => read_new(tables, &mut place),
        3 => read_third(tables, &mut place),
        _ => read_first(tables, &mut place),
    }
}

/// Version 4: types 1 to 14; 8 to 14 are the extended forms of 1 to 7.
fn read_new(tables: &mut Tables<'_>, place: &mut Place) -> Result<Inode, Halt> {
    let number = tables.take_u16(place)?;
    let mode = u32::from(tables.take_u16(place)?);
    let (user, group) = (u32::from(tables.take_u16(place)?), u32::from(tables.take_u16(place)?));
    // mtime, inode number.
    tables.take::<8>(place)?;
    let kind = match number {
        1 => {
            let block = tables.take_u32(place)?;
            tables.take::<4>(place)?;
            let size = u32::from(tables.take_u16(place)?);
            let offset = tables.take_u16(place)?;
            InodeKind::Directory { listing: Listing::new(tables, block, u32::from(offset), size) }
        }
        8 => {
            tables.take::<4>(place)?;
            let size = tables.take_u32(place)?;
            let block = tables.take_u32(place)?;
            // Parent and number of index entries: the listing is read from its start, so the index is not needed.
            tables.take::<6>(place)?;
            let offset = tables.take_u16(place)?;
            InodeKind::Directory { listing: Listing::new(tables, block, u32::from(offset), size) }
        }
        2 => {
            let start = u64::from(tables.take_u32(place)?);
            let tail = read_tail(tables, place)?;
            let size = u64::from(tables.take_u32(place)?);
            InodeKind::File(File { size, start, tail, sizes: *place })
        }
        9 => {
            let start = tables.take_u64(place)?;
            let size = tables.take_u64(place)?;
            // Sparse bytes, links.
            tables.take::<12>(place)?;
            let tail = read_tail(tables, place)?;
            tables.take::<4>(place)?;
            InodeKind::File(File { size, start, tail, sizes: *place })
        }
        3 | 10 => {
            tables.take::<4>(place)?;
            let size = tables.take_u32(place)?;
            read_target(tables, place, size)?
        }
        4..=7 | 11..=14 => InodeKind::Special,
        other => return Err(unknown_type(u32::from(other))),
    };
    Ok(Inode { mode, user, group, kind })
}

/// Version 3 (`struct squashfs_base_inode_header_3` and what follows it).
fn read_third(tables: &mut Tables<'_>, place: &mut Place) -> Result<Inode, Halt> {
    let mut base = tables.take_bits::<4>(place)?;
    let (number, mode, user, group) = (base.take(4), base.take(12), base.take(8), base.take(8));
    // mtime, inode number.
    tables.take::<8>(place)?;
    if !matches!(number, 2) {
        // Links.
        tables.take::<4>(place)?;
    }
    let kind = match number {
        1 => {
            let mut bits = tables.take_bits::<4>(place)?;
            let (size, offset) = (bits.take(19), bits.take(13));
            let block = tables.take_u32(place)?;
            InodeKind::Directory { listing: Listing::new(tables, block, offset, size) }
        }
        8 => {
            let mut bits = tables.take_bits::<5>(place)?;
            let (size, offset) = (bits.take(27), bits.take(13));
            let block = tables.take_u32(place)?;
            InodeKind::Directory { listing: Listing::new(tables, block, offset, size) }
        }
        2 | 9 => {
            let start = tables.take_u64(place)?;
            let tail = read_tail(tables, place)?;
            let size =
                if number == 2 { u64::from(tables.take_u32(place)?) } else { tables.take_u64(place)? };
            InodeKind::File(File { size, start, tail, sizes: *place })
        }
        3 => {
            let size = u32::from(tables.take_u16(place)?);
            read_target(tables, place, size)?
        }
        4..=7 => InodeKind::Special,
        other => return Err(unknown_type(other)),
    };
    Ok(Inode { mode, user, group, kind })
}

/// Versions 1 and 2 (`struct squashfs_base_inode_header_2` and what follows it). Version 1 has four bits for an owner,
/// and counts types past five to have more.
fn read_first(tables: &mut Tables<'_>, place: &mut Place) -> Result<Inode, Halt> {
    let is_first = tables.superblock.version.0 == 1;
    let mut base = if is_first { tables.take_bits::<3>(place)? } else { tables.take_bits::<4>(place)? };
    let width = if is_first { 4 } else { 8 };
    let (number, mode, user, group) = (base.take(4), base.take(12), base.take(width), base.take(width));
    let (number, user) = match (is_first, number) {
        // Pipes and sockets.
        (true, 0) => (6, user),
        (true, number) => ((number - 1) % 5 + 1, user + (number - 1) / 5 * 16),
        (false, number) => (number, user),
    };
    let kind = match number {
        1 | 8 => {
            let (size, offset) = if number == 1 {
                let mut bits = tables.take_bits::<4>(place)?;
                (bits.take(19), bits.take(13))
            } else {
                let mut bits = tables.take_bits::<5>(place)?;
                (bits.take(27), bits.take(13))
            };
            tables.take::<4>(place)?;
            let block = u24(tables.superblock.endian, tables.take(place)?);
            InodeKind::Directory { listing: Listing::new(tables, block, offset, size) }
        }
        2 => {
            tables.take::<4>(place)?;
            let start = u64::from(tables.take_u32(place)?);
            let tail = if is_first { None } else { read_tail(tables, place)? };
            let size = u64::from(tables.take_u32(place)?);
            InodeKind::File(File { size, start, tail, sizes: *place })
        }
        3 => {
            let size = u32::from(tables.take_u16(place)?);
            read_target(tables, place, size)?
        }
        4..=7 => InodeKind::Special,
        other => return Err(unknown_type(other)),
    };
    Ok(Inode { mode, user, group, kind })
}

fn unknown_type(number: u32) -> Halt {
    bad(format!("an inode has the unknown type {number}"))
}

fn read_target(tables: &mut Tables<'_>, place: &mut Place, size: u32) -> Result<InodeKind, Halt> {
    if u64::from(size) > TARGET_BYTES_MAX {
        return Err(bad("a link is longer than a path may be"));
    }
    let mut target = vec![0; usize::try_from(size).unwrap_or(0)];
    tables.read(place, &mut target)?;
    Ok(InodeKind::Symlink { target })
}

fn read_tail(tables: &mut Tables<'_>, place: &mut Place) -> Result<Option<(u32, u32)>, Halt> {
    let index = tables.take_u32(place)?;
    let offset = tables.take_u32(place)?;
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
    fn new(tables: &Tables<'_>, block: u32, offset: u32, size: u32) -> Self {
        let block = tables.superblock.directory_table.saturating_add(u64::from(block));
        // From version 3 the size counts `.` and `..`, which are not stored, as three bytes.
        let unstored = if tables.superblock.version.0 >= 3 { 3 } else { 0 };
        Self {
            place: Place { block, offset: usize::try_from(offset).unwrap_or(0) },
            left: size.saturating_sub(unstored),
            run: 0,
            inodes: 0,
        }
    }

    /// Reads the header of a run: how many entries, and which block holds their inodes.
    fn next_run(&mut self, tables: &mut Tables<'_>) -> Result<(), Halt> {
        let endian = tables.superblock.endian;
        let (count, start) = match tables.superblock.version.0 {
            4 => {
                let count = endian.u32(self.take(tables)?);
                let start = endian.u32(self.take(tables)?);
                self.take::<4>(tables)?;
                (count, start)
            }
            3 => {
                let [count] = self.take(tables)?;
                let start = endian.u32(self.take(tables)?);
                self.take::<4>(tables)?;
                (u32::from(count), start)
            }
            _ => {
                let [count] = self.take(tables)?;
                (u32::from(count), u24(endian, self.take(tables)?))
            }
        };
        if count >= RUN_ENTRIES_MAX {
            return Err(bad("a directory lists more entries in a run than the format allows"));
        }
        self.run = count + 1;
        self.inodes = tables.superblock.inode_table.saturating_add(u64::from(start));
        Ok(())
    }

    pub(super) fn next(&mut self, tables: &mut Tables<'_>) -> Result<Option<Name>, Halt> {
        if self.run == 0 {
            if self.left == 0 {
                return Ok(None);
            }
            self.next_run(tables)?;
        }
        self.run -= 1;
        // The inode number and the type stand in the inode as well.
        let (offset, name_bytes) = match tables.superblock.version.0 {
            4 => {
                let endian = tables.superblock.endian;
                let offset = u32::from(endian.u16(self.take(tables)?));
                self.take::<4>(tables)?;
                (offset, u32::from(endian.u16(self.take(tables)?)))
            }
            version => {
                self.charge(3)?;
                let mut bits = tables.take_bits::<3>(&mut self.place)?;
                let (offset, _, size) = (bits.take(13), bits.take(3), bits.take(8));
                if version == 3 {
                    self.take::<2>(tables)?;
                }
                (offset, size)
            }
        };
        let name_bytes = usize::try_from(name_bytes).unwrap_or(usize::MAX).saturating_add(1);
        if name_bytes > NAME_BYTES_MAX {
            return Err(bad("a name is longer than the format allows"));
        }
        let mut name = vec![0; name_bytes];
        self.charge(name_bytes)?;
        tables.read(&mut self.place, &mut name)?;
        let inode = Place { block: self.inodes, offset: usize::try_from(offset).unwrap_or(0) };
        Ok(Some(Name { name, inode }))
    }

    fn take<const N: usize>(&mut self, tables: &mut Tables<'_>) -> Result<[u8; N], Halt> {
        self.charge(N)?;
        tables.take(&mut self.place)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Halt> {
        let left = u32::try_from(bytes).ok().and_then(|bytes| self.left.checked_sub(bytes));
        self.left = left.ok_or_else(|| bad("a directory ends in the middle of an entry"))?;
        Ok(())
    }
}
