//! The database: opening, closing, committing, listening.
//!
//! In: a data directory; writes. Out: a handle that can be cloned; events as they are committed. Refuses: databases of
//! a newer version.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, Sqlite, Transaction};
use tokio::sync::broadcast;
use warden_model::event::Event;

use crate::error::StoreError;
use crate::schema;
use crate::write::{self, Write};

/// The name of the database file in the data directory.
const FILE_NAME: &str = "fleetwarden.db";

/// How long a writer waits for another process that holds the database, for instance a backup: longer than a backup of
/// a hundred thousand devices holds its lock, shorter than a person waits.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many queries read at the same time: more than the two to four cores of a small server bring nothing.
const READERS: u32 = 4;

/// How many events a slow listener may lag behind before it misses some: a rollout step over a thousand devices.
const EVENTS_KEPT: usize = 4096;

/// A handle to the database; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// One connection: SQLite has one writer at a time, and waiting here is fairer and cheaper than polling its lock.
    writer: SqlitePool,
    reader: SqlitePool,
    /// Absent once nothing more will be told.
    events: RwLock<Option<broadcast::Sender<Event>>>,
}

impl Store {
    /// Opens the database in a data directory; makes both when they are not there.
    pub async fn open(dir: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(dir)
            .map_err(|source| StoreError::MakeFolder { path: dir.to_owned(), source })?;
        let path = dir.join(FILE_NAME);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL, not NORMAL: with NORMAL a power cut may take back committed transactions. The server would hand
            // out an action id or a generation twice, and devices would refuse orders as replays.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let opened = |source| StoreError::Open { path: path.clone(), source };
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            // On a full disk SQLite rolls a transaction back by itself, and the driver, which does not notice, could
            // never begin another one on that connection (https://www.sqlite.org/lang_transaction.html, "Response to
            // errors within a transaction"): such a connection is closed, and a new one takes its place.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(options.clone())
            .await
            .map_err(opened)?;
        schema::migrate(&writer).await?;
        let reader = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.pragma("query_only", "1"))
            .await
            .map_err(opened)?;
        Ok(Self::over(writer, reader))
    }

    /// Opens an empty database that lives as long as its handles: for tests and simulations.
    pub async fn in_memory() -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
        // One connection for all: each connection in memory is a database of its own, and it must never be closed.
        let only = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Open { path: PathBuf::from(":memory:"), source })?;
        schema::migrate(&only).await?;
        Ok(Self::over(only.clone(), only))
    }

    fn over(writer: SqlitePool, reader: SqlitePool) -> Self {
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        Self { inner: Arc::new(Inner { writer, reader, events: RwLock::new(Some(events)) }) }
    }

    /// Waits for queries that run and closes the database, also for the other handles.
    pub async fn close(self) {
        self.inner.reader.close().await;
        self.inner.writer.close().await;
    }

    /// Writes all values in one transaction: all of them are stored, or none. Writing the same values again changes
    /// nothing. Listeners hear of new events after the transaction has ended.
    pub async fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        let transaction = self.begin().await?;
        self.write_and_end(transaction, writes).await
    }

    /// Writes values as the last part of a transaction, ends it, and tells the listeners.
    pub(crate) async fn write_and_end(
        &self,
        mut transaction: Transaction<'static, Sqlite>,
        writes: &[Write],
    ) -> Result<(), StoreError> {
        let mut news = Vec::new();
        for write in writes {
            news.extend(write::apply(&mut transaction, write).await?);
        }
        transaction.commit().await.map_err(|source| StoreError::transaction("commit", source))?;
        let events = self.inner.events.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(events) = events.as_ref() {
            for event in news {
                // An error means that nobody listens at present.
                events.send(event).ok();
            }
        }
        Ok(())
    }

    /// Listens to events as they are committed. A listener that is too slow is told how many it has missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        let events = self.inner.events.read().unwrap_or_else(PoisonError::into_inner);
        // Nobody sends into a new channel: its listener is told at once that it is closed.
        events.as_ref().map_or_else(|| broadcast::channel(1).1, broadcast::Sender::subscribe)
    }

    /// Ends the listening, for those who listen and for those who come later: a server that stops does not wait for
    /// streams that never end by themselves. Events are kept as before.
    pub fn end_events(&self) {
        self.inner.events.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(crate) fn reader(&self) -> &SqlitePool {
        &self.inner.reader
    }

    pub(crate) fn writer(&self) -> &SqlitePool {
        &self.inner.writer
    }

    /// Starts a transaction that writes. IMMEDIATE, because a transaction that starts reading and then writes fails
    /// when another process wrote in between.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.inner
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(|source| StoreError::transaction("begin", source))
    }
}
