//! DEFLATE streams, bare or in zlib or gzip clothes, packed as zlib and GNU gzip pack them.
//!
//! In: plain bytes. Out: the stream with its head and trailer. Refuses: settings that neither encoder has. The encoder
//! is our own, bit for bit like zlib 1.2.0 to 1.3 and GNU gzip 1.3 to 1.14; `engine` holds the search, `blocks` and
//! `codes` the writing.

mod bits;
mod blocks;
mod codes;
mod engine;

use crate::codec::sums::{Adler32, Crc32};
use crate::codec::wire;
use crate::codec::{CodecError, Hint, Pack};
use engine::Engine;

/// The longest gzip head that is carried: a file name or a comment; longer ones are not worth their bytes.
const HEAD_BYTES_MAX: u16 = 1024;

/// Whose bytes are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    Zlib,
    Gnu,
}

/// The strategies of zlib; GNU gzip has the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    Default,
    Filtered,
    HuffmanOnly,
    RunLength,
    Fixed,
}

const STRATEGIES: [Strategy; 5] =
    [Strategy::Default, Strategy::Filtered, Strategy::HuffmanOnly, Strategy::RunLength, Strategy::Fixed];

/// What decides the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tuning {
    pub(super) flavour: Flavour,
    pub(super) strategy: Strategy,
    /// 1 to 9.
    pub(super) level: u8,
    /// 9 to 15.
    pub(super) window_bits: u8,
    /// 1 to 9: the size of hash table and blocks.
    pub(super) memory_level: u8,
}

impl Tuning {
    /// The tuning in few bytes; none is zero, which the other encoders leave free.
    pub(super) fn bytes(self) -> [u8; 4] {
        let strategy =
            STRATEGIES.iter().zip(0_u8..).find(|(one, _)| **one == self.strategy).map_or(0, |(_, i)| i);
        let flavour = match self.flavour {
            Flavour::Zlib => strategy,
            Flavour::Gnu => GNU,
        };
        [flavour, self.level, self.window_bits, self.memory_level]
    }
}

/// What is around the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Clothes {
    /// Nothing.
    Bare,
    /// Two bytes before (RFC 1950), Adler-32 behind.
    Zlib([u8; 2]),
    /// A head (RFC 1952), CRC-32 and length behind.
    Gzip(Vec<u8>),
}

/// How a stream was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) clothes: Clothes,
    pub(super) tuning: Tuning,
}

impl Recipe {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tuning.bytes());
        match &self.clothes {
            Clothes::Bare => out.push(0),
            Clothes::Zlib(head) => {
                out.push(1);
                out.extend_from_slice(head);
            }
            Clothes::Gzip(head) => {
                out.push(2);
                wire::put_bytes(out, head);
            }
        }
    }

    pub(super) fn read(input: &mut &[u8]) -> Result<Self, CodecError> {
        let kind = wire::byte_to(input, "DEFLATE strategy", GNU)?;
        let (flavour, strategy) = match STRATEGIES.get(usize::from(kind)) {
            Some(&strategy) => (Flavour::Zlib, strategy),
            None => (Flavour::Gnu, Strategy::Default),
        };
        let level = wire::byte_from_to(input, "DEFLATE level", 1, 9)?;
        let window_bits = wire::byte_from_to(input, "DEFLATE window bits", 9, 15)?;
        let memory_level = wire::byte_from_to(input, "DEFLATE memory level", 1, 9)?;
        if flavour == Flavour::Gnu && (window_bits, memory_level) != (15, 8) {
            return Err(CodecError::Malformed { what: "DEFLATE tuning" });
        }
        let clothes = match wire::byte_to(input, "DEFLATE clothes", 2)? {
            0 => Clothes::Bare,
            1 => Clothes::Zlib([wire::byte(input, "zlib head")?, wire::byte(input, "zlib head")?]),
            _ => Clothes::Gzip(wire::bytes(input, "gzip head", HEAD_BYTES_MAX)?),
        };
        Ok(Self { clothes, tuning: Tuning { flavour, strategy, level, window_bits, memory_level } })
    }

    /// Windows, tables, and the symbols of a block.
    pub(super) fn memory(&self) -> u64 {
        let window = 1_u64 << self.tuning.window_bits;
        let hash = 1_u64 << (self.tuning.memory_level + 7);
        // Window twice, waiting input thrice, chains in 2 bytes; heads in 2 bytes; symbols in 4 bytes, 2^15 at most.
        window * 7 + hash * 2 + (1 << 17) + (1 << 14)
    }

    pub(super) fn packer(&self) -> Box<dyn Pack> {
        Box::new(Packer {
            clothes: self.clothes.clone(),
            tuning: self.tuning,
            engine: None,
            adler: Adler32::new(),
            crc: Crc32::new(),
            len: 0,
        })
    }
}

/// Stands where zlib's strategies stand.
const GNU: u8 = 5;

struct Packer {
    clothes: Clothes,
    tuning: Tuning,
    engine: Option<Engine>,
    adler: Adler32,
    crc: Crc32,
    /// Modulo 2^32, as in the trailer.
    len: u32,
}

impl Packer {
    fn engine(&mut self, out: &mut Vec<u8>) -> &mut Engine {
        let (clothes, tuning) = (&self.clothes, self.tuning);
        self.engine.get_or_insert_with(|| {
            match clothes {
                Clothes::Bare => {}
                Clothes::Zlib(head) => out.extend_from_slice(head),
                Clothes::Gzip(head) => out.extend_from_slice(head),
            }
            Engine::new(tuning)
        })
    }
}

impl Pack for Packer {
    fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        match self.clothes {
            Clothes::Bare => {}
            Clothes::Zlib(_) => self.adler.add(plain),
            Clothes::Gzip(_) => {
                self.crc.add(plain);
                let [a, b, c, d, ..] = plain.len().to_le_bytes();
                self.len = self.len.wrapping_add(u32::from_le_bytes([a, b, c, d]));
            }
        }
        self.engine(out).push(plain, out);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.engine(out).finish(out);
        match self.clothes {
            Clothes::Bare => {}
            Clothes::Zlib(_) => out.extend_from_slice(&self.adler.value().to_be_bytes()),
            Clothes::Gzip(_) => {
                out.extend_from_slice(&self.crc.value().to_le_bytes());
                out.extend_from_slice(&self.len.to_le_bytes());
            }
        }
        Ok(())
    }
}

/// The recipes that may have made these bytes, the likeliest first.
pub(super) fn candidates(hint: Hint, packed: &[u8]) -> Vec<Recipe> {
    match hint {
        Hint::Zlib => zlib_candidates(packed),
        Hint::Gzip => gzip_candidates(packed),
        _ => {
            let zlib = [9, 6].into_iter().flat_map(|level| [(level, 15, 8), (level, 11, 8), (level, 15, 9)]);
            let rest = [8, 7, 5, 4, 3, 2, 1].into_iter().map(|level| (level, 15, 8));
            let gnu = [9, 6].into_iter().map(|level| recipe(Clothes::Bare, gnu(level)));
            zlib.chain(rest).map(|(l, w, m)| recipe(Clothes::Bare, zlib_tuning(l, w, m))).chain(gnu).collect()
        }
    }
}

fn recipe(clothes: Clothes, tuning: Tuning) -> Recipe {
    Recipe { clothes, tuning }
}

fn gnu(level: u8) -> Tuning {
    Tuning { flavour: Flavour::Gnu, strategy: Strategy::Default, level, window_bits: 15, memory_level: 8 }
}

fn zlib_tuning(level: u8, window_bits: u8, memory_level: u8) -> Tuning {
    Tuning { flavour: Flavour::Zlib, strategy: Strategy::Default, level, window_bits, memory_level }
}

/// The head of a zlib stream tells the window and one of four groups of levels (RFC 1950 section 2.2).
fn zlib_candidates(packed: &[u8]) -> Vec<Recipe> {
    let Some(&head) = packed.first_chunk::<2>() else { return Vec::new() };
    let [method, flags] = head;
    let window_bits = ((method >> 4) + 8).clamp(9, 15);
    let levels: &[u8] = match flags >> 6 {
        0 => &[1],
        1 => &[5, 4, 3, 2],
        2 => &[6],
        _ => &[9, 8, 7],
    };
    let mut found = Vec::new();
    for memory_level in [8, 9] {
        for &level in levels {
            found.push(recipe(Clothes::Zlib(head), zlib_tuning(level, window_bits, memory_level)));
        }
    }
    // The last three strategies say "level 1" in the head, whatever the level is; the first two of them have none.
    let strategies: &[(Strategy, u8)] = match flags >> 6 {
        0 => &[
            (Strategy::Filtered, 1),
            (Strategy::HuffmanOnly, 1),
            (Strategy::RunLength, 1),
            (Strategy::Fixed, 9),
            (Strategy::Fixed, 6),
        ],
        1 => &[(Strategy::Filtered, 5)],
        2 => &[(Strategy::Filtered, 6)],
        _ => &[(Strategy::Filtered, 9)],
    };
    for &(strategy, level) in strategies {
        let tuning = Tuning { strategy, ..zlib_tuning(level, window_bits, 8) };
        found.push(recipe(Clothes::Zlib(head), tuning));
    }
    found
}

/// The ninth byte of a gzip member tells the slowest and the quickest level (RFC 1952 section 2.3.1).
fn gzip_candidates(packed: &[u8]) -> Vec<Recipe> {
    let Some(head) = gzip_head(packed) else { return Vec::new() };
    if head.len() > usize::from(HEAD_BYTES_MAX) {
        return Vec::new();
    }
    let (sure, others): (&[u8], &[u8]) = match head.get(8) {
        Some(2) => (&[9], &[8, 7, 6]),
        Some(4) => (&[1], &[2, 3]),
        _ => (&[6, 9, 8, 7, 5, 4, 3, 2], &[1]),
    };
    let mut tunings = Vec::new();
    for levels in [sure, others] {
        tunings.extend(levels.iter().map(|&level| gnu(level)));
        tunings.extend(levels.iter().map(|&level| zlib_tuning(level, 15, 8)));
    }
    tunings.extend(sure.iter().take(2).map(|&level| zlib_tuning(level, 15, 9)));
    tunings.into_iter().map(|tuning| recipe(Clothes::Gzip(head.to_vec()), tuning)).collect()
}

/// Bits of the flags byte (RFC 1952 section 2.3.1).
const HAS_CRC: u8 = 2;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;

/// The head of a gzip member, if it is there in full.
pub(super) fn gzip_head(packed: &[u8]) -> Option<&[u8]> {
    let fixed = packed.first_chunk::<10>()?;
    let [0x1F, 0x8B, 8, flags, ..] = *fixed else { return None };
    let mut len = fixed.len();
    if flags & HAS_EXTRA != 0 {
        let extra = packed.get(len..)?.first_chunk::<2>()?;
        len = len.checked_add(2)?.checked_add(usize::from(u16::from_le_bytes(*extra)))?;
    }
    for flag in [HAS_NAME, HAS_COMMENT] {
        if flags & flag != 0 {
            let end = packed.get(len..)?.iter().position(|&byte| byte == 0)?;
            len = len.checked_add(end)?.checked_add(1)?;
        }
    }
    if flags & HAS_CRC != 0 {
        len = len.checked_add(2)?;
    }
    packed.get(..len)
}

/// The value at a place, or zero outside.
fn at<T: Copy + Default>(values: &[T], index: usize) -> T {
    values.get(index).copied().unwrap_or_default()
}
