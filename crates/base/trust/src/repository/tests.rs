//! What is written is what is read; what no device would accept is not written.

use serde_json::Value;
use warden_model::{ByteCount, Timestamp};

use super::{
    KeySet, RepositoryError, RoleKeys, TargetEntry, TargetKind, co_sign, read_root, read_targets, root,
    targets,
};
use crate::role::Role;
use crate::sha256;
use crate::sign::Signer;
use crate::testing::{Plan, TestKey, at, image, key_set};

fn expires() -> Timestamp {
    at("2027-01-01T00:00:00Z")
}

#[test]
fn what_is_written_is_what_is_read() {
    let patch = TargetEntry {
        name: "camera/1.1_1.2.patch".into(),
        about: super::TargetAbout {
            kind: TargetKind::Patch { base: sha256(b"base"), result: sha256(b"result") },
            index: None,
            ..image("x", 2).about
        },
        ..image("x", 2)
    };
    let entries = vec![image("camera/1.1", 1), patch];
    let key = TestKey::new(3);
    let listing = read_targets(&targets(7, expires(), &entries, &[&key]).unwrap()).unwrap();
    assert_eq!((listing.version, listing.expires), (7, expires()));
    assert_eq!(listing.entries, entries);

    let plan = Plan::default();
    let listing = read_root(plan.build().root()).unwrap();
    for role in Role::ALL {
        let (ours, read) = (plan.keys.of(role), listing.keys.of(role));
        assert_eq!(ours.threshold, read.threshold);
        assert!(ours.keys.iter().all(|key| read.keys.contains(key)));
    }
}

#[test]
fn the_same_input_makes_the_same_bytes_and_fractions_of_a_second_are_cut() {
    let key = TestKey::new(3);
    let make = |expires| targets(1, expires, &[image("a", 1)], &[&key]).unwrap();
    assert_eq!(make(expires()), make(Timestamp(expires().0 + 999)));
    assert!(String::from_utf8(make(expires())).unwrap().contains("\"2027-01-01T00:00:00Z\""));
}

#[test]
fn a_signature_that_comes_later_joins_the_others() {
    let plan = Plan { signers: [vec![1], vec![3], vec![5], vec![6]], ..Plan::default() };
    let once = plan.build().root().to_vec();
    let twice = co_sign(Role::Root, &once, &TestKey::new(2)).unwrap();
    let again = co_sign(Role::Root, &twice, &TestKey::new(2)).unwrap();
    assert_eq!(twice, again, "a second signature of the same key replaces the first");
    assert_eq!(twice, Plan::default().build().root(), "the order of signing does not show");
    assert!(co_sign(Role::Targets, &once, &TestKey::new(2)).is_err());
}

fn refused(outcome: Result<Vec<u8>, RepositoryError>, expected: RepositoryError) {
    assert_eq!(outcome.err(), Some(expected));
}

#[test]
fn what_no_device_would_accept_is_not_written() {
    let key = TestKey::new(3);
    let signers: &[&dyn Signer] = &[&key];
    let role = Role::Targets;
    refused(targets(0, expires(), &[], signers), RepositoryError::VersionZero { role });
    refused(targets(1, expires(), &[], &[]), RepositoryError::NoSigner { role });
    refused(
        targets(1, Timestamp(i64::MAX), &[], signers),
        RepositoryError::Expires { at: Timestamp(i64::MAX) },
    );
    let key_id = key.public_key().key_id();
    refused(targets(1, expires(), &[], &[&key, &key]), RepositoryError::DuplicateKey { role, key_id });
    let twins = [image("a", 1), image("a", 2)];
    refused(targets(1, expires(), &twins, signers), RepositoryError::DuplicateTarget { name: "a".into() });
    let many: Vec<_> = (0..10_000).map(|n| image(&format!("camera/{n}"), n)).collect();
    assert!(matches!(
        targets(1, expires(), &many, signers),
        Err(RepositoryError::TooLarge { role: Role::Targets, bytes }) if bytes > ByteCount::mib(2)
    ));
}

#[test]
fn thresholds_can_be_met_and_keys_come_once() {
    let keys = |root| RoleKeys { root, ..Plan::default().keys };
    let key = TestKey::new(1);
    let write = |set: KeySet| root(1, expires(), &keys(set), &[&key]);
    let role = Role::Root;
    refused(write(key_set(0, &[1])), RepositoryError::Threshold { role, threshold: 0, keys: 1 });
    refused(write(key_set(2, &[1])), RepositoryError::Threshold { role, threshold: 2, keys: 1 });
    let key_id = key.public_key().key_id();
    refused(write(key_set(2, &[1, 1])), RepositoryError::DuplicateKey { role, key_id });
}

#[test]
fn hostile_names_are_refused_on_both_sides() {
    let key = TestKey::new(3);
    let long = "x".repeat(201);
    for name in [
        "", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", ".hidden", "a/.b", "%2e%2e", "a b", "a\0", "ä",
        &long,
    ] {
        let outcome = targets(1, expires(), &[image(name, 1)], &[&key]);
        assert!(matches!(outcome, Err(RepositoryError::TargetName { .. })), "{name:?}: {outcome:?}");
        let value = super::target::value_of(&image("a", 1));
        assert!(super::target::read(name, &value).is_err(), "{name:?}");
    }
}

#[test]
fn an_entry_of_the_future_is_not_lost_silently() {
    let mut value = super::target::value_of(&image("a", 1));
    *value.pointer_mut("/custom/format").unwrap() = Value::from(2);
    assert!(super::target::read("a", &value).is_err());
}

#[test]
fn broken_files_are_refused_with_a_reason() {
    let good = Plan::default().build();
    let text = String::from_utf8(good.targets().to_vec()).unwrap();
    for bad in [
        String::new(),
        "{}".into(),
        text.trim_end_matches('}').into(),
        format!("{text}x"),
        text.replacen("\"version\":1", "\"version\":1.0", 1),
        text.replacen("\"_type\":\"targets\"", "\"_type\":\"snapshot\"", 1),
        text.replacen("\"expires\":\"2027", "\"expires\":\"soon", 1),
    ] {
        assert!(matches!(read_targets(bad.as_bytes()), Err(RepositoryError::Read { .. })), "{bad}");
    }
    assert!(read_root(good.targets()).is_err());
}
