//! Unpacking of images, the hostile ones too: nothing leaves the directory.

use super::{inside, unpack, write_entry};
use backhand::{FilesystemWriter, NodeHeader};
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use warden_analyse::{CleanPath, Entry, EntryKind};
use warden_model::ByteCount;

fn header(permissions: u16) -> NodeHeader {
    NodeHeader { permissions, ..NodeHeader::default() }
}

fn squashfs(fill: impl FnOnce(&mut FilesystemWriter<'_, '_, '_>)) -> Vec<u8> {
    let mut writer = FilesystemWriter::default();
    fill(&mut writer);
    let mut image = Cursor::new(Vec::new());
    writer.write(&mut image).unwrap();
    image.into_inner()
}

/// Name, kind, and content or link target.
type Raw<'a> = (&'a [u8], tar::EntryType, &'a [u8]);

fn tarball(entries: &[Raw<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        if *kind == tar::EntryType::Symlink {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content);
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, std::io::empty()).unwrap();
        } else {
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

/// Unpacks into `top/run/root` and returns the top, so that a test can look beside the root.
fn unpacked(image: &[u8]) -> (tempfile::TempDir, anyhow::Result<()>) {
    let top = tempfile::tempdir().unwrap();
    fs::write(top.path().join("image"), image).unwrap();
    fs::write(top.path().join("secret"), b"mine").unwrap();
    let outcome = unpack(&top.path().join("image"), &top.path().join("run/root"));
    (top, outcome)
}

#[test]
fn files_folders_and_links_that_stay_inside_are_there() {
    let image = squashfs(|writer| {
        writer.push_dir("etc", header(0o755)).unwrap();
        writer.push_file(Cursor::new(b"#!/bin/sh\n"), "etc/check", header(0o4755)).unwrap();
        writer.push_symlink("/etc/check", "absolute", header(0o777)).unwrap();
        writer.push_symlink("../absolute", "etc/up", header(0o777)).unwrap();
    });
    let (top, outcome) = unpacked(&image);
    outcome.unwrap();
    let root = top.path().join("run/root");
    let mode = fs::metadata(root.join("etc/check")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755, "executable, never set-user-id");
    for link in ["absolute", "etc/up"] {
        let real = fs::canonicalize(root.join(link)).unwrap();
        assert_eq!(real, fs::canonicalize(root.join("etc/check")).unwrap(), "{link}");
    }
}

#[test]
fn nothing_is_left_of_the_boot_before() {
    let (top, _) = unpacked(&squashfs(|writer| writer.push_dir("a", header(0o755)).unwrap()));
    let root = top.path().join("run/root");
    fs::write(root.join("stray"), b"x").unwrap();
    fs::write(top.path().join("image"), squashfs(|writer| writer.push_dir("b", header(0o755)).unwrap()))
        .unwrap();
    unpack(&top.path().join("image"), &root).unwrap();
    let names: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["b"]);
}

#[test]
fn an_image_that_leads_out_is_refused_and_nothing_beside_the_root_changes() {
    use tar::EntryType::{Regular, Symlink};
    let link_then_file: &[Raw<'_>] = &[(b"out", Symlink, b"../../.."), (b"out/secret", Regular, b"theirs")];
    let cases: [&[Raw<'_>]; 4] = [
        &[(b"../../secret", Regular, b"theirs")],
        &[(b"/tmp/fleetwarden-never", Regular, b"theirs")],
        &[(b"a/../../../secret", Regular, b"theirs")],
        link_then_file,
    ];
    for entries in cases {
        let (top, outcome) = unpacked(&tarball(entries));
        assert!(outcome.is_err(), "{entries:?}");
        assert_eq!(fs::read(top.path().join("secret")).unwrap(), b"mine", "{entries:?}");
        assert!(!Path::new("/tmp/fleetwarden-never").exists());
    }
    let outward = squashfs(|writer| writer.push_symlink("../../../../secret", "out", header(0o777)).unwrap());
    let (top, _) = unpacked(&outward);
    assert!(fs::symlink_metadata(top.path().join("run/root/out")).is_err(), "the link out was not made");
}

#[test]
fn torn_images_are_refused() {
    let image =
        squashfs(|writer| writer.push_file(Cursor::new(vec![7; 90_000]), "a", header(0o644)).unwrap());
    for length in [0, 1, 95, 96, 120, 200] {
        assert!(unpacked(&image[..length]).1.is_err(), "cut to {length} bytes");
    }
}

#[test]
fn nothing_is_written_through_a_link_even_when_it_stays_inside() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("real")).unwrap();
    std::os::unix::fs::symlink("real", root.path().join("link")).unwrap();
    let entry = |path: &str| Entry {
        path: CleanPath::new(path).unwrap(),
        kind: EntryKind::File { mode: 0o644, size: ByteCount(1) },
    };
    let mut left = 10;
    assert!(write_entry(root.path(), &entry("link/a"), &mut Cursor::new(b"x"), &mut left).is_err());
    assert!(write_entry(root.path(), &entry("link"), &mut Cursor::new(b"x"), &mut left).is_err());
    write_entry(root.path(), &entry("real/a"), &mut Cursor::new(b"x"), &mut left).unwrap();
    assert_eq!(left, 9);
    let too_much = write_entry(root.path(), &entry("real/b"), &mut Cursor::new([0; 50]), &mut left);
    assert!(too_much.unwrap_err().to_string().contains("more than"));
}

#[test]
fn link_targets_are_rewritten_so_that_they_stay_inside() {
    let cases = [
        (0, "busybox", Some("busybox")),
        (1, "../lib/x", Some("../lib/x")),
        (2, "/bin/sh", Some("../../bin/sh")),
        (0, "/", Some(".")),
        (1, "/../../etc", Some("../etc")),
        (0, "../x", None),
        (1, "../../x", None),
        (1, "a/../../../x", None),
        (3, "a/..", None),
    ];
    for (depth, target, expected) in cases {
        assert_eq!(inside(depth, target).as_deref(), expected.map(Path::new), "{target:?} at depth {depth}");
    }
}
