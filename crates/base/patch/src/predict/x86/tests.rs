//! x86-64 instructions of moved code, predicted one kind at a time; and random bytes.

use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use crate::predict::testing::{Moved, predict, survive, teach};
use crate::predict::{Arch, Mode};

const CODE: (Arch, Mode) = (Arch::X86, Mode::Code);

/// NOPs before the case, so that the block starts with an instruction for certain.
const LEAD: usize = 16;

/// Loaded at `40_0000`; from `40_1000` on, everything has moved by 0x20. The case lies at 800 in both files.
fn check(old: &[u8], new: &[u8]) {
    let padded = |bytes: &[u8]| -> Vec<u8> { [&[0x90; LEAD], bytes, &[0x90; 20]].concat() };
    let atlas = Moved::new(0x40_0000, 0x40_1000, 0x20);
    assert_eq!(predict(CODE, &padded(old), (0x7f0, 0x7f0), &atlas), padded(new), "{old:02x?}");
}

#[test]
fn distances_follow_what_moved() {
    // call .+0x1000; the same backwards stays.
    check(&[0xe8, 0xfb, 0x0f, 0, 0], &[0xe8, 0x1b, 0x10, 0, 0]);
    check(&[0xe8, 0xfb, 0xff, 0xff, 0xff], &[0xe8, 0xfb, 0xff, 0xff, 0xff]);
    // je; jmp over 8 bits stays; lea rdi, [rip + 0x1000]; mov dword [rip + 0x1000], 5; movaps.
    check(&[0x0f, 0x84, 0, 0x10, 0, 0], &[0x0f, 0x84, 0x20, 0x10, 0, 0]);
    check(&[0xeb, 0x10], &[0xeb, 0x10]);
    check(&[0x48, 0x8d, 0x3d, 0, 0x10, 0, 0], &[0x48, 0x8d, 0x3d, 0x20, 0x10, 0, 0]);
    check(&[0xc7, 0x05, 0, 0x10, 0, 0, 5, 0, 0, 0], &[0xc7, 0x05, 0x20, 0x10, 0, 0, 5, 0, 0, 0]);
    check(&[0xc5, 0xfd, 0x6f, 0x05, 0, 0x10, 0, 0], &[0xc5, 0xfd, 0x6f, 0x05, 0x20, 0x10, 0, 0]);
}

#[test]
fn addresses_in_instructions_move() {
    // mov edi, 0x402000; movabs; jmp [rax * 8 + 0x402000]; a small number stays.
    check(&[0xbf, 0, 0x20, 0x40, 0], &[0xbf, 0x20, 0x20, 0x40, 0]);
    check(&[0x48, 0xb8, 0, 0x20, 0x40, 0, 0, 0, 0, 0], &[0x48, 0xb8, 0x20, 0x20, 0x40, 0, 0, 0, 0, 0]);
    check(&[0xff, 0x24, 0xc5, 0, 0x20, 0x40, 0], &[0xff, 0x24, 0xc5, 0x20, 0x20, 0x40, 0]);
    check(&[0xbf, 0, 0x20, 0, 0], &[0xbf, 0, 0x20, 0, 0]);
}

#[test]
fn short_jumps_over_what_grew_are_longer() {
    let atlas = Moved::new(0x40_0000, 0x40_0820, 4);
    let old = [[0x90; 16].as_slice(), &[0xeb, 0x20], &[0x90; 20]].concat();
    let new = [[0x90; 16].as_slice(), &[0xeb, 0x24], &[0x90; 20]].concat();
    assert_eq!(predict(CODE, &old, (0x7f0, 0x7f0), &atlas), new);
}

#[test]
fn a_block_that_starts_within_an_instruction_falls_in_step() {
    // The last bytes of a distance, then calls.
    let atlas = Moved::new(0x40_0000, 0x40_1000, 0x20);
    let call = [0xe8, 0xfb, 0x1f, 0, 0];
    let old = [&[0x12, 0, 0], call.repeat(12).as_slice()].concat();
    let new = predict(CODE, &old, (0x800, 0x800), &atlas);
    assert_eq!(&new[8..13], &[0xe8, 0x1b, 0x20, 0, 0]);
}

#[test]
fn calls_teach_their_targets() {
    let mut atlas = Moved::new(0x40_0000, 0x40_1000, 0x20);
    teach(CODE, &[0xe8, 0xfb, 0x0f, 0, 0], &[0xe8, 0xff, 0x0f, 0, 0], (0x800, 0x810), &mut atlas);
    assert_eq!(atlas.learned.pop_first(), Some((0x40_1800, 0x40_1814)));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        old in vec(any::<u8>(), 0..300), len in 0..300_usize, places in any::<(u32, u32)>(), base in any::<u64>(),
    ) {
        survive(CODE, &old, len, places, &mut Moved::new(base, base, -8));
        survive(CODE, &old, len, places, &mut Moved::new(0, 0, i64::MIN));
    }
}
