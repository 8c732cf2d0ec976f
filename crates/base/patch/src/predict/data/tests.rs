//! Tables of addresses that have moved, predicted one kind at a time; and random bytes.

use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use crate::predict::testing::{Moved, predict, survive, teach};
use crate::predict::{Arch, GoTables, Mode};

/// Loaded at `1_0000`; from `1_1000` on, everything has moved by 0x20. The case lies at 800 in both files.
fn check(mode: Mode, old: &[u32], new: &[u32]) {
    let bytes = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
    let atlas = Moved::new(0x1_0000, 0x1_1000, 0x20);
    assert_eq!(
        predict((Arch::None, mode), &bytes(old), (0x800, 0x800), &atlas),
        bytes(new),
        "{mode:?} {old:x?}"
    );
}

#[test]
fn addresses_of_what_moved_move() {
    check(Mode::Pointers32, &[0x1_1234, 0x1_0ffc, 5, !0], &[0x1_1254, 0x1_0ffc, 5, !0]);
    check(Mode::Pointers64, &[0x1_1234, 0, 0x1_1234, 1], &[0x1_1254, 0, 0x1_1234, 1]);
    check(Mode::Offsets32, &[0x1234, 0xffc, 5, 0x1_0000], &[0x1254, 0xffc, 5, 0x1_0000]);
    // From 1_0800 and 1_0804 on.
    check(Mode::Relative32, &[0x1000, 0x10, 0], &[0x1020, 0x10, 0]);
}

#[test]
fn unaligned_blocks_start_at_the_next_word() {
    let atlas = Moved::new(0x1_0000, 0x1_1000, 0x20);
    let old = [0, 0, 0x34, 0x12, 0x01, 0x00, 0xff];
    let new = [0, 0, 0x54, 0x12, 0x01, 0x00, 0xff];
    assert_eq!(predict((Arch::None, Mode::Pointers32), &old, (0x802, 0x7ff), &atlas), new);
}

#[test]
fn relocations_and_symbols_keep_their_shift() {
    // Elf64_Rela: place, kind and symbol, addend.
    let old = [0x1_1000, 0, 1027, 0, 0x1_1100, 0, 0x1_1008, 0, 1025, 7, 0, 0];
    let new = [0x1_1020, 0, 1027, 0, 0x1_1120, 0, 0x1_1028, 0, 1025, 7, 0, 0];
    check(Mode::Symbols, &old, &new);
    // Elf64_Sym: name, kind, visibility, section; address; size. The second one spans the border.
    let old = [0x100, 0x000d_0012, 0x1_1000, 0, 0x40, 0, 0x108, 0x000d_0012, 0x1_0ff0, 0, 0x40, 0];
    let new = [0x100, 0x000d_0012, 0x1_1020, 0, 0x40, 0, 0x108, 0x000d_0012, 0x1_0ff0, 0, 0x60, 0];
    check(Mode::Symbols, &old, &new);
}

#[test]
fn descriptions_of_functions_follow_them() {
    // Length, way back to the CIE, start from its own place, length of the function, rules.
    let record = |start: u32, len: u32| [20, 0x20, start, len, 0x100, 0];
    let old = [record(0x1000 - 8, 0x40), record(0x10, 0x40), record(0x7f0, 0x40)].concat();
    let new = [record(0x1020 - 8, 0x40), record(0x10, 0x40), record(0x810, 0x40)].concat();
    check(Mode::Frames, &old, &new);
}

#[test]
fn rows_follow_the_row_before() {
    let atlas = Moved::new(0x1_0000, 0x1_1000, 0x20);
    // Rows from 0xc on; the test's `.eh_frame_hdr` is where the file is.
    let row = |start: u32, frame: u32| [start.to_le_bytes(), frame.to_le_bytes()].concat();
    let old = [row(0x100, 0x2000), row(0x1100, 0x2020), row(0x1200, 0x2040)].concat();
    let new = [row(0x100, 0x2020), row(0x1120, 0x2040), row(0x1220, 0x2060)].concat();
    assert_eq!(predict((Arch::None, Mode::FrameIndex), &old, (0xc, 0xc), &atlas), new);
}

/// The atlas with the tables of a Go program that has two functions; the list of functions is at 2000.
fn go() -> Moved {
    let mut atlas = Moved::new(0x1_0000, 0x1_1000, 0x20);
    let old = GoTables {
        text: 0x1_0400,
        types: 0x1_0800,
        types_end: 0x1_1800,
        data: 0x1_8000,
        names: 0x0a00,
        units: 0x1600,
        lines: 0x1700,
        functions: 0x2000,
        count: 2,
    };
    let new = GoTables { data: 0x1_8020, units: 0x1620, lines: 0x1720, functions: 0x2020, ..old };
    atlas.go = (old, new);
    atlas
}

fn check_go(mode: Mode, places: (u32, u32), old: &[u32], new: &[u32]) {
    let bytes = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
    assert_eq!(predict((Arch::None, mode), &bytes(old), places, &go()), bytes(new), "{old:x?}");
}

#[test]
fn functions_of_go_follow_their_code() {
    // The list: 1_0500 stays, 1_1400 moves; descriptions move with the list.
    check_go(Mode::GoFunctions, (0x2000, 0x2020), &[0x100, 0x14, 0x1000, 0x40], &[0x100, 0x14, 0x1020, 0x40]);
    // Start, name, arguments, defer, stack, file, line, one number, unit, line, kind; then two more numbers.
    let old = [0x1000, 0x700, 8, 0, 0x10, 0x20, 0x30, 1, 1, 99, 0x0100_0000, 0x40, 0x50];
    let new = [0x1020, 0x720, 8, 0, 0x10, 0x20, 0x30, 1, 1, 99, 0x0100_0000, 0x40, 0x50];
    check_go(Mode::GoFunctions, (0x2014, 0x2034), &old, &new);
    // Calls that were inlined: kind, name, place, line.
    check_go(Mode::GoFunctions, (0x8000, 0x8020), &[0, 0x700, 4, 10], &[0, 0x720, 4, 10]);
}

#[test]
fn types_of_go_count_from_their_first() {
    // An address, a type before what moved and one behind it, code.
    check_go(Mode::GoTypes, (0x900, 0x900), &[0x1_1234, 0, 0x700, 0x900], &[0x1_1254, 0, 0x700, 0x920]);
    check_go(Mode::GoTypes, (0x900, 0x900), &[0x2000, 3], &[0x2020, 3]);
}

#[test]
fn pointers_teach() {
    let mut atlas = Moved::new(0x1_0000, 0x1_1000, 0x20);
    let (old, new) = (0x1_1234_u32.to_le_bytes(), 0x1_2234_u32.to_le_bytes());
    teach((Arch::None, Mode::Pointers32), &old, &new, (0x800, 0x800), &mut atlas);
    assert_eq!(atlas.learned.pop_first(), Some((0x1_1234, 0x1_2234)));
}

const MODES: [Mode; 9] = [
    Mode::Pointers32,
    Mode::Pointers64,
    Mode::Offsets32,
    Mode::Relative32,
    Mode::FrameIndex,
    Mode::Frames,
    Mode::Symbols,
    Mode::GoFunctions,
    Mode::GoTypes,
];

proptest! {
    #[test]
    fn any_bytes_are_survived(
        old in vec(any::<u8>(), 0..300), len in 0..300_usize, places in any::<(u32, u32)>(), base in any::<u64>(),
    ) {
        for mode in MODES {
            let mut atlas = Moved::new(base, base, -8);
            atlas.go = go().go;
            survive((Arch::None, mode), &old, len, places, &mut atlas);
            survive((Arch::None, mode), &old, len, places, &mut Moved::new(0, 0, i64::MIN));
        }
    }

    #[test]
    fn small_words_are_survived(words in vec(0..64_u32, 0..80), places in (0..5000_u32, 0..5000_u32)) {
        let old: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        for mode in MODES {
            let mut atlas = Moved::new(0, 100, 12);
            let tables = GoTables { units: 0x100, functions: 0x200, count: 9, ..GoTables::default() };
            atlas.go = (tables, tables);
            survive((Arch::None, mode), &old, old.len(), places, &mut atlas);
        }
    }
}
