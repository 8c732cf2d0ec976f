//! RISC-V, 32 and 64 bits, with and without compressed instructions.
//!
//! In: a block of old code. Out: the same with jumps, branches, the pairs that make an address (AUIPC or LUI, then
//! twelve bits more) and the pointers between the code as they probably are now. Refuses nothing.
//!
//! Encodings: RISC-V Instruction Set Manual, volume I, chapters 2 (RV32I) and 26 (C extension).

use super::fields::{Field, fits, half, low, offset, places, put, signed, word};
use super::{Arch, Memory, Step, View};
use crate::atlas::Atlas;

/// How many instructions behind AUIPC or LUI the low twelve bits are looked for.
const PAIR_INSTRUCTIONS_MAX: usize = 12;

/// How many bytes [`PAIR_INSTRUCTIONS_MAX`] instructions are at most.
const PAIR_BYTES_MAX: usize = 4 * PAIR_INSTRUCTIONS_MAX;

const JAL: Field = Field { pieces: &[(1, 21, 10), (11, 20, 1), (12, 12, 8), (20, 31, 1)], bits: 21 };
const BRANCH: Field = Field { pieces: &[(1, 8, 4), (5, 25, 6), (11, 7, 1), (12, 31, 1)], bits: 13 };
const LOW: Field = Field { pieces: &[(0, 20, 12)], bits: 12 };
const LOW_STORE: Field = Field { pieces: &[(0, 7, 5), (5, 25, 7)], bits: 12 };
const SHORT_JUMP: Field = Field {
    pieces: &[(1, 3, 3), (4, 11, 1), (5, 2, 1), (6, 7, 1), (7, 6, 1), (8, 9, 2), (10, 8, 1), (11, 12, 1)],
    bits: 12,
};
const SHORT_BRANCH: Field =
    Field { pieces: &[(1, 3, 2), (3, 10, 2), (5, 2, 1), (6, 5, 2), (8, 12, 1)], bits: 9 };

pub(super) fn step<A: Atlas>(
    arch: Arch,
    view: &View<'_>,
    at: usize,
    memory: &mut Memory,
    atlas: &A,
    out: &mut [u8],
) -> Step {
    // Instructions start at even places.
    if offset(view.old_offset, at) & 1 == 1 {
        return Step { len: 1, teaches: false };
    }
    if let Some(pointer) = pointer(view, at, atlas) {
        if let Some(moved) = atlas.moved(u64::from(pointer)) {
            put(out, at, low(moved).to_le_bytes());
        }
        return Step { len: 4, teaches: true };
    }
    let Some(instruction) = half(view.old, at) else { return Step { len: 1, teaches: false } };
    if instruction & 3 != 3 {
        step_compressed(arch, instruction, (view, at), memory, atlas, out);
        return Step { len: 2, teaches: false };
    }
    let Some(instruction) = word(view.old, at) else { return Step { len: 2, teaches: false } };
    let teaches = step_full(instruction, (view, at), memory, atlas, out);
    Step { len: 4, teaches }
}

/// Predicts an instruction of 32 bits; says whether it teaches.
fn step_full<A: Atlas>(
    instruction: u32,
    (view, at): (&View<'_>, usize),
    memory: &mut Memory,
    atlas: &A,
    out: &mut [u8],
) -> bool {
    let predicted = match Kind::of(instruction) {
        Kind::Jump => jump(&JAL, instruction, (view, at), atlas),
        Kind::Branch => jump(&BRANCH, instruction, (view, at), atlas),
        Kind::Upper => upper(instruction, (view, at), memory, atlas),
        Kind::Lower(field) => lower(field, instruction, at, (view, memory), atlas, out),
        Kind::Other => None,
    };
    if let Some(predicted) = predicted {
        put(out, at, predicted.to_le_bytes());
    }
    match Kind::of(instruction) {
        Kind::Jump => true,
        Kind::Lower(_) => {
            let teaches = held(memory, base_register(instruction)).is_some();
            if is_written(instruction) {
                forget(memory, target_register(instruction));
            }
            teaches
        }
        Kind::Other => {
            forget(memory, target_register(instruction));
            false
        }
        Kind::Branch | Kind::Upper => false,
    }
}

pub(super) fn learn<A: Atlas>(view: &View<'_>, at: usize, new: &[u8], atlas: &mut A) {
    let (Some(old), Some(new_word)) = (word(view.old, at), word(new, at)) else { return };
    if pointer(view, at, atlas).is_some() {
        if atlas.is_address(u64::from(new_word)) {
            atlas.learn(u64::from(old), u64::from(new_word));
        }
        return;
    }
    let (old_place, new_place) = places(view, at, atlas);
    match Kind::of(old) {
        Kind::Jump if old & 0xfff == new_word & 0xfff => {
            let old_target = narrow(old_place, old_place.wrapping_add(JAL.get(old)));
            let new_target = narrow(new_place, new_place.wrapping_add(JAL.get(new_word)));
            atlas.learn(old_target, new_target);
        }
        Kind::Lower(field) if field.clear(old) == field.clear(new_word) => {
            let Some((relative, old_base, new_base)) = base_before(view, at, new, atlas) else { return };
            let old_target = narrow(old_place, old_base.wrapping_add(field.get(old)));
            let new_target = narrow(new_place, new_base.wrapping_add(field.get(new_word)));
            if relative || atlas.is_address(old_target) {
                atlas.learn(old_target, new_target);
            }
        }
        Kind::Jump | Kind::Branch | Kind::Upper | Kind::Lower(_) | Kind::Other => {}
    }
}

/// Finds the AUIPC or LUI that made the address to which the instruction at `at` adds; says whether
/// it is AUIPC, and returns its value in old and new.
fn base_before<A: Atlas>(view: &View<'_>, at: usize, new: &[u8], atlas: &A) -> Option<(bool, u64, u64)> {
    let register = base_register(word(view.old, at)?);
    (1..=PAIR_BYTES_MAX / 2).find_map(|halves| {
        let place = at.checked_sub(2 * halves)?;
        let (old, new) = (word(view.old, place)?, word(new, place)?);
        let is_pair = matches!(Kind::of(old), Kind::Upper)
            && target_register(old) == register
            && old & 0xfff == new & 0xfff;
        let (old_place, new_place) = places(view, place, atlas);
        is_pair.then(|| (is_relative(old), upper_value(old, old_place), upper_value(new, new_place)))
    })
}

/// What an instruction of 32 bits does with addresses.
#[derive(Clone, Copy)]
enum Kind {
    /// JAL.
    Jump,
    /// BEQ and its kin.
    Branch,
    /// AUIPC and LUI.
    Upper,
    /// Adds twelve bits to a register: ADDI, ADDIW, JALR, loads, stores.
    Lower(&'static Field),
    /// Nothing.
    Other,
}

impl Kind {
    fn of(instruction: u32) -> Self {
        match (instruction & 0x7f, instruction >> 12 & 7) {
            (0x6f, _) => Self::Jump,
            (0x63, _) => Self::Branch,
            (0x17 | 0x37, _) => Self::Upper,
            (0x13 | 0x1b | 0x67, 0) | (0x03 | 0x07, _) => Self::Lower(&LOW),
            (0x23 | 0x27, _) => Self::Lower(&LOW_STORE),
            _ => Self::Other,
        }
    }
}

/// Predicts what jumps over a distance from its own place.
fn jump<A: Atlas>(field: &Field, instruction: u32, (view, at): (&View<'_>, usize), atlas: &A) -> Option<u32> {
    let (old, new) = places(view, at, atlas);
    let target = narrow(old, old.wrapping_add(field.get(instruction)));
    field.set(instruction, widen(new, atlas.moved(target)?.wrapping_sub(new)))
}

/// Predicts AUIPC or LUI, and remembers where it stands for the instructions that add to it.
fn upper<A: Atlas>(
    instruction: u32,
    (view, at): (&View<'_>, usize),
    memory: &mut Memory,
    atlas: &A,
) -> Option<u32> {
    let (old, new) = places(view, at, atlas);
    let register = target_register(instruction);
    let base = upper_value(instruction, old);
    hold(memory, register, base, at);
    let target = narrow(old, base.wrapping_add(low_bits_behind(view.old, at, register)));
    // What AUIPC makes is an address, even where no segment is known: devices stay where they are.
    let moved = atlas.moved(target).or_else(|| is_relative(instruction).then_some(target))?;
    let distance = if is_relative(instruction) { widen(new, moved.wrapping_sub(new)) } else { moved };
    let high = distance.wrapping_add(0x800);
    let is_reached = !is_relative(instruction) || fits(high, 32);
    is_reached.then(|| instruction & 0xfff | low(high) & 0xffff_f000)
}

/// Predicts what adds twelve bits to an AUIPC or LUI of this block.
fn lower<A: Atlas>(
    field: &Field,
    instruction: u32,
    at: usize,
    (view, memory): (&View<'_>, &Memory),
    atlas: &A,
    out: &[u8],
) -> Option<u32> {
    let (base, upper_at) = held(memory, base_register(instruction))?;
    let (old, _) = places(view, at, atlas);
    let target = narrow(old, base.wrapping_add(field.get(instruction)));
    if !atlas.is_address(target) && !is_relative(word(view.old, upper_at)?) {
        return None;
    }
    // What has been written there is the prediction, or already the truth; both are better than predicting it again.
    let (_, new) = places(view, upper_at, atlas);
    let new_base = upper_value(word(out, upper_at)?, new);
    let bits = low(atlas.moved(target).unwrap_or(target).wrapping_sub(new_base));
    field.set(instruction, signed(bits, 12))
}

/// Returns the low twelve bits that the next user of a register adds to it.
fn low_bits_behind(bytes: &[u8], at: usize, register: u32) -> u64 {
    let mut at = at.saturating_add(4);
    for _ in 0..PAIR_INSTRUCTIONS_MAX {
        let Some(first) = half(bytes, at) else { break };
        if first & 3 != 3 {
            at += 2;
            continue;
        }
        let Some(instruction) = word(bytes, at) else { break };
        match Kind::of(instruction) {
            Kind::Lower(field) if base_register(instruction) == register => return field.get(instruction),
            Kind::Upper if target_register(instruction) == register => break,
            Kind::Jump | Kind::Branch | Kind::Upper | Kind::Lower(_) | Kind::Other => at += 4,
        }
    }
    0
}

/// Predicts an instruction of 16 bits.
fn step_compressed<A: Atlas>(
    arch: Arch,
    instruction: u32,
    (view, at): (&View<'_>, usize),
    memory: &mut Memory,
    atlas: &A,
    out: &mut [u8],
) {
    let field = match (instruction & 3, instruction >> 13, arch) {
        // C.J; C.JAL, which is C.ADDIW on 64 bits; C.BEQZ and C.BNEZ.
        (1, 5, _) | (1, 1, Arch::Rv32) => &SHORT_JUMP,
        (1, 6 | 7, _) => &SHORT_BRANCH,
        _ => {
            if let Some(register) = written_compressed(instruction) {
                forget(memory, register);
            }
            return;
        }
    };
    if let Some(predicted) = jump(field, instruction, (view, at), atlas) {
        let [a, b, ..] = predicted.to_le_bytes();
        put(out, at, [a, b]);
    }
}

/// Returns the register that an instruction of 16 bits writes.
fn written_compressed(instruction: u32) -> Option<u32> {
    let full = instruction >> 7 & 31;
    match (instruction & 3, instruction >> 13) {
        // C.ADDI4SPN, C.LW, C.LD; C.FLW does no harm.
        (0, 0..=3) => Some(8 + (instruction >> 2 & 7)),
        (1, 4) => Some(8 + (instruction >> 7 & 7)),
        // C.ADDI, C.ADDIW, C.LI, C.LUI; C.SLLI and the loads from the stack.
        (1 | 2, 0..=3) => Some(full),
        // C.MV and C.ADD; without a second register it is C.JR or C.JALR.
        (2, 4) => (instruction >> 2 & 31 != 0).then_some(full),
        _ => None,
    }
}

/// Returns the aligned word at `at` when it is a pointer, not an instruction.
fn pointer<A: Atlas>(view: &View<'_>, at: usize, atlas: &A) -> Option<u32> {
    if !offset(view.old_offset, at).is_multiple_of(4) {
        return None;
    }
    let value = word(view.old, at)?;
    // Below, numbers are more frequent than pointers; and what ends like a full instruction, LUI above all, is one. The
    // modes for pointers take those, too.
    let is_pointer = value >> 24 != 0 && value & 3 != 3 && atlas.is_address(u64::from(value));
    is_pointer.then_some(value)
}

/// Addresses of 32-bit images wrap at 32 bits.
fn narrow(place: u64, address: u64) -> u64 {
    if place >> 32 == 0 { address & 0xffff_ffff } else { address }
}

/// In 32-bit images, a distance is good modulo 32 bits.
fn widen(place: u64, distance: u64) -> u64 {
    if place >> 32 == 0 { signed(low(distance), 32) } else { distance }
}

/// Returns what AUIPC or LUI at an address leaves in its register.
fn upper_value(instruction: u32, place: u64) -> u64 {
    let high = signed(instruction & 0xffff_f000, 32);
    if is_relative(instruction) { place.wrapping_add(high) } else { high }
}

/// Says AUIPC from LUI.
fn is_relative(instruction: u32) -> bool {
    instruction & 0x20 == 0
}

fn target_register(instruction: u32) -> u32 {
    instruction >> 7 & 31
}

fn base_register(instruction: u32) -> u32 {
    instruction >> 15 & 31
}

/// Stores write no register; floating-point loads write another kind.
fn is_written(instruction: u32) -> bool {
    !matches!(instruction & 0x7f, 0x23 | 0x27 | 0x07)
}

/// Remembers the old value of a register and where the block's instruction stands that made it.
fn hold(memory: &mut Memory, register: u32, value: u64, at: usize) {
    let index = usize::try_from(register).unwrap_or(0);
    if let (Some(first), Some(second)) = (memory.values.get_mut(index), memory.others.get_mut(index)) {
        *first = value;
        *second = u64::try_from(at).unwrap_or(0);
        memory.held |= 1_u32.wrapping_shl(register);
    }
}

fn held(memory: &Memory, register: u32) -> Option<(u64, usize)> {
    let index = usize::try_from(register).ok()?;
    let is_held = memory.held >> register & 1 == 1;
    let at = usize::try_from(*memory.others.get(index)?).ok()?;
    is_held.then_some((*memory.values.get(index)?, at))
}

fn forget(memory: &mut Memory, register: u32) {
    memory.held &= !1_u32.wrapping_shl(register);
}

#[cfg(test)]
mod tests;
