//! The four top-level roles of TUF: their words, file names and sizes.

use warden_model::ByteCount;

/// A top-level role (TUF 1.0.34 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Says which keys may sign for which role.
    Root,
    /// Lists what may be installed.
    Targets,
    /// Says which version of the targets belongs to now.
    Snapshot,
    /// Says which snapshot belongs to now; short-lived.
    Timestamp,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Root, Self::Targets, Self::Snapshot, Self::Timestamp];

    /// Returns the word that metadata uses for the role.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
        }
    }

    /// Returns the largest file of the role that is read or written.
    ///
    /// A device parses metadata in memory and may have 32 MiB in all; parsed JSON takes up to ten times its file.
    pub const fn bytes_max(self) -> ByteCount {
        match self {
            // A root with 20 keys and 20 signatures takes 10 KiB.
            Self::Root => ByteCount::kib(64),
            // An image takes about 250 bytes, a patch 400: room for 5,000 of them.
            Self::Targets => ByteCount::mib(2),
            // One pin takes 200 bytes; delegated roles will add one each.
            Self::Snapshot => ByteCount::kib(256),
            // One pin and a few signatures; fetched by every device all the time.
            Self::Timestamp => ByteCount::kib(16),
        }
    }

    /// Returns the name of the file that holds this version of the role, with consistent snapshots (§7.2.1): the
    /// version stands before all names but the timestamp's.
    pub fn file_name(self, version: u64) -> String {
        match self {
            Self::Root | Self::Targets | Self::Snapshot => format!("{version}.{self}.json"),
            Self::Timestamp => "timestamp.json".to_owned(),
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}
