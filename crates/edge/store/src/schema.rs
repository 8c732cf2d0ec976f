//! The schema and its history.
//!
//! In: a database of any older version, or an empty one. Out: the same database at the newest version. Refuses:
//! databases of a newer version, and histories that were changed.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Row as _, SqlSafeStr as _, SqlitePool};

use crate::error::StoreError;

/// All steps of the schema, in order. A step that was shipped never changes: a new one follows.
const STEPS: &[(i64, &str, &str)] = &[
    (1, "start", include_str!("../migrations/0001_start.sql")),
    (2, "patches", include_str!("../migrations/0002_patches.sql")),
    (3, "scans", include_str!("../migrations/0003_scans.sql")),
    (4, "exploitation", include_str!("../migrations/0004_exploitation.sql")),
];

/// Returns the newest version of the schema that this program knows.
pub(crate) fn known() -> i64 {
    STEPS.iter().map(|(version, _, _)| *version).max().unwrap_or(0)
}

/// Brings the database to the newest version.
pub(crate) async fn migrate(database: &SqlitePool) -> Result<(), StoreError> {
    let found = found(database).await?;
    let known = known();
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    let step = |(version, name, text): &(i64, &'static str, &'static str)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(STEPS.iter().map(step).collect())
        .run(database)
        .await
        .map_err(|source| StoreError::Migrate { source })
}

/// Returns the version of the database; 0 when it is empty.
async fn found(database: &SqlitePool) -> Result<i64, StoreError> {
    let failed = |source| StoreError::query("_sqlx_migrations", source);
    let has_history =
        sqlx::query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'")
            .fetch_optional(database)
            .await
            .map_err(failed)?;
    if has_history.is_none() {
        return Ok(0);
    }
    let row = sqlx::query("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
        .fetch_one(database)
        .await
        .map_err(failed)?;
    row.try_get(0).map_err(failed)
}
