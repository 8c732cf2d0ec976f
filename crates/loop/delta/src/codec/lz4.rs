//! LZ4 as liblz4 1.10 packs it: bare blocks, frames, and the old format of kernels.
//!
//! In: plain bytes. Out: a block, frame or file. Refuses: blocks above a named size.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use lz4::block::{CompressionMode, compress};
use lz4::liblz4::{BlockChecksum, BlockMode, BlockSize, ContentChecksum};
use lz4::{Encoder, EncoderBuilder};

use crate::codec::wire;
use crate::codec::{CodecError, HELD_BYTES_MAX, Pack};

/// How a frame begins (LZ4 Frame Format, "General Structure of LZ4 Frame format").
pub(super) const FRAME_MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();
/// How a file in the old format begins ("Legacy frame").
pub(super) const LEGACY_MAGIC: [u8; 4] = 0x184C_2102_u32.to_le_bytes();
/// The old format packs this much plain at a time.
pub(super) const LEGACY_BLOCK_BYTES: usize = 8 << 20;
/// The highest level of the library.
const LEVEL_MAX: u8 = 12;
/// From this level on the library searches hard.
const HARD_LEVEL_MIN: u8 = 2;
/// The most bytes that are told for the end of a block.
const TAIL_BYTES_MAX: u16 = 64;

/// How a block, frame or file was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recipe {
    /// A bare block. Level 0 is the quick search.
    Block { level: u8, tail: Option<Tail> },
    /// A frame.
    Frame { level: u8, shape: Shape },
    /// The old format.
    Legacy { level: u8 },
}

/// How a block ends, when it was made to fill a given space (EROFS): its packer saw more input than it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tail {
    /// How many packed bytes are the encoder's.
    keep: u32,
    /// What follows them.
    bytes: Vec<u8>,
}

/// What a frame says in its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of the format")]
pub(crate) struct Shape {
    /// 4 to 7: 64 KiB to 4 MiB.
    block_code: u8,
    linked: bool,
    block_sums: bool,
    content_sum: bool,
    sized: bool,
}

const LINKED: u8 = 8;
const BLOCK_SUMS: u8 = 16;
const CONTENT_SUM: u8 = 32;
const SIZED: u8 = 64;

impl Shape {
    fn byte(self) -> u8 {
        let flag = |set, flag| if set { flag } else { 0 };
        let sums = flag(self.block_sums, BLOCK_SUMS) | flag(self.content_sum, CONTENT_SUM);
        self.block_code | flag(self.linked, LINKED) | sums | flag(self.sized, SIZED)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        let has = |flag| byte & flag != 0;
        let block_code = byte & 7;
        ((4..=7).contains(&block_code) && byte < 128).then_some(Self {
            block_code,
            linked: has(LINKED),
            block_sums: has(BLOCK_SUMS),
            content_sum: has(CONTENT_SUM),
            sized: has(SIZED),
        })
    }

    /// Reads the head of a frame ("Frame Descriptor").
    pub(super) fn read(packed: &[u8]) -> Option<Self> {
        let [flags, block, ..] = *packed.strip_prefix(&FRAME_MAGIC)? else { return None };
        // Version 1, no dictionary, reserved bits.
        if flags & 0b1100_0011 != 0b0100_0000 || block & 0b1000_1111 != 0 {
            return None;
        }
        let block_code = block >> 4;
        (4..=7).contains(&block_code).then_some(Self {
            block_code,
            linked: flags & 0x20 == 0,
            block_sums: flags & 0x10 != 0,
            content_sum: flags & 4 != 0,
            sized: flags & 8 != 0,
        })
    }

    /// Bytes of the head: magic, two flag bytes, perhaps a length, a check byte.
    pub(super) fn head_len(self) -> usize {
        if self.sized { 15 } else { 7 }
    }

    /// The largest block, in plain bytes.
    pub(super) fn block_len(self) -> usize {
        1 << (2 * u32::from(self.block_code) + 8)
    }

    /// Whether blocks refer to those before them.
    pub(super) fn is_linked(self) -> bool {
        self.linked
    }

    /// Bytes behind each block.
    pub(super) fn block_sum_len(self) -> usize {
        if self.block_sums { 4 } else { 0 }
    }
}

impl Recipe {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Block { level, tail: None } => out.extend_from_slice(&[0, *level]),
            Self::Block { level, tail: Some(tail) } => {
                out.extend_from_slice(&[1, *level]);
                wire::put_number(out, tail.keep.into());
                wire::put_bytes(out, &tail.bytes);
            }
            Self::Frame { level, shape } => out.extend_from_slice(&[2, *level, shape.byte()]),
            Self::Legacy { level } => out.extend_from_slice(&[3, *level]),
        }
    }

    pub(super) fn read(input: &mut &[u8]) -> Result<Self, CodecError> {
        let kind = wire::byte_to(input, "LZ4 kind", 3)?;
        let level = wire::byte_to(input, "LZ4 level", LEVEL_MAX)?;
        Ok(match kind {
            0 => Self::Block { level, tail: None },
            1 => {
                let keep = wire::number(input, "LZ4 tail", HELD_BYTES_MAX)?;
                let keep = u32::try_from(keep).unwrap_or_default();
                let bytes = wire::bytes(input, "LZ4 tail", TAIL_BYTES_MAX)?;
                Self::Block { level, tail: Some(Tail { keep, bytes }) }
            }
            2 => {
                let shape = Shape::from_byte(wire::byte(input, "LZ4 frame")?);
                Self::Frame { level, shape: shape.ok_or(CodecError::Malformed { what: "LZ4 frame" })? }
            }
            _ => Self::Legacy { level },
        })
    }

    pub(super) fn level(&self) -> u8 {
        match self {
            Self::Block { level, .. } | Self::Frame { level, .. } | Self::Legacy { level } => *level,
        }
    }

    /// A block plain and packed, and the tables.
    pub(super) fn memory(&self, plain_len: u64) -> u64 {
        let block = match self {
            Self::Block { .. } => plain_len,
            Self::Frame { shape, .. } => (shape.block_len() as u64).saturating_mul(2),
            Self::Legacy { .. } => LEGACY_BLOCK_BYTES as u64,
        };
        block.saturating_mul(2).saturating_add(512 << 10)
    }

    pub(super) fn packer(&self, plain_len: u64) -> Result<Box<dyn Pack>, CodecError> {
        let blocks = |level, block_len| BlockPacker {
            level,
            block_len,
            plain: Vec::new(),
            tail: None,
            started: false,
        };
        match self {
            Self::Block { level, tail } => {
                if plain_len > HELD_BYTES_MAX {
                    return Err(CodecError::TooLong {
                        what: "LZ4 block",
                        len: plain_len,
                        max: HELD_BYTES_MAX,
                    });
                }
                Ok(Box::new(BlockPacker { tail: tail.clone(), ..blocks(*level, None) }))
            }
            Self::Frame { level, shape } => {
                FramePacker::new(*level, *shape, plain_len).map(|one| Box::new(one) as _)
            }
            Self::Legacy { level } => Ok(Box::new(blocks(*level, Some(LEGACY_BLOCK_BYTES)))),
        }
    }
}

fn library(source: &io::Error) -> CodecError {
    CodecError::Library { library: "liblz4", text: source.to_string() }
}

fn pack_block(level: u8, plain: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mode = if level < HARD_LEVEL_MIN {
        CompressionMode::DEFAULT
    } else {
        CompressionMode::HIGHCOMPRESSION(level.into())
    };
    compress(plain, Some(mode), false).map_err(|source| library(&source))
}

/// One bare block, or the old format with its blocks of a fixed length.
struct BlockPacker {
    level: u8,
    block_len: Option<usize>,
    plain: Vec<u8>,
    tail: Option<Tail>,
    started: bool,
}

impl BlockPacker {
    fn end_legacy_block(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let packed = pack_block(self.level, &self.plain)?;
        let len = u32::try_from(packed.len()).map_err(|_| CodecError::Malformed { what: "LZ4 block" })?;
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&packed);
        self.plain.clear();
        Ok(())
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started && self.block_len.is_some() {
            out.extend_from_slice(&LEGACY_MAGIC);
        }
        self.started = true;
    }
}

impl Pack for BlockPacker {
    fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.start(out);
        let Some(block_len) = self.block_len else {
            let len = self.plain.len().saturating_add(plain.len()) as u64;
            if len > HELD_BYTES_MAX {
                return Err(CodecError::TooLong { what: "LZ4 block", len, max: HELD_BYTES_MAX });
            }
            self.plain.extend_from_slice(plain);
            return Ok(());
        };
        while !plain.is_empty() {
            let room = block_len.saturating_sub(self.plain.len()).min(plain.len());
            let (now, later) = plain.split_at(room);
            self.plain.extend_from_slice(now);
            plain = later;
            if self.plain.len() == block_len {
                self.end_legacy_block(out)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.start(out);
        if self.block_len.is_some() {
            return if self.plain.is_empty() { Ok(()) } else { self.end_legacy_block(out) };
        }
        let mut packed = pack_block(self.level, &self.plain)?;
        if let Some(tail) = &self.tail {
            packed.truncate(usize::try_from(tail.keep).unwrap_or(usize::MAX));
            packed.extend_from_slice(&tail.bytes);
        }
        out.append(&mut packed);
        Ok(())
    }
}

/// Where the library's frame writer leaves its bytes.
#[derive(Debug, Clone, Default)]
struct Drain(Rc<RefCell<Vec<u8>>>);

impl Drain {
    fn take(&self, out: &mut Vec<u8>) {
        out.append(&mut self.0.borrow_mut());
    }
}

impl Write for Drain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct FramePacker {
    drain: Drain,
    /// None once the frame has ended.
    encoder: Option<Encoder<Drain>>,
}

impl FramePacker {
    fn new(level: u8, shape: Shape, plain_len: u64) -> Result<Self, CodecError> {
        let drain = Drain::default();
        let mut builder = EncoderBuilder::new();
        builder
            .level(level.into())
            .block_size(match shape.block_code {
                4 => BlockSize::Max64KB,
                5 => BlockSize::Max256KB,
                6 => BlockSize::Max1MB,
                _ => BlockSize::Max4MB,
            })
            .block_mode(if shape.linked { BlockMode::Linked } else { BlockMode::Independent })
            .block_checksum(if shape.block_sums {
                BlockChecksum::BlockChecksumEnabled
            } else {
                BlockChecksum::NoBlockChecksum
            })
            .checksum(if shape.content_sum {
                ContentChecksum::ChecksumEnabled
            } else {
                ContentChecksum::NoChecksum
            })
            .content_size(if shape.sized { plain_len } else { 0 });
        let encoder = builder.build(drain.clone()).map_err(|source| library(&source))?;
        Ok(Self { drain, encoder: Some(encoder) })
    }
}

impl Pack for FramePacker {
    fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        if let Some(encoder) = &mut self.encoder {
            encoder.write_all(plain).map_err(|source| library(&source))?;
        }
        self.drain.take(out);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        if let Some(encoder) = self.encoder.take() {
            let (_, ended) = encoder.finish();
            ended.map_err(|source| library(&source))?;
        }
        self.drain.take(out);
        Ok(())
    }
}

/// The recipes that may have made a bare block, the likeliest first: both searches of mksquashfs, then the others.
pub(super) fn block_candidates() -> Vec<Recipe> {
    [0, 12, 9, 11, 10, 8, 7, 6, 5, 4, 3]
        .into_iter()
        .map(|level| Recipe::Block { level, tail: None })
        .collect()
}

/// The recipes that may have made a frame.
pub(super) fn frame_candidates(packed: &[u8]) -> Vec<Recipe> {
    let Some(shape) = Shape::read(packed) else { return Vec::new() };
    [0, 9, 12, 3, 4, 5, 6, 7, 8, 10, 11, 2].into_iter().map(|level| Recipe::Frame { level, shape }).collect()
}

/// The recipes that may have made a file in the old format: the kernel's level first.
pub(super) fn legacy_candidates() -> Vec<Recipe> {
    [9, 0, 12, 3, 4, 5, 6, 7, 8, 10, 11, 2].into_iter().map(|level| Recipe::Legacy { level }).collect()
}

/// The recipe for a block that an encoder made but for its end, if that is short.
pub(super) fn with_tail(level: u8, plain: &[u8], packed: &[u8]) -> Option<Recipe> {
    let made = pack_block(level, plain).ok()?;
    let keep = made.iter().zip(packed).take_while(|(a, b)| a == b).count();
    let bytes = packed.get(keep..).filter(|bytes| bytes.len() <= usize::from(TAIL_BYTES_MAX))?.to_vec();
    Some(Recipe::Block { level, tail: Some(Tail { keep: u32::try_from(keep).ok()?, bytes }) })
}
