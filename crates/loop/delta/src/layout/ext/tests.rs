//! File systems of `mke2fs`, whole and damaged.

use std::collections::BTreeMap;

use super::super::testing::{check_damaged, check_files, moved, noise, read, sources, succeeds, text, tree};
use super::super::{Layout, look as look_everywhere};
use super::look;

fn check(arguments: &[&str], blocks: &str) {
    let sources = sources();
    let folder = tree(&sources);
    if !succeeds(&folder, "mke2fs", &[&["-q", "-d", "tree"], arguments, &["image", blocks]].concat()) {
        return;
    }
    let image = read(&folder, "image");
    let mut layout = Layout::default();
    let end = look(&image, 0, &mut layout);
    assert_eq!(end, Some(image.len() as u64));
    let own = |path: &str| path.starts_with('<') || path.starts_with("lost+found");
    for name in ["inodes", "bitmaps", "directories"] {
        let path = format!("<ext {name}>");
        assert!(layout.files.iter().any(|file| own(&file.path) && file.path == path), "{path}");
    }
    check_files(&image, &layout, &sources, "");
    let shifted = [noise(512, 1), image].concat();
    assert_eq!(look_everywhere(&shifted), moved(layout, 512));
}

#[test]
fn every_file_of_an_ext4_is_found() {
    check(&["-t", "ext4"], "12M");
    check(&["-t", "ext4", "-b", "1024", "-O", "64bit,metadata_csum"], "12M");
    check(&["-t", "ext4", "-b", "4096", "-I", "128", "-O", "^64bit,^has_journal,^flex_bg"], "8M");
}

#[test]
fn every_file_of_an_ext2_or_ext3_is_found() {
    // Small blocks need blocks of numbers, and blocks of those.
    check(&["-t", "ext2", "-b", "1024"], "12M");
    check(&["-t", "ext3", "-b", "1024"], "16M");
    check(&["-t", "ext2", "-b", "4096", "-r", "1"], "8M");
}

fn small() -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::from([
        ("a/large".to_owned(), text(4000, 1)),
        ("a/b/noise".to_owned(), noise(9000, 2)),
        ("sparse".to_owned(), [text(400, 4), vec![0; 20_000], text(10, 6)].concat()),
    ]);
    for number in 0..40 {
        found.insert(format!("c/{number}"), text(number + 1, number * 100));
    }
    found
}

#[test]
fn a_damaged_ext_gives_some_layout() {
    for (kind, size) in [("ext2", "400"), ("ext4", "400")] {
        let folder = tree(&small());
        let arguments = [
            "-q",
            "-d",
            "tree",
            "-t",
            kind,
            "-b",
            "1024",
            "-N",
            "64",
            "-O",
            "^has_journal,^resize_inode",
            "image",
            size,
        ];
        if !succeeds(&folder, "mke2fs", &arguments) {
            return;
        }
        let image = read(&folder, "image");
        let number = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap()) as usize;
        let inodes = number(2048 + 8) * 1024;
        let mut places = vec![1024..1024 + 264, 2048..2048 + 64, inodes..inodes + 64 * 128];
        // Directories and blocks of extents lie behind the inodes.
        places.push(inodes..image.len());
        check_damaged(&image, 400, &places);
    }
}

#[test]
fn numbers_that_contradict_each_other_are_no_ext() {
    let folder = tree(&small());
    if !succeeds(&folder, "mke2fs", &["-q", "-d", "tree", "-t", "ext4", "image", "1M"]) {
        return;
    }
    let image = read(&folder, "image");
    let changed = |at: usize, bytes: &[u8]| {
        let mut image = image.clone();
        image[1024 + at..1024 + at + bytes.len()].copy_from_slice(bytes);
        look(&image, 0, &mut Layout::default())
    };
    assert_eq!(changed(0x38, &[0x53, 0xef]), Some(image.len() as u64));
    assert_eq!(changed(0x38, &[0, 0]), None);
    assert_eq!(changed(0x18, &[7]), None);
    assert_eq!(changed(0x20, &[0; 4]), None);
    assert_eq!(changed(0x28, &[0; 4]), None);
    assert_eq!(changed(0x58, &[100, 0]), None);
    assert_eq!(changed(0x4, &[0xff; 4]), None);
    assert_eq!(changed(0x5a, &[1, 0]), None);
}
