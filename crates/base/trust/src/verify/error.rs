//! Why metadata is not believed: the error names the attack.

use thiserror::Error;
use warden_model::{ByteCount, Timestamp};

use crate::role::Role;

/// Metadata that is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TrustError {
    /// Too few of the role's keys have signed: a forgery, a stolen key below the threshold, or a changed byte.
    #[error("{role} metadata: {found} of the {threshold} signatures that are needed")]
    WrongSignature {
        /// The role.
        role: Role,
        /// How many valid signatures there are.
        found: usize,
        /// How many there must be.
        threshold: usize,
    },
    /// One key has signed twice, or is listed twice under two names.
    #[error("{role} metadata: the key {key_id} counts twice")]
    DuplicateKey {
        /// The role.
        role: Role,
        /// The key.
        key_id: String,
    },
    /// The metadata is too old to be believed: a freeze, or a repository that nobody cares for.
    #[error("{role} metadata expired at {at}")]
    Expired {
        /// The role.
        role: Role,
        /// When it expired.
        at: Timestamp,
    },
    /// The metadata is older than what was believed before.
    #[error("{role} metadata: version {got} is offered, but version {have} was seen already")]
    Rollback {
        /// The role.
        role: Role,
        /// The version that was seen.
        have: u64,
        /// The version that is offered.
        got: u64,
    },
    /// A root does not follow the one that is trusted.
    #[error("root metadata: version {got} does not follow version {have}")]
    RootOutOfOrder {
        /// The version that is trusted.
        have: u64,
        /// The version that is offered.
        got: u64,
    },
    /// The metadata is not the one that the role above it names: files of different moments, or changed bytes.
    #[error("{role} metadata is not the one that belongs to the rest: {detail}")]
    MixAndMatch {
        /// The role.
        role: Role,
        /// What differs.
        detail: String,
    },
    /// The metadata is larger than its role may be: endless data.
    #[error("{role} metadata is larger than {max}")]
    TooLarge {
        /// The role.
        role: Role,
        /// The limit.
        max: ByteCount,
    },
    /// The bytes are no metadata of the role.
    #[error("{role} metadata is malformed: {detail}")]
    Malformed {
        /// The role.
        role: Role,
        /// What is wrong.
        detail: String,
    },
    /// More new roots in one round than anybody makes: endless data.
    #[error("more than {max} new roots in one round")]
    TooManyRoots {
        /// The limit.
        max: u32,
    },
    /// The caller gave metadata of a role that is not due.
    #[error("{got} metadata came, but {due} is due")]
    OutOfTurn {
        /// The role that came.
        got: Role,
        /// What is due: a role, or `nothing`.
        due: &'static str,
    },
}

impl TrustError {
    /// Puts an error of the library into our words; `role` is the role that was being read.
    pub(super) fn of(role: Role, error: &sigstore_tuf::Error) -> Self {
        use sigstore_tuf::Error as Theirs;
        match error {
            Theirs::ThresholdNotMet { found, threshold, .. } => {
                Self::WrongSignature { role, found: *found, threshold: *threshold }
            }
            Theirs::DuplicateSignature { key_id, .. } => Self::DuplicateKey { role, key_id: key_id.clone() },
            Theirs::Rollback { role: name, trusted, new } => {
                Self::Rollback { role: named(name).unwrap_or(role), have: *trusted, got: *new }
            }
            Theirs::BadRootVersion { trusted, new } if new <= trusted => {
                Self::Rollback { role, have: *trusted, got: *new }
            }
            Theirs::BadRootVersion { trusted, new } => Self::RootOutOfOrder { have: *trusted, got: *new },
            Theirs::Expired { role: name, expires } => {
                Self::Expired { role: named(name).unwrap_or(role), at: Timestamp(expires.as_millisecond()) }
            }
            Theirs::IntegrityMismatch(detail) => Self::MixAndMatch { role, detail: detail.clone() },
            other => Self::Malformed { role, detail: chain(other) },
        }
    }

    /// Returns one word for the attack that the error stands for, for logs and reports.
    pub const fn attack(&self) -> &'static str {
        match self {
            Self::WrongSignature { .. } => "wrong-signature",
            Self::DuplicateKey { .. } => "duplicate-key",
            Self::Expired { .. } => "freeze",
            Self::Rollback { .. } => "rollback",
            Self::RootOutOfOrder { .. } => "root-out-of-order",
            Self::MixAndMatch { .. } => "mix-and-match",
            Self::TooLarge { .. } | Self::TooManyRoots { .. } => "endless-data",
            Self::Malformed { .. } => "malformed",
            Self::OutOfTurn { .. } => "out-of-turn",
        }
    }
}

/// The library names roles in words such as `snapshot (via timestamp)` and `targets.json (via snapshot)`.
fn named(words: &str) -> Option<Role> {
    Role::ALL.into_iter().find(|role| words.starts_with(role.word()))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    // The text may quote the file; nobody needs more of a hostile one.
    text.chars().take(300).collect()
}
