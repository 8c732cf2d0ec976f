//! Pairs of images through both directions, and patches that want harm.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use sha2::{Digest, Sha256};
use warden_model::{ByteCount, Sha256Digest};

use crate::apply::{Applied, ApplyError, ApplyLimits, apply, read_header};
use crate::format::{HEADER_BYTES, Header, RecordHead};
use crate::make::{Made, MakeLimits, encode, make};

const BASE: &[u8] = b"the quick brown fox jumps over the lazy dog";

/// Fast, so that the tests are.
fn fast() -> MakeLimits {
    MakeLimits { level: 3, ..MakeLimits::default() }
}

fn digest(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(Sha256::digest(bytes).into())
}

fn applied(base: &[u8], patch: &[u8]) -> Result<(Applied, Vec<u8>), ApplyError> {
    let mut result = Vec::new();
    let applied = apply(&mut Cursor::new(base), &mut &*patch, &mut result, &ApplyLimits::default())?;
    Ok((applied, result))
}

fn check_round(base: &[u8], result: &[u8]) -> Vec<u8> {
    let patch = encode(base, result, &fast()).unwrap();
    let (applied, made) = applied(base, &patch).unwrap();
    assert_eq!(made, result);
    assert_eq!(applied.written, ByteCount(result.len() as u64));
    assert_eq!(applied.header, read_header(&mut &*patch).unwrap());
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
        let framed = [&header(BASE, BASE).to_bytes()[..], &zstd::encode_all(&*noise, 1).unwrap()].concat();
        assert!(applied(BASE, &framed).is_err());
    }

    #[test]
    fn one_changed_byte_is_never_believed(at in any::<usize>(), by in 1..=255_u8) {
        let result = noise(3000, 3);
        let mut patch = encode(&noise(2000, 3), &result, &fast()).unwrap();
        let at = at % patch.len();
        patch[at] ^= by;
        // A few bytes have no say, such as a larger window; all that counts is that no other image is made.
        if let Ok((_, made)) = applied(&noise(2000, 3), &patch) {
            assert_eq!(made, result);
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
    assert_eq!((base.len(), result.len(), patch.len()), (100_290, 100_347, 793));
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
    let window_memory_max = ByteCount(1023);
    check(
        MakeLimits { window_memory_max, ..limits() },
        "a patch needs a window of 1 KiB at least, the limit is 1023 B",
    );
    assert!(make(BASE, BASE, &MakeLimits { level: 22, ..limits() }).is_ok());
}

fn header(base: &[u8], result: &[u8]) -> Header {
    Header {
        version: 1,
        base: digest(base),
        result: digest(result),
        base_size: ByteCount(base.len() as u64),
        result_size: ByteCount(result.len() as u64),
        window_memory: ByteCount::mib(1),
    }
}

fn record(seek: i64, add: u64, extra: u64, bytes: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    RecordHead { seek, add, extra }.write(&mut record);
    [&record, bytes].concat()
}

/// A patch for [`BASE`] whose records are as given.
fn patch_of(result: &[u8], records: &[u8]) -> Vec<u8> {
    [&header(BASE, result).to_bytes()[..], &zstd::encode_all(records, 1).unwrap()].concat()
}

fn check_refused(what: &str, patch: &[u8], expected: &str) {
    let error = applied(BASE, patch).unwrap_err();
    assert_eq!(error.to_string(), expected, "{what}");
}

#[test]
fn a_patch_by_hand_is_understood() {
    let records = [record(4, 5, 1, &[0, 0, 0, 0, 1, b'!']), record(-9, 3, 0, &[0; 3])].concat();
    let (_, made) = applied(BASE, &patch_of(b"quicl!the", &records)).unwrap();
    assert_eq!(made, b"quicl!the");
}

#[test]
fn hostile_records_are_refused() {
    let check = |what: &str, records: &[u8], expected: &str| {
        check_refused(what, &patch_of(b"1234567890", records), &format!("the patch is corrupt: {expected}"));
    };
    let outside = "a record copies from outside the base";
    check("before the base", &record(-1, 10, 0, &[0; 10]), outside);
    check("far before the base", &record(i64::MIN, 10, 0, &[0; 10]), outside);
    check("over the end of the base", &record(34, 10, 0, &[0; 10]), outside);
    check("behind the base", &record(44, 0, 10, &[0; 10]), outside);
    check("far behind the base", &record(i64::MAX, 10, 0, &[0; 10]), outside);
    let more = "a record makes more than the result holds";
    check("an addition too long", &record(0, 11, 0, &[0; 11]), more);
    check("extra bytes too long", &record(0, 0, 11, &[0; 11]), more);
    check("a sum that wraps", &record(0, u64::MAX, 11, &[0; 11]), more);
    check("a second record too long", &[record(0, 5, 0, &[0; 5]), record(0, 5, 1, &[0; 6])].concat(), more);
    check("a record that stands still", &record(0, 0, 0, &[]), "a record makes nothing");
    check("a number of 65 bits", &[0xff; 20], "a number is misspelled");
    check("a number longer than needed", &[0x80, 0x00, 0x05], "a number is misspelled");
    let early = "the records end before the result is complete";
    check("no record", &[], early);
    check("half a head", &[0], early);
    check("an addition too short", &record(0, 10, 0, &[0; 9]), early);
    check("a result too short", &record(0, 9, 0, &[0; 9]), early);
    let late = "the records go on after the result is complete";
    check("one byte too many", &record(0, 10, 0, &[0; 11]), late);
    check("a bomb", &record(0, 0, 10, &vec![0; 1 << 24]), late);
}

#[test]
fn hostile_frames_are_refused() {
    let good = patch_of(BASE, &record(0, 43, 0, &[0; 43]));
    assert!(applied(BASE, &good).is_ok());
    let (head, frame) = good.split_at(HEADER_BYTES);
    let with = |frame: &[u8]| [head, frame].concat();
    check_refused(
        "no patch",
        b"hsqs".repeat(40).as_slice(),
        "this is no patch: it does not start with FWDELTA",
    );
    let newer = [b"FWDELTA\x02", &good[8..]].concat();
    check_refused("a newer patch", &newer, "the patch has format version 2, only version 1 can be read");
    let no_frame = "the patch is corrupt: no compressed frame behind the header";
    check_refused("a skippable frame", &with(&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]), no_frame);
    check_refused("gzip", &with(&[0x1f, 0x8b, 8, 0, 0]), no_frame);
    check_refused("a byte behind", &[&good[..], b"!"].concat(), "the patch has bytes after its end");
    check_refused("a second frame", &[&good[..], frame].concat(), "the patch has bytes after its end");
    // Frame header of RFC 8878 section 3.1.1.1: window descriptor 0x68 is 2^23, more than the 2^20 of the patch header.
    check_refused("a wide window", &with(&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68, 1, 0, 0]), "unpack the patch");
    check_refused(
        "an impossible block",
        &with(&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, 7, 0, 0]),
        "unpack the patch",
    );
    check_refused(
        "a dictionary",
        &with(&[0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x38, 7, 1, 0, 0]),
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
    let other = patch_of(b"the quick", &record(0, 9, 0, &[0, 0, 0, 0, 0, 0, 0, 0, 1]));
    let error = applied(BASE, &other).unwrap_err();
    let ApplyError::ResultMismatch { expected, found } = error else { panic!("{error}") };
    assert_eq!((expected, found), (digest(b"the quick"), digest(b"the quicl")));
}

#[test]
fn limits_of_applying_are_kept() {
    let patch = patch_of(BASE, &record(0, 43, 0, &[0; 43]));
    let check = |limits: ApplyLimits, expected: Option<&str>| {
        let mut result = Vec::new();
        let error = apply(&mut Cursor::new(BASE), &mut &*patch, &mut result, &limits).err();
        assert_eq!(error.map(|error| error.to_string()).as_deref(), expected);
    };
    let limits = |result_bytes_max, memory_max| ApplyLimits { result_bytes_max, memory_max };
    check(limits(ByteCount(43), ByteCount::mib(2)), None);
    check(
        limits(ByteCount(42), ByteCount::mib(2)),
        Some("the patch makes an image of 43 B, more than the 42 B that are allowed"),
    );
    check(
        limits(ByteCount(43), ByteCount(ByteCount::mib(2).0 - 1)),
        Some("the patch needs 2.0 MiB of memory, more than the 1.9 MiB that are allowed"),
    );
}

/// Hands out and takes at most a few bytes at a time, and refuses to be asked for large pieces.
struct Narrow<T> {
    inner: T,
    piece: usize,
    asked: usize,
}

impl<T> Narrow<T> {
    fn new(inner: T, piece: usize) -> Self {
        Self { inner, piece, asked: 0 }
    }

    fn ask(&mut self, len: usize) -> io::Result<usize> {
        self.asked = self.asked.max(len);
        if len > 64 * 1024 { Err(io::Error::other("too large a piece")) } else { Ok(len.min(self.piece)) }
    }
}

impl<T: Read> Read for Narrow<T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.ask(into.len())?;
        self.inner.read(&mut into[..len])
    }
}

impl<T: Seek> Seek for Narrow<T> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl Write for Narrow<Vec<u8>> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let len = self.ask(from.len())?;
        self.inner.extend(&from[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn large_images_pass_through_small_pieces() {
    let base = noise(1 << 20, 5);
    let result = [&base[500_000..], &noise(200_000, 6), &base[..900_000]].concat();
    let patch = encode(&base, &result, &fast()).unwrap();
    for piece in [1013, 64 * 1024] {
        let mut narrow_base = Narrow::new(Cursor::new(&base), piece);
        let mut narrow_patch = Narrow::new(&*patch, piece);
        let mut narrow_result = Narrow::new(Vec::new(), piece);
        apply(&mut narrow_base, &mut narrow_patch, &mut narrow_result, &ApplyLimits::default()).unwrap();
        assert!(narrow_result.inner == result);
    }
}

#[test]
fn a_patch_that_trickles_in_byte_by_byte_is_applied() {
    let patch = encode(BASE, &BASE[10..], &fast()).unwrap();
    let mut result = Vec::new();
    let mut trickle = Narrow::new(&*patch, 1);
    apply(&mut Cursor::new(BASE), &mut trickle, &mut result, &ApplyLimits::default()).unwrap();
    assert_eq!(result, &BASE[10..]);
}

#[test]
fn the_window_stays_within_the_limit_and_the_image() {
    let check = |len: usize, window_memory_max: ByteCount, expected: ByteCount| {
        let limits = MakeLimits { window_memory_max, ..fast() };
        let patch = encode(&noise(len, 1), &noise(len, 2), &limits).unwrap();
        assert_eq!(read_header(&mut &*patch).unwrap().window_memory, expected, "{len}");
        // The decoder refuses a wider window than the header tells: that it does not, proves the header right.
        applied(&noise(len, 1), &patch).unwrap();
    };
    check(10, ByteCount::mib(8), ByteCount::kib(1));
    check(3000, ByteCount::mib(8), ByteCount::kib(4));
    check(500_000, ByteCount::mib(8), ByteCount::kib(512));
    check(500_000, ByteCount::kib(100), ByteCount::kib(64));
    check(500_000, ByteCount(1024), ByteCount::kib(1));
}

/// Fails as soon as it is used.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

impl Seek for Broken {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::Error::other("the disk is gone"))
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("no space left on device"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failing_disk_or_network_is_told_apart() {
    let patch = encode(BASE, &BASE[1..], &fast()).unwrap();
    let limits = ApplyLimits::default();
    let error = apply(&mut Broken, &mut &*patch, &mut Vec::new(), &limits).unwrap_err();
    assert!(matches!(error, ApplyError::ReadBase { .. }), "{error}");
    let error = apply(&mut Cursor::new(BASE), &mut &*patch, &mut Broken, &limits).unwrap_err();
    assert!(matches!(error, ApplyError::WriteResult { .. }), "{error}");
    let mut stalled = (&patch[..100]).chain(Broken);
    let error = apply(&mut Cursor::new(BASE), &mut stalled, &mut Vec::new(), &limits).unwrap_err();
    assert!(matches!(error, ApplyError::ReadPatch { .. }), "{error}");
}
