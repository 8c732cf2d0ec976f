//! Rollouts: plans, drafts, commands of people, and where each device stands.

pub(super) mod command;
pub(super) mod plan;
mod urgency;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use warden_model::rollout::{Member, MemberState, Order, Rollout};
use warden_model::{DeviceId, RolloutId};
use warden_store::{EventScope, SavingsOf, StoreError, UpdateCost};
use warden_wire::rest::{EventBody, Items, MemberBody, PhaseBody, RolloutBody};

use super::extract::{Asked, Named, Paging, cut, items};
use super::patches::savings;
use crate::context::Shared;
use crate::problem::{Answer, Failure};

/// Lists the rollouts, the newest first, without their devices.
#[utoipa::path(get, path = "/api/v1/rollouts", tag = "rollouts", params(Paging),
    responses((status = 200, body = Items<RolloutBody>)))]
pub(in crate::api) async fn list(
    State(context): State<Shared>,
    Asked(paging): Asked<Paging>,
) -> Answer<Json<Items<RolloutBody>>> {
    let page =
        cut(context.store.rollouts().await?, "rollouts", &paging.request()?, |rollout| rollout.id.as_str())?;
    let next = page.next.map(|cursor| cursor.to_string());
    let mut items = Vec::new();
    for rollout in &page.items {
        let members = context.store.members(&rollout.id).await?;
        items.push(without_members(rollout, &members));
    }
    Ok(Json(Items { items, next }))
}

async fn find(context: &Shared, id: &RolloutId) -> Answer<Rollout> {
    context.store.rollout(id).await?.ok_or_else(|| Failure::not_found("rollout", id))
}

/// Returns a rollout, with its devices.
#[utoipa::path(get, path = "/api/v1/rollouts/{id}", tag = "rollouts", params(("id" = String, Path)),
    responses((status = 200, body = RolloutBody)))]
pub(in crate::api) async fn get(
    State(context): State<Shared>,
    Named(id): Named<RolloutId>,
) -> Answer<Json<RolloutBody>> {
    let rollout = find(&context, &id).await?;
    Ok(Json(body(&context, &rollout).await?))
}

/// Lists what happened in a rollout, the newest first.
#[utoipa::path(get, path = "/api/v1/rollouts/{id}/events", tag = "rollouts", params(("id" = String, Path), Paging),
    responses((status = 200, body = Items<EventBody>)))]
pub(in crate::api) async fn events(
    State(context): State<Shared>,
    Named(id): Named<RolloutId>,
    Asked(paging): Asked<Paging>,
) -> Answer<Json<Items<EventBody>>> {
    find(&context, &id).await?;
    let page = context.store.events(&EventScope::Rollout(id), &paging.request()?).await?;
    Ok(items(page, |event| EventBody::from(&event)))
}

/// Makes the whole answer about a rollout.
async fn body(context: &Shared, rollout: &Rollout) -> Result<RolloutBody, StoreError> {
    let members = context.store.members(&rollout.id).await?;
    let costs = costs(context, &rollout.id).await?;
    let bodies = members.iter().map(|member| {
        let cost = costs.get(&member.device).copied().unwrap_or_default();
        MemberBody {
            device: member.device.to_string(),
            phase: phase_name(rollout, member.phase),
            state: member.state.to_string(),
            since: member.since.to_string(),
            action: member.action.map(|action| action.0),
            downloaded_bytes: cost.downloaded.0,
            full_bytes: cost.full.0,
            way: cost.way.map(|way| way.to_string()),
            loading_millis: cost.loading_millis,
            applying_millis: cost.applying_millis,
        }
    });
    let savings = savings(&context.store.savings(&SavingsOf::Rollout(rollout.id.clone())).await?);
    Ok(RolloutBody { members: bodies.collect(), savings, ..without_members(rollout, &members) })
}

/// Returns what the newest order to install has cost each device, and what the full image would have.
async fn costs(context: &Shared, rollout: &RolloutId) -> Result<BTreeMap<DeviceId, UpdateCost>, StoreError> {
    let orders = context.store.directives_of(rollout).await?;
    let installs = orders.into_iter().filter(|stored| stored.directive.order == Order::Install);
    Ok(installs.map(|stored| (stored.directive.device.clone(), stored.cost())).collect())
}

fn phase_name(rollout: &Rollout, index: usize) -> String {
    rollout.phases.get(index).map_or_else(|| "unknown".to_owned(), |phase| phase.name.clone())
}

fn without_members(rollout: &Rollout, members: &[Member]) -> RolloutBody {
    let phases = rollout.phases.iter().enumerate().map(|(index, phase)| {
        let mut body = PhaseBody {
            name: phase.name.clone(),
            devices: 0,
            waiting: 0,
            updating: 0,
            healthy: 0,
            failed: 0,
            success_per_mille: phase.success_threshold.get(),
            error_per_mille: phase.error_threshold.get(),
            soak_seconds: phase.soak.0,
        };
        members
            .iter()
            .filter(|member| member.phase == index)
            .for_each(|member| count(&mut body, member.state));
        body
    });
    RolloutBody {
        id: rollout.id.to_string(),
        release: rollout.release.to_string(),
        state: rollout.state.to_string(),
        reason: rollout.reason.clone(),
        phase: u64::try_from(rollout.phase).unwrap_or(u64::MAX),
        phases: phases.collect(),
        generation: rollout.generation.0,
        created_at: rollout.created_at.to_string(),
        members: Vec::new(),
        savings: None,
    }
}

fn count(phase: &mut PhaseBody, state: MemberState) {
    phase.devices += 1;
    match state {
        MemberState::Waiting => phase.waiting += 1,
        MemberState::Offered
        | MemberState::Updating
        | MemberState::Installed
        | MemberState::Booted
        | MemberState::Reverting => phase.updating += 1,
        MemberState::Healthy => phase.healthy += 1,
        MemberState::RolledBack | MemberState::Failed | MemberState::Reverted => phase.failed += 1,
        // Its order was taken back before it acted: it neither waits nor failed.
        MemberState::Cancelled => {}
    }
}
