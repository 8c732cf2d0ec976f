//! A64 words of moved code, predicted one kind at a time; and random bytes.

use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::super::Arch;
use super::super::plan::{Block, Plan, survives};

const BASE: u64 = 0x10_0000;

/// Old words at offset 0x1000, which lie at 0x1800 now, become the expected ones if these old addresses moved.
fn check(name: &str, old: &[u32], moves: &[(u64, u64)], expected: &[u32]) {
    let old: Vec<u8> = old.iter().flat_map(|word| word.to_le_bytes()).collect();
    let block = Block { arch: Arch::A64, old: &old, places: (0x1000, 0x1800) };
    let predicted = block.predict(&Plan::new(BASE, moves));
    let words: Vec<u32> = predicted.as_chunks().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect();
    assert!(words == expected, "{name}: {words:08x?} is not {expected:08x?}");
}

#[test]
fn fields_follow_their_targets() {
    check("bl #0x100", &[0x9400_0040], &[(0x10_1100, 0x10_1A00)], &[0x9400_0080]);
    check("b #-0x200", &[0x17FF_FF80], &[(0x10_0E00, 0x10_1700)], &[0x17FF_FFC0]);
    check("b.eq #0x40", &[0x5400_0200], &[(0x10_1040, 0x10_1880)], &[0x5400_0400]);
    check("cbz x3, #0x40", &[0xB400_0203], &[(0x10_1040, 0x10_1880)], &[0xB400_0403]);
    check("tbnz w4, #5, #0x40", &[0x3728_0204], &[(0x10_1040, 0x10_1880)], &[0x3728_0404]);
    check("ldr x5, #0x80", &[0x5800_0405], &[(0x10_1080, 0x10_1840)], &[0x5800_0205]);
    check("adr x6, #0x101", &[0x3000_0806], &[(0x10_1101, 0x10_1902)], &[0x5000_0806]);
}

#[test]
fn a_page_and_its_offset_follow_their_target() {
    let moves = [(0x10_4123, 0x10_6323)];
    check("adrp, add", &[0xF000_0000, 0x9104_8C00], &moves, &[0xB000_0020, 0x910C_8C00]);
    let moves = [(0x10_4128, 0x10_6000)];
    check(
        "adrp, nop, ldr",
        &[0xF000_0000, 0xD503_201F, 0xF940_9401],
        &moves,
        &[0xB000_0020, 0xD503_201F, 0xF940_0001],
    );
    let moves = [(0x10_4130, 0x10_4140)];
    check("adrp, ldr q", &[0xF000_0000, 0x3DC0_4C01], &moves, &[0xF000_0000, 0x3DC0_5001]);
    let moves = [(0x10_4122, 0x10_4124)];
    check("adrp, strh", &[0xF000_0000, 0x7902_4401], &moves, &[0xF000_0000, 0x7902_4801]);
}

#[test]
fn an_overwritten_register_holds_no_page() {
    let moves = [(0x10_4123, 0x10_6323), (0x10_4128, 0x10_6000)];
    // adrp x0; add x0, x0, #0x123; mov x0, x1; ldr x1, [x0, #0x128]
    let old = [0xF000_0000, 0x9104_8C00, 0xAA01_03E0, 0xF940_9401];
    check("overwritten", &old, &moves, &[0xB000_0020, 0x910C_8C00, 0xAA01_03E0, 0xF940_9401]);
    // The same offset again, after a jump from elsewhere: adrp x0; add x2, x0, #0x123; mov x0, x1; add x2, x0, #0x123
    let old = [0xF000_0000, 0x9104_8C02, 0xAA01_03E0, 0x9104_8C02];
    check("seen before", &old, &moves, &[0xB000_0020, 0x910C_8C02, 0xAA01_03E0, 0x910C_8C02]);
}

#[test]
fn what_does_not_fit_or_moved_along_stays() {
    check("too far for 14 bits", &[0x3728_0204], &[(0x10_1040, 0x11_1880)], &[0x3728_0204]);
    check("not known", &[0x9400_0040], &[], &[0x9400_0040]);
    check(
        "inside the block",
        &[0x5400_0020, 0xD503_201F],
        &[(0x10_1004, 0x10_0000)],
        &[0x5400_0020, 0xD503_201F],
    );
    check(
        "crooked for ldr",
        &[0xF000_0000, 0xF940_9401],
        &[(0x10_4128, 0x10_4129)],
        &[0xF000_0000, 0xF940_9401],
    );
}

#[test]
fn pointers_between_instructions_follow_their_targets() {
    check("pointer", &[0x0010_2000, 0], &[(0x10_2000, 0x10_2345)], &[0x0010_2345, 0]);
    check("no pointer", &[0x0010_2000, 1], &[(0x10_2000, 0x10_2345)], &[0x0010_2000, 1]);
}

/// Goes from old to new words and returns what was learned; `expected` is what was predicted on the way.
fn teach(old: &[u32], new: &[u32], expected: &[u32]) -> Vec<(u64, u64)> {
    let bytes = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let old = bytes(old);
    let block = Block { arch: Arch::A64, old: &old, places: (0x1000, 0x1800) };
    let mut plan = Plan::new(BASE, &[]);
    assert_eq!(block.go_through(&bytes(new), &mut plan), bytes(expected));
    plan.learned
}

#[test]
fn calls_pairs_and_pointers_teach() {
    let bl = teach(&[0x9400_0040], &[0x9400_0080], &[0x9400_0040]);
    assert_eq!(bl, [(0x10_1100, 0x10_1A00)]);
    let old = [0xF000_0000, 0x9104_8C00];
    assert_eq!(teach(&old, &[0xB000_0020, 0x910C_8C00], &old), [(0x10_4123, 0x10_6323)]);
    assert_eq!(teach(&[0x0010_2000, 0], &[0x0010_2345, 0], &[0x0010_2000, 0]), [(0x10_2000, 0x10_2345)]);
    assert_eq!(teach(&[0x1400_0004], &[0x1400_0005], &[0x1400_0004]), [], "a short jump teaches nothing");
}

#[test]
fn a_grown_frame_moves_what_lies_behind() {
    // stp x29, x30, [sp, #-0x40]!; str x1, [sp, #0x18]; ldp x1, x2, [sp, #0x20]; ldp x29, x30, [sp], #0x40
    let old = [0xA9BC_7BFD, 0xF900_0FE1, 0xA942_0BE1, 0xA8C4_7BFD];
    let new = [0xA9BB_7BFD, 0xF900_13E1, 0xA942_8BE1, 0xA8C5_7BFD];
    // The frame has grown by 16 bytes. The store is expected to stay, as it is closer to the bottom; then the pair is
    // expected to move as far as the store did, by 8 bytes.
    let predicted = [0xA9BC_7BFD, 0xF900_0FE1, 0xA942_8BE1, 0xA8C5_7BFD];
    assert_eq!(teach(&old, &new, &predicted), []);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        old in vec(any::<u8>(), 0..300), new in vec(any::<u8>(), 0..200),
        at in 0..400_usize, places in any::<(u32, u32)>(), base in any::<u64>(),
    ) {
        survives(Arch::A64, &old, &new, at, places, base);
        survives(Arch::A64, &old, &new, at, (places.0 & !3, 0), 0);
    }
}
