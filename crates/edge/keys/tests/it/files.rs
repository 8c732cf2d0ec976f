//! Keys in files: kept, private, never overwritten; and what they sign.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use warden_keys::{CertificateAuthority, DeviceKey, FileSigner, KeyFileError};
use warden_model::{ByteCount, Timestamp};
use warden_trust::repository::{KeySet, MetaPin, RoleKeys, TargetAbout, TargetEntry, TargetKind};
use warden_trust::{KeyScheme, Signer, Trusted, envelope, repository, sha256};

use crate::setup::now;

#[test]
fn a_key_signs_after_it_was_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    for (name, scheme) in [("ed", KeyScheme::Ed25519), ("p256", KeyScheme::EcdsaP256)] {
        let path = folder.path().join(name);
        let made = FileSigner::create(&path, scheme).unwrap();
        let opened = FileSigner::open(&path).unwrap();
        assert_eq!(made.public_key(), opened.public_key());
        assert_eq!(opened.public_key().scheme(), scheme);
        let signature = opened.sign(b"message").unwrap();
        made.public_key().verify(b"message", &signature).unwrap();
        assert!(made.public_key().verify(b"other", &signature).is_err());
        assert_eq!(made.origin(), format!("file key {} (development)", path.display()));
        assert!(!format!("{made:?}").contains("BEGIN"), "a key never shows itself");
    }
}

#[test]
fn a_key_is_for_its_owner_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let made = FileSigner::create(&path, KeyScheme::Ed25519).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(FileSigner::create(&path, KeyScheme::Ed25519), Err(KeyFileError::Exists { .. })));
    assert_eq!(FileSigner::open(&path).unwrap().public_key(), made.public_key());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");

    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
    assert!(matches!(FileSigner::create(&link, KeyScheme::Ed25519), Err(KeyFileError::Exists { .. })));
}

#[test]
fn what_is_no_private_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let open = || FileSigner::open(&path).map(|_| ()).unwrap_err();
    assert!(matches!(open(), KeyFileError::Read { .. }));
    FileSigner::create(&path, KeyScheme::EcdsaP256).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    for bad in [String::new(), "x".into(), text.replace("PRIVATE", "PUBLIC"), text.replace('M', "A")] {
        fs::write(&path, bad).unwrap();
        assert!(matches!(open(), KeyFileError::Content { .. }));
    }
    fs::write(&path, "x".repeat(70_000)).unwrap();
    assert!(matches!(open(), KeyFileError::TooLarge { .. }));
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(open(), KeyFileError::TooOpen { mode: 0o640, .. }));
    let nowhere = folder.path().join("no/such/folder");
    assert!(matches!(FileSigner::create(&nowhere, KeyScheme::Ed25519), Err(KeyFileError::Write { .. })));
}

#[test]
fn a_device_keeps_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("device.key");
    let first = DeviceKey::load_or_create(&path).unwrap().public_key();
    let again = DeviceKey::load_or_create(&path).unwrap();
    assert_eq!(again.public_key(), first);
    let sealed = envelope::seal("application/test", b"report", &again).unwrap();
    assert_eq!(envelope::open(&sealed, "application/test", &first).unwrap().get(), b"report");

    let other = folder.path().join("ed");
    FileSigner::create(&other, KeyScheme::Ed25519).unwrap();
    assert!(matches!(DeviceKey::load_or_create(&other), Err(KeyFileError::Content { .. })));
}

#[test]
fn an_authority_that_lost_its_certificate_to_a_power_cut_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let made = CertificateAuthority::create(folder.path(), "CA", now()).unwrap();
    assert!(CertificateAuthority::create(folder.path(), "CA", now()).is_err());
    let opened = CertificateAuthority::open(folder.path()).unwrap();
    assert_eq!(opened.fingerprint(), made.fingerprint());
    fs::remove_file(folder.path().join("ca.crt")).unwrap();
    assert!(CertificateAuthority::open(folder.path()).is_err());
    CertificateAuthority::create(folder.path(), "CA", now()).unwrap();

    let other = tempfile::tempdir().unwrap();
    CertificateAuthority::create(other.path(), "CA", now()).unwrap();
    fs::copy(other.path().join("ca.crt"), folder.path().join("ca.crt")).unwrap();
    assert!(CertificateAuthority::open(folder.path()).is_err(), "a certificate of another key");
}

#[test]
fn file_keys_of_both_schemes_sign_a_repository_that_a_device_believes() {
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str, scheme| FileSigner::create(&folder.path().join(name), scheme).unwrap();
    let (offline, online) = (key("offline", KeyScheme::Ed25519), key("online", KeyScheme::EcdsaP256));
    let set = |signer: &FileSigner| KeySet { keys: vec![signer.public_key()], threshold: 1 };
    let keys = RoleKeys {
        root: set(&offline),
        targets: set(&online),
        snapshot: set(&online),
        timestamp: set(&online),
    };
    let expires: Timestamp = "2099-01-01T00:00:00Z".parse().unwrap();
    let entry = TargetEntry {
        name: "camera/1.1".into(),
        length: ByteCount(5),
        sha256: sha256(b"image"),
        about: TargetAbout {
            product: "camera".parse().unwrap(),
            hardware_ids: ["cam-a".parse().unwrap()].into(),
            version: "1.1".parse().unwrap(),
            release_counter: 2,
            kind: TargetKind::Image,
            index: None,
        },
    };
    let root = repository::root(1, expires, &keys, &[&offline]).unwrap();
    let targets = repository::targets(1, expires, std::slice::from_ref(&entry), &[&online]).unwrap();
    let snapshot = repository::snapshot(1, expires, &MetaPin::of(1, &targets), &[&online]).unwrap();
    let timestamp = repository::timestamp(1, expires, &MetaPin::of(1, &snapshot), &[&online]).unwrap();

    let mut trusted = Trusted::start(&root, now()).unwrap();
    trusted.no_newer_root(now()).unwrap();
    trusted.update_timestamp(&timestamp, now()).unwrap();
    trusted.update_snapshot(&snapshot, now()).unwrap();
    trusted.update_targets(&targets, now()).unwrap();
    assert_eq!(trusted.target("camera/1.1"), Some(entry));
}
