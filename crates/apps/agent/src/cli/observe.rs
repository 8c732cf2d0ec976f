//! What a local command saw: one JSON object on stdout, for people and for the lab.

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;
use warden_agent::device::boot::BootControl as _;
use warden_agent::device::slot::digest_of;
use warden_agent::driver::Driver;
use warden_agent::machine::{Installed, Trial};
use warden_model::ByteCount;
use warden_model::device::{Running, Slot};

/// What was seen.
#[derive(Debug, Serialize)]
pub(crate) struct Observation {
    device: String,
    /// The phases that were reported during the command, in order.
    pub(crate) phases: Vec<String>,
    cause: Option<String>,
    detail: String,
    running: Firmware,
    confirmed: Firmware,
    slot: String,
    /// Whether the other slot waits for its trial.
    armed: bool,
    /// What the other slot should hold; absent when nothing was ever written there, or only half.
    other: Option<Firmware>,
    /// Whether both slots hold what they should, to the last byte.
    running_slot_intact: bool,
    other_slot_intact: bool,
    took_millis: u64,
}

#[derive(Debug, Serialize)]
struct Firmware {
    image: String,
    version: String,
}

impl From<&Running> for Firmware {
    fn from(running: &Running) -> Self {
        Self { image: running.image.to_string(), version: running.version.to_string() }
    }
}

/// Looks at the device after a command.
pub(crate) fn observe(driver: &Driver, began: Instant) -> Result<Observation> {
    let journal = driver.machine.journal();
    let boot = driver.device.boot.view()?;
    let confirmed = journal.confirmed.running();
    let in_slot = |slot: Slot| -> Option<&Installed> {
        if slot == journal.slot { Some(&journal.confirmed) } else { journal.other.as_ref() }
    };
    let intact = |slot: Slot| {
        in_slot(slot).is_none_or(|installed| {
            let expected = (ByteCount(installed.size_bytes), installed.image);
            digest_of(&driver.device.dir.slot(slot)).is_ok_and(|found| found == expected)
        })
    };
    let last = driver.seen.last();
    let running = in_slot(boot.running).map_or_else(|| confirmed.clone(), Installed::running);
    Ok(Observation {
        device: driver.device.identity.device.to_string(),
        phases: driver.seen.iter().filter_map(|report| report.phase).map(|phase| phase.to_string()).collect(),
        cause: last.and_then(|report| report.cause).map(|cause| cause.to_string()),
        detail: last.map(|report| report.detail.clone()).unwrap_or_default(),
        running: Firmware::from(&running),
        confirmed: Firmware::from(&confirmed),
        slot: boot.running.to_string(),
        armed: matches!(boot.trial, Trial::Armed { .. }),
        other: in_slot(boot.running.other()).map(|installed| Firmware::from(&installed.running())),
        running_slot_intact: intact(boot.running),
        other_slot_intact: intact(boot.running.other()),
        took_millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}
