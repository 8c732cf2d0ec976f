//! The metadata tables of a squashfs, a block at a time.
//!
//! In: positions. Out: bytes of unpacked metadata blocks and data blocks. Refuses blocks that unpack to more than the
//! format allows; keeps at most [`BLOCKS_KEPT_MAX`] metadata blocks and [`FRAGMENTS_KEPT_MAX`] fragments.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Seek, SeekFrom};
use std::rc::Rc;

use backhand::compression::{CompressionAction, Compressor, DefaultCompressor};
use backhand::{BackhandError, SuperBlock};

use super::{FORMAT, failed};
use crate::ReadSeek;
use crate::budget::Budget;
use crate::error::Halt;

/// Unpacked size of a full metadata block: 8 KiB, by the format.
const METADATA_BYTES: usize = 8192;

/// Metadata blocks that are kept: 512 blocks are 4 MiB, the tables of some 100,000 files.
const BLOCKS_KEPT_MAX: usize = 512;

/// Fragments that are kept: 8 of at most 1 MiB. Small files of a directory share a few fragments.
const FRAGMENTS_KEPT_MAX: usize = 8;

/// A place in a table: the start of a metadata block in the image, and an offset in the unpacked block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) block: u64,
    pub(super) offset: usize,
}

struct Block {
    bytes: Rc<Vec<u8>>,
    /// Where the next block starts.
    next: u64,
}

/// An image with the tables that were read from it.
pub(super) struct Tables<'a> {
    image: Box<dyn ReadSeek + 'a>,
    pub(super) superblock: SuperBlock,
    pub(super) budget: &'a Budget,
    blocks: BTreeMap<u64, Block>,
    fragments: VecDeque<(u64, Rc<Vec<u8>>)>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(image: Box<dyn ReadSeek + 'a>, superblock: SuperBlock, budget: &'a Budget) -> Self {
        Self { image, superblock, budget, blocks: BTreeMap::new(), fragments: VecDeque::new() }
    }

    /// Returns the place of the root's inode: a reference holds the block in its high and the offset in its low bits.
    pub(super) fn root(&self) -> Place {
        let offset = usize::try_from(self.superblock.root_inode & 0xffff).unwrap_or(0);
        let block = self.superblock.inode_table.saturating_add(self.superblock.root_inode >> 16);
        Place { block, offset }
    }

    pub(super) fn read_at(&mut self, start: u64, buffer: &mut [u8]) -> Result<(), Halt> {
        // A file has a last place that can be sought at all; the system's own words speak of an invalid argument.
        let sought = self.image.seek(SeekFrom::Start(start));
        sought.map_err(|_| Halt::damaged(FORMAT, "something in it points out of the image"))?;
        self.image.read_exact(buffer).map_err(|error| Halt::from_read(FORMAT, self.budget, &error))
    }

    /// Fills the buffer from a table and moves the place behind it.
    pub(super) fn read(&mut self, place: &mut Place, buffer: &mut [u8]) -> Result<(), Halt> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let (bytes, next) = self.block(place.block)?;
            let Some(there) = bytes.get(place.offset..) else {
                return Err(Halt::damaged(FORMAT, "a reference leads behind its metadata block"));
            };
            if there.is_empty() {
                *place = Place { block: next, offset: 0 };
                if bytes.is_empty() {
                    return Err(Halt::damaged(FORMAT, "a metadata block is empty"));
                }
                continue;
            }
            let count = there.len().min(rest.len());
            for (to, from) in rest.iter_mut().zip(there) {
                *to = *from;
            }
            filled += count;
            place.offset += count;
        }
        Ok(())
    }

    /// Reads numbers and leaves them as little-endian bytes.
    pub(super) fn take<const N: usize>(&mut self, place: &mut Place) -> Result<[u8; N], Halt> {
        let mut bytes = [0; N];
        self.read(place, &mut bytes)?;
        Ok(bytes)
    }

    fn block(&mut self, start: u64) -> Result<(Rc<Vec<u8>>, u64), Halt> {
        if let Some(block) = self.blocks.get(&start) {
            return Ok((Rc::clone(&block.bytes), block.next));
        }
        let mut header = [0; 2];
        self.read_at(start, &mut header)?;
        let header = u16::from_le_bytes(header);
        let size = usize::from(header & 0x7fff);
        if size > METADATA_BYTES {
            return Err(Halt::damaged(FORMAT, "a metadata block is larger than the format allows"));
        }
        let mut stored = vec![0; size];
        self.read_at(start.saturating_add(2), &mut stored)?;
        let bytes = if header & 0x8000 == 0 { self.unpack(&stored, METADATA_BYTES)? } else { stored };
        let bytes = Rc::new(bytes);
        let next = start.saturating_add(2).saturating_add(size as u64);
        if self.blocks.len() >= BLOCKS_KEPT_MAX {
            self.blocks.clear();
        }
        self.blocks.insert(start, Block { bytes: Rc::clone(&bytes), next });
        Ok((bytes, next))
    }

    /// Unpacks one block, which may have at most `most` bytes.
    fn unpack(&self, stored: &[u8], most: usize) -> Result<Vec<u8>, Halt> {
        let mut bytes = Vec::with_capacity(most);
        let unpacked = match self.superblock.compressor {
            // Not through `backhand`, which asks for a newer libzstd than the one that patches are held at.
            Compressor::Zstd => zstd::bulk::Decompressor::new()
                .and_then(|mut decoder| decoder.decompress_to_buffer(stored, &mut bytes))
                .map(|_| ())
                .map_err(BackhandError::StdIo),
            other => DefaultCompressor.decompress(stored, &mut bytes, other),
        };
        unpacked.map_err(|error| failed("a block cannot be unpacked", &error))?;
        // Tables and fragments are charged as well: unpacking them over and over is work, too.
        self.budget.charge(bytes.len() as u64)?;
        if bytes.len() > most {
            return Err(Halt::damaged(FORMAT, "a block unpacks to more than the format allows"));
        }
        Ok(bytes)
    }

    /// Reads a data block: `word` holds its stored size and, in bit 24, whether it is stored as it is.
    pub(super) fn data(&mut self, start: u64, word: u32) -> Result<Vec<u8>, Halt> {
        let most = usize::try_from(self.superblock.block_size).unwrap_or(0);
        let size = usize::try_from(stored_bytes(word)).unwrap_or(usize::MAX);
        if size > most {
            return Err(Halt::damaged(FORMAT, "a data block is larger than the format allows"));
        }
        let mut stored = vec![0; size];
        self.read_at(start, &mut stored)?;
        if word & (1 << 24) == 0 { self.unpack(&stored, most) } else { Ok(stored) }
    }

    /// Reads the fragment block of an index.
    pub(super) fn fragment(&mut self, index: u32) -> Result<Rc<Vec<u8>>, Halt> {
        if index >= self.superblock.frag_count {
            return Err(Halt::damaged(FORMAT, "a file names a fragment that does not exist"));
        }
        // 512 entries of 16 bytes fill a metadata block; the table of blocks has 8 bytes for each.
        let mut pointer = [0; 8];
        let at = self.superblock.frag_table.saturating_add(u64::from(index / 512) * 8);
        self.read_at(at, &mut pointer)?;
        let offset = usize::try_from(index % 512).unwrap_or(0) * 16;
        let mut place = Place { block: u64::from_le_bytes(pointer), offset };
        let start = u64::from_le_bytes(self.take(&mut place)?);
        let word = u32::from_le_bytes(self.take(&mut place)?);
        if let Some((_, bytes)) = self.fragments.iter().find(|(kept, _)| *kept == start) {
            return Ok(Rc::clone(bytes));
        }
        let bytes = Rc::new(self.data(start, word)?);
        if self.fragments.len() >= FRAGMENTS_KEPT_MAX {
            self.fragments.pop_front();
        }
        self.fragments.push_back((start, Rc::clone(&bytes)));
        Ok(bytes)
    }
}

/// Returns the stored size that the word of a data block names.
pub(super) fn stored_bytes(word: u32) -> u32 {
    word & 0x00ff_ffff
}
