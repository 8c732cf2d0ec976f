//! What can go wrong with the database.

use std::path::PathBuf;

use thiserror::Error;
use warden_wire::page::PageError;

/// What can go wrong with the database.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder cannot be made.
    #[error("make the data directory {}", path.display())]
    MakeFolder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("open the database {}", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the driver says.
        source: sqlx::Error,
    },
    /// The database was written by a newer version of this program.
    #[error("the database has schema {found}, this program knows up to {known}")]
    NewerSchema {
        /// The schema of the database.
        found: i64,
        /// The newest schema that is known here.
        known: i64,
    },
    /// The schema cannot be brought up to date.
    #[error("bring the database schema up to date")]
    Migrate {
        /// What the migrator says.
        source: sqlx::migrate::MigrateError,
    },
    /// A query failed.
    #[error("read or write {table}")]
    Query {
        /// The table.
        table: &'static str,
        /// What the driver says.
        source: sqlx::Error,
    },
    /// A transaction could not be started or ended.
    #[error("{attempt} a transaction")]
    Transaction {
        /// What was attempted: `begin` or `commit`.
        attempt: &'static str,
        /// What the driver says.
        source: sqlx::Error,
    },
    /// A value names something that is not there, for instance a device of an unknown product.
    #[error("write a value whose product, device, release, rollout, order or advisory is unknown")]
    MissingParent,
    /// There is no room left where the database is.
    #[error("the disk that holds the database is full")]
    StorageFull,
    /// Another process held the database for too long.
    #[error("another process holds the database")]
    Busy,
    /// A stored value cannot be read back.
    #[error("{table}.{column} of row {row:?} holds what this version does not understand: {why}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The key of the row.
        row: String,
        /// Why it cannot be read.
        why: String,
    },
    /// A value cannot be stored.
    #[error("{table}.{column} cannot hold the value: {why}")]
    Unfit {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Why it cannot be stored.
        why: String,
    },
    /// The page that is asked for cannot be given.
    #[error(transparent)]
    Page(#[from] PageError),
}

impl StoreError {
    /// Returns what a person can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NewerSchema { .. } => {
                Some("start the version that wrote the database, or restore a copy from before the update")
            }
            Self::StorageFull => Some("free space on the disk of the data directory; nothing was lost"),
            Self::Busy => Some("stop the other server that uses this data directory"),
            Self::MakeFolder { .. } | Self::Open { .. } => {
                Some("check that the data directory belongs to the user that runs the server")
            }
            Self::Page(_) => Some("ask for the first page again, without a cursor"),
            Self::Corrupt { .. } => {
                Some("the value was written by another version, or by hand; restore it from a copy")
            }
            Self::Migrate { .. }
            | Self::Query { .. }
            | Self::Transaction { .. }
            | Self::MissingParent
            | Self::Unfit { .. } => None,
        }
    }

    /// Gives the failures that a caller can act on their own variant.
    pub(crate) fn query(table: &'static str, source: sqlx::Error) -> Self {
        Self::known(&source).unwrap_or(Self::Query { table, source })
    }

    /// The same for the frame of a transaction.
    pub(crate) fn transaction(attempt: &'static str, source: sqlx::Error) -> Self {
        Self::known(&source).unwrap_or(Self::Transaction { attempt, source })
    }

    fn known(source: &sqlx::Error) -> Option<Self> {
        let failure = source.as_database_error()?;
        if failure.is_foreign_key_violation() {
            return Some(Self::MissingParent);
        }
        // The low byte of an extended result code is the result code (https://www.sqlite.org/rescode.html).
        let code: i64 = failure.code()?.parse().ok()?;
        match code & 0xff {
            5 => Some(Self::Busy),
            13 => Some(Self::StorageFull),
            _ => None,
        }
    }
}
