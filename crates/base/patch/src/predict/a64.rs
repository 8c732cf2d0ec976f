//! 64-bit Arm: branches, and addresses that are put together from a page and an offset in it.
//!
//! In: old code (Arm ARM, DDI 0487, C4.1 "A64 instruction set encoding"). Out: the same code with its address fields
//! as they probably are now. Refuses nothing: fields that cannot hold the new value stay as they were.

use super::frame::{self, Field, Purpose, Sign};
use super::words::{Spot, distance, mask, put, signed, signed_field, u32_at, u64_at, unsigned_field};
use super::{Memory, Step, View};
use crate::atlas::Atlas;

/// An instruction's length, in bytes.
const LEN: usize = 4;

/// How many instructions may stand between an ADRP and the one that adds the offset in the page: compilers pull them
/// apart, rarely further.
const PAIR_INSTRUCTIONS_MAX: usize = 24;

/// The part of an address that ADRP leaves out.
const PAGE_MASK: u64 = 0xFFF;

/// Branches that go this far, in bytes, leave the function: their targets are worth remembering.
const FAR_BYTES: u64 = 1 << 12;

/// What an instruction has to do with addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// B, BL: 26 bits.
    Jump,
    /// B.cond, CBZ, CBNZ, TBZ, TBNZ, LDR (literal): so many bits from bit 5 on, in words.
    Near { bits: u32 },
    /// ADR.
    Adr,
    /// ADRP.
    Adrp,
    /// ADD (immediate), LDR, STR (unsigned offset): 12 bits, in units of `1 << scale` bytes.
    Low { scale: u32 },
    /// Anything else.
    Other,
}

fn kind(word: u32) -> Kind {
    if word & 0x7C00_0000 == 0x1400_0000 {
        Kind::Jump
    } else if word & 0xFF00_0000 == 0x5400_0000
        || word & 0x7E00_0000 == 0x3400_0000
        || word & 0x3B00_0000 == 0x1800_0000
    {
        Kind::Near { bits: 19 }
    } else if word & 0x7E00_0000 == 0x3600_0000 {
        Kind::Near { bits: 14 }
    } else if word & 0x9F00_0000 == 0x1000_0000 {
        Kind::Adr
    } else if word & 0x9F00_0000 == 0x9000_0000 {
        Kind::Adrp
    } else if word & 0xFFC0_0000 == 0x9100_0000 {
        Kind::Low { scale: 0 }
    } else if word & 0x3B00_0000 == 0x3900_0000 {
        // Loads and stores of 128-bit registers say so in opc, not in size.
        let scale = if word & 0x0480_0000 == 0x0480_0000 { 4 } else { word >> 30 };
        Kind::Low { scale }
    } else {
        Kind::Other
    }
}

fn destination(word: u32) -> u32 {
    word & 31
}

fn base(word: u32) -> u32 {
    word >> 5 & 31
}

/// Returns the distance that ADR and ADRP hold: bytes, or pages.
fn adr_distance(word: u32) -> i64 {
    signed((word >> 5 & mask(19)) << 2 | word >> 29 & 3, 21)
}

/// Returns the offset in the page that an ADD, LDR or STR holds.
fn low_offset(word: u32, scale: u32) -> u64 {
    u64::from(word >> 10 & mask(12)) << scale
}

/// Returns the page that an ADRP at `address` means.
fn page(address: u64, word: u32) -> u64 {
    (address & !PAGE_MASK).wrapping_add((adr_distance(word) << 12).cast_unsigned())
}

/// Predicts the instruction at `at`.
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
    if let Some((old, new)) = pointer(&spot, view.old, at, out.len()) {
        if let Some(new) = new {
            put(out, at, new.to_le_bytes());
        }
        return Step { len: 8, teaches: is_pointer(old) };
    }
    let mut teaches = false;
    let predicted = match kind(word) {
        _ if frame_field(word).is_some() => {
            teaches = true;
            in_frame(word, memory)
        }
        Kind::Jump => {
            teaches = true;
            jump(&spot, word)
        }
        Kind::Near { bits } => {
            teaches = true;
            near(&spot, word, bits)
        }
        Kind::Adr => {
            teaches = true;
            adr(&spot, word)
        }
        Kind::Adrp => adrp(&spot, word, view.old.get(at + LEN..).unwrap_or_default()),
        Kind::Low { scale } => {
            let page = held(memory, word, scale);
            teaches = page.is_some();
            page.and_then(|page| low(&spot, word, scale, page))
        }
        Kind::Other => None,
    };
    remember(&spot, word, memory);
    if let Some(word) = predicted {
        put(out, at, word.to_le_bytes());
    }
    Step { len: LEN, teaches }
}

fn jump<A: Atlas>(spot: &Spot<'_, A>, word: u32) -> Option<u32> {
    let away = signed(word, 26) << 2;
    let target = if is_far_jump(word) { spot.far(away) } else { spot.near(away) };
    let field = signed_field(distance(spot.new_address(), target?), 2, 26)?;
    Some(word & !mask(26) | field)
}

/// Calls and long jumps leave the function: their targets are worth remembering in any case.
fn is_far_jump(word: u32) -> bool {
    word >> 31 == 1 || (signed(word, 26) << 2).unsigned_abs() >= FAR_BYTES
}

fn near<A: Atlas>(spot: &Spot<'_, A>, word: u32, bits: u32) -> Option<u32> {
    let away = signed(word >> 5, bits) << 2;
    let field = signed_field(distance(spot.new_address(), spot.near(away)?), 2, bits)?;
    Some(word & !(mask(bits) << 5) | field << 5)
}

fn adr<A: Atlas>(spot: &Spot<'_, A>, word: u32) -> Option<u32> {
    let target = spot.near(adr_distance(word))?;
    let field = signed_field(distance(spot.new_address(), target), 0, 21)?;
    Some(with_adr(word, field))
}

fn with_adr(word: u32, field: u32) -> u32 {
    word & !(mask(2) << 29 | mask(19) << 5) | (field & 3) << 29 | field >> 2 << 5
}

/// The page is known only with the offset in it: a target close to a page's end may have moved to the next one.
fn adrp<A: Atlas>(spot: &Spot<'_, A>, word: u32, following: &[u8]) -> Option<u32> {
    let page = page(spot.old(), word);
    let offset = paired_offset(following, destination(word)).unwrap_or(0);
    let target = spot.atlas.moved(page.wrapping_add(offset))?;
    let pages = distance(spot.new_address() & !PAGE_MASK, target & !PAGE_MASK) >> 12;
    Some(with_adr(word, signed_field(pages, 0, 21)?))
}

/// Looks for the offset in the page that goes with an ADRP to `register`.
fn paired_offset(following: &[u8], register: u32) -> Option<u64> {
    for chunk in following.as_chunks::<LEN>().0.iter().take(PAIR_INSTRUCTIONS_MAX) {
        let word = u32::from_le_bytes(*chunk);
        if let Kind::Low { scale } = kind(word)
            && base(word) == register
        {
            return Some(low_offset(word, scale));
        }
        if written(word) >> register & 1 == 1 {
            return None;
        }
    }
    None
}

fn low<A: Atlas>(spot: &Spot<'_, A>, word: u32, scale: u32, page: u64) -> Option<u32> {
    let target = spot.atlas.moved(page.wrapping_add(low_offset(word, scale)))? & PAGE_MASK;
    let field = unsigned_field(target.cast_signed(), scale, 12)?;
    Some(word & !(mask(12) << 10) | field << 10)
}

/// Returns where an instruction holds an offset from the stack pointer.
fn frame_field(word: u32) -> Option<Field> {
    if base(word) != 31 {
        return None;
    }
    let (up, inside) = (Sign::Up, Purpose::Inside);
    match kind(word) {
        Kind::Low { scale } => return Some(Field { lowest: 10, bits: 12, scale, sign: up, purpose: inside }),
        _ if word & 0xFFC0_0000 == 0xD100_0000 => {
            return Some(Field { lowest: 10, bits: 12, scale: 0, sign: up, purpose: Purpose::Opens });
        }
        _ => {}
    }
    // Stores that move the stack pointer down first open a frame; the numbers are those of the addressing modes.
    let form = |mode: u32| match mode {
        3 if word >> 22 & 1 == 0 => (Sign::Down, Purpose::Opens),
        _ => (Sign::Both, inside),
    };
    if word & 0x3A00_0000 == 0x2800_0000 {
        // Pairs: registers of 64 bits, or of 32, 64 and 128 bits in the vector file.
        let scale = 2 + if word >> 26 & 1 == 1 { word >> 30 } else { word >> 31 };
        let (sign, purpose) = form(word >> 23 & 3);
        return Some(Field { lowest: 15, bits: 7, scale, sign, purpose });
    }
    if word & 0x3B20_0000 == 0x3800_0000 && word >> 10 & 3 != 2 {
        let (sign, purpose) = form(word >> 10 & 3);
        return Some(Field { lowest: 12, bits: 9, scale: 0, sign, purpose });
    }
    None
}

fn in_frame(word: u32, memory: &Memory) -> Option<u32> {
    let field = frame_field(word).filter(|field| field.purpose == Purpose::Inside)?;
    field.write(word, frame::moved(memory, field.read(word))?)
}

/// Returns the page in the base register of an ADD, LDR or STR. Where the code in between has put something else into
/// the register, the page counts only for an offset that it had before: what stands there is reached from elsewhere.
fn held(memory: &Memory, word: u32, scale: u32) -> Option<u64> {
    let register = base(word);
    let value = *memory.values.get(register as usize)?;
    let offset = low_offset(word, scale);
    let sure = memory.held >> register & 1 == 1;
    (sure || value != 0 && offset == value & PAGE_MASK).then_some(value & !PAGE_MASK)
}

/// Keeps account of which register holds which page; the offset that went with it stands in the lowest bits.
fn remember<A: Atlas>(spot: &Spot<'_, A>, word: u32, memory: &mut Memory) {
    if let Kind::Low { scale } = kind(word)
        && memory.held >> base(word) & 1 == 1
        && let Some(value) = memory.values.get_mut(base(word) as usize)
    {
        *value = *value & !PAGE_MASK | low_offset(word, scale) & PAGE_MASK;
    }
    memory.held &= !written(word);
    if kind(word) == Kind::Adrp
        && let Some(value) = memory.values.get_mut(destination(word) as usize)
    {
        *value = page(spot.old(), word);
        memory.held |= 1 << destination(word);
    }
}

/// Returns the registers that an instruction overwrites, a bit each, as far as it matters here.
fn written(word: u32) -> u32 {
    let first = 1 << destination(word);
    match word >> 25 & 15 {
        // Data processing, immediate and register.
        8 | 9 | 5 | 13 => first,
        10 | 11 => match word & 0xFC00_0000 {
            // BL, and BLR among the branches to a register: a call may use X0 to X18 and X30 (AAPCS64, 6.1.1).
            0x9400_0000 => 0x4007_FFFF,
            0xD400_0000 if word & 0xFFFF_FC1F == 0xD63F_0000 => 0x4007_FFFF,
            // RET: what follows is another function, or reached from elsewhere.
            0xD400_0000 if word & 0xFFFF_FC1F == 0xD65F_0000 => 0,
            _ => 0,
        },
        4 | 6 | 12 | 14 => written_by_access(word),
        _ => 0,
    }
}

/// The same for loads and stores.
fn written_by_access(word: u32) -> u32 {
    let from_stack = base(word) == 31;
    let (first, second, base) = (1 << destination(word), 1 << (word >> 10 & 31), 1 << base(word));
    let general = word >> 26 & 1 == 0;
    // X19 to X28 come back from the stack where a function ends, which it may do more than once.
    let kept = if from_stack { 0x1FF8_0000 } else { 0 };
    let loads = |yes: bool, registers: u32| if yes && general { registers & !kept } else { 0 };
    match word >> 27 & 7 {
        // Pairs; bit 23 stands for the forms that write the base back.
        5 => loads(word >> 22 & 1 == 1, first | second) | if word >> 23 & 1 == 1 { base } else { 0 },
        3 if word >> 24 & 1 == 0 => loads(true, first),
        7 if word >> 24 & 1 == 1 => loads(word >> 22 & 3 != 0, first),
        7 if word >> 21 & 1 == 0 => {
            loads(word >> 22 & 3 != 0, first) | if word >> 10 & 1 == 1 { base } else { 0 }
        }
        7 => loads(word >> 22 & 3 != 0 || (word >> 10).is_multiple_of(4), first),
        1 => loads(word >> 22 & 1 == 1, first),
        _ => 0,
    }
}

/// Returns the 64-bit pointer at `at`, if there is one, with its new value: code holds no words that look like one,
/// since the upper half would be UDF or lie in an unallocated space.
fn pointer<A: Atlas>(spot: &Spot<'_, A>, old: &[u8], at: usize, end: usize) -> Option<(u64, Option<u64>)> {
    let aligned = spot.old_offset.is_multiple_of(8) && at.checked_add(8)? <= end;
    let value =
        u64_at(old, at).filter(|value| aligned && is_pointer(*value) && spot.atlas.is_address(*value))?;
    Some((value, spot.atlas.moved(value)))
}

fn is_pointer(value: u64) -> bool {
    matches!(value >> 32, 0 | 0xFFFF_0000..) && value & 0xFFFF_FFFF >= 0x1000
}

/// Learns where calls go, what pairs of instructions address, and where pointers point.
pub(super) fn learn<A: Atlas>(view: &View<'_>, at: usize, memory: &mut Memory, new: &[u8], atlas: &mut A) {
    if let Some((old, new)) = u32_at(view.old, at).zip(u32_at(new, at))
        && let Some(field) = frame_field(old)
        && frame_field(new) == Some(field)
    {
        frame::learn(memory, field.purpose, (field.read(old), field.read(new)));
        return;
    }
    let spot = Spot::new(view, at, new.len(), atlas);
    let lesson = pointer_lesson(&spot, view.old, at, new)
        .or_else(|| jump_lesson(&spot, view.old, at, new))
        .or_else(|| pair_lesson(view, at, new, atlas));
    if let Some((old, new)) = lesson {
        atlas.learn(old, new);
    }
}

fn pointer_lesson<A: Atlas>(spot: &Spot<'_, A>, old: &[u8], at: usize, new: &[u8]) -> Option<(u64, u64)> {
    let (value, _) = pointer(spot, old, at, new.len())?;
    Some((value, u64_at(new, at).filter(|new| is_pointer(*new))?))
}

fn jump_lesson<A: Atlas>(spot: &Spot<'_, A>, old: &[u8], at: usize, new: &[u8]) -> Option<(u64, u64)> {
    let (old, new) = (u32_at(old, at)?, u32_at(new, at)?);
    let away = away(old)?;
    let new_away = self::away(new).filter(|_| kind(old) == kind(new))?;
    if kind(old) == Kind::Jump && is_far_jump(old) {
        let target = |place: u64, away: i64| place.wrapping_add(away.cast_unsigned());
        return (old >> 31 == new >> 31)
            .then(|| (target(spot.old(), away), target(spot.new_address(), new_away)));
    }
    spot.near_lesson(away, new_away)
}

/// Returns how far the target of a branch, of a literal's load or of ADR is, in bytes.
fn away(word: u32) -> Option<i64> {
    match kind(word) {
        Kind::Jump => Some(signed(word, 26) << 2),
        Kind::Near { bits } => Some(signed(word >> 5, bits) << 2),
        Kind::Adr => Some(adr_distance(word)),
        Kind::Adrp | Kind::Low { .. } | Kind::Other => None,
    }
}

/// What an ADD, LDR or STR teaches if an ADRP stands before it, in the old and in the new code.
fn pair_lesson<A: Atlas>(view: &View<'_>, at: usize, new: &[u8], atlas: &A) -> Option<(u64, u64)> {
    let (old_word, new_word) = (u32_at(view.old, at)?, u32_at(new, at)?);
    let Kind::Low { scale } = kind(old_word) else { return None };
    if (old_word ^ new_word) & !(mask(12) << 10) != 0 {
        return None;
    }
    for back in 1..=PAIR_INSTRUCTIONS_MAX {
        let before = at.checked_sub(back * LEN)?;
        let word = u32_at(view.old, before)?;
        if kind(word) == Kind::Adrp && destination(word) == base(old_word) {
            let (spot, new_word_before) = (Spot::new(view, before, new.len(), atlas), u32_at(new, before)?);
            let same = (word ^ new_word_before) & 0x9F00_001F == 0;
            let old = page(spot.old(), word).wrapping_add(low_offset(old_word, scale));
            let new = page(spot.new_address(), new_word_before).wrapping_add(low_offset(new_word, scale));
            return same.then_some((old, new));
        }
        if written(word) >> base(old_word) & 1 == 1 {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests;
