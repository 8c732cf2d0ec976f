//! 64-bit Arm: B and BL, ADRP, the offsets in the page that go with an ADRP before them, and offsets from the stack
//! pointer.

/// The 12 bits of an ADD, LDR or STR, from bit 10 on.
const OFFSET: u32 = 0xFFF << 10;

/// Masks the address fields of the instructions.
pub(super) fn mask(bytes: &mut [u8]) {
    // A bit for each register that holds a page.
    let mut pages = 0_u32;
    for chunk in bytes.as_chunks_mut::<4>().0 {
        let word = u32::from_le_bytes(*chunk);
        let (destination, base) = (word & 31, word >> 5 & 31);
        let is_add = word & 0xFFC0_0000 == 0x9100_0000;
        let masked = if word & 0x7C00_0000 == 0x1400_0000 {
            word & 0xFC00_0000
        } else if word & 0x9F00_0000 == 0x9000_0000 {
            pages |= 1 << destination;
            word & 0x9F00_001F
        } else if base == 31 {
            word & !frame_field(word)
        } else if pages >> base & 1 == 1 && (is_add || word & 0x3B00_0000 == 0x3900_0000) {
            word & !OFFSET
        } else {
            continue;
        };
        if is_add {
            pages &= !(1 << destination);
        }
        *chunk = masked.to_le_bytes();
    }
}

/// Returns the bits that hold an offset from the stack pointer.
fn frame_field(word: u32) -> u32 {
    if word & 0xBFC0_0000 == 0x9100_0000 || word & 0x3B00_0000 == 0x3900_0000 {
        OFFSET
    } else if word & 0x3A00_0000 == 0x2800_0000 {
        0x7F << 15
    } else if word & 0x3B20_0000 == 0x3800_0000 {
        0x1FF << 12
    } else {
        0
    }
}
