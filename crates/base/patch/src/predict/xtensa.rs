//! Xtensa, little endian, with 16- and 24-bit instructions: ESP8266, ESP32.
//!
//! In: a block of old code. Out: the same with calls, jumps, branches, loads of literals, and the literals before the
//! code as they probably are now. Refuses nothing.
//!
//! Norm: Xtensa Instruction Set Architecture, chapters 3 (formats) and 6 (each instruction).

use super::fields::{Field, low, offset, places, put, word};
use super::{Memory, Step, View};
use crate::atlas::Atlas;

const CALL: Field = Field { pieces: &[(2, 6, 18)], bits: 20 };
const JUMP: Field = Field { pieces: &[(0, 6, 18)], bits: 18 };
const BRANCH8: Field = Field { pieces: &[(0, 16, 8)], bits: 8 };
const BRANCH12: Field = Field { pieces: &[(0, 12, 12)], bits: 12 };
/// Loops go forwards: nine bits, of which the sign is never set.
const LOOP: Field = Field { pieces: &[(0, 16, 8)], bits: 9 };
/// BEQZ.N and BNEZ.N go forwards, too.
const SHORT: Field = Field { pieces: &[(0, 12, 4), (4, 4, 2)], bits: 7 };
/// Literals lie before the code: the number is negative, its upper bits are ones that the instruction does not hold.
const LITERAL: Field = Field { pieces: &[(2, 8, 16)], bits: 19 };

/// How far L32R reaches back, in bytes.
const LITERAL_REACH: u64 = 1 << 18;

/// How far the start of a block is searched for the first whole instruction, in bytes.
const SEARCH_BYTES: usize = 48;

/// Words of a block that the marks in [`Memory::values`] can tell.
const MARKS: usize = 32 * 64;

pub(super) fn step<A: Atlas>(
    view: &View<'_>,
    at: usize,
    memory: &mut Memory,
    atlas: &A,
    out: &mut [u8],
) -> Step {
    if memory.held == 0 {
        memory.held = 1;
        mark_literals(view, at, memory, atlas);
        let skip = view.old.get(at..).map_or(0, first_instruction);
        if skip > 0 && !is_literal(view, at, memory, atlas) {
            return Step { len: skip, teaches: false };
        }
    }
    if is_literal(view, at, memory, atlas) {
        let address = word(view.old, at).map(u64::from).filter(|address| atlas.is_address(*address));
        let moved = address.and_then(|address| atlas.moved(address));
        if let Some(moved) = moved {
            put(out, at, low(moved).to_le_bytes());
        }
        return Step { len: 4, teaches: moved.is_some() };
    }
    let Some((instruction, len)) = fetch(view.old, at) else { return Step { len: 1, teaches: false } };
    let Some(kind) = Kind::of(instruction) else { return Step { len, teaches: false } };
    let (old, new) = places(view, at, atlas);
    let target = kind.target(instruction, old);
    if let Some(predicted) = atlas.moved(target).and_then(|moved| kind.with_target(instruction, new, moved)) {
        let [a, b, c, _] = predicted.to_le_bytes();
        match len {
            2 => put(out, at, [a, b]),
            _ => put(out, at, [a, b, c]),
        }
    }
    Step { len, teaches: matches!(kind, Kind::Call | Kind::Literal) }
}

pub(super) fn learn<A: Atlas>(view: &View<'_>, at: usize, new: &[u8], atlas: &mut A) {
    if let Some(old) = address(view, at, atlas) {
        if let Some(new) = word(new, at).map(u64::from).filter(|new| atlas.is_address(*new)) {
            atlas.learn(old, new);
        }
        return;
    }
    let (Some((old, _)), Some((new, _))) = (fetch(view.old, at), fetch(new, at)) else { return };
    let (old_place, new_place) = places(view, at, atlas);
    if let Some(kind @ (Kind::Call | Kind::Literal)) = Kind::of(old)
        && kind.field().clear(old) == kind.field().clear(new)
    {
        atlas.learn(kind.target(old, old_place), kind.target(new, new_place));
    }
}

/// Instructions that hold a distance.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// CALL0 to CALL12.
    Call,
    /// L32R.
    Literal,
    /// J.
    Jump,
    /// The branches that hold 8 bits.
    Branch8,
    /// BEQZ, BNEZ, BGEZ, BLTZ.
    Branch12,
    /// LOOP, LOOPNEZ, LOOPGTZ.
    Loop,
    /// BEQZ.N, BNEZ.N.
    Short,
}

impl Kind {
    fn of(instruction: u32) -> Option<Self> {
        match (instruction & 15, instruction >> 4 & 3, instruction >> 6 & 3, instruction >> 12 & 15) {
            (1, ..) => Some(Self::Literal),
            (5, ..) => Some(Self::Call),
            (6, 0, ..) => Some(Self::Jump),
            (6, 1, ..) => Some(Self::Branch12),
            (6, 2, ..) | (6, 3, 1, 0 | 1) | (6, 3, 2 | 3, _) | (7, ..) => Some(Self::Branch8),
            (6, 3, 1, 8..=10) => Some(Self::Loop),
            (12, _, 2 | 3, _) => Some(Self::Short),
            _ => None,
        }
    }

    fn field(self) -> &'static Field {
        match self {
            Self::Call => &CALL,
            Self::Literal => &LITERAL,
            Self::Jump => &JUMP,
            Self::Branch8 => &BRANCH8,
            Self::Branch12 => &BRANCH12,
            Self::Loop => &LOOP,
            Self::Short => &SHORT,
        }
    }

    /// Returns the address from which the distance counts.
    fn origin(self, place: u64) -> u64 {
        match self {
            Self::Call => (place & !3).wrapping_add(4),
            Self::Literal => (place.wrapping_add(3) & !3).wrapping_sub(LITERAL_REACH),
            Self::Jump | Self::Branch8 | Self::Branch12 | Self::Loop | Self::Short => place.wrapping_add(4),
        }
    }

    fn target(self, instruction: u32, place: u64) -> u64 {
        self.origin(place).wrapping_add(self.field().get(instruction))
    }

    fn with_target(self, instruction: u32, place: u64, target: u64) -> Option<u32> {
        self.field().set(instruction, target.wrapping_sub(self.origin(place)))
    }
}

/// Reads the instruction at a place and says how long it is.
fn fetch(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let rest = bytes.get(at..)?;
    match *rest {
        // Formats 8 to 13 are narrow; 14 and 15 belong to extensions.
        [a, b, ..] if a & 15 >= 8 => Some((u32::from_le_bytes([a, b, 0, 0]), 2)),
        [a, b, c, ..] => Some((u32::from_le_bytes([a, b, c, 0]), 3)),
        _ => None,
    }
}

/// Marks the words of the block that its own code loads: they are literals, whatever they look like.
fn mark_literals<A: Atlas>(view: &View<'_>, start: usize, memory: &mut Memory, atlas: &A) {
    let base = atlas.old_address(view.old_offset);
    for at in start..view.old.len() {
        let Some((instruction, _)) = fetch(view.old, at).filter(|(instruction, _)| instruction & 15 == 1)
        else {
            continue;
        };
        let place = base.wrapping_add(u64::try_from(at).unwrap_or(0));
        let ahead = Kind::Literal.target(instruction, place).wrapping_sub(base & !3);
        let index = usize::try_from(ahead / 4).unwrap_or(usize::MAX);
        if index < MARKS
            && let Some(marks) = memory.values.get_mut(index / 64)
        {
            *marks |= 1 << (index % 64);
        }
    }
}

/// Says whether an aligned word is a literal: marked, or an address.
fn is_literal<A: Atlas>(view: &View<'_>, at: usize, memory: &Memory, atlas: &A) -> bool {
    let place = atlas.old_address(offset(view.old_offset, at));
    if !place.is_multiple_of(4) {
        return false;
    }
    let ahead = place.wrapping_sub(atlas.old_address(view.old_offset) & !3);
    let index = usize::try_from(ahead / 4).unwrap_or(usize::MAX);
    let marks = if index < MARKS { memory.values.get(index / 64) } else { None };
    let is_marked = marks.is_some_and(|marks| marks >> (index % 64) & 1 == 1);
    is_marked || address(view, at, atlas).is_some()
}

/// Returns the aligned word at `at` when it is an address.
fn address<A: Atlas>(view: &View<'_>, at: usize, atlas: &A) -> Option<u64> {
    let is_aligned = atlas.old_address(offset(view.old_offset, at)).is_multiple_of(4);
    let value = word(view.old, at).map(u64::from)?;
    (is_aligned && value >> 24 != 0 && atlas.is_address(value)).then_some(value)
}

/// Returns the first of three starts that meets the others' ways.
fn first_instruction(bytes: &[u8]) -> usize {
    let mut counts = [0_u8; SEARCH_BYTES];
    for start in 0..3 {
        let mut at = start;
        while let Some(count) = counts.get_mut(at) {
            *count += 1;
            at += fetch(bytes, at).map_or(1, |(_, len)| len);
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    let meeting = counts.iter().position(|count| *count == most).unwrap_or(0);
    (0..3).find(|start| leads(bytes, *start, meeting)).unwrap_or(0)
}

fn leads(bytes: &[u8], start: usize, to: usize) -> bool {
    let mut at = start;
    while at < to {
        at += fetch(bytes, at).map_or(1, |(_, len)| len);
    }
    at == to
}

#[cfg(test)]
mod tests;
