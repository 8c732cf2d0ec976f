//! Tables of symbols and of relocations with addends, 64 bits.
//!
//! Norm: System V ABI, chapters 4 (symbol table, relocation).

use super::{ADDRESS_MIN, step_pointer};
use crate::atlas::Atlas;
use crate::predict::fields::{half, long, put, word};
use crate::predict::{Step, View};

/// Size of an entry of either table, in bytes.
const ENTRY_BYTES: usize = 24;

/// How far names and symbols move from one entry to the next at most: beyond, the entries are different ones.
const SHIFT_MAX: u32 = 256;

/// Kinds of relocations are numbered up to 1040 (64-bit Arm).
const KIND_MAX: u32 = 0x800;

/// How far apart the places of two relocations in a row are at most, in bytes.
const PLACES_APART_MAX: u64 = 1 << 20;

/// Predicts 64 bits of a table.
pub(super) fn step<A: Atlas>(view: &View<'_>, at: usize, atlas: &A, out: &mut [u8]) -> Step {
    let quiet = Step { len: 8, teaches: false };
    let is_symbol = |skip: usize| at.checked_sub(skip).is_some_and(|head| is_symbol_head(view, head, atlas));
    // Of a symbol, address or size.
    let is_symbol = is_symbol(8) || is_symbol(16);
    if !is_symbol && is_relocation_info(view, at, atlas) {
        // Elf64_Rela.r_info: kind, then the symbol's number.
        shift_word_like_entry_before(view, at.saturating_add(4), out);
        return quiet;
    }
    if !is_symbol
        && is_relocation_info(view, at.saturating_add(8), atlas)
        && shift_like_entry_before(view, at, out)
    {
        // Elf64_Rela.r_offset: what is relocated moves together.
        return Step { len: 8, teaches: true };
    }
    if is_symbol_head(view, at, atlas) {
        // Elf64_Sym.st_name: where in the table of strings.
        shift_word_like_entry_before(view, at, out);
        return quiet;
    }
    if let Some(size) = symbol_size(view, at, atlas) {
        put(out, at, size.to_le_bytes());
        return quiet;
    }
    step_pointer(view, at, atlas, out)
}

/// Moves 32 bits by as much as the same ones of the entry before, if that is in the block.
fn shift_word_like_entry_before(view: &View<'_>, at: usize, out: &mut [u8]) {
    let before = at.checked_sub(ENTRY_BYTES);
    let old = before.and_then(|before| word(view.old, before)).filter(|old| *old != 0);
    let new = before.and_then(|before| word(out, before));
    let value = word(view.old, at).filter(|value| *value != 0);
    if let (Some(old), Some(new), Some(value)) = (old, new, value)
        && old.abs_diff(new) <= SHIFT_MAX
    {
        put(out, at, value.wrapping_add(new.wrapping_sub(old)).to_le_bytes());
    }
}

/// Moves 64 bits by as much as the same ones of the entry before; says whether that is in the block.
fn shift_like_entry_before(view: &View<'_>, at: usize, out: &mut [u8]) -> bool {
    let before = at.checked_sub(ENTRY_BYTES);
    let old = before.and_then(|before| long(view.old, before));
    let new = before.and_then(|before| long(out, before));
    let value = long(view.old, at);
    if let (Some(old), Some(new), Some(value)) = (old, new, value) {
        put(out, at, value.wrapping_add(new.wrapping_sub(old)).to_le_bytes());
        return true;
    }
    false
}

/// Says whether a relocation's second word is at `at`: the places that relocations change follow each other.
fn is_relocation_info<A: Atlas>(view: &View<'_>, at: usize, atlas: &A) -> bool {
    let kind = word(view.old, at).unwrap_or(0);
    let before = at.checked_sub(8).and_then(|before| long(view.old, before));
    let behind = long(view.old, at.saturating_add(16));
    let is_place =
        |place: Option<u64>| place.is_none_or(|place| place >= ADDRESS_MIN && atlas.is_address(place));
    (1..KIND_MAX).contains(&kind)
        && (before.is_some() || behind.is_some())
        && is_place(before)
        && is_place(behind)
        && before.zip(behind).is_none_or(|(a, b)| b.abs_diff(a) < PLACES_APART_MAX)
}

/// Says whether a symbol starts at `at`: name, kind and binding, visibility, section; then address and size.
fn is_symbol_head<A: Atlas>(view: &View<'_>, at: usize, atlas: &A) -> bool {
    let kind = view.old.get(at.saturating_add(4)).copied().unwrap_or(0);
    let visibility = view.old.get(at.saturating_add(5)).copied().unwrap_or(0xff);
    let section = half(view.old, at.saturating_add(6)).unwrap_or(0xff00);
    let address = long(view.old, at.saturating_add(8));
    matches!(kind >> 4, 0..=2 | 10)
        && matches!(kind & 15, 0..=6 | 10)
        && kind != 0
        && visibility < 4
        && !(0x100..0xfff1).contains(&section)
        && address.is_none_or(|address| address == 0 || atlas.is_address(address))
}

/// Predicts the size of a symbol (`Elf64_Sym.st_size`) if one is at `at`.
fn symbol_size<A: Atlas>(view: &View<'_>, at: usize, atlas: &A) -> Option<u64> {
    at.checked_sub(16).filter(|head| is_symbol_head(view, *head, atlas))?;
    let start = long(view.old, at.checked_sub(8)?).filter(|start| *start >= ADDRESS_MIN)?;
    // The end may be the start of something that went elsewhere; the last byte is its own.
    let last = start.checked_add(long(view.old, at)?)?.checked_sub(1)?;
    atlas.moved(last)?.checked_sub(atlas.moved(start)?)?.checked_add(1)
}
