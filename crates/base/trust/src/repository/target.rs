//! One target: an image or a patch, as targets metadata lists it; refuses names that could leave a folder.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use warden_model::firmware::Version;
use warden_model::{ByteCount, HardwareId, ProductId, Sha256Digest};

use super::{RepositoryError, misread};
use crate::role::Role;

/// Longest target name, in bytes: it becomes part of a URL and of a path, which hold 255 bytes a part everywhere.
pub const NAME_BYTES_MAX: usize = 200;

/// The format of `custom` that this version writes. A reader that meets another one leaves the target alone: it was
/// made for a newer device.
const CUSTOM_FORMAT: u64 = 1;

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetKind {
    /// A whole firmware image.
    Image,
    /// A patch that makes one image from another.
    Patch {
        /// The image that it applies to.
        base: Sha256Digest,
        /// The image that it makes.
        result: Sha256Digest,
    },
}

/// The exact bytes of a file that belongs to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePin {
    /// Its size.
    pub length: ByteCount,
    /// Its digest.
    pub sha256: Sha256Digest,
}

/// What the maker says about a target: TUF's `custom` (TUF 1.0.34 §4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetAbout {
    /// The product that it is for.
    pub product: ProductId,
    /// The boards that it runs on.
    pub hardware_ids: BTreeSet<HardwareId>,
    /// The version, for people.
    pub version: Version,
    /// The order of releases: a device never goes back below the one that it has confirmed.
    pub release_counter: u64,
    /// Image or patch.
    pub kind: TargetKind,
    /// For an image: the head of its index, which names the index's other parts by digest. Readers that know no index
    /// pass over it.
    pub index: Option<FilePin>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetEntry {
    /// Its name: a relative path.
    pub name: String,
    /// Its exact size.
    pub length: ByteCount,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// What the maker says about it.
    pub about: TargetAbout,
}

/// `custom` as it is written.
#[derive(Serialize, Deserialize)]
struct Custom {
    format: u64,
    product: String,
    hardware_ids: BTreeSet<String>,
    version: String,
    release_counter: u64,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index: Option<CustomPin>,
}

/// A file that belongs to a target, as it is written.
#[derive(Serialize, Deserialize)]
struct CustomPin {
    length: u64,
    sha256: String,
}

/// Checks that a name is a plain relative path: parts of letters, digits and `._+~:-`, none of them starting with a dot.
pub(crate) fn check_name(name: &str) -> Result<(), RepositoryError> {
    let refuse = |reason| Err(RepositoryError::TargetName { name: name.chars().take(80).collect(), reason });
    if name.len() > NAME_BYTES_MAX {
        return refuse("it is longer than 200 bytes");
    }
    for part in name.split('/') {
        if part.is_empty() {
            return refuse("a part of it is empty");
        }
        if part.starts_with('.') {
            return refuse("a part of it starts with a dot");
        }
        if !part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+~:-".contains(&byte)) {
            return refuse("it holds something other than letters, digits, `/` and `._+~:-`");
        }
    }
    Ok(())
}

pub(super) fn value_of(entry: &TargetEntry) -> Value {
    let TargetAbout { product, hardware_ids, version, release_counter, kind, index } = &entry.about;
    let (kind, base, result) = match kind {
        TargetKind::Image => ("image", None, None),
        TargetKind::Patch { base, result } => ("patch", Some(base.to_string()), Some(result.to_string())),
    };
    let custom = Custom {
        format: CUSTOM_FORMAT,
        product: product.to_string(),
        hardware_ids: hardware_ids.iter().map(ToString::to_string).collect(),
        version: version.to_string(),
        release_counter: *release_counter,
        kind: kind.to_owned(),
        base,
        result,
        index: index.map(|pin| CustomPin { length: pin.length.0, sha256: pin.sha256.to_string() }),
    };
    json!({ "length": entry.length.0, "hashes": { "sha256": entry.sha256.to_string() }, "custom": custom })
}

/// Reads an entry for writing it anew.
pub(super) fn read(name: &str, value: &Value) -> Result<TargetEntry, RepositoryError> {
    let hashes: BTreeMap<String, String> = value
        .get("hashes")
        .cloned()
        .and_then(|hashes| serde_json::from_value(hashes).ok())
        .unwrap_or_default();
    let length = value.get("length").and_then(Value::as_u64);
    length.and_then(|length| entry_of(name, length, &hashes, value.get("custom"))).ok_or_else(|| {
        let name: String = name.chars().take(80).collect();
        misread(Role::Targets, &format!("the target {name:?} is of a kind that this version does not know"))
    })
}

/// Reads an entry from the parts of a listed target; nothing when it is hostile, or made for a newer reader.
pub(crate) fn entry_of(
    name: &str,
    length: u64,
    hashes: &BTreeMap<String, String>,
    custom: Option<&Value>,
) -> Option<TargetEntry> {
    check_name(name).ok()?;
    let custom: Custom = serde_json::from_value(custom?.clone()).ok()?;
    if custom.format != CUSTOM_FORMAT {
        return None;
    }
    let kind = match (custom.kind.as_str(), custom.base, custom.result) {
        ("image", None, None) => TargetKind::Image,
        ("patch", Some(base), Some(result)) => {
            TargetKind::Patch { base: base.parse().ok()?, result: result.parse().ok()? }
        }
        _ => return None,
    };
    let index = match custom.index {
        None => None,
        Some(pin) => Some(FilePin { length: ByteCount(pin.length), sha256: pin.sha256.parse().ok()? }),
    };
    let about = TargetAbout {
        product: custom.product.parse().ok()?,
        hardware_ids: custom.hardware_ids.iter().map(|id| id.parse().ok()).collect::<Option<_>>()?,
        version: custom.version.parse().ok()?,
        release_counter: custom.release_counter,
        kind,
        index,
    };
    let sha256 = hashes.get("sha256")?.parse().ok()?;
    Some(TargetEntry { name: name.to_owned(), length: ByteCount(length), sha256, about })
}
