//! Facts about the database.

mod build;
mod crash;
mod filters;
mod heartbeats;
mod pages;
mod patches;
mod people;
mod round_trip;
mod scans;
mod whole;

use warden_model::Timestamp;

use crate::{Store, Write};

/// The moment at which the tests play.
const NOW: Timestamp = Timestamp(1_800_000_000_000);

async fn store_with(writes: &[Write]) -> Store {
    let store = Store::in_memory().await.unwrap();
    store.commit(writes).await.unwrap();
    store
}

/// Runs test code on a runtime with two threads: what is spawned must be `Send`.
fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}
