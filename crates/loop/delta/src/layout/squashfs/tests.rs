//! File systems of `mksquashfs`, whole and damaged.

use std::collections::BTreeMap;

use super::super::testing::{
    Contents, check_damaged, check_files, moved, noise, read, sources, succeeds, text, tree,
};
use super::super::{Layout, Piece, look as look_everywhere};
use super::look;
use crate::codec::Hint;

fn look_at(image: &[u8], start: u64) -> (Layout, Option<u64>) {
    let mut layout = Layout::default();
    let end = look(image, start, &mut layout);
    (layout, end)
}

fn check(packer: &[&str], hint: Option<Hint>) {
    let sources = sources();
    let folder = tree(&sources);
    let arguments = [&["tree", "image", "-quiet", "-processors", "1"], packer].concat();
    if !succeeds(&folder, "mksquashfs", &arguments) {
        return;
    }
    let image = read(&folder, "image");
    let (layout, end) = look_at(&image, 0);
    // The image is padded to 4 KiB.
    assert!(end.unwrap() <= image.len() as u64 && end.unwrap() + 4096 > image.len() as u64);
    check_files(&image, &layout, &sources, "");
    for name in ["inodes", "directories", "fragments", "export", "ids"] {
        let path = format!("<squashfs {name}>");
        let tail_less = name == "fragments" && packer.contains(&"-no-fragments");
        assert_eq!(layout.files.iter().any(|file| file.path == path), !tail_less, "{path}");
    }
    match hint {
        Some(hint) => assert!(layout.packed.iter().any(|one| one.hint == hint), "{packer:?}"),
        None => assert_eq!(layout.packed, []),
    }
    // A part of something larger is described in its coordinates.
    let shifted = [noise(777, 1), image, noise(50, 2)].concat();
    assert_eq!(look_everywhere(&shifted), moved(layout, 777));
}

#[test]
fn every_file_of_a_gzip_squashfs_is_found() {
    check(&["-comp", "gzip"], Some(Hint::Zlib));
}

#[test]
fn every_file_of_an_xz_squashfs_is_found() {
    check(&["-comp", "xz"], Some(Hint::Xz(Some(131_072))));
    check(&["-comp", "xz", "-b", "262144", "-Xdict-size", "65536"], Some(Hint::Xz(Some(65_536))));
}

#[test]
fn every_file_of_a_zstd_squashfs_is_found() {
    check(&["-comp", "zstd", "-Xcompression-level", "3"], Some(Hint::Zstd));
}

#[test]
fn every_file_of_an_lz4_squashfs_is_found() {
    check(&["-comp", "lz4"], Some(Hint::Lz4Block));
    check(&["-comp", "lz4", "-Xhc"], Some(Hint::Lz4Block));
}

#[test]
fn what_is_not_packed_is_raw() {
    check(&["-noI", "-noD", "-noF", "-noX"], None);
    check(&["-noD"], Some(Hint::Zlib));
    check(&["-noF"], Some(Hint::Zlib));
    check(&["-no-fragments", "-b", "4096"], Some(Hint::Zlib));
    check(&["-always-use-fragments", "-b", "1048576"], Some(Hint::Zlib));
}

#[test]
fn tables_follow_each_other_without_their_headers() {
    let folder = tree(&sources());
    if !succeeds(&folder, "mksquashfs", &["tree", "image", "-quiet"]) {
        return;
    }
    let image = read(&folder, "image");
    let (layout, _) = look_at(&image, 0);
    let inodes = layout.files.iter().find(|file| file.path == "<squashfs inodes>").unwrap();
    // The first inode: a type from 1 to 14.
    assert!((1..=14).contains(&Contents::new(&image, &layout).of(inodes)[0]));
    for file in layout.files.iter().filter(|file| file.path.starts_with('<')) {
        for pair in file.pieces.windows(2) {
            let [Piece::InPacked { index: one, .. }, Piece::InPacked { index: next, .. }] = pair else {
                continue;
            };
            let (one, next) = (layout.packed[*one], layout.packed[*next]);
            assert_eq!(one.start + one.len + 2, next.start, "{}", file.path);
        }
    }
}

fn small() -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::from([
        ("a/large".to_owned(), text(3000, 1)),
        ("a/b/noise".to_owned(), noise(9000, 2)),
        ("sparse".to_owned(), [text(400, 4), vec![0; 20_000], text(10, 6)].concat()),
    ]);
    for number in 0..40 {
        found.insert(format!("c/{number}"), text(number + 1, number * 100));
    }
    found
}

#[test]
fn a_damaged_squashfs_gives_some_layout() {
    // Once with tables that are packed, once with tables where every changed byte is a changed number.
    for packer in [&["-comp", "gzip"], &["-noI", "-noF"]] {
        let folder = tree(&small());
        let arguments = [&["tree", "image", "-quiet", "-b", "4096", "-nopad"], &packer[..]].concat();
        if !succeeds(&folder, "mksquashfs", &arguments) {
            return;
        }
        let image = read(&folder, "image");
        let tables = usize::try_from(u64::from_le_bytes(image[64..72].try_into().unwrap())).unwrap();
        check_damaged(&image, 300, &[0..96, tables..image.len(), tables..image.len(), 0..image.len()]);
    }
}

#[test]
fn numbers_that_contradict_each_other_are_no_squashfs() {
    let folder = tree(&small());
    if !succeeds(&folder, "mksquashfs", &["tree", "image", "-quiet", "-nopad"]) {
        return;
    }
    let image = read(&folder, "image");
    let changed = |at: usize, bytes: &[u8]| {
        let mut image = image.clone();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        look_at(&image, 0).1
    };
    assert!(changed(0, b"hsqs").is_some());
    assert_eq!(changed(0, b"sqsh"), None);
    assert_eq!(changed(28, &3_u16.to_le_bytes()), None);
    assert_eq!(changed(22, &18_u16.to_le_bytes()), None);
    assert_eq!(changed(20, &9_u16.to_le_bytes()), None);
    assert_eq!(changed(40, &(image.len() as u64 + 1).to_le_bytes()), None);
    assert_eq!(changed(64, &u64::MAX.to_le_bytes()), None);
    assert_eq!(look_at(&image[..image.len() - 1], 0).1, None);
}
