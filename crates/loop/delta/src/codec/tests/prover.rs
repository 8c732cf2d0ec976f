//! What a prover learns, and what it leaves alone.

use proptest::prelude::*;

use super::{bytes, packed, plain};
use crate::codec::{Codec, Hint, Prover, unpack};

fn codec(wire: &str) -> Codec {
    Codec::read(&mut bytes(wire).as_slice()).unwrap()
}

#[test]
fn proves_blocks_that_end_where_their_space_ends() {
    // EROFS: the packer saw more input than it took, so the end of the block is another one than it would make.
    let plain = plain(20_000, 5);
    for codec_wire in
        ["050109a0061150aabbccddeeff00112233445566778899", "050400a0061150aabbccddeeff00112233445566778899"]
    {
        let mut wire = bytes(codec_wire);
        let made = packed(&codec(codec_wire), &plain, 1 << 20);
        // The tail here is noise, so such a block does not unpack; what counts is that packing keeps to the recipe.
        assert_eq!(made.len(), 800 + 17);
        assert!(made.ends_with(&wire.split_off(wire.len() - 17)));
    }
}

#[test]
fn leaves_foreign_packing_alone() {
    // A gzip member whose trailer is wrong, with a byte behind it, and with another level's name.
    let plain = plain(50_000, 9);
    let good = packed(&codec("0105060f08020a1f8b0800000000000003"), &plain, 1 << 20);
    let max = plain.len() as u64;
    assert!(Prover::default().prove(Hint::Gzip, &good, max).is_some());
    let mut wrong_sum = good.clone();
    *wrong_sum.last_mut().unwrap() ^= 1;
    let longer = [&good[..], b"x"].concat();
    for (what, bytes) in
        [("wrong sum", wrong_sum), ("a byte more", longer), ("cut", good[..good.len() / 2].to_vec())]
    {
        assert!(Prover::default().prove(Hint::Gzip, &bytes, max).is_none(), "{what}");
    }
}

#[test]
fn tries_what_worked_before_it_tries_the_rest() {
    let mut prover = Prover::default();
    let blocks: Vec<Vec<u8>> = (1..60).map(|seed| plain(3000, seed)).collect();
    let level_4 = codec("0100040f0801785e");
    for block in &blocks {
        let made = packed(&level_4, block, 1 << 20);
        let found = prover.prove(Hint::Zlib, &made, 3000).unwrap();
        assert_eq!(packed(&found.codec, block, 1 << 20), made);
    }
    // Blocks that nothing makes are given up, and those that worked still do.
    for block in &blocks {
        let mut foreign = packed(&level_4, block, 1 << 20);
        foreign.push(0);
        assert!(prover.prove(Hint::Zlib, &foreign, 3000).is_none());
    }
    assert!(prover.prove(Hint::Zlib, &packed(&level_4, &blocks[0], 1 << 20), 3000).is_some());
}

/// Runs, noise and repetitions.
fn any_plain() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        (any::<u8>(), 1_usize..2000).prop_map(|(byte, len)| vec![byte; len]),
        prop::collection::vec(any::<u8>(), 0..400),
        (0_usize..9000, any::<u32>()).prop_map(|(len, seed)| plain(len, seed)),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Flavour, level, window bits, memory level.
fn any_tuning() -> impl Strategy<Value = [u8; 4]> {
    prop_oneof![
        (0_u8..5, 1_u8..=9, 9_u8..=15, 1_u8..=9)
            .prop_map(|(kind, level, window, memory)| [kind, level, window, memory]),
        (1_u8..=9).prop_map(|level| [5, level, 15, 8]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn deflate_gives_back_what_it_got(plain in any_plain(), tuning in any_tuning(), piece in 1_usize..5000) {
        let [kind, level, window, memory] = tuning;
        let codec = Codec::read(&mut [1, kind, level, window, memory, 0].as_slice()).unwrap();
        let made = packed(&codec, &plain, piece);
        prop_assert_eq!(unpack(Hint::Deflate, &made, plain.len() as u64), Some(plain.clone()));
        prop_assert_eq!(packed(&codec, &plain, usize::MAX), made);
    }
}
