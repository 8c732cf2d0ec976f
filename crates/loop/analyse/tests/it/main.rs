//! Runs the analysis over a corpus of real binaries and over file systems made by the real tools, where they exist.

mod containers;

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use warden_analyse::{Analysis, FileKind, Limits, PRODUCTS, analyse};

#[expect(clippy::disallowed_methods, reason = "tests look for a corpus beside the workspace")]
fn corpus() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/corpus");
    let path = std::env::var_os("FLEETWARDEN_CORPUS").map_or_else(beside, PathBuf::from).join("firmware");
    path.is_dir().then_some(path)
}

#[expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests read the corpus")]
fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[expect(clippy::unwrap_used, reason = "a test fails where an image cannot be read")]
fn analysed(image: &[u8]) -> Analysis {
    analyse(Box::new(Cursor::new(image)), &Limits::default()).unwrap()
}

/// What the corpus calls by another name.
fn corpus_name(name: &str) -> &str {
    match name {
        "dropbear" => "dropbear_ssh",
        "expat" => "libexpat",
        "linux" => "linux_kernel",
        other => other,
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn covered_products_are_recognised_in_real_binaries() {
    let Some(corpus) = corpus() else { return eprintln!("skipped: no corpus") };
    let covered: BTreeSet<&str> = PRODUCTS.iter().map(|product| corpus_name(product.name)).collect();
    let truth = String::from_utf8(read(&corpus.join("components/groundtruth.tsv"))).unwrap();
    let (mut wanted, mut recalled, mut false_claims) = (0_u32, 0_u32, BTreeSet::new());
    let mut missed = Vec::new();
    for line in truth.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [split, file, product, version, others] = fields[..] else { panic!("{line}") };
        let path = corpus.join("components").join(split).join(file);
        if !path.is_file() {
            continue;
        }
        let found = analysed(&read(&path)).components;
        let claims: Vec<(&str, &str)> = found
            .iter()
            .map(|component| (corpus_name(&component.name), component.version.as_str()))
            .collect();
        if covered.contains(product) {
            wanted += 1;
            if claims.contains(&(product, version)) {
                recalled += 1;
            } else {
                missed.push(format!("{file}: {product} {version}, found {claims:?}"));
            }
        }
        let strange = claims.iter().filter(|(name, claim)| {
            (*name == product && *claim != version) || (*name != product && !others.contains(name))
        });
        for (name, claim) in strange {
            false_claims.insert(format!("{file}: {name} {claim}"));
        }
    }
    eprintln!("recalled {recalled} of {wanted}; missed {missed:#?}; beside the labels {false_claims:#?}");
    assert!(recalled * 10 >= wanted * 9, "recalled {recalled} of {wanted}: {missed:#?}");
    assert!(false_claims.len() <= 3, "claimed beside the labels: {false_claims:#?}");
}

/// A tree with a program in it, and a place for images of it.
#[expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests make a tree for the real tools")]
fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("tree/bin");
    std::fs::create_dir_all(&bin).unwrap();
    let mut program = b"\x7fELF\0\0BusyBox v1.35.0 (x)\0".to_vec();
    program.resize(300_000, 0x90);
    std::fs::write(bin.join("busybox"), &program).unwrap();
    std::fs::write(bin.join("small"), b"small").unwrap();
    std::os::unix::fs::symlink("busybox", bin.join("sh")).unwrap();
    folder
}

#[expect(clippy::disallowed_methods, reason = "tests run the real tools")]
fn succeeds(command: &str, arguments: &[&std::ffi::OsStr]) -> bool {
    std::process::Command::new(command).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn check_tree(bytes: &[u8], kind: &str) {
    let analysis = analysed(bytes);
    let purls: Vec<String> = analysis.components.iter().map(|found| found.purl.to_string()).collect();
    assert_eq!(purls, ["pkg:generic/busybox@1.35.0"], "{kind}");
    let kind_of =
        |path: &str| analysis.files.iter().find(|file| file.path == path).map(|file| file.kind.clone());
    assert_eq!(kind_of("bin/sh"), Some(FileKind::Symlink { target: "busybox".to_owned() }), "{kind}");
    assert_eq!(kind_of("bin/small"), Some(FileKind::File), "{kind}");
    assert_eq!((analysis.skipped.len(), analysis.looked_at.bytes.0), (0, 300_005), "{kind}");
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn file_systems_of_mke2fs_are_read() {
    let folder = tree();
    let source = folder.path().join("tree");
    for kind in ["ext2", "ext3", "ext4"] {
        let image = folder.path().join(kind);
        let [quiet, kind_is, from, size] = ["-q", "-t", "-d", "8M"].map(std::ffi::OsStr::new);
        let arguments = [quiet, kind_is, kind.as_ref(), from, source.as_ref(), image.as_ref(), size];
        if !succeeds("mke2fs", &arguments) {
            return eprintln!("skipped: no mke2fs");
        }
        let mut bytes = read(&image);
        check_tree(&bytes, kind);
        // Damage: bytes all over the superblock, one by one, and a cut.
        for at in (1024..1024 + 264).step_by(5) {
            let before = std::mem::replace(&mut bytes[at], 0xff);
            let _analysis = analyse(Box::new(Cursor::new(&bytes)), &Limits::default());
            bytes[at] = before;
        }
        let error = analyse(Box::new(Cursor::new(&bytes[..4 << 20])), &Limits::default()).unwrap_err();
        assert!(error.to_string().contains("it ends early"), "{error}");
        // Without the inode of the root (the second in the table) there is nothing to list.
        let number = |at: usize| usize::try_from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()));
        let (inode_bytes, table) = (number(1024 + 0x58).unwrap() & 0xffff, number(2048 + 8).unwrap() * 1024);
        bytes[table + inode_bytes..table + inode_bytes + 128].fill(0xff);
        let error = analyse(Box::new(Cursor::new(&bytes)), &Limits::default()).unwrap_err();
        assert!(error.to_string().contains("the image is damaged: ext2/3/4"), "{kind}: {error}");
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn file_systems_of_mksquashfs_are_read() {
    let folder = tree();
    let source = folder.path().join("tree");
    for codec in ["gzip", "xz", "zstd", "lz4"] {
        let image = folder.path().join(codec);
        let [with, quiet] = ["-comp", "-quiet"].map(std::ffi::OsStr::new);
        if !succeeds("mksquashfs", &[source.as_ref(), image.as_ref(), with, codec.as_ref(), quiet]) {
            eprintln!("skipped: no mksquashfs for {codec}");
            continue;
        }
        check_tree(&read(&image), codec);
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn a_real_router_of_2009_is_read_whole() {
    let Some(corpus) = corpus() else { return eprintln!("skipped: no corpus") };
    let analysis = analysed(&read(&corpus.join("images/zyxel-p663h51-2009-sqfs2-be-mips.bin")));
    let read = analysis.files.iter().filter(|file| file.kind == FileKind::File && file.digest.is_some());
    assert_eq!((read.count(), analysis.skipped.len()), (263, 0), "{:?}", analysis.skipped);
    assert!(analysis.components.iter().any(|found| found.name == "busybox" && found.version == "1.00"));
}
