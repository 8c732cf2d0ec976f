//! Arm words of moved code, predicted one kind at a time; and random bytes.

use std::vec;
use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::super::Arch;
use super::super::plan::{Block, Plan, survives};

const BASE: u64 = 0x1_0000;

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Old words at offset 0x1000, which lie at 0x1800 now, become the expected ones if these old offsets moved.
fn check(name: &str, old: &[u32], moves: &[(u64, u64)], expected: &[u32]) {
    let old = bytes(old);
    let moves: Vec<_> = moves.iter().map(|(old, new)| (BASE + old, BASE + new)).collect();
    let predicted =
        Block { arch: Arch::Arm, old: &old, places: (0x1000, 0x1800) }.predict(&Plan::new(BASE, &moves));
    let words: Vec<u32> = predicted.as_chunks().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect();
    assert!(words == expected, "{name}: {words:08x?} is not {expected:08x?}");
}

#[test]
fn fields_follow_their_targets() {
    check("bl +0x100", &[0xEB00_0040], &[(0x1108, 0x1A08)], &[0xEB00_0080]);
    check("beq +0x100", &[0x0A00_0040], &[(0x1108, 0x1708)], &[0x0AFF_FFC0]);
    check("blx +0x102", &[0xFB00_0040], &[(0x110A, 0x1A08)], &[0xFA00_0080]);
    check("ldr +0x40", &[0xE59F_2040], &[(0x1048, 0x1858)], &[0xE59F_2050]);
    check("ldr -0x40", &[0xE51F_2040], &[(0x0FC8, 0x1858)], &[0xE59F_2050]);
    check("add +0x1000", &[0xE28F_2A01], &[(0x2008, 0x3808)], &[0xE28F_2A02]);
    check("sub -0x10", &[0xE24F_2010], &[(0x0FF8, 0x1818)], &[0xE28F_2010]);
    check("add of what no turned byte is", &[0xE28F_2A01], &[(0x2008, 0x3909)], &[0xE28F_2A01]);
    check("vldr +0x40", &[0xED9F_0B10], &[(0x1048, 0x184C)], &[0xED9F_0B11]);
}

#[test]
fn pointers_follow_their_targets() {
    check("pointer", &[0x0001_2000], &[(0x2000, 0x2344)], &[0x0001_2344]);
    // movw r3, #0x1234; movt r3, #1
    check("movw, movt", &[0xE301_3234, 0xE340_3001], &[(0x1234, 0x1_5678)], &[0xE305_3678, 0xE340_3002]);
    // 0x1000: ldr r2, [pc]; 0x1004: add r2, pc, r2; word: 0x2000 - 0x100C
    let old = [0xE59F_2000, 0xE08F_2002, 0x0000_0FF4];
    check("ldr, add", &old, &[(0x2000, 0x2900)], &[0xE59F_2000, 0xE08F_2002, 0x0000_10F4]);
}

fn teach(old: &[u32], new: &[u32]) -> (Vec<u8>, Vec<(u64, u64)>) {
    let (old, new) = (bytes(old), bytes(new));
    let mut plan = Plan::new(BASE, &[]);
    let predicted =
        Block { arch: Arch::Arm, old: &old, places: (0x1000, 0x1800) }.go_through(&new, &mut plan);
    (predicted, plan.learned.iter().map(|(old, new)| (old - BASE, new - BASE)).collect())
}

#[test]
fn calls_and_pointers_teach() {
    assert_eq!(teach(&[0xEB00_0040], &[0xEB00_0080]).1, [(0x1108, 0x1A08)]);
    assert_eq!(teach(&[0x0001_2000], &[0x0001_2344]).1, [(0x2000, 0x2344)]);
    assert_eq!(teach(&[0xE301_3234, 0xE340_3001], &[0xE305_3678, 0xE340_3002]).1, [(0x1234, 0x1_5678)]);
    let (old, new) = ([0xE59F_2000, 0xE08F_2002, 0x0FF4], [0xE59F_2000, 0xE08F_2002, 0x10F4]);
    assert_eq!(teach(&old, &new).1, [(0x2000, 0x2900)]);
    assert_eq!(teach(&[0xEA00_0004], &[0xEA00_0005]).1, [], "a short jump teaches nothing");
}

#[test]
fn a_grown_frame_moves_what_lies_behind() {
    // str lr, [sp, #-0x40]!; ldr r2, [sp, #0x18]; add r2, sp, #0x20; ldr pc, [sp], #0x40
    let old = [0xE52D_E040, 0xE59D_2018, 0xE28D_2020, 0xE49D_F040];
    let new = [0xE52D_E050, 0xE59D_2018, 0xE28D_2020, 0xE49D_F050];
    let predicted = bytes(&[0xE52D_E040, 0xE59D_2018, 0xE28D_2020, 0xE49D_F050]);
    assert_eq!(teach(&old, &new), (predicted, vec![]));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        old in vec(any::<u8>(), 0..300), new in vec(any::<u8>(), 0..200),
        at in 0..400_usize, places in any::<(u32, u32)>(), base in any::<u64>(),
    ) {
        survives(Arch::Arm, &old, &new, at, places, base);
        survives(Arch::Arm, &old, &new, at, (places.0 & !3, 0), 0);
    }
}
