//! Plans: who would get a release, when, why, and at what cost; and drafts, which are plans that are kept.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use warden_model::device::Device;
use warden_model::product::Product;
use warden_model::release::{Release, ReleaseState};
use warden_model::{ByteCount, DeviceId, Generation, ReleaseId, RolloutId, Sha256Digest, Stage, Timestamp};
use warden_rollout::{
    Assignment, Candidate, Compatible, LeftOut, Opening, Policy, assign, compatibility, lint, open,
    parse_phases, parse_window,
};
use warden_store::{StoreError, Write};
use warden_wire::page::PageRequest;
use warden_wire::problem::ProblemCode;
use warden_wire::rest::{DeviceReason, PlannedDevice, RolloutBody, RolloutPlan, RolloutRequest};

use super::urgency::urgency;
use crate::api::access::Caller;
use crate::api::extract::{Wish, filter};
use crate::api::record::{event, of_release, of_rollout};
use crate::clock::now;
use crate::context::Shared;
use crate::problem::{Answer, Failure};

/// A plan with all that it was made from.
struct Draft {
    release: Release,
    policy: Policy,
    devices: Vec<Device>,
    assignment: Assignment,
}

/// Plans a rollout and changes nothing: who would get the release, when, why, and at what cost.
#[utoipa::path(post, path = "/api/v1/rollouts/plan", tag = "rollouts", request_body = RolloutRequest,
    responses((status = 200, body = RolloutPlan)))]
pub(in crate::api) async fn plan(
    State(context): State<Shared>,
    Wish(wish): Wish<RolloutRequest>,
) -> Answer<Json<RolloutPlan>> {
    let draft = draft(&context, &wish, now()).await?;
    Ok(Json(shown(&context, &draft).await?))
}

/// Plans a rollout and keeps it as a draft, which a person starts.
#[utoipa::path(post, path = "/api/v1/rollouts", tag = "rollouts", request_body = RolloutRequest,
    responses((status = 201, body = RolloutBody)))]
pub(in crate::api) async fn create(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    Wish(wish): Wish<RolloutRequest>,
) -> Answer<Response> {
    let now = now();
    let _deciding = context.deciding.lock().await;
    let draft = draft(&context, &wish, now).await?;
    check_signed(&draft.release)?;
    if draft.assignment.members.is_empty() {
        let release = &draft.release.id;
        return Err(Failure::conflict(format!("no device would get release {release}"))
            .with_hint("POST /api/v1/rollouts/plan says for each device why not"));
    }
    let opening = Opening {
        id: new_id(&context, &draft.release.id).await?,
        release: draft.release.id.clone(),
        newest_generation: newest_generation(&draft),
    };
    let opened = open(opening, &draft.assignment, &draft.policy, now);
    let (rollout, members) = opened.map_err(|error| Failure::invalid(&error))?;
    let reason = format!("{} By {caller}.", rollout.reason);
    let event = of_release(&draft.release.id, event(now, Stage::Rollout, "rollout planned", reason));
    let mut writes = vec![Write::Rollout(rollout.clone()), Write::Event(of_rollout(&rollout.id, event))];
    writes.extend(members.into_iter().map(|member| Write::Member { rollout: rollout.id.clone(), member }));
    context.store.commit(&writes).await?;
    context.wake.notify_one();
    let location = [(header::LOCATION, format!("/api/v1/rollouts/{}", rollout.id))];
    Ok((StatusCode::CREATED, location, Json(super::body(&context, &rollout).await?)).into_response())
}

fn check_signed(release: &Release) -> Answer<()> {
    let hint = match release.state {
        ReleaseState::Signed => return Ok(()),
        ReleaseState::Uploaded | ReleaseState::Analysed | ReleaseState::Built => {
            "wait until the lab has proven it, then sign it with the offline key"
        }
        ReleaseState::Proven => "sign it with the offline key: GET /api/v1/metadata/draft says what to sign",
        ReleaseState::Rejected => "upload a release that passes; the reason says what was wrong",
        ReleaseState::Withdrawn => "make a new release",
    };
    let detail = format!(
        "release {} is {}, and only a signed one may roll out: {}",
        release.id, release.state, release.reason
    );
    Err(Failure::conflict(detail).with_hint(hint))
}

/// Returns `<release>-r<number>`, with the first number that is free; a long name of the release is cut.
async fn new_id(context: &Shared, release: &ReleaseId) -> Answer<RolloutId> {
    /// Leaves room for the number in the 64 characters of an id.
    const RELEASE_CHARS_MAX: usize = 54;
    let name: String = release.as_str().chars().take(RELEASE_CHARS_MAX).collect();
    let mut number = 1_u64;
    loop {
        let id = RolloutId::new(format!("{name}-r{number}"))
            .map_err(|error| Failure::internal("name the rollout", &error))?;
        if context.store.rollout(&id).await?.is_none() {
            return Ok(id);
        }
        number = number.saturating_add(1);
    }
}

fn newest_generation(draft: &Draft) -> Generation {
    draft.devices.iter().map(|device| device.generation).max().unwrap_or_default()
}

async fn draft(context: &Shared, wish: &RolloutRequest, now: Timestamp) -> Answer<Draft> {
    let invalid = |text: String| Failure::new(ProblemCode::Invalid, text);
    let id: ReleaseId = wish.release.parse().map_err(|error| invalid(format!("release: {error}")))?;
    let policy = policy(context, wish)?;
    let release = context.store.release(&id).await?.ok_or_else(|| Failure::not_found("release", &id))?;
    let product = context.store.product(&release.product).await?;
    let product = product.ok_or_else(|| Failure::not_found("product", &release.product))?;
    let devices = chosen(context, &release, wish.filter.as_deref(), now).await?;
    let candidates = candidates(context, &release, &product, &devices, now).await?;
    let assignment = assign(&candidates, &policy);
    Ok(Draft { release, policy, devices, assignment })
}

fn policy(context: &Shared, wish: &RolloutRequest) -> Answer<Policy> {
    let invalid = |field: &str, error: &dyn std::fmt::Display| {
        Failure::new(ProblemCode::Invalid, format!("{field}: {error}"))
    };
    let policy = match &wish.phases {
        None => Policy::canary(),
        Some(text) => Policy::new(parse_phases(text).map_err(|error| invalid("phases", &error))?, None),
    };
    let policy = match &wish.window {
        None => policy,
        Some(text) => policy.within(parse_window(text).map_err(|error| invalid("window", &error))?),
    };
    Ok(policy.with_order_timeout(context.config.order_timeout))
}

/// Returns the devices of the release's product that the filter holds for, by id.
async fn chosen(
    context: &Shared,
    release: &Release,
    text: Option<&str>,
    now: Timestamp,
) -> Answer<Vec<Device>> {
    let filter = filter(text, now)?;
    if filter.is_everything() {
        return Ok(context.store.devices_of(&release.product).await?);
    }
    let mut devices = Vec::new();
    let mut request = PageRequest::largest();
    loop {
        let page = context.store.devices(&filter, &request).await?;
        devices.extend(page.items.into_iter().filter(|device| device.product == release.product));
        match page.next {
            None => return Ok(devices),
            next @ Some(_) => request.after = next,
        }
    }
}

async fn candidates(
    context: &Shared,
    release: &Release,
    product: &Product,
    devices: &[Device],
    now: Timestamp,
) -> Result<Vec<Candidate>, StoreError> {
    let urgency = urgency(context, release, devices).await?;
    let busy = busy(context, None).await?;
    let releases = context.store.releases_of(&release.product).await?;
    let counters: BTreeMap<Sha256Digest, u64> =
        releases.iter().map(|known| (known.image, known.counter)).collect();
    let candidate = |device: &Device| {
        let counter = device.confirmed.as_ref().and_then(|running| counters.get(&running.image).copied());
        let compatible = match (compatibility(device, product, release, counter, now), busy.get(&device.id)) {
            (Compatible::Yes, Some(rollout)) => Compatible::InOtherRollout { rollout: rollout.clone() },
            (compatible, _) => compatible,
        };
        Candidate {
            device: device.id.clone(),
            criticality: device.criticality,
            priority: urgency.get(&device.id).copied(),
            running: device.confirmed.clone(),
            compatible,
        }
    };
    Ok(devices.iter().map(candidate).collect())
}

/// Returns the devices that a rollout has which has started and is not over, without those of `own`.
pub(super) async fn busy(
    context: &Shared,
    own: Option<&RolloutId>,
) -> Result<BTreeMap<DeviceId, RolloutId>, StoreError> {
    let mut busy = BTreeMap::new();
    for rollout in context.store.active_rollouts().await? {
        if own == Some(&rollout.id) {
            continue;
        }
        let members = context.store.members(&rollout.id).await?;
        busy.extend(members.into_iter().map(|member| (member.device, rollout.id.clone())));
    }
    Ok(busy)
}

async fn shown(context: &Shared, draft: &Draft) -> Answer<RolloutPlan> {
    let release = &draft.release;
    let full = context.store.firmware(&release.image).await?.map_or(ByteCount(0), |firmware| firmware.size);
    let patches = context.store.patches_to(&release.image).await?;
    let patches: BTreeMap<Sha256Digest, ByteCount> =
        patches.iter().map(|patch| (patch.base, patch.size)).collect();
    let running: BTreeMap<&DeviceId, Sha256Digest> = draft
        .devices
        .iter()
        .filter_map(|device| Some((&device.id, device.confirmed.as_ref()?.image)))
        .collect();
    let devices: Vec<PlannedDevice> = draft
        .assignment
        .members
        .iter()
        .map(|member| {
            let patch = running.get(&member.device).and_then(|image| patches.get(image));
            PlannedDevice {
                device: member.device.to_string(),
                phase: draft
                    .policy
                    .phases
                    .get(member.phase)
                    .map_or_else(String::new, |phase| phase.name.clone()),
                reason: member.because.clone(),
                bytes: patch.map_or(full.0, |patch| patch.0.min(full.0)),
            }
        })
        .collect();
    let left_out = draft
        .assignment
        .left_out
        .iter()
        .map(|(device, why)| DeviceReason { device: device.to_string(), reason: why.to_string() });
    Ok(RolloutPlan {
        bytes: devices.iter().map(|device| device.bytes).fold(0, u64::saturating_add),
        full_bytes: full.0.saturating_mul(count(devices.len())),
        devices,
        left_out: left_out.collect(),
        warnings: warnings(draft),
    })
}

fn warnings(draft: &Draft) -> Vec<String> {
    let assignment = &draft.assignment;
    // The fleet of a plan are all devices that the release fits, whether a phase takes them or not.
    let full: BTreeSet<&DeviceId> = assignment
        .left_out
        .iter()
        .filter(|(_, why)| matches!(why, LeftOut::PhasesFull { .. }))
        .map(|(device, _)| device)
        .collect();
    let fleet = count(assignment.members.len()).saturating_add(count(full.len()));
    let mut warnings: Vec<String> = lint(&draft.policy, fleet).iter().map(ToString::to_string).collect();
    if draft.release.state != ReleaseState::Signed {
        warnings.insert(
            0,
            format!("The release is {}, and must be signed before it may roll out.", draft.release.state),
        );
    }
    warnings
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
