//! 32-bit Arm: branches, literal pools and the pointers in them.
//!
//! In: old code (Armv7-A ARM, DDI 0406, A5 "Arm instruction set encoding"). Out: the same code with its address fields
//! as they probably are now. Refuses nothing: fields that cannot hold the new value stay as they were.

use super::frame::{self, Purpose};
use super::pool::{self, Literal};
use super::words::{Spot, distance, low32, mask, put, signed, signed_field, u32_at, unsigned_field};
use super::{Memory, Step, View};
use crate::atlas::Atlas;

/// An instruction's length, in bytes.
const LEN: usize = 4;

/// What the program counter reads as, beyond the instruction's own address: A2.3.
const AHEAD: i64 = 8;

/// How many instructions may stand between two that belong together: a literal's load and the instruction that adds the
/// program counter, or MOVW and MOVT.
const PAIR_INSTRUCTIONS_MAX: usize = 16;

/// Branches that go this far, in bytes, leave the function: their targets are worth remembering.
const FAR_BYTES: u64 = 1 << 12;

/// What an instruction has to do with addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// B, BL, BLX: 24 bits of words; BLX has a halfword more.
    Jump,
    /// LDR (literal) and its kin: so many bits, in units of `1 << shift` bytes, and a sign.
    Literal { bits: u32, shift: u32 },
    /// ADR: ADD or SUB of a turned byte to the program counter.
    Adr,
    /// MOVW.
    Low,
    /// MOVT.
    High,
    /// Anything else.
    Other,
}

fn kind(word: u32) -> Kind {
    let conditional = word >> 28 != 15;
    if word & 0x0E00_0000 == 0x0A00_0000 {
        Kind::Jump
    } else if conditional && word & 0x0F3F_0000 == 0x051F_0000 {
        Kind::Literal { bits: 12, shift: 0 }
    } else if conditional && word & 0x0F3F_0E00 == 0x0D1F_0A00 {
        Kind::Literal { bits: 8, shift: 2 }
    } else if conditional && matches!(word & 0x0FFF_0000, 0x028F_0000 | 0x024F_0000) {
        Kind::Adr
    } else if conditional && word & 0x0FF0_0000 == 0x0300_0000 {
        Kind::Low
    } else if conditional && word & 0x0FF0_0000 == 0x0340_0000 {
        Kind::High
    } else {
        Kind::Other
    }
}

fn destination(word: u32) -> u32 {
    word >> 12 & 15
}

/// Returns how far it jumps from the program counter, in bytes: A8.8.18, A8.8.25.
fn jump(word: u32) -> i64 {
    let halfword = if word >> 28 == 15 { i64::from(word >> 24 & 1) << 1 } else { 0 };
    (signed(word, 24) << 2) + halfword
}

fn with_jump(word: u32, away: i64) -> Option<u32> {
    if word >> 28 == 15 {
        let field = signed_field(away, 1, 25)?;
        return Some(word & 0xFE00_0000 | (field & 1) << 24 | field >> 1);
    }
    Some(word & !mask(24) | signed_field(away, 2, 24)?)
}

/// Returns how far a literal is from the program counter, in bytes.
fn literal(word: u32, bits: u32, shift: u32) -> i64 {
    let size = i64::from(word & mask(bits)) << shift;
    if word >> 23 & 1 == 1 { size } else { -size }
}

fn with_literal(word: u32, bits: u32, shift: u32, away: i64) -> Option<u32> {
    let size = i64::try_from(away.unsigned_abs()).ok()?;
    // Minus zero is a form of its own: the sign stays as it was where there is nothing to sign.
    let up = if size == 0 { word >> 23 & 1 } else { u32::from(away > 0) };
    Some(word & !(1 << 23 | mask(bits)) | up << 23 | unsigned_field(size, shift, bits)?)
}

/// Returns how far ADR reaches: A5.2.4, a byte turned right by twice the upper four bits.
fn adr(word: u32) -> i64 {
    let size = i64::from((word & 255).rotate_right((word >> 8 & 15) * 2));
    if word >> 23 & 1 == 1 { size } else { -size }
}

/// Of the ways to turn a byte into the number, assemblers take the one with the smallest turn.
fn with_adr(word: u32, away: i64) -> Option<u32> {
    let size = u32::try_from(away.unsigned_abs()).ok()?;
    let turn = (0..16).find(|turn| size.rotate_left(turn * 2) <= 255)?;
    let form = if away >= 0 { 0x0080_0000 } else { 0x0040_0000 };
    Some(word & !(0x00C0_0000 | mask(12)) | form | turn << 8 | size.rotate_left(turn * 2))
}

/// Returns the 16 bits of a MOVW or MOVT.
fn half(word: u32) -> u32 {
    (word >> 16 & 15) << 12 | word & mask(12)
}

fn with_half(word: u32, half: u32) -> u32 {
    word & !(15 << 16 | mask(12)) | (half >> 12 & 15) << 16 | half & mask(12)
}

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
    let crooked = (spot.old_offset & 3) as usize;
    if crooked != 0 || rest < LEN {
        return Step { len: rest.min(LEN - crooked).max(1), teaches: false };
    }
    let Some(word) = u32_at(view.old, at) else { return Step { len: LEN, teaches: false } };
    let literal = pool::find(memory, spot.old_offset);
    let is_data = literal.is_some() || is_pointer(&spot, word);
    let predicted = match literal {
        Some(Literal { anchor: Some(anchor) }) => relative(&spot, word, anchor),
        Some(Literal { anchor: None }) | None if is_data => pointer(&spot, word),
        Some(_) | None => in_frame(word, memory).or_else(|| predict(&spot, word, view.old, at)),
    };
    if let Some(predicted) = predicted {
        put(out, at, predicted.to_le_bytes());
    }
    if !is_data {
        note_literal(&spot, word, view.old.get(at..).unwrap_or_default(), memory);
    }
    let teaches = is_data || frame_offset(word).is_some() || !matches!(kind(word), Kind::Low | Kind::Other);
    Step { len: LEN, teaches }
}

/// Returns what an instruction does to the stack frame, and the offset that it holds: a load or store of a word or byte, or
/// an ADD or SUB of a number.
fn frame_offset(word: u32) -> Option<(Purpose, i64)> {
    if word >> 28 == 15 {
        return None;
    }
    let size = i64::from(word & mask(12));
    match word & 0x0FFF_0000 {
        // STR with the address written back: LR, mostly, and room for the rest.
        0x052D_0000 => return Some((Purpose::Opens, size)),
        0x024D_0000 => return Some((Purpose::Opens, -adr(word))),
        _ => {}
    }
    match word & 0x0FEF_0000 {
        0x028D_0000 => Some((Purpose::Inside, adr(word))),
        _ if word & 0x0FAF_0000 == 0x058D_0000 || word & 0x0FFF_0000 == 0x049D_0000 => {
            Some((Purpose::Inside, size))
        }
        _ => None,
    }
}

fn in_frame(word: u32, memory: &Memory) -> Option<u32> {
    let (purpose, offset) = frame_offset(word)?;
    if purpose == Purpose::Opens {
        return None;
    }
    let new = frame::moved(memory, offset).filter(|new| *new != offset)?;
    if word & 0x0E00_0000 == 0x0200_0000 {
        return with_adr(word, new);
    }
    Some(word & !mask(12) | unsigned_field(new, 0, 12)?)
}

fn predict<A: Atlas>(spot: &Spot<'_, A>, word: u32, old: &[u8], at: usize) -> Option<u32> {
    let here = spot.new_address().wrapping_add(AHEAD.cast_unsigned());
    match kind(word) {
        Kind::Jump => {
            let target =
                if is_far_jump(word) { spot.far(AHEAD + jump(word)) } else { spot.near(AHEAD + jump(word)) };
            with_jump(word, distance(here, target?))
        }
        Kind::Literal { bits, shift } => {
            let target = spot.near(AHEAD + literal(word, bits, shift))?;
            with_literal(word, bits, shift, distance(here, target))
        }
        Kind::Adr => {
            let away = distance(here, spot.near(AHEAD + adr(word))?);
            if away == adr(word) { None } else { with_adr(word, away) }
        }
        Kind::Low => {
            let high = partner(old, at, word, Kind::High, 1)?;
            Some(with_half(word, moved(spot.atlas, half(high) << 16 | half(word))? & 0xFFFF))
        }
        Kind::High => {
            let low = partner(old, at, word, Kind::Low, -1)?;
            Some(with_half(word, moved(spot.atlas, half(word) << 16 | half(low))? >> 16))
        }
        Kind::Other => None,
    }
}

fn jump_target(place: u64, word: u32) -> u64 {
    place.wrapping_add((AHEAD + jump(word)).cast_unsigned()) & 0xFFFF_FFFF
}

/// Looks for the other half of an address for the same register, ahead or behind.
fn partner(bytes: &[u8], at: usize, word: u32, wanted: Kind, way: isize) -> Option<u32> {
    (1..=PAIR_INSTRUCTIONS_MAX.cast_signed()).find_map(|count| {
        let other = u32_at(bytes, at.checked_add_signed(way * count * LEN.cast_signed())?)?;
        (kind(other) == wanted && destination(other) == destination(word)).then_some(other)
    })
}

/// Remembers which word an LDR fetches, and whether the program counter is added to it soon after.
fn note_literal<A: Atlas>(spot: &Spot<'_, A>, word: u32, following: &[u8], memory: &mut Memory) {
    if let Some(offset) = loaded(spot.old_offset, word) {
        let anchor = anchor(following, destination(word)).and_then(|at| spot.old_offset.checked_add(at));
        pool::note(memory, offset, Literal { anchor });
    }
}

/// Returns where the word lies that an LDR fetches.
fn loaded(place: u32, word: u32) -> Option<u32> {
    let is_load = word >> 28 != 15 && word & 0x0F7F_0000 == 0x051F_0000;
    let away = is_load.then(|| AHEAD + literal(word, 12, 0))?;
    u32::try_from(i64::from(place) + away).ok()
}

/// Looks for the instruction that uses the sum of a register and the program counter: ADD or LDR.
fn anchor(following: &[u8], register: u32) -> Option<u32> {
    let words = following.as_chunks::<LEN>().0.iter().map(|chunk| u32::from_le_bytes(*chunk));
    for (index, word) in words.enumerate().take(PAIR_INSTRUCTIONS_MAX).skip(1) {
        let adds = word & 0x0FEF_0FF0 == 0x008F_0000 || word & 0x0FFF_0FF0 == 0x079F_0000;
        if adds && word & 15 == register {
            return u32::try_from(index * LEN).ok();
        }
        if loaded(0, word).is_some() && destination(word) == register {
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
    (spot.atlas.old_address(anchor).wrapping_add(8), new.wrapping_add(8))
}

fn is_pointer<A: Atlas>(spot: &Spot<'_, A>, word: u32) -> bool {
    word >= 0x1000 && spot.atlas.is_address(u64::from(word))
}

fn pointer<A: Atlas>(spot: &Spot<'_, A>, word: u32) -> Option<u32> {
    if is_pointer(spot, word) { moved(spot.atlas, word) } else { None }
}

fn moved<A: Atlas>(atlas: &A, word: u32) -> Option<u32> {
    atlas.moved(u64::from(word)).map(low32)
}

/// Learns where calls go and where pointers point.
pub(super) fn learn<A: Atlas>(view: &View<'_>, at: usize, memory: &mut Memory, new: &[u8], atlas: &mut A) {
    let spot = Spot::new(view, at, new.len(), atlas);
    if pool::find(memory, spot.old_offset).is_none()
        && let Some((purpose, old)) = u32_at(view.old, at).and_then(frame_offset)
        && let Some((new_purpose, new)) = u32_at(new, at).and_then(frame_offset)
        && purpose == new_purpose
    {
        frame::learn(memory, purpose, (old, new));
        return;
    }
    let lesson =
        u32_at(view.old, at).zip(u32_at(new, at)).and_then(|(old_word, new_word)| {
            match pool::find(memory, spot.old_offset) {
                Some(Literal { anchor: Some(anchor) }) => {
                    Some(relative_lesson(&spot, anchor, old_word, new_word))
                }
                Some(Literal { anchor: None }) | None if is_pointer(&spot, old_word) => {
                    is_pointer(&spot, new_word).then_some((u64::from(old_word), u64::from(new_word)))
                }
                Some(_) => None,
                None => {
                    jump_lesson(&spot, old_word, new_word).or_else(|| pair_lesson(&spot, view.old, at, new))
                }
            }
        });
    if let Some((old, new)) = lesson {
        atlas.learn(old, new);
    }
}

fn jump_lesson<A: Atlas>(spot: &Spot<'_, A>, old: u32, new: u32) -> Option<(u64, u64)> {
    let (away, new_away) = away(old).zip(away(new)).filter(|_| kind(old) == kind(new))?;
    if kind(old) == Kind::Jump && is_far_jump(old) {
        let same = (old ^ new) >> 25 == 0;
        return same.then(|| (jump_target(spot.old(), old), jump_target(spot.new_address(), new)));
    }
    spot.near_lesson(away, new_away)
}

/// Returns how far the target of a branch, of a literal's load or of ADR is, in bytes.
fn away(word: u32) -> Option<i64> {
    match kind(word) {
        Kind::Jump => Some(AHEAD + jump(word)),
        Kind::Literal { bits, shift } => Some(AHEAD + literal(word, bits, shift)),
        Kind::Adr => Some(AHEAD + adr(word)),
        Kind::Low | Kind::High | Kind::Other => None,
    }
}

/// Calls and long jumps leave the function: their targets are worth remembering in any case. BL has bit 24 set, and
/// BLX all of the condition.
fn is_far_jump(word: u32) -> bool {
    word >> 28 == 15 || word >> 24 & 1 == 1 || jump(word).unsigned_abs() >= FAR_BYTES
}

/// What a MOVT teaches, together with the MOVW before it.
fn pair_lesson<A: Atlas>(spot: &Spot<'_, A>, old: &[u8], at: usize, new: &[u8]) -> Option<(u64, u64)> {
    let value = |bytes: &[u8]| {
        let high = u32_at(bytes, at).filter(|word| kind(*word) == Kind::High)?;
        let low = partner(bytes, at, high, Kind::Low, -1)?;
        Some(u64::from(half(high)) << 16 | u64::from(half(low)))
    };
    let (old, new) = (value(old)?, value(new)?);
    (spot.atlas.is_address(old) && spot.atlas.is_address(new)).then_some((old, new))
}

/// What a literal teaches to which the program counter is added.
fn relative_lesson<A: Atlas>(spot: &Spot<'_, A>, anchor: u32, old_word: u32, new_word: u32) -> (u64, u64) {
    let (old_pc, new_pc) = anchors(spot, anchor);
    let target = |from: u64, word: u32| from.wrapping_add(u64::from(word)) & 0xFFFF_FFFF;
    (target(old_pc, old_word), target(new_pc, new_word))
}

#[cfg(test)]
mod tests;
