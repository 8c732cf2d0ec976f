//! Moved code that looks the same once its addresses are masked.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use warden_patch::atlas::Space;
use warden_patch::predict::Arch;

use super::normalise;

const BASE: u64 = 0x0800_0000;

fn masked(arch: Arch, bytes: &[u8]) -> Vec<u8> {
    normalise(arch, bytes, &Space::flat(BASE, 0x1_0000))
}

/// Two codes that differ in their address fields only look the same.
fn check_words(arch: Arch, old: &[u32], new: &[u32]) {
    let bytes = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    assert_eq!(masked(arch, &bytes(old)), masked(arch, &bytes(new)), "{arch:?}: {old:08x?}");
}

fn check_halfwords(old: &[u16], new: &[u16]) {
    let bytes = |words: &[u16]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    assert_eq!(masked(Arch::Thumb, &bytes(old)), masked(Arch::Thumb, &bytes(new)), "{old:04x?}");
}

#[test]
fn moved_code_looks_the_same() {
    check_words(Arch::A64, &[0x9400_0040], &[0x9400_0080]);
    check_words(Arch::A64, &[0xF000_0000, 0x9104_8C00], &[0xB000_0020, 0x910C_8C00]);
    check_words(Arch::A64, &[0xA9BC_7BFD, 0xF900_0FE1], &[0xA9BB_7BFD, 0xF900_13E1]);
    check_halfwords(&[0xF000, 0xF880], &[0xF7FF, 0xFF80]);
    check_halfwords(&[0x4A00, 0xBF00, 0x2001, 0x0800], &[0x4A00, 0xBF00, 0x2345, 0x0800]);
    check_halfwords(
        &[0x4A01, 0x447A, 0xBF00, 0xBF00, 0x0FFA, 0],
        &[0x4A01, 0x447A, 0xBF00, 0xBF00, 0x10FA, 0],
    );
    check_halfwords(&[0xB090, 0x9106, 0xF8DD, 0x9044], &[0xB092, 0x9108, 0xF8DD, 0x904C]);
    check_words(Arch::Arm, &[0xEB00_0040], &[0xEB00_0080]);
    check_words(
        Arch::Arm,
        &[0xE59F_2000, 0xE12F_FF1E, 0x0800_2000],
        &[0xE59F_2000, 0xE12F_FF1E, 0x0800_2344],
    );
    check_words(Arch::Arm, &[0xE52D_E040, 0xE59D_2018], &[0xE52D_E050, 0xE59D_2028]);
}

#[test]
fn what_says_what_the_code_does_stays() {
    for (arch, word) in [
        (Arch::A64, 0x9104_8C00_u32),
        (Arch::A64, 0xD280_0001),
        (Arch::A64, 0x5400_0040),
        (Arch::Thumb, 0x2005_2104),
        (Arch::Arm, 0x0000_2000),
        (Arch::None, 0x9400_0040),
    ] {
        assert_eq!(masked(arch, &word.to_le_bytes()), word.to_le_bytes(), "{arch:?} {word:08x}");
    }
}

proptest! {
    #[test]
    fn the_length_stays_for_any_bytes(bytes in vec(any::<u8>(), 0..600), base in any::<u32>()) {
        let space = Space::flat(base.into(), 600);
        for arch in [Arch::None, Arch::A64, Arch::Thumb, Arch::Arm] {
            assert_eq!(normalise(arch, &bytes, &space).len(), bytes.len());
        }
    }
}
