//! Helpers of the tests: keys from a seed, a small repository. No chance: the same seed makes the same bytes.

use std::collections::BTreeSet;

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use warden_model::firmware::Version;
use warden_model::{ByteCount, HardwareId, ProductId, Timestamp};

use crate::repository::{KeySet, MetaPin, RoleKeys, TargetAbout, TargetEntry, TargetKind};
use crate::sign::{KeyScheme, PublicKey, SignError, Signer};
use crate::{repository, sha256};

/// A P-256 `SubjectPublicKeyInfo`, made with OpenSSL.
pub(crate) const P256_SPKI_HEX: &str = "3059301306072a8648ce3d020106082a8648ce3d03010703420004f5eb17881cc17f4d74b3c09a6535d11fe0a52daf623af3d7f9661a33e990a23f70b88d008cd71c39ccb0d30720251e1ba19c829ae6203fd1d9fc8a6553863251";

/// An Ed25519 key made from one byte.
pub(crate) struct TestKey(Ed25519KeyPair);

impl TestKey {
    pub(crate) fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }
}

impl Signer for TestKey {
    fn public_key(&self) -> PublicKey {
        PublicKey::new(KeyScheme::Ed25519, self.0.public_key().as_ref()).unwrap()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }

    fn origin(&self) -> String {
        "test key".to_owned()
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The moment at which most tests happen.
pub(crate) fn noon() -> Timestamp {
    at("2026-06-01T12:00:00Z")
}

pub(crate) fn key_set(threshold: u32, seeds: &[u8]) -> KeySet {
    KeySet { keys: seeds.iter().map(|seed| TestKey::new(*seed).public_key()).collect(), threshold }
}

pub(crate) fn image(name: &str, counter: u64) -> TargetEntry {
    TargetEntry {
        name: name.to_owned(),
        length: ByteCount(1000),
        sha256: sha256(name.as_bytes()),
        about: TargetAbout {
            product: ProductId::new("camera").unwrap(),
            hardware_ids: BTreeSet::from([HardwareId::new("cam-a").unwrap()]),
            version: Version::new(format!("1.{counter}")).unwrap(),
            release_counter: counter,
            kind: TargetKind::Image,
            index: None,
        },
    }
}

/// What a repository is made of; a test changes a field and builds it.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) versions: [u64; 4],
    pub(crate) expires: [Timestamp; 4],
    pub(crate) signers: [Vec<u8>; 4],
    pub(crate) keys: RoleKeys,
    pub(crate) entries: Vec<TargetEntry>,
}

/// The four files, in the order root, targets, snapshot, timestamp.
#[derive(Clone)]
pub(crate) struct Files(pub(crate) [Vec<u8>; 4]);

impl Files {
    pub(crate) fn root(&self) -> &[u8] {
        &self.0[0]
    }
    pub(crate) fn targets(&self) -> &[u8] {
        &self.0[1]
    }
    pub(crate) fn snapshot(&self) -> &[u8] {
        &self.0[2]
    }
    pub(crate) fn timestamp(&self) -> &[u8] {
        &self.0[3]
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            versions: [1; 4],
            expires: [at("2027-01-01T00:00:00Z"); 4],
            signers: [vec![1, 2], vec![3, 4], vec![5], vec![6]],
            keys: RoleKeys {
                root: key_set(2, &[1, 2, 7]),
                targets: key_set(2, &[3, 4, 8]),
                snapshot: key_set(1, &[5]),
                timestamp: key_set(1, &[6]),
            },
            entries: vec![image("camera/1.1", 1), image("camera/1.2", 2)],
        }
    }
}

impl Plan {
    pub(crate) fn build(&self) -> Files {
        let keys: Vec<Vec<TestKey>> =
            self.signers.iter().map(|seeds| seeds.iter().map(|seed| TestKey::new(*seed)).collect()).collect();
        let signers: Vec<Vec<&dyn Signer>> =
            keys.iter().map(|keys| keys.iter().map(|key| key as &dyn Signer).collect()).collect();
        let [root, targets, snapshot, timestamp] = self.versions;
        let root = repository::root(root, self.expires[0], &self.keys, &signers[0]).unwrap();
        let target_bytes = repository::targets(targets, self.expires[1], &self.entries, &signers[1]).unwrap();
        let pin = MetaPin::of(targets, &target_bytes);
        let snapshot_bytes = repository::snapshot(snapshot, self.expires[2], &pin, &signers[2]).unwrap();
        let pin = MetaPin::of(snapshot, &snapshot_bytes);
        let timestamp_bytes = repository::timestamp(timestamp, self.expires[3], &pin, &signers[3]).unwrap();
        Files([root, target_bytes, snapshot_bytes, timestamp_bytes])
    }
}
