//! Check sums of packed formats: CRC-32 (gzip, xz), CRC-64 (xz), Adler-32 (zlib).
//!
//! In: bytes, piece by piece. Out: the sum so far. Refuses nothing.

/// CRC-32 as of ISO 3309, reflected, as gzip (RFC 1952 section 8) and xz use it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crc32(u32);

const CRC32_TABLE: [u32; 256] = crc32_table();

const fn crc32_table() -> [u32; 256] {
    let mut table = [0_u32; 256];
    let mut index = 0_u32;
    while index < 256 {
        let mut value = index;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xEDB8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "evaluated by the compiler, where a wrong index is an error"
        )]
        {
            table[index as usize] = value;
        }
        index += 1;
    }
    table
}

impl Crc32 {
    pub(super) const fn new() -> Self {
        Self(u32::MAX)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        let mut sum = self.0;
        for &byte in bytes {
            let index = usize::from(sum.to_le_bytes()[0] ^ byte);
            sum = CRC32_TABLE.get(index).copied().unwrap_or_default() ^ (sum >> 8);
        }
        self.0 = sum;
    }

    pub(super) const fn value(self) -> u32 {
        !self.0
    }
}

/// The CRC-32 of some bytes.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = Crc32::new();
    sum.add(bytes);
    sum.value()
}

/// CRC-64 as of ECMA-182, reflected, as xz uses it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crc64(u64);

const CRC64_TABLE: [u64; 256] = crc64_table();

const fn crc64_table() -> [u64; 256] {
    let mut table = [0_u64; 256];
    let mut index = 0_u64;
    while index < 256 {
        let mut value = index;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xC96C_5795_D787_0F42 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        #[expect(
            clippy::indexing_slicing,
            clippy::cast_possible_truncation,
            reason = "evaluated by the compiler, where a wrong index is an error; 256 fits everywhere"
        )]
        {
            table[index as usize] = value;
        }
        index += 1;
    }
    table
}

impl Crc64 {
    pub(super) const fn new() -> Self {
        Self(u64::MAX)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        let mut sum = self.0;
        for &byte in bytes {
            let index = usize::from(sum.to_le_bytes()[0] ^ byte);
            sum = CRC64_TABLE.get(index).copied().unwrap_or_default() ^ (sum >> 8);
        }
        self.0 = sum;
    }

    pub(super) const fn value(self) -> u64 {
        !self.0
    }
}

/// Adler-32 (RFC 1950 section 8.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Adler32 {
    low: u32,
    high: u32,
}

/// The largest prime below 2^16.
const ADLER_PRIME: u32 = 65521;

/// How many bytes can be added before a 32-bit sum must be reduced: 255 n (n + 1) / 2 + (n + 1) (prime - 1) < 2^32.
const ADLER_RUN: usize = 5552;

impl Adler32 {
    pub(super) const fn new() -> Self {
        Self { low: 1, high: 0 }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        for run in bytes.chunks(ADLER_RUN) {
            for &byte in run {
                self.low = self.low.wrapping_add(u32::from(byte));
                self.high = self.high.wrapping_add(self.low);
            }
            self.low %= ADLER_PRIME;
            self.high %= ADLER_PRIME;
        }
    }

    pub(super) const fn value(self) -> u32 {
        (self.high << 16) | self.low
    }
}
