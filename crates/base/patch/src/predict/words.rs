//! Words, fields and places, as the predictors of fixed-width instruction sets see them.
//!
//! In: bytes and bit fields. Out: numbers, and words with a field replaced. Refuses fields that a value does not fit.

use super::View;
use crate::atlas::Atlas;

/// Reads the 16-bit word at `at`.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

/// Reads the 32-bit word at `at`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

/// Reads the 64-bit word at `at`.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Writes `word` at `at`; what would reach behind the end is not written.
pub(super) fn put<const N: usize>(bytes: &mut [u8], at: usize, word: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = word;
    }
}

/// Reads the lowest `bits` of a field as a signed number.
pub(super) fn signed(field: u32, bits: u32) -> i64 {
    let unused = 32_u32.saturating_sub(bits);
    i64::from((field << unused).cast_signed() >> unused)
}

/// Returns the lowest 32 bits.
pub(super) fn low32(value: u64) -> u32 {
    (value & 0xFFFF_FFFF) as u32
}

/// Returns a signed number as a field of `bits` bits, after a shift to the right that must lose nothing.
pub(super) fn signed_field(value: i64, shift: u32, bits: u32) -> Option<u32> {
    let scaled = value >> shift;
    let top = scaled >> bits.saturating_sub(1);
    let fits = scaled << shift == value && (top == 0 || top == -1);
    fits.then(|| low32(scaled.cast_unsigned()) & mask(bits))
}

/// Returns a number as a field of `bits` bits, after a shift to the right that must lose nothing.
pub(super) fn unsigned_field(value: i64, shift: u32, bits: u32) -> Option<u32> {
    let scaled = u32::try_from(value >> shift).ok()?;
    let fits = i64::from(scaled) << shift == value && scaled & !mask(bits) == 0;
    fits.then_some(scaled)
}

/// Returns a word whose lowest `bits` (below 32) are set.
pub(super) fn mask(bits: u32) -> u32 {
    1_u32.checked_shl(bits).unwrap_or(0).wrapping_sub(1)
}

/// Returns how far it is from one address to another.
pub(super) fn distance(from: u64, to: u64) -> i64 {
    to.wrapping_sub(from).cast_signed()
}

/// Where an instruction stands, in the old file and, as part of its copy, in the new one.
pub(super) struct Spot<'a, A> {
    /// Whom to ask.
    pub(super) atlas: &'a A,
    /// Its place in the old file, in bytes.
    pub(super) old_offset: u32,
    /// Its place in the new file, in bytes.
    pub(super) new_offset: u32,
    /// The block of the old file in which it stands: its start and its end, in bytes.
    block: (u32, u32),
}

impl<'a, A: Atlas> Spot<'a, A> {
    /// Returns the place of what stands `at` bytes behind the start of a block of `len` bytes.
    pub(super) fn new(view: &View<'_>, at: usize, len: usize, atlas: &'a A) -> Self {
        let add = |start: u32, more: usize| start.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        Self {
            atlas,
            old_offset: add(view.old_offset, at),
            new_offset: add(view.new_offset, at),
            block: (view.old_offset, add(view.old_offset, len)),
        }
    }

    /// Returns its old address.
    pub(super) fn old(&self) -> u64 {
        self.atlas.old_address(self.old_offset)
    }

    /// Returns its new address.
    pub(super) fn new_address(&self) -> u64 {
        self.atlas.new_address(self.new_offset)
    }

    /// Returns the new address of code or of a literal that lies `away` bytes on, probably in the same function. What lies in
    /// the same block has moved with it, even if the same old bytes were copied elsewhere, too.
    pub(super) fn near(&self, away: i64) -> Option<u64> {
        if self.is_inside(away) {
            return Some(self.new_address().wrapping_add(away.cast_unsigned()));
        }
        let offset = u32::try_from(i64::from(self.old_offset).checked_add(away)?).ok()?;
        if offset >= self.atlas.old_len() { None } else { self.far(away) }
    }

    fn is_inside(&self, away: i64) -> bool {
        let offset = i64::from(self.old_offset).saturating_add(away);
        offset >= i64::from(self.block.0) && offset < i64::from(self.block.1)
    }

    /// Returns what a near target teaches: nothing, if it was where it was thought to be.
    pub(super) fn near_lesson(&self, away: i64, new_away: i64) -> Option<(u64, u64)> {
        let new = self.new_address().wrapping_add(new_away.cast_unsigned());
        let surprise = !self.is_inside(away) && self.near(away)? != new;
        surprise.then(|| (self.old().wrapping_add(away.cast_unsigned()), new))
    }

    /// Returns the new address of code that lies `away` bytes on, perhaps in another part of the file.
    pub(super) fn far(&self, away: i64) -> Option<u64> {
        self.atlas.moved_code(self.old().wrapping_add(away.cast_unsigned()))
    }
}
