//! Copies of pairs made by hand, and what is compared to find them in hostile ones.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, proptest};

use super::{Copy, MatchOptions, copies, count_copies, sparse_copies};

/// Bytes without any repeat of eight.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn at(place: u32) -> usize {
    usize::try_from(place).unwrap()
}

/// Checks what holds for all copies; returns how many new bytes they get right.
fn check(old: &[u8], new: &[u8], copies: &[Copy]) -> usize {
    let mut end = 0;
    let mut right = 0;
    for copy in copies {
        assert!(copy.len > 0 && copy.new >= end, "{copy:?} before {end}");
        end = copy.new + copy.len;
        let from = &old[at(copy.old)..at(copy.old + copy.len)];
        right += from.iter().zip(&new[at(copy.new)..at(end)]).filter(|(a, b)| a == b).count();
    }
    assert!(at(end) <= new.len());
    right
}

fn found(old: &[u8], new: &[u8]) -> Vec<(u32, u32, u32)> {
    let copies = copies(old, new, MatchOptions::default());
    check(old, new, &copies);
    copies.iter().map(|copy| (copy.new, copy.old, copy.len)).collect()
}

fn found_sparsely(old: &[u8], new: &[u8]) -> Vec<(u32, u32, u32)> {
    let copies = sparse_copies(old, new);
    let covered: u32 = copies.iter().map(|copy| copy.len).sum();
    assert_eq!(check(old, new, &copies), at(covered));
    copies.iter().map(|copy| (copy.new, copy.old, copy.len)).collect()
}

#[test]
fn equal_files_are_one_copy() {
    for len in [1, 7, 1000, 300_000] {
        let file = noise(len, 1);
        let expected = if len > 6 { vec![(0, 0, u32::try_from(len).unwrap())] } else { vec![] };
        assert_eq!(found(&file, &file), expected);
    }
    assert_eq!(found(&vec![0; 100_000], &vec![0; 100_000]), [(0, 0, 100_000)]);
}

#[test]
fn empty_files_have_no_copies() {
    assert_eq!(found(b"", b"new"), []);
    assert_eq!(found(b"old", b""), []);
    assert_eq!(found_sparsely(b"", &[1; 200]), []);
    assert_eq!(found_sparsely(&[1; 200], b""), []);
}

#[test]
fn an_insertion_moves_the_rest() {
    let old = noise(1000, 1);
    let new = [&old[..401], &noise(51, 2), &old[401..]].concat();
    assert_eq!(found(&old, &new), [(0, 0, 401), (452, 401, 599)]);
}

#[test]
fn swapped_halves_are_two_copies() {
    let old = noise(1000, 1);
    let new = [&old[501..], &old[..501]].concat();
    assert_eq!(found(&old, &new), [(0, 501, 499), (499, 0, 501)]);
}

#[test]
fn a_few_changed_bytes_break_no_copy() {
    let old = noise(10_000, 1);
    let mut new = old.clone();
    (100..9900).step_by(30).for_each(|index| new[index] ^= 0x55);
    assert_eq!(found(&old, &new), [(0, 0, 10_000)]);
}

#[test]
fn a_stretch_that_is_dearer_to_copy_than_to_write_is_not_copied() {
    let old = noise(2000, 1);
    let new = [&old[..1000], &noise(30, 2), &old[500..508], &noise(30, 3), &old[1000..]].concat();
    assert_eq!(found(&old, &new), [(0, 0, 1000), (1068, 1000, 1000)]);
}

#[test]
fn a_replaced_stretch_is_literals_between_copies_of_one_shift() {
    let old = noise(2000, 1);
    let new = [&old[..1000], &noise(100, 2), &old[1100..]].concat();
    assert_eq!(found(&old, &new), [(0, 0, 1000), (1100, 1100, 900)]);
}

#[test]
fn a_table_whose_addresses_all_moved_is_copied_around_a_new_entry() {
    let targets: Vec<u32> =
        noise(4000, 1).iter().scan(0x40_0000, |sum, step| Some(*sum + u32::from(*step) * 4)).collect();
    let table = |targets: &[u32], moved: u32| -> Vec<u8> {
        targets
            .iter()
            .enumerate()
            .flat_map(|(index, target)| (target + moved + u32::try_from(index).unwrap() * 1031).to_le_bytes())
            .collect()
    };
    let old = [noise(500, 2), table(&targets, 0)].concat();
    let entry = noise(8, 3);
    let moved = table(&targets, 0x1234);
    let new = [&old[..500], &moved[..8000], &entry, &moved[8000..]].concat();
    let found = found(&old, &new);
    assert!(found.len() <= 4, "{found:?}");
    assert_eq!(found.last().map(|(new, old, len)| (new - old, new + len)), Some((8, 16_508)));
}

/// Checks that all comparisons together touch at most `budget` bytes for each byte of both files.
fn check_work(old: &[u8], new: &[u8], budget: u64) {
    let (copies, compared) = count_copies(old, new, MatchOptions::default());
    check(old, new, &copies);
    let per_byte = compared / (old.len() + new.len()) as u64;
    assert!(per_byte <= budget, "{per_byte} bytes compared for each byte");
}

#[test]
fn hostile_files_cost_bounded_work() {
    const LEN: usize = 200_000;
    let zeros = vec![0; LEN];
    let random = noise(LEN, 1);
    check_work(&zeros, &zeros, 20);
    check_work(&zeros, &vec![1; LEN], 2000);
    check_work(&zeros, &random, 2000);
    check_work(&random, &zeros, 2000);
    check_work(&random, &noise(LEN, 2), 2000);
    for period in [2, 3, 7, 64, 1000, 4095] {
        let periodic: Vec<u8> = noise(period, 3).iter().copied().cycle().take(LEN).collect();
        let other: Vec<u8> = noise(period + 1, 3).iter().copied().cycle().take(LEN).collect();
        check_work(&periodic, &periodic[1..], 200);
        check_work(&periodic, &other, 2000);
        let mut broken = periodic.clone();
        broken.iter_mut().step_by(23).for_each(|byte| *byte ^= 1);
        check_work(&periodic, &broken, 2000);
        check_work(&broken, &periodic, 2000);
    }
}

#[test]
fn long_stretches_are_found_anywhere_in_an_image() {
    let old = noise(100_000, 1);
    let new = [&noise(100, 2), &old[70_001..70_200], &noise(33, 3), &old[5..5000], &old[99_937..]].concat();
    assert_eq!(found_sparsely(&old, &new), [(100, 70_001, 199), (332, 5, 4995), (5327, 99_937, 63)][..2]);
    assert_eq!(found_sparsely(&old, &old), [(0, 0, 100_000)]);
    assert_eq!(found_sparsely(&[0; 1000], &vec![0; 1_000_000]).len(), 1000);
}

#[test]
fn short_stretches_are_not_looked_for_in_an_image() {
    let old = noise(10_000, 1);
    assert_eq!(found_sparsely(&old, &[&noise(100, 2), &old[64..127], &noise(100, 3)].concat()), []);
}

/// A new file made of pieces of the old one and other bytes.
fn edited() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let piece = (any::<u16>(), 0..200_usize, vec(any::<u8>(), 0..6));
    (vec(0..5_u8, 0..1000), vec(piece, 0..12)).prop_map(|(old, pieces)| {
        let mut new = Vec::new();
        for (start, len, other) in pieces {
            let start = usize::from(start) % (old.len() + 1);
            new.extend_from_slice(&old[start..(start + len).min(old.len())]);
            new.extend_from_slice(&other);
        }
        (old, new)
    })
}

proptest! {
    #[test]
    fn copies_lie_in_both_files_and_do_not_overlap((old, new) in edited(), step in 0..5_usize) {
        let found = copies(&old, &new, MatchOptions { search_step_bytes: step });
        check(&old, &new, &found);
        assert_eq!(found, copies(&old, &new, MatchOptions { search_step_bytes: step }));
    }

    #[test]
    fn sparse_copies_are_exact((old, new) in edited()) {
        found_sparsely(&old, &new);
    }
}
