//! Bytes that mean harm: nothing panics, nothing grows beyond its limit.

use proptest::prelude::*;

use super::{bytes, packed, plain};
use crate::codec::{Codec, CodecError, Hint, Prover, unpack};

const HINTS: [Hint; 10] = [
    Hint::Zlib,
    Hint::Gzip,
    Hint::Deflate,
    Hint::Xz(None),
    Hint::Lzma,
    Hint::Zstd,
    Hint::Lz4Block,
    Hint::Lz4Frame,
    Hint::Lz4Legacy,
    Hint::Lzo,
];

/// One codec of each format.
const CODECS: [(Hint, &str); 9] = [
    (Hint::Zlib, "0100060f0801789c"),
    (Hint::Gzip, "0105060f08020a1f8b0800000000000003"),
    (Hint::Deflate, "0100060f0800"),
    (Hint::Xz(None), "0201000c5d0600"),
    (Hint::Lzma, "035d8080040006"),
    (Hint::Zstd, "040300"),
    (Hint::Lz4Block, "050000"),
    (Hint::Lz4Frame, "05020924"),
    (Hint::Lz4Legacy, "050309"),
];

fn codec(wire: &str) -> Codec {
    Codec::read(&mut bytes(wire).as_slice()).unwrap()
}

#[test]
fn refuses_recipes_that_no_encoder_has() {
    let cases = [
        ("", "encoder: ends early"),
        ("63", "encoder 99 is not known"),
        ("01060909080178da", "DEFLATE strategy: 6 is above 5"),
        ("0100000f080178da", "DEFLATE level: 0 is below 1"),
        ("01000a0f080178da", "DEFLATE level: 10 is above 9"),
        ("0100091008", "DEFLATE window bits: 16 is above 15"),
        ("01000908", "DEFLATE window bits: 8 is below 9"),
        ("0100090f00", "DEFLATE memory level: 0 is below 1"),
        ("0105090e0800", "DEFLATE tuning: malformed"),
        ("0100090f0803", "DEFLATE clothes: 3 is above 2"),
        ("0105060f08028110", "gzip head: 2049 is above 1024"),
        ("0105060f08020a1f8b", "gzip head: ends early"),
        ("0202", "xz check: malformed"),
        ("02010c", "xz filter: 12 is above 11"),
        ("020103", "xz filter: malformed"),
        ("020100285d0600", "xz dictionary: 40 is above 28"),
        ("0201000cff0600", "LZMA model: malformed"),
        ("0201000c5d0700", "LZMA preset: malformed"),
        ("0201000c5d0603", "xz framing: 3 is above 2"),
        ("0201000c5d0602000d", "xz header length: malformed"),
        ("0201000c5d0602000c8140", "xz blocks: 8193 is above 4096"),
        ("0201000c5d0602000c02", "xz packed length: ends early"),
        ("035d0106", "LZMA dictionary: 1 is below 4096"),
        ("035d8080808002", "LZMA dictionary: 536870912 is above 67108864"),
        ("0400", "zstd level: malformed"),
        ("0417", "zstd level: malformed"),
        ("041303", "zstd window: ends early"),
        ("04130300", "zstd call: malformed"),
        ("0413011c", "zstd window: 28 is above 27"),
        ("04130105", "zstd window: malformed"),
        ("0505", "LZ4 kind: 5 is above 4"),
        ("05000d", "LZ4 level: 13 is above 12"),
        ("05020003", "LZ4 frame: malformed"),
        ("05010041", "LZ4 tail: ends early"),
        ("050100018101", "LZ4 tail: 129 is above 128"),
        ("0501008000", "LZ4 tail: malformed"),
    ];
    for (wire, error) in cases {
        let read = Codec::read(&mut bytes(wire).as_slice());
        assert_eq!(read.unwrap_err().to_string(), error, "{wire}");
    }
}

#[test]
fn hints_are_read_as_they_were_written() {
    for hint in HINTS.into_iter().chain([Hint::Xz(Some(1 << 20))]) {
        let mut wire = Vec::new();
        hint.write(&mut wire);
        let mut input = wire.as_slice();
        assert_eq!(Hint::read(&mut input).unwrap(), hint);
        assert!(input.is_empty());
    }
    assert_eq!(Hint::read(&mut [10].as_slice()).unwrap_err().to_string(), "format: 10 is above 9");
}

#[test]
fn says_what_packing_needs() {
    // Kernels with a dictionary of 32 MiB need most; blocks little.
    for (wire, plain_len, mib_max) in
        [("0100090f0800", 27 << 20, 1), ("0201000c5d0600", 128 << 10, 5), ("040f00", 128 << 10, 8)]
    {
        assert!(codec(wire).memory(plain_len).0 <= mib_max << 20, "{wire}");
    }
    let kernel = codec("020104001a5d060100").memory(27 << 20).0;
    assert!((200 << 20..400 << 20).contains(&kernel), "{kernel}");
}

#[test]
fn holds_no_more_than_a_block() {
    for wire in ["040300", "050000", "0201000c5d0600"] {
        let codec = codec(wire);
        assert!(matches!(codec.packer((1 << 20) + 1), Err(CodecError::TooLong { .. })), "{wire}");
    }
    // A stretch that is longer than it said.
    for wire in ["040300", "050000"] {
        let mut packer = codec(wire).packer(10).unwrap();
        packer.push(&vec![0; 1 << 20], &mut Vec::new()).unwrap();
        assert!(matches!(packer.push(&[0], &mut Vec::new()), Err(CodecError::TooLong { .. })), "{wire}");
    }
}

#[test]
fn stops_at_the_promised_length() {
    let zeros = vec![0; 3 << 20];
    for (hint, wire) in CODECS {
        let long = !matches!(hint, Hint::Zstd | Hint::Lz4Block | Hint::Xz(_));
        let len = if long { zeros.len() } else { 1 << 20 };
        let bomb = packed(&codec(wire), &zeros[..len], 1 << 20);
        assert_eq!(unpack(hint, &bomb, len as u64).unwrap().len(), len, "{hint:?}");
        assert_eq!(unpack(hint, &bomb, 1 << 19), None, "{hint:?}");
    }
}

#[test]
fn survives_cuts_and_flips() {
    let plain = plain(3000, 11);
    for (hint, wire) in CODECS {
        let good = packed(&codec(wire), &plain, 1 << 20);
        assert_eq!(unpack(hint, &good, 3000).as_ref(), Some(&plain), "{hint:?}");
        for at in (0..good.len()).step_by(7) {
            // What counts is that nothing panics; a bare block may well end early.
            drop(unpack(hint, &good[..at], 3000));
            for flip in [0x01, 0x80, 0xFF] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                if at % 49 == 0
                    && let Some(proven) = Prover::default().prove(hint, &bad, 3000)
                {
                    assert_eq!(packed(&proven.codec, &proven.plain, 1 << 20), bad, "{hint:?}");
                }
                drop(unpack(hint, &bad, 3000));
            }
        }
    }
}

/// What is packed here at most, in tests: a device has such a limit as well.
const MEMORY_MAX: u64 = 32 << 20;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_unpack_or_not(noise in prop::collection::vec(any::<u8>(), 0..300), which in 0_usize..10, head in any::<bool>()) {
        let hint = HINTS[which];
        let mut input = noise;
        if head && let Some((_, wire)) = CODECS.iter().find(|(one, _)| *one == hint) {
            let good = packed(&codec(wire), &plain(600, 2), 1 << 20);
            input.splice(0..0, good[..good.len().min(20)].iter().copied());
        }
        if let Some(plain) = unpack(hint, &input, 100_000) {
            prop_assert!(plain.len() <= 100_000);
        }
    }

    #[test]
    fn any_recipe_packs_or_not(encoder in 0_u8..7, rest in prop::collection::vec(any::<u8>(), 0..24), len in 0_usize..3000) {
        let wire = [&[encoder][..], &rest].concat();
        let mut input = wire.as_slice();
        if let Ok(codec) = Codec::read(&mut input) {
            let mut again = Vec::new();
            codec.write(&mut again);
            prop_assert_eq!(again.as_slice(), &wire[..wire.len() - input.len()]);
            let plain = plain(len, 4);
            if codec.memory(len as u64).0 <= MEMORY_MAX
                && let Ok(mut packer) = codec.packer(len as u64)
            {
                let mut out = Vec::new();
                if packer.push(&plain, &mut out).is_ok() {
                    drop(packer.finish(&mut out));
                }
            }
        }
    }
}
