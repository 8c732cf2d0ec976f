//! RISC-V instructions of moved code, predicted one kind at a time; and random bytes.

use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use crate::predict::testing::{Moved, predict, survive, teach};
use crate::predict::{Arch, Mode};

const RV32: (Arch, Mode) = (Arch::Rv32, Mode::Code);

/// Loaded at `2000_0000`; from `2000_1000` on, everything has moved by 20 bytes.
fn atlas() -> Moved {
    Moved::new(0x2000_0000, 0x2000_1000, 20)
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The block lies at 800 in both files.
fn check(old: &[u32], new: &[u32]) {
    assert_eq!(predict(RV32, &words(old), (0x800, 0x800), &atlas()), words(new), "{old:08x?}");
}

#[test]
fn jumps_to_what_moved_are_longer() {
    // jal ra, .+0x900; jal ra, .+0x14 stays.
    check(&[0x1000_10ef, 0x0140_00ef], &[0x1140_10ef, 0x0140_00ef]);
    // bne a0, a1, .+0x7fe is still before the border.
    check(&[0x7eb5_1fe3], &[0x7eb5_1fe3]);
    // c.j .+0x7fe, behind c.nop: within 800 to 1000 nothing moved.
    check(&[0xaffd_0001], &[0xaffd_0001]);
}

#[test]
fn auipc_and_lui_take_their_low_bits_along() {
    // auipc a0, 0; addi a0, a0, 0x7fc stays; auipc a0, 1; addi a0, a0, -2: 2000_17fe moves.
    check(&[0x0000_0517, 0x7fc5_0513], &[0x0000_0517, 0x7fc5_0513]);
    check(&[0x0000_1517, 0xffe5_0513], &[0x0000_1517, 0x0125_0513]);
    // lui a5, 0x20002; lw a4, -8(a5): 2000_1ff8 is 2000_200c; sw a4, -4(a5).
    check(&[0x2000_27b7, 0xff87_a703, 0xfee7_ae23], &[0x2000_27b7, 0x00c7_a703, 0x00e7_a823]);
    // lui a5, 0x20001; lw a4, 0x7f8(a5): 2000_17f8 needs the next upper part.
    check(&[0x2000_17b7, 0x7f87_a703], &[0x2000_27b7, 0x80c7_a703]);
    // lui a5, 0x12345 is a number.
    check(&[0x1234_57b7, 0x6787_8793], &[0x1234_57b7, 0x6787_8793]);
}

#[test]
fn pointers_between_the_code_move() {
    check(&[0x2000_2004, 0x2000_0004], &[0x2000_2018, 0x2000_0004]);
}

#[test]
fn compressed_jumps_follow_what_moved() {
    let mut near = Moved::new(0x2000_0000, 0x2000_0810, 4);
    // c.j .+0x20; c.beqz a0, .+0x20.
    let old = [0xa005_u16, 0xc105].map(u16::to_le_bytes).concat();
    let new = predict(RV32, &old, (0x800, 0x800), &near);
    assert_eq!(new, [0xa015_u16, 0xc115].map(u16::to_le_bytes).concat());
    // c.jal on 32 bits is c.addiw on 64 bits.
    let old = 0x2005_u16.to_le_bytes();
    assert_eq!(predict(RV32, &old, (0x800, 0x800), &near), 0x2015_u16.to_le_bytes());
    assert_eq!(predict((Arch::Rv64, Mode::Code), &old, (0x800, 0x800), &near), old);
    near.by = 1 << 14;
    let far = [0xa005_u16, 0xc105].map(u16::to_le_bytes).concat();
    assert_eq!(predict(RV32, &far, (0x800, 0x800), &near), far, "what does not fit stays");
}

#[test]
fn calls_and_pairs_teach() {
    let mut atlas = atlas();
    // jal ra, .+0x900 has become jal ra, .+0x904.
    teach(RV32, &words(&[0x1000_10ef]), &words(&[0x1040_10ef]), (0x800, 0x800), &mut atlas);
    assert_eq!(atlas.learned.pop_first(), Some((0x2000_1900, 0x2000_1904)));
    // Another register: another function.
    teach(RV32, &words(&[0x1000_10ef]), &words(&[0x1040_106f]), (0x800, 0x800), &mut atlas);
    assert_eq!(atlas.learned.pop_first(), None);
    teach(RV32, &words(&[0x2000_2004]), &words(&[0x2000_3004]), (0x800, 0x800), &mut atlas);
    assert_eq!(atlas.learned.pop_first(), Some((0x2000_2004, 0x2000_3004)));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        old in vec(any::<u8>(), 0..300), len in 0..300_usize, places in any::<(u32, u32)>(), base in any::<u64>(),
    ) {
        for base in [0x2000_0000, base] {
            survive(RV32, &old, len, places, &mut Moved::new(base, base, -8));
            survive((Arch::Rv64, Mode::Code), &old, len, places, &mut Moved::new(base, base, i64::MIN));
        }
    }
}
