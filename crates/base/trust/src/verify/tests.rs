//! The attacks on update metadata, role by role: each is refused by its name.

use serde_json::Value;
use warden_model::{ByteCount, HardwareId, ProductId, Seconds, Timestamp};

use super::{Absence, Need, TrustError, Trusted, accept_targets};
use crate::repository::{RoleKeys, TargetAbout, TargetEntry, TargetKind};
use crate::role::Role;
use crate::sha256;
use crate::sign::Signer as _;
use crate::testing::{Files, Plan, TestKey, at, image, key_set, noon};

/// Runs one round against the files; `roots` are the ones that follow the first.
fn round(trusted: &mut Trusted, roots: &[Vec<u8>], files: &Files, now: Timestamp) -> Result<(), TrustError> {
    for root in roots {
        trusted.update_root(root, now)?;
    }
    trusted.no_newer_root(now)?;
    while let Some(need) = trusted.needs() {
        match need.role {
            Role::Root => unreachable!("roots are done"),
            Role::Timestamp => trusted.update_timestamp(files.timestamp(), now)?,
            Role::Snapshot => trusted.update_snapshot(files.snapshot(), now)?,
            Role::Targets => trusted.update_targets(files.targets(), now)?,
        }
    }
    Ok(())
}

fn fresh(files: &Files) -> Result<Trusted, TrustError> {
    let mut trusted = Trusted::start(files.root(), noon())?;
    round(&mut trusted, &[], files, noon())?;
    Ok(trusted)
}

fn resumed(before: &Trusted, root: Option<&[u8]>) -> Trusted {
    let kept = before.persisted();
    Trusted::resume(root.unwrap_or(kept.root), kept.timestamp, kept.snapshot, kept.targets, noon()).unwrap()
}

/// A repository at a later moment: all versions but the root's are `version`.
fn later(version: u64) -> Plan {
    Plan { versions: [1, version, version, version], ..Plan::default() }
}

fn check(plan: &Plan, expected: Result<(), TrustError>) {
    assert_eq!(fresh(&plan.build()).err(), expected.err());
}

#[test]
fn what_the_repository_writes_a_device_believes() {
    let patch = |name: &str, length| TargetEntry {
        length: ByteCount(length),
        about: TargetAbout {
            kind: TargetKind::Patch { base: sha256(name.as_bytes()), result: sha256(b"camera/1.2") },
            index: None,
            ..image("", 2).about
        },
        ..image(name, 2)
    };
    let entries =
        vec![image("camera/1.1", 1), image("camera/1.2", 2), patch("p/large", 900), patch("p/small", 10)];
    let trusted = fresh(&Plan { entries: entries.clone(), ..Plan::default() }.build()).unwrap();
    assert_eq!(trusted.target("camera/1.1"), Some(image("camera/1.1", 1)));
    assert_eq!(trusted.target("camera/9.9"), None);
    let product = ProductId::new("camera").unwrap();
    let board = HardwareId::new("cam-a").unwrap();
    assert_eq!(trusted.images_for(&product, &board), [image("camera/1.2", 2), image("camera/1.1", 1)]);
    assert_eq!(trusted.images_for(&product, &HardwareId::new("cam-b").unwrap()), []);
    assert_eq!(trusted.images_for(&ProductId::new("lock").unwrap(), &board), []);
    assert_eq!(trusted.patches_to(&sha256(b"camera/1.2")), [entries[3].clone(), entries[2].clone()]);
}

#[test]
fn a_round_asks_for_one_file_after_the_other_with_its_size() {
    let files = later(7).build();
    let mut trusted = Trusted::start(files.root(), noon()).unwrap();
    let need = |role: Role, file: &str, bytes_max, absence| {
        Some(Need { role, file: file.to_owned(), bytes_max, absence })
    };
    let size = |bytes: &[u8]| ByteCount(u64::try_from(bytes.len()).unwrap());
    assert_eq!(
        trusted.needs(),
        need(Role::Root, "2.root.json", Role::Root.bytes_max(), Absence::NoNewerRoot)
    );
    trusted.no_newer_root(noon()).unwrap();
    let max = Role::Timestamp.bytes_max();
    assert_eq!(trusted.needs(), need(Role::Timestamp, "timestamp.json", max, Absence::Failure));
    trusted.update_timestamp(files.timestamp(), noon()).unwrap();
    let max = size(files.snapshot());
    assert_eq!(trusted.needs(), need(Role::Snapshot, "7.snapshot.json", max, Absence::Failure));
    trusted.update_snapshot(files.snapshot(), noon()).unwrap();
    let max = size(files.targets());
    assert_eq!(trusted.needs(), need(Role::Targets, "7.targets.json", max, Absence::Failure));
    assert_eq!(trusted.target("camera/1.1"), None, "nothing is told before the round is complete");
    trusted.update_targets(files.targets(), noon()).unwrap();
    assert_eq!(trusted.needs(), None);
    let turn = trusted.update_timestamp(files.timestamp(), noon());
    assert_eq!(turn, Err(TrustError::OutOfTurn { got: Role::Timestamp, due: "nothing" }));
}

#[test]
fn a_round_without_news_fetches_the_timestamp_only() {
    let files = later(3).build();
    let before = fresh(&files).unwrap();
    let mut trusted = resumed(&before, None);
    trusted.no_newer_root(noon()).unwrap();
    trusted.update_timestamp(files.timestamp(), noon()).unwrap();
    assert_eq!(trusted.needs(), None);
    assert!(trusted.target("camera/1.1").is_some());
    trusted.refresh(noon());
    assert_eq!(trusted.target("camera/1.1"), None);
    round(&mut trusted, &[], &files, noon()).unwrap();
}

#[test]
fn each_role_must_be_signed_by_enough_of_its_own_keys() {
    let wrong = |role, found, threshold| Err(TrustError::WrongSignature { role, found, threshold });
    let signed_by = |role: usize, seeds: &[u8]| {
        let mut plan = Plan::default();
        plan.signers[role] = seeds.to_vec();
        plan
    };
    check(&signed_by(0, &[9, 10]), wrong(Role::Root, 0, 2));
    check(&signed_by(0, &[1]), wrong(Role::Root, 1, 2));
    check(&signed_by(0, &[2, 7]), Ok(()));
    check(&signed_by(1, &[3]), wrong(Role::Targets, 1, 2));
    check(&signed_by(1, &[3, 5]), wrong(Role::Targets, 1, 2));
    check(&signed_by(1, &[5, 6]), wrong(Role::Targets, 0, 2));
    check(&signed_by(1, &[4, 8]), Ok(()));
    check(&signed_by(2, &[6]), wrong(Role::Snapshot, 0, 1));
    check(&signed_by(3, &[5]), wrong(Role::Timestamp, 0, 1));
}

#[test]
fn each_role_expires() {
    for (place, role) in [Role::Root, Role::Targets, Role::Snapshot, Role::Timestamp].into_iter().enumerate()
    {
        let expiring = |at: Timestamp| {
            let mut plan = Plan::default();
            plan.expires[place] = at;
            plan
        };
        let second = noon().plus(Seconds(1));
        check(&expiring(second), Ok(()));
        check(&expiring(noon()), Err(TrustError::Expired { role, at: noon() }));
        let past = at("1971-01-01T00:00:00Z");
        check(&expiring(past), Err(TrustError::Expired { role, at: past }));
    }
}

#[test]
fn stored_metadata_that_expired_is_not_used_although_it_is_pinned() {
    for (place, role) in [(1, Role::Targets), (2, Role::Snapshot), (3, Role::Timestamp)] {
        let mut plan = Plan::default();
        plan.expires[place] = noon().plus(Seconds(60));
        let files = plan.build();
        let before = fresh(&files).unwrap();
        let hour_later = noon().plus(Seconds::hours(1));
        let mut trusted = resumed(&before, None);
        let expected = TrustError::Expired { role, at: noon().plus(Seconds(60)) };
        assert_eq!(round(&mut trusted, &[], &files, hour_later), Err(expected));
        assert_eq!(trusted.target("camera/1.1"), None);
    }
}

#[test]
fn the_clock_cannot_be_turned_back_within_a_round() {
    let files = Plan { expires: [noon(); 4], ..Plan::default() }.build();
    let mut trusted = Trusted::start(files.root(), noon()).unwrap();
    let outcome = trusted.no_newer_root(at("1970-01-01T00:00:00Z"));
    assert_eq!(outcome, Err(TrustError::Expired { role: Role::Root, at: noon() }));
    for odd in [Timestamp(i64::MIN), Timestamp(i64::MAX)] {
        assert!(Trusted::start(files.root(), odd).is_ok());
    }
}

#[test]
fn no_role_goes_back() {
    let new = fresh(&later(5).build()).unwrap();
    let rollback = |role, have, got| Err(TrustError::Rollback { role, have, got });
    let offer = |versions: [u64; 4]| {
        let files = Plan { versions, ..Plan::default() }.build();
        round(&mut resumed(&new, None), &[], &files, noon())
    };
    assert_eq!(offer([1, 5, 5, 4]), rollback(Role::Timestamp, 5, 4));
    assert_eq!(offer([1, 5, 4, 6]), rollback(Role::Snapshot, 5, 4));
    assert_eq!(offer([1, 4, 6, 6]), rollback(Role::Targets, 5, 4));
    assert_eq!(offer([1, 6, 6, 6]), Ok(()));
}

#[test]
fn an_interrupted_round_loses_no_floor() {
    let mut trusted = fresh(&later(5).build()).unwrap();
    trusted.refresh(noon());
    trusted.no_newer_root(noon()).unwrap();
    trusted.update_timestamp(later(6).build().timestamp(), noon()).unwrap();
    // The power goes here; twice.
    let mut trusted = resumed(&resumed(&trusted, None), None);
    trusted.no_newer_root(noon()).unwrap();
    let mut trusted = resumed(&trusted, None);
    let older = Plan { versions: [1, 4, 7, 7], ..Plan::default() }.build();
    let outcome = round(&mut trusted, &[], &older, noon());
    assert_eq!(outcome, Err(TrustError::Rollback { role: Role::Targets, have: 5, got: 4 }));
}

#[test]
fn files_of_different_moments_do_not_mix() {
    let (one, two) = (later(1).build(), later(2).build());
    let mix = |targets: &Files, snapshot: &Files, timestamp: &Files| {
        let files =
            Files([one.0[0].clone(), targets.0[1].clone(), snapshot.0[2].clone(), timestamp.0[3].clone()]);
        fresh(&files).map(|_| ())
    };
    let mixed = |outcome, expected| match outcome {
        Err(TrustError::MixAndMatch { role, .. }) => assert_eq!(role, expected),
        other => panic!("{other:?}"),
    };
    mixed(mix(&one, &one, &two), Role::Snapshot);
    mixed(mix(&two, &one, &one), Role::Targets);
    mixed(mix(&one, &two, &two), Role::Targets);
    assert_eq!(mix(&two, &two, &two), Ok(()));
}

/// Changes one file and says how the device takes it.
fn tampered(place: usize, change: impl Fn(&mut Vec<u8>)) -> Option<&'static str> {
    let mut files = Plan::default().build();
    change(&mut files.0[place]);
    fresh(&files).err().map(|error| error.attack())
}

#[test]
fn changed_bytes_are_named_for_what_they_are() {
    let replace = |from: &'static str, to: &'static str| {
        move |bytes: &mut Vec<u8>| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert!(text.contains(from), "{from} is not in {text}");
            *bytes = text.replacen(from, to, 1).into_bytes();
        }
    };
    // The root and the timestamp are pinned by nobody: their signatures and their form are looked at. Snapshot and
    // targets are compared with their digest first.
    for (place, signature, form) in [(0, "wrong-signature", "malformed"), (3, "wrong-signature", "malformed")]
    {
        assert_eq!(tampered(place, replace("\"version\":1", "\"version\":2")), Some(signature));
        assert_eq!(tampered(place, |bytes| bytes.truncate(bytes.len() - 1)), Some(form));
        assert_eq!(tampered(place, |bytes| bytes.push(b'x')), Some(form));
        assert_eq!(tampered(place, replace("\"version\":1", "\"version\":1,\"version\":1")), Some(form));
        assert_eq!(tampered(place, replace("\"version\":1", "\"version\":1.0")), Some(form));
        assert_eq!(tampered(place, replace("\"spec_version\":\"1", "\"spec_version\":\"2")), Some(form));
        assert_eq!(tampered(place, Vec::clear), Some(form));
    }
    for place in [1, 2] {
        assert_eq!(tampered(place, replace("\"version\":1", "\"version\":2")), Some("mix-and-match"));
        assert_eq!(tampered(place, |bytes| bytes.push(b' ')), Some("mix-and-match"));
        assert_eq!(tampered(place, |bytes| bytes.truncate(bytes.len() - 1)), Some("malformed"));
    }
    for place in 0..4 {
        assert_eq!(tampered(place, |bytes| *bytes = vec![b' '; 3_000_000]), Some("endless-data"));
        assert_eq!(tampered(place, |bytes| *bytes = vec![b'['; 10_000]), Some("malformed"));
    }
    let other_role = |bytes: &mut Vec<u8>| *bytes = Plan::default().build().timestamp().to_vec();
    assert_eq!(tampered(0, other_role), Some("malformed"));
}

#[test]
fn one_key_never_counts_twice() {
    // A signature that comes twice.
    let twice = |bytes: &mut Vec<u8>| {
        let mut file: Value = serde_json::from_slice(bytes).unwrap();
        let signatures = file["signatures"].as_array_mut().unwrap();
        signatures[1] = signatures[0].clone();
        *bytes = file.to_string().into_bytes();
    };
    assert_eq!(tampered(0, twice), Some("duplicate-key"));

    // A root that lists one key under two ids, rightly signed: nobody believes it.
    let (one, two) = (TestKey::new(1), TestKey::new(2));
    let mut file: Value = serde_json::from_slice(Plan::default().build().root()).unwrap();
    let key = file["signed"]["keys"][one.public_key().key_id()].clone();
    file["signed"]["keys"]["other-name"] = key;
    file["signed"]["roles"]["targets"]["keyids"] =
        serde_json::json!([one.public_key().key_id(), "other-name"]);
    let mut bytes = file.to_string().into_bytes();
    for key in [&one, &two] {
        bytes = crate::repository::co_sign(Role::Root, &bytes, key).unwrap();
    }
    let outcome = Trusted::start(&bytes, noon()).map(|_| ());
    assert_eq!(outcome, Err(TrustError::DuplicateKey { role: Role::Targets, key_id: "other-name".into() }));
}

/// Roots 2, 3, … up to `last`; each changes both root keys and is signed by the old and the new.
fn chain(last: u64) -> (Vec<Vec<u8>>, Plan) {
    let seeds = |version: u64| {
        let first = u8::try_from(50 + version * 2 % 200).unwrap();
        vec![first, first + 1]
    };
    let mut roots = Vec::new();
    let mut plan = Plan::default();
    plan.keys.root = key_set(2, &[1, 2]);
    for version in 2..=last {
        let signers = [plan.signers[0].clone(), seeds(version)].concat();
        plan.versions[0] = version;
        plan.keys.root = key_set(2, &seeds(version));
        plan.signers[0] = signers;
        roots.push(plan.build().root().to_vec());
        plan.signers[0] = seeds(version);
    }
    (roots, plan)
}

fn first_root() -> Files {
    let mut plan = Plan::default();
    plan.keys.root = key_set(2, &[1, 2]);
    plan.build()
}

#[test]
fn a_device_that_slept_through_fifty_roots_wakes_up() {
    let (roots, plan) = chain(51);
    assert_eq!(roots.len(), 50);
    let mut trusted = Trusted::start(first_root().root(), noon()).unwrap();
    round(&mut trusted, &roots, &plan.build(), noon()).unwrap();
    assert!(trusted.target("camera/1.1").is_some());
    assert_eq!(trusted.persisted().root, roots.last().unwrap());
}

#[test]
fn a_root_follows_the_one_before_and_is_signed_by_both() {
    let (roots, plan) = chain(4);
    let start = || Trusted::start(first_root().root(), noon()).unwrap();
    assert_eq!(start().update_root(&roots[1], noon()), Err(TrustError::RootOutOfOrder { have: 1, got: 3 }));
    let mut trusted = start();
    trusted.update_root(&roots[0], noon()).unwrap();
    let again = trusted.update_root(&roots[0], noon());
    assert_eq!(again, Err(TrustError::Rollback { role: Role::Root, have: 2, got: 2 }));

    let signed_by = |seeds: &[u8]| {
        let mut plan = plan.clone();
        plan.versions[0] = 2;
        plan.signers[0] = seeds.to_vec();
        start().update_root(plan.build().root(), noon())
    };
    let new = plan.signers[0].clone();
    let wrong = |found| Err(TrustError::WrongSignature { role: Role::Root, found, threshold: 2 });
    assert_eq!(signed_by(&new), wrong(0), "only the new keys");
    assert_eq!(signed_by(&[1, 2]), wrong(0), "only the old keys");
    assert_eq!(signed_by(&[1, new[0], new[1]]), wrong(1), "too few of the old keys");
    assert_eq!(signed_by(&[1, 2, new[0]]), wrong(1), "too few of the new keys");
    assert_eq!(signed_by(&[1, 2, new[0], new[1]]), Ok(()));
}

#[test]
fn an_expired_root_may_lead_to_a_fresh_one() {
    let old = Plan { expires: [at("2020-01-01T00:00:00Z"); 4], ..Plan::default() };
    let new = Plan { versions: [2, 1, 1, 1], ..Plan::default() };
    let mut trusted = Trusted::start(old.build().root(), noon()).unwrap();
    round(&mut trusted, &[new.build().root().to_vec()], &new.build(), noon()).unwrap();
    let mut alone = Trusted::start(old.build().root(), noon()).unwrap();
    assert!(matches!(alone.no_newer_root(noon()), Err(TrustError::Expired { role: Role::Root, .. })));
}

#[test]
fn a_new_root_with_the_same_keys_keeps_the_floors() {
    let before = fresh(&later(5).build()).unwrap();
    let old_files = Plan { versions: [2, 4, 4, 4], ..Plan::default() }.build();
    let mut trusted = resumed(&before, None);
    let outcome = round(&mut trusted, &[old_files.root().to_vec()], &old_files, noon());
    assert_eq!(outcome, Err(TrustError::Rollback { role: Role::Timestamp, have: 5, got: 4 }));
}

#[test]
fn new_timestamp_or_snapshot_keys_end_a_fast_forward() {
    // The thief of the online keys signs versions that nothing honest ever reaches.
    let stolen = u64::MAX - 1;
    let forward = fresh(&Plan { versions: [1, 1, stolen, stolen], ..Plan::default() }.build()).unwrap();
    let keys = RoleKeys { snapshot: key_set(1, &[15]), timestamp: key_set(1, &[16]), ..Plan::default().keys };
    let signers = [vec![1, 2], vec![3, 4], vec![15], vec![16]];
    let healed = Plan { versions: [2, 2, 2, 2], keys, signers, ..Plan::default() }.build();
    let mut trusted = resumed(&forward, None);
    trusted.update_root(healed.root(), noon()).unwrap();
    assert_eq!(trusted.persisted().timestamp, None, "the stored files must go too");
    round(&mut trusted, &[], &healed, noon()).unwrap();

    // The same when the power went before the stored files were deleted.
    let mut trusted = resumed(&forward, Some(healed.root()));
    round(&mut trusted, &[], &healed, noon()).unwrap();
}

#[test]
fn stored_files_that_rotted_are_fetched_again() {
    let files = later(5).build();
    let junk: &[u8] = b"{";
    for (timestamp, snapshot, targets) in [
        (junk, files.snapshot(), files.targets()),
        (files.timestamp(), junk, files.targets()),
        (files.timestamp(), files.snapshot(), junk),
    ] {
        let mut trusted =
            Trusted::resume(files.root(), Some(timestamp), Some(snapshot), Some(targets), noon()).unwrap();
        round(&mut trusted, &[], &files, noon()).unwrap();
        assert_eq!(trusted.persisted().targets, Some(files.targets()));
    }
    assert!(Trusted::resume(junk, None, None, None, noon()).is_err());
}

#[test]
fn roots_without_end_are_given_up() {
    let mut trusted = Trusted::start(first_root().root(), noon()).unwrap();
    trusted.roots_taken = super::ROOTS_MAX;
    let outcome = trusted.update_root(&chain(2).0[0], noon());
    assert_eq!(outcome, Err(TrustError::TooManyRoots { max: super::ROOTS_MAX }));
    trusted.refresh(noon());
    assert_eq!(trusted.update_root(&chain(2).0[0], noon()), Ok(()));
}

#[test]
fn targets_made_for_newer_readers_are_left_alone() {
    let mut file: Value = serde_json::from_slice(Plan::default().build().targets()).unwrap();
    file["signed"]["targets"]["camera/1.2"]["custom"]["format"] = 2.into();
    file["signed"]["targets"]["other.bin"] = serde_json::json!({"length": 1, "hashes": {"sha512": "00"}});
    let mut targets = file.to_string().into_bytes();
    for seed in [3, 4] {
        targets = crate::repository::co_sign(Role::Targets, &targets, &TestKey::new(seed)).unwrap();
    }
    let pin = crate::repository::MetaPin::of(1, &targets);
    let expires = at("2027-01-01T00:00:00Z");
    let snapshot = crate::repository::snapshot(1, expires, &pin, &[&TestKey::new(5)]).unwrap();
    let pin = crate::repository::MetaPin::of(1, &snapshot);
    let timestamp = crate::repository::timestamp(1, expires, &pin, &[&TestKey::new(6)]).unwrap();
    let root = Plan::default().build().root().to_vec();
    let trusted = fresh(&Files([root, targets, snapshot, timestamp])).unwrap();
    assert!(trusted.target("camera/1.1").is_some());
    assert_eq!(trusted.target("camera/1.2"), None);
    assert_eq!(trusted.target("other.bin"), None);
}

#[test]
fn a_server_accepts_only_the_targets_that_its_devices_would() {
    let files = later(5).build();
    let accept = |plan: &Plan, current: Option<&[u8]>| {
        accept_targets(files.root(), plan.build().targets(), current, noon())
            .map(|listing| (listing.get().version, listing.get().entries.len()))
    };
    let rollback = |have, got| Err(TrustError::Rollback { role: Role::Targets, have, got });
    let current = Some(files.targets());
    assert_eq!(accept(&later(1), None), Ok((1, 2)));
    assert_eq!(accept(&later(6), current), Ok((6, 2)));
    assert_eq!(accept(&later(5), current), Ok((5, 2)), "the same upload again");
    assert_eq!(accept(&later(4), current), rollback(5, 4));
    assert_eq!(accept(&Plan { entries: vec![], ..later(5) }, current), rollback(5, 5));
    let forged = Plan { signers: [vec![1, 2], vec![3], vec![5], vec![6]], ..later(6) };
    let wrong = TrustError::WrongSignature { role: Role::Targets, found: 1, threshold: 2 };
    assert_eq!(accept(&forged, current), Err(wrong));
    let old = Plan { expires: [noon(); 4], ..later(6) };
    assert_eq!(accept(&old, current), Err(TrustError::Expired { role: Role::Targets, at: noon() }));
    let stale_root = old.build();
    let outcome = accept_targets(stale_root.root(), later(6).build().targets(), None, noon());
    assert_eq!(outcome, Err(TrustError::Expired { role: Role::Root, at: noon() }));
    assert!(accept_targets(files.targets(), later(6).build().targets(), None, noon()).is_err());
}

#[test]
fn a_threshold_of_nothing_is_no_threshold() {
    let mut file: Value = serde_json::from_slice(Plan::default().build().root()).unwrap();
    file["signed"]["roles"]["root"]["threshold"] = 0.into();
    file["signatures"] = serde_json::json!([]);
    let outcome = Trusted::start(file.to_string().as_bytes(), noon()).map(|_| ());
    assert!(matches!(outcome, Err(TrustError::Malformed { role: Role::Root, .. })), "{outcome:?}");
}
