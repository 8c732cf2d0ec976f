//! Packs a stretch again, byte for byte as it was packed by whoever built the image.
//!
//! In: packed stretches of images. Out: for the maker of a patch, the plain bytes and a [`Codec`], proven by packing
//! again; for the device, a [`Pack`] that makes the packed bytes from plain ones, and an `Unpack` for the old image,
//! both in bounded memory. Refuses: stretches that no known encoder makes, recipes that no encoder has, and blocks
//! above the named limits. The encoders are pinned (`Cargo.lock`), and tests hold their bytes: another version of a
//! library can make other bytes, which a device that is to be patched by an older server must not do.

mod deflate;
mod lz4;
mod lzma;
mod prove;
mod sums;
mod unpack;
mod wire;
mod xz;
mod zstandard;

use std::io;

use thiserror::Error;
use warden_model::ByteCount;

pub(crate) use prove::Prover;
#[cfg(test)]
pub(crate) use prove::unpack;
pub(crate) use unpack::{Unpack, memory as unpack_memory, unpacker};

/// The most plain bytes that a format may need at once: the largest block of SquashFS and of EROFS is 1 MiB.
pub(crate) const HELD_BYTES_MAX: u64 = 1 << 20;

/// What a container says of a packed stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hint {
    /// A zlib stream (RFC 1950): a block of SquashFS-gzip.
    Zlib,
    /// A gzip member (RFC 1952), header and trailer included.
    Gzip,
    /// A bare DEFLATE stream (RFC 1951).
    Deflate,
    /// An .xz file or a block of SquashFS-xz; the dictionary, where the container tells it, in bytes.
    Xz(Option<u32>),
    /// An .lzma file (LZMA alone), also SquashFS-lzma.
    Lzma,
    /// Zstandard frames (RFC 8878).
    Zstd,
    /// A bare LZ4 block, without size: SquashFS-lz4, EROFS.
    Lz4Block,
    /// An LZ4 frame.
    Lz4Frame,
    /// The legacy LZ4 format of Linux kernels and initramfs.
    Lz4Legacy,
    /// A bare LZO1X block: SquashFS-lzo.
    Lzo,
}

impl Hint {
    /// How many formats there are.
    const KINDS: usize = 10;

    /// The format as a number below [`Self::KINDS`].
    const fn kind(self) -> usize {
        match self {
            Self::Zlib => 0,
            Self::Gzip => 1,
            Self::Deflate => 2,
            Self::Xz(_) => 3,
            Self::Lzma => 4,
            Self::Zstd => 5,
            Self::Lz4Block => 6,
            Self::Lz4Frame => 7,
            Self::Lz4Legacy => 8,
            Self::Lzo => 9,
        }
    }

    /// Appends the hint as it stands in a patch.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.push(self.kind().to_le_bytes()[0]);
        if let Self::Xz(dictionary) = self {
            wire::put_number(out, dictionary.unwrap_or_default().into());
        }
    }

    /// Reads a hint from a patch.
    pub(crate) fn read(input: &mut &[u8]) -> Result<Self, CodecError> {
        Ok(match wire::byte_to(input, "format", 9)? {
            0 => Self::Zlib,
            1 => Self::Gzip,
            2 => Self::Deflate,
            3 => {
                let dictionary = wire::number(input, "xz dictionary", u32::MAX.into())?;
                Self::Xz(u32::try_from(dictionary).ok().filter(|len| *len > 0))
            }
            4 => Self::Lzma,
            5 => Self::Zstd,
            6 => Self::Lz4Block,
            7 => Self::Lz4Frame,
            8 => Self::Lz4Legacy,
            _ => Self::Lzo,
        })
    }
}

/// How a stretch was packed: encoder, its version and parameters. Small; written into the patch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(private_interfaces, reason = "what a recipe holds is the encoder's business")]
pub(crate) enum Codec {
    /// Our own DEFLATE, like zlib's and GNU gzip's.
    Deflate(deflate::Recipe),
    /// LZMA2 of liblzma 5, in a .xz container.
    Xz(xz::Recipe),
    /// LZMA of liblzma 5, in a .lzma file.
    Lzma(lzma::Recipe),
    /// libzstd 1.5.5.
    Zstd(zstandard::Recipe),
    /// liblz4 1.10.
    Lz4(lz4::Recipe),
}

/// Encoders with their versions, as they stand in a patch. Another version of a library whose bytes differ gets a
/// number of its own.
const DEFLATE_1: u8 = 1;
const XZ_LIBLZMA_5: u8 = 2;
const LZMA_LIBLZMA_5: u8 = 3;
const ZSTD_1_5_5: u8 = 4;
const LZ4_1_10: u8 = 5;

impl Codec {
    /// Appends the codec as it stands in a patch.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Deflate(recipe) => {
                out.push(DEFLATE_1);
                recipe.write(out);
            }
            Self::Xz(recipe) => {
                out.push(XZ_LIBLZMA_5);
                recipe.write(out);
            }
            Self::Lzma(recipe) => {
                out.push(LZMA_LIBLZMA_5);
                recipe.write(out);
            }
            Self::Zstd(recipe) => {
                out.push(ZSTD_1_5_5);
                recipe.write(out);
            }
            Self::Lz4(recipe) => {
                out.push(LZ4_1_10);
                recipe.write(out);
            }
        }
    }

    /// Reads a codec from a patch, and leaves `input` behind it.
    pub(crate) fn read(input: &mut &[u8]) -> Result<Self, CodecError> {
        Ok(match wire::byte(input, "encoder")? {
            DEFLATE_1 => Self::Deflate(deflate::Recipe::read(input)?),
            XZ_LIBLZMA_5 => Self::Xz(xz::Recipe::read(input)?),
            LZMA_LIBLZMA_5 => Self::Lzma(lzma::Recipe::read(input)?),
            ZSTD_1_5_5 => Self::Zstd(zstandard::Recipe::read(input)?),
            LZ4_1_10 => Self::Lz4(lz4::Recipe::read(input)?),
            id => return Err(CodecError::UnknownEncoder { id }),
        })
    }

    /// What packing a stretch of `plain_len` bytes needs at most.
    pub(crate) fn memory(&self, plain_len: u64) -> ByteCount {
        ByteCount(match self {
            Self::Deflate(recipe) => recipe.memory(),
            Self::Xz(recipe) => recipe.memory(plain_len),
            Self::Lzma(recipe) => recipe.memory(plain_len),
            Self::Zstd(recipe) => recipe.memory(plain_len),
            Self::Lz4(recipe) => recipe.memory(plain_len),
        })
    }

    /// Makes the packer for one stretch of exactly `plain_len` bytes. A codec from a patch may ask for a gigabyte: see to
    /// [`Self::memory`] first.
    pub(crate) fn packer(&self, plain_len: u64) -> Result<Box<dyn Pack>, CodecError> {
        match self {
            Self::Deflate(recipe) => Ok(recipe.packer()),
            Self::Xz(recipe) => recipe.packer(plain_len),
            Self::Lzma(recipe) => recipe.packer(plain_len),
            Self::Zstd(recipe) => recipe.packer(plain_len),
            Self::Lz4(recipe) => recipe.packer(plain_len),
        }
    }

    /// What stretches that were packed in one go share: the encoder's settings without what differs between stretches.
    fn tuning(&self) -> [u8; 4] {
        match self {
            Self::Deflate(recipe) => recipe.tuning.bytes(),
            Self::Xz(recipe) => [XZ_LIBLZMA_5, recipe.effort().byte(), 0, 0],
            Self::Lzma(recipe) => [LZMA_LIBLZMA_5, recipe.effort().byte(), 0, 0],
            Self::Zstd(recipe) => {
                let [level, call] = recipe.tuning();
                [ZSTD_1_5_5, level, call, 0]
            }
            Self::Lz4(recipe) => [LZ4_1_10, recipe.level(), 0, 0],
        }
    }
}

#[cfg(test)]
impl Codec {
    /// Zlib as everyone uses it.
    pub(crate) fn zlib(level: u8) -> Self {
        let head = [0x01, 0x01, 0x5e, 0x5e, 0x5e, 0x5e, 0x9c, 0xda, 0xda, 0xda][usize::from(level)];
        Self::read(&mut &[DEFLATE_1, 0, level, 15, 8, 1, 0x78, head][..]).unwrap()
    }

    /// A packing that no prover finds: nobody keeps so little memory.
    pub(crate) fn unprovable() -> Self {
        Self::read(&mut &[DEFLATE_1, 3, 5, 12, 3, 1, 0x48, 0x0d][..]).unwrap()
    }

    /// Zstandard as a stream of unknown length.
    pub(crate) fn zstd(level: u8) -> Self {
        Self::read(&mut &[ZSTD_1_5_5, level, 1, 0][..]).unwrap()
    }

    pub(crate) fn is_zstd(&self) -> bool {
        matches!(self, Self::Zstd(_))
    }
}

/// A stretch whose packing is understood.
#[derive(Debug)]
pub(crate) struct Proven {
    /// How to pack it.
    pub(crate) codec: Codec,
    /// What was packed.
    pub(crate) plain: Vec<u8>,
}

/// Packs one stretch.
pub(crate) trait Pack {
    /// Takes plain bytes, and appends what is packed of them so far.
    fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Appends what is left. Nothing may follow.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError>;
}

/// Why a stretch could not be unpacked or packed.
#[derive(Debug, Error)]
pub enum CodecError {
    /// Bytes end within something.
    #[error("{what}: ends early")]
    Short {
        /// Within what.
        what: &'static str,
    },
    /// Bytes that have no meaning.
    #[error("{what}: malformed")]
    Malformed {
        /// What is malformed.
        what: &'static str,
    },
    /// A number above its limit.
    #[error("{what}: {value} is above {max}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// What it is.
        value: u64,
        /// What it may be.
        max: u64,
    },
    /// A number below its limit.
    #[error("{what}: {value} is below {min}")]
    TooSmall {
        /// Which number.
        what: &'static str,
        /// What it is.
        value: u64,
        /// What it must be at least.
        min: u64,
    },
    /// More bytes than are held at once.
    #[error("{what}: {len} bytes, more than {max}")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// How many there are, in bytes.
        len: u64,
        /// How many there may be, in bytes.
        max: u64,
    },
    /// A patch for another version of this program.
    #[error("encoder {id} is not known")]
    UnknownEncoder {
        /// What the patch calls it.
        id: u8,
    },
    /// A library failed, for want of memory or because it refuses the settings.
    #[error("{library}: {text}")]
    Library {
        /// Which library.
        library: &'static str,
        /// What it said.
        text: String,
    },
    /// The stretch could not be read.
    #[error("read a packed stretch")]
    Read {
        /// Why not.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests;
