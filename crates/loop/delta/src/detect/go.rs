//! The tables of Go programs, by the head of the table of functions and the record of the runtime that points to it.
//!
//! Norm: Go 1.18 to 1.26, `src/runtime/symtab.go` (`pcHeader`, `moduledata`).

use warden_patch::atlas::Space;
use warden_patch::predict::GoTables;

use super::{len, long, word};

/// Which word of the runtime's record holds the start of the code, that of the types, the end of the types, and what
/// functions tell the garbage collector.
const RECORD: [usize; 4] = [22, 37, 38, 40];

/// How many places that look like the head are followed: each costs a walk through the file, and there is one.
const HEADS_MAX: usize = 8;

/// Finds the tables of a Go program; the default where there are none.
pub(super) fn tables(bytes: &[u8], space: &Space) -> GoTables {
    let is_head = |at: &usize| matches!(bytes.get(*at..), Some([0xf0 | 0xf1, 0xff, 0xff, 0xff, 0, 0, ..]));
    let mut heads = (0..bytes.len()).step_by(4).filter(is_head).take(HEADS_MAX);
    heads.find_map(|at| read(bytes, at, space)).unwrap_or_default()
}

fn read(bytes: &[u8], at: usize, space: &Space) -> Option<GoTables> {
    // The magic of Go 1.18 and of Go 1.20; two zeros, the smallest instruction, the size of a pointer.
    let size = match bytes.get(at..)?.first_chunk()? {
        [0xf0 | 0xf1, 0xff, 0xff, 0xff, 0, 0, 1 | 2 | 4, size @ (4 | 8)] => usize::from(*size),
        _ => return None,
    };
    let number = |at: usize| if size == 8 { long(bytes, at) } else { word(bytes, at).map(u64::from) };
    let field = |index: usize| number(at.checked_add(8)?.checked_add(index * size)?);
    let start = u32::try_from(at).ok()?;
    let place =
        |index| start.checked_add(u32::try_from(field(index)?).ok()?).filter(|place| *place < len(bytes));
    let (names, units, lines, functions) = (place(3)?, place(4)?, place(6)?, place(7)?);
    if !(start < names && names <= units && units <= lines && lines <= functions) {
        return None;
    }
    // The record starts with the address of the head and that of the names.
    let [head, first] = [space.address(start), space.address(names)];
    let is_record = |at: &usize| number(*at) == Some(head) && number(*at + size) == Some(first);
    let record = (0..bytes.len()).step_by(size).find(is_record)?;
    let [text, types, types_end, data] = RECORD.map(|index| number(record + index * size));
    Some(GoTables {
        text: text?,
        types: types?,
        types_end: types_end?,
        data: data?,
        names,
        units,
        lines,
        functions,
        count: u32::try_from(field(0)?).ok()?,
    })
}
