//! The very bytes of real tools: gzip 1.12, zlib 1.2.13, XZ Utils 5.4.1, zstd 1.5.4, lz4 1.9.4.
//!
//! A sample that is not met any more means that a library has changed what it makes: the encoder then needs another
//! number in the patch format.

use sha2::{Digest, Sha256};

use super::{bytes, hex, packed, plain, unpacked_slowly};
use crate::codec::{Codec, Hint, Prover, unpack};

struct Sample {
    made_by: &'static str,
    hint: Hint,
    /// Length and seed.
    plain: (usize, u32),
    codec: &'static str,
    /// SHA-256 of what the tool made.
    digest: &'static str,
}

fn check(sample: &Sample) {
    let Sample { made_by, hint, plain: (len, seed), codec, digest } = *sample;
    let plain = plain(len, seed);
    let wire = bytes(codec);
    let mut input = wire.as_slice();
    let codec = Codec::read(&mut input).unwrap();
    assert!(input.is_empty(), "{made_by}: {} bytes are left", input.len());
    let mut again = Vec::new();
    codec.write(&mut again);
    assert_eq!(again, wire, "{made_by}");

    let made = packed(&codec, &plain, 4999);
    assert_eq!(hex(&Sha256::digest(&made)), digest, "{made_by}: other bytes than the tool's");
    assert_eq!(packed(&codec, &plain, usize::MAX), made, "{made_by}: pieces matter");
    assert_eq!(unpack(hint, &made, plain.len() as u64).as_ref(), Some(&plain), "{made_by}");
    assert_eq!(unpack(hint, &made, plain.len() as u64 - 1), None, "{made_by}: longer than it may be");
    assert_eq!(unpacked_slowly(hint, &made), plain, "{made_by}");

    let proven = Prover::default().prove(hint, &made, plain.len() as u64).unwrap();
    assert_eq!(proven.plain, plain, "{made_by}");
    assert_eq!(packed(&proven.codec, &plain, 70_001), made, "{made_by}");
}

const SHORT: (usize, u32) = (200_000, 1);
const BLOCK: (usize, u32) = (131_072, 1);
const LONG: (usize, u32) = (6_000_000, 7);

#[rustfmt::skip]
const SAMPLES: &[Sample] = &[
    Sample { made_by: "zlib level 9, as mksquashfs -comp gzip", hint: Hint::Zlib, plain: SHORT, codec: "0100090f080178da", digest: "a151bdbe290042fbe89cdf91641a6ddcd939366ff94e956db6255d48f4450ccb" },
    Sample { made_by: "zlib level 1", hint: Hint::Zlib, plain: SHORT, codec: "0100010f08017801", digest: "e0dc637e0fb5343dd09369a06809a669aa5e85ec506371424adff7ea145c45c9" },
    Sample { made_by: "zlib level 4", hint: Hint::Zlib, plain: SHORT, codec: "0100040f0801785e", digest: "3620552fddeeea59fb775df8c6b765ac51a8fea1593faf5410b07060f6ad2470" },
    Sample { made_by: "zlib level 6, window of 4 KiB", hint: Hint::Zlib, plain: SHORT, codec: "0100060c08014889", digest: "acfb1a202dbe0c02335663c517e37798a7cd3582391a732c861c8cf8d99581ce" },
    Sample { made_by: "zlib level 9, memory level 9", hint: Hint::Zlib, plain: SHORT, codec: "0100090f090178da", digest: "f0082ec8363ba031260b55aab5e6086ee3727288d229d90d43424950950fae0d" },
    Sample { made_by: "zlib, filtered", hint: Hint::Zlib, plain: SHORT, codec: "0101090f080178da", digest: "7f23071c078387766ee1216eda323aaee440bfc71e826da8525417147223843c" },
    Sample { made_by: "zlib, Huffman only", hint: Hint::Zlib, plain: SHORT, codec: "0102010f08017801", digest: "7a0c81014d263f679d44dd60ac61885efebbd457ac425c8d96b599ed7b6be6a7" },
    Sample { made_by: "zlib, runs", hint: Hint::Zlib, plain: SHORT, codec: "0102010f08017801", digest: "7a0c81014d263f679d44dd60ac61885efebbd457ac425c8d96b599ed7b6be6a7" },
    Sample { made_by: "zlib, fixed codes", hint: Hint::Zlib, plain: SHORT, codec: "0104090f08017801", digest: "21eabe944ec4fb912e413bcce53ef055fedf3fd863430b35690dffbb82af9735" },
    Sample { made_by: "zlib level 6, bare, window of 2 KiB", hint: Hint::Deflate, plain: SHORT, codec: "0100090b0800", digest: "9da7eddf2528fcf93b4e63317c3789c47c3c2d9a55b6b625a6e8496794f7a7cc" },
    Sample { made_by: "gzip -1nc", hint: Hint::Gzip, plain: SHORT, codec: "0105010f08020a1f8b0800000000000403", digest: "f3e22ac886c72a078125a0bd0131bc1a979fc63ae6e8fdee62e3cd0bb6e8820e" },
    Sample { made_by: "gzip -4nc", hint: Hint::Gzip, plain: SHORT, codec: "0105040f08020a1f8b0800000000000003", digest: "ccd23e901cce967f39f1064d02d38bfade31fde7629b63cf610d4575d079fb91" },
    Sample { made_by: "gzip -6nc", hint: Hint::Gzip, plain: SHORT, codec: "0105060f08020a1f8b0800000000000003", digest: "15609d112b6a34289a33ad606046104c61d4d138f72963b3ad19507b9bc6d5bc" },
    Sample { made_by: "gzip -9nc", hint: Hint::Gzip, plain: SHORT, codec: "0105090f08020a1f8b0800000000000203", digest: "a26a90ae565f3bc765883764ab1fed8600f9f58ee189abc04fb3945a858b5284" },
    Sample { made_by: "zlib level 9, in a gzip member", hint: Hint::Gzip, plain: SHORT, codec: "0100090f08020a1f8b0800000000000203", digest: "558a049b503693f815328575ab4409a71b405181c18b9c0052fcad04991b6192" },
    Sample { made_by: "LZ4_compress_default", hint: Hint::Lz4Block, plain: BLOCK, codec: "050000", digest: "28bcc87e60155ef6ec32b4962f2312eacb7ae8ca3adcd62009642928d23c3abe" },
    Sample { made_by: "LZ4_compress_HC, level 9", hint: Hint::Lz4Block, plain: BLOCK, codec: "050009", digest: "79471b2b8ec319ef8ccb392e3d7462b6614ef4d23b4426352d16eb8633bd1baa" },
    Sample { made_by: "LZ4_compress_HC, level 12, as mksquashfs -Xhc", hint: Hint::Lz4Block, plain: BLOCK, codec: "05000c", digest: "d1cbcf6d4c48ceef470d07c59f741d893cb7e90f7eff639e39b40de0e99c2ea0" },
    Sample { made_by: "LZ4_compress_HC_destSize, as mkfs.erofs -zlz4hc", hint: Hint::Lz4Block, plain: (10_004, 1), codec: "050009", digest: "57ccb04716816214ede9bf36c90f3fbf7bc260c1b9c5f79581acd37f5ae683f5" },
    Sample { made_by: "LZ4_compress_destSize, as mkfs.erofs -zlz4", hint: Hint::Lz4Block, plain: (8_214, 1), codec: "050400f61f0a904b141e060145581120", digest: "c7cc902cc420da1be4f2f213fc1f22e994b05ee3d2eb7cd64c6775537ba953c0" },
    Sample { made_by: "lz4", hint: Hint::Lz4Frame, plain: SHORT, codec: "05020025", digest: "580d1b5d691c7dc59de936257106d61231fbd77bfb978172c40060907260e9a3" },
    Sample { made_by: "lz4 -9", hint: Hint::Lz4Frame, plain: SHORT, codec: "05020925", digest: "5cf4783ee103fac8c637453172d125a0a4ad49955cd42122e5b99feef1dec8bb" },
    Sample { made_by: "lz4 -12 --content-size", hint: Hint::Lz4Frame, plain: SHORT, codec: "05020c25", digest: "a90dcf23a662abb4ead9408b310cd6f5178c18d790599bfe60f44c8444679521" },
    Sample { made_by: "lz4 -B4 -BX", hint: Hint::Lz4Frame, plain: SHORT, codec: "05020034", digest: "094443df6ec28700cc3620a28fcbd52b00b8315506b0b63ce2303236287ff09a" },
    Sample { made_by: "lz4 -l -9", hint: Hint::Lz4Legacy, plain: SHORT, codec: "050309", digest: "1027da1d94245f89a69d40fb210fd8ab84cee85030993e53f32fa55c95af10e9" },
    Sample { made_by: "ZSTD_compress, level 1", hint: Hint::Zstd, plain: BLOCK, codec: "040100", digest: "e54d0970ff8cf7941e9a78d1434f6f5a08862d78d99c2b067853b69062c0907b" },
    Sample { made_by: "ZSTD_compress, level 3", hint: Hint::Zstd, plain: BLOCK, codec: "040300", digest: "a190081ad14a15014edaa221aaba18079a763dedac33ad99e8a5ec05e6f95ce2" },
    Sample { made_by: "ZSTD_compress, level 15, as mksquashfs -comp zstd", hint: Hint::Zstd, plain: BLOCK, codec: "040f00", digest: "769d7aafa34bb8981b16ea01c8f52f668e3323526cce086104e4f7ec68729884" },
    Sample { made_by: "ZSTD_compress, level 22", hint: Hint::Zstd, plain: BLOCK, codec: "041600", digest: "4249673f7e0290ad09d11b0be5c7f9e7093fd1916068386d49d4e9fba5ec9cb8" },
    Sample { made_by: "ZSTD_compress, level 15, two blocks", hint: Hint::Zstd, plain: SHORT, codec: "040f00", digest: "40f2a0f744059529b16b97d3fe6d49fe9637aa310a6a93071c755cb4d1e2d202" },
    Sample { made_by: "zstd -19 from a pipe", hint: Hint::Zstd, plain: SHORT, codec: "04130600", digest: "06d9e33215df1db09c44c3f13971f84b920ee8bd783b86980671ac81ef71c61a" },
    Sample { made_by: "zstd -1 -T2 from a pipe, several jobs", hint: Hint::Zstd, plain: LONG, codec: "04010600", digest: "67926659f37ae1be71264b4fb2fb88cdc9bce3f512b50786d3e8f9bc34cd2336" },
    Sample { made_by: "zstd -1 --single-thread from a pipe", hint: Hint::Zstd, plain: LONG, codec: "04010500", digest: "089b86d73a4112f671851ff3ef302c5c8ac545529e8fdbf1066f2265ceb44b5d" },
    Sample { made_by: "xz --check=crc32 --x86 --lzma2=dict=32MiB", hint: Hint::Xz(None), plain: SHORT, codec: "020104001a5d060100", digest: "ac6476accd1f30feae5b2eb0fad6908a194f0cbffea948351f89bbab46430847" },
    Sample { made_by: "xz -2 --check=sha256", hint: Hint::Xz(None), plain: SHORT, codec: "020a00125d020100", digest: "1af92e111eb4da0d4b82d4812ce8721a3997e7dc3f2607a02dde1048cfe86792" },
    Sample { made_by: "xz -0 -T2 --block-size=65536", hint: Hint::Xz(None), plain: SHORT, codec: "0204000c5d0002808004100498bb018fdd01e4e001f514", digest: "cfd189500928c5fc0a25fb8a85df03f24f27a6147bdef682ab348bd3b53f1251" },
    Sample { made_by: "xz -1 -T1 --block-size=100000", hint: Hint::Xz(None), plain: SHORT, codec: "020400105d0101a08d06", digest: "8369d80766c997d09f1652119c788f04d5d10aaeb83dfce76d7c31355e1c3645" },
    Sample { made_by: "lzma_stream_buffer_encode, level 6, as mksquashfs -comp xz", hint: Hint::Xz(None), plain: BLOCK, codec: "0201000a5d0600", digest: "dfe1482c88abcb112de92f77f395e6064c04c8e4d82e55955c3ee806b7464b15" },
    Sample { made_by: "the same with -Xbcj arm", hint: Hint::Xz(None), plain: BLOCK, codec: "020107000a5d0600", digest: "ad2420e5860fa59cd3d57ba42708da5b48efd5e52ac13d00966e7ea8cbfc1425" },
    Sample { made_by: "lzma -9", hint: Hint::Lzma, plain: SHORT, codec: "035d808080200006", digest: "62f821b69eaf056357698009d979adf7217a0c58b0b0c26cf15d01d988a2e694" },
];

#[test]
fn makes_the_bytes_of_real_tools() {
    for sample in SAMPLES {
        check(sample);
    }
}

#[test]
fn reads_what_the_lzo_library_made() {
    let block = bytes(
        "5506053b0c2d1f390c2816280f670927071a1e2b0231162c0d5c0007030b0034036e152f0875040f01500b2c086f06000a02011e0b790c150d040b150113013c0956130d0a2d88002a30002b7800016a001e0929ac012fb001308c012d54000002050a0307201313087f121809521d350109030b0cc80b3118002a08022860002738022e78012724000551032a037c0a040c740d2f800301151316012a7c00310b03220e1f2894012b280001330f240828340133f000110000",
    );
    assert_eq!(unpack(Hint::Lzo, &block, 400).unwrap(), plain(400, 3));
    assert_eq!(unpacked_slowly(Hint::Lzo, &block), plain(400, 3));
    assert!(Prover::default().prove(Hint::Lzo, &block, 400).is_none(), "nothing here packs LZO");
}
