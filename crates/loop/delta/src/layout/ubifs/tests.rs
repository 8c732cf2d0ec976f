//! File systems made by hand and by `mkfs.ubifs`, whole and damaged.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::super::testing::{check_damaged, check_files, files, noise, read, sources, succeeds, text, tree};
use super::super::{Layout, look as look_everywhere};
use super::look;
use crate::codec::Hint;

const BLOCK: usize = 16 * 1024;

fn node(kind: u8, sequence: u64, body: &[u8]) -> Vec<u8> {
    let mut node = super::MAGIC.to_vec();
    node.extend([0; 4]);
    node.extend(sequence.to_le_bytes());
    node.extend(u32::try_from(body.len() + 24).unwrap().to_le_bytes());
    node.extend([kind, 0, 0, 0]);
    node.extend(body);
    node.resize(node.len().next_multiple_of(8), 0);
    node
}

fn key(inode: u32, below: u32) -> Vec<u8> {
    [&inode.to_le_bytes()[..], &below.to_le_bytes(), &[0; 8]].concat()
}

fn inode(number: u32, sequence: u64, size: u64) -> Vec<u8> {
    node(0, sequence, &[key(number, 0), vec![0; 8], size.to_le_bytes().to_vec(), vec![0; 100]].concat())
}

fn name(folder: u32, sequence: u64, target: u64, kind: u8, name: &str) -> Vec<u8> {
    let len = u16::try_from(name.len()).unwrap().to_le_bytes();
    let body =
        [&key(folder, 2 << 29)[..], &target.to_le_bytes(), &[0, kind], &len, &[0; 4], name.as_bytes(), &[0]];
    node(2, sequence, &body.concat())
}

fn data(number: u32, block: u32, sequence: u64, plain: &[u8], packer: u16) -> Vec<u8> {
    let mut stored = plain.to_vec();
    if packer == 2 {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(plain).unwrap();
        stored = encoder.finish().unwrap();
    }
    let len = u32::try_from(plain.len()).unwrap().to_le_bytes();
    node(
        1,
        sequence,
        &[&key(number, 1 << 29 | block)[..], &len, &packer.to_le_bytes(), &[0; 2], &stored].concat(),
    )
}

fn by_hand() -> Vec<u8> {
    let mut superblock = vec![0; 4096 - 24];
    superblock[12..16].copy_from_slice(&u32::try_from(BLOCK).unwrap().to_le_bytes());
    superblock[16..20].copy_from_slice(&3_u32.to_le_bytes());
    let mut first = node(6, 1, &superblock);
    first.extend(node(5, 2, &1000_u32.to_le_bytes()));
    first.resize(first.len() + 1000, 0);
    first.extend(inode(65, 3, 10_000));
    let second = [
        data(65, 0, 4, &text(200, 1)[..4096], 2),
        name(1, 5, 64, 1, "folder"),
        name(64, 6, 65, 0, "file"),
        data(65, 2, 7, &noise(1000, 2), 0),
        name(1, 8, 66, 0, "gone"),
        name(1, 9, 0, 0, "gone"),
        inode(66, 10, 4096),
        data(66, 0, 11, &text(200, 9)[..4096], 2),
    ];
    // The newer data of the first block.
    let third = [data(65, 0, 12, &text(200, 5)[..4096], 2), inode(65, 13, 9000)];
    [first, second.concat(), third.concat()]
        .into_iter()
        .flat_map(|mut block| {
            block.resize(BLOCK, 0xff);
            block
        })
        .collect()
}

#[test]
fn the_newest_nodes_make_the_files() {
    let image = by_hand();
    let layout = look_everywhere(&image);
    let expected = [text(200, 5)[..4096].to_vec(), vec![0; 4096], noise(1000, 2)[..808].to_vec()].concat();
    assert_eq!(files(&image, &layout), BTreeMap::from([("folder/file".to_owned(), expected)]));
    // What is gone, or old, is packed all the same.
    assert_eq!(layout.packed.len(), 3);
}

#[test]
fn a_damaged_ubifs_gives_some_layout() {
    check_damaged(&by_hand(), 400, &[0..48, 4096..4200, BLOCK..BLOCK + 2048, 2 * BLOCK..2 * BLOCK + 2048]);
}

fn check(packer: &str, hint: Option<Hint>) {
    let sources = sources();
    let folder = tree(&sources);
    let arguments = ["-r", "tree", "-m", "2048", "-e", "126976", "-c", "200", "-x", packer, "-o", "image"];
    if !succeeds(&folder, "mkfs.ubifs", &arguments) {
        return;
    }
    let image = read(&folder, "image");
    let mut layout = Layout::default();
    assert_eq!(look(&image, 0, &mut layout), Some(image.len() as u64));
    match hint {
        Some(hint) => assert!(!layout.packed.is_empty() && layout.packed.iter().all(|one| one.hint == hint)),
        None => assert_eq!(layout.packed, []),
    }
    if hint != Some(Hint::Lzo) {
        check_files(&image, &layout, &sources, "");
    }
}

#[test]
fn every_file_of_a_ubifs_is_found() {
    check("zlib", Some(Hint::Deflate));
    check("zstd", Some(Hint::Zstd));
    check("lzo", Some(Hint::Lzo));
    check("none", None);
}
