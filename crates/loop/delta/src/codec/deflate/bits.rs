//! Bits to bytes, the low bit first (RFC 1951 section 3.1.1).

/// Bits that do not fill a byte yet.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    held: u64,
    count: u32,
}

impl BitWriter {
    /// Appends the low `count` (at most 16) bits of `value`; higher ones must be zero.
    pub(super) fn put(&mut self, value: u16, count: u32, out: &mut Vec<u8>) {
        self.held |= u64::from(value) << (self.count & 63);
        self.count = self.count.wrapping_add(count);
        if self.count >= 32 {
            let [a, b, c, d, ..] = self.held.to_le_bytes();
            out.extend_from_slice(&[a, b, c, d]);
            self.held >>= 32;
            self.count -= 32;
        }
    }

    /// Fills the last byte with zero bits.
    pub(super) fn align(&mut self, out: &mut Vec<u8>) {
        while self.count > 0 {
            out.push(self.held.to_le_bytes()[0]);
            self.held >>= 8;
            self.count = self.count.saturating_sub(8);
        }
        self.held = 0;
    }
}
