//! How long a compressed stream is, packed and unpacked.
//!
//! In: bytes that may begin with a stream, and a [`Meter`]. Out: both lengths. Refuses (`None`) what breaks its format,
//! is cut off, unpacks to more than its limits, or comes when the work allowance is used up.
//!
//! xz and LZ4 say the lengths of all their pieces, so that nothing is unpacked for them; Zstandard mostly does, too.
//! gzip, DEFLATE and LZMA must be unpacked, piece by piece into one small buffer.

mod lz4;
mod xz;

use flate2::{Decompress, FlushDecompress, Status};
use liblzma::stream::{Action, Status as LzmaStatus, Stream};
use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::bytes::{array, byte, crc32, le16, le32, le64, length, slice, tail};

pub(super) use lz4::{frame as lz4_frame, legacy as lz4_legacy};
pub(super) use xz::stream as xz;

/// The most that one stream may unpack to: larger than any firmware file system, small enough to hold in memory.
pub(super) const PLAIN_BYTES_MAX: u64 = 1 << 30;

/// How many times its packed length a stream may be long, once it is longer than [`PLAIN_BYTES_FREE`]. DEFLATE reaches
/// 1,032; LZMA on a nearly empty file system more, but then there is little to gain from looking inside.
const RATIO_MAX: u64 = 2_048;

/// What a stream may unpack to whatever its ratio: a blank partition of a few megabytes is no attack.
const PLAIN_BYTES_FREE: u64 = 16 << 20;

/// What may be unpacked to find lengths in one look at an image: the plain bytes of a large image twice over, and some
/// 20 s of one core at worst.
const WORK_BYTES_MAX: u64 = 2 << 30;

/// What trying costs beside the bytes that come out: making a decoder takes about as long as unpacking 8 KiB. The
/// allowance is good for a quarter of a million tries, more than any image has packed manual pages.
const TRY_BYTES: u64 = 8 << 10;

/// What one step over a header, a block or an entry costs, in unpacked bytes.
const STEP_BYTES: u64 = 32;

/// The most memory that a decoder may ask for: the dictionary of `xz -9` is 64 MiB.
const DECODER_BYTES_MAX: u64 = 80 << 20;

/// The largest Zstandard window, as a power of two: what `zstd --ultra -22` uses.
const WINDOW_LOG_MAX: u32 = 27;

/// The piece in which a stream is unpacked.
const PIECE_BYTES: usize = 64 << 10;

/// The lengths of a stream, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) packed_len: u64,
    pub(super) plain_len: u64,
}

impl Measured {
    /// Accepts lengths within the limits.
    fn new(packed_len: u64, plain_len: u64) -> Option<Self> {
        let allowed = packed_len.saturating_mul(RATIO_MAX).clamp(PLAIN_BYTES_FREE, PLAIN_BYTES_MAX);
        (plain_len <= allowed).then_some(Self { packed_len, plain_len })
    }
}

/// What a look at an image may still cost, and the buffer for it.
pub(super) struct Meter {
    left: u64,
    buffer: Vec<u8>,
}

impl Meter {
    /// Starts with the whole allowance.
    pub(super) fn new() -> Self {
        Self { left: WORK_BYTES_MAX, buffer: vec![0; PIECE_BYTES] }
    }

    /// Pays for work; `None` when nothing is left.
    fn pay(&mut self, bytes: u64) -> Option<()> {
        let enough = self.left >= bytes;
        self.left = self.left.saturating_sub(bytes);
        enough.then_some(())
    }

    /// Pays for one step over headers.
    pub(super) fn step(&mut self) -> Option<()> {
        self.pay(STEP_BYTES)
    }
}

/// Measures a gzip member (RFC 1952), up to and with its trailer, which must be right.
pub(super) fn gzip(bytes: &[u8], meter: &mut Meter) -> Option<Measured> {
    let header_len = gzip_header(bytes, meter)?;
    let (body, crc) = inflate(tail(bytes, header_len)?, meter)?;
    let trailer = header_len.checked_add(body.packed_len)?;
    let right = le32(bytes, trailer)? == crc && le32(bytes, trailer + 4)? == body.plain_len & 0xffff_ffff;
    right.then(|| Measured { packed_len: trailer + 8, ..body })
}

/// Measures the header of a gzip member (RFC 1952 section 2.3).
fn gzip_header(bytes: &[u8], meter: &mut Meter) -> Option<u64> {
    let [0x1f, 0x8b, 8, flags, _, _, _, _, extra_flags, system] = array(bytes, 0)? else { return None };
    // Reserved flags are zero; extra flags and systems that no writer has ever set tell an accident.
    if flags & 0xe0 != 0 || !matches!(extra_flags, 0 | 2 | 4) || (system > 13 && system != 255) {
        return None;
    }
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + le16(bytes, at)?;
    }
    for text in [8, 16] {
        if flags & text != 0 {
            meter.step()?;
            let end = tail(bytes, at)?.iter().take(NAME_BYTES_MAX).position(|byte| *byte == 0)?;
            at += u64::try_from(end).ok()? + 1;
        }
    }
    Some(if flags & 2 != 0 { at + 2 } else { at })
}

/// The longest name or comment in a gzip header: the longest path of Linux.
const NAME_BYTES_MAX: usize = 4_096;

/// Measures a bare DEFLATE stream (RFC 1951).
pub(super) fn deflate(bytes: &[u8], meter: &mut Meter) -> Option<Measured> {
    inflate(bytes, meter).map(|(measured, _)| measured)
}

fn inflate(bytes: &[u8], meter: &mut Meter) -> Option<(Measured, u64)> {
    meter.pay(TRY_BYTES)?;
    let mut decoder = Decompress::new(false);
    let mut crc = flate2::Crc::new();
    loop {
        let (taken, made) = (decoder.total_in(), decoder.total_out());
        let status =
            decoder.decompress(tail(bytes, taken)?, &mut meter.buffer, FlushDecompress::None).ok()?;
        let count = decoder.total_out() - made;
        meter.pay(count)?;
        crc.update(slice(&meter.buffer, 0, count)?);
        let measured = Measured::new(decoder.total_in(), decoder.total_out())?;
        if status == Status::StreamEnd {
            return Some((measured, u64::from(crc.sum())));
        }
        if count == 0 && decoder.total_in() == taken {
            return None;
        }
    }
}

/// Measures an .lzma file. It has no magic: the properties that kernels and boot loaders use, a usual dictionary, and a
/// first byte that the format fixes must do, and that all of it unpacks.
pub(super) fn lzma(bytes: &[u8], meter: &mut Meter) -> Option<Measured> {
    let (properties, dictionary, plain_len) = (byte(bytes, 0)?, le32(bytes, 1)?, le64(bytes, 5)?);
    // lc=3 lp=0 pb=2, the default; lc=1 lp=2 pb=2, OpenWrt's; the first byte of a range coder is always zero.
    let usual = matches!(properties, 0x5d | 0x6d) && byte(bytes, 13)? == 0;
    // Powers of two and the sums of two neighbouring ones, as the .lzma file format asks for.
    let odd = dictionary >> dictionary.trailing_zeros().min(31);
    let fits = matches!(odd, 1 | 3) && (4_096..=64 << 20).contains(&dictionary);
    if !usual || !fits || (plain_len != u64::MAX && !(1..=PLAIN_BYTES_MAX).contains(&plain_len)) {
        return None;
    }
    meter.pay(TRY_BYTES)?;
    let mut decoder = Stream::new_lzma_decoder(DECODER_BYTES_MAX).ok()?;
    loop {
        let (taken, made) = (decoder.total_in(), decoder.total_out());
        let status = decoder.process(tail(bytes, taken)?, &mut meter.buffer, Action::Run).ok()?;
        let count = decoder.total_out() - made;
        meter.pay(count)?;
        let measured = Measured::new(decoder.total_in(), decoder.total_out())?;
        if status == LzmaStatus::StreamEnd {
            return Some(measured);
        }
        if count == 0 && decoder.total_in() == taken {
            return None;
        }
    }
}

/// Measures a Zstandard frame (RFC 8878 section 3.1.1). Frames that need a dictionary are refused.
pub(super) fn zstd(bytes: &[u8], meter: &mut Meter) -> Option<Measured> {
    let (header_len, said) = zstd_header(bytes)?;
    let (packed_len, plain_len_max) = zstd_blocks(bytes, header_len, meter)?;
    match said {
        Some(plain_len) if plain_len <= plain_len_max => Measured::new(packed_len, plain_len),
        Some(_) => None,
        None => zstd_plain(slice(bytes, 0, packed_len)?, meter),
    }
}

/// The magic of a Zstandard frame.
pub(super) const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The largest block of a Zstandard frame, unpacked (RFC 8878 section 3.1.1.2.4).
const ZSTD_BLOCK_BYTES: u64 = 128 << 10;

/// Returns the length of a frame header, and that of the content where the header tells it.
fn zstd_header(bytes: &[u8]) -> Option<(u64, Option<u64>)> {
    let descriptor = byte(bytes, 4)?;
    let (size_flag, single) = (descriptor >> 6, descriptor & 0x20 != 0);
    // The reserved bit must be zero; a dictionary is nowhere to be had.
    if array(bytes, 0)? != ZSTD_MAGIC || descriptor & 0x0b != 0 {
        return None;
    }
    let at = if single { 5 } else { 6 };
    Some(match (size_flag, single) {
        (0, false) => (at, None),
        (0, true) => (at + 1, Some(u64::from(byte(bytes, at)?))),
        (1, _) => (at + 2, Some(le16(bytes, at)? + 256)),
        (2, _) => (at + 4, Some(le32(bytes, at)?)),
        _ => (at + 8, Some(le64(bytes, at)?)),
    })
}

/// Walks over the blocks of a frame; returns where the frame ends and the most that it holds.
fn zstd_blocks(bytes: &[u8], header_len: u64, meter: &mut Meter) -> Option<(u64, u64)> {
    let checksum_len = if byte(bytes, 4)? & 4 != 0 { 4 } else { 0 };
    let (mut at, mut plain_len_max) = (header_len, 0_u64);
    loop {
        meter.step()?;
        let [a, b, c] = array(bytes, at)?;
        let header = u64::from(u32::from_le_bytes([a, b, c, 0]));
        let size = header >> 3;
        let (packed, plain) = match header >> 1 & 3 {
            0 => (size, size),
            1 => (1, size),
            2 if size > 2 => (size, ZSTD_BLOCK_BYTES),
            _ => return None,
        };
        if size > ZSTD_BLOCK_BYTES {
            return None;
        }
        at += 3 + packed;
        plain_len_max += plain;
        if header & 1 != 0 {
            at += checksum_len;
            return (at <= length(bytes)).then_some((at, plain_len_max));
        }
    }
}

/// Unpacks a frame whose header does not tell the length of its content.
fn zstd_plain(frame: &[u8], meter: &mut Meter) -> Option<Measured> {
    meter.pay(TRY_BYTES)?;
    let mut decoder = Decoder::new().ok()?;
    decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).ok()?;
    let (mut taken, mut made) = (0_u64, 0_u64);
    loop {
        let status = decoder.run_on_buffers(tail(frame, taken)?, meter.buffer.as_mut_slice()).ok()?;
        let count = u64::try_from(status.bytes_written).ok()?;
        meter.pay(count)?;
        taken += u64::try_from(status.bytes_read).ok()?;
        made += count;
        let measured = Measured::new(taken, made)?;
        if status.remaining == 0 {
            return (taken == length(frame)).then_some(measured);
        }
        if count == 0 && status.bytes_read == 0 {
            return None;
        }
    }
}

/// Measures a skippable frame of Zstandard and LZ4 (RFC 8878 section 3.1.2).
pub(super) fn skippable(bytes: &[u8]) -> Option<u64> {
    let end = le32(bytes, 4)? + 8;
    (le32(bytes, 0)? & 0xffff_fff0 == 0x184d_2a50 && end <= length(bytes)).then_some(end)
}

/// Says whether a header ends with its own CRC-32, little endian.
fn sealed(bytes: &[u8], start: u64, len: u64) -> Option<bool> {
    Some(crc32(&[slice(bytes, start, len)?]) == le32(bytes, start.checked_add(len)?)?)
}

#[cfg(test)]
pub(super) mod tests;
