//! RISC-V: the fields of JAL, of AUIPC and LUI with the twelve bits that belong to them, and pointers.

use warden_patch::atlas::Space;

/// Masks what changes when code moves; `out` holds `bytes`.
pub(super) fn mask(bytes: &[u8], space: &Space, out: &mut [u8]) {
    // Which registers hold half an address, a bit each.
    let mut held = 0_u32;
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        let word = u32::from_le_bytes(*chunk);
        let (kept, len) =
            if at.is_multiple_of(4) && word >> 24 != 0 && word & 3 != 3 && space.holds(u64::from(word)) {
                (word & 0xff00_0000, 4)
            } else if word & 3 == 3 {
                (instruction(word, space, &mut held), 4)
            } else {
                (word, 2)
            };
        if let Some(place) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>())
            && len == 4
        {
            *place = kept.to_le_bytes();
        }
        at += len;
    }
}

/// Masks an instruction of 32 bits.
fn instruction(word: u32, space: &Space, held: &mut u32) -> u32 {
    let target = 1_u32 << (word >> 7 & 31);
    let is_based = *held >> (word >> 15 & 31) & 1 == 1;
    match (word & 0x7f, word >> 12 & 7) {
        (0x6f, _) => word & 0xfff,
        (0x17, _) => {
            *held |= target;
            word & 0xfff
        }
        (0x37, _) if space.holds(u64::from(word & 0xffff_f000)) => {
            *held |= target;
            word & 0xfff
        }
        (0x13 | 0x1b | 0x67, 0) | (0x03, _) => {
            *held &= !target;
            if is_based { word & 0x000f_ffff } else { word }
        }
        (0x07, _) if is_based => word & 0x000f_ffff,
        (0x23 | 0x27, _) if is_based => word & 0x01ff_f07f,
        (0x63 | 0x07 | 0x23 | 0x27, _) => word,
        _ => {
            *held &= !target;
            word
        }
    }
}
