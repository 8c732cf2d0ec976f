//! Typed ids: a device id can never be passed where a release id is meant.

use thiserror::Error;

/// Longest id, in bytes. Ids travel in URLs, file names and certificates: 64 is what all of them hold with ease, and
/// a UUID, a MAC address or a serial number fits.
pub const ID_BYTES_MAX: usize = 64;

/// A text that cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// The text is empty.
    #[error("{kind} id is empty")]
    Empty {
        /// The kind of id.
        kind: &'static str,
    },
    /// The text is longer than [`ID_BYTES_MAX`].
    #[error("{kind} id has {bytes} bytes, more than the {ID_BYTES_MAX} that are allowed")]
    TooLong {
        /// The kind of id.
        kind: &'static str,
        /// How long the text is, in bytes.
        bytes: usize,
    },
    /// The text holds a character that is not allowed, or starts with one that is allowed only later.
    #[error(
        "{kind} id holds {found:?}: letters, digits, `.`, `_`, `:` and `-` are allowed, the first a letter or digit"
    )]
    Character {
        /// The kind of id.
        kind: &'static str,
        /// The first character that is not allowed.
        found: char,
    },
}

fn check(kind: &'static str, text: &str) -> Result<(), IdError> {
    if text.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong { kind, bytes: text.len() });
    }
    let Some(first) = text.chars().next() else { return Err(IdError::Empty { kind }) };
    if !first.is_ascii_alphanumeric() {
        return Err(IdError::Character { kind, found: first });
    }
    match text.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | ':' | '-')) {
        Some(found) => Err(IdError::Character { kind, found }),
        None => Ok(()),
    }
}

/// Declares typed ids. A macro, because a function cannot declare a type.
macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident: $kind:literal),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks a text and makes it an id: 1 to 64 letters, digits, `.`, `_`, `:`, `-`; first a letter or digit.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check($kind, &text)?;
                Ok(Self(text))
            }

            /// Returns the id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
    )+};
}

ids! {
    /// Names a device for life; also its DDI controller id and the last part of its SPIFFE identity.
    DeviceId: "device",
    /// Names a product: all devices that run the same firmware.
    ProductId: "product",
    /// Names a hardware revision (board) that a firmware may run on.
    HardwareId: "hardware",
    /// Names a release of a product.
    ReleaseId: "release",
    /// Names a rollout.
    RolloutId: "rollout",
    /// Names an advisory as its publisher does, for instance `CVE-2022-48174`.
    AdvisoryId: "advisory",
    /// Names a case: one advisory on one device.
    CaseId: "case",
    /// Names an alert.
    AlertId: "alert",
    /// Names a shield.
    ShieldId: "shield",
    /// Names a network segment.
    SegmentId: "segment",
    /// Names an imported scan report: the first digits of its digest.
    ScanId: "scan",
}

/// Names one order to one device; DDI wants an integer here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionId(pub u64);

impl std::fmt::Display for ActionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{DeviceId, IdError};

    fn check(text: &str, expected: Option<&IdError>) {
        assert_eq!(DeviceId::new(text).err().as_ref(), expected, "{text:?}");
    }

    #[test]
    fn an_id_can_never_leave_its_folder_or_its_url() {
        check("cam-01", None);
        check("00:11:22:33:44:55", None);
        check("", Some(&IdError::Empty { kind: "device" }));
        check("../etc", Some(&IdError::Character { kind: "device", found: '.' }));
        check("a/b", Some(&IdError::Character { kind: "device", found: '/' }));
        check("a b", Some(&IdError::Character { kind: "device", found: ' ' }));
        check("gerät", Some(&IdError::Character { kind: "device", found: 'ä' }));
        check(&"x".repeat(65), Some(&IdError::TooLong { kind: "device", bytes: 65 }));
    }
}
