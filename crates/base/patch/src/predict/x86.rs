//! 64-bit x86.
//!
//! In: a block of old code. Out: the same with calls, jumps, RIP-relative operands and immediate addresses as they
//! probably are now. Refuses nothing.
//!
//! Instructions are decoded one after the other; a block that starts within one falls in step after a few.

pub mod length;

use self::length::{Instruction, Operand, decode};
use super::fields::{fits, long, low, places, put, signed, wide, word};
use super::{Memory, Step, View};
use crate::atlas::Atlas;

/// How far the start of a block is searched for the first whole instruction, in bytes: four of the longest.
const SEARCH_BYTES: usize = 64;

/// How many places are tried as starts: one may be the last byte of the longest instruction.
const STARTS: usize = 15;

/// Below, a number is a count or a flag rather than an address.
const ADDRESS_MIN: u64 = 0x1_0000;

pub(super) fn step<A: Atlas>(
    view: &View<'_>,
    at: usize,
    memory: &mut Memory,
    atlas: &A,
    out: &mut [u8],
) -> Step {
    if memory.held == 0 {
        memory.held = 1;
        if let Some(skip @ 1..) = view.old.get(at..).map(first_instruction) {
            return Step { len: skip, teaches: false };
        }
    }
    let Some(Instruction { len, operand }) = view.old.get(at..).and_then(decode) else {
        return Step { len: 1, teaches: false };
    };
    let ends = (at.saturating_add(len), view, atlas);
    let teaches = match operand {
        Operand::None => false,
        Operand::Near(field) => {
            near(at.saturating_add(field), ends, out);
            false
        }
        Operand::Branch(field) => {
            far(at.saturating_add(field), ends, out);
            false
        }
        Operand::Far(field) | Operand::Relative(field) => far(at.saturating_add(field), ends, out),
        Operand::Absolute32(field) => absolute(at.saturating_add(field), ends, out),
        Operand::Absolute64(field) => absolute_long(at.saturating_add(field), ends, out),
    };
    Step { len, teaches }
}

pub(super) fn learn<A: Atlas>(view: &View<'_>, at: usize, new: &[u8], atlas: &mut A) {
    let Some(Instruction { len, operand }) = view.old.get(at..).and_then(decode) else { return };
    match operand {
        Operand::Far(field) | Operand::Relative(field) => {
            let field = at.saturating_add(field);
            let (Some(old), Some(new)) = (word(view.old, field), word(new, field)) else { return };
            let (old_end, new_end) = places(view, at.saturating_add(len), atlas);
            let old = old_end.wrapping_add(wide(old));
            if atlas.is_address(old) {
                atlas.learn(old, new_end.wrapping_add(wide(new)));
            }
        }
        Operand::Absolute32(field) => {
            let field = at.saturating_add(field);
            let (Some(old), Some(new)) = (word(view.old, field), word(new, field)) else { return };
            if is_absolute(u64::from(old), atlas) && atlas.is_address(u64::from(new)) {
                atlas.learn(u64::from(old), u64::from(new));
            }
        }
        Operand::Absolute64(field) => {
            let field = at.saturating_add(field);
            let (Some(old), Some(new)) = (long(view.old, field), long(new, field)) else { return };
            if is_absolute(old, atlas) && atlas.is_address(new) {
                atlas.learn(old, new);
            }
        }
        Operand::None | Operand::Near(_) | Operand::Branch(_) => {}
    }
}

/// The end of an instruction in the block, and what is needed to make addresses of it.
type End<'a, 'b, A> = (usize, &'a View<'b>, &'a A);

fn near<A: Atlas>(at: usize, (end, view, atlas): End<'_, '_, A>, out: &mut [u8]) {
    let Some(&distance) = view.old.get(at) else { return };
    let (old, new) = places(view, end, atlas);
    let target = old.wrapping_add(signed(u32::from(distance), 8));
    if let Some(moved) = atlas.moved(target).map(|moved| moved.wrapping_sub(new)).filter(|far| fits(*far, 8))
    {
        let [byte, ..] = moved.to_le_bytes();
        put(out, at, [byte]);
    }
}

fn far<A: Atlas>(at: usize, (end, view, atlas): End<'_, '_, A>, out: &mut [u8]) -> bool {
    let Some(distance) = word(view.old, at) else { return false };
    let (old, new) = places(view, end, atlas);
    let target = old.wrapping_add(wide(distance));
    let moved = atlas.moved(target).map(|moved| moved.wrapping_sub(new)).filter(|far| fits(*far, 32));
    if let Some(moved) = moved {
        put(out, at, low(moved).to_le_bytes());
    }
    moved.is_some()
}

fn absolute<A: Atlas>(at: usize, (_, view, atlas): End<'_, '_, A>, out: &mut [u8]) -> bool {
    let address = word(view.old, at).map(u64::from).filter(|address| is_absolute(*address, atlas));
    let moved = address.and_then(|address| atlas.moved(address)).filter(|moved| moved >> 32 == 0);
    if let Some(moved) = moved {
        put(out, at, low(moved).to_le_bytes());
    }
    moved.is_some()
}

fn absolute_long<A: Atlas>(at: usize, (_, view, atlas): End<'_, '_, A>, out: &mut [u8]) -> bool {
    let address = long(view.old, at).filter(|address| is_absolute(*address, atlas));
    let moved = address.and_then(|address| atlas.moved(address));
    if let Some(moved) = moved {
        put(out, at, moved.to_le_bytes());
    }
    moved.is_some()
}

/// Says whether a number is an address. In files that are loaded anywhere, addresses count from zero, and code that runs
/// anywhere holds none: there, every number is one.
fn is_absolute<A: Atlas>(value: u64, atlas: &A) -> bool {
    value >= ADDRESS_MIN && atlas.is_address(value) && !atlas.is_address(ADDRESS_MIN)
}

/// Returns the first place at which most ways through the first bytes meet: that is where an instruction starts.
fn first_instruction(bytes: &[u8]) -> usize {
    let mut counts = [0_u8; SEARCH_BYTES];
    for start in 0..STARTS {
        let mut at = start;
        while let Some(count) = counts.get_mut(at) {
            *count += 1;
            at += bytes.get(at..).and_then(decode).map_or(1, |instruction| instruction.len);
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    let meeting = counts.iter().position(|count| *count == most).unwrap_or(0);
    // Of the starts that lead there, the earliest loses the least.
    (0..STARTS).find(|start| leads(bytes, *start, meeting)).unwrap_or(0)
}

fn leads(bytes: &[u8], start: usize, to: usize) -> bool {
    let mut at = start;
    while at < to {
        at += bytes.get(at..).and_then(decode).map_or(1, |instruction| instruction.len);
    }
    at == to
}

#[cfg(test)]
mod tests;
