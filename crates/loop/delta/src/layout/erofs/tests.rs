//! File systems of `mkfs.erofs` and one made by hand, whole and damaged.

use std::collections::BTreeMap;

use super::super::testing::{
    check_damaged, check_files, files, moved, noise, read, sources, succeeds, text, tree,
};
use super::super::{Layout, Packed, look as look_everywhere};
use super::look;
use crate::codec::Hint;

#[derive(PartialEq, Eq)]
enum Clusters {
    Packed,
    Raw,
}

fn check(arguments: &[&str], clusters: &Clusters) {
    let sources = sources();
    let folder = tree(&sources);
    if !succeeds(&folder, "mkfs.erofs", &[arguments, &["image", "tree"]].concat()) {
        return;
    }
    let image = read(&folder, "image");
    let mut layout = Layout::default();
    assert_eq!(look(&image, 0, &mut layout), Some(image.len() as u64));
    check_files(&image, &layout, &sources, "");
    assert_eq!(layout.packed.is_empty(), *clusters == Clusters::Raw, "{arguments:?}");
    assert!(layout.files.iter().any(|file| file.path == "<erofs directories>"));
    // The kernel looks for the first byte that is not zero.
    assert!(layout.packed.iter().all(|one| image[usize::try_from(one.start).unwrap()] != 0));
    let shifted = [noise(1536, 1), image].concat();
    assert_eq!(look_everywhere(&shifted), moved(layout, 1536));
}

#[test]
fn every_file_of_an_erofs_is_found() {
    check(&[], &Clusters::Raw);
    check(&["-Eforce-inode-extended"], &Clusters::Raw);
    check(&["--chunksize=4096"], &Clusters::Raw);
    check(&["--chunksize=65536", "-Eforce-chunk-indexes"], &Clusters::Raw);
}

#[test]
fn every_file_of_a_packed_erofs_is_found() {
    check(&["-zlz4"], &Clusters::Packed);
    check(&["-zlz4hc,9"], &Clusters::Packed);
    check(&["-zlz4hc", "-Elegacy-compress"], &Clusters::Packed);
    check(&["-zlz4hc", "-Enoinline_data", "-x-1"], &Clusters::Packed);
}

#[test]
fn large_clusters_and_inline_tails_are_found() {
    check(&["-zlz4hc", "-C65536"], &Clusters::Packed);
    check(&["-zlz4", "-C16384", "-Eztailpacking"], &Clusters::Packed);
    check(&["-zlz4hc", "-Eztailpacking", "-Eforce-inode-extended"], &Clusters::Packed);
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// An LZ4 block: one byte, a copy of it to a length of 9187, five more bytes.
fn lz4_block() -> Vec<u8> {
    let more = 9186 - 4 - 15;
    let lengths = [vec![255; more / 255], vec![u8::try_from(more % 255).unwrap()]].concat();
    [&[0x1f, b'x', 1, 0][..], &lengths, &[0x50], b"abcde"].concat()
}

/// A file of three clusters: one packed cluster for 9192 bytes, then 808 bytes as they are.
fn by_hand(storage: u16) -> Vec<u8> {
    let mut image = vec![0; 3 * 4096];
    put(&mut image, 1024, &super::MAGIC);
    put(&mut image, 1024 + 12, &[12]);
    put(&mut image, 1024 + 14, &36_u16.to_le_bytes());
    put(&mut image, 1024 + 36, &3_u32.to_le_bytes());
    put(&mut image, 1024 + 80, &1_u32.to_le_bytes());
    // The root: compact, inline.
    let names = [(36_u64, 2_u8, "."), (36, 2, ".."), (64, 1, "file")];
    let mut listing = Vec::new();
    let mut name_at = 36_u16;
    for (inode, kind, name) in names {
        listing.extend(inode.to_le_bytes());
        listing.extend(name_at.to_le_bytes());
        listing.extend([kind, 0]);
        name_at += u16::try_from(name.len()).unwrap();
    }
    listing.extend(names.iter().flat_map(|(_, _, name)| name.bytes()));
    put(&mut image, 1152, &[4, 0, 0, 0, 0xed, 0x41]);
    put(&mut image, 1152 + 8, &u32::try_from(listing.len()).unwrap().to_le_bytes());
    put(&mut image, 1184, &listing);
    // The file, its header, its indices.
    put(&mut image, 2048, &(storage << 1).to_le_bytes());
    put(&mut image, 2048 + 4, &[0xa4, 0x81]);
    put(&mut image, 2048 + 8, &10_000_u32.to_le_bytes());
    if storage == 1 {
        put(&mut image, 2096, &[1, 0, 0, 0, 1, 0, 0, 0]);
        put(&mut image, 2104, &[2, 0, 0, 0, 1, 0, 1, 0]);
        put(&mut image, 2112, &[0, 0, 0xe8, 0x03, 2, 0, 0, 0]);
    } else {
        put(&mut image, 2088, &[0x00, 0x10, 0x01, 0x20, 0, 0, 0, 0]);
        put(&mut image, 2096, &[0xe8, 0x03, 0x00, 0x00, 1, 0, 0, 0]);
    }
    let packed = lz4_block();
    put(&mut image, 8192 - packed.len(), &packed);
    put(&mut image, 8192, &noise(808, 1));
    image
}

#[test]
fn indices_of_both_forms_lead_to_the_same_clusters() {
    for storage in [1, 3] {
        let image = by_hand(storage);
        let layout = look_everywhere(&image);
        let len = lz4_block().len() as u64;
        let packed = Packed { start: 8192 - len, len, plain_len_max: 9192, hint: Hint::Lz4Block };
        assert_eq!(layout.packed, [packed]);
        let expected = [vec![b'x'; 9187], b"abcde".to_vec(), noise(808, 1)].concat();
        assert_eq!(files(&image, &layout), BTreeMap::from([("file".to_owned(), expected)]));
    }
}

/// The same file, its last bytes in a file of tails.
fn with_fragment(storage: u16) -> Vec<u8> {
    let mut image = by_hand(storage);
    put(&mut image, 1024 + 80, &[0x21]);
    put(&mut image, 1024 + 96, &[96]);
    put(&mut image, 3072 + 4, &[0xa4, 0x81]);
    put(&mut image, 3072 + 8, &900_u32.to_le_bytes());
    put(&mut image, 3072 + 16, &[2]);
    // The header: behind 50 bytes of the tails. The last head holds no block.
    put(&mut image, 2080, &[50, 0, 0, 0, 0x20]);
    let head = if storage == 1 { (2112, &[1, 0, 0xe8, 0x03, 0][..]) } else { (2096, &[0xe8, 0x13][..]) };
    put(&mut image, head.0, head.1);
    put(&mut image, 8192, &[&[9; 50][..], &noise(808, 1)].concat());
    image
}

#[test]
fn tails_in_fragments_are_found() {
    for storage in [1, 3] {
        let mut image = with_fragment(storage);
        let expected = [vec![b'x'; 9187], b"abcde".to_vec(), noise(808, 1)].concat();
        let found = |image: &[u8]| files(image, &look_everywhere(image));
        assert_eq!(found(&image), BTreeMap::from([("file".to_owned(), expected)]));
        // A file that is nothing but a fragment.
        put(&mut image, 2080, &[50, 0, 0, 0, 0, 0, 0, 0x80]);
        put(&mut image, 2048 + 8, &808_u32.to_le_bytes());
        assert_eq!(found(&image), BTreeMap::from([("file".to_owned(), noise(808, 1))]));
        put(&mut image, 2048 + 8, &851_u32.to_le_bytes());
        assert_eq!(found(&image), BTreeMap::new());
    }
}

#[test]
fn a_damaged_erofs_gives_some_layout() {
    for storage in [1, 3] {
        check_damaged(&by_hand(storage), 300, &[1024..1152, 1152..1300, 2048..2120, 0..12_288]);
        check_damaged(&with_fragment(storage), 300, &[1024..1152, 2048..2120, 3072..3104]);
    }
    let sources = BTreeMap::from([("a".to_owned(), text(4000, 1)), ("b/c".to_owned(), noise(20_000, 2))]);
    for arguments in [&["-zlz4hc", "-Eztailpacking", "-C16384"][..], &["-zlz4"], &["--chunksize=4096"]] {
        let folder = tree(&sources);
        if !succeeds(&folder, "mkfs.erofs", &[arguments, &["image", "tree"]].concat()) {
            return;
        }
        let image = read(&folder, "image");
        check_damaged(&image, 200, &[1024..1152, 1152..4096, 0..image.len()]);
    }
}

#[test]
fn unknown_features_are_no_erofs() {
    let mut image = by_hand(1);
    put(&mut image, 1024 + 80, &0x101_u32.to_le_bytes());
    assert_eq!(look(&image, 0, &mut Layout::default()), None);
}
