//! Streams by real packers: measured to the byte, whole, cut and damaged.

use super::super::{Scan, name};
use super::*;
use crate::codec::Hint;
use crate::layout::Layout;

/// 1,260 bytes ("fleet warden, " 90 times; "lzma without an end": 1,260 times "a"), as tools pack them.
pub(crate) const SAMPLES: &[(&str, Hint, &str)] = &[
    (
        "gzip -9n",
        Hint::Gzip,
        "1f8b08000000000002034bcb494d2d51284f2c4a49cdd351481be58df24679a3bc61c903003a4217ceec040000",
    ),
    (
        "gzip -9, with a name",
        Hint::Gzip,
        "1f8b0808d144036b0203706c61696e004bcb494d2d51284f2c4a49cdd351481be58df24679a3bc61c903003a4217ceec040000",
    ),
    (
        "xz -9",
        Hint::Xz(None),
        "fd377a585a000004e6d6b446020021011c00000010cf58cce004eb001c5d00331b08e70f0bf705f3cfc58cda84bd0e0cd93e1e70498368\
         0ea45d00004b5253195c755594000138ec09000000493450bbb1c467fb020000000004595a",
    ),
    (
        "xz --block-size=700 --check=sha256",
        Hint::Xz(None),
        "fd377a585a00000ae1fb0ca10200210116000000742fe5a3e002bb00185d00331b08e70f0bf705f3cfc58cda84bd0e0cd93e1c0a2f8400\
         005cf95c11c5af0df1039dfda6057bfdec66ce5a61e5e32891f8a27f513dd62cec0200210116000000742fe5a3e0022f00165d00331b08\
         e70f0bf705f3cfc58cda84bd0e0cd93d3388000000004c5eedd1157f0279ca2212ad12bfac1dd3d0194e24d0a932cf5eeab542de04c700\
         024cbc054ab004c7736bf6b6e9df1c02000000000a595a",
    ),
    (
        "xz --check=crc32 --arm64 --lzma2=dict=1MiB",
        Hint::Xz(None),
        "fd377a585a0000016922de3602010a0021011000fb406573e004eb001c5d00331b08e70f0bf705f3cfc58cda84bd0e0cd93e1e70498368\
         0ea45d00003a4217ce000134ec0900000032f492cc3e300d8b020000000001595a",
    ),
    (
        "lzma -1, with an end",
        Hint::Lzma,
        "5d00001000ffffffffffffffff00331b08d36666db7e95d22627d8356797733fdefa9be2b109454667fffff7718000",
    ),
    (
        "lzma without an end",
        Hint::Lzma,
        "5d00008000ec04000000000000003098484b5c1012640453ceea26e10c5a2e4cd303b06c359327d483d07b85c0c0c7c5039dac6bc98ae4\
         671f6840d87e6d71e842d984f8a58c482106b761a6a05b737d826c6b0adf9845",
    ),
    ("zstd -19", Hint::Zstd, "28b52ffd64ec03ad000070666c6565742077617264656e2c200100dbc43f957f634cc9"),
    (
        "zstd -3 --no-check of a pipe",
        Hint::Zstd,
        "28b52ffd0058ad000070666c6565742077617264656e2c200100dbc43f95",
    ),
    (
        "lz4 -9",
        Hint::Lz4Frame,
        "04224d186440a71c000000ef666c6565742077617264656e2c200e00ffffffffca5064656e2c200000000095cd3a47",
    ),
    (
        "lz4 -1 --content-size -BX -BD -B4",
        Hint::Lz4Frame,
        "04224d187c40ec04000000000000921c000000ef666c6565742077617264656e2c200e00ffffffffca5064656e2c2064afc28900000000\
         95cd3a47",
    ),
    (
        "lz4 -l -9",
        Hint::Lz4Legacy,
        "02214c181c000000ef666c6565742077617264656e2c200e00ffffffffca5064656e2c20",
    ),
];

pub(crate) const PLAIN_LEN: u64 = 1_260;

/// Turns a sample into bytes.
pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    let digits = hex.bytes().map(digit).collect::<Vec<_>>();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Measures whatever stands at the start, through the front door.
fn measure(bytes: &[u8]) -> Option<(Hint, Measured)> {
    let mut layout = Layout::default();
    let end = Scan::new(&mut layout, &|_, _, _| None).stream(bytes, 0, 0)?;
    let [packed] = layout.packed.as_slice() else { return None };
    assert_eq!((packed.start, packed.len), (0, end));
    assert!(end <= length(bytes));
    assert_eq!(layout.files.first().map(|file| file.path.as_str()), Some(name(packed.hint)));
    Some((packed.hint, Measured { packed_len: packed.len, plain_len: packed.plain_len_max }))
}

#[test]
fn measures_what_tools_pack() {
    for (tool, hint, hex) in SAMPLES {
        let stream = unhex(hex);
        let right = Some((*hint, Measured { packed_len: length(&stream), plain_len: PLAIN_LEN }));
        assert_eq!(measure(&stream), right, "{tool}");
        for behind in [&[0; 9][..], &[0xff; 9], b"\x1f\x8b\x08", &stream] {
            assert_eq!(measure(&[&stream, behind].concat()), right, "{tool}, with bytes behind it");
        }
    }
}

#[test]
fn refuses_what_is_cut_off() {
    for (tool, _, hex) in SAMPLES {
        let stream = unhex(hex);
        for len in 0..stream.len() {
            assert_eq!(measure(&stream[..len]), None, "{tool}, cut to {len}");
        }
    }
}

#[test]
fn survives_every_changed_byte() {
    for (_, _, hex) in SAMPLES {
        let stream = unhex(hex);
        for index in 0..stream.len() {
            for change in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut changed = stream.clone();
                changed[index] ^= change;
                measure(&changed);
            }
        }
    }
}

#[test]
fn refuses_gzip_whose_sum_is_wrong() {
    let mut stream = unhex(SAMPLES[0].2);
    let sum = stream.len() - 8;
    stream[sum] ^= 1;
    assert_eq!(measure(&stream), None);
}

#[test]
fn refuses_lzma_of_odd_properties_and_dictionaries() {
    let stream = unhex(SAMPLES[5].2);
    for (index, value) in [(0, 0x5e), (1, 1), (4, 0xff), (12, 1), (13, 1)] {
        let mut changed = stream.clone();
        changed[index] = value;
        assert_eq!(measure(&changed), None, "byte {index}");
    }
}

#[test]
fn refuses_zstd_that_promises_more_than_its_blocks_hold() {
    let mut stream = unhex("28b52ffd64ec03ad000070666c6565742077617264656e2c200100dbc43f957f634cc9");
    // The content size field of two bytes becomes one of four: 4 GiB.
    stream[4] = stream[4] & 0x3f | 0x80;
    stream.splice(5..7, [0xff; 4]);
    assert_eq!(measure(&stream), None);
}

#[test]
fn refuses_lz4_that_copies_from_before_its_start() {
    // One literal, then a match two bytes back.
    assert_eq!(measure(&unhex("02214c1806000000106102000061")), None);
    assert!(measure(&unhex("02214c180600000010610100106100000000")).is_some());
}

#[test]
fn stops_at_bombs() {
    let zeros = vec![0_u8; 17 << 20];
    let bomb = ::zstd::bulk::compress(&zeros, 19).unwrap();
    assert_eq!(measure(&bomb), None, "{} bytes become {}", bomb.len(), zeros.len());
}

#[test]
fn stops_when_the_allowance_is_spent() {
    let stream = unhex(SAMPLES[0].2);
    let mut meter = Meter::new();
    meter.left = TRY_BYTES + PLAIN_LEN + 1;
    assert!(gzip(&stream, &mut meter).is_some());
    assert_eq!(gzip(&stream, &mut meter), None);
    assert_eq!(meter.left, 0);
    assert_eq!(meter.step(), None);
}

#[test]
fn measures_frames_that_only_unpacking_tells() {
    let mut plain = Vec::new();
    (0..50_000_u32)
        .for_each(|number| plain.extend_from_slice(&number.wrapping_mul(0x9e37_79b9).to_le_bytes()));
    let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    std::io::Write::write_all(&mut encoder, &plain).unwrap();
    let frame = encoder.finish().unwrap();
    let right = Measured { packed_len: length(&frame), plain_len: length(&plain) };
    assert_eq!(measure(&[&frame[..], b"behind"].concat()), Some((Hint::Zstd, right)));
}
