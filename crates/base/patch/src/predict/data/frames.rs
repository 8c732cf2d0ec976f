//! `.eh_frame`, which tells how to unwind each function, and `.eh_frame_hdr`, which lists the functions.
//!
//! Norm: Linux Standard Base 5.0, core generic, 10.6. Addresses are assumed to be written as compilers do: 32 bits, from
//! their own place in `.eh_frame`, from the start of the list in `.eh_frame_hdr`.

use super::put_word;
use crate::atlas::Atlas;
use crate::predict::fields::{low, offset, places, put, wide, word};
use crate::predict::{Memory, Step, View};

/// Largest description of a function, in bytes; there is hardly one above 300.
const FRAME_BYTES_MAX: u32 = 4096;

/// How far the start of a block is searched for the first description, in bytes.
const SEARCH_BYTES: usize = 512;

/// Size of a row of `.eh_frame_hdr`, in bytes: function, description.
const ROW_BYTES: usize = 8;

/// How many bytes of `.eh_frame_hdr` stand before its rows.
const ROWS_START: u64 = 12;

/// How many rows an old row may lag behind, or run ahead of, the new one from one row to the next.
const ROWS_MAX: usize = 24;

/// Predicts a row of `.eh_frame_hdr`: functions are listed by address, so the row is the first one behind the row before.
pub(super) fn step_index<A: Atlas>(
    view: &View<'_>,
    at: usize,
    memory: &mut Memory,
    atlas: &A,
    out: &mut [u8],
) -> Step {
    let (old_place, new_place) = places(view, at, atlas);
    let (old_start, new_start) = view.frame_index;
    let ahead = new_place.wrapping_sub(new_start);
    if ahead < ROWS_START {
        // The second word leads to `.eh_frame`; the others stay.
        let distance = word(view.old, at).filter(|_| ahead == 4).map(wide);
        let moved = distance.and_then(|distance| atlas.moved(old_place.wrapping_add(distance)));
        let moved = moved.map(|moved| moved.wrapping_sub(new_place));
        return Step { teaches: false, ..put_word(moved, at, out) };
    }
    let moved = |at: usize| {
        let target = old_start.wrapping_add(wide(word(view.old, at)?));
        Some(atlas.moved(target)?.wrapping_sub(new_start))
    };
    // Old and new bytes may be half a row apart.
    let is_second = |ahead: u64| !(ahead.wrapping_sub(ROWS_START)).is_multiple_of(8);
    let is_apart = is_second(old_place.wrapping_sub(old_start)) != is_second(ahead);
    let nearest = if is_apart { at.saturating_add(4) } else { at };
    if is_second(ahead) {
        return Step { teaches: false, ..put_word(moved(nearest), at, out) };
    }
    let row = row_behind((at, nearest), out, memory, &moved);
    for column in [0, 4] {
        if let Some(value) = moved(row.saturating_add(column)) {
            put(out, at.saturating_add(column), low(value).to_le_bytes());
        }
    }
    Step { len: ROW_BYTES, teaches: false }
}

/// Returns where the old row stands that comes first behind the new row before `at`. The search starts as far from
/// `at` as it ended last, the first one at the nearest row.
pub(super) fn row_behind(
    (at, nearest): (usize, usize),
    out: &[u8],
    memory: &mut Memory,
    moved: &impl Fn(usize) -> Option<u64>,
) -> usize {
    let [behind, ahead, ..] = &mut memory.values;
    let known = usize::try_from(*ahead).ok().zip(usize::try_from(*behind).ok());
    let known = known
        .filter(|_| memory.held != 0)
        .and_then(|(ahead, behind)| at.checked_add(ahead)?.checked_sub(behind));
    let mut row = known.unwrap_or(nearest);
    // The list counts from its own start, so that functions lie at negative places.
    let order = |value: u64| wide(low(value)).cast_signed();
    let before = at.checked_sub(ROW_BYTES).and_then(|before| word(out, before));
    if let Some(before) = before.map(|before| order(u64::from(before))) {
        let is_behind = |row: usize| moved(row).is_some_and(|value| order(value) > before);
        for _ in 0..ROWS_MAX {
            match row.checked_sub(ROW_BYTES) {
                Some(previous) if is_behind(previous) => row = previous,
                _ => break,
            }
        }
        for _ in 0..ROWS_MAX {
            if is_behind(row) || moved(row.saturating_add(ROW_BYTES)).is_none() {
                break;
            }
            row = row.saturating_add(ROW_BYTES);
        }
    }
    memory.held = 1;
    *ahead = u64::try_from(row.saturating_sub(at)).unwrap_or(0);
    *behind = u64::try_from(at.saturating_sub(row)).unwrap_or(0);
    row
}

/// Predicts a description of `.eh_frame`.
pub(super) fn step<A: Atlas>(
    view: &View<'_>,
    at: usize,
    memory: &mut Memory,
    atlas: &A,
    out: &mut [u8],
) -> Step {
    if memory.held == 0 {
        let starts = (at..at.saturating_add(SEARCH_BYTES)).step_by(4);
        let Some(first) = starts.clone().find(|at| is_start(view, *at, atlas)) else {
            return Step { len: SEARCH_BYTES, teaches: false };
        };
        memory.held = 1;
        if first > at {
            return Step { len: first.saturating_sub(at), teaches: false };
        }
    }
    let len = word(view.old, at).filter(|len| (8..=FRAME_BYTES_MAX).contains(len) && len.is_multiple_of(4));
    let Some(len) = len.and_then(|len| usize::try_from(len).ok()) else {
        memory.held = 0;
        return Step { len: 4, teaches: false };
    };
    let is_function = predict(view, at, atlas, out).is_some();
    Step { len: 4 + len, teaches: is_function }
}

/// Predicts the fields of a function's description (FDE); `None` for what several share (CIE).
fn predict<A: Atlas>(view: &View<'_>, at: usize, atlas: &A, out: &mut [u8]) -> Option<()> {
    let Function { start, len } = function(view, at, atlas)?;
    let head =
        offset(view.old_offset, at.checked_add(4)?).checked_sub(word(view.old, at.checked_add(4)?)?)?;
    let back = offset(view.new_offset, at.checked_add(4)?).wrapping_sub(atlas.moved_offset(head));
    put(out, at.checked_add(4)?, back.to_le_bytes());
    let (_, place) = places(view, at.checked_add(8)?, atlas);
    let moved = atlas.moved(start)?;
    put(out, at.checked_add(8)?, low(moved.wrapping_sub(place)).to_le_bytes());
    // The end of a function may be the start of another one that went elsewhere; its last byte is its own.
    let last = atlas.moved(start.wrapping_add(u64::from(len)).wrapping_sub(1))?;
    put(out, at.checked_add(12)?, low(last.wrapping_sub(moved).wrapping_add(1)).to_le_bytes());
    // Four bytes of augmentation: where the function's handlers are listed.
    let handlers = at.checked_add(17)?;
    if view.old.get(at.checked_add(16)?) == Some(&4) {
        let (old_place, new_place) = places(view, handlers, atlas);
        let distance = word(view.old, handlers).filter(|distance| *distance != 0)?;
        if let Some(moved) = atlas.moved(old_place.wrapping_add(wide(distance))) {
            put(out, handlers, low(moved.wrapping_sub(new_place)).to_le_bytes());
        }
    }
    Some(())
}

pub(super) fn learn<A: Atlas>(view: &View<'_>, at: usize, new: &[u8], atlas: &mut A) {
    let Some(Function { start, len }) = function(view, at, atlas) else { return };
    let place = at.saturating_add(8);
    let (Some(distance), Some(new_len)) = (word(new, place), word(new, place.saturating_add(4))) else {
        return;
    };
    // Of functions with different lengths, one may have come between: they tell nothing of each other.
    if len == new_len {
        let (_, new_place) = places(view, place, atlas);
        atlas.learn(start, new_place.wrapping_add(wide(distance)));
    }
}

/// What a description says of its function.
struct Function {
    start: u64,
    len: u32,
}

/// Reads the description of a function at `at`; `None` for what is none.
fn function<A: Atlas>(view: &View<'_>, at: usize, atlas: &A) -> Option<Function> {
    let back = word(view.old, at.checked_add(4)?)?;
    let place = at.checked_add(8)?;
    let is_back = back.is_multiple_of(4) && back >= 8 && back <= offset(view.old_offset, at.checked_add(4)?);
    let (old_place, _) = places(view, place, atlas);
    let start = old_place.wrapping_add(wide(word(view.old, place)?));
    let len = word(view.old, place.checked_add(4)?)?;
    let is_known = atlas.is_address(start) && atlas.is_address(start.wrapping_add(u64::from(len)));
    (is_back && len != 0 && is_known).then_some(Function { start, len })
}

/// Says whether a description of a function starts at `at`, followed by another one or by the end of what can be seen.
fn is_start<A: Atlas>(view: &View<'_>, at: usize, atlas: &A) -> bool {
    let Some(len) = word(view.old, at) else { return false };
    let is_len = (12..=FRAME_BYTES_MAX).contains(&len) && len.is_multiple_of(4);
    let next =
        usize::try_from(len).ok().and_then(|len| at.checked_add(4)?.checked_add(len)).unwrap_or(usize::MAX);
    let follows = |len: u32| len == 0 || (8..=FRAME_BYTES_MAX).contains(&len) && len.is_multiple_of(4);
    is_len && function(view, at, atlas).is_some() && word(view.old, next).is_none_or(follows)
}
