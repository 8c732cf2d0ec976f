//! The believing side of TUF 1.0.34 (§5): metadata files and `now` in, targets that may be installed out; refuses by
//! naming the attack ([`TrustError`]).
//!
//! [`Trusted`] asks for one file after the other ([`Trusted::needs`]); the caller fetches and hands it over. One round
//! is: new roots until there is none, timestamp, snapshot where it changed, targets where they changed. Targets are
//! told only after a complete round. The work of verifying is done by `sigstore-tuf`; what this module adds: strict
//! JSON, sizes, floors that survive an interrupted round, and the deletion of §5.3.11.

mod accept;
mod error;
pub(crate) mod provider;

pub use accept::accept_targets;
pub use error::TrustError;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sigstore_tuf::{Key, MetaFile, Metadata, Root, Snapshot, TargetFile, TrustedMetadataSet};
use warden_model::{ByteCount, HardwareId, ProductId, Sha256Digest, Timestamp};

use crate::repository::{TargetEntry, TargetKind, entry_of};
use crate::role::Role;
use crate::{json, sha256};

/// Most new roots that one round takes. A root is made once a year and after an incident; a device that slept through
/// 50 of them must wake (and does), and one that meets 256 is being kept busy. The next round goes on from there.
pub const ROOTS_MAX: u32 = 256;

/// What it means when the file that is needed is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// There is no newer root: call [`Trusted::no_newer_root`].
    NoNewerRoot,
    /// The repository is broken: give this round up.
    Failure,
}

/// A file that is needed next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Its role.
    pub role: Role,
    /// Its name, with its version.
    pub file: String,
    /// The most bytes to fetch: the exact size where it is pinned. One byte more, and the fetch is given up.
    pub bytes_max: ByteCount,
    /// What it means when it is not there.
    pub absence: Absence,
}

/// The bytes to keep, so that [`Trusted::resume`] can go on: keep them after each file that was believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persisted<'a> {
    /// The newest root.
    pub root: &'a [u8],
    /// The newest timestamp. Absent: delete the stored one, its keys were changed.
    pub timestamp: Option<&'a [u8]>,
    /// The newest snapshot; absent as above.
    pub snapshot: Option<&'a [u8]>,
    /// The newest targets; absent as above.
    pub targets: Option<&'a [u8]>,
}

/// The metadata that a device believes.
#[derive(Debug, Clone)]
pub struct Trusted {
    set: TrustedMetadataSet,
    timestamp: Option<Vec<u8>>,
    snapshot: Option<Vec<u8>>,
    targets: Option<Vec<u8>>,
    /// The version of the targets that the newest verified snapshot named: never below it again.
    targets_floor: u64,
    /// The role that is due; absent when the round is complete.
    due: Option<Role>,
    roots_taken: u32,
    /// The latest moment that this round was told: the clock cannot be turned back under it (§5.1).
    now: Timestamp,
}

impl Trusted {
    /// Starts from a root that the caller trusts for reasons of its own: it came with the device.
    ///
    /// An expired root is fine here, its successors are not asked for yet (§5.3.10).
    pub fn start(root: &[u8], now: Timestamp) -> Result<Self, TrustError> {
        provider::install();
        vet(Role::Root, root)?;
        let set = TrustedMetadataSet::from_root(root).map_err(|error| TrustError::of(Role::Root, &error))?;
        check_root(set.root())?;
        Ok(Self {
            set,
            timestamp: None,
            snapshot: None,
            targets: None,
            targets_floor: 0,
            due: Some(Role::Root),
            roots_taken: 0,
            now,
        })
    }

    /// Goes on from what was persisted. Stored metadata, expired or not, is a floor that versions never go below;
    /// a stored file that does not verify any more is dropped, and its role is fetched again.
    pub fn resume(
        root: &[u8],
        timestamp: Option<&[u8]>,
        snapshot: Option<&[u8]>,
        targets: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<Self, TrustError> {
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let trusted = Self::start(root, now)?;
        Ok(Self {
            timestamp: owned(timestamp),
            snapshot: owned(snapshot),
            targets: owned(targets),
            ..trusted
        })
    }

    /// Begins a new round; until it is complete, no target is told.
    pub fn refresh(&mut self, now: Timestamp) {
        self.due = Some(Role::Root);
        self.roots_taken = 0;
        self.now = now;
    }

    /// Returns the bytes to keep.
    pub fn persisted(&self) -> Persisted<'_> {
        Persisted {
            root: self.set.root_bytes(),
            timestamp: self.timestamp.as_deref(),
            snapshot: self.snapshot.as_deref(),
            targets: self.targets.as_deref(),
        }
    }

    /// Says which file to fetch next; nothing when the round is complete.
    pub fn needs(&self) -> Option<Need> {
        let root = self.set.root();
        let role = self.due?;
        let (version, pinned) = match role {
            Role::Root => (Some(root.version.saturating_add(1)), None),
            Role::Timestamp => (None, None),
            Role::Snapshot => pin_parts(self.snapshot_pin()),
            Role::Targets => pin_parts(self.targets_pin()),
        };
        // §7.2.1: without consistent snapshots only roots carry their version in the name.
        let file = match version {
            Some(version) if root.consistent_snapshot || role == Role::Root => role.file_name(version),
            Some(_) | None => format!("{role}.json"),
        };
        let absence = match role {
            Role::Root => Absence::NoNewerRoot,
            Role::Targets | Role::Snapshot | Role::Timestamp => Absence::Failure,
        };
        let bytes_max = pinned.map_or(role.bytes_max(), |length| length.min(role.bytes_max()));
        Some(Need { role, file, bytes_max, absence })
    }

    /// Takes the next root (§5.3.3 to §5.3.9); then the one after it is due.
    pub fn update_root(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), TrustError> {
        self.turn(Role::Root, now)?;
        if self.roots_taken >= ROOTS_MAX {
            return Err(TrustError::TooManyRoots { max: ROOTS_MAX });
        }
        vet(Role::Root, bytes)?;
        let mut set = self.set.clone();
        set.update_root(bytes).map_err(|error| TrustError::of(Role::Root, &error))?;
        check_root(set.root())?;
        // §5.3.11: keys that changed may have been stolen, and the thief may have signed a version so high that
        // nothing honest ever comes after it. What those keys signed is forgotten.
        let changed = |role| authority(self.set.root(), role) != authority(set.root(), role);
        if changed(Role::Timestamp) || changed(Role::Snapshot) {
            (self.timestamp, self.snapshot, self.targets) = (None, None, None);
            self.targets_floor = 0;
        }
        self.set = set;
        self.roots_taken += 1;
        Ok(())
    }

    /// Says that the repository has no newer root: the newest one must not have expired (§5.3.10).
    pub fn no_newer_root(&mut self, now: Timestamp) -> Result<(), TrustError> {
        let at = self.turn(Role::Root, now)?;
        self.set.check_root_expired(at).map_err(|error| TrustError::of(Role::Root, &error))?;
        if self.set.timestamp().is_none() {
            self.recall();
        }
        self.due = Some(Role::Timestamp);
        Ok(())
    }

    /// Takes the timestamp (§5.4).
    pub fn update_timestamp(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), TrustError> {
        let role = Role::Timestamp;
        let at = self.turn(role, now)?;
        let pinned = vet(role, bytes)?.pointer("/signed/meta/snapshot.json").is_some();
        if !pinned {
            return Err(TrustError::Malformed { role, detail: "it names no snapshot".to_owned() });
        }
        match self.set.update_timestamp(bytes, at) {
            Ok(()) => self.timestamp = Some(bytes.to_vec()),
            // §5.4.3.1: the same version again is no update; the one that is trusted must still be fresh.
            Err(sigstore_tuf::Error::EqualVersion { .. }) => {
                self.set.check_timestamp_expired(at).map_err(|error| TrustError::of(role, &error))?;
            }
            Err(error) => return Err(TrustError::of(role, &error)),
        }
        let known = self.set.snapshot().map(|snapshot| snapshot.version);
        if self.snapshot_pin().is_some_and(|pin| is_pinned(pin, known, self.snapshot.as_deref())) {
            self.set.check_snapshot_expired(at).map_err(|error| TrustError::of(Role::Snapshot, &error))?;
            self.after_snapshot(at)
        } else {
            self.due = Some(Role::Snapshot);
            Ok(())
        }
    }

    /// Takes the snapshot that the timestamp names (§5.5).
    pub fn update_snapshot(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), TrustError> {
        let role = Role::Snapshot;
        let at = self.turn(role, now)?;
        vet(role, bytes)?;
        let mut set = self.set.clone();
        set.update_snapshot(bytes, at).map_err(|error| TrustError::of(role, &error))?;
        let got = set
            .snapshot()
            .and_then(targets_version)
            .ok_or_else(|| TrustError::Malformed { role, detail: "it names no targets".to_owned() })?;
        // §5.5.5; also when the snapshot before fits the newest timestamp no more, because a round was interrupted.
        if got < self.targets_floor {
            return Err(TrustError::Rollback { role: Role::Targets, have: self.targets_floor, got });
        }
        self.set = set;
        self.targets_floor = got;
        self.snapshot = Some(bytes.to_vec());
        self.after_snapshot(at)
    }

    /// Takes the targets that the snapshot names (§5.6); with them the round is complete.
    pub fn update_targets(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), TrustError> {
        let at = self.turn(Role::Targets, now)?;
        vet(Role::Targets, bytes)?;
        self.set.update_targets(bytes, at).map_err(|error| TrustError::of(Role::Targets, &error))?;
        self.targets = Some(bytes.to_vec());
        self.due = None;
        Ok(())
    }

    /// Returns a target by its name. Nothing before the round is complete, and nothing that was made for a newer
    /// reader.
    pub fn target(&self, name: &str) -> Option<TargetEntry> {
        read_target(name, self.listed()?.get(name)?)
    }

    /// Returns the images for a product and a board, the newest release first.
    pub fn images_for(&self, product: &ProductId, hardware: &HardwareId) -> Vec<TargetEntry> {
        let mut images = self.select(|entry| {
            entry.about.kind == TargetKind::Image
                && entry.about.product == *product
                && entry.about.hardware_ids.contains(hardware)
        });
        images.sort_by_key(|entry| std::cmp::Reverse(entry.about.release_counter));
        images
    }

    /// Returns the patches that make an image, the smallest first.
    pub fn patches_to(&self, image: &Sha256Digest) -> Vec<TargetEntry> {
        let mut patches = self.select(
            |entry| matches!(entry.about.kind, TargetKind::Patch { base: _, result } if result == *image),
        );
        patches.sort_by_key(|entry| entry.length);
        patches
    }

    fn select(&self, fits: impl Fn(&TargetEntry) -> bool) -> Vec<TargetEntry> {
        let Some(listed) = self.listed() else { return Vec::new() };
        listed.iter().filter_map(|(name, file)| read_target(name, file)).filter(fits).collect()
    }

    fn listed(&self) -> Option<&BTreeMap<String, TargetFile>> {
        match self.due {
            None => self.set.targets_role("targets").map(|targets| &targets.targets),
            Some(_) => None,
        }
    }

    /// Checks that the role is due, and returns the moment that counts.
    fn turn(&mut self, role: Role, now: Timestamp) -> Result<jiff::Timestamp, TrustError> {
        if self.due != Some(role) {
            return Err(TrustError::OutOfTurn { got: role, due: self.due.map_or("nothing", Role::word) });
        }
        self.now = self.now.max(now);
        Ok(moment(self.now))
    }

    /// Puts the stored files back under the newest root, as floors (§5.4.3, §5.5.5).
    fn recall(&mut self) {
        // Expiry is not asked here: an expired file authorises nothing, but still tells how far the world had come.
        let never = jiff::Timestamp::MIN;
        let (timestamp, snapshot, targets) =
            (self.timestamp.take(), self.snapshot.take(), self.targets.take());
        let believed =
            |role, bytes: &Option<Vec<u8>>| bytes.as_ref().filter(|bytes| vet(role, bytes).is_ok()).cloned();
        let Some(timestamp) = believed(Role::Timestamp, &timestamp) else { return };
        if self.set.update_timestamp(&timestamp, never).is_err() {
            return;
        }
        self.timestamp = Some(timestamp);
        let Some(snapshot) = believed(Role::Snapshot, &snapshot) else { return };
        if let Some(floor) = signed_targets_version(self.set.root(), &snapshot) {
            self.targets_floor = self.targets_floor.max(floor);
            // Kept even where the timestamp names another one by now: after the next interruption it is the floor.
            self.snapshot = Some(snapshot.clone());
        }
        if self.set.update_snapshot(&snapshot, never).is_err() {
            return;
        }
        let Some(targets) = believed(Role::Targets, &targets) else { return };
        if self.set.update_targets(&targets, never).is_ok() {
            self.targets = Some(targets);
        }
    }

    fn after_snapshot(&mut self, at: jiff::Timestamp) -> Result<(), TrustError> {
        let known = self.set.targets_role("targets");
        let version = known.map(|targets| targets.version);
        let Some(targets) = known.filter(|_| {
            self.targets_pin().is_some_and(|pin| is_pinned(pin, version, self.targets.as_deref()))
        }) else {
            self.due = Some(Role::Targets);
            return Ok(());
        };
        if targets.expires < at {
            let at = Timestamp(targets.expires.as_millisecond());
            return Err(TrustError::Expired { role: Role::Targets, at });
        }
        self.due = None;
        Ok(())
    }

    fn snapshot_pin(&self) -> Option<&MetaFile> {
        self.set.timestamp().and_then(sigstore_tuf::Timestamp::snapshot_meta)
    }

    fn targets_pin(&self) -> Option<&MetaFile> {
        self.set.snapshot().and_then(|snapshot| snapshot.meta.get("targets.json"))
    }
}

/// Checks size and JSON before anything else looks at the bytes.
pub(crate) fn vet(role: Role, bytes: &[u8]) -> Result<Value, TrustError> {
    let max = role.bytes_max();
    if u64::try_from(bytes.len()).is_ok_and(|length| length > max.0) {
        return Err(TrustError::TooLarge { role, max });
    }
    json::parse(bytes).map_err(|error| TrustError::Malformed { role, detail: error.detail })
}

/// Refuses a root that lists one key under two ids: it would count twice towards a threshold.
pub(crate) fn check_root(root: &Root) -> Result<(), TrustError> {
    for role in Role::ALL {
        let Some(keys) = root.role(role.word()) else {
            return Err(TrustError::Malformed {
                role: Role::Root,
                detail: format!("it has no keys for {role}"),
            });
        };
        let mut seen = BTreeSet::new();
        for key_id in &keys.keyids {
            let material = root.keys.get(key_id).map_or(key_id.as_str(), |key| key.keyval.public.trim());
            if !seen.insert(material) {
                return Err(TrustError::DuplicateKey { role, key_id: key_id.clone() });
            }
        }
    }
    Ok(())
}

/// Who may sign for a role, and how many of them must.
fn authority(root: &Root, role: Role) -> Option<(usize, BTreeMap<&str, Option<&Key>>)> {
    let keys = root.role(role.word())?;
    Some((keys.threshold, keys.keyids.iter().map(|id| (id.as_str(), root.keys.get(id))).collect()))
}

/// Puts a moment into the library's form. One millisecond is added: the library takes metadata that expires exactly
/// now for fresh, the specification does not (§5.3.10: expiry must be higher than the update start time).
pub(crate) fn moment(now: Timestamp) -> jiff::Timestamp {
    let end = if now.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_millisecond(now.0.saturating_add(1)).unwrap_or(end)
}

fn targets_version(snapshot: &Snapshot) -> Option<u64> {
    snapshot.meta.get("targets.json").map(|pin| pin.version)
}

/// Returns the targets version that a snapshot names, when the root's snapshot keys have signed it.
fn signed_targets_version(root: &Root, bytes: &[u8]) -> Option<u64> {
    let snapshot = Metadata::<Snapshot>::from_slice(bytes).ok()?;
    snapshot.verify_threshold(&root.keys, root.role("snapshot")?, "snapshot").ok()?;
    targets_version(snapshot.signed())
}

fn pin_parts(pin: Option<&MetaFile>) -> (Option<u64>, Option<ByteCount>) {
    pin.map_or((None, None), |pin| (Some(pin.version), pin.length.map(ByteCount)))
}

/// Whether the file that is there is the one that is named, so that it need not be fetched.
fn is_pinned(pin: &MetaFile, version: Option<u64>, bytes: Option<&[u8]>) -> bool {
    let Some(bytes) = bytes else { return false };
    let length_fits = pin.length.is_none_or(|length| u64::try_from(bytes.len()) == Ok(length));
    let digest_fits = match &pin.hashes {
        None => true,
        // Another algorithm than ours: fetch it again, the library knows more of them.
        Some(hashes) => hashes.get("sha256").is_some_and(|digest| *digest == sha256(bytes).to_string()),
    };
    version == Some(pin.version) && length_fits && digest_fits
}

fn read_target(name: &str, file: &TargetFile) -> Option<TargetEntry> {
    entry_of(name, file.length, &file.hashes, file.custom.as_ref())
}

#[cfg(test)]
mod tests;
