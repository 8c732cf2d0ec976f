//! Signs of life: taken in memory, written in batches.
//!
//! In: a beat for each request of a device. Out: one set-based statement every few seconds or few hundred devices, which
//! is several times cheaper than a statement for each beat. A crash loses the beats of the last seconds, and the
//! devices' next requests bring them again. Refuses: beats of unknown devices (they are dropped when written).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::warn;
use warden_model::{DeviceId, Timestamp};

use crate::error::StoreError;
use crate::sql::Statement;
use crate::store::Store;

/// Most devices in one statement: above a thousand, larger batches gain little and hold the writer too long.
const BATCH_DEVICES_MAX: usize = 1000;

/// Most devices whose beats wait in memory while the database does not take them: ten times what one SQLite database is
/// meant for, some hundred bytes each.
const WAITING_DEVICES_MAX: usize = 1_000_000;

/// The shortest time between two batches: below it, nothing is saved any more.
const EVERY_MIN: Duration = Duration::from_millis(10);

/// The longest time between two batches: beats that are a day old tell nobody anything.
const EVERY_MAX: Duration = Duration::from_hours(24);

/// The newest beat of each device in the batch. This statement knows SQLite (`json_each`); PostgreSQL unnests arrays.
const WRITE: &str = "INSERT INTO heartbeats (device, last_seen, address) \
     SELECT d.id, json_extract(b.value, '$[1]'), json_extract(b.value, '$[2]') \
     FROM json_each($1) b JOIN devices d ON d.id = json_extract(b.value, '$[0]') WHERE TRUE \
     ON CONFLICT (device) DO UPDATE SET last_seen = excluded.last_seen, \
     address = coalesce(excluded.address, heartbeats.address) \
     WHERE heartbeats.last_seen IS NULL OR excluded.last_seen >= heartbeats.last_seen";

/// When waiting beats are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatPolicy {
    /// After this time at the latest.
    pub every: Duration,
    /// As soon as so many devices wait.
    pub devices: usize,
}

impl Default for HeartbeatPolicy {
    /// Five seconds: a device shows up in the console before a person reloads the page. A thousand devices: one batch.
    fn default() -> Self {
        Self { every: Duration::from_secs(5), devices: BATCH_DEVICES_MAX }
    }
}

#[derive(Debug, Clone, Copy)]
struct Beat {
    at: Timestamp,
    address: Option<IpAddr>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    policy: HeartbeatPolicy,
    waiting: Mutex<BTreeMap<DeviceId, Beat>>,
    is_full: Notify,
}

/// A handle that takes beats; share it in an `Arc`.
#[derive(Debug)]
pub struct Heartbeats {
    shared: Arc<Shared>,
    stop: watch::Sender<Stop>,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    NotYet,
    Now,
}

impl Heartbeats {
    /// Starts writing beats with the usual policy.
    pub fn start(store: Store) -> Self {
        Self::start_with(store, HeartbeatPolicy::default())
    }

    /// Starts writing beats; must be called inside a tokio runtime.
    pub fn start_with(store: Store, policy: HeartbeatPolicy) -> Self {
        let shared =
            Arc::new(Shared { store, policy, waiting: Mutex::new(BTreeMap::new()), is_full: Notify::new() });
        let (stop, stopped) = watch::channel(Stop::NotYet);
        let task = tokio::spawn(write_batches(Arc::clone(&shared), stopped));
        Self { shared, stop, task: Mutex::new(Some(task)) }
    }

    /// Takes a beat; the newest of a device counts.
    pub fn beat(&self, device: &DeviceId, address: Option<IpAddr>, now: Timestamp) {
        let waiting = {
            let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            keep_newest(&mut waiting, device, Beat { at: now, address });
            waiting.len()
        };
        if waiting >= self.shared.policy.devices {
            self.shared.is_full.notify_one();
        }
    }

    /// Writes all waiting beats now, and returns how many statements it took.
    pub async fn flush(&self) -> Result<usize, StoreError> {
        self.shared.flush().await
    }

    /// Stops, after all waiting beats are written.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.stop.send_replace(Stop::Now);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            warn!(%error, "the writer of signs of life ended badly");
        }
        self.shared.flush().await.map(|_| ())
    }
}

async fn write_batches(shared: Arc<Shared>, mut stopped: watch::Receiver<Stop>) {
    // The clock refuses an interval of nothing, and moments that it cannot tell.
    let every = shared.policy.every.clamp(EVERY_MIN, EVERY_MAX);
    let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // Nothing is lost when a branch is dropped: all of them only wait, and a flush runs to its end below.
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.is_full.notified() => {}
            _ = stopped.wait_for(|stop| *stop == Stop::Now) => return,
        }
        if let Err(error) = shared.flush().await {
            warn!(error = &error as &dyn std::error::Error, "signs of life not written, will be tried again");
        }
    }
}

/// Keeps the newest beat of a device; an address is kept until another one is known.
fn keep_newest(waiting: &mut BTreeMap<DeviceId, Beat>, device: &DeviceId, beat: Beat) {
    let has_room = waiting.len() < WAITING_DEVICES_MAX;
    match waiting.get_mut(device) {
        Some(kept) if kept.at <= beat.at => {
            *kept = Beat { at: beat.at, address: beat.address.or(kept.address) };
        }
        Some(kept) => kept.address = kept.address.or(beat.address),
        None if has_room => {
            waiting.insert(device.clone(), beat);
        }
        None => {}
    }
}

impl Shared {
    async fn flush(&self) -> Result<usize, StoreError> {
        let beats: Vec<(DeviceId, Beat)> = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting).into_iter().collect()
        };
        let mut statements = 0;
        for (index, batch) in beats.chunks(BATCH_DEVICES_MAX).enumerate() {
            if let Err(error) = self.write(batch).await {
                let unwritten = beats.iter().skip(index * BATCH_DEVICES_MAX);
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                unwritten.for_each(|(device, beat)| keep_newest(&mut waiting, device, *beat));
                return Err(error);
            }
            statements += 1;
        }
        Ok(statements)
    }

    async fn write(&self, batch: &[(DeviceId, Beat)]) -> Result<(), StoreError> {
        let row = |(device, beat): &(DeviceId, Beat)| {
            let address = beat.address.map(|address| address.to_string());
            serde_json::json!([device.as_str(), beat.at.0, address])
        };
        let rows = serde_json::Value::Array(batch.iter().map(row).collect());
        Statement::new("heartbeats", WRITE).arg(rows.to_string()).run(self.store.writer()).await.map(|_| ())
    }
}
