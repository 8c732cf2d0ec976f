//! Tables of addresses and distances: whatever the processor.
//!
//! In: a block of old data, and of which kind it is. Out: the same with its addresses as they probably are now. Refuses
//! nothing.

mod frames;
mod go;
mod symbols;

use super::fields::{long, low, offset, places, put, wide, word};
use super::{Memory, Mode, Step, View};
use crate::atlas::Atlas;

/// Below, a number of 64 bits is a size, a count or a flag rather than an address.
const ADDRESS_MIN: u64 = 0x400;

/// Below, a number of 32 bits is no offset into a file: every file starts with a head.
const OFFSET_MIN: u32 = 16;

pub(super) fn step<A: Atlas>(
    mode: Mode,
    view: &View<'_>,
    at: usize,
    memory: &mut Memory,
    atlas: &A,
    out: &mut [u8],
) -> Step {
    let size = size(mode);
    // Tables are aligned in the old file; the new place may be anywhere.
    let ahead = usize::try_from(offset(view.old_offset, at)).unwrap_or(0) % size;
    if ahead != 0 {
        return Step { len: size - ahead, teaches: false };
    }
    match mode {
        Mode::Pointers32 => {
            let moved = word(view.old, at).and_then(|old| atlas.moved(u64::from(old)));
            put_word(moved, at, out)
        }
        Mode::Pointers64 => step_pointer(view, at, atlas, out),
        Mode::Offsets32 => {
            let old = word(view.old, at).filter(|old| *old >= OFFSET_MIN && *old < atlas.old_len());
            let moved = old.map(|old| u64::from(atlas.moved_offset(old)));
            Step { teaches: false, ..put_word(moved, at, out) }
        }
        Mode::Relative32 => {
            let (old_place, new_place) = places(view, at, atlas);
            let distance = word(view.old, at).filter(|old| *old != 0);
            let target = distance.map(|old| old_place.wrapping_add(wide(old)));
            let moved = target.and_then(|target| atlas.moved(target));
            Step { teaches: false, ..put_word(moved.map(|moved| moved.wrapping_sub(new_place)), at, out) }
        }
        Mode::FrameIndex => frames::step_index(view, at, memory, atlas, out),
        Mode::Frames => frames::step(view, at, memory, atlas, out),
        Mode::Symbols => symbols::step(view, at, atlas, out),
        Mode::GoFunctions => go::step(view, at, memory, atlas, out),
        Mode::GoTypes => go::step_types(view, at, atlas, out),
        Mode::Same | Mode::Code => Step { len: size, teaches: false },
    }
}

pub(super) fn learn<A: Atlas>(mode: Mode, view: &View<'_>, at: usize, new: &[u8], atlas: &mut A) {
    match mode {
        Mode::Pointers32 => {
            let (Some(old), Some(new)) = (word(view.old, at), word(new, at)) else { return };
            if atlas.is_address(u64::from(old)) {
                atlas.learn(u64::from(old), u64::from(new));
            }
        }
        Mode::Pointers64 | Mode::Symbols => {
            let (Some(old), Some(new)) = (long(view.old, at), long(new, at)) else { return };
            if old >= ADDRESS_MIN && atlas.is_address(old) && new >= ADDRESS_MIN {
                atlas.learn(old, new);
            }
        }
        Mode::Frames => frames::learn(view, at, new, atlas),
        Mode::Same
        | Mode::Code
        | Mode::Offsets32
        | Mode::Relative32
        | Mode::FrameIndex
        | Mode::GoFunctions
        | Mode::GoTypes => {}
    }
}

/// How the entries of a table are aligned, in bytes.
fn size(mode: Mode) -> usize {
    match mode {
        Mode::Pointers64 | Mode::Symbols => 8,
        Mode::Same
        | Mode::Code
        | Mode::Pointers32
        | Mode::Offsets32
        | Mode::Relative32
        | Mode::FrameIndex
        | Mode::Frames
        | Mode::GoFunctions
        | Mode::GoTypes => 4,
    }
}

fn put_word(value: Option<u64>, at: usize, out: &mut [u8]) -> Step {
    if let Some(value) = value {
        put(out, at, low(value).to_le_bytes());
    }
    Step { len: 4, teaches: value.is_some() }
}

/// Predicts 64 bits that may be an address.
fn step_pointer<A: Atlas>(view: &View<'_>, at: usize, atlas: &A, out: &mut [u8]) -> Step {
    let old = long(view.old, at).filter(|old| *old >= ADDRESS_MIN);
    let moved = old.and_then(|old| atlas.moved(old));
    if let Some(moved) = moved {
        put(out, at, moved.to_le_bytes());
    }
    Step { len: 8, teaches: moved.is_some() }
}

#[cfg(test)]
mod tests;
