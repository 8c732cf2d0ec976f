//! Where the blocks of an ext file are: a tree of extents, or the older blocks of numbers.
//!
//! In: the sixty bytes of an inode. Out: the content as a window. Refuses more pieces than the image has blocks.

use crate::bytes::{Bytes, Fields, Pieces};
use crate::door::Door;
use crate::error::{Halt, bad};

/// Deepest tree of extents; Linux has five levels.
const DEPTH_MAX: u16 = 5;

/// How a map is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Extents,
    Numbers,
}

struct Map<'m, 'a> {
    image: &'m Bytes<'a>,
    block_bytes: u64,
    size: u64,
    pieces: Vec<(u64, Bytes<'a>)>,
    pieces_max: u64,
    /// Where the next block of an old map belongs, in blocks.
    logical: u64,
    /// The physical block behind the last piece, and how long that piece is, in blocks.
    run: Option<(u64, u64)>,
}

/// Makes the content of a file.
pub(super) fn content<'a>(
    image: &Bytes<'a>,
    block_bytes: u64,
    block: &[u8],
    shape: Shape,
    size: u64,
    door: &mut Door<'_, '_>,
) -> Result<Bytes<'a>, Halt> {
    let pieces_max = image.length() / block_bytes + 1;
    let mut map = Map { image, block_bytes, size, pieces: Vec::new(), pieces_max, logical: 0, run: None };
    match shape {
        Shape::Extents => map.extents(block, DEPTH_MAX, door)?,
        Shape::Numbers => map.old(block, door)?,
    }
    Ok(Pieces::joined(size, 0, map.pieces))
}

impl Map<'_, '_> {
    fn push(&mut self, logical: u64, physical: u64, blocks: u64) -> Result<(), Halt> {
        if self.pieces.len() as u64 >= self.pieces_max {
            return Err(bad("a file has more pieces than there are blocks"));
        }
        let bytes = |blocks: u64| blocks.saturating_mul(self.block_bytes);
        self.pieces.push((bytes(logical), self.image.slice(bytes(physical), bytes(blocks))));
        Ok(())
    }

    /// Reads a node of a tree of extents (`struct ext4_extent_header`).
    fn extents(&mut self, node: &[u8], depth_max: u16, door: &mut Door<'_, '_>) -> Result<(), Halt> {
        let fields = Fields::little(node);
        let (count, depth) = (usize::from(fields.u16(2)), fields.u16(6));
        if fields.u16(0) != 0xf30a || depth > depth_max {
            return Err(bad("a tree of extents makes no sense"));
        }
        for entry in node.chunks_exact(12).skip(1).take(count) {
            door.step()?;
            let fields = Fields::little(entry);
            if depth == 0 {
                let length = u64::from(fields.u16(4));
                let physical = u64::from(fields.u16(6)) << 32 | u64::from(fields.u32(8));
                // Longer than 32,768 means: allocated, but not written.
                if (1..=32_768).contains(&length) {
                    self.push(u64::from(fields.u32(0)), physical, length)?;
                }
            } else {
                let child = u64::from(fields.u16(8)) << 32 | u64::from(fields.u32(4));
                let node = self.image.vec(child.saturating_mul(self.block_bytes), self.block_bytes)?;
                self.extents(&node, depth - 1, door)?;
            }
        }
        Ok(())
    }

    /// Twelve blocks, then one, two and three levels of blocks of numbers.
    fn old(&mut self, block: &[u8], door: &mut Door<'_, '_>) -> Result<(), Halt> {
        for (index, number) in block.chunks_exact(4).enumerate() {
            let level = u32::try_from(index.saturating_sub(11)).unwrap_or(0);
            self.number(u64::from(Fields::little(number).u32(0)), level, door)?;
        }
        Ok(())
    }

    fn number(&mut self, number: u64, level: u32, door: &mut Door<'_, '_>) -> Result<(), Halt> {
        if self.logical.saturating_mul(self.block_bytes) >= self.size {
            return Ok(());
        }
        door.step()?;
        if number == 0 {
            let blocks = (self.block_bytes / 4).saturating_pow(level);
            self.logical = self.logical.saturating_add(blocks);
            self.run = None;
            return Ok(());
        }
        if level > 0 {
            let numbers = self.image.vec(number.saturating_mul(self.block_bytes), self.block_bytes)?;
            for entry in numbers.chunks_exact(4) {
                self.number(u64::from(Fields::little(entry).u32(0)), level - 1, door)?;
            }
            return Ok(());
        }
        match self.run {
            Some((next, length)) if next == number => {
                let start = number.saturating_sub(length).saturating_mul(self.block_bytes);
                if let Some((_, bytes)) = self.pieces.last_mut() {
                    *bytes = self.image.slice(start, (length + 1).saturating_mul(self.block_bytes));
                }
                self.run = Some((number + 1, length + 1));
            }
            _ => {
                self.push(self.logical, number, 1)?;
                self.run = Some((number + 1, 1));
            }
        }
        self.logical += 1;
        Ok(())
    }
}
