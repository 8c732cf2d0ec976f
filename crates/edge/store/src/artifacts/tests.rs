//! Facts about artifacts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

use warden_model::{ByteCount, Sha256Digest};

use super::{ArtifactError, ArtifactWriter, Artifacts, Hashes};

/// FIPS 180-4 and RFC 1321 tell the hashes of `abc`.
const ABC_SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const ABC_SHA1: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";
const ABC_MD5: &str = "900150983cd24fb0d6963f7d28e17f72";

fn files(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                names.push(path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    names.sort();
    names
}

fn store(artifacts: &Artifacts, pieces: &[&str]) -> super::Stored {
    let mut writer = artifacts.create().unwrap();
    for piece in pieces {
        writer.write(piece.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn an_artifact_has_the_name_of_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(dir.path()).unwrap();
    let stored = store(&artifacts, &["a", "", "bc"]);
    let digest: Sha256Digest = ABC_SHA256.parse().unwrap();
    assert_eq!((stored.digest, stored.size), (digest, ByteCount(3)));
    let hashes = Hashes { sha1: ABC_SHA1.to_owned(), md5: ABC_MD5.to_owned() };
    assert_eq!(Hashes { sha1: stored.sha1, md5: stored.md5 }, hashes);
    assert_eq!(artifacts.hashes(&digest).unwrap(), hashes);
    let (mut file, size) = artifacts.open_read(&digest).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), size), ("abc", ByteCount(3)));
    assert!(artifacts.exists(&digest));
    assert_eq!(fs::read(artifacts.path(&digest)).unwrap(), b"abc");
    store(&artifacts, &["abc"]);
    assert_eq!(files(dir.path()).len(), 2, "the same bytes twice are one artifact");
    artifacts.remove(&digest).unwrap();
    artifacts.remove(&digest).unwrap();
    assert_eq!(files(dir.path()), [""; 0]);
    assert!(matches!(artifacts.open_read(&digest), Err(ArtifactError::Unknown { .. })));
    assert!(matches!(artifacts.hashes(&digest), Err(ArtifactError::Unknown { .. })));
}

#[test]
fn an_interrupted_write_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(dir.path()).unwrap();
    let mut writer = artifacts.create().unwrap();
    writer.write(b"half of").unwrap();
    drop(writer);
    assert_eq!(files(dir.path()), [""; 0]);
    // A kill leaves the file without a name, or the hashes without their bytes.
    let mut killed = artifacts.create().unwrap();
    killed.write(b"half of").unwrap();
    std::mem::forget(killed);
    let orphan = dir.path().join("sha256/ab");
    fs::create_dir_all(&orphan).unwrap();
    fs::write(orphan.join(format!("{}.hashes", "ab".repeat(32))), "x").unwrap();
    let whole = store(&artifacts, &["whole"]);
    assert_eq!(files(dir.path()).len(), 4);
    let artifacts = Artifacts::open(dir.path()).unwrap();
    assert_eq!(files(dir.path()).len(), 2);
    assert!(artifacts.exists(&whole.digest) && artifacts.hashes(&whole.digest).is_ok());
}

#[test]
fn two_at_the_same_time_do_not_meet() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(dir.path()).unwrap();
    let (mut one, mut two) = (artifacts.create().unwrap(), artifacts.clone().create().unwrap());
    one.write(b"abc").unwrap();
    two.write(b"abc").unwrap();
    assert_eq!(one.finish().unwrap(), two.finish().unwrap());
    assert_eq!(files(dir.path()).len(), 2);
}

#[test]
fn an_artifact_above_the_limit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open_limited(dir.path(), ByteCount(4)).unwrap();
    let mut writer = artifacts.create().unwrap();
    writer.write(b"four").unwrap();
    let error = writer.write(b"!").unwrap_err();
    assert!(matches!(error, ArtifactError::TooLarge { limit: ByteCount(4) }), "{error}");
}

#[test]
fn a_full_disk_has_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(dir.path()).unwrap();
    // Linux offers a device that is always full.
    let full: File = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut writer = ArtifactWriter::over(artifacts, full, dir.path().join("new/0"));
    let error = writer.write(&[0; 100]).unwrap_err();
    assert!(matches!(error, ArtifactError::StorageFull { .. }), "{error}");
    assert!(error.hint().is_some());
    for kind in [io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge] {
        let error = ArtifactError::io("write", dir.path(), kind.into());
        assert!(matches!(error, ArtifactError::StorageFull { .. }), "{kind}");
    }
}

#[test]
fn damaged_hashes_are_not_handed_out() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(dir.path()).unwrap();
    let stored = store(&artifacts, &["abc"]);
    let beside = artifacts.path(&stored.digest).with_extension("hashes");
    for damage in ["", "zz zz", &format!("{ABC_SHA1} {ABC_MD5} more"), ABC_SHA1] {
        fs::write(&beside, damage).unwrap();
        assert!(
            matches!(artifacts.hashes(&stored.digest), Err(ArtifactError::DamagedHashes { .. })),
            "{damage:?}"
        );
    }
}
