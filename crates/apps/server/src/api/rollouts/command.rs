//! Commands of people to rollouts, and the answer to "why is this device not updated?".

use std::collections::BTreeSet;

use axum::extract::State;
use axum::{Extension, Json};
use warden_model::case::Priority;
use warden_model::rollout::{Rollout, RolloutState};
use warden_model::{DeviceId, RolloutId, Stage};
use warden_rollout::{Command, CommandRefused, Situation, command, explain};
use warden_store::Write;
use warden_wire::rest::{DeviceReason, RolloutBody};

use super::{body, find, plan};
use crate::api::access::Caller;
use crate::api::extract::{Named, NamedTwo};
use crate::api::record::{event, of_release, of_rollout};
use crate::clock::now;
use crate::context::Shared;
use crate::problem::{Answer, Failure};

/// Starts a draft.
#[utoipa::path(post, path = "/api/v1/rollouts/{id}/start", tag = "rollouts", params(("id" = String, Path)),
    responses((status = 200, body = RolloutBody)))]
pub(in crate::api) async fn start(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<RolloutId>,
) -> Answer<Json<RolloutBody>> {
    give(&context, &caller, &id, Command::Start).await
}

/// Holds a running rollout: nothing new is offered, devices at work go on.
#[utoipa::path(post, path = "/api/v1/rollouts/{id}/pause", tag = "rollouts", params(("id" = String, Path)),
    responses((status = 200, body = RolloutBody)))]
pub(in crate::api) async fn pause(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<RolloutId>,
) -> Answer<Json<RolloutBody>> {
    give(&context, &caller, &id, Command::Pause).await
}

/// Goes on with a paused or halted rollout; the failures so far are accepted.
#[utoipa::path(post, path = "/api/v1/rollouts/{id}/resume", tag = "rollouts", params(("id" = String, Path)),
    responses((status = 200, body = RolloutBody)))]
pub(in crate::api) async fn resume(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<RolloutId>,
) -> Answer<Json<RolloutBody>> {
    give(&context, &caller, &id, Command::Resume).await
}

/// Stops a rollout because something is wrong.
#[utoipa::path(post, path = "/api/v1/rollouts/{id}/halt", tag = "rollouts", params(("id" = String, Path)),
    responses((status = 200, body = RolloutBody)))]
pub(in crate::api) async fn halt(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<RolloutId>,
) -> Answer<Json<RolloutBody>> {
    give(&context, &caller, &id, Command::Halt).await
}

/// Turns every device of a rollout back.
#[utoipa::path(post, path = "/api/v1/rollouts/{id}/roll-back", tag = "rollouts", params(("id" = String, Path)),
    responses((status = 200, body = RolloutBody)))]
pub(in crate::api) async fn roll_back(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<RolloutId>,
) -> Answer<Json<RolloutBody>> {
    give(&context, &caller, &id, Command::RollBack).await
}

async fn give(
    context: &Shared,
    caller: &Caller,
    id: &RolloutId,
    order: Command,
) -> Answer<Json<RolloutBody>> {
    let now = now();
    let _deciding = context.deciding.lock().await;
    let mut rollout = find(context, id).await?;
    let commanded =
        command(&mut rollout, order, &caller.to_string(), now).map_err(|refusal| refused(&refusal))?;
    // A draft or a rollout that was over gives orders again from now on.
    if matches!(commanded.from, RolloutState::Draft | RolloutState::Finished) {
        take_devices(context, &mut rollout).await?;
    }
    let what = match order {
        Command::Start => "rollout started",
        Command::Pause => "rollout paused",
        Command::Halt => "rollout halted",
        Command::Resume => "rollout resumed",
        Command::RollBack => "rollout ordered back",
    };
    let event = of_release(&rollout.release, event(now, Stage::Rollout, what, commanded.reason));
    let writes = [Write::Rollout(rollout.clone()), Write::Event(of_rollout(id, event))];
    context.store.commit(&writes).await?;
    context.wake.notify_one();
    Ok(Json(body(context, &rollout).await?))
}

fn refused(refusal: &CommandRefused) -> Failure {
    Failure::conflict(refusal.to_string()).with_hint(refusal.hint)
}

/// Makes sure that no other rollout has the devices by now, and that they will believe this one: since it was planned, or
/// since it ended, they may have had orders of others with newer generations.
async fn take_devices(context: &Shared, rollout: &mut Rollout) -> Answer<()> {
    let busy = plan::busy(context, Some(&rollout.id)).await?;
    for member in context.store.members(&rollout.id).await? {
        if let Some(other) = busy.get(&member.device) {
            let detail = format!("rollout {other} has {} by now, and is not over", member.device);
            return Err(
                Failure::conflict(detail).with_hint(format!("wait until {other} is over, or roll it back"))
            );
        }
        if let Some(device) = context.store.device(&member.device).await? {
            rollout.generation = rollout.generation.max(device.generation);
        }
    }
    Ok(())
}

/// Says why a device is not updated, or that it is.
#[utoipa::path(get, path = "/api/v1/rollouts/{id}/devices/{device}/why", tag = "rollouts",
    params(("id" = String, Path), ("device" = String, Path)), responses((status = 200, body = DeviceReason)))]
pub(in crate::api) async fn why(
    State(context): State<Shared>,
    NamedTwo(id, device): NamedTwo<RolloutId, DeviceId>,
) -> Answer<Json<DeviceReason>> {
    let rollout = find(&context, &id).await?;
    if context.store.device(&device).await?.is_none() {
        return Err(Failure::not_found("device", &device));
    }
    let release = context.store.release(&rollout.release).await?;
    let release = release.ok_or_else(|| Failure::not_found("release", &rollout.release))?;
    let members = context.store.members(&id).await?;
    let open = context.store.open_cases().await?;
    let urgent: BTreeSet<DeviceId> = open
        .into_iter()
        .filter(|case| case.decision.priority == Priority::Immediate)
        .map(|case| case.device)
        .collect();
    let situation = Situation {
        rollout: &rollout,
        members: &members,
        urgent: &urgent,
        release_state: release.state,
        now: now(),
        order_timeout: context.config.order_timeout,
    };
    Ok(Json(DeviceReason { device: device.to_string(), reason: explain(&device, &situation) }))
}
