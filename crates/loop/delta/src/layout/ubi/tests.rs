//! Flashes made by hand and by `ubinize`, whole and damaged.

use flate2::Crc;

use super::super::testing::{
    Contents, check_damaged, check_files, files, noise, read, sources, succeeds, text, tree,
};
use super::super::{Layout, Piece, look as look_everywhere};
use super::{TABLE_VOLUME, look};

const ERASE_BLOCK: usize = 16 * 1024;
const DATA_AT: usize = 1024;
const SPACE: usize = ERASE_BLOCK - DATA_AT;

fn header(magic: [u8; 4], fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..4].copy_from_slice(&magic);
    for (at, bytes) in fields {
        header[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    let mut crc = Crc::new();
    crc.update(&header[..60]);
    header[60..].copy_from_slice(&(!crc.sum()).to_be_bytes());
    header
}

fn free_block() -> Vec<u8> {
    let fields: [(usize, &[u8]); 2] = [(16, &512_u32.to_be_bytes()), (20, &1024_u32.to_be_bytes())];
    let mut block = header(super::MAGIC, &fields);
    block.resize(ERASE_BLOCK, 0xff);
    block
}

fn block(volume: u32, number: u32, sequence: u64, data: &[u8]) -> Vec<u8> {
    let mut block = free_block();
    let fields: [(usize, &[u8]); 4] =
        [(5, &[1]), (8, &volume.to_be_bytes()), (12, &number.to_be_bytes()), (40, &sequence.to_be_bytes())];
    let header = header(super::BLOCK_MAGIC, &fields);
    block[512..576].copy_from_slice(&header);
    block[DATA_AT..DATA_AT + data.len()].copy_from_slice(data);
    block
}

fn table() -> Vec<u8> {
    let mut table = vec![0; 172 * 2];
    table[172 + 14..172 + 16].copy_from_slice(&4_u16.to_be_bytes());
    table[172 + 16..172 + 20].copy_from_slice(b"data");
    table
}

fn flash() -> (Vec<u8>, Vec<u8>) {
    let data = noise(3 * SPACE, 1);
    let part = |number: usize| &data[number * SPACE..(number + 1) * SPACE];
    let blocks = [
        block(TABLE_VOLUME, 0, 1, &table()),
        block(1, 2, 2, part(2)),
        block(1, 0, 3, b"old"),
        free_block(),
        block(1, 1, 4, part(1)),
        vec![0xff; ERASE_BLOCK],
        block(1, 0, 5, part(0)),
        block(1, 7, 6, b"behind a gap"),
    ];
    (blocks.concat(), data)
}

#[test]
fn blocks_of_a_volume_come_in_their_order() {
    let (flash, data) = flash();
    let image = [noise(512, 2), flash.clone(), b"no more flash".repeat(3000)].concat();
    let mut layout = Layout::default();
    assert_eq!(look(&image, 512, &mut layout), Some(512 + flash.len() as u64));
    layout.check_invariants(image.len() as u64).unwrap();
    let [volume, behind] = &layout.files[..] else { panic!("{:?}", layout.files) };
    assert_eq!(volume.path, "<ubi volume data>");
    assert_eq!(Contents::new(&image, &layout).of(volume), data);
    assert_eq!(behind.path, "<ubi volume data from block 7>");
    assert_eq!(layout, look_everywhere(&image));
}

#[test]
fn a_damaged_flash_gives_some_layout() {
    let (flash, _) = flash();
    let headers: Vec<_> = (0..8).map(|number| number * ERASE_BLOCK..number * ERASE_BLOCK + 1400).collect();
    check_damaged(&flash, 100, &headers);
}

#[test]
fn a_squashfs_in_a_volume_is_seen_in_logical_order() {
    let sources = sources();
    let folder = tree(&sources);
    let config = "[root]\nmode=ubi\nimage=squash\nvol_id=0\nvol_type=static\nvol_name=rootfs\n";
    write(&folder, "config", config);
    let made = succeeds(&folder, "mksquashfs", &["tree", "squash", "-quiet"])
        && succeeds(&folder, "ubinize", &["-o", "image", "-p", "131072", "-m", "2048", "config"]);
    if !made {
        return;
    }
    let image = read(&folder, "image");
    let layout = look_everywhere(&image);
    layout.check_invariants(image.len() as u64).unwrap();
    let [volume] = &layout.files[..] else { panic!("{:?}", layout.files.len()) };
    assert_eq!(volume.path, "<ubi volume rootfs>");
    assert!(volume.pieces.iter().all(|piece| matches!(piece, Piece::Raw { .. })));
    assert_eq!(Contents::new(&image, &layout).of(volume), read(&folder, "squash"));
}

#[test]
fn files_of_a_ubifs_in_a_volume_are_found() {
    let mut sources = sources();
    sources.insert("more".to_owned(), text(100, 77));
    let folder = tree(&sources);
    let config =
        "[root]\nmode=ubi\nimage=ubifs\nvol_id=3\nvol_type=dynamic\nvol_size=20MiB\nvol_name=rootfs\n";
    write(&folder, "config", config);
    let arguments = ["-r", "tree", "-m", "2048", "-e", "126976", "-c", "200", "-x", "zlib", "-o", "ubifs"];
    let made = succeeds(&folder, "mkfs.ubifs", &arguments)
        && succeeds(&folder, "ubinize", &["-o", "image", "-p", "131072", "-m", "2048", "config"]);
    if !made {
        return;
    }
    let image = read(&folder, "image");
    let layout = look_everywhere(&image);
    assert!(files(&image, &layout).len() > 200);
    check_files(&image, &layout, &sources, "rootfs/");
}

#[expect(clippy::disallowed_methods, reason = "the tools read files")]
fn write(folder: &tempfile::TempDir, name: &str, text: &str) {
    std::fs::write(folder.path().join(name), text).unwrap();
}
