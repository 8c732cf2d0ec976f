//! 32-bit Arm with 16-bit instructions: branches, literal pools and the pointers in them.
//!
//! In: old code (Armv7-M ARM, DDI 0403, A5 "The Thumb instruction set encoding"). Out: the same code with its address
//! fields as they probably are now. Refuses nothing: fields that cannot hold the new value stay as they were.

mod instruction;

use self::instruction::{Instruction, Kind};
use super::frame::{self, Purpose};
use super::pool::{self, Literal};
use super::words::{Spot, distance, low32, mask, put, signed_field, u32_at, unsigned_field};
use super::{Memory, Step, View};
use crate::atlas::Atlas;

/// How many halfwords may stand between the load of a literal and the instruction that adds the program counter.
const ANCHOR_HALFWORDS_MAX: usize = 32;

/// How many halfwords may stand between MOVW and MOVT of one address.
const PAIR_HALFWORDS_MAX: usize = 16;

/// Where the RAM of microcontrollers with such cores lies (B3.1: the SRAM region): no file holds it, but what pools say
/// of it teaches where variables went.
const RAM: core::ops::Range<u64> = 0x2000_0000..0x2010_0000;

/// Predicts the instruction or the literal at `at`.
pub(super) fn step<A: Atlas>(
    view: &View<'_>,
    at: usize,
    memory: &mut Memory,
    atlas: &A,
    out: &mut [u8],
) -> Step {
    let rest = out.len().saturating_sub(at);
    let spot = Spot::new(view, at, out.len(), atlas);
    if spot.old_offset & 1 == 1 || rest < 2 {
        return Step { len: 1, teaches: false };
    }
    if let Some(word) = u32_at(view.old, at).filter(|_| rest >= 4 && spot.old_offset.is_multiple_of(4)) {
        let literal = pool::find(memory, spot.old_offset);
        let predicted = match literal {
            Some(Literal { anchor: Some(anchor) }) => relative(&spot, word, anchor),
            Some(Literal { anchor: None }) | None => pointer(&spot, word),
        };
        if let Some(predicted) = predicted {
            put(out, at, predicted.to_le_bytes());
        }
        if literal.is_some() || is_pointer(&spot, word) {
            return Step { len: 4, teaches: true };
        }
    }
    let Some(instruction) = Instruction::read(view.old, at).filter(|instruction| instruction.len <= rest)
    else {
        return Step { len: 2, teaches: false };
    };
    let kind = instruction.kind();
    if let Some(predicted) =
        in_frame(instruction, memory).or_else(|| predict(&spot, instruction, kind, view.old, at))
    {
        predicted.write(out, at);
    }
    note_literal(&spot, instruction, kind, view.old.get(at..).unwrap_or_default(), memory);
    let teaches = !matches!(kind, Kind::Low { .. } | Kind::Other) || instruction.frame_field().is_some();
    Step { len: instruction.len, teaches }
}

fn in_frame(instruction: Instruction, memory: &Memory) -> Option<Instruction> {
    let field = instruction.frame_field().filter(|field| field.purpose == Purpose::Inside)?;
    let word = field.write(instruction.word(), frame::moved(memory, field.read(instruction.word()))?)?;
    Some(Instruction { first: word & 0xFFFF, second: word >> 16, len: instruction.len })
}

fn predict<A: Atlas>(
    spot: &Spot<'_, A>,
    instruction: Instruction,
    kind: Kind,
    old: &[u8],
    at: usize,
) -> Option<Instruction> {
    let Instruction { first, .. } = instruction;
    let here = spot.new_address().wrapping_add(4);
    let narrow = |first: u32| Some(Instruction { first, second: 0, len: 2 });
    match kind {
        Kind::Short { bits } => {
            let target = near(spot, instruction)?;
            narrow(first & !mask(bits) | signed_field(distance(here, target), 1, bits)?)
        }
        Kind::IfZero => {
            let field = unsigned_field(distance(here, near(spot, instruction)?), 1, 6)?;
            narrow(first & !(1 << 9 | mask(5) << 3) | field >> 5 << 9 | (field & mask(5)) << 3)
        }
        Kind::Literal { .. } => {
            let target = near(spot, instruction)?;
            narrow(first & !mask(8) | unsigned_field(distance(here & !3, target), 2, 8)?)
        }
        Kind::Jump { to_arm } => {
            let (old_pc, new_pc) = program_counters(spot, to_arm);
            let target = spot.far(distance(spot.old(), old_pc) + instruction.jump())?;
            let away = distance(new_pc, target);
            // BLX reaches whole words only.
            if to_arm && away & 3 != 0 { None } else { instruction.with_jump(away) }
        }
        Kind::WideIf => {
            let target = near(spot, instruction)?;
            instruction.with_wide_if(distance(here, target))
        }
        Kind::WideLiteral { .. } => {
            let target = near(spot, instruction)?;
            instruction.with_literal(distance(here & !3, target), 12, 0)
        }
        Kind::WordLiteral => {
            let target = near(spot, instruction)?;
            instruction.with_literal(distance(here & !3, target), 8, 2)
        }
        Kind::Low { register } => {
            let high = partner(old, at, 1, (kind, Kind::High { register }))?;
            let value = moved_pair(spot, high.half() << 16 | instruction.half())?;
            Some(instruction.with_half(value & 0xFFFF))
        }
        Kind::High { register } => {
            let low = partner(old, at, -1, (kind, Kind::Low { register }))?;
            let value = moved_pair(spot, instruction.half() << 16 | low.half())?;
            Some(instruction.with_half(value >> 16))
        }
        Kind::Other => None,
    }
}

/// Returns the new address of a near branch's target or of a literal.
fn near<A: Atlas>(spot: &Spot<'_, A>, instruction: Instruction) -> Option<u64> {
    spot.near(instruction.away(spot.old_offset)?)
}

/// Returns what the program counter reads as for a jump, in the old and in the new file. BLX starts from a whole word:
/// DDI 0406, A8.8.25.
fn program_counters<A: Atlas>(spot: &Spot<'_, A>, to_arm: bool) -> (u64, u64) {
    let read = |address: u64| if to_arm { address.wrapping_add(4) & !3 } else { address.wrapping_add(4) };
    (read(spot.old()), read(spot.new_address()))
}

/// Returns where the literal lies that the instruction at `place` of the old file fetches.
fn fetched(place: u32, instruction: Instruction) -> Option<u32> {
    u32::try_from(i64::from(place).checked_add(instruction.literal_away(place)?)?).ok()
}

/// Remembers which word a load fetches, and whether the program counter is added to it soon after.
fn note_literal<A: Atlas>(
    spot: &Spot<'_, A>,
    instruction: Instruction,
    kind: Kind,
    following: &[u8],
    memory: &mut Memory,
) {
    let (Kind::Literal { load: Some(register) } | Kind::WideLiteral { load: Some(register) }) = kind else {
        return;
    };
    if let Some(offset) = fetched(spot.old_offset, instruction) {
        let anchor = anchor(following, register).and_then(|at| spot.old_offset.checked_add(at));
        pool::note(memory, offset, Literal { anchor });
    }
}

/// Looks for the instruction that adds the program counter to a register: ADD Rdn, PC (A7.7.4, encoding T2).
fn anchor(following: &[u8], register: u32) -> Option<u32> {
    let mut at = 0;
    for index in 0..ANCHOR_HALFWORDS_MAX {
        let instruction = Instruction::read(following, at)?;
        if instruction.len == 2 && instruction.first == (0x4478 | (register & 8) << 4 | register & 7) {
            return u32::try_from(at).ok();
        }
        let kind = instruction.kind();
        if index > 0
            && (kind == Kind::Literal { load: Some(register) }
                || kind == Kind::WideLiteral { load: Some(register) })
        {
            return None;
        }
        at += instruction.len;
    }
    None
}

/// Looks for the other half of an address, ahead or behind, unless another one like this comes first.
fn partner(old: &[u8], at: usize, way: isize, (own, wanted): (Kind, Kind)) -> Option<Instruction> {
    for halfwords in 2..=PAIR_HALFWORDS_MAX.cast_signed() {
        let other = Instruction::read(old, at.checked_add_signed(way * halfwords * 2)?)?;
        let kind = other.kind();
        if other.len == 4 && kind == wanted {
            return Some(other);
        }
        if other.len == 4 && kind == own {
            return None;
        }
    }
    None
}

/// Predicts a literal to which the instruction at `anchor` of the old file adds the program counter.
fn relative<A: Atlas>(spot: &Spot<'_, A>, word: u32, anchor: u32) -> Option<u32> {
    let (old, new) = anchors(spot, anchor);
    let target = spot.atlas.moved(old.wrapping_add(u64::from(word)) & 0xFFFF_FFFF)?;
    Some(low32(target.wrapping_sub(new)))
}

/// Returns what the program counter reads as at `anchor` of the old file, then and now.
fn anchors<A: Atlas>(spot: &Spot<'_, A>, anchor: u32) -> (u64, u64) {
    let away = i64::from(anchor) - i64::from(spot.old_offset);
    let new = spot.near(away).unwrap_or_default();
    (spot.atlas.old_address(anchor).wrapping_add(4), new.wrapping_add(4))
}

fn is_pointer<A: Atlas>(spot: &Spot<'_, A>, word: u32) -> bool {
    let value = u64::from(word);
    spot.new_offset.is_multiple_of(4)
        && (word >= 0x1000 && spot.atlas.is_address(value) || RAM.contains(&value))
}

fn pointer<A: Atlas>(spot: &Spot<'_, A>, word: u32) -> Option<u32> {
    if is_pointer(spot, word) { moved(spot.atlas, word) } else { None }
}

/// Returns the new value of a pointer. Its lowest bit says that Thumb code lies there, or that a string starts at an odd
/// address: it is part of the address, since the second byte of a function moves with it as the first byte of a string does.
fn moved<A: Atlas>(atlas: &A, word: u32) -> Option<u32> {
    atlas.moved(word.into()).map(low32)
}

/// Says whether MOVW and MOVT can have put this address together: files that are loaded anywhere hold numbers only.
fn is_pair<A: Atlas>(spot: &Spot<'_, A>, value: u64) -> bool {
    spot.atlas.is_address(value) && spot.atlas.old_address(0) != 0 || RAM.contains(&value)
}

fn moved_pair<A: Atlas>(spot: &Spot<'_, A>, value: u32) -> Option<u32> {
    if is_pair(spot, u64::from(value)) { moved(spot.atlas, value) } else { None }
}

/// Learns where calls go and where pointers point.
pub(super) fn learn<A: Atlas>(view: &View<'_>, at: usize, memory: &mut Memory, new: &[u8], atlas: &mut A) {
    let spot = Spot::new(view, at, new.len(), atlas);
    if pool::find(memory, spot.old_offset).is_none()
        && let Some((old, new)) = Instruction::read(view.old, at).zip(Instruction::read(new, at))
        && let Some(field) = old.frame_field()
        && new.frame_field() == Some(field)
    {
        frame::learn(memory, field.purpose, (field.read(old.word()), field.read(new.word())));
        return;
    }
    let lesson = literal_lesson(&spot, memory, view.old, at, new)
        .or_else(|| jump_lesson(&spot, view.old, at, new))
        .or_else(|| pair_lesson(&spot, view.old, at, new));
    if let Some((old, new)) = lesson {
        atlas.learn(old, new);
    }
}

fn literal_lesson<A: Atlas>(
    spot: &Spot<'_, A>,
    memory: &Memory,
    old: &[u8],
    at: usize,
    new: &[u8],
) -> Option<(u64, u64)> {
    if !spot.old_offset.is_multiple_of(4) {
        return None;
    }
    let literal = pool::find(memory, spot.old_offset);
    let (word, new_word) = (u32_at(old, at)?, u32_at(new, at)?);
    let Some(Literal { anchor: Some(anchor) }) = literal else {
        let both = is_pointer(spot, word) && is_pointer(spot, new_word);
        return both.then_some((u64::from(word), u64::from(new_word)));
    };
    let (old_pc, new_pc) = anchors(spot, anchor);
    let target = |from: u64, word: u32| from.wrapping_add(u64::from(word)) & 0xFFFF_FFFF;
    Some((target(old_pc, word), target(new_pc, new_word)))
}

fn jump_lesson<A: Atlas>(spot: &Spot<'_, A>, old: &[u8], at: usize, new: &[u8]) -> Option<(u64, u64)> {
    let (old, new) = (Instruction::read(old, at)?, Instruction::read(new, at)?);
    if let Kind::Jump { to_arm } = old.kind()
        && old.is_far_jump()
    {
        let (old_pc, new_pc) = program_counters(spot, to_arm);
        let target = |from: u64, jump: i64| from.wrapping_add(jump.cast_unsigned()) & 0xFFFF_FFFF;
        let same = new.kind() == old.kind();
        return same.then(|| (target(old_pc, old.jump()), target(new_pc, new.jump())));
    }
    let (away, new_away) = (old.away(spot.old_offset)?, new.away(spot.new_offset)?);
    spot.near_lesson(away, new_away).filter(|_| old.len == new.len)
}

/// What a MOVT teaches, together with the MOVW before it.
fn pair_lesson<A: Atlas>(spot: &Spot<'_, A>, old: &[u8], at: usize, new: &[u8]) -> Option<(u64, u64)> {
    let value = |bytes: &[u8]| {
        let high = Instruction::read(bytes, at)?;
        let Kind::High { register } = high.kind() else { return None };
        let low = partner(bytes, at, -1, (high.kind(), Kind::Low { register }))?;
        Some(u64::from(high.half()) << 16 | u64::from(low.half()))
    };
    let (old, new) = (value(old)?, value(new)?);
    (is_pair(spot, old) && is_pair(spot, new)).then_some((old, new))
}

#[cfg(test)]
mod tests;
