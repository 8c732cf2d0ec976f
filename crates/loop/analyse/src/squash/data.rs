//! The content of a file in a squashfs, as a stream.
//!
//! In: where the blocks and the tail are. Out: bytes. Refuses blocks that do not have the size that the file's size
//! asks for; holds one block.

use std::io::{self, Read};

use super::inode::File;
use super::table::{Place, Stored, Tables};
use crate::error::{Halt, bad};

pub(super) struct FileContent<'t, 'a> {
    tables: &'t mut Tables<'a>,
    /// Bytes that are still to be handed out, those in `block` included.
    left: u64,
    blocks_left: u64,
    sizes: Place,
    position: u64,
    tail: Option<(u32, u32)>,
    block: Vec<u8>,
    handed_out: usize,
}

impl<'t, 'a> FileContent<'t, 'a> {
    pub(super) fn new(tables: &'t mut Tables<'a>, file: &File) -> Self {
        let block_size = u64::from(tables.superblock.block_size.max(1));
        let blocks_left =
            if file.tail.is_some() { file.size / block_size } else { file.size.div_ceil(block_size) };
        Self {
            tables,
            left: file.size,
            blocks_left,
            sizes: file.sizes,
            position: file.start,
            tail: file.tail,
            block: Vec::new(),
            handed_out: 0,
        }
    }

    /// Reads the size of the next block, and whether it is packed.
    fn next_size(&mut self) -> Result<(u32, Stored), Halt> {
        if self.tables.superblock.version.0 == 1 {
            let word = u32::from(self.tables.take_u16(&mut self.sizes)?);
            let size = word & 0x7fff;
            return Ok((if size == 0 { 0x8000 } else { size }, Stored::of(word & 0x8000)));
        }
        let word = self.tables.take_u32(&mut self.sizes)?;
        Ok((word & 0x00ff_ffff, Stored::of(word & 1 << 24)))
    }

    /// Reads the block or tail that follows. `left` is what it and all behind it hold.
    fn next_block(&mut self) -> Result<(), Halt> {
        let block_size = u64::from(self.tables.superblock.block_size);
        let wanted = usize::try_from(self.left.min(block_size)).unwrap_or(0);
        self.handed_out = 0;
        if self.blocks_left > 0 {
            self.blocks_left -= 1;
            let (size, stored) = self.next_size()?;
            self.block = match size {
                // A hole.
                0 => vec![0; wanted],
                _ => self.tables.data(self.position, size, stored, wanted)?,
            };
            self.position = self.position.saturating_add(u64::from(size));
        } else if let Some((index, offset)) = self.tail.take() {
            let fragment = self.tables.fragment(index)?;
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            let tail = offset.checked_add(wanted).and_then(|end| fragment.get(offset..end));
            self.block = tail.unwrap_or_default().to_vec();
        } else {
            self.block.clear();
        }
        if self.block.len() != wanted {
            return Err(bad("a file has less or more bytes than its inode says"));
        }
        Ok(())
    }
}

impl Read for FileContent<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        if self.handed_out >= self.block.len() {
            self.next_block().map_err(Halt::into_io)?;
        }
        let there = self.block.get(self.handed_out..).unwrap_or_default();
        let count = there.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), there.get(..count)) {
            to.copy_from_slice(from);
        }
        self.handed_out += count;
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}
