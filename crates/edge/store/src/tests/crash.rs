//! A crash loses nothing that was committed, and keeps nothing that was not.

use std::path::Path;

use warden_model::ActionId;

use super::build::{self, Seed};
use super::run;
use crate::{Store, StoreError, Write};

fn product(number: u64) -> Write {
    Write::Product(build::product(Seed(number)))
}

/// What a machine finds that lost its power now: the files as they are, with every handle still open.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // The shared memory file is rebuilt from the log after a crash; a stale copy must not be needed.
        if !entry.file_name().to_str().unwrap().ends_with("-shm") {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn the_files_hold_what_was_committed_at_any_moment() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        for number in 0..12 {
            store.commit(&[product(number)]).await.unwrap();
            let action = store.reserve_action_ids(1).await.unwrap();
            assert_eq!(action, ActionId(number + 1));
            // Half a transaction is on its way while the power goes.
            let mut half = store.begin().await.unwrap();
            crate::write::apply(&mut half, &product(100)).await.unwrap();
            let crashed = tempfile::tempdir().unwrap();
            copy(dir.path(), crashed.path());
            drop(half);
            let found = Store::open(crashed.path()).await.unwrap();
            assert_eq!(found.products().await.unwrap().len() as u64, number + 1);
            assert_eq!(found.reserve_action_ids(1).await.unwrap(), ActionId(number + 2), "never given twice");
        }
    });
}

#[test]
fn a_database_dropped_without_closing_opens_again() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("data")).await.unwrap();
        store.commit(&[product(1)]).await.unwrap();
        drop(store);
        let store = Store::open(&dir.path().join("data")).await.unwrap();
        assert_eq!(store.products().await.unwrap().len(), 1);
        store.commit(&[product(2)]).await.unwrap();
        store.close().await;
        let store = Store::open(&dir.path().join("data")).await.unwrap();
        assert_eq!(store.products().await.unwrap().len(), 2);
    });
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (7, 'from the future', TRUE, x'00', 0)";
        sqlx::query(newer).execute(store.writer()).await.unwrap();
        store.close().await;
        let error = Store::open(dir.path()).await.unwrap_err();
        let newest = crate::schema::known();
        assert!(matches!(error, StoreError::NewerSchema { found: 7, known } if known == newest), "{error}");
        assert!(error.hint().is_some());
    });
}

#[test]
fn a_file_that_is_no_database_is_named() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("fleetwarden.db"), "this is no database, and long enough to see it")
            .unwrap();
        let error = Store::open(dir.path()).await.unwrap_err();
        assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
        assert!(error.to_string().contains("fleetwarden.db"), "{error}");
    });
}

#[test]
fn a_full_disk_has_a_name_and_loses_nothing() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        store.commit(&[product(1)]).await.unwrap();
        // The database may not grow any more, which is what it sees of a full disk.
        sqlx::query("PRAGMA max_page_count = 1").execute(store.writer()).await.unwrap();
        let key = "rules".to_owned();
        let large = Write::Setting { key, value: serde_json::Value::String("x".repeat(1 << 20)) };
        let error = store.commit(&[product(2), large]).await.unwrap_err();
        assert!(matches!(error, StoreError::StorageFull), "{error:?}");
        assert_eq!(store.products().await.unwrap().len(), 1);
        // The next connection of the writer knows nothing of the test's limit: there is room again.
        store.commit(&[product(2)]).await.unwrap();
        assert_eq!(store.products().await.unwrap().len(), 2);
    });
}
