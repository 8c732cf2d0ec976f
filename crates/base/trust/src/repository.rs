//! The writing side of TUF 1.0.34: keys, entries, versions and expiry in, signed metadata files out; refuses what no
//! device would accept (too large, thresholds that cannot be met, hostile names).
//!
//! Consistent snapshots are always on, signatures are over OLPC canonical JSON, key ids are the specification's own.
//! Reading here is for the tools that write ([`read_root`], [`read_targets`]) and verifies nothing: whoever has to
//! believe a file takes [`crate::verify`].

mod target;

pub(crate) use target::entry_of;
pub use target::{FilePin, NAME_BYTES_MAX, TargetAbout, TargetEntry, TargetKind};

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use thiserror::Error;
use warden_model::{ByteCount, Sha256Digest, Timestamp};

use crate::canonical::{CanonicalError, to_canonical};
use crate::role::Role;
use crate::sign::{PublicKey, SignError, Signer};
use crate::{hex, json, sha256};

/// The version of the specification that the files follow.
pub const SPEC_VERSION: &str = "1.0.34";

/// Metadata that cannot be written, or not be read for writing anew.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RepositoryError {
    /// Nobody signs.
    #[error("nobody signs the {role} metadata")]
    NoSigner {
        /// The role.
        role: Role,
    },
    /// The same key would sign, or be listed, twice.
    #[error("the key {key_id} comes twice in {role}")]
    DuplicateKey {
        /// The role.
        role: Role,
        /// The key.
        key_id: String,
    },
    /// The threshold can never be met, or asks for nothing.
    #[error("a threshold of {threshold} does not fit the {keys} keys of {role}")]
    Threshold {
        /// The role.
        role: Role,
        /// How many signatures it asks for.
        threshold: u32,
        /// How many keys there are.
        keys: usize,
    },
    /// Versions start at 1 (TUF 1.0.34 §4.3).
    #[error("the version of {role} metadata is 0; versions start at 1")]
    VersionZero {
        /// The role.
        role: Role,
    },
    /// The moment has no RFC 3339 form.
    #[error("metadata cannot expire at {at}: only the years 0 to 9999 can be written")]
    Expires {
        /// The moment.
        at: Timestamp,
    },
    /// Two entries have one name.
    #[error("two targets are named {name:?}")]
    DuplicateTarget {
        /// The name.
        name: String,
    },
    /// A name that might leave its folder or confuse people.
    #[error("{name:?} cannot name a target: {reason}")]
    TargetName {
        /// The name, cut to 80 characters.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// The file would be larger than what devices read.
    #[error("the {role} metadata has {bytes}, more than the {max} that devices read", max = role.bytes_max())]
    TooLarge {
        /// The role.
        role: Role,
        /// Its size.
        bytes: ByteCount,
    },
    /// The file is no metadata of the role.
    #[error("read the {role} metadata: {detail}")]
    Read {
        /// The role that was expected.
        role: Role,
        /// What is wrong.
        detail: String,
    },
    /// A key would not sign.
    #[error("sign the {role} metadata")]
    Sign {
        /// The role.
        role: Role,
        /// Why not.
        source: SignError,
    },
    /// The metadata has no canonical form.
    #[error("put the {role} metadata into canonical form")]
    Canonical {
        /// The role.
        role: Role,
        /// Why not.
        source: CanonicalError,
    },
}

/// The keys of one role, and how many of them must sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    /// The keys; each once.
    pub keys: Vec<PublicKey>,
    /// How many of them must sign: 1 to the number of keys.
    pub threshold: u32,
}

/// The keys of all roles: what a root says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleKeys {
    /// Who may sign the next root.
    pub root: KeySet,
    /// Who may sign targets.
    pub targets: KeySet,
    /// Who may sign snapshots.
    pub snapshot: KeySet,
    /// Who may sign timestamps.
    pub timestamp: KeySet,
}

impl RoleKeys {
    /// Returns the keys of one role.
    pub fn of(&self, role: Role) -> &KeySet {
        match role {
            Role::Root => &self.root,
            Role::Targets => &self.targets,
            Role::Snapshot => &self.snapshot,
            Role::Timestamp => &self.timestamp,
        }
    }
}

/// How one file names the exact bytes of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaPin {
    /// Its version.
    pub version: u64,
    /// Its size.
    pub length: ByteCount,
    /// Its digest.
    pub sha256: Sha256Digest,
}

impl MetaPin {
    /// Pins a file.
    pub fn of(version: u64, bytes: &[u8]) -> Self {
        Self {
            version,
            length: ByteCount(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            sha256: sha256(bytes),
        }
    }

    fn to_value(self) -> Value {
        json!({ "version": self.version, "length": self.length.0, "hashes": { "sha256": self.sha256.to_string() } })
    }
}

/// Writes root metadata (TUF 1.0.34 §4.3).
///
/// When keys change, the signers are a threshold of the root keys before and a threshold of the root keys after
/// (§6.1); who is not in the room signs later with [`co_sign`].
pub fn root(
    version: u64,
    expires: Timestamp,
    keys: &RoleKeys,
    signers: &[&dyn Signer],
) -> Result<Vec<u8>, RepositoryError> {
    let mut all = Map::new();
    let mut roles = Map::new();
    for role in Role::ALL {
        let KeySet { keys, threshold } = keys.of(role);
        if *threshold == 0 || usize::try_from(*threshold).is_ok_and(|threshold| threshold > keys.len()) {
            return Err(RepositoryError::Threshold { role, threshold: *threshold, keys: keys.len() });
        }
        let mut key_ids = BTreeSet::new();
        for key in keys {
            let key_id = key.key_id();
            all.insert(key_id.clone(), key.to_tuf());
            if !key_ids.insert(key_id.clone()) {
                return Err(RepositoryError::DuplicateKey { role, key_id });
            }
        }
        roles.insert(role.to_string(), json!({ "keyids": key_ids, "threshold": threshold }));
    }
    let body = json!({ "consistent_snapshot": true, "keys": all, "roles": roles });
    write(Role::Root, version, expires, body, signers)
}

/// Writes targets metadata (TUF 1.0.34 §4.5).
pub fn targets(
    version: u64,
    expires: Timestamp,
    entries: &[TargetEntry],
    signers: &[&dyn Signer],
) -> Result<Vec<u8>, RepositoryError> {
    let mut listed = Map::new();
    for entry in entries {
        target::check_name(&entry.name)?;
        if listed.insert(entry.name.clone(), target::value_of(entry)).is_some() {
            return Err(RepositoryError::DuplicateTarget { name: entry.name.clone() });
        }
    }
    write(Role::Targets, version, expires, json!({ "targets": listed }), signers)
}

/// Writes snapshot metadata (TUF 1.0.34 §4.4) that pins one targets file.
pub fn snapshot(
    version: u64,
    expires: Timestamp,
    targets: &MetaPin,
    signers: &[&dyn Signer],
) -> Result<Vec<u8>, RepositoryError> {
    let body = json!({ "meta": { "targets.json": targets.to_value() } });
    write(Role::Snapshot, version, expires, body, signers)
}

/// Writes timestamp metadata (TUF 1.0.34 §4.6) that pins one snapshot file.
pub fn timestamp(
    version: u64,
    expires: Timestamp,
    snapshot: &MetaPin,
    signers: &[&dyn Signer],
) -> Result<Vec<u8>, RepositoryError> {
    let body = json!({ "meta": { "snapshot.json": snapshot.to_value() } });
    write(Role::Timestamp, version, expires, body, signers)
}

/// Adds a signature to metadata that others have written; a signature that the key left before is replaced.
pub fn co_sign(role: Role, bytes: &[u8], signer: &dyn Signer) -> Result<Vec<u8>, RepositoryError> {
    let file = read(role, bytes)?;
    let body = file.get("signed").cloned().unwrap_or_default();
    let mut signatures: Vec<Value> =
        file.get("signatures").and_then(Value::as_array).cloned().unwrap_or_default();
    let added = signature(role, &body, signer)?;
    signatures.retain(|entry| entry.get("keyid") != added.get("keyid"));
    signatures.push(added);
    finish(role, &body, signatures)
}

/// What targets metadata lists, in the order of the names. Unverified, unless it comes in a
/// [`crate::Verified`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The version of the file.
    pub version: u64,
    /// When it expires.
    pub expires: Timestamp,
    /// What it lists.
    pub entries: Vec<TargetEntry>,
}

/// Reads targets metadata without believing it: for the tool that adds entries and signs anew.
///
/// An entry that this version of the program does not understand is an error here, because writing the file anew
/// would lose it.
pub fn read_targets(bytes: &[u8]) -> Result<Listing, RepositoryError> {
    let role = Role::Targets;
    let file = read(role, bytes)?;
    let (version, expires) = head(role, &file)?;
    let listed = file.pointer("/signed/targets").and_then(Value::as_object);
    let listed = listed.ok_or_else(|| misread(role, "it has no list of targets"))?;
    let entries = listed.iter().map(|(name, value)| target::read(name, value)).collect::<Result<_, _>>()?;
    Ok(Listing { version, expires, entries })
}

/// What root metadata says; unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootListing {
    /// The version of the file.
    pub version: u64,
    /// When it expires.
    pub expires: Timestamp,
    /// The keys of all roles.
    pub keys: RoleKeys,
}

/// Reads root metadata without believing it: for the tool that changes keys and signs anew.
pub fn read_root(bytes: &[u8]) -> Result<RootListing, RepositoryError> {
    let file = read(Role::Root, bytes)?;
    let (version, expires) = head(Role::Root, &file)?;
    let keys = RoleKeys {
        root: key_set(&file, Role::Root)?,
        targets: key_set(&file, Role::Targets)?,
        snapshot: key_set(&file, Role::Snapshot)?,
        timestamp: key_set(&file, Role::Timestamp)?,
    };
    Ok(RootListing { version, expires, keys })
}

fn key_set(file: &Value, role: Role) -> Result<KeySet, RepositoryError> {
    let part = |name: &str| file.pointer(&format!("/signed/roles/{role}/{name}"));
    let threshold = part("threshold").and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok());
    let threshold = threshold.ok_or_else(|| misread(Role::Root, "a role has no threshold"))?;
    let key_ids = part("keyids").and_then(Value::as_array);
    let key_ids = key_ids.ok_or_else(|| misread(Role::Root, "a role has no keys"))?;
    let keys = key_ids.iter().map(|key_id| {
        let value = key_id.as_str().and_then(|key_id| file.get("signed")?.get("keys")?.get(key_id));
        let value = value.ok_or_else(|| misread(Role::Root, "a role names a key that is not there"))?;
        PublicKey::from_tuf(value).map_err(|error| misread(Role::Root, &error.to_string()))
    });
    Ok(KeySet { keys: keys.collect::<Result<_, _>>()?, threshold })
}

pub(crate) fn misread(role: Role, detail: &str) -> RepositoryError {
    RepositoryError::Read { role, detail: detail.to_owned() }
}

/// Reads a file that claims to be of the role.
fn read(role: Role, bytes: &[u8]) -> Result<Value, RepositoryError> {
    check_size(role, bytes)?;
    let file = json::parse(bytes).map_err(|error| misread(role, &error.detail))?;
    match file.pointer("/signed/_type").and_then(Value::as_str) {
        Some(word) if word == role.word() => Ok(file),
        Some(_) | None => Err(misread(role, "it is of another type")),
    }
}

fn head(role: Role, file: &Value) -> Result<(u64, Timestamp), RepositoryError> {
    let version = file.pointer("/signed/version").and_then(Value::as_u64);
    let expires = file.pointer("/signed/expires").and_then(Value::as_str).and_then(|text| text.parse().ok());
    version.zip(expires).ok_or_else(|| misread(role, "it has no version or no expiry"))
}

fn write(
    role: Role,
    version: u64,
    expires: Timestamp,
    body: Value,
    signers: &[&dyn Signer],
) -> Result<Vec<u8>, RepositoryError> {
    if version == 0 {
        return Err(RepositoryError::VersionZero { role });
    }
    if signers.is_empty() {
        return Err(RepositoryError::NoSigner { role });
    }
    let head = json!({
        "_type": role.word(),
        "spec_version": SPEC_VERSION,
        "version": version,
        "expires": expiry(expires)?,
    });
    let mut signed = Map::new();
    for part in [head, body] {
        if let Value::Object(part) = part {
            signed.extend(part);
        }
    }
    let signed = Value::Object(signed);
    let mut key_ids = BTreeSet::new();
    let mut signatures = Vec::new();
    for signer in signers {
        let key_id = signer.public_key().key_id();
        signatures.push(signature(role, &signed, *signer)?);
        if !key_ids.insert(key_id.clone()) {
            // §4.2: the signatures of one role are by distinct keys.
            return Err(RepositoryError::DuplicateKey { role, key_id });
        }
    }
    finish(role, &signed, signatures)
}

/// Writes a moment as §4.2 wants it: `YYYY-MM-DDTHH:MM:SSZ`, no fractions.
fn expiry(at: Timestamp) -> Result<String, RepositoryError> {
    let text = Timestamp(at.unix_seconds().saturating_mul(1000)).to_string();
    if text.len() == "2026-11-22T08:00:00Z".len() && text.ends_with('Z') {
        Ok(text)
    } else {
        Err(RepositoryError::Expires { at })
    }
}

fn signature(role: Role, body: &Value, signer: &dyn Signer) -> Result<Value, RepositoryError> {
    let message = to_canonical(body).map_err(|source| RepositoryError::Canonical { role, source })?;
    let signature = signer.sign(&message).map_err(|source| RepositoryError::Sign { role, source })?;
    Ok(json!({ "keyid": signer.public_key().key_id(), "sig": hex::encode(&signature) }))
}

fn finish(role: Role, signed: &Value, mut signatures: Vec<Value>) -> Result<Vec<u8>, RepositoryError> {
    signatures.sort_by_key(|entry| entry.get("keyid").and_then(Value::as_str).map(str::to_owned));
    // Plain JSON, not the canonical form: that one is no JSON where a PEM key brings line breaks.
    let bytes = json!({ "signatures": signatures, "signed": signed }).to_string().into_bytes();
    check_size(role, &bytes)?;
    Ok(bytes)
}

fn check_size(role: Role, bytes: &[u8]) -> Result<(), RepositoryError> {
    let size = ByteCount(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    if size > role.bytes_max() { Err(RepositoryError::TooLarge { role, bytes: size }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
