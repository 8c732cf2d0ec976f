//! lz4 frames (lz4 frame format 1.6), and the old frames of kernels.
//!
//! In: a stream. Out: a block at a time, at most 8 MiB. Refuses block sizes that do not exist, and dictionaries.

use std::io;

use super::{Blocks, Packed};
use crate::bytes::Endian;
use crate::decode::lz4;

/// Bytes that a block may refer back to.
const WINDOW_BYTES: usize = 64 * 1024;

/// The size of a block of an old frame.
const OLD_BLOCK_BYTES: usize = 8 << 20;

#[derive(Default)]
pub(super) struct Lz4 {
    frame: Option<Frame>,
    window: Vec<u8>,
}

#[expect(clippy::struct_excessive_bools, reason = "they are the flags of the format")]
struct Frame {
    is_old: bool,
    is_linked: bool,
    has_block_sums: bool,
    has_sum: bool,
    block_bytes_max: usize,
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Frame {
    fn read(packed: &mut Packed<'_>) -> io::Result<Self> {
        if packed.array()? == *b"\x02\x21\x4c\x18" {
            let block_bytes_max = OLD_BLOCK_BYTES;
            return Ok(Self {
                is_old: true,
                is_linked: false,
                has_block_sums: false,
                has_sum: false,
                block_bytes_max,
            });
        }
        let [flags, size] = packed.array()?;
        let has = |bit: u8| flags >> bit & 1 == 1;
        if flags >> 6 != 1 || has(0) {
            return Err(damaged("a frame has another version, or a dictionary"));
        }
        let log = match size >> 4 & 7 {
            log @ 4..=7 => 8 + 2 * u32::from(log),
            _ => return Err(damaged("a frame has no block size")),
        };
        if has(3) {
            packed.array::<8>()?;
        }
        packed.byte()?;
        Ok(Self {
            is_old: false,
            is_linked: !has(5),
            has_block_sums: has(4),
            has_sum: has(2),
            block_bytes_max: 1 << log,
        })
    }
}

impl Blocks for Lz4 {
    fn next(&mut self, packed: &mut Packed<'_>, block: &mut Vec<u8>) -> io::Result<bool> {
        let frame = match &mut self.frame {
            Some(frame) => frame,
            empty @ None => empty.insert(Frame::read(packed)?),
        };
        if frame.is_old && io::BufRead::fill_buf(packed)?.is_empty() {
            return Ok(false);
        }
        let word = packed.u32(Endian::Little)?;
        if !frame.is_old && word == 0 {
            if frame.has_sum {
                packed.array::<4>()?;
            }
            return Ok(false);
        }
        let is_stored = !frame.is_old && word >> 31 == 1;
        let size = if frame.is_old { word } else { word & 0x7fff_ffff };
        if size as usize > lz4::packed_bytes_max(frame.block_bytes_max) {
            // Behind the last block of an old frame there may be anything: a kernel's size, for instance.
            return if frame.is_old { Ok(false) } else { Err(damaged("a block is too long")) };
        }
        let bytes = packed.vec(size)?;
        if frame.has_block_sums {
            packed.array::<4>()?;
        }
        block.clear();
        block.extend_from_slice(&self.window);
        let kept = block.len();
        if is_stored {
            block.extend_from_slice(&bytes);
        } else {
            lz4::unpack(&bytes, block, kept + frame.block_bytes_max).map_err(damaged)?;
        }
        if frame.is_linked {
            let from = block.len().saturating_sub(WINDOW_BYTES);
            self.window = block.get(from..).unwrap_or_default().to_vec();
        }
        block.drain(..kept);
        // An empty block is no end.
        if block.is_empty() { self.next(packed, block) } else { Ok(true) }
    }
}
