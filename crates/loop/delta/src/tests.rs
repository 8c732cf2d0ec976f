//! Pairs of images through both directions, and patches that want harm.

mod hostile;
mod pieces;
mod resume;
mod worst;

use std::io::Cursor;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use sha2::{Digest, Sha256};
use warden_model::{ByteCount, Sha256Digest};

use crate::apply::{Applied, ApplyError, ApplyLimits, apply, read_header};
use crate::format::{Header, Profile, WindowHead, write_head, write_number};
use crate::make::{Made, MakeLimits, encode, make, sizes};

const BASE: &[u8] = b"the quick brown fox jumps over the lazy dog";

/// Small tables, so that the tests are fast.
fn fast() -> MakeLimits {
    MakeLimits { level: 3, memory_max: ByteCount::mib(2), ..MakeLimits::default() }
}

fn digest(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(Sha256::digest(bytes).into())
}

fn applied(base: &[u8], patch: &[u8]) -> Result<(Applied, Vec<u8>), ApplyError> {
    let mut result = Vec::new();
    let applied = apply(&mut Cursor::new(base), &mut &*patch, &mut result, &ApplyLimits::default())?;
    Ok((applied, result))
}

/// Makes a patch in each profile and applies it; returns that of the profile `linux`.
fn check_round(base: &[u8], result: &[u8]) -> Vec<u8> {
    let patches = [Profile::Mcu, Profile::Fast, Profile::Linux].map(|profile| {
        let patch = encode(base, result, &MakeLimits { profile, ..fast() }).unwrap();
        let (applied, made) = applied(base, &patch).unwrap();
        assert!(made == result, "{}", profile.name());
        assert_eq!(applied.written, ByteCount(result.len() as u64));
        assert_eq!(applied.header, read_header(&mut &*patch).unwrap());
        patch
    });
    let [.., patch] = patches;
    patch
}

/// Bytes that do not compress, the same for the same seed.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[test]
fn border_cases_come_back_whole() {
    check_round(b"", b"");
    check_round(BASE, b"");
    check_round(b"", BASE);
    check_round(BASE, BASE);
    check_round(b"a", b"b");
    check_round(&vec![0; 100_000], &vec![0; 100_001]);
    check_round(&vec![0; 100_001], &vec![0; 99_999]);
    check_round(&vec![0xff; 70_000], &[[0xff; 1], [0x00; 1]].concat().repeat(40_000));
    let image = noise(300_000, 7);
    let turned = [&image[150_000..], b"new", &image[..150_000]].concat();
    let patch = check_round(&image, &turned);
    assert!(patch.len() < 200, "{} bytes for a moved half", patch.len());
}

proptest! {
    #[test]
    fn unlike_pairs_come_back_whole(base in vec(any::<u8>(), 0..2000), result in vec(any::<u8>(), 0..2000)) {
        check_round(&base, &result);
    }

    #[test]
    fn pairs_of_few_letters_come_back_whole(base in vec(0..3_u8, 0..600), result in vec(0..3_u8, 0..600)) {
        check_round(&base, &result);
    }

    #[test]
    fn similar_pairs_come_back_whole(
        base in vec(any::<u8>(), 1..3000),
        edits in vec((any::<usize>(), any::<usize>(), vec(any::<u8>(), 0..40)), 0..12),
    ) {
        let mut result = base.clone();
        for (start, end, bytes) in edits {
            let start = start % (result.len() + 1);
            let end = start + end % (result.len() - start + 1).min(50);
            result.splice(start..end, bytes);
        }
        check_round(&base, &result);
    }

    #[test]
    fn no_bytes_make_it_panic(noise in vec(any::<u8>(), 0..300)) {
        assert!(applied(BASE, &noise).is_err());
        for profile in [Profile::Linux, Profile::Mcu, Profile::Fast] {
            let coded = if profile == Profile::Fast { zstd::encode_all(&*noise, 1).unwrap() } else { noise.clone() };
            // What makes the right bytes by chance is not wrong.
            let made = applied(BASE, &patch_of(profile, BASE, &coded)).map(|(_, made)| made);
            assert!(made.is_err() || made.is_ok_and(|made| made == BASE));
        }
    }

    #[test]
    fn one_changed_byte_is_never_believed(at in any::<usize>(), by in 1..=255_u8) {
        let result = noise(3000, 3);
        for profile in [Profile::Linux, Profile::Mcu, Profile::Fast] {
            let mut patch = encode(&noise(2000, 3), &result, &MakeLimits { profile, ..fast() }).unwrap();
            let at = at % patch.len();
            patch[at] ^= by;
            // A few bytes have no say, such as a larger window; all that counts is that no other image is made.
            if let Ok((_, made)) = applied(&noise(2000, 3), &patch) {
                assert_eq!(made, result);
            }
        }
    }
}

#[test]
fn a_patch_that_is_not_smaller_is_not_made() {
    let check = |base: &[u8], result: &[u8]| match make(base, result, &fast()).unwrap() {
        Made::FullIsSmaller { patch, full } => {
            assert_eq!(full, ByteCount(result.len() as u64));
            assert!(patch >= full, "{patch} {full}");
        }
        Made::Patch(patch) => panic!("{} bytes for {}", patch.len(), result.len()),
    };
    check(BASE, b"");
    check(BASE, BASE);
    check(b"", &noise(5000, 1));
    check(&noise(5000, 1), &noise(5000, 2));
}

#[test]
fn a_patch_that_is_smaller_is_made() {
    let Ok(Made::Patch(patch)) = make(&noise(5000, 1), &noise(5000, 1), &fast()) else { panic!("no patch") };
    assert!(patch.len() < 130, "{}", patch.len());
}

/// A base with calls between functions, and a result in which a function has grown, so that all the addresses behind it
/// have moved: what a rebuild with a security fix looks like.
fn firmware_pair() -> (Vec<u8>, Vec<u8>) {
    let functions: Vec<Vec<u8>> =
        (0..400).map(|index| noise(200 + index % 97, u32::try_from(index).unwrap())).collect();
    let build = |grown: usize| {
        let sizes =
            functions.iter().enumerate().map(|(index, f)| f.len() + if index == 123 { grown } else { 0 });
        let starts: Vec<u32> = sizes
            .scan(0, |start, size| Some(std::mem::replace(start, *start + u32::try_from(size + 4).unwrap())))
            .collect();
        let code = functions.iter().enumerate().flat_map(|(index, function)| {
            let inserted = if index == 123 { noise(grown, 99) } else { Vec::new() };
            let target = starts[index * 31 % starts.len()];
            [target.to_le_bytes().to_vec(), inserted, function.clone()].concat()
        });
        code.collect()
    };
    (build(0), build(57))
}

#[test]
fn a_known_pair_makes_a_known_patch() {
    let (base, result) = firmware_pair();
    let Ok(Made::Patch(patch)) = make(&base, &result, &MakeLimits::default()) else { panic!("no patch") };
    // Pinned, so that a change of the matcher or the compressor is seen; smaller is welcome, larger needs a reason.
    assert_eq!((base.len(), result.len(), patch.len()), (100_290, 100_347, 696));
    let Ok(Made::Patch(again)) = make(&base, &result, &MakeLimits::default()) else { panic!("no patch") };
    assert!(patch == again, "the same pair makes the same patch");
    assert!(applied(&base, &patch).unwrap().1 == result);
}

#[test]
fn limits_of_making_are_kept() {
    let check = |limits: MakeLimits, expected: &str| {
        let error = make(BASE, BASE, &limits).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let limits = MakeLimits::default;
    let base_bytes_max = ByteCount(42);
    check(
        MakeLimits { base_bytes_max, ..limits() },
        "the base has 43 B, more than the 42 B that a patch may be made from",
    );
    check(
        MakeLimits { result_bytes_max: ByteCount(42), ..limits() },
        "the result has 43 B, more than the 42 B that a patch may be made for",
    );
    check(MakeLimits { level: 0, ..limits() }, "there is no compression level 0: 1 to 22 exist");
    check(MakeLimits { level: 23, ..limits() }, "there is no compression level 23: 1 to 22 exist");
    let memory_max = ByteCount::kib(16);
    let error = make(BASE, BASE, &MakeLimits { memory_max, ..limits() }).unwrap_err().to_string();
    assert!(error.starts_with("applying a patch of the profile linux takes "), "{error}");
    assert!(make(BASE, BASE, &MakeLimits { level: 22, ..limits() }).is_ok());
}

/// A patch for [`BASE`] whose only window is as given.
fn patch_of(profile: Profile, result: &[u8], coded: &[u8]) -> Vec<u8> {
    let windows = [WindowHead { coded_len: coded.len() as u64, check: None }];
    [write_head(&header(profile, result), &windows), coded.to_vec()].concat()
}

fn header(profile: Profile, result: &[u8]) -> Header {
    let (base_size, result_size) = (ByteCount(BASE.len() as u64), ByteCount(result.len() as u64));
    Header {
        profile,
        base: digest(BASE),
        result: digest(result),
        base_size,
        result_size,
        base_plain_size: base_size,
        result_plain_size: result_size,
        layers: 0,
        scratch: ByteCount(0),
        layers_memory: ByteCount(0),
        copies_max: 2,
        windows: 1,
        sizes: sizes(profile, 1 << 20),
        layers_len: 0,
    }
}

/// A stream of the profile `fast`: a number where there is one, bytes as they are.
enum Said<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

use Said::{Bytes, Number};

fn stream(said: &[Said<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for said in said {
        match said {
            Number(number) => write_number(*number, &mut out),
            Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }
    out
}

fn patch_by_hand(result: &[u8], said: &[Said<'_>]) -> Vec<u8> {
    patch_of(Profile::Fast, result, &zstd::encode_all(&*stream(said), 1).unwrap())
}

fn check_refused(what: &str, patch: &[u8], expected: &str) {
    let error = applied(BASE, patch).unwrap_err();
    assert_eq!(error.to_string(), expected, "{what}");
}

/// The head of a part without code that makes the rest of the result (kind 1), told by a base file that is `longer`.
fn part(longer: u64, seek: u64) -> [Said<'static>; 3] {
    [Number(1), Number(longer), Number(seek)]
}

fn zig(value: i64) -> u64 {
    warden_patch::coder::zigzag(value)
}

#[test]
fn a_patch_by_hand_is_understood() {
    // Nine bytes, told by all 43 of the base: two copies, the first from 4 with one literal behind it.
    let head = part(zig(34), 0);
    let copies = [2, 0, 5, zig(4), 1, 3, zig(-9)].map(Number);
    let bytes = [Bytes(&[1, 0, 0, 0, 0, 1]), Bytes(b"!"), Bytes(&[0])];
    let said: Vec<Said<'_>> = head.into_iter().chain(copies).chain(bytes).collect();
    assert_eq!(applied(BASE, &patch_by_hand(b"quicl!the", &said)).unwrap().1, b"quicl!the");
}

#[test]
fn hostile_parts_are_refused() {
    let check = |what: &str, said: &[Said<'_>], expected: &str| {
        let patch = patch_by_hand(b"1234567890", said);
        check_refused(what, &patch, &format!("the patch is corrupt: {expected}"));
    };
    let with = |numbers: &[u64]| -> Vec<Said<'_>> {
        part(zig(33), 0).into_iter().chain(numbers.iter().map(|number| Number(*number))).collect()
    };
    let outside = "a copy reads from outside the base";
    check("before the base", &with(&[1, 0, 10, zig(-1)]), outside);
    check("far before the base", &with(&[1, 0, 10, zig(i64::MIN)]), outside);
    check("over the end of the base", &with(&[1, 0, 10, zig(34)]), outside);
    check("far behind the base", &with(&[1, 0, 10, zig(i64::MAX)]), outside);
    let beyond = "a part makes more than it says";
    check("a copy too long", &with(&[1, 0, 11, 0]), beyond);
    check("literals too long", &with(&[1, 11, 0, 0]), beyond);
    check("a sum that wraps", &with(&[1, 5, u64::MAX, 0]), beyond);
    check("more copies than announced", &with(&[3]), "a part has more copies than the header says");
    check("more copies than there can be", &with(&[u64::MAX]), "a part has more copies than the header says");
    let file = "a part is told by a file outside the base";
    check("a file behind the base", &part(zig(33), zig(1)), file);
    check("a file before the base", &part(zig(33), zig(-1)), file);
    check("a file too long", &part(zig(34), 0), file);
    let head = "the head of a part makes no sense";
    check("a file of less than nothing", &[Number(1), Number(zig(-11))], head);
    check("an unknown processor", &[Number(99)], head);
    check("a part that makes nothing", &[Number(0), Number(0), Number(0)], "a part makes nothing");
    check("a part too long", &[Number(0), Number(11)], "a part makes more than the result holds");
    check("too many segments", &[Number(3), Number(0), Number(0), Number(9)], head);
    let early = "a window ends before its bytes are complete";
    check("nothing", &[], early);
    check("half a head", &[Number(1)], early);
    check("literals too few", &[Number(1), Number(zig(-10)), Bytes(b"123456789")], early);
    let late = "a window goes on after its bytes are complete";
    check("a byte too many", &[Number(1), Number(zig(-10)), Bytes(b"12345678901")], late);
    check("a bomb", &[Number(1), Number(zig(-10)), Bytes(b"1234567890"), Bytes(&vec![0; 1 << 24])], late);
}

#[test]
fn hostile_heads_are_refused() {
    let said = [Number(1), Number(zig(-43)), Bytes(BASE)];
    let good = patch_by_hand(BASE, &said);
    assert!(applied(BASE, &good).is_ok());
    let frame = zstd::encode_all(&*stream(&said), 1).unwrap();
    let head = good.len() - frame.len();
    let changed = |at: usize, byte: u8| {
        let mut patch = good.clone();
        patch[at] = byte;
        patch
    };
    check_refused("no patch", &b"hsqs".repeat(40), "this is no patch: it does not start with FWDELTA");
    check_refused(
        "a newer one",
        &changed(7, 3),
        "the patch has format version 3, only version 2 can be read",
    );
    check_refused(
        "an older one",
        &changed(7, 1),
        "the patch has format version 1, only version 2 can be read",
    );
    let corrupt = |what: &str, patch: &[u8], expected: &str| {
        check_refused(what, patch, &format!("the patch is corrupt: {expected}"));
    };
    corrupt("a profile", &changed(8, 5), "the header names an unknown profile");
    corrupt("one slot", &changed(8, 4), "it was made for an update in place, for one slot");
    corrupt("layers", &changed(9, 4), "the header names too many layers");
    (10..15)
        .for_each(|at| corrupt("a table", &changed(at, 23), "the header names a table that is too large"));
    corrupt("a frame", &changed(15, 28), "the header names a table that is too large");
    corrupt("a short window", &changed(16, 11), "the header names a window that cannot be");
    corrupt("a long window", &changed(16, 33), "the header names a window that cannot be");
    corrupt("no window", &changed(head - 2, 0), "the header names no windows, or too many");
    let longer = [&good[..head - 1], &[good[head - 1] | 0x80, 0], &good[head..]].concat();
    corrupt("a number longer than needed", &longer, "a number of the header is misspelled");
    let frame_of = |frame: &[u8]| patch_of(Profile::Fast, BASE, frame);
    let no_frame = "no compressed frame behind the header";
    corrupt("a skippable frame", &frame_of(&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]), no_frame);
    corrupt("gzip", &frame_of(&[0x1f, 0x8b, 8, 0, 0]), no_frame);
    check_refused("a byte behind", &[&good[..], b"!"].concat(), "the patch has bytes after its end");
    let late = "a window goes on after its bytes are complete";
    corrupt("a second frame", &frame_of(&[&frame[..], &frame].concat()), late);
    // Frame header of RFC 8878 section 3.1.1.1: window descriptor 0x68 is 2^23, more than the 2^20 of the patch header.
    let unpack = "unpack the patch";
    check_refused("a wide window", &frame_of(&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68, 1, 0, 0]), unpack);
    check_refused("an impossible block", &frame_of(&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, 7, 0, 0]), unpack);
    check_refused("a dictionary", &frame_of(&[0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x38, 7, 1, 0, 0]), unpack);
}

#[test]
fn forged_needs_are_refused_before_anything_is_kept() {
    let forged = |change: &dyn Fn(&mut Header)| {
        let mut header = Header { layers: 1, layers_len: 9, ..header(Profile::Linux, BASE) };
        change(&mut header);
        let windows = [WindowHead { coded_len: 1, check: Some([0; 8]) }];
        let patch = [write_head(&header, &windows), vec![0; 10]].concat();
        let mut result = Vec::new();
        let error = apply(&mut Cursor::new(BASE), &mut &*patch, &mut result, &ApplyLimits::default());
        assert!(result.is_empty());
        error.unwrap_err().to_string()
    };
    let most = ByteCount(u64::MAX);
    assert!(forged(&|header| header.layers_memory = most).contains("of memory, more than the 32.0 MiB"));
    assert!(forged(&|header| header.scratch = most).contains("of scratch storage, more than"));
    assert!(forged(&|header| header.sizes.shape.log = 22).contains("of memory, more than the 32.0 MiB"));
    let flash = |header: &mut Header| {
        header.profile = Profile::Mcu;
        header.sizes.window_log = 32;
        header.result_plain_size = ByteCount::mib(512);
    };
    assert!(forged(&flash).contains("of memory, more than the 32.0 MiB"), "a window that would be kept");
    // A frame that wants a window of 2^27 bytes for the table of layers.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 1, 0, 0];
    let header = Header { layers: 1, layers_len: 9, ..header(Profile::Linux, BASE) };
    let windows = [WindowHead { coded_len: 1, check: Some([0; 8]) }];
    check_refused(
        "a wide table",
        &[&write_head(&header, &windows)[..], &frame, &[0]].concat(),
        "unpack the patch",
    );
}

#[test]
fn a_patch_cut_anywhere_is_truncated() {
    let patch = encode(BASE, b"the quick red fox jumps over the lazy hog", &fast()).unwrap();
    for len in 0..patch.len() {
        let error = applied(BASE, &patch[..len]).unwrap_err();
        assert!(matches!(error, ApplyError::Truncated), "{len} of {}: {error}", patch.len());
    }
}

#[test]
fn another_base_is_named_and_nothing_is_written() {
    let patch = encode(BASE, b"the quick red fox", &fast()).unwrap();
    let check = |base: &[u8], digest_of: &[u8]| {
        let mut result = Vec::new();
        let error =
            apply(&mut Cursor::new(base), &mut &*patch, &mut result, &ApplyLimits::default()).unwrap_err();
        let ApplyError::WrongBase { expected, found } = error else { panic!("{error}") };
        assert_eq!((expected, found), (digest(BASE), digest(digest_of)));
        assert!(result.is_empty());
    };
    check(b"", b"");
    check(&BASE[..42], &BASE[..42]);
    check(&[b'T'; 43], &[b'T'; 43]);
    check(&[b'T'; 99], &[b'T'; 43]);
}

#[test]
fn a_slot_may_be_larger_than_its_image() {
    let patch = encode(BASE, b"the quick red fox", &fast()).unwrap();
    let slot = [BASE, &[0xff; 1000]].concat();
    assert_eq!(applied(&slot, &patch).unwrap().1, b"the quick red fox");
}

#[test]
fn another_result_is_named() {
    let other = patch_by_hand(b"the quick", &[Number(1), Number(zig(-9)), Bytes(b"the quicl")]);
    let error = applied(BASE, &other).unwrap_err();
    let ApplyError::ResultMismatch { expected, found } = error else { panic!("{error}") };
    assert_eq!((expected, found), (digest(b"the quick"), digest(b"the quicl")));
}

#[test]
fn limits_of_applying_are_kept() {
    let patch = patch_by_hand(BASE, &[Number(1), Number(zig(-43)), Bytes(BASE)]);
    let need = read_header(&mut &*patch).unwrap().memory();
    let check = |limits: ApplyLimits, expected: Option<&str>| {
        let mut result = Vec::new();
        let error = apply(&mut Cursor::new(BASE), &mut &*patch, &mut result, &limits).err();
        assert_eq!(error.map(|error| error.to_string()).as_deref(), expected);
    };
    let limits = |result_bytes_max, memory_max| {
        let result_bytes_max = ByteCount(result_bytes_max);
        ApplyLimits { result_bytes_max, memory_max: ByteCount(memory_max), scratch_max: ByteCount(0) }
    };
    check(limits(43, need.0), None);
    check(limits(42, need.0), Some("the patch makes an image of 43 B, more than the 42 B that are allowed"));
    let error =
        format!("the patch needs {need} of memory, more than the {} that are allowed", ByteCount(need.0 - 1));
    check(limits(43, need.0 - 1), Some(&error));
}
