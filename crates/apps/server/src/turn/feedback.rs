//! DDI feedback: what any client says about its order, unsigned.
//!
//! In: feedback, the order's number, the channel. Out: the feedback kept, the order closed or standing again, the member
//! moved as far as an unsigned word may move it. Refuses: orders that are closed, cancellations that nobody asked for,
//! and more words than [`FEEDBACK_MAX`]. It never tells success: "written" is the most that a client can say here.

use tracing::info;
use warden_model::device::{Device, UpdateState};
use warden_model::event::Event;
use warden_model::rollout::{Member, MemberState, Order};
use warden_model::{ActionId, Stage, Timestamp};
use warden_rollout::on_progress;
use warden_store::{DirectiveState, StoreError, StoredDirective, Write};
use warden_wire::ddi::{Execution, Feedback, Finished, Window};

use super::window::window_of;
use crate::context::Shared;

/// Most answers that are kept of one order (hawkBit quota "status entries per action"); what closes it is always taken.
pub(crate) const FEEDBACK_MAX: u64 = 1_000;

/// On which DDI channel a feedback came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// `deploymentBase/{action}/feedback`.
    Deployment,
    /// `cancelAction/{action}/feedback`.
    Cancellation,
}

/// What became of a feedback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was kept.
    Kept,
    /// The order is closed.
    Gone,
    /// Nobody takes the order back.
    NotCancelling,
    /// The order has as many answers as are kept.
    TooMany,
}

/// What a feedback does to an order and its member.
#[derive(Default)]
struct Effect {
    state: Option<DirectiveState>,
    member: Option<Member>,
    device: Option<UpdateState>,
}

/// Takes DDI feedback. The order is read here, under the lock: what the request saw before may be over by now.
pub(crate) async fn take_feedback(
    context: &Shared,
    action: ActionId,
    feedback: &Feedback,
    channel: Channel,
    now: Timestamp,
) -> Result<Taken, StoreError> {
    let _deciding = context.deciding.lock().await;
    let store = &context.store;
    let Some(stored) = store.directive(action).await? else { return Ok(Taken::Gone) };
    match (stored.state, channel) {
        (DirectiveState::Closed, _) => return Ok(Taken::Gone),
        (DirectiveState::Open, Channel::Cancellation) => return Ok(Taken::NotCancelling),
        (DirectiveState::Open | DirectiveState::Cancelling, _) => {}
    }
    let status = &feedback.status;
    if status.execution != Execution::Closed && store.feedback_count(action).await? >= FEEDBACK_MAX {
        return Ok(Taken::TooMany);
    }
    let member = store.member(&stored.directive.rollout, &stored.directive.device).await?;
    let member = member.filter(|member| member.action == Some(action));
    let effect = match channel {
        Channel::Deployment => on_deployment(context, &stored, member, feedback, now).await?,
        Channel::Cancellation => on_cancellation(feedback),
    };
    let device = store.device(&stored.directive.device).await?;
    let mut writes = vec![Write::Feedback {
        action,
        at: now,
        execution: execution_word(status.execution).to_owned(),
        finished: finished_word(status.result.finished).to_owned(),
        messages: feedback.details_within_quota(),
    }];
    writes.extend(effect_writes(stored, device, effect, feedback, now));
    store.commit(&writes).await?;
    context.wake.notify_one();
    Ok(Taken::Kept)
}

async fn on_deployment(
    context: &Shared,
    stored: &StoredDirective,
    member: Option<Member>,
    feedback: &Feedback,
    now: Timestamp,
) -> Result<Effect, StoreError> {
    let (execution, finished) = (feedback.status.execution, feedback.status.result.finished);
    if execution != Execution::Closed {
        // Kept also when it only starts the silence anew: a slow network is no silent device.
        let moved = member.and_then(|before| {
            let mut after = before.clone();
            on_progress(&mut after, stored.directive.action, now);
            (after != before).then_some(after)
        });
        return Ok(Effect { member: moved, ..Effect::default() });
    }
    // SWUpdate answers `update: skip` with "closed, success" and has installed nothing: such an order stays, and is
    // offered again when the window opens.
    let untouched = member.as_ref().is_some_and(|member| member.state == MemberState::Offered);
    let skipped = finished != Finished::Failure && stored.directive.order == Order::Install && untouched;
    if skipped && window_of(context, stored, now).await? == Some(Window::Unavailable) {
        return Ok(Effect::default());
    }
    let member = member.and_then(|member| ended(member, finished, now));
    let failed = member.as_ref().is_some_and(|member| member.state == MemberState::Failed);
    let device = failed.then_some(UpdateState::Failed);
    Ok(Effect { state: Some(DirectiveState::Closed), member, device })
}

fn on_cancellation(feedback: &Feedback) -> Effect {
    let state = match (feedback.status.execution, feedback.status.result.finished) {
        (Execution::Closed, Finished::Success | Finished::None) => Some(DirectiveState::Closed),
        // The device does not want to, or could not: the order stands again, as hawkBit has it.
        (Execution::Closed, Finished::Failure) | (Execution::Rejected, _) => Some(DirectiveState::Open),
        (
            Execution::Proceeding
            | Execution::Canceled
            | Execution::Scheduled
            | Execution::Resumed
            | Execution::Download
            | Execution::Downloaded,
            _,
        ) => None,
    };
    // It has forgotten the order, so that it runs what it ran before.
    let device = (state == Some(DirectiveState::Closed)).then_some(UpdateState::Idle);
    Effect { state, member: None, device }
}

fn effect_writes(
    mut stored: StoredDirective,
    device: Option<Device>,
    effect: Effect,
    feedback: &Feedback,
    now: Timestamp,
) -> Vec<Write> {
    let mut writes = Vec::new();
    let rollout = stored.directive.rollout.clone();
    if let (Some(mut device), Some(state)) = (device, effect.device)
        && device.state == UpdateState::Updating
    {
        device.state = state;
        writes.push(Write::Device(device));
    }
    if let Some(member) = effect.member {
        let closed = effect.state == Some(DirectiveState::Closed);
        if closed {
            info!(device = %member.device, to = %member.state, "a device closed its order");
            let said = feedback.details_within_quota().pop();
            writes.push(Write::Event(Event {
                at: now,
                stage: Stage::Rollout,
                device: Some(member.device.clone()),
                release: Some(stored.directive.release.clone()),
                rollout: Some(rollout.clone()),
                what: format!("order closed: {}", member.state),
                reason: said
                    .filter(|said| !said.is_empty())
                    .unwrap_or_else(|| "it gave no reason".to_owned()),
            }));
        }
        writes.push(Write::Member { rollout, member });
    }
    if let Some(state) = effect.state {
        stored.state = state;
        stored.closed_at = (state == DirectiveState::Closed).then_some(now);
        writes.push(Write::Directive(stored));
    }
    writes
}

/// A client that closes its order: failure is failure; success without a signed report after a reboot means no more than
/// that something was written. For the way back that is not enough to believe it.
fn ended(mut member: Member, finished: Finished, now: Timestamp) -> Option<Member> {
    use MemberState as M;
    let good = finished != Finished::Failure;
    member.state = match member.state {
        // An order that was taken back was acted on before the device knew.
        M::Offered | M::Updating | M::Cancelled if good => M::Installed,
        // A device that could not go back, too.
        M::Offered | M::Updating | M::Reverting if !good => M::Failed,
        M::Offered
        | M::Updating
        | M::Waiting
        | M::Installed
        | M::Booted
        | M::Healthy
        | M::RolledBack
        | M::Failed
        | M::Reverting
        | M::Reverted
        | M::Cancelled => return None,
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
