//! The tables of a squashfs: metadata blocks, fragments and owners.
//!
//! In: an image and its superblock. Out: bytes at places in the tables. Refuses places outside; keeps some blocks.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::codec::Unpacker;
use super::superblock::Superblock;
use crate::bytes::{Bytes, Endian, Fields};
use crate::error::{Halt, bad};

/// Bytes in a metadata block, unpacked.
const BLOCK_BYTES: usize = 8192;

/// Most metadata blocks that are kept. 512: 4 MiB, the inodes of some ten thousand files.
const BLOCKS_MAX: usize = 512;

/// Most fragments that are kept; each is at most 1 MiB.
const FRAGMENTS_MAX: usize = 4;

/// A place in a table: the block that begins there, and the byte in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) block: u64,
    pub(super) offset: usize,
}

/// An unpacked metadata block, and where the next one begins.
struct Block {
    bytes: Vec<u8>,
    next: u64,
}

/// Whether a block is packed, or stands as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    Packed,
    Plain,
}

impl Stored {
    /// A bit that is set says that packing did not pay.
    pub(super) fn of(bit: u32) -> Self {
        if bit == 0 { Self::Packed } else { Self::Plain }
    }
}

pub(super) struct Tables<'a> {
    pub(super) superblock: Superblock,
    image: Bytes<'a>,
    unpacker: Unpacker,
    blocks: BTreeMap<u64, Rc<Block>>,
    fragments: VecDeque<(u32, Rc<Vec<u8>>)>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(image: Bytes<'a>, superblock: Superblock) -> Self {
        let unpacker = Unpacker::new(superblock.codec);
        Self { superblock, image, unpacker, blocks: BTreeMap::new(), fragments: VecDeque::new() }
    }

    /// Where the inode of the root is.
    pub(super) fn root(&self) -> Place {
        self.inode_place(self.superblock.root)
    }

    /// Where an inode is, by its number: the block in its table, and the byte in the lower sixteen bits.
    fn inode_place(&self, number: u64) -> Place {
        let block = self.superblock.inode_table.saturating_add(number >> 16);
        Place { block, offset: usize::try_from(number & 0xffff).unwrap_or(0) }
    }

    fn block(&mut self, start: u64) -> Result<Rc<Block>, Halt> {
        if let Some(block) = self.blocks.get(&start) {
            return Ok(Rc::clone(block));
        }
        let header = self.image.u16(self.superblock.endian, start).ok_or_else(outside)?;
        let size = u64::from(header & 0x7fff);
        // In old versions a size of zero stands for the largest.
        let size = if size == 0 { 0x8000 } else { size };
        let mark = u64::from(self.superblock.is_checked);
        let from = start.saturating_add(2 + mark);
        let packed = self.image.vec(from, size).map_err(|_| outside())?;
        let bytes = if header & 0x8000 == 0 {
            self.unpacker.unpack(&packed, BLOCK_BYTES).ok_or_else(|| bad("a block cannot be unpacked"))?
        } else if packed.len() > BLOCK_BYTES {
            return Err(bad("a block is longer than the format allows"));
        } else {
            packed
        };
        if self.blocks.len() >= BLOCKS_MAX {
            self.blocks.clear();
        }
        let block = Rc::new(Block { bytes, next: from.saturating_add(size) });
        self.blocks.insert(start, Rc::clone(&block));
        Ok(block)
    }

    /// Reads from a place, and moves it behind what was read.
    pub(super) fn read(&mut self, place: &mut Place, buffer: &mut [u8]) -> Result<(), Halt> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let block = self.block(place.block)?;
            let there = block.bytes.get(place.offset..).unwrap_or_default();
            let count = there.len().min(rest.len());
            for (to, from) in rest.iter_mut().zip(there) {
                *to = *from;
            }
            filled += count;
            place.offset += count;
            if place.offset >= block.bytes.len() {
                if count == 0 && block.bytes.len() < BLOCK_BYTES {
                    return Err(bad("a table ends in the middle of an entry"));
                }
                *place = Place { block: block.next, offset: place.offset - block.bytes.len() };
            }
        }
        Ok(())
    }

    pub(super) fn take<const N: usize>(&mut self, place: &mut Place) -> Result<[u8; N], Halt> {
        let mut bytes = [0; N];
        self.read(place, &mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn take_u16(&mut self, place: &mut Place) -> Result<u16, Halt> {
        Ok(self.superblock.endian.u16(self.take(place)?))
    }

    pub(super) fn take_u32(&mut self, place: &mut Place) -> Result<u32, Halt> {
        Ok(self.superblock.endian.u32(self.take(place)?))
    }

    pub(super) fn take_u64(&mut self, place: &mut Place) -> Result<u64, Halt> {
        Ok(self.superblock.endian.u64(self.take(place)?))
    }

    /// Reads bit fields that fill `N` bytes together.
    pub(super) fn take_bits<const N: usize>(&mut self, place: &mut Place) -> Result<Bits, Halt> {
        let bytes: [u8; N] = self.take(place)?;
        let endian = self.superblock.endian;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let value = match endian {
            Endian::Little => bytes.iter().rev().fold(0, fold),
            Endian::Big => bytes.iter().fold(0, fold),
        };
        Ok(Bits { value, left: u32::try_from(N * 8).unwrap_or(0), endian })
    }

    /// Unpacks a block of data of at most `most` bytes.
    pub(super) fn data(&self, start: u64, size: u32, stored: Stored, most: usize) -> Result<Vec<u8>, Halt> {
        // What packing would make larger is stored as it is, but some builders do not care.
        if u64::from(size) > u64::from(self.superblock.block_size) * 2 {
            return Err(bad("a block is longer than the format allows"));
        }
        let bytes = self.image.vec(start, u64::from(size)).map_err(|_| outside())?;
        if stored == Stored::Plain {
            return if bytes.len() <= most {
                Ok(bytes)
            } else {
                Err(bad("a block is longer than the format allows"))
            };
        }
        self.unpacker.unpack(&bytes, most).ok_or_else(|| bad("a block cannot be unpacked"))
    }

    /// Reads a fragment, which holds the tails of several files.
    pub(super) fn fragment(&mut self, index: u32) -> Result<Rc<Vec<u8>>, Halt> {
        if let Some((_, bytes)) = self.fragments.iter().find(|(kept, _)| *kept == index) {
            return Ok(Rc::clone(bytes));
        }
        if index >= self.superblock.fragments {
            return Err(bad("a file has a fragment that is not there"));
        }
        let is_old = self.superblock.version.0 < 3;
        let entry_bytes: u64 = if is_old { 8 } else { 16 };
        let at = u64::from(index) * entry_bytes;
        let table = self.superblock.fragment_table;
        let mut place = self.indexed(table, at, if is_old { 4 } else { 8 })?;
        let start = if is_old { u64::from(self.take_u32(&mut place)?) } else { self.take_u64(&mut place)? };
        let word = self.take_u32(&mut place)?;
        let most = usize::try_from(self.superblock.block_size).unwrap_or(0);
        let bytes = Rc::new(self.data(start, word & 0x00ff_ffff, Stored::of(word & 1 << 24), most)?);
        if self.fragments.len() >= FRAGMENTS_MAX {
            self.fragments.pop_front();
        }
        self.fragments.push_back((index, Rc::clone(&bytes)));
        Ok(bytes)
    }

    /// Where byte `at` of a table is whose metadata blocks an index of `width` bytes an entry names.
    fn indexed(&self, table: u64, at: u64, width: u64) -> Result<Place, Halt> {
        let entry = table.saturating_add(at / BLOCK_BYTES as u64 * width);
        let endian = self.superblock.endian;
        let block = if width == 4 {
            self.image.u32(endian, entry).map(u64::from)
        } else {
            self.image.u64(endian, entry)
        };
        let offset = usize::try_from(at % BLOCK_BYTES as u64).unwrap_or(0);
        Ok(Place { block: block.ok_or_else(outside)?, offset })
    }

    /// Looks up the user and the group of an inode; `None` where the table does not hold them.
    pub(super) fn owner(&mut self, user: u32, group: u32) -> Option<(u32, u32)> {
        let superblock = &self.superblock;
        let (users, groups) = (u32::from(superblock.users), u32::from(superblock.groups));
        let (user_table, group_table, endian) =
            (superblock.user_table, superblock.group_table, superblock.endian);
        if superblock.version.0 == 4 {
            let mut id = |index: u32| {
                let mut place = self.indexed(user_table, u64::from(index) * 4, 8).ok()?;
                (index < users).then(|| self.take_u32(&mut place).ok()).flatten()
            };
            return Some((id(user)?, id(group)?));
        }
        let id = |table: u64, index: u32, count: u32| {
            let word = self.image.u32(endian, table.saturating_add(u64::from(index) * 4));
            word.filter(|_| index < count)
        };
        let user_id = id(user_table, user, users)?;
        // The highest index stands for "the same as the user".
        let same = if superblock.version.0 == 1 { 15 } else { 255 };
        if group == same {
            Some((user_id, user_id))
        } else {
            Some((user_id, id(group_table, group, groups)?))
        }
    }
}

fn outside() -> Halt {
    bad("a table leads outside of it")
}

/// Bit fields, as compilers lay them out: from the lowest bit on little-endian machines, else from the highest.
pub(super) struct Bits {
    value: u64,
    left: u32,
    endian: Endian,
}

impl Bits {
    pub(super) fn take(&mut self, width: u32) -> u32 {
        let mask = (1_u64 << width) - 1;
        self.left = self.left.saturating_sub(width);
        let value = match self.endian {
            Endian::Little => {
                let value = self.value & mask;
                self.value >>= width;
                value
            }
            Endian::Big => self.value >> self.left & mask,
        };
        u32::try_from(value).unwrap_or(0)
    }
}

/// Reads a number of three bytes.
pub(super) fn u24(endian: Endian, bytes: [u8; 3]) -> u32 {
    let [a, b, c] = bytes;
    match endian {
        Endian::Little => Fields::little(&[a, b, c, 0]).u32(0),
        Endian::Big => Fields::big(&[0, a, b, c]).u32(0),
    }
}
