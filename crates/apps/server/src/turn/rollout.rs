//! Rollout: each active rollout takes its next steps; orders, members and reasons are kept in one transaction.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use tracing::{info, warn};
use warden_model::case::Priority;
use warden_model::device::{Device, UpdateState};
use warden_model::event::Event;
use warden_model::rollout::{Directive, Member, MemberState, Order, Rollout};
use warden_model::{ActionId, ByteCount, DeviceId, Sha256Digest, Stage, Timestamp};
use warden_rollout::{Circumstances, Step, take_turn};
use warden_store::{DirectiveState, StoredDirective, Write};

use super::Failures;
use crate::context::Shared;

/// Lets each rollout take its next steps that is active, or that is over and has stragglers.
pub(crate) async fn run(context: &Shared, now: Timestamp) -> Result<()> {
    let _deciding = context.deciding.lock().await;
    let store = &context.store;
    take_orphans_back(context, now).await.context("take back orders of releases that were taken back")?;
    let active = store.active_rollouts().await?;
    let over = store.rollouts_with_stragglers().await?;
    if active.is_empty() && over.is_empty() {
        return Ok(());
    }
    let open = store.open_cases().await?;
    let urgent: BTreeSet<DeviceId> = open
        .iter()
        .filter(|case| case.decision.priority == Priority::Immediate)
        .map(|case| case.device.clone())
        .collect();
    let mut failures = Failures::default();
    let mut busy: BTreeSet<DeviceId> = BTreeSet::new();
    for rollout in active {
        let id = rollout.id.clone();
        let members = store.members(&id).await?;
        busy.extend(members.iter().map(|member| member.device.clone()));
        let moved = one(context, rollout, members, &urgent, now).await;
        failures.note(moved.with_context(|| format!("move the rollout {id}")));
    }
    for rollout in over {
        let id = rollout.id.clone();
        let moved = stragglers(context, rollout, &busy, &urgent, now).await;
        failures.note(moved.with_context(|| format!("turn back the stragglers of the rollout {id}")));
    }
    failures.end()
}

/// Orders devices back that came to run the release only after its rollout had gone back. A device that another rollout
/// has by now is left to that one: it gets a newer release anyway.
async fn stragglers(
    context: &Shared,
    mut rollout: Rollout,
    busy: &BTreeSet<DeviceId>,
    urgent: &BTreeSet<DeviceId>,
    now: Timestamp,
) -> Result<()> {
    let mut members = context.store.members(&rollout.id).await?;
    members.retain(|member| !busy.contains(&member.device));
    // Since the rollout ended, they may have had orders of others, and would refuse an older generation.
    for member in &members {
        if matches!(member.state, MemberState::Installed | MemberState::Booted | MemberState::Healthy)
            && let Some(device) = context.store.device(&member.device).await?
        {
            rollout.generation = rollout.generation.max(device.generation);
        }
    }
    one(context, rollout, members, urgent, now).await
}

async fn one(
    context: &Shared,
    mut rollout: Rollout,
    mut members: Vec<Member>,
    urgent: &BTreeSet<DeviceId>,
    now: Timestamp,
) -> Result<()> {
    let store = &context.store;
    let Some(release) = store.release(&rollout.release).await? else {
        anyhow::bail!("its release {} is gone", rollout.release);
    };
    let (before, members_before) = (rollout.clone(), members.clone());
    let circumstances = Circumstances {
        urgent,
        release_state: release.state,
        order_timeout: context.config.order_timeout,
        now,
    };
    // Planned twice: the first time only to count the numbers that it takes, so that these are reserved in one go before
    // anything is kept, and none in the many turns that order nothing. The planner is pure: it plans the same again.
    let mut taken = 0_u64;
    take_turn(&mut rollout.clone(), &mut members.clone(), &circumstances, &mut || {
        taken = taken.saturating_add(1);
        ActionId(taken)
    });
    let mut next = if taken > 0 { store.reserve_action_ids(taken).await? } else { ActionId(0) };
    let turn = take_turn(&mut rollout, &mut members, &circumstances, &mut || {
        let id = next;
        next = ActionId(id.0.saturating_add(1));
        id
    });
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
    let image = match directive.order {
        Order::Install => Some(image),
        // Back means: what the device ran before. It knows its other slot best; this names what the server knows.
        Order::TurnBack => before(context, directive).await?,
        Order::Cancel => None,
    };
    if let Some(image) = image {
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
            way: None,
            loading_millis: 0,
            applying_millis: 0,
        }));
    } else if directive.order == Order::TurnBack {
        writes.push(Write::Event(no_way_back(directive, now)));
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

/// Returns the image that the device ran before this rollout reached it; nothing when it never said so.
async fn before(context: &Shared, directive: &Directive) -> Result<Option<Sha256Digest>> {
    let key = super::reports::before_key(&directive.rollout, &directive.device);
    let kept = context.store.setting(&key).await?;
    Ok(kept.as_ref().and_then(|value| value.as_str()).and_then(|text| text.parse().ok()))
}

/// A device that never said what it ran: an order to another image than that would be a guess, and "turned back" a lie.
fn no_way_back(directive: &Directive, now: Timestamp) -> Event {
    warn!(device = %directive.device, rollout = %directive.rollout, "nobody knows what the device ran before");
    Event {
        at: now,
        stage: Stage::Rollout,
        device: Some(directive.device.clone()),
        release: Some(directive.release.clone()),
        rollout: Some(directive.rollout.clone()),
        what: "cannot be ordered back".to_owned(),
        reason: "it never reported what it ran before; a person must take it back by hand".to_owned(),
    }
}

/// Takes orders back whose release was taken back after their rollout had ended: devices that were silent all the time
/// would install it when they return, and no rollout looks after them any more.
async fn take_orphans_back(context: &Shared, now: Timestamp) -> Result<()> {
    let mut writes = Vec::new();
    for stored in context.store.orphaned_directives().await? {
        let Directive { device, rollout, release, .. } = stored.directive.clone();
        if let Some(member) = context.store.member(&rollout, &device).await? {
            let member = Member { state: MemberState::Cancelled, since: now, ..member };
            writes.push(Write::Member { rollout: rollout.clone(), member });
        }
        writes.push(Write::Directive(StoredDirective { state: DirectiveState::Cancelling, ..stored }));
        writes.push(Write::Event(Event {
            at: now,
            stage: Stage::Rollout,
            device: Some(device),
            release: Some(release),
            rollout: Some(rollout),
            what: "order taken back".to_owned(),
            reason: "The release was taken back after the rollout had ended.".to_owned(),
        }));
    }
    if writes.is_empty() {
        return Ok(());
    }
    Ok(context.store.commit(&writes).await?)
}
