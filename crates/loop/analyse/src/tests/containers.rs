//! Each format gives what was put into it, and none of them panics, whatever happens to its bytes.

use std::io::Cursor;

use sha2::Digest as _;
use warden_model::Sha256Digest;

use super::made::{self, TEXT};
use super::{analysed, paths};
use crate::{Analysis, FileKind, Limits, analyse};

fn digest_of(analysis: &Analysis, path: &str) -> Option<Sha256Digest> {
    analysis.files.iter().find(|file| file.path == path)?.digest
}

fn check(image: &[u8], format: &str, path: &str) {
    let analysis = analysed(image).unwrap();
    assert!(analysis.layers[0].format.starts_with(format), "{:?}", analysis.layers);
    let wanted = Sha256Digest(sha2::Sha256::digest(TEXT).into());
    assert_eq!(
        digest_of(&analysis, path),
        Some(wanted),
        "{format}: {:?} {:?}",
        paths(&analysis),
        analysis.skipped
    );
    assert!(analysis.skipped.is_empty(), "{format}: {:?}", analysis.skipped);
}

#[test]
fn boot_images_give_their_parts() {
    check(&made::uimage(2, TEXT), "uImage (not packed, \"test\")", "kernel");
    check(&made::uimage_multi(), "uImage", "part-0");
    check(&made::trx(&[TEXT, b"x"]), "TRX, version 1", "part-0");
    check(&made::fit(), "FIT image", "images/kernel");
    check(&made::android_boot(), "Android boot image, version 0", "kernel");
    check(&made::mcuboot(), "MCUboot image, version 1.2.3", "program");
    check(&made::uefi(), "UEFI volume", "11111111-1111-1111-1111111111111111/0.raw");
    let fit = analysed(&made::fit()).unwrap();
    assert_eq!(paths(&fit), ["images/kernel", "images/rootfs"]);
    let kernel = analysed(&made::kernel_configuration()).unwrap();
    assert!(paths(&kernel).iter().any(|path| path.ends_with("ikconfig//config")), "{:?}", paths(&kernel));
}

#[test]
fn text_records_give_the_memory_that_they_fill() {
    check(&made::intel_hex(), "Intel HEX", "0x08000000.bin");
    check(&made::s_records(), "S-records", "0x08000000.bin");
    check(&made::uf2(), "UF2", "0x08000000.bin");
}

#[test]
fn flash_file_systems_give_the_newest_of_everything() {
    check(&made::jffs2(), "JFFS2", "etc/text");
    check(&made::romfs(), "romfs", "text");
    check(&made::yaffs2(), "YAFFS2 (pages of 2048 + 64 bytes)", "text");
    check(&made::ubi(TEXT), "UBI (erase blocks of 16 KiB)", "boot");
    assert_eq!(paths(&analysed(&made::jffs2()).unwrap()), ["etc", "etc/text"]);
    let yaffs2 = analysed(&made::yaffs2()).unwrap();
    assert_eq!(yaffs2.files[0].kind, FileKind::Symlink { target: "text".to_owned() });
}

#[test]
fn archives_and_disks_give_their_entries() {
    check(&made::ar(), "ar (Debian package)", "text");
    check(&made::zip(), "zip", "etc/text");
    check(&made::sevenzip(), "7z", "text");
    check(&made::fat(), "FAT12", "a long name.t");
    check(&made::disk(), "disk with MBR partitions", "partition-1//a long name.t");
    let sparse = analysed(&made::sparse()).unwrap();
    assert_eq!((sparse.files[0].path.as_str(), sparse.files[0].size.0), ("image", 4096));
}

/// One of each format.
fn samples() -> Vec<Vec<u8>> {
    vec![
        made::uimage(2, TEXT),
        made::uimage_multi(),
        made::trx(&[TEXT, b"x"]),
        made::fit(),
        made::sparse(),
        made::android_boot(),
        made::mcuboot(),
        made::uefi(),
        made::kernel_configuration(),
        made::intel_hex(),
        made::s_records(),
        made::uf2(),
        made::jffs2(),
        made::romfs(),
        made::yaffs2(),
        made::ubi(TEXT),
        made::ar(),
        made::zip(),
        made::sevenzip(),
        made::disk(),
    ]
}

fn survives(image: &[u8]) {
    let limits = Limits { files_max: 2_000, steps_max: 200_000, ..Limits::default() };
    let _analysis = analyse(Box::new(Cursor::new(image)), &limits);
}

#[test]
fn no_format_panics_where_it_is_cut() {
    for image in samples() {
        for part in 0..100 {
            survives(&image[..image.len() * part / 100]);
        }
    }
}

#[test]
fn no_format_panics_over_any_byte_of_its_head() {
    for image in samples() {
        let head = image.len().min(160);
        for at in 0..head {
            for value in [0, 0x7f, 0xff] {
                let mut image = image.clone();
                image[at] = value;
                survives(&image);
            }
        }
        // And over bytes all over it, always the same ones.
        let mut seed = 0x9e37_79b9_u32;
        for _ in 0..64 {
            let mut image = image.clone();
            for _ in 0..4 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = seed as usize % image.len();
                image[at] ^= 1 << (seed >> 29);
            }
            survives(&image);
        }
    }
}
