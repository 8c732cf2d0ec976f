//! Stack frames: a function that got another variable reaches all that lie behind it at other offsets.
//!
//! In: the offsets from the stack pointer that an old and a new instruction hold. Out: the likely new offset for an old
//! one, after the closest one that was seen in the same function. Refuses offsets beyond 32 KiB.

use super::Memory;
use super::words::{mask, signed, signed_field, unsigned_field};

/// What an offset does to the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It makes a new frame of this size.
    Opens,
    /// It is somewhere in the frame, or as large as the frame.
    Inside,
}

/// How the field of an offset is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// Always up.
    Up,
    /// Two's complement.
    Both,
    /// Two's complement, and counts the frame's size down.
    Down,
}

/// Where an instruction holds an offset from the stack pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// The field's lowest bit.
    pub(super) lowest: u32,
    /// How wide it is.
    pub(super) bits: u32,
    /// It counts in units of `1 << scale` bytes.
    pub(super) scale: u32,
    /// How it is signed.
    pub(super) sign: Sign,
    /// What the offset is for.
    pub(super) purpose: Purpose,
}

impl Field {
    /// Reads the offset, in bytes.
    pub(super) fn read(self, word: u32) -> i64 {
        let field = word >> self.lowest & mask(self.bits);
        match self.sign {
            Sign::Up => i64::from(field) << self.scale,
            Sign::Both => signed(field, self.bits) << self.scale,
            Sign::Down => -(signed(field, self.bits) << self.scale),
        }
    }

    /// Puts another offset into the instruction, if it fits.
    pub(super) fn write(self, word: u32, offset: i64) -> Option<u32> {
        let field = match self.sign {
            Sign::Up => unsigned_field(offset, self.scale, self.bits),
            Sign::Both => signed_field(offset, self.scale, self.bits),
            Sign::Down => signed_field(-offset, self.scale, self.bits),
        };
        Some(word & !(mask(self.bits) << self.lowest) | field? << self.lowest)
    }
}

/// Forgets the frame: another function starts.
pub(super) fn close(memory: &mut Memory) {
    memory.slots_seen = 0;
}

/// Returns the likely new offset for an old one.
pub(super) fn moved(memory: &Memory, offset: i64) -> Option<i64> {
    let seen = (memory.slots_seen as usize).min(memory.slots.len());
    let slots = memory.slots.get(..seen)?.iter().map(|(old, new)| (i64::from(*old), i64::from(*new)));
    // What lies at the very bottom, arguments of calls mostly, stays there.
    let (old, new) = slots.chain([(0, 0)]).min_by_key(|(old, _)| offset.abs_diff(*old))?;
    Some(offset + new - old)
}

/// Remembers what became of an offset.
pub(super) fn learn(memory: &mut Memory, purpose: Purpose, (old, new): (i64, i64)) {
    if purpose == Purpose::Opens {
        close(memory);
    }
    let (Ok(old), Ok(new)) = (i16::try_from(old), i16::try_from(new)) else { return };
    if let Some(slot) = memory.slots.iter_mut().take(memory.slots_seen as usize).find(|slot| slot.0 == old) {
        slot.1 = new;
        return;
    }
    let place = memory.slots_seen as usize % memory.slots.len();
    if let Some(slot) = memory.slots.get_mut(place) {
        *slot = (old, new);
        memory.slots_seen = memory.slots_seen.saturating_add(1);
    }
}
