//! Partition tables made by hand, around small file systems.

use super::super::testing::{check_damaged, check_files, files, noise, read, sources, succeeds, tree};
use super::super::{Layout, look as look_everywhere};
use super::look;

fn mbr(disk: &mut [u8], at: usize, entries: &[(u8, u32, u32)]) {
    for (number, (kind, start, len)) in entries.iter().enumerate() {
        let entry = at + 446 + number * 16;
        disk[entry + 4] = *kind;
        disk[entry + 8..entry + 12].copy_from_slice(&start.to_le_bytes());
        disk[entry + 12..entry + 16].copy_from_slice(&len.to_le_bytes());
    }
    disk[at + 510..at + 512].copy_from_slice(&[0x55, 0xaa]);
}

fn gpt(disk: &mut [u8], sector: usize, entries: &[(&str, usize, usize)]) {
    disk[sector..sector + 8].copy_from_slice(b"EFI PART");
    disk[sector + 72] = 2;
    disk[sector + 80] = 128;
    disk[sector + 84] = 128;
    for (number, (name, start, len)) in entries.iter().enumerate() {
        let entry = sector * 2 + number * 128;
        disk[entry] = 1;
        disk[entry + 32..entry + 40].copy_from_slice(&(*start as u64).to_le_bytes());
        disk[entry + 40..entry + 48].copy_from_slice(&((start + len - 1) as u64).to_le_bytes());
        for (at, unit) in name.encode_utf16().enumerate() {
            disk[entry + 56 + at * 2..entry + 58 + at * 2].copy_from_slice(&unit.to_le_bytes());
        }
    }
    mbr(disk, 0, &[(0xee, 1, u32::MAX)]);
}

/// An ext2 of the files, in sectors of 4 KiB.
fn file_system() -> Option<Vec<u8>> {
    let folder = tree(&sources());
    let arguments = ["-q", "-d", "tree", "-t", "ext2", "-b", "4096", "image", "8M"];
    succeeds(&folder, "mke2fs", &arguments).then(|| read(&folder, "image"))
}

#[test]
fn partitions_of_a_gpt_are_looked_into() {
    let Some(inside) = file_system() else { return };
    for sector in [512, 4096] {
        let (start, len) = (65_536 / sector, inside.len() / sector);
        let mut disk =
            [noise(65_536, 1), inside.clone(), noise(4096, 2), inside.clone(), noise(4096, 3)].concat();
        disk[..40_000].fill(0);
        let second = start + len + 4096 / sector;
        gpt(&mut disk, sector, &[("root a", start, len), ("root b", second, len), ("over", start + 1, len)]);
        let mut layout = Layout::default();
        assert_eq!(look(&disk, 0, &mut layout), Some(disk.len() as u64));
        assert_eq!(look_everywhere(&disk), layout);
        let found = files(&disk, &layout);
        let below = |name: &str| found.keys().filter(|path| path.starts_with(name)).count();
        assert!(below("root a/") == below("root b/") && below("root a/") * 2 == found.len());
        let one = Layout {
            files: layout.files.iter().filter(|file| file.path.starts_with("root b/")).cloned().collect(),
            ..Layout::default()
        };
        check_files(&disk, &one, &sources(), "root b/");
    }
}

#[test]
fn partitions_of_an_mbr_are_looked_into_even_in_a_chain() {
    let Some(inside) = file_system() else { return };
    let len = u32::try_from(inside.len() / 512).unwrap();
    let mut disk = [vec![0; 4096], inside.clone(), vec![0; 4096], inside].concat();
    let chain = 8 + len;
    mbr(&mut disk, 0, &[(0x83, 8, len), (5, chain, len + 8)]);
    mbr(&mut disk, chain as usize * 512, &[(0x83, 8, len), (5, 0, len)]);
    let layout = look_everywhere(&disk);
    let found = files(&disk, &layout);
    assert!(found.contains_key("partition 1/bin/large") && found.contains_key("partition 2/bin/large"));
}

#[test]
fn a_damaged_disk_gives_some_layout() {
    let folder = tree(&std::collections::BTreeMap::from([("a".to_owned(), noise(5000, 1))]));
    if !succeeds(
        &folder,
        "mke2fs",
        &["-q", "-d", "tree", "-t", "ext2", "-b", "1024", "-N", "32", "image", "200"],
    ) {
        return;
    }
    let inside = read(&folder, "image");
    let sectors = inside.len() / 512;
    let mut disk = [vec![0; 65_536], inside.clone(), inside].concat();
    gpt(&mut disk, 512, &[("a", 128, sectors), ("b", 128 + sectors, sectors)]);
    check_damaged(&disk, 200, &[512..604, 1024..1400, 65_536 + 1024..65_536 + 4096]);
    disk[512] = 0;
    mbr(&mut disk, 0, &[(0x83, 128, u32::try_from(sectors).unwrap()), (5, 8, 200)]);
    mbr(&mut disk, 4096, &[(0x83, 120, 30), (5, 16, 200)]);
    check_damaged(&disk, 200, &[446..512, 4096 + 446..4096 + 512]);
}
