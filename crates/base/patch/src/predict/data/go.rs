//! What Go programs know of their own functions and types: tables of numbers that count from places of their own.
//!
//! Norm: Go 1.18 to 1.26, `src/runtime/runtime2.go` (`_func`), `src/runtime/symtab.go` (`functab`, `moduledata`),
//! `src/internal/abi/type.go`.

use super::frames::row_behind;
use super::{ADDRESS_MIN, put_word};
use crate::atlas::Atlas;
use crate::predict::fields::{long, low, offset, places, put, word};
use crate::predict::{Memory, Step, View};

/// Size of a row of the list of functions, in bytes: start, description.
const ROW_BYTES: usize = 8;

/// Size of a description of a function without the numbers that follow it, in bytes.
const HEAD_BYTES: usize = 44;

/// How many numbers may follow a description, of either kind; Go has seven at most.
const NUMBERS_MAX: u32 = 16;

/// How far the start of a block is searched for the first description, in bytes.
const SEARCH_BYTES: usize = 256;

/// Longest function, in bytes, and longest source file, in lines, that a call can be in.
const NUMBERS_APART_MAX: u32 = 1 << 20;

/// Stands where there is no number.
const NONE: u32 = u32::MAX;

/// Predicts a row of the list of functions or, behind the list, a description.
pub(super) fn step<A: Atlas>(
    view: &View<'_>,
    at: usize,
    memory: &mut Memory,
    atlas: &A,
    out: &mut [u8],
) -> Step {
    let (_, new) = view.go;
    let Some(ahead) = offset(view.new_offset, at).checked_sub(new.functions) else {
        return Step { len: 4, teaches: false };
    };
    let (_, place) = places(view, at, atlas);
    if place >= new.data {
        return Step { teaches: false, ..put_word(inlined(view, at, atlas), at, out) };
    }
    // A last row tells where the last function ends.
    if ahead >= new.count.saturating_mul(8).saturating_add(4) {
        return description(view, at, memory, atlas, out);
    }
    row(view, at, ahead, memory, atlas, out)
}

/// Predicts the name of a function that was inlined into another one (`inlinedCall`): kind, name, place, line.
fn inlined<A: Atlas>(view: &View<'_>, at: usize, atlas: &A) -> Option<u64> {
    let (old, new) = view.go;
    let kind = word(view.old, at.checked_sub(4)?)?;
    let [name, place, line] = [0, 4, 8].map(|skip| at.checked_add(skip).and_then(|at| word(view.old, at)));
    let name = name.filter(|name| *name >= 16 && *name < old.units.saturating_sub(old.names))?;
    let is_call = kind < 256 && place? < NUMBERS_APART_MAX && line? < NUMBERS_APART_MAX;
    let moved = atlas.moved_offset(old.names.checked_add(name)?).checked_sub(new.names)?;
    is_call.then_some(u64::from(moved))
}

fn row<A: Atlas>(
    view: &View<'_>,
    at: usize,
    ahead: u32,
    memory: &mut Memory,
    atlas: &A,
    out: &mut [u8],
) -> Step {
    let (old, new) = view.go;
    // Old and new bytes may be half a row apart.
    let is_second = |ahead: u32| !ahead.is_multiple_of(8);
    let is_apart = is_second(offset(view.old_offset, at).wrapping_sub(old.functions)) != is_second(ahead);
    let nearest = if is_apart { at.saturating_add(4) } else { at };
    let starts = |at: usize| word(view.old, at).and_then(|start| function(view, start, atlas));
    let describes = |at: usize| {
        let place = old.functions.checked_add(word(view.old, at)?)?;
        atlas.moved_offset(place).checked_sub(new.functions)
    };
    if is_second(ahead) {
        return Step { teaches: false, ..put_word(describes(nearest).map(u64::from), at, out) };
    }
    let row = row_behind((at, nearest), out, memory, &starts);
    if let Some(start) = starts(row) {
        put(out, at, low(start).to_le_bytes());
    }
    if let Some(place) = describes(row.saturating_add(4)) {
        put(out, at.saturating_add(4), place.to_le_bytes());
    }
    Step { len: ROW_BYTES, teaches: false }
}

/// Predicts where a function starts, counted from the first one.
fn function<A: Atlas>(view: &View<'_>, start: u32, atlas: &A) -> Option<u64> {
    let (old, new) = view.go;
    atlas.moved(old.text.wrapping_add(u64::from(start))).map(|moved| moved.wrapping_sub(new.text))
}

fn description<A: Atlas>(view: &View<'_>, at: usize, memory: &mut Memory, atlas: &A, out: &mut [u8]) -> Step {
    // The rows use the memory, too.
    let [_, _, known, ..] = &mut memory.values;
    if *known == 0 {
        let starts = (at..at.saturating_add(SEARCH_BYTES)).step_by(4);
        let is_first = |at: &usize| {
            let next = description_len(view, *at, atlas).and_then(|len| at.checked_add(len));
            next.is_some_and(|next| {
                word(view.old, next).is_none() || description_len(view, next, atlas).is_some()
            })
        };
        let Some(first) = starts.clone().find(is_first) else {
            return Step { len: SEARCH_BYTES, teaches: false };
        };
        *known = 1;
        if first > at {
            return Step { len: first.saturating_sub(at), teaches: false };
        }
    }
    let Some(len) = description_len(view, at, atlas) else {
        *known = 0;
        return Step { len: 4, teaches: false };
    };
    predict_description(view, at, len, atlas, out);
    Step { len, teaches: false }
}

/// Returns the length of the description at `at`, in bytes; `None` where there is none.
fn description_len<A: Atlas>(view: &View<'_>, at: usize, atlas: &A) -> Option<usize> {
    let (old, _) = view.go;
    let field = |skip: usize| word(view.old, at.checked_add(skip)?);
    let names = old.units.checked_sub(old.names)?;
    let lines = old.functions.checked_sub(old.lines)?;
    let [counted, listed] = [field(28)?, u32::from(*view.old.get(at.checked_add(43)?)?)];
    let is_known = atlas.is_address(old.text.checked_add(u64::from(field(0)?))?)
        && field(4)? < names
        && [16, 20, 24].iter().all(|skip| field(*skip).is_some_and(|number| number < lines))
        && counted <= NUMBERS_MAX
        && listed <= NUMBERS_MAX;
    let numbers = usize::try_from(counted.checked_add(listed)?).ok().filter(|_| is_known)?;
    Some(HEAD_BYTES + 4 * numbers)
}

fn predict_description<A: Atlas>(view: &View<'_>, at: usize, len: usize, atlas: &A, out: &mut [u8]) {
    let (old, new) = view.go;
    let shift = |place: u32, from: u32, to: u32| {
        Some(u64::from(atlas.moved_offset(from.checked_add(place)?).checked_sub(to)?))
    };
    let counted =
        word(view.old, at.saturating_add(28)).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    for skip in (0..len).step_by(4) {
        let place = at.saturating_add(skip);
        let Some(number) = word(view.old, place) else { return };
        let predicted = match skip {
            0 => function(view, number, atlas),
            4 => shift(number, old.names, new.names),
            32 => number
                .checked_mul(4)
                .and_then(|place| shift(place, old.units, new.units))
                .map(|place| place / 4),
            // 0: no table.
            16 | 20 | 24 if number != 0 => shift(number, old.lines, new.lines),
            HEAD_BYTES.. if number == 0 || number == NONE => None,
            HEAD_BYTES.. if skip < HEAD_BYTES + 4 * counted => shift(number, old.lines, new.lines),
            HEAD_BYTES.. => {
                let moved = atlas.moved(old.data.wrapping_add(u64::from(number)));
                moved.map(|moved| moved.wrapping_sub(new.data))
            }
            _ => None,
        };
        if let Some(predicted) = predicted {
            put(out, place, low(predicted).to_le_bytes());
        }
    }
}

/// Predicts an address, or a distance from the first type; methods count from the first function.
pub(super) fn step_types<A: Atlas>(view: &View<'_>, at: usize, atlas: &A, out: &mut [u8]) -> Step {
    let (old, new) = view.go;
    let address = long(view.old, at).filter(|address| *address >= ADDRESS_MIN && atlas.is_address(*address));
    if offset(view.old_offset, at).is_multiple_of(8)
        && let Some(moved) = address.and_then(|address| atlas.moved(address))
    {
        put(out, at, moved.to_le_bytes());
        return Step { len: 8, teaches: true };
    }
    let Some(number) = word(view.old, at).filter(|number| *number >= 16) else {
        return Step { len: 4, teaches: false };
    };
    let type_place = old.types.wrapping_add(u64::from(number));
    let (place, origin) = if atlas.is_address(u64::from(number)) && old.types >> 32 == 0 {
        // 32-bit programs mix addresses in.
        (u64::from(number), 0)
    } else if type_place < old.types_end {
        (type_place, new.types)
    } else {
        (old.text.wrapping_add(u64::from(number)), new.text)
    };
    let moved = if atlas.is_address(place) { atlas.moved(place) } else { None };
    Step { teaches: false, ..put_word(moved.map(|moved| moved.wrapping_sub(origin)), at, out) }
}
