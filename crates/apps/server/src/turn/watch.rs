//! Watch: lines of Suricata and Zeek become flows of devices, and those outside the baseline become alerts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tracing::{info, warn};
use warden_model::alert::{Alert, Sensor};
use warden_model::device::Device;
use warden_model::event::Event;
use warden_model::{DeviceId, Stage, Timestamp};
use warden_net::Tail;
use warden_store::Write;
use warden_watch::{
    Baseline, Bindings, Flow, LineError, Names, Observed, Phase, ZeekLog, ZeekReader, read_eve, rule_alert,
};

use super::watch_form::{baseline_from, baseline_to, checkpoint_from, checkpoint_to};
use crate::context::Shared;

/// Most lines of one log in a turn: about a second of work; what is left waits for the next turn.
const LINES_PER_TURN: usize = 50_000;
/// The key under which the baseline is kept.
const BASELINE: &str = "watch/baseline";
/// How many flows a product must have shown before its learning may end: fewer say nothing.
const FLOWS_TO_LEARN: u64 = 3;

/// What the watch keeps in memory between turns; all of it comes back from the store and the logs.
#[derive(Default)]
pub struct Memory {
    logs: Option<Vec<Log>>,
    baseline: Baseline,
    bindings: Bindings,
    bound: BTreeMap<IpAddr, DeviceId>,
    names: Names,
}

struct Log {
    path: PathBuf,
    tail: Tail,
    reader: Reader,
}

enum Reader {
    Suricata,
    Zeek(Box<ZeekReader>),
}

impl Reader {
    fn read(&mut self, line: &str) -> Result<Option<Observed>, LineError> {
        match self {
            Self::Suricata => read_eve(line),
            Self::Zeek(reader) => reader.feed(line),
        }
    }

    fn header(&self) -> &[String] {
        match self {
            Self::Suricata => &[],
            Self::Zeek(reader) => reader.header(),
        }
    }
}

/// Reads what the logs have got since the last turn.
pub(super) async fn run(context: &Shared, memory: &mut Memory, now: Timestamp) -> Result<()> {
    if context.config.sensors.is_empty() {
        return Ok(());
    }
    if memory.logs.is_none() {
        open(context, memory).await.context("open the logs of the sensors")?;
    }
    let devices = bind(context, memory).await?;
    let mut writes = Vec::new();
    let mut logs = memory.logs.take().unwrap_or_default();
    for log in &mut logs {
        match log.tail.read_lines(LINES_PER_TURN) {
            Ok(batch) => {
                if batch.lines.is_empty() {
                    continue;
                }
                writes.extend(read(memory, log, &batch.lines, &devices));
                let key = checkpoint_key(&log.path);
                writes.push(Write::Setting {
                    key,
                    value: checkpoint_to(&batch.checkpoint, log.reader.header()),
                });
            }
            // A log that is not there yet, or not readable for a moment: the next turn looks again.
            Err(error) => {
                let error = crate::problem::chain(&error);
                warn!(log = %log.path.display(), error, "cannot read a log");
            }
        }
    }
    memory.logs = Some(logs);
    let learned = finish_learning(context, memory, now);
    if writes.is_empty() && !learned {
        return Ok(());
    }
    writes.push(Write::Setting { key: BASELINE.to_owned(), value: baseline_to(&memory.baseline) });
    let kept = context.store.commit(&writes).await;
    if kept.is_err() {
        // The logs were read beyond what is kept now: all is read again from the last checkpoint, so that no line and
        // no alert is lost to a full disk.
        *memory = Memory::default();
    }
    kept.context("keep alerts and baseline")
}

fn checkpoint_key(path: &Path) -> String {
    format!("watch/checkpoint/{}", path.display())
}

async fn open(context: &Shared, memory: &mut Memory) -> Result<()> {
    let mut logs = Vec::new();
    for (sensor, path) in &context.config.sensors {
        let kept = context.store.setting(&checkpoint_key(path)).await?;
        let (checkpoint, header) = kept.as_ref().and_then(checkpoint_from).unzip();
        let tail =
            Tail::open(path, checkpoint.as_ref()).with_context(|| format!("open {}", path.display()))?;
        let mut reader = match sensor {
            Sensor::Suricata => Reader::Suricata,
            Sensor::Zeek => Reader::Zeek(Box::new(ZeekReader::new(Some(ZeekLog::Conn)))),
        };
        for line in header.into_iter().flatten() {
            // It was read without an error when it was kept.
            reader.read(&line).ok();
        }
        logs.push(Log { path: path.clone(), tail, reader });
    }
    if let Some(kept) = context.store.setting(BASELINE).await? {
        memory.baseline = baseline_from(&kept);
    }
    memory.logs = Some(logs);
    Ok(())
}

/// Ties addresses to devices, as their own connections to the server tell.
async fn bind(context: &Shared, memory: &mut Memory) -> Result<BTreeMap<DeviceId, Device>> {
    let mut devices = BTreeMap::new();
    for device in context.store.all_devices().await? {
        if let Some(address) = device.address
            && memory.bound.get(&address) != Some(&device.id)
        {
            // The first device of an address had it since it enrolled; a later one since it was seen there.
            let seen = device.last_seen.filter(|_| memory.bound.contains_key(&address));
            let from = seen.unwrap_or(device.enrolled_at);
            memory.bindings.bind(address, device.id.clone(), from);
            memory.bound.insert(address, device.id.clone());
        }
        devices.insert(device.id.clone(), device);
    }
    Ok(devices)
}

fn read(
    memory: &mut Memory,
    log: &mut Log,
    lines: &[String],
    devices: &BTreeMap<DeviceId, Device>,
) -> Vec<Write> {
    let mut alerts: BTreeMap<String, Alert> = BTreeMap::new();
    let mut malformed = 0_u64;
    for line in lines {
        let alert = match log.reader.read(line) {
            Ok(Some(Observed::Flow(flow))) => judge(memory, flow, devices),
            Ok(Some(Observed::Names(names))) => {
                memory.names.learn(&names);
                None
            }
            Ok(Some(Observed::Rule(hit))) => {
                let ends = [hit.source, hit.destination];
                let device = ends.iter().find_map(|end| memory.bindings.device_of(*end, hit.at));
                device.and_then(|device| rule_alert(&hit, device))
            }
            Ok(Some(Observed::Other(_)) | None) => None,
            Err(_) => {
                malformed += 1;
                None
            }
        };
        if let Some(alert) = alert {
            alerts.insert(alert.id.to_string(), alert);
        }
    }
    if malformed > 0 {
        warn!(log = %log.path.display(), malformed, lines = lines.len(), "some lines of a log are malformed");
    }
    alerts.into_values().flat_map(alert_writes).collect()
}

fn judge(memory: &mut Memory, mut flow: Flow, devices: &BTreeMap<DeviceId, Device>) -> Option<Alert> {
    memory.names.name(&mut flow);
    let device = devices.get(memory.bindings.device_of(flow.source, flow.at)?)?;
    match memory.baseline.phase(&device.product) {
        Some(Phase::Watching) => memory.baseline.judge(&device.product, &device.id, &flow),
        Some(Phase::Learning) | None => {
            // A baseline that is full stays as it is: what does not fit will be an alert, which a person sees.
            if let Err(error) = memory.baseline.learn(&device.product, &flow) {
                warn!(error = %error, "cannot learn a destination");
            }
            None
        }
    }
}

fn alert_writes(alert: Alert) -> Vec<Write> {
    info!(device = %alert.device, reason = alert.reason, "alert");
    let event = Event {
        at: alert.at,
        stage: Stage::Watch,
        device: Some(alert.device.clone()),
        release: None,
        rollout: None,
        what: format!("alert: {}", alert.kind),
        reason: alert.reason.clone(),
    };
    vec![Write::Alert(alert), Write::Event(event)]
}

fn finish_learning(context: &Shared, memory: &mut Memory, now: Timestamp) -> bool {
    let mut changed = false;
    for phase in memory.baseline.phases() {
        if memory.baseline.has_learned(&phase.product, context.config.learn_for, FLOWS_TO_LEARN, now) {
            info!(product = %phase.product, "learned what is usual, watching from now on");
            memory.baseline.enter(&phase.product, Phase::Watching, now);
            changed = true;
        }
    }
    changed
}
