//! Reports: what a device says of itself, signed, moves its member of the rollout; only this counts as success.
//!
//! In: a state report whose signature was checked. Out: the device, its member and its order, kept in one transaction.
//! Refuses: reports that are older than what the device has said already.

use tracing::info;
use warden_model::device::{Device, UpdateState};
use warden_model::event::Event;
use warden_model::report::{ReportPhase, StateReport};
use warden_model::rollout::Order;
use warden_model::{ByteCount, DeviceId, RolloutId, Stage, Timestamp};
use warden_rollout::{ReportOutcome, on_report};
use warden_store::{DirectiveState, StoreError, StoredDirective, UpdateCost, Write};

use crate::context::Shared;

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It was news.
    Taken,
    /// It was here already: the answer to it got lost.
    KnownAlready,
    /// A newer one is here: it is a replay, or it came late.
    Replay {
        /// The counter of the newest one.
        newest: u64,
    },
}

/// Returns the key under which the image is kept that a device ran before a rollout reached it.
pub(super) fn before_key(rollout: &RolloutId, device: &DeviceId) -> String {
    format!("before/{rollout}/{device}")
}

/// Takes a state report.
pub async fn accept(context: &Shared, report: &StateReport, now: Timestamp) -> Result<Accepted, StoreError> {
    let _deciding = context.deciding.lock().await;
    let Some(mut device) = context.store.device(&report.device).await? else {
        return Ok(Accepted::Replay { newest: u64::MAX });
    };
    if report.counter == device.report_counter {
        return Ok(Accepted::KnownAlready);
    }
    if report.counter < device.report_counter {
        return Ok(Accepted::Replay { newest: device.report_counter });
    }
    let first = device.confirmed.is_none();
    let stored = match report.action {
        Some(action) => context.store.directive(action).await?,
        None => None,
    };
    let stored = stored.filter(|stored| stored.directive.device == report.device);
    // A refusal of an order that was closed before (a replay on the way) says nothing about where the device stands.
    let about = match &stored {
        Some(stored)
            if stored.state == DirectiveState::Closed && report.phase == Some(ReportPhase::Failed) =>
        {
            About::Past
        }
        Some(_) | None => About::Present,
    };
    note(&mut device, report, about);
    let mut writes = vec![Write::Device(device)];
    let mut rollout = None;
    if let Some(stored) = stored {
        rollout = Some(stored.directive.rollout.clone());
        writes.extend(member_writes(context, report, stored, now).await?);
    }
    writes.extend(event(report, rollout, first, now).map(Write::Event));
    context.store.commit(&writes).await?;
    context.wake.notify_one();
    Ok(Accepted::Taken)
}

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// Where the device stands now.
    Present,
    /// An order that was closed before.
    Past,
}

/// Notes in the device what it says of itself.
fn note(device: &mut Device, report: &StateReport, about: About) {
    device.report_counter = report.counter;
    // A server that was restored from a backup learns here how far the device's orders had come.
    device.generation = device.generation.max(report.generation);
    device.installed = Some(report.running.clone());
    device.confirmed = Some(report.confirmed.clone());
    device.slot = Some(report.slot);
    if about == About::Past {
        return;
    }
    device.state = match report.phase {
        Some(ReportPhase::Installed | ReportPhase::Booted) => UpdateState::Updating,
        Some(ReportPhase::Healthy) => UpdateState::Idle,
        Some(ReportPhase::RolledBack) => UpdateState::RolledBack,
        Some(ReportPhase::Failed) => UpdateState::Failed,
        None => match device.state {
            UpdateState::Enrolled => UpdateState::Idle,
            same @ (UpdateState::Idle
            | UpdateState::Updating
            | UpdateState::RolledBack
            | UpdateState::Failed) => same,
        },
    };
}

async fn member_writes(
    context: &Shared,
    report: &StateReport,
    mut stored: StoredDirective,
    now: Timestamp,
) -> Result<Vec<Write>, StoreError> {
    let rollout = stored.directive.rollout.clone();
    let mut writes = Vec::new();
    if let Some(mut member) = context.store.member(&rollout, &report.device).await?
        && let ReportOutcome::Moved { from, to } = on_report(&mut member, report, now)
    {
        info!(device = %report.device, %from, %to, "device reported");
        writes.push(Write::Member { rollout: rollout.clone(), member });
    }
    writes.extend(learn_before(context, report, &stored).await?);
    let is_done =
        matches!(report.phase, Some(ReportPhase::Healthy | ReportPhase::RolledBack | ReportPhase::Failed));
    let cost = cost(report, stored.full);
    let action = stored.directive.action;
    if is_done && stored.state != DirectiveState::Closed {
        stored.state = DirectiveState::Closed;
        stored.closed_at = Some(now);
        writes.push(Write::Directive(stored));
    }
    // After the order itself, which would put the old numbers back.
    writes.push(Write::ReportCost { action, cost });
    Ok(writes)
}

/// The most that one update is believed to have loaded: a thousand times a large image. Sums over the fleet must not
/// overflow because one device lies.
const DOWNLOADED_MAX: ByteCount = ByteCount::mib(1 << 20);
/// The longest that loading or applying is believed to have taken, in milliseconds: a month on the slowest line.
const MILLIS_MAX: u64 = 30 * 86_400_000;

/// Returns what the update cost. The size of the image is the server's own, where it knows it.
fn cost(report: &StateReport, known: ByteCount) -> UpdateCost {
    UpdateCost {
        downloaded: report.downloaded.min(DOWNLOADED_MAX),
        full: if known == ByteCount(0) { report.full.min(DOWNLOADED_MAX) } else { known },
        way: report.way,
        loading_millis: report.loading_millis.min(MILLIS_MAX),
        applying_millis: report.applying_millis.min(MILLIS_MAX),
    }
}

/// Learns from a device on its way what it ran before, where it had never reported when it got its order: without that
/// nobody could order it back.
async fn learn_before(
    context: &Shared,
    report: &StateReport,
    stored: &StoredDirective,
) -> Result<Option<Write>, StoreError> {
    let on_its_way = matches!(report.phase, Some(ReportPhase::Installed | ReportPhase::Booted));
    let is_old = report.confirmed.image != stored.image;
    if stored.directive.order != Order::Install || !on_its_way || !is_old {
        return Ok(None);
    }
    let key = before_key(&stored.directive.rollout, &report.device);
    let known = context.store.setting(&key).await?.is_some();
    Ok((!known).then(|| Write::Setting { key, value: report.confirmed.image.to_string().into() }))
}

fn event(report: &StateReport, rollout: Option<RolloutId>, first: bool, now: Timestamp) -> Option<Event> {
    let (what, reason) = match report.phase {
        Some(phase) => {
            let running = format!("runs {} from slot {}", report.running.version, report.slot);
            let cause = report.cause.map_or_else(String::new, |cause| format!(", because of {cause}"));
            let detail =
                if report.detail.is_empty() { String::new() } else { format!(": {}", report.detail) };
            (phase.word().to_owned(), format!("{running}{cause}{detail}"))
        }
        None if first => {
            ("first report".to_owned(), format!("runs {} from slot {}", report.running.version, report.slot))
        }
        None => return None,
    };
    let device = Some(report.device.clone());
    Some(Event { at: now, stage: Stage::Rollout, device, release: None, rollout, what, reason })
}
