//! What a server asks before it publishes targets that somebody uploads; refuses what its own devices would refuse.

use sigstore_tuf::{Metadata, Root, Targets};
use warden_model::Timestamp;

use super::{TrustError, check_root, moment, provider, vet};
use crate::repository::{Listing, RepositoryError, read_targets};
use crate::role::Role;
use crate::verified::Verified;

/// Checks uploaded targets metadata against the server's own root: threshold of signatures, expiry, and a version
/// above the current one (the very same bytes again are fine: an upload may be repeated).
pub fn accept_targets(
    root: &[u8],
    candidate: &[u8],
    current: Option<&[u8]>,
    now: Timestamp,
) -> Result<Verified<Listing>, TrustError> {
    provider::install();
    let now = moment(now);
    let root = signed_root(root)?;
    if root.expires < now {
        return Err(TrustError::Expired { role: Role::Root, at: Timestamp(root.expires.as_millisecond()) });
    }
    let targets = signed_targets(&root, candidate)?;
    if targets.expires < now {
        return Err(TrustError::Expired {
            role: Role::Targets,
            at: Timestamp(targets.expires.as_millisecond()),
        });
    }
    if let Some(current) = current.filter(|current| *current != candidate) {
        // The current file came through this very check; only its version matters, whatever became of its keys.
        let have = read_targets(current).map_err(|error| malformed(&error))?.version;
        if targets.version <= have {
            // The same number for other bytes: devices that hold the first would never learn of the second.
            return Err(TrustError::Rollback { role: Role::Targets, have, got: targets.version });
        }
    }
    read_targets(candidate).map(Verified::new).map_err(|error| malformed(&error))
}

fn malformed(error: &RepositoryError) -> TrustError {
    TrustError::Malformed { role: Role::Targets, detail: error.to_string() }
}

fn signed_root(bytes: &[u8]) -> Result<Root, TrustError> {
    vet(Role::Root, bytes)?;
    let ours = |error| TrustError::of(Role::Root, &error);
    let root = Metadata::<Root>::from_slice(bytes).map_err(ours)?;
    check_root(root.signed())?;
    // `check_root` has seen keys for every role.
    if let Some(keys) = root.signed().role("root") {
        root.verify_threshold(&root.signed().keys, keys, "root").map_err(ours)?;
    }
    Ok(root.into_signed())
}

fn signed_targets(root: &Root, bytes: &[u8]) -> Result<Targets, TrustError> {
    let role = Role::Targets;
    vet(role, bytes)?;
    let ours = |error| TrustError::of(role, &error);
    let targets = Metadata::<Targets>::from_slice(bytes).map_err(ours)?;
    let keys = root.role("targets").ok_or_else(|| TrustError::Malformed {
        role: Role::Root,
        detail: "it has no keys for targets".to_owned(),
    })?;
    targets.verify_threshold(&root.keys, keys, "targets").map_err(ours)?;
    Ok(targets.into_signed())
}
