//! Reports: what a device says of itself moves its member of the rollout, and nothing else does.
//!
//! In: a state report whose signature was checked; DDI feedback. Out: the device, its member and its order, kept in one
//! transaction. Refuses: reports that are older than what the device has said already.

use tracing::info;
use warden_model::device::{Device, UpdateState};
use warden_model::event::Event;
use warden_model::report::{ReportPhase, StateReport};
use warden_model::rollout::{Member, MemberState};
use warden_model::{ActionId, DeviceId, RolloutId, Stage, Timestamp};
use warden_rollout::{ReportOutcome, on_progress, on_report};
use warden_store::{DirectiveState, StoreError, StoredDirective, Write};
use warden_wire::ddi::{Execution, Feedback, Finished};

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

/// On which DDI channel a feedback came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// `deploymentBase/{action}/feedback`.
    Deployment,
    /// `cancelAction/{action}/feedback`.
    Cancellation,
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
    note(&mut device, report);
    let mut writes = vec![Write::Device(device)];
    let mut rollout = None;
    if let Some(action) = report.action
        && let Some(stored) = context.store.directive(action).await?
        && stored.directive.device == report.device
    {
        rollout = Some(stored.directive.rollout.clone());
        writes.extend(member_writes(context, report, action, stored, now).await?);
    }
    writes.extend(event(report, rollout, first, now).map(Write::Event));
    context.store.commit(&writes).await?;
    context.wake.notify_one();
    Ok(Accepted::Taken)
}

/// Notes in the device what it says of itself.
fn note(device: &mut Device, report: &StateReport) {
    device.report_counter = report.counter;
    device.installed = Some(report.running.clone());
    device.confirmed = Some(report.confirmed.clone());
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
    action: ActionId,
    mut stored: StoredDirective,
    now: Timestamp,
) -> Result<Vec<Write>, StoreError> {
    let rollout = stored.directive.rollout.clone();
    let mut writes = Vec::new();
    let members = context.store.members(&rollout).await?;
    if let Some(mut member) = members.into_iter().find(|member| member.device == report.device)
        && let ReportOutcome::Moved { from, to } = on_report(&mut member, report, now)
    {
        info!(device = %report.device, %from, %to, "device reported");
        writes.push(Write::Member { rollout, member });
    }
    let is_done =
        matches!(report.phase, Some(ReportPhase::Healthy | ReportPhase::RolledBack | ReportPhase::Failed));
    if is_done && stored.state != DirectiveState::Closed {
        stored.state = DirectiveState::Closed;
        stored.closed_at = Some(now);
        writes.push(Write::Directive(stored));
    }
    // After the order itself, which would put the old numbers back.
    writes.push(Write::ReportCost { action, downloaded: report.downloaded, full: report.full });
    Ok(writes)
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

/// Takes DDI feedback: it is kept, it closes orders, and it tells that a device is at work; success it never tells.
pub(crate) async fn take_feedback(
    context: &Shared,
    stored: &StoredDirective,
    feedback: &Feedback,
    channel: Channel,
    now: Timestamp,
) -> Result<(), StoreError> {
    let _deciding = context.deciding.lock().await;
    let action = stored.directive.action;
    let rollout = stored.directive.rollout.clone();
    let execution = feedback.status.execution;
    let finished = feedback.status.result.finished;
    let mut writes = vec![Write::Feedback {
        action,
        at: now,
        execution: execution_word(execution).to_owned(),
        finished: finished_word(finished).to_owned(),
        messages: feedback.details_within_quota(),
    }];
    let members = context.store.members(&rollout).await?;
    let member = members.into_iter().find(|member| member.device == stored.directive.device);
    let mut order = stored.clone();
    let mut close = |state| {
        order.state = state;
        order.closed_at = (state == DirectiveState::Closed).then_some(now);
        writes.push(Write::Directive(order.clone()));
    };
    let moved = match (channel, execution, finished) {
        (Channel::Deployment, Execution::Closed, _) => {
            close(DirectiveState::Closed);
            member.and_then(|member| ended(member, finished, now))
        }
        (Channel::Deployment, _, _) => member.and_then(|mut member| {
            matches!(on_progress(&mut member, action, now), ReportOutcome::Moved { .. }).then_some(member)
        }),
        (Channel::Cancellation, Execution::Closed, Finished::Success | Finished::None) => {
            close(DirectiveState::Closed);
            None
        }
        // The device does not want to, or could not: the order stands again, as hawkBit has it.
        (Channel::Cancellation, Execution::Closed, Finished::Failure)
        | (Channel::Cancellation, Execution::Rejected, _) => {
            close(DirectiveState::Open);
            None
        }
        (
            Channel::Cancellation,
            Execution::Proceeding
            | Execution::Canceled
            | Execution::Scheduled
            | Execution::Resumed
            | Execution::Download
            | Execution::Downloaded,
            _,
        ) => None,
    };
    writes.extend(moved.map(|member| Write::Member { rollout, member }));
    context.store.commit(&writes).await?;
    context.wake.notify_one();
    Ok(())
}

/// A client that closes its order: failure is failure; success without a signed report after a reboot means no more than
/// that something was written.
fn ended(mut member: Member, finished: Finished, now: Timestamp) -> Option<Member> {
    let at_work = matches!(member.state, MemberState::Offered | MemberState::Updating);
    member.state = match finished {
        Finished::Failure if at_work => MemberState::Failed,
        Finished::Success | Finished::None if at_work => MemberState::Installed,
        Finished::Failure | Finished::Success | Finished::None => return None,
    };
    member.since = now;
    Some(member)
}

fn execution_word(execution: Execution) -> &'static str {
    match execution {
        Execution::Closed => "closed",
        Execution::Proceeding => "proceeding",
        Execution::Canceled => "canceled",
        Execution::Scheduled => "scheduled",
        Execution::Rejected => "rejected",
        Execution::Resumed => "resumed",
        Execution::Download => "download",
        Execution::Downloaded => "downloaded",
    }
}

fn finished_word(finished: Finished) -> &'static str {
    match finished {
        Finished::Success => "success",
        Finished::Failure => "failure",
        Finished::None => "none",
    }
}
