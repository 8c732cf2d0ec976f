//! 32-bit Arm with 16-bit instructions: BL, BLX and B.W, loads of literals, the pointers in literal pools, and offsets
//! from the stack pointer.

use warden_patch::atlas::Space;

use super::pool::{Literal, Pool};

/// Words from here on that lie in the file are pointers, also where no load is seen to fetch them: smaller ones are as
/// likely numbers.
const POINTER_MIN: u32 = 0x1000;

/// How many halfwords behind a literal's load the program counter may be added to it.
const ANCHOR_HALFWORDS_MAX: usize = 32;

/// Masks the address fields of the instructions, and all but the uppermost byte of pointers.
pub(super) fn mask(bytes: &mut [u8], space: &Space) {
    let (mut at, mut pool) = (0, Pool::new());
    while let Some(word) =
        bytes.get(at..).and_then(<[u8]>::first_chunk).map(|chunk| u32::from_le_bytes(*chunk))
    {
        let (first, second) = (word & 0xFFFF, word >> 16);
        let literal = if at.is_multiple_of(4) { pool.find(at) } else { None };
        let is_pointer = at.is_multiple_of(4) && space.holds(u64::from(word));
        let (masked, len) = match literal {
            Some(Literal::Relative) => (0, 4),
            Some(Literal::Plain) => (if is_pointer { word & 0xFF00_0000 } else { word }, 4),
            None if is_pointer && word >= POINTER_MIN => (word & 0xFF00_0000, 4),
            None if first >= 0xE800 => (wide(first, second), 4),
            None => (narrow(first) | second << 16, 2),
        };
        if literal.is_none()
            && let Some((offset, register)) = fetched(at, first, second)
        {
            let following = bytes.get(at..).unwrap_or_default();
            pool.note(
                offset,
                if is_anchored(following, register) { Literal::Relative } else { Literal::Plain },
            );
        }
        if let Some(chunk) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *chunk = masked.to_le_bytes();
        }
        at += len;
    }
}

fn narrow(first: u32) -> u32 {
    match first >> 11 {
        // LDR (literal); LDR, STR and ADD with the stack pointer.
        0b0_1001 | 0b1_0010 | 0b1_0011 | 0b1_0101 => first & 0xFF00,
        // ADD and SUB to the stack pointer.
        0b1_0110 if first & 0xFF00 == 0xB000 => first & 0xFF80,
        _ => first,
    }
}

fn wide(first: u32, second: u32) -> u32 {
    if first & 0xF800 == 0xF000 && second & 0x8000 != 0 && second & 0x5000 != 0 {
        return 0xF000 | (second & 0xD000) << 16;
    }
    match first {
        _ if first & 0xFF7F == 0xF85F => first & 0xFF7F | (second & 0xF000) << 16,
        _ if first & 0xFE8F == 0xF88D => first | (second & 0xF000) << 16,
        0xE9CD | 0xE9DD => first | (second & 0xFF00) << 16,
        _ => first | second << 16,
    }
}

/// Returns the offset of the word that the instruction at `at` fetches, and the register that it goes to.
fn fetched(at: usize, first: u32, second: u32) -> Option<(usize, u32)> {
    let place = (at + 4) & !3;
    if first >> 11 == 0b0_1001 {
        return Some((place + ((first & 255) << 2) as usize, first >> 8 & 7));
    }
    (first == 0xF8DF).then(|| (place + (second & 0xFFF) as usize, second >> 12))
}

/// Says whether the program counter is added to a register soon.
fn is_anchored(following: &[u8], register: u32) -> bool {
    let add = 0x4478 | (register & 8) << 4 | register & 7;
    let halfwords = following.as_chunks::<2>().0.iter().map(|chunk| u32::from(u16::from_le_bytes(*chunk)));
    halfwords.take(ANCHOR_HALFWORDS_MAX).any(|halfword| halfword == add)
}
