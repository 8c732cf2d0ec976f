//! Reports: what a device says of itself moves its member of the rollout, and nothing else does.
//! Mirrors `apps/server/src/turn/reports.rs`.

use warden_agent::machine::Channel;
use warden_model::device::{Device, UpdateState};
use warden_model::event::Event;
use warden_model::report::{ReportPhase, StateReport};
use warden_model::rollout::{Member, MemberState};
use warden_model::{ActionId, RolloutId, Stage, Timestamp};
use warden_rollout::{on_progress, on_report};
use warden_wire::ddi::{Execution, Feedback, Finished};

use super::{OrderState, State};

/// Takes a state report; an older one than what the device has said already changes nothing.
pub(super) fn accept(state: &mut State, report: &StateReport, now: Timestamp) {
    let Some(device) = state.devices.get_mut(&report.device) else { return };
    if report.counter <= device.report_counter {
        return;
    }
    let first = device.confirmed.is_none();
    note(device, report);
    let mut rollout = None;
    if let Some(action) = report.action
        && let Some(kept) = state.directives.get_mut(&action)
        && kept.directive.device == report.device
    {
        rollout = Some(kept.directive.rollout.clone());
        (kept.downloaded, kept.full) = (report.downloaded, report.full);
        let done = matches!(
            report.phase,
            Some(ReportPhase::Healthy | ReportPhase::RolledBack | ReportPhase::Failed)
        );
        if done {
            kept.state = OrderState::Closed;
        }
        if let Some(member) = member_of(state, action) {
            // What it ignores is known already, or late.
            on_report(member, report, now);
        }
    }
    state.events.extend(event(report, rollout, first, now));
}

fn member_of(state: &mut State, action: ActionId) -> Option<&mut Member> {
    let directive = &state.directives.get(&action)?.directive;
    let record = state.rollouts.get_mut(&directive.rollout)?;
    record.members.iter_mut().find(|member| member.device == directive.device)
}

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

fn event(report: &StateReport, rollout: Option<RolloutId>, first: bool, now: Timestamp) -> Option<Event> {
    let running = format!("runs {} from slot {}", report.running.version, report.slot);
    let (what, reason) = match report.phase {
        Some(phase) => {
            let cause = report.cause.map_or_else(String::new, |cause| format!(", because of {cause}"));
            let detail =
                if report.detail.is_empty() { String::new() } else { format!(": {}", report.detail) };
            (phase.word().to_owned(), format!("{running}{cause}{detail}"))
        }
        None if first => ("first report".to_owned(), running),
        None => return None,
    };
    let device = Some(report.device.clone());
    Some(Event { at: now, stage: Stage::Rollout, device, release: None, rollout, what, reason })
}

/// Takes DDI feedback: it closes orders and tells that a device is at work; success it never tells.
pub(super) fn take_feedback(
    state: &mut State,
    action: ActionId,
    feedback: &Feedback,
    channel: Channel,
    now: Timestamp,
) {
    let execution = feedback.status.execution;
    let finished = feedback.status.result.finished;
    let Some(kept) = state.directives.get_mut(&action) else { return };
    match (channel, execution, finished) {
        (Channel::Deployment, Execution::Closed, _) => {
            kept.state = OrderState::Closed;
            if let Some(member) = member_of(state, action) {
                ended(member, finished, now);
            }
        }
        (Channel::Deployment, _, _) => {
            if let Some(member) = member_of(state, action) {
                on_progress(member, action, now);
            }
        }
        (Channel::Cancel, Execution::Closed, Finished::Success | Finished::None) => {
            kept.state = OrderState::Closed;
        }
        // The device does not want to, or could not: the order stands again, as hawkBit has it.
        (Channel::Cancel, Execution::Closed, Finished::Failure)
        | (Channel::Cancel, Execution::Rejected, _) => {
            kept.state = OrderState::Open;
        }
        (
            Channel::Cancel,
            Execution::Proceeding
            | Execution::Canceled
            | Execution::Scheduled
            | Execution::Resumed
            | Execution::Download
            | Execution::Downloaded,
            _,
        ) => {}
    }
}

/// A client that closes its order: failure is failure; success without a signed report after a reboot means no more than
/// that something was written.
fn ended(member: &mut Member, finished: Finished, now: Timestamp) {
    let at_work = matches!(member.state, MemberState::Offered | MemberState::Updating);
    member.state = match finished {
        Finished::Failure if at_work => MemberState::Failed,
        Finished::Success | Finished::None if at_work => MemberState::Installed,
        Finished::Failure | Finished::Success | Finished::None => return,
    };
    member.since = now;
}
