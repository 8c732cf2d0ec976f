//! The patch format, version 1, byte by byte.
//!
//! In: header values and record heads. Out: their bytes, and the way back. Refuses: another magic, another version,
//! reserved bytes that are set, a window that no version 1 writer chooses, numbers spelled longer than needed.
//!
//! All fixed-width numbers are little-endian. A patch is a header, one compressed frame, and nothing after it.
//!
//! # Header: 96 bytes, not compressed
//! | offset | bytes | what |
//! |---:|---:|---|
//! | 0 | 7 | magic: the ASCII letters `FWDELTA` |
//! | 7 | 1 | format version: 1 |
//! | 8 | 32 | SHA-256 of the base, over exactly `base size` bytes |
//! | 40 | 32 | SHA-256 of the result |
//! | 72 | 8 | base size in bytes |
//! | 80 | 8 | result size in bytes |
//! | 88 | 1 | window: the frame needs 2^n bytes of history, n = 10 to 30 |
//! | 89 | 7 | reserved: zero; a reader refuses anything else |
//!
//! # Frame: from byte 96 to the end
//! One Zstandard frame (RFC 8878 section 3.1.1): no skippable frame, no dictionary, a window of at most 2^n bytes, no
//! content checksum (the result's digest covers every byte). It unpacks to **records**, one after the other, until
//! `result size` bytes are made; then the frame ends, and the patch with it. An empty result has no records.
//!
//! # Record
//! | part | bytes | what |
//! |---|---:|---|
//! | seek | 1–10 | signed number, zigzag: how far the base position moves before anything else; it starts at 0 |
//! | add length | 1–10 | number *a* |
//! | extra length | 1–10 | number *e*; *a* + *e* is at least 1 |
//! | differences | *a* | the result is base byte + difference, modulo 256; the base position moves on by *a* |
//! | extra | *e* | bytes of the result as they are |
//!
//! After the seek, the base position and the *a* bytes from there lie within the base. All records together make exactly
//! `result size` bytes. These are the control triples, differences and extra bytes of bsdiff (C. Percival, "Naive
//! differences of executable code", 2003), interleaved, so that one pass is enough.
//!
//! # Numbers
//! Unsigned LEB128: seven bits a byte, the lowest first, the top bit set while more follow; at most 64 bits, and no
//! last byte 0 (one number, one spelling). Zigzag: 0, -1, 1, -2 … are 0, 1, 2, 3 …

use warden_model::{ByteCount, Sha256Digest};

/// The first bytes of each patch.
pub const MAGIC: [u8; 7] = *b"FWDELTA";

/// The version of the format that this crate writes and reads.
pub const VERSION: u8 = 1;

/// The length of the header, in bytes.
pub const HEADER_BYTES: usize = 96;

/// The first bytes of a Zstandard frame: RFC 8878 section 3.1.1, `Magic_Number`. Checked by us, so that no other kind of
/// frame (skippable, legacy) ever reaches the decoder.
pub const FRAME_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The smallest window, as a power of two: RFC 8878 section 3.1.1.1.2 allows nothing below 1 KiB.
pub const WINDOW_LOG_MIN: u8 = 10;

/// The largest window, as a power of two: what a Zstandard decoder can be told to accept on a 32-bit device.
pub const WINDOW_LOG_MAX: u8 = 30;

/// Longest spelling of a number, in bytes: 64 bits in groups of seven.
pub const NUMBER_BYTES_MAX: usize = 10;

/// What a patch says of itself before anything is unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The version of the format.
    pub version: u8,
    /// The digest of the image that the patch applies to.
    pub base: Sha256Digest,
    /// The digest of the image that it makes.
    pub result: Sha256Digest,
    /// The size of the image that the patch applies to.
    pub base_size: ByteCount,
    /// The size of the image that it makes.
    pub result_size: ByteCount,
    /// The history that unpacking needs in memory: a power of two, 1 KiB to 1 GiB.
    pub window_memory: ByteCount,
}

/// Why bytes are no header that this version reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderProblem {
    Magic,
    Version(u8),
    Reserved,
    Window(u8),
}

impl Header {
    pub(crate) fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let window_log = u8::try_from(self.window_memory.0.max(1).ilog2()).unwrap_or(WINDOW_LOG_MAX);
        let parts: [&[u8]; 7] = [
            &MAGIC,
            &[self.version],
            &self.base.0,
            &self.result.0,
            &self.base_size.0.to_le_bytes(),
            &self.result_size.0.to_le_bytes(),
            &[window_log],
        ];
        let mut bytes = [0; HEADER_BYTES];
        bytes.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderProblem> {
        let mut rest = bytes.as_slice();
        if take::<7>(&mut rest) != MAGIC {
            return Err(HeaderProblem::Magic);
        }
        let [version] = take(&mut rest);
        if version != VERSION {
            return Err(HeaderProblem::Version(version));
        }
        let base = Sha256Digest(take(&mut rest));
        let result = Sha256Digest(take(&mut rest));
        let base_size = ByteCount(u64::from_le_bytes(take(&mut rest)));
        let result_size = ByteCount(u64::from_le_bytes(take(&mut rest)));
        let [window_log] = take(&mut rest);
        if !(WINDOW_LOG_MIN..=WINDOW_LOG_MAX).contains(&window_log) {
            return Err(HeaderProblem::Window(window_log));
        }
        if take::<7>(&mut rest) != [0; 7] {
            return Err(HeaderProblem::Reserved);
        }
        let window_memory = ByteCount(1 << window_log);
        Ok(Self { version, base, result, base_size, result_size, window_memory })
    }
}

/// Takes the next `N` bytes; zeros where there are none, which cannot be: the fields add up to the header's length.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let Some((taken, left)) = rest.split_first_chunk() else { return [0; N] };
    *rest = left;
    *taken
}

/// The head of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHead {
    /// How far the base position moves first.
    pub(crate) seek: i64,
    /// How many bytes are base plus difference.
    pub(crate) add: u64,
    /// How many bytes follow as they are.
    pub(crate) extra: u64,
}

impl RecordHead {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_number(zigzag(self.seek), out);
        write_number(self.add, out);
        write_number(self.extra, out);
    }
}

/// A number that arrives byte by byte.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Number {
    value: u64,
    bits: u32,
}

/// What a byte did to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Done(u64),
    /// Above 64 bits, or spelled longer than needed.
    Refused,
}

impl Number {
    pub(crate) fn push(&mut self, byte: u8) -> Progress {
        let low = u64::from(byte & 0x7f);
        let longer_than_needed = byte == 0 && self.bits > 0;
        let too_large = self.bits > 63 || (self.bits == 63 && low > 1);
        if longer_than_needed || too_large {
            return Progress::Refused;
        }
        self.value |= low << self.bits;
        self.bits += 7;
        if byte & 0x80 == 0 { Progress::Done(self.value) } else { Progress::More }
    }
}

fn write_number(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// Undoes the zigzag form of a signed number.
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::{
        HEADER_BYTES, Header, HeaderProblem, NUMBER_BYTES_MAX, Number, Progress, unzigzag, write_number,
        zigzag,
    };
    use warden_model::{ByteCount, Sha256Digest};

    fn header() -> Header {
        Header {
            version: 1,
            base: Sha256Digest([0xaa; 32]),
            result: Sha256Digest([0xbb; 32]),
            base_size: ByteCount(0x0102),
            result_size: ByteCount(0x0304),
            window_memory: ByteCount::mib(8),
        }
    }

    #[test]
    fn the_header_stands_where_the_table_says() {
        let bytes = header().to_bytes();
        assert_eq!(&bytes[..8], b"FWDELTA\x01");
        assert_eq!(bytes[8..40], [0xaa; 32]);
        assert_eq!(bytes[40..72], [0xbb; 32]);
        assert_eq!(bytes[72..80], [2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[80..88], [4, 3, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[88..], [23, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Header::from_bytes(&bytes), Ok(header()));
    }

    #[test]
    fn a_header_is_refused_for_one_wrong_byte() {
        let check = |offset: usize, byte: u8, expected: HeaderProblem| {
            let mut bytes: [u8; HEADER_BYTES] = header().to_bytes();
            bytes[offset] = byte;
            assert_eq!(Header::from_bytes(&bytes), Err(expected), "byte {offset} is {byte}");
        };
        check(0, b'G', HeaderProblem::Magic);
        check(6, b'a', HeaderProblem::Magic);
        check(7, 0, HeaderProblem::Version(0));
        check(7, 2, HeaderProblem::Version(2));
        check(88, 9, HeaderProblem::Window(9));
        check(88, 31, HeaderProblem::Window(31));
        (89..96).for_each(|offset| check(offset, 1, HeaderProblem::Reserved));
    }

    fn read(bytes: &[u8]) -> Progress {
        let mut number = Number::default();
        for byte in bytes {
            match number.push(*byte) {
                Progress::More => {}
                done => return done,
            }
        }
        Progress::More
    }

    #[test]
    fn a_number_has_one_spelling() {
        for value in [0, 1, 127, 128, 300, 1 << 32, 1 << 63, u64::MAX] {
            let mut bytes = Vec::new();
            write_number(value, &mut bytes);
            assert!(bytes.len() <= NUMBER_BYTES_MAX);
            assert_eq!(read(&bytes), Progress::Done(value));
        }
        assert_eq!(read(&[0x80, 0x00]), Progress::Refused, "a longer zero");
        assert_eq!(read(&[0xff, 0x80, 0x00]), Progress::Refused, "a longer 127");
        assert_eq!(read(&[0xff; 9]), Progress::More);
        assert_eq!(read(&[0xff; 10]), Progress::Refused, "more than 64 bits");
        assert_eq!(read(&[&[0xff; 9][..], &[0x02]].concat()), Progress::Refused, "65 bits");
    }

    #[test]
    fn signs_survive_the_zigzag() {
        for value in [0, -1, 1, -2, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
        assert_eq!([0, -1, 1, -2].map(zigzag), [0, 1, 2, 3]);
    }
}
