//! How the blocks of a squashfs are packed.
//!
//! In: a packed block. Out: its content. Refuses what no codec makes sense of. Vendors put LZMA of their own into images
//! whose superblock says gzip, or says nothing: what a block is packed with is tried, and remembered.

use std::cell::Cell;
use std::io::Read;

use crate::decode::lz4::{self, Rest};
use crate::decode::lzma::{self, HEADERS, Header};
use crate::decode::lzo;

/// Most memory for an xz block: dictionaries of squashfs are no larger than blocks.
const XZ_BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Lzma,
    Lzo,
    Xz,
    Lz4,
    Zstd,
    /// Versions before 4 do not say; the tools pack with zlib, vendors with LZMA.
    Guess,
}

impl Codec {
    /// `SQUASHFS_ZLIB` and the others.
    pub(super) fn of_number(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Gzip,
            2 => Self::Lzma,
            3 => Self::Lzo,
            4 => Self::Xz,
            5 => Self::Lz4,
            6 => Self::Zstd,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Lzma => "lzma",
            Self::Lzo => "lzo",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::Guess => "zlib or lzma",
        }
    }
}

/// Unpacks blocks; remembers what worked.
pub(super) struct Unpacker {
    codec: Codec,
    worked: Cell<Option<Attempt>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Zlib,
    Xz,
    Lzma(Header),
    Lzo,
    Lz4,
    Zstd,
}

impl Unpacker {
    pub(super) fn new(codec: Codec) -> Self {
        Self { codec, worked: Cell::new(None) }
    }

    /// Unpacks a block of at most `most` bytes.
    pub(super) fn unpack(&self, block: &[u8], most: usize) -> Option<Vec<u8>> {
        let lzma = HEADERS.iter().map(|header| Attempt::Lzma(*header));
        let named = match self.codec {
            Codec::Gzip | Codec::Guess => Attempt::Zlib,
            Codec::Xz => Attempt::Xz,
            Codec::Lzo => Attempt::Lzo,
            Codec::Lz4 => Attempt::Lz4,
            Codec::Zstd => Attempt::Zstd,
            Codec::Lzma => Attempt::Lzma(Header::Alone),
        };
        let worked = self.worked.get();
        let others: Vec<Attempt> = match self.codec {
            Codec::Gzip | Codec::Guess | Codec::Lzma | Codec::Xz => {
                std::iter::once(Attempt::Xz).chain(lzma).collect()
            }
            Codec::Lzo | Codec::Lz4 | Codec::Zstd => Vec::new(),
        };
        let attempts = worked.into_iter().chain(std::iter::once(named)).chain(others);
        for attempt in attempts {
            if let Some(out) = attempt.run(block, most) {
                self.worked.set(Some(attempt));
                return Some(out);
            }
        }
        None
    }
}

impl Attempt {
    fn run(self, block: &[u8], most: usize) -> Option<Vec<u8>> {
        let read = |reader: &mut dyn Read| {
            let mut out = Vec::new();
            reader.take(most as u64 + 1).read_to_end(&mut out).ok()?;
            (out.len() <= most).then_some(out)
        };
        match self {
            Self::Zlib => read(&mut flate2::bufread::ZlibDecoder::new(block)),
            Self::Xz if !block.starts_with(b"\xfd7zXZ") => None,
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_BYTES_MAX, 0).ok()?;
                read(&mut liblzma::bufread::XzDecoder::new_stream(block, stream))
            }
            Self::Lzma(header) => lzma::unpack(header, block, most).ok(),
            Self::Lzo => {
                let mut out = Vec::new();
                lzo::unpack(block, &mut out, most).ok().map(|()| out)
            }
            Self::Lz4 => {
                let mut out = Vec::new();
                lz4::unpack_some(block, &mut out, most, Rest::Forbidden).ok().map(|()| out)
            }
            Self::Zstd => zstd::bulk::decompress(block, most).ok(),
        }
    }
}
