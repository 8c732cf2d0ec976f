//! What hostile and broken images get: an error or an entry in `skipped`, quickly, and never a panic.

use std::io::{Cursor, Read};

use backhand::compression::Compressor;
use proptest::prelude::*;

use super::build::{Cpio, Item, cpio, gzip, root, squashfs, tar, xz, zstd};
use super::{analysed, paths};
use crate::{AnalyseError, LimitReached, Limits, PathError, Why, analyse, visit};
use warden_model::ByteCount;

fn file(path: &'static str) -> Item {
    Item::File(path, b"evil".to_vec())
}

#[test]
fn paths_that_lead_out_are_listed_and_never_handed_on() {
    let items = [
        file("../../etc/passwd"),
        file("/etc/shadow"),
        file("a/../../b"),
        Item::Link("dir", "/etc"),
        file("dir/passwd"),
        Item::Link("up", "../../../root"),
        file("good"),
        file("good"),
    ];
    for image in [tar(&items), cpio(&items, Cpio::New)] {
        let analysis = analysed(&image).unwrap();
        assert_eq!(paths(&analysis), ["dir", "good", "up"]);
        let skipped: Vec<(&str, &Why)> =
            analysis.skipped.iter().map(|skipped| (skipped.path.as_str(), &skipped.why)).collect();
        let below = Why::BelowNoDirectory { above: "dir".to_owned() };
        let leaves = Why::LinkLeavesImage { target: "../../../root".to_owned() };
        let wanted = [
            ("../../etc/passwd", &Why::Path(PathError::Climbs)),
            ("/etc/shadow", &Why::Path(PathError::Absolute)),
            ("a/../../b", &Why::Path(PathError::Climbs)),
            ("dir/passwd", &below),
            ("good", &Why::Twice),
            ("up", &leaves),
        ];
        assert_eq!(skipped, wanted);
    }
    for item in &items[..3] {
        let mut image = Cursor::new(tar(std::slice::from_ref(item)));
        let mut untouched = |entry: &crate::Entry, _: &mut dyn Read| panic!("{} was handed on", entry.path);
        let error = visit(Box::new(&mut image), &Limits::default(), &mut untouched).unwrap_err();
        assert!(matches!(error, AnalyseError::Refused { why: Why::Path(_), .. }), "{error}");
    }
}

#[test]
fn names_with_a_nul_byte_are_listed() {
    let mut archive = cpio(&[file("first"), file("etc/passwd_")], Cpio::New);
    let at = archive.windows(10).position(|window| window == b"etc/passwd").unwrap() + 10;
    archive[at] = 0;
    // The name now ends in two NUL bytes: one is the end, the other belongs to the name.
    let analysis = analysed(&archive).unwrap();
    assert_eq!(analysis.skipped[0].why, Why::Path(PathError::Nul));
}

/// Zeros without end, packed by each codec to about a millionth.
#[test]
fn bombs_stop_early_with_their_name() {
    let zeros = vec![0; 40 << 20];
    let limits = Limits { unpacked_bytes_max: ByteCount::mib(48), ..Limits::default() };
    let bombs = [
        ("gzip in gzip", gzip(&gzip(&zeros))),
        ("xz", xz(&zeros)),
        ("zstd", zstd(&zeros)),
        ("file in gzip", gzip(&tar(&[Item::File("zeros", zeros.clone())]))),
        ("zeros in a squashfs in xz", xz(&squashfs(&[Item::File("zeros", zeros.clone())], Compressor::Gzip))),
    ];
    for (name, bomb) in bombs {
        let error = analyse(Box::new(Cursor::new(&bomb)), &limits);
        match error {
            Err(AnalyseError::Limit { source, .. }) => {
                let is_named = matches!(
                    source,
                    LimitReached::ImageRatio { .. }
                        | LimitReached::StreamRatio { .. }
                        | LimitReached::UnpackedBytes(_)
                );
                assert!(is_named, "{name}: {source}");
            }
            // 40 MiB of zeros in a stream are no image; the ratio is looked at behind the first 32 MiB only.
            Ok(analysis) => {
                assert!(matches!(name, "gzip in gzip" | "xz" | "zstd"), "{name}");
                assert!(analysis.files.iter().all(|file| file.path == "content"), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// Seven GiB of zeros in less than a KiB: zstd blocks that say "so many times this byte", packed once more.
#[test]
fn a_bomb_of_one_to_ten_million_stops_at_once() {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..5].copy_from_slice(b"zeros");
    header.set_mode(0o644);
    header.set_size(7 << 30);
    header.set_cksum();
    // Frame header with a window of 128 KiB (RFC 8878, section 3.1.1.1), then a raw block and many of one byte each.
    let block = |size: u32, kind: u32, last: u32| (size << 3 | kind << 1 | last).to_le_bytes()[..3].to_vec();
    let mut frame = b"\x28\xb5\x2f\xfd\x00\x38".to_vec();
    frame.extend(block(512, 0, 0));
    frame.extend(header.as_bytes());
    for _ in 0..7 << 13 {
        frame.extend(block(128 << 10, 1, 0));
        frame.push(0);
    }
    frame.extend(block(1024, 1, 1));
    frame.push(0);
    let bomb = zstd(&frame);
    assert!(bomb.len() < 1024, "{}", bomb.len());
    let error = analysed(&bomb).unwrap_err();
    let AnalyseError::Limit { source, partial } = error else { panic!("{error}") };
    let is_ratio = matches!(source, LimitReached::ImageRatio { .. } | LimitReached::StreamRatio { .. });
    assert!(is_ratio, "{source}");
    assert!(partial.layers.iter().all(|layer| layer.format == "tar" || layer.unpacked <= ByteCount::mib(33)));
    let mut bytes = 0;
    let error = visit(Box::new(Cursor::new(&bomb)), &Limits::default(), &mut |_, content| {
        bytes = std::io::copy(content, &mut std::io::sink())?;
        Ok(())
    });
    assert!(matches!(error, Err(AnalyseError::Limit { .. })), "{error:?}");
}

#[test]
fn a_bomb_inside_an_image_does_not_hide_the_rest() {
    let bomb = Item::File("bomb.xz", xz(&tar(&[Item::File("zeros", vec![0; 40 << 20])])));
    // Random enough to keep the ratio of the whole image low.
    let noise: Vec<u8> = (0..100_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut items = vec![bomb, Item::File("noise", noise)];
    items.extend(root());
    let analysis = analysed(&tar(&items)).unwrap();
    let why = &analysis.skipped.iter().find(|skipped| skipped.path.starts_with("bomb.xz")).unwrap().why;
    assert!(matches!(why, Why::Limit(LimitReached::StreamRatio { .. })), "{why:?}");
    assert_eq!(analysis.components.len(), 3);
}

#[test]
fn each_limit_is_named() {
    let check = |image: &[u8], limits: Limits, wanted: &str| {
        let error = analyse(Box::new(Cursor::new(image)), &limits).unwrap_err();
        let AnalyseError::Limit { source, .. } = &error else { panic!("{error}") };
        assert!(source.to_string().contains(wanted), "{source}");
    };
    let image = squashfs(&root(), Compressor::Gzip);
    let limits = Limits::default;
    check(&image, Limits { image_bytes_max: ByteCount(100), ..limits() }, "image_bytes_max");
    check(&image, Limits { files_max: 3, ..limits() }, "files_max");
    check(&image, Limits { unpacked_bytes_max: ByteCount(500), ..limits() }, "unpacked_bytes_max");
    check(&gzip(&gzip(&gzip(&tar(&root())))), Limits { depth_max: 3, ..limits() }, "depth_max");
    let noise: Vec<u8> = (0..100_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let large = gzip(&squashfs(&[Item::File("noise", noise)], Compressor::Gzip));
    check(&large, Limits { file_bytes_max: ByteCount(100), ..limits() }, "file_bytes_max");
    check(&image, Limits { steps_max: 3, ..limits() }, "steps_max");
}

#[test]
fn a_file_beyond_its_limit_is_listed() {
    let limits = Limits { file_bytes_max: ByteCount(1200), ..Limits::default() };
    let mut items = root();
    items.push(Item::File("large", vec![1; 1201]));
    items.push(Item::File("fits", vec![1; 1200]));
    let analysis = analyse(Box::new(Cursor::new(tar(&items))), &limits).unwrap();
    let listed: Vec<&str> = analysis.skipped.iter().map(|skipped| skipped.path.as_str()).collect();
    assert_eq!(listed, ["large"]);
}

#[test]
fn truncated_images_say_what_was_read() {
    let check = |whole: &[u8], at: usize, format: &str| match analysed(&whole[..at]).unwrap_err() {
        AnalyseError::Damaged { format: found, partial, .. } => {
            assert!(found.starts_with(format), "{found} at {at}");
            partial
        }
        other => panic!("{format} at {at}: {other}"),
    };
    let image = squashfs(&root(), Compressor::Gzip);
    check(&image, 400, "squashfs 4.0");
    let archive = cpio(&root(), Cpio::New);
    // In the middle of the status file, which is the last: the program before it is found.
    let partial = check(&archive, archive.len() - 300, "cpio (newc)");
    assert!(partial.components.iter().any(|component| component.name == "busybox"));
    assert!(partial.looked_at.files >= 2);
    let archive = tar(&root());
    let partial = check(&archive, archive.len() - 1400, "tar");
    assert!(partial.files.len() >= 6);
    let stream = gzip(&tar(&root()));
    check(&stream, stream.len() / 2, "");
}

#[test]
fn a_damaged_image_is_told_in_words_of_ours() {
    let check = |image: &[u8], wanted: &str| match analysed(image).unwrap_err() {
        AnalyseError::Damaged { what, .. } => assert_eq!(what, wanted),
        other => panic!("{other}"),
    };
    let image = squashfs(&root(), Compressor::Gzip);
    check(&image[..200], "it ends early: 200 of 654 bytes are there");
    let table = usize::try_from(u64::from_le_bytes(image[64..72].try_into().unwrap())).unwrap();
    let mut broken = image;
    broken[table + 2..table + 10].fill(0xff);
    check(&broken, "a block cannot be unpacked");
    let archive = tar(&[Item::File("a", vec![7; 2000]), file("b")]);
    check(&archive[..700], "it ends early");
    check(&archive[..2760], "it ends early");
    // The library quotes the name; it must not look like a line of its own.
    let mut lying = archive;
    lying[2560..2567].copy_from_slice(b"x\nhint:");
    lying[2560 + 148..2560 + 156].fill(b'z');
    let AnalyseError::Damaged { what, .. } = analysed(&lying).unwrap_err() else { panic!("it is damaged") };
    assert!(what.contains("x\u{fffd}hint:"), "{what:?}");
}

#[test]
fn a_wrong_sum_is_listed() {
    let mut archive = cpio(&[file("a")], Cpio::Crc);
    let at = archive.windows(4).position(|window| window == b"evil").unwrap();
    archive[at] = b'E';
    let analysis = analysed(&archive).unwrap();
    assert!(matches!(&analysis.skipped[0].why, Why::Damaged { what, .. } if what.contains("sums up")));
}

#[test]
fn a_damaged_image_inside_is_listed_with_its_path() {
    let mut inner = squashfs(&root(), Compressor::Gzip);
    inner.truncate(200);
    let analysis = analysed(&tar(&[Item::File("rootfs", inner), file("other")])).unwrap();
    assert_eq!(analysis.skipped[0].path, "rootfs");
    assert_eq!(paths(&analysis), ["other", "rootfs"]);
}

fn small_limits() -> Limits {
    Limits {
        unpacked_bytes_max: ByteCount::mib(16),
        file_bytes_max: ByteCount::mib(4),
        files_max: 500,
        ..Limits::default()
    }
}

/// Both doors, whatever they say.
fn survives(image: &[u8]) {
    let _analysis = analyse(Box::new(Cursor::new(image)), &small_limits());
    let _visited = visit(Box::new(Cursor::new(image)), &small_limits(), &mut |_, content| {
        std::io::copy(content, &mut std::io::sink()).map(|_| ())
    });
}

fn samples() -> Vec<Vec<u8>> {
    vec![
        squashfs(&root(), Compressor::Gzip),
        squashfs(&root(), Compressor::Zstd),
        cpio(&root(), Cpio::New),
        cpio(&root(), Cpio::Old),
        tar(&root()),
        gzip(&tar(&root())),
        xz(&cpio(&root(), Cpio::Crc)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096), magic in 0_usize..6) {
        let magics: [&[u8]; 6] = [b"", b"hsqs", b"070701", b"070707", b"\x1f\x8b\x08", b"\xfd7zXZ\0"];
        let mut image = magics[magic].to_vec();
        image.extend(&bytes);
        survives(&image);
        if image.len() > 1082 {
            image[1080..1082].copy_from_slice(&[0x53, 0xef]);
            survives(&image);
        }
    }

    #[test]
    fn changed_images_never_panic(changes in proptest::collection::vec((any::<u32>(), any::<u8>()), 1..8), cut in any::<u32>()) {
        for mut image in samples() {
            let length = u32::try_from(image.len()).unwrap();
            for (at, value) in &changes {
                // The tables lie at both ends, so half of the changes go there.
                let at = if at & 1 == 0 { at % length } else { at % 97 };
                image[at as usize] = *value;
            }
            survives(&image);
            image.truncate((cut % length) as usize);
            survives(&image);
        }
    }
}

#[test]
fn every_byte_of_a_superblock_may_be_anything() {
    let image = squashfs(&root(), Compressor::Gzip);
    for at in 4..96 {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut image = image.clone();
            image[at] = value;
            survives(&image);
        }
    }
}
