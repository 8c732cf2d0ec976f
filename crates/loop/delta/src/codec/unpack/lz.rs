//! The byte-aligned formats: LZ4 in three shapes, and LZO.
//!
//! In: packed blocks. Out: plain ones, each unpacked whole. Refuses: blocks above the limit of their format, and
//! copies from before the start of what is known.

use std::io::Read;

use super::{Source, Unpack, broken};
use crate::codec::lz4::{LEGACY_BLOCK_BYTES, LEGACY_MAGIC, Shape};
use crate::codec::{CodecError, HELD_BYTES_MAX};

/// How far back a copy may reach, in LZ4.
const LZ4_WINDOW_BYTES: usize = 64 * 1024;
/// The most that a packed block can be longer than its plain bytes: one in 255, and some.
const fn packed_len_max(plain_len: usize) -> usize {
    plain_len + plain_len / 255 + 64
}

/// What the blocks are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// One block, as long as the stretch.
    Lz4Block,
    /// A frame; its head, once read.
    Lz4Frame(Option<Shape>),
    /// The old format.
    Lz4Legacy,
    /// One block of LZO1X.
    Lzo,
}

/// Unpacks block by block.
pub(super) struct Blocks {
    source: Source,
    kind: Kind,
    /// The last block, behind the bytes before it that the next may refer to.
    plain: Vec<u8>,
    given: usize,
    started: bool,
    ended: bool,
}

impl Blocks {
    pub(super) fn new(source: Source, kind: Kind) -> Self {
        Self { source, kind, plain: Vec::new(), given: 0, started: false, ended: false }
    }

    /// Takes a block of the stretch.
    fn packed_block(&mut self, packed: &mut dyn Read, len: usize) -> Result<Vec<u8>, CodecError> {
        self.source.gather(packed, len)?;
        let bytes =
            self.source.waiting().get(..len).ok_or(CodecError::Short { what: "packed block" })?.to_vec();
        self.source.take(len);
        Ok(bytes)
    }

    /// Takes the whole stretch as one block.
    fn only_block(&mut self, packed: &mut dyn Read, what: &'static str) -> Result<Vec<u8>, CodecError> {
        let max = packed_len_max(usize::try_from(HELD_BYTES_MAX).unwrap_or(usize::MAX));
        self.source.gather(packed, max + 1)?;
        let len = self.source.waiting().len();
        if len > max {
            return Err(CodecError::TooLong { what, len: len as u64, max: max as u64 });
        }
        self.ended = true;
        self.packed_block(packed, len)
    }

    fn next(&mut self, packed: &mut dyn Read) -> Result<(), CodecError> {
        let held = usize::try_from(HELD_BYTES_MAX).unwrap_or(usize::MAX);
        match self.kind {
            Kind::Lz4Block => {
                let block = self.only_block(packed, "LZ4 block")?;
                unpack_lz4(&block, &mut self.plain, held)
            }
            Kind::Lzo => {
                let block = self.only_block(packed, "LZO block")?;
                super::lzo::unpack(&block, &mut self.plain, held)
            }
            Kind::Lz4Legacy => self.next_legacy(packed),
            Kind::Lz4Frame(_) => self.next_framed(packed),
        }
    }

    fn next_legacy(&mut self, packed: &mut dyn Read) -> Result<(), CodecError> {
        if !self.started {
            self.started = true;
            if self.source.array(packed)? != LEGACY_MAGIC {
                return Err(broken("LZ4 magic"));
            }
        }
        self.source.refill(packed)?;
        if self.source.waiting().is_empty() {
            self.ended = true;
            return Ok(());
        }
        let len = u32::from_le_bytes(self.source.array(packed)?) as usize;
        if len > packed_len_max(LEGACY_BLOCK_BYTES) {
            return Err(broken("LZ4 block length"));
        }
        let block = self.packed_block(packed, len)?;
        self.plain.clear();
        self.given = 0;
        unpack_lz4(&block, &mut self.plain, LEGACY_BLOCK_BYTES)
    }

    fn next_framed(&mut self, packed: &mut dyn Read) -> Result<(), CodecError> {
        let shape = if let Kind::Lz4Frame(Some(shape)) = self.kind {
            shape
        } else {
            self.source.gather(packed, 15)?;
            let shape = Shape::read(self.source.waiting()).ok_or(broken("LZ4 frame head"))?;
            self.source.take(shape.head_len());
            self.kind = Kind::Lz4Frame(Some(shape));
            shape
        };
        let size = u32::from_le_bytes(self.source.array(packed)?);
        if size == 0 {
            self.ended = true;
            return Ok(());
        }
        let len = (size & 0x7FFF_FFFF) as usize;
        if len > packed_len_max(shape.block_len()) {
            return Err(broken("LZ4 block length"));
        }
        let block = self.packed_block(packed, len)?;
        self.source.gather(packed, shape.block_sum_len())?;
        self.source.take(shape.block_sum_len());
        let keep = if shape.is_linked() { self.plain.len().min(LZ4_WINDOW_BYTES) } else { 0 };
        self.plain.drain(..self.plain.len() - keep);
        self.given = keep;
        // The top bit marks a block that is stored.
        if size == (size & 0x7FFF_FFFF) {
            unpack_lz4(&block, &mut self.plain, keep + shape.block_len())
        } else {
            self.plain.extend_from_slice(&block);
            Ok(())
        }
    }
}

impl Unpack for Blocks {
    fn pull(&mut self, packed: &mut dyn Read, out: &mut [u8]) -> Result<usize, CodecError> {
        while self.given >= self.plain.len() {
            if self.ended || out.is_empty() {
                return Ok(0);
            }
            self.next(packed)?;
        }
        let waiting = self.plain.get(self.given..).unwrap_or_default();
        let count = waiting.len().min(out.len());
        if let (Some(target), Some(source)) = (out.get_mut(..count), waiting.get(..count)) {
            target.copy_from_slice(source);
        }
        self.given += count;
        Ok(count)
    }
}

/// Appends a copy of `len` bytes from `distance` back; the two may overlap.
pub(super) fn copy_back(
    out: &mut Vec<u8>,
    distance: usize,
    len: usize,
    len_max: usize,
) -> Result<(), CodecError> {
    if distance == 0 || distance > out.len() || len > len_max.saturating_sub(out.len()) {
        return Err(broken("copy in a block"));
    }
    let start = out.len() - distance;
    if distance >= len {
        out.extend_from_within(start..start + len);
        return Ok(());
    }
    for index in start..start + len {
        let byte = out.get(index).copied().unwrap_or_default();
        out.push(byte);
    }
    Ok(())
}

/// Appends what an LZ4 block holds (LZ4 Block Format), up to a length of `len_max` in all.
fn unpack_lz4(mut block: &[u8], out: &mut Vec<u8>, len_max: usize) -> Result<(), CodecError> {
    const WHAT: &str = "LZ4 block";
    while let Some((&token, rest)) = block.split_first() {
        block = rest;
        let literals = long(&mut block, usize::from(token >> 4))?;
        let (now, later) = block.split_at_checked(literals).ok_or(CodecError::Short { what: WHAT })?;
        if literals > len_max.saturating_sub(out.len()) {
            return Err(broken(WHAT));
        }
        out.extend_from_slice(now);
        block = later;
        if block.is_empty() {
            return Ok(());
        }
        let (&distance, rest) = block.split_first_chunk::<2>().ok_or(CodecError::Short { what: WHAT })?;
        block = rest;
        let len = long(&mut block, usize::from(token & 15))?.saturating_add(4);
        copy_back(out, u16::from_le_bytes(distance).into(), len, len_max)?;
    }
    Err(CodecError::Short { what: WHAT })
}

/// A length of 15 goes on in further bytes, as long as they are 255.
fn long(block: &mut &[u8], mut value: usize) -> Result<usize, CodecError> {
    if value < 15 {
        return Ok(value);
    }
    loop {
        let (&byte, rest) = block.split_first().ok_or(CodecError::Short { what: "LZ4 block" })?;
        *block = rest;
        value = value.saturating_add(byte.into());
        if byte != 255 {
            return Ok(value);
        }
    }
}
