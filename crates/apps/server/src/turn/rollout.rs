//! Rollout: each active rollout takes its next steps; orders, members and reasons are kept in one transaction.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use tracing::info;
use warden_model::case::Priority;
use warden_model::device::{Device, UpdateState};
use warden_model::event::Event;
use warden_model::rollout::{Directive, Order, Rollout};
use warden_model::{ActionId, ByteCount, DeviceId, Sha256Digest, Stage, Timestamp};
use warden_rollout::{Circumstances, Step, take_turn};
use warden_store::{DirectiveState, StoredDirective, Write};

use crate::context::Shared;

/// Lets each active rollout take its next steps.
pub(super) async fn run(context: &Shared, now: Timestamp) -> Result<()> {
    let _deciding = context.deciding.lock().await;
    let active = context.store.active_rollouts().await?;
    if active.is_empty() {
        return Ok(());
    }
    let open = context.store.open_cases().await?;
    let urgent: BTreeSet<DeviceId> = open
        .iter()
        .filter(|case| case.decision.priority == Priority::Immediate)
        .map(|case| case.device.clone())
        .collect();
    for rollout in active {
        let id = rollout.id.clone();
        one(context, rollout, &urgent, now).await.with_context(|| format!("move the rollout {id}"))?;
    }
    Ok(())
}

async fn one(
    context: &Shared,
    mut rollout: Rollout,
    urgent: &BTreeSet<DeviceId>,
    now: Timestamp,
) -> Result<()> {
    let store = &context.store;
    let Some(release) = store.release(&rollout.release).await? else {
        anyhow::bail!("its release {} is gone", rollout.release);
    };
    let before = rollout.clone();
    let mut members = store.members(&rollout.id).await?;
    let members_before = members.clone();
    let circumstances = Circumstances {
        urgent,
        release_state: release.state,
        order_timeout: context.config.order_timeout,
        now,
    };
    // The planner counts from the first number; those that it takes are reserved before anything is kept.
    let first = store.next_action_id().await?;
    let mut taken = 0_u64;
    let mut next = || {
        let id = ActionId(first.0.saturating_add(taken));
        taken = taken.saturating_add(1);
        id
    };
    let turn = take_turn(&mut rollout, &mut members, &circumstances, &mut next);
    for _ in 1..taken {
        store.next_action_id().await?;
    }
    let mut writes = Vec::new();
    for directive in &turn.directives {
        writes.extend(order(context, directive, release.image, now).await?);
    }
    let changed = members.into_iter().zip(members_before).filter(|(member, before)| member != before);
    writes.extend(changed.map(|(member, _)| Write::Member { rollout: rollout.id.clone(), member }));
    let acted = turn.steps.iter().filter(|step| !matches!(step, Step::Wait { .. }));
    writes.extend(acted.map(|step| Write::Event(event(&rollout, step, now))));
    if rollout != before {
        writes.push(Write::Rollout(rollout));
    }
    if writes.is_empty() {
        return Ok(());
    }
    store.commit(&writes).await.context("keep the steps")
}

fn event(rollout: &Rollout, step: &Step, now: Timestamp) -> Event {
    info!(rollout = %rollout.id, step = step.what(), why = step.why(), "rollout step");
    Event {
        at: now,
        stage: Stage::Rollout,
        device: step.device().cloned(),
        release: Some(rollout.release.clone()),
        rollout: Some(rollout.id.clone()),
        what: step.what().to_owned(),
        reason: step.why(),
    }
}

/// Turns an order into what is kept: the order, the orders that it replaces, and the device's new generation.
async fn order(
    context: &Shared,
    directive: &Directive,
    image: Sha256Digest,
    now: Timestamp,
) -> Result<Vec<Write>> {
    let store = &context.store;
    let Some(mut device) = store.device(&directive.device).await? else { return Ok(Vec::new()) };
    let mut writes = Vec::new();
    if let Some(mut open) = store.open_directive(&device.id).await? {
        // DDI cancels the order that the device has; it answers on the cancel channel of that very order.
        (open.state, open.closed_at) = match directive.order {
            Order::Cancel => (DirectiveState::Cancelling, None),
            Order::Install | Order::TurnBack => (DirectiveState::Closed, Some(now)),
        };
        writes.push(Write::Directive(open));
    }
    device.generation = device.generation.max(directive.generation);
    if directive.order != Order::Cancel {
        // Back means: what the device ran before. It knows its other slot best; this names what the server knows.
        let image = match directive.order {
            Order::TurnBack => before(context, directive, image).await?,
            Order::Install | Order::Cancel => image,
        };
        let full = store.firmware(&image).await?.map_or(ByteCount(0), |firmware| firmware.size);
        device.state = UpdateState::Updating;
        writes.extend(remember_before(directive, &device));
        writes.push(Write::Directive(StoredDirective {
            directive: directive.clone(),
            state: DirectiveState::Open,
            created_at: now,
            closed_at: None,
            image,
            downloaded: ByteCount(0),
            full,
        }));
    }
    writes.push(Write::Device(device));
    Ok(writes)
}

/// Keeps what the device runs before an install, for the way back.
fn remember_before(directive: &Directive, device: &Device) -> Option<Write> {
    let confirmed = device.confirmed.as_ref().filter(|_| directive.order == Order::Install)?;
    let key = super::reports::before_key(&directive.rollout, &directive.device);
    Some(Write::Setting { key, value: confirmed.image.to_string().into() })
}

/// Returns the image that the device ran before this rollout reached it.
async fn before(context: &Shared, directive: &Directive, fallback: Sha256Digest) -> Result<Sha256Digest> {
    let key = super::reports::before_key(&directive.rollout, &directive.device);
    let kept = context.store.setting(&key).await?;
    let digest = kept.as_ref().and_then(|value| value.as_str()).and_then(|text| text.parse().ok());
    Ok(digest.unwrap_or(fallback))
}
