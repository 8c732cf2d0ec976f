//! Every format gives the same tree and the same components.

use std::io::{Cursor, Read};

use backhand::compression::Compressor;

use super::build::{Cpio, Item, cpio, gzip, root, squashfs, tar, xz, zstd};
use super::{analysed, paths, purls};
use crate::{AnalyseError, EntryKind, FileKind, Limits, visit};

const PURLS: [&str; 3] = [
    "pkg:generic/busybox@1.35.0",
    "pkg:deb/debian/busybox-static@1:1.35.0-4%2Bb3?arch=amd64&distro=debian-12&upstream=busybox",
    "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12&upstream=glibc%402.36-9",
];

fn check(image: &[u8], layers: &[&str]) {
    let analysis = analysed(image).unwrap();
    let formats: Vec<&str> = analysis.layers.iter().map(|layer| layer.format.as_str()).collect();
    assert_eq!(formats, layers);
    assert_eq!(purls(&analysis), PURLS, "{layers:?}");
    let wanted = ["bin", "bin/busybox", "bin/sh", "etc", "etc/os-release", "var", "var/lib", "var/lib/dpkg"];
    assert_eq!(paths(&analysis)[..8], wanted);
    assert_eq!(analysis.files[2].kind, FileKind::Symlink { target: "busybox".to_owned() });
    assert_eq!((analysis.files[1].mode, &analysis.files[1].kind), (0o755, &FileKind::File));
    assert_eq!((analysis.skipped.len(), analysis.looked_at.files), (0, 3));
}

#[test]
fn reads_squashfs_with_each_codec() {
    for (compressor, name) in [
        (Compressor::Gzip, "squashfs 4.0 (gzip)"),
        (Compressor::Xz, "squashfs 4.0 (xz)"),
        (Compressor::Zstd, "squashfs 4.0 (zstd)"),
        (Compressor::Lz4, "squashfs 4.0 (lz4)"),
    ] {
        check(&squashfs(&root(), compressor), &[name]);
    }
}

#[test]
fn reads_archives_and_streams_around_them() {
    for kind in [Cpio::New, Cpio::Crc, Cpio::Old] {
        check(&cpio(&root(), kind), &["cpio"]);
    }
    check(&tar(&root()), &["tar"]);
    check(&gzip(&tar(&root())), &["gzip", "tar"]);
    check(&xz(&cpio(&root(), Cpio::New)), &["xz", "cpio"]);
    check(&zstd(&squashfs(&root(), Compressor::Gzip)), &["zstd", "squashfs 4.0 (gzip)"]);
    check(&gzip(&xz(&zstd(&tar(&root())))), &["gzip", "xz", "zstd", "tar"]);
}

#[test]
fn reads_images_inside_images() {
    let inner = Item::File("firmware/root.squashfs", squashfs(&root(), Compressor::Xz));
    let module = Item::File("lib/wifi.ko.gz", gzip(&super::build::program(&["hostapd v2.10"])));
    let page = Item::File("man.gz", gzip(b"OpenSSL 1.0.1 14 Mar 2012 is only talked about here"));
    let analysis = analysed(&zstd(&tar(&[inner, module, page]))).unwrap();
    let layers: Vec<(&str, &str)> =
        analysis.layers.iter().map(|layer| (layer.path.as_str(), layer.format.as_str())).collect();
    assert_eq!(layers, [("", "zstd"), ("", "tar"), ("firmware/root.squashfs", "squashfs 4.0 (xz)")]);
    assert!(paths(&analysis).contains(&"firmware/root.squashfs//bin/busybox"));
    let found = purls(&analysis);
    assert!(PURLS.iter().all(|purl| found.contains(&(*purl).to_owned())), "{found:?}");
    assert!(found.contains(&"pkg:generic/hostapd@2.10".to_owned()) && found.len() == 4, "{found:?}");
}

#[test]
fn large_files_come_out_as_they_went_in() {
    let big: Vec<u8> =
        (0..700_001_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 16).to_le_bytes()).collect();
    let hole = vec![0; 400_000];
    let items =
        [Item::File("big", big.clone()), Item::File("hole", hole.clone()), Item::File("tiny", b"x".to_vec())];
    for image in [squashfs(&items, Compressor::Gzip), tar(&items), cpio(&items, Cpio::New)] {
        let mut seen = Vec::new();
        visit(Box::new(Cursor::new(&image)), &Limits::default(), &mut |entry, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            seen.push((entry.path.to_string(), bytes));
            Ok(())
        })
        .unwrap();
        assert!(
            seen == [
                ("big".to_owned(), big.clone()),
                ("hole".to_owned(), hole.clone()),
                ("tiny".to_owned(), b"x".to_vec())
            ]
        );
    }
}

#[test]
fn a_visit_goes_from_parents_to_children() {
    for image in [squashfs(&root(), Compressor::Zstd), gzip(&cpio(&root(), Cpio::New))] {
        let mut seen: Vec<String> = Vec::new();
        visit(Box::new(Cursor::new(&image)), &Limits::default(), &mut |entry, _| {
            if let Some((above, _)) = entry.path.as_str().rsplit_once('/') {
                assert!(seen.iter().any(|path| path == above), "{above} comes after {}", entry.path);
            }
            if let EntryKind::File { mode, size } = &entry.kind {
                assert_eq!((*mode, size.0 > 0), (0o755, true));
            }
            seen.push(entry.path.to_string());
            Ok(())
        })
        .unwrap();
        assert_eq!(seen.len(), root().len());
    }
}

#[test]
fn a_visitor_that_fails_is_named() {
    let image = tar(&root());
    let full = |_: &crate::Entry, _: &mut dyn Read| Err(std::io::Error::other("disk full"));
    let error = visit(Box::new(Cursor::new(&image)), &Limits::default(), &mut { full }).unwrap_err();
    assert!(matches!(&error, AnalyseError::Visitor { path, .. } if path == "bin"), "{error}");
}

#[test]
fn unknown_images_are_told_what_is_understood() {
    let check = |image: &[u8], part: &str| {
        let error = analysed(image).unwrap_err();
        assert!(matches!(error, AnalyseError::UnknownFormat { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(part) && text.contains("squashfs 1.0 to 4.0"), "{text}");
    };
    check(b"", "empty");
    check(b"no image at all", "6e 6f 20 69");
    check(b"\x7fELF\x02", "an ELF program");
    check(b"Rar!\x1a\x07\x01\0 and more", "a RAR archive, which is not taken apart");
    // Noise: nothing claims it, and nothing stands in it.
    let noise: Vec<u8> =
        (0..20_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 8).to_le_bytes()).collect();
    check(&noise, "formats, none found");
}

#[test]
fn a_stream_around_one_file_gives_that_file() {
    let analysis = analysed(&gzip(b"a text")).unwrap();
    let [file] = &analysis.files[..] else { panic!("{:?}", analysis.files) };
    assert_eq!((file.path.as_str(), file.size.0, file.digest.is_some()), ("content", 6, true));
    assert_eq!(analysis.summary(), "no components in 1 file, 6 B of gzip");
}

#[test]
fn what_lies_between_known_parts_is_found_and_listed() {
    let noise: Vec<u8> =
        (0..700_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 8).to_le_bytes()).collect();
    let mut image = noise.clone();
    image[..4].fill(0xee);
    image.extend(squashfs(&root(), Compressor::Xz));
    let second = image.len();
    image.extend(gzip(&tar(&root())));
    image.resize(image.len().next_multiple_of(4096), 0);
    let analysis = analysed(&image).unwrap();
    let layers: Vec<(&str, &str)> =
        analysis.layers.iter().map(|layer| (layer.path.as_str(), layer.format.as_str())).collect();
    let gz = format!("0x{second:x}.gz");
    let wanted =
        [("", "carved by marks"), ("0xaf0.squashfs", "squashfs 4.0 (xz)"), (&gz, "gzip"), (&gz, "tar")];
    assert_eq!(layers, wanted);
    assert!(paths(&analysis).contains(&"0xaf0.squashfs//bin/busybox"));
    let [unknown] = &analysis.not_understood[..] else { panic!("{:?}", analysis.not_understood) };
    assert_eq!((unknown.offset, unknown.length), (0, Some(warden_model::ByteCount(noise.len() as u64))));
    assert!(unknown.entropy_millibits.unwrap() > 6_000, "{unknown:?}");
}

#[test]
fn what_lies_behind_an_image_is_listed() {
    let mut image = squashfs(&root(), Compressor::Gzip);
    let end = image.len() as u64;
    image.extend(b"-----a signature of the maker's-----");
    let analysis = analysed(&image).unwrap();
    assert_eq!(paths(&analysis)[0], "bin");
    let [unknown] = &analysis.not_understood[..] else { panic!("{:?}", analysis.not_understood) };
    assert!(unknown.path.is_empty() && unknown.offset <= end, "{unknown:?}");
    assert!(unknown.looks_like.contains("behind the end"), "{unknown:?}");
}

#[test]
fn an_image_without_components_says_what_was_looked_at() {
    let analysis = analysed(&tar(&[Item::File("readme", b"nothing here".to_vec())])).unwrap();
    assert_eq!(analysis.summary(), "no components in 1 file, 12 B of tar");
}
