//! Reads and writes the words and fields of instructions.
//!
//! In: bytes at any place. Out: numbers; `None` where the bytes end. Refuses nothing: what does not fit is not written.

use super::View;
use crate::atlas::Atlas;

/// Reads 16 bits.
pub(super) fn half(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from(u16::from_le_bytes(*chunk)))
}

/// Reads 32 bits.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

/// Reads 64 bits.
pub(super) fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Writes bytes; nothing where they would reach behind the end.
pub(super) fn put<const N: usize>(out: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(place) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<N>()) {
        *place = bytes;
    }
}

/// Returns the low 32 bits.
pub(super) fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Returns a 32-bit number with its sign as 64 bits.
pub(super) fn wide(value: u32) -> u64 {
    signed(value, 32)
}

/// Returns the lowest `bits` of a number (1 to 32) with their sign as 64 bits.
pub(super) fn signed(value: u32, bits: u32) -> u64 {
    let unused = 32_u32.saturating_sub(bits).min(31);
    i64::from((value << unused).cast_signed() >> unused).cast_unsigned()
}

/// Says whether a distance can be written with so many bits (1 to 63), one of them its sign.
pub(super) fn fits(distance: u64, bits: u32) -> bool {
    let half = 1_u64 << (bits.clamp(1, 63) - 1);
    distance.wrapping_add(half) < half << 1
}

/// Returns the offset of a byte of the block in the file in which the block starts at `start`.
pub(super) fn offset(start: u32, at: usize) -> u32 {
    start.wrapping_add(u32::try_from(at).unwrap_or(u32::MAX))
}

/// Returns the addresses of a byte of the block in the old and in the new file.
pub(super) fn places<A: Atlas>(view: &View<'_>, at: usize, atlas: &A) -> (u64, u64) {
    (atlas.old_address(offset(view.old_offset, at)), atlas.new_address(offset(view.new_offset, at)))
}

/// A number that an instruction holds in pieces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// Where the pieces are: lowest bit in the number, lowest bit in the instruction, count of bits.
    pub(super) pieces: &'static [(u32, u32, u32)],
    /// How many bits the number has, the sign included.
    pub(super) bits: u32,
}

impl Field {
    /// Reads the number, with its sign as 64 bits.
    pub(super) fn get(&self, instruction: u32) -> u64 {
        let number = self
            .pieces
            .iter()
            .fold(0, |number, &(to, from, bits)| number | (instruction >> from & ones(bits)) << to);
        signed(number, self.bits)
    }

    /// Returns the instruction with another number in it; `None` where that does not fit.
    pub(super) fn set(&self, instruction: u32, number: u64) -> Option<u32> {
        let changed = self.pieces.iter().fold(instruction, |changed, &(from, to, bits)| {
            changed & !(ones(bits) << to) | (low(number) >> from & ones(bits)) << to
        });
        (fits(number, self.bits) && self.get(changed) == number).then_some(changed)
    }

    /// Returns the instruction with zeros in the place of the number.
    pub(super) fn clear(&self, instruction: u32) -> u32 {
        self.pieces.iter().fold(instruction, |changed, &(_, to, bits)| changed & !(ones(bits) << to))
    }
}

fn ones(bits: u32) -> u32 {
    (1_u32 << bits.min(31)) - 1
}
