//! Thumb instructions of moved code, predicted one kind at a time; and random bytes.

use std::vec;
use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::super::Arch;
use super::super::plan::{Block, Plan, survives};

const BASE: u64 = 0x0800_0000;

fn bytes(halfwords: &[u16]) -> Vec<u8> {
    halfwords.iter().flat_map(|halfword| halfword.to_le_bytes()).collect()
}

/// Old halfwords at offset 0x1000, which lie at 0x1800 now, become the expected ones if these old addresses moved.
fn check(name: &str, old: &[u16], moves: &[(u64, u64)], expected: &[u16]) {
    check_at(name, (0x1000, 0x1800), old, moves, expected);
}

fn check_at(name: &str, places: (u32, u32), old: &[u16], moves: &[(u64, u64)], expected: &[u16]) {
    let old = bytes(old);
    let moves: Vec<_> = moves.iter().map(|(old, new)| (BASE + old, BASE + new)).collect();
    let predicted = Block { arch: Arch::Thumb, old: &old, places }.predict(&Plan::new(BASE, &moves));
    let halfwords: Vec<u16> =
        predicted.as_chunks().0.iter().map(|chunk| u16::from_le_bytes(*chunk)).collect();
    assert!(halfwords == expected, "{name}: {halfwords:04x?} is not {expected:04x?}");
}

#[test]
fn branches_follow_their_targets() {
    check("bl +0x100", &[0xF000, 0xF880], &[(0x1104, 0x1A04)], &[0xF000, 0xF900]);
    check("bl back", &[0xF000, 0xF880], &[(0x1104, 0x1704)], &[0xF7FF, 0xFF80]);
    check("blx +0x100", &[0xF000, 0xE880], &[(0x1104, 0x1A04)], &[0xF000, 0xE900]);
    check("b.w +0x1000", &[0xF001, 0xB800], &[(0x2004, 0x3804)], &[0xF002, 0xB800]);
    check("beq.w +0x1000", &[0xF001, 0x8000], &[(0x2004, 0x3804)], &[0xF002, 0x8000]);
    check("b +0x100", &[0xE080], &[(0x1104, 0x1A04)], &[0xE100]);
    check("beq +0x40", &[0xD020], &[(0x1044, 0x1846)], &[0xD021]);
    check("cbz r3 +0x40", &[0xB303], &[(0x1044, 0x1842)], &[0xB1FB]);
}

#[test]
fn literals_are_found_where_their_pool_is_now() {
    check("ldr +0x40", &[0x4A10], &[(0x1044, 0x1848)], &[0x4A11]);
    check("adr +0x40", &[0xA210], &[(0x1044, 0x1848)], &[0xA211]);
    check("ldr.w +0x140", &[0xF8DF, 0x9140], &[(0x1144, 0x1948)], &[0xF8DF, 0x9144]);
    check("ldr.w now behind", &[0xF8DF, 0x9140], &[(0x1144, 0x16C4)], &[0xF85F, 0x9140]);
    check("ldrd +0x40", &[0xE9DF, 0x2310], &[(0x1044, 0x1848)], &[0xE9DF, 0x2311]);
    check("vldr +0x40", &[0xED9F, 0x0B10], &[(0x1044, 0x1848)], &[0xED9F, 0x0B11]);
    // Code that moved by half a word reaches its pool from another word.
    check_at("half a word", (0x1000, 0x1802), &[0x4A10], &[(0x1044, 0x1844)], &[0x4A10]);
    check_at("the other half", (0x1002, 0x1800), &[0x4A10], &[(0x1044, 0x1844)], &[0x4A10]);
}

#[test]
fn pointers_follow_their_targets() {
    check("function", &[0x2001, 0x0800], &[(0x2001, 0x2345)], &[0x2345, 0x0800]);
    check("string that moved by an odd distance", &[0x2002, 0x0800], &[(0x2002, 0x2345)], &[0x2345, 0x0800]);
    check(
        "word that straddles two",
        &[0xBF00, 0x2001, 0x0800, 0xBF00],
        &[(0x2001, 0x2345)],
        &[0xBF00, 0x2001, 0x0800, 0xBF00],
    );
    let pair = [(0x2_1234, 0x3_5678)];
    check("movw, movt", &[0xF241, 0x2334, 0xF6C0, 0x0302], &pair, &[0xF245, 0x6378, 0xF6C0, 0x0303]);
}

#[test]
fn a_literal_counts_from_where_the_program_counter_is_added() {
    // 0x1000: ldr r2, [pc, #4] -> 0x1008; 0x1002: add r2, pc; nop; nop; word: 0x2000 - 0x1006
    let old = [0x4A01, 0x447A, 0xBF00, 0xBF00, 0x0FFA, 0];
    check("ldr, add", &old, &[(0x2000, 0x2900)], &[0x4A01, 0x447A, 0xBF00, 0xBF00, 0x10FA, 0]);
}

fn teach(old: &[u16], new: &[u16]) -> (Vec<u8>, Vec<(u64, u64)>) {
    let (old, new) = (bytes(old), bytes(new));
    let mut plan = Plan::new(BASE, &[]);
    let predicted =
        Block { arch: Arch::Thumb, old: &old, places: (0x1000, 0x1800) }.go_through(&new, &mut plan);
    (predicted, plan.learned.iter().map(|(old, new)| (old - BASE, new - BASE)).collect())
}

#[test]
fn calls_and_pointers_teach() {
    assert_eq!(teach(&[0xF000, 0xF880], &[0xF000, 0xF900]).1, [(0x1104, 0x1A04)]);
    assert_eq!(teach(&[0x2001, 0x0800], &[0x2345, 0x0800]).1, [(0x2001, 0x2345)]);
    assert_eq!(
        teach(&[0x4B00, 0xBF00, 0x0010, 0x2000], &[0x4B00, 0xBF00, 0x0018, 0x2000]).1,
        [(0x1800_0010, 0x1800_0018)]
    );
    let (old, new) =
        ([0x4A01, 0x447A, 0xBF00, 0xBF00, 0x0FFA, 0], [0x4A01, 0x447A, 0xBF00, 0xBF00, 0x10FA, 0]);
    assert_eq!(teach(&old, &new).1, [(0x2000, 0x2900)]);
    let (old, new) = ([0xF241, 0x2334, 0xF6C0, 0x0302], [0xF245, 0x6378, 0xF6C0, 0x0303]);
    assert_eq!(teach(&old, &new).1, [(0x2_1234, 0x3_5678)]);
}

#[test]
fn a_grown_frame_moves_what_lies_behind() {
    // sub sp, #0x40; str r1, [sp, #0x18]; add r2, sp, #0x20; ldr.w r9, [sp, #0x44]; add sp, #0x40
    let old = [0xB090, 0x9106, 0xAA08, 0xF8DD, 0x9044, 0xB010];
    let new = [0xB092, 0x9106, 0xAA08, 0xF8DD, 0x904C, 0xB012];
    let predicted = bytes(&[0xB090, 0x9106, 0xAA08, 0xF8DD, 0x904C, 0xB012]);
    assert_eq!(teach(&old, &new), (predicted, vec![]));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        old in vec(any::<u8>(), 0..300), new in vec(any::<u8>(), 0..200),
        at in 0..400_usize, places in any::<(u32, u32)>(), base in any::<u64>(),
    ) {
        survives(Arch::Thumb, &old, &new, at, places, base);
        survives(Arch::Thumb, &old, &new, at, (places.0 & !1, 0), 0);
    }
}
