//! Lists of files: who is paired with whom.

use proptest::prelude::*;

use super::*;

/// Bytes that look like nothing else, by seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

/// The same with every 40th byte changed: a rebuilt program.
fn rebuilt(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().enumerate().map(|(i, byte)| if i % 40 == 7 { byte.wrapping_add(3) } else { *byte }).collect()
}

fn sketched<'a>(files: &'a [(&'a str, Vec<u8>)]) -> Vec<Sketched<'a>> {
    let sketch = |(path, bytes): &'a (&str, Vec<u8>)| Sketched {
        path,
        len: u64::try_from(bytes.len()).unwrap(),
        sketch: Sketch::of([bytes.as_slice()]),
    };
    files.iter().map(sketch).collect()
}

#[track_caller]
fn check(old: &[(&str, Vec<u8>)], new: &[(&str, Vec<u8>)], expected: &[Option<usize>]) {
    assert_eq!(pair(&sketched(old), &sketched(new)), expected);
}

#[test]
fn pairs_by_path_whatever_the_content() {
    let old = [("bin/a", noise(1, 900)), ("etc/version", b"1.2.3\n".to_vec())];
    check(&old, &[("etc/version", b"2.0\n".to_vec()), ("bin/a", noise(9, 900))], &[Some(1), Some(0)]);
}

#[test]
fn pairs_by_path_without_version() {
    let pairs = [
        ("lib/libdns-9.18.49-1~deb12u1-Debian.so", "lib/libdns-9.18.49-1~deb12u3-Debian.so"),
        ("lib/libcrypto.so.3", "lib/libcrypto.so.4"),
        ("lib/modules/6.1.0-53/kernel/fs/ext4.ko", "lib/modules/6.1.0-56/kernel/fs/ext4.ko"),
        ("usr/lib/python3.9/abc.py", "usr/lib/python3.11/abc.py"),
        ("usr/share/doc-1.2_rc1", "usr/share/doc-1.10_rc2"),
    ];
    for (index, (before, after)) in pairs.into_iter().enumerate() {
        let seed = u64::try_from(index).unwrap();
        let old = [("lib/other.so.1", noise(77, 500)), (before, noise(seed, 500))];
        check(&old, &[(after, noise(seed + 100, 500))], &[Some(1)]);
    }
}

#[test]
fn of_several_versions_the_most_similar_is_the_partner() {
    let old = [("lib/libfoo.so.1", noise(1, 5_000)), ("lib/libfoo.so.2", noise(2, 5_000))];
    let new =
        [("lib/libfoo.so.3", rebuilt(&noise(2, 5_000))), ("lib/libfoo.so.4", rebuilt(&noise(1, 5_000)))];
    check(&old, &new, &[Some(1), Some(0)]);
}

#[test]
fn files_of_one_path_are_told_apart_by_content() {
    let old = [("<gzip>", noise(1, 5_000)), ("<gzip>", noise(2, 5_000))];
    let new = [("<gzip>", noise(3, 400)), ("<gzip>", rebuilt(&noise(2, 5_000))), ("<gzip>", noise(1, 5_000))];
    check(&old, &new, &[Some(0), Some(1), Some(0)]);
}

#[test]
fn moved_and_renamed_files_are_found_by_content() {
    let old = [("bin/one", noise(1, 3_000)), ("bin/two", noise(2, 3_000)), ("bin/three", noise(3, 3_000))];
    let new = [
        ("usr/bin/two", rebuilt(&noise(2, 3_000))),
        ("opt/copy", rebuilt(&noise(2, 3_000))),
        ("opt/new", noise(4, 3_000)),
        // The name stayed, the content changed places.
        ("bin/one", rebuilt(&noise(3, 3_000))),
    ];
    check(&old, &new, &[Some(1), Some(1), None, Some(2)]);
}

#[test]
fn nothing_pairs_with_nothing() {
    check(&[], &[("a", noise(1, 100)), ("b", Vec::new())], &[None, None]);
    check(&[("x", Vec::new()), ("y", noise(3, 15))], &[("z", Vec::new())], &[None]);
}

#[test]
fn what_everybody_holds_pairs_nobody() {
    let license = noise(5, 1_000);
    let paths = (0..200).map(|n| format!("{}/file", char::from_u32(0x4e00 + n).unwrap())).collect::<Vec<_>>();
    let old = paths.iter().map(|path| (path.as_str(), license.clone())).collect::<Vec<_>>();
    check(&old, &[("other", license)], &[None]);
}

#[test]
fn likeness_falls_with_every_change() {
    let bytes = noise(1, 100_000);
    let sketch = Sketch::of([bytes.as_slice()]);
    assert_eq!(sketch.similarity(&sketch), Sketch::SIMILARITY_MAX);
    assert!(sketch.similarity(&Sketch::of([rebuilt(&bytes).as_slice()])) >= SAME_CONTENT);
    assert!(sketch.similarity(&Sketch::of([&bytes[..50_000]])) >= SAME_CONTENT);
    assert_eq!(sketch.similarity(&Sketch::of([noise(2, 100_000).as_slice()])), 0);
    assert_eq!(sketch.similarity(&Sketch::of([])), 0);
}

#[test]
fn versions_are_stripped() {
    let cases = [
        ("libdns-9.18.49-1~deb12u1-Debian.so", "libdns-#~deb#u#-Debian.so"),
        ("lib/modules/6.1.0-53-arm64/ext4.ko", "lib/modules/#-arm#/ext#.ko"),
        ("libcrypto.so.3", "libcrypto.so.#"),
        ("plain", "plain"),
        ("5.", "#."),
        ("", ""),
    ];
    for (path, expected) in cases {
        assert_eq!(names::strip(path), expected);
    }
    assert_eq!(names::last("a/b"), "b");
    assert_eq!(names::last("b"), "b");
}

proptest! {
    #[test]
    fn how_a_file_is_cut_makes_no_difference(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..300) {
        let (front, back) = bytes.split_at(cut.min(bytes.len()));
        prop_assert_eq!(Sketch::of([bytes.as_slice()]), Sketch::of([front, back]));
    }

    #[test]
    fn partners_exist(
        old in prop::collection::vec(("[a-c0-2./]{0,4}", prop::collection::vec(0_u8..3, 0..60)), 0..8),
        new in prop::collection::vec(("[a-c0-2./]{0,4}", prop::collection::vec(0_u8..3, 0..60)), 0..8),
    ) {
        let old = old.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect::<Vec<_>>();
        let new = new.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect::<Vec<_>>();
        let partners = pair(&sketched(&old), &sketched(&new));
        prop_assert_eq!(partners.len(), new.len());
        for (partner, (path, _)) in partners.iter().zip(&new) {
            prop_assert!(partner.is_none_or(|index| index < old.len()));
            prop_assert!(partner.is_some() || old.iter().all(|(before, _)| before != path));
        }
    }
}
