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
/// The most bytes that are told for the end of a block: some hundredths of the smallest cluster of EROFS, 4 KiB.
const TAIL_BYTES_MAX: u16 = 128;

/// How a block, frame or file was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recipe {
    /// A bare block. Level 0 is the quick search.
    Block { level: u8, tail: Option<Tail> },
    /// A frame.
    Frame { level: u8, shape: Shape },
    /// The old format.
    Legacy { level: u8 },
}

/// How a block ends, when it was made to fill a given space (EROFS): its packer saw more input than it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tail {
    /// How many zeros stood in for the input that the packer saw and did not take: as many as make the library use
    /// its table for long input, or none.
    zeros: Zeros,
    /// How many packed bytes are the encoder's.
    keep: u32,
    /// What follows them.
    bytes: Vec<u8>,
}

/// What follows the plain bytes while they are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zeros {
    None,
    /// [`LONG_INPUT_BYTES`] of them.
    Long,
}

/// From this length on the quick search uses another table (and hash).
const LONG_INPUT_BYTES: usize = 64 * 1024 + 11;

/// What a frame says in its head: in the low three bits the block code, 4 to 7 for 64 KiB to 4 MiB, and flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape(u8);

const BLOCK_CODE: u8 = 7;
const LINKED: u8 = 8;
const BLOCK_SUMS: u8 = 16;
const CONTENT_SUM: u8 = 32;
const SIZED: u8 = 64;

impl Shape {
    fn from_byte(byte: u8) -> Option<Self> {
        ((4..=7).contains(&(byte & BLOCK_CODE)) && byte < 128).then_some(Self(byte))
    }

    /// Reads the head of a frame ("Frame Descriptor").
    pub(super) fn read(packed: &[u8]) -> Option<Self> {
        let [flags, block, ..] = *packed.strip_prefix(&FRAME_MAGIC)? else { return None };
        // Version 1, no dictionary, reserved bits.
        if flags & 0b1100_0011 != 0b0100_0000 || block & 0b1000_1111 != 0 {
            return None;
        }
        let flag = |set, flag| if set { flag } else { 0 };
        let sums = flag(flags & 0x10 != 0, BLOCK_SUMS) | flag(flags & 4 != 0, CONTENT_SUM);
        let rest = flag(flags & 0x20 == 0, LINKED) | flag(flags & 8 != 0, SIZED);
        Self::from_byte((block >> 4) | sums | rest)
    }

    const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    /// Bytes of the head: magic, two flag bytes, perhaps a length, a check byte.
    pub(super) fn head_len(self) -> usize {
        if self.has(SIZED) { 15 } else { 7 }
    }

    /// The largest block, in plain bytes.
    pub(super) fn block_len(self) -> usize {
        1 << (2 * u32::from(self.0 & BLOCK_CODE) + 8)
    }

    /// Whether blocks refer to those before them.
    pub(super) fn is_linked(self) -> bool {
        self.has(LINKED)
    }

    /// Bytes behind each block.
    pub(super) fn block_sum_len(self) -> usize {
        if self.has(BLOCK_SUMS) { 4 } else { 0 }
    }
}

impl Recipe {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Block { level, tail: None } => out.extend_from_slice(&[0, *level]),
            Self::Block { level, tail: Some(tail) } => {
                out.extend_from_slice(&[if tail.zeros == Zeros::None { 1 } else { 4 }, *level]);
                wire::put_number(out, tail.keep.into());
                wire::put_bytes(out, &tail.bytes);
            }
            Self::Frame { level, shape } => out.extend_from_slice(&[2, *level, shape.0]),
            Self::Legacy { level } => out.extend_from_slice(&[3, *level]),
        }
    }

    pub(super) fn read(input: &mut &[u8]) -> Result<Self, CodecError> {
        let kind = wire::byte_to(input, "LZ4 kind", 4)?;
        let level = wire::byte_to(input, "LZ4 level", LEVEL_MAX)?;
        Ok(match kind {
            0 => Self::Block { level, tail: None },
            1 | 4 => {
                let zeros = if kind == 1 { Zeros::None } else { Zeros::Long };
                let keep = wire::number(input, "LZ4 tail", HELD_BYTES_MAX)?;
                let keep = u32::try_from(keep).unwrap_or_default();
                let bytes = wire::bytes(input, "LZ4 tail", TAIL_BYTES_MAX)?;
                Self::Block { level, tail: Some(Tail { zeros, keep, bytes }) }
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

fn pack_followed(level: u8, plain: &[u8], zeros: Zeros) -> Result<Vec<u8>, CodecError> {
    match zeros {
        Zeros::None => pack_block(level, plain),
        Zeros::Long => {
            let mut longer = plain.to_vec();
            longer.resize(plain.len().saturating_add(LONG_INPUT_BYTES), 0);
            pack_block(level, &longer)
        }
    }
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
        let mut packed = pack_followed(
            self.level,
            &self.plain,
            self.tail.as_ref().map_or(Zeros::None, |tail| tail.zeros),
        )?;
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
            .block_size(match shape.0 & BLOCK_CODE {
                4 => BlockSize::Max64KB,
                5 => BlockSize::Max256KB,
                6 => BlockSize::Max1MB,
                _ => BlockSize::Max4MB,
            })
            .block_mode(if shape.is_linked() { BlockMode::Linked } else { BlockMode::Independent })
            .block_checksum(if shape.has(BLOCK_SUMS) {
                BlockChecksum::BlockChecksumEnabled
            } else {
                BlockChecksum::NoBlockChecksum
            })
            .checksum(if shape.has(CONTENT_SUM) {
                ContentChecksum::ChecksumEnabled
            } else {
                ContentChecksum::NoChecksum
            })
            .content_size(if shape.has(SIZED) { plain_len } else { 0 });
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
    let long = level < HARD_LEVEL_MIN && plain.len() < LONG_INPUT_BYTES;
    let ways: &[Zeros] = if long { &[Zeros::Long, Zeros::None] } else { &[Zeros::None] };
    ways.iter().find_map(|&zeros| {
        let made = pack_followed(level, plain, zeros).ok()?;
        let keep = made.iter().zip(packed).take_while(|(a, b)| a == b).count();
        let bytes = packed.get(keep..).filter(|bytes| bytes.len() <= usize::from(TAIL_BYTES_MAX))?.to_vec();
        Some(Recipe::Block { level, tail: Some(Tail { zeros, keep: u32::try_from(keep).ok()?, bytes }) })
    })
}
