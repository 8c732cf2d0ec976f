//! Xtensa instructions of moved code, predicted one kind at a time; and random bytes.

use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use crate::predict::testing::{Moved, predict, survive, teach};
use crate::predict::{Arch, Mode};

const CODE: (Arch, Mode) = (Arch::Xtensa, Mode::Code);

/// NOP.N, so that the block starts with an instruction for certain.
const NOP: [u8; 2] = [0x3d, 0xf0];

/// Loaded at `4020_0000`; from `4020_1000` on, everything has moved by 0x20. The case lies at 800 in both files.
fn check(old: &[u8], new: &[u8]) {
    let padded = |bytes: &[u8]| -> Vec<u8> { [NOP.repeat(8).as_slice(), bytes, &NOP.repeat(4)].concat() };
    let atlas = Moved::new(0x4020_0000, 0x4020_1000, 0x20);
    assert_eq!(predict(CODE, &padded(old), (0x7f0, 0x7f0), &atlas), padded(new), "{old:02x?}");
}

#[test]
fn distances_follow_what_moved() {
    // call0 .+4+0x1000; call0 backwards stays; j .+4+0x1000; beqz a2, .+4+0x7fc stays.
    check(&[0x05, 0x00, 0x01], &[0x05, 0x02, 0x01]);
    check(&[0xc5, 0xff, 0xff], &[0xc5, 0xff, 0xff]);
    check(&[0x06, 0x00, 0x04], &[0x06, 0x08, 0x04]);
    check(&[0x16, 0xc2, 0x7f], &[0x16, 0xc2, 0x7f]);
}

#[test]
fn loads_find_their_literals() {
    let atlas = Moved::new(0x4020_0000, 0x4020_0400, 0x20);
    // l32r a2, .-4, of a literal that stays behind while the code moves.
    let old = [NOP.repeat(8).as_slice(), &[0x21, 0x00, 0xff], &NOP.repeat(4)].concat();
    let new = [NOP.repeat(8).as_slice(), &[0x21, 0xf8, 0xfe], &NOP.repeat(4)].concat();
    assert_eq!(predict(CODE, &old, (0x400, 0x420), &atlas), new);
}

#[test]
fn literals_before_the_code_move() {
    let literal = 0x4020_2000_u32.to_le_bytes();
    let old = [literal.as_slice(), &NOP.repeat(8)].concat();
    let new = [0x4020_2020_u32.to_le_bytes().as_slice(), &NOP.repeat(8)].concat();
    assert_eq!(predict(CODE, &old, (0x800, 0x800), &Moved::new(0x4020_0000, 0x4020_1000, 0x20)), new);
}

#[test]
fn calls_teach_their_targets() {
    let mut atlas = Moved::new(0x4020_0000, 0x4020_1000, 0x20);
    teach(CODE, &[0x05, 0x00, 0x01, 0], &[0x05, 0x01, 0x01], (0x800, 0x800), &mut atlas);
    assert_eq!(atlas.learned.pop_first(), Some((0x4020_1804, 0x4020_1814)));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        old in vec(any::<u8>(), 0..300), len in 0..300_usize, places in any::<(u32, u32)>(), base in any::<u64>(),
    ) {
        survive(CODE, &old, len, places, &mut Moved::new(base, base, -8));
        survive(CODE, &old, len, places, &mut Moved::new(0x4020_0000, 0, i64::MIN));
    }
}
