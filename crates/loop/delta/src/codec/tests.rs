//! Stretches as their encoders make them, packed again; and stretches that want harm.

use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::{Codec, Hint, Prover};

/// Text of a few words: every encoder finds matches, near and far.
fn text(len: usize) -> Vec<u8> {
    let words = ["device ", "firmware ", "update ", "shield ", "patch ", "the ", "of ", "a\n"];
    let mut state = 7_u32;
    let mut text = Vec::new();
    while text.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.extend_from_slice(words[(state >> 29) as usize].as_bytes());
    }
    text.truncate(len);
    text
}

/// Proves a stretch, and packs it again from what a patch would say.
fn check(hint: Hint, packed: &[u8], plain: &[u8]) {
    let proven = Prover::default().prove(hint, packed, plain.len() as u64);
    let proven = proven.unwrap_or_else(|| panic!("{hint:?} is not proven"));
    assert!(proven.plain == plain, "{hint:?}");
    let mut written = Vec::new();
    proven.codec.write(&mut written);
    let mut rest = written.as_slice();
    let codec = Codec::read(&mut rest).unwrap();
    assert_eq!((&codec, rest), (&proven.codec, &[][..]));
    let mut again = Vec::new();
    let mut encoder = codec.packer(plain.len() as u64).unwrap();
    for piece in plain.chunks(64 << 10) {
        encoder.push(piece, &mut again).unwrap();
    }
    encoder.finish(&mut again).unwrap();
    assert!(again == packed, "{hint:?}");
}

#[expect(clippy::disallowed_methods, reason = "the real packing programs are what is to be matched")]
/// Runs a packing program; nothing where there is none.
fn pack(program: &str, arguments: &[&str], plain: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let mut input = child.stdin.take()?;
    let plain = plain.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&plain));
    let output = child.wait_with_output().ok()?;
    writer.join().ok()?.ok()?;
    output.status.success().then_some(output.stdout)
}

#[test]
fn blocks_of_zstandard_are_packed_again() {
    let plain = text(128 << 10);
    for level in [1, 3, 15, 19] {
        check(Hint::Zstd, &zstd::bulk::compress(&plain, level).unwrap(), &plain);
    }
}

#[test]
fn what_programs_pack_is_packed_again() {
    let plain = text(100_000);
    let programs: [(Hint, &str, &[&str]); 4] = [
        (Hint::Gzip, "gzip", &["-9nc"]),
        (Hint::Gzip, "gzip", &["-6nc"]),
        (Hint::Xz(None), "xz", &["-6c", "-T1", "--check=crc32"]),
        (Hint::Lzma, "xz", &["-9c", "--format=lzma"]),
    ];
    for (hint, program, arguments) in programs {
        // A program that is not on this machine is left out; the others still count.
        if let Some(packed) = pack(program, arguments, &plain) {
            check(hint, &packed, &plain);
        }
    }
}

#[test]
fn zlib_is_packed_again() {
    let plain = text(100_000);
    let mut packed = Vec::new();
    let mut encoder = Codec::zlib(9).packer(plain.len() as u64).unwrap();
    encoder.push(&plain, &mut packed).unwrap();
    encoder.finish(&mut packed).unwrap();
    check(Hint::Zlib, &packed, &plain);
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(&*packed), &mut unpacked).unwrap();
    assert!(unpacked == plain);
}

const HINTS: [Hint; 8] = [
    Hint::Zlib,
    Hint::Gzip,
    Hint::Xz(None),
    Hint::Lzma,
    Hint::Zstd,
    Hint::Lz4Block,
    Hint::Lz4Frame,
    Hint::Lzo,
];

proptest! {
    #[test]
    fn no_bytes_make_it_panic(noise in vec(any::<u8>(), 0..200), hint in 0..HINTS.len()) {
        Prover::default().prove(HINTS[hint], &noise, 10_000);
        let _unread = Codec::read(&mut noise.as_slice()).map(|codec| codec.memory(1000));
    }
}
