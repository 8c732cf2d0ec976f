//! 32-bit Arm: BL, loads of literals, the pointers in literal pools, and offsets from the stack pointer.

use warden_patch::atlas::Space;

use super::pool::{Literal, Pool};

/// How many instructions behind a literal's load the program counter may be added to it.
const ANCHOR_INSTRUCTIONS_MAX: usize = 16;

/// Masks the address fields of the instructions, and all but the uppermost byte of pointers in pools.
pub(super) fn mask(bytes: &mut [u8], space: &Space) {
    let (mut at, mut pool) = (0, Pool::new());
    while let Some(word) =
        bytes.get(at..).and_then(<[u8]>::first_chunk).map(|chunk| u32::from_le_bytes(*chunk))
    {
        let masked = match pool.find(at) {
            Some(Literal::Relative) => 0,
            Some(Literal::Plain) if space.holds(u64::from(word)) => word & 0xFF00_0000,
            Some(Literal::Plain) => word,
            None => masked(word),
        };
        if let Some(distance) = fetched(word) {
            let following = bytes.get(at..).unwrap_or_default();
            let literal =
                if is_anchored(following, word >> 12 & 15) { Literal::Relative } else { Literal::Plain };
            pool.note(at + distance, literal);
        }
        if let Some(chunk) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *chunk = masked.to_le_bytes();
        }
        at += 4;
    }
}

fn masked(word: u32) -> u32 {
    let is_number = word & 0x0FEF_0000 == 0x028D_0000 || word & 0x0FFF_0000 == 0x024D_0000;
    if word & 0x0F00_0000 == 0x0B00_0000 {
        word & 0xFF00_0000
    } else if word & 0x0F7F_0000 == 0x051F_0000 {
        word & !(1 << 23 | 0xFFF)
    } else if is_number || word & 0x0E0F_0000 == 0x040D_0000 {
        word & !0xFFF
    } else {
        word
    }
}

/// Returns how far ahead the word lies that an LDR fetches, in bytes.
fn fetched(word: u32) -> Option<usize> {
    let is_load = word >> 28 != 15 && word & 0x0FFF_0000 == 0x059F_0000;
    (is_load && word.is_multiple_of(4)).then_some(8 + (word & 0xFFF) as usize)
}

/// Says whether the program counter is added to a register soon: by ADD, or in the address of LDR.
fn is_anchored(following: &[u8], register: u32) -> bool {
    let words = following.as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk));
    words.take(ANCHOR_INSTRUCTIONS_MAX).skip(1).any(|word| {
        let adds = word & 0x0FEF_0FF0 == 0x008F_0000 || word & 0x0FFF_0FF0 == 0x079F_0000;
        adds && word & 15 == register
    })
}
