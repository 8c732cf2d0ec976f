//! CRC-32 as headers of firmware use it: the polynomial of Ethernet, with or without its inversions.
//!
//! In: bytes. Out: the sum. Refuses nothing.

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let mut sum = index as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "checked by the compiler, which runs it")]
        {
            table[index] = sum;
        }
        index += 1;
    }
    table
}

/// The sum without inversions, from a start of the caller's.
pub(crate) fn raw(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |sum, byte| {
        let index = (sum & 0xff) as usize ^ usize::from(*byte);
        sum >> 8 ^ TABLE.get(index).copied().unwrap_or(0)
    })
}

/// The sum of Ethernet, gzip and zip.
pub(crate) fn ethernet(bytes: &[u8]) -> u32 {
    !raw(u32::MAX, bytes)
}
