//! Devices: who they are, what happened to them, what is weak on them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::State;
use axum::{Extension, Json};
use warden_model::device::Device;
use warden_model::{DeviceId, Stage};
use warden_store::{EventScope, Write};
use warden_wire::page::Page;
use warden_wire::problem::ProblemCode;
use warden_wire::rest::{CaseBody, DeviceBody, DeviceChange, EventBody, Items};

use super::access::Caller;
use super::extract::{Asked, Filtering, Named, Paging, Wish, cut, items};
use super::record::{event, of_device};
use crate::clock::now;
use crate::context::Shared;
use crate::problem::{Answer, Failure};

/// Lists the devices that a filter holds for, by id.
#[utoipa::path(get, path = "/api/v1/devices", tag = "devices", params(Filtering),
    responses((status = 200, body = Items<DeviceBody>)))]
pub(super) async fn list(
    State(context): State<Shared>,
    Asked(filtering): Asked<Filtering>,
) -> Answer<Json<Items<DeviceBody>>> {
    let (filter, page) = filtering.request(now())?;
    let page = context.store.devices(&filter, &page).await?;
    Ok(items(page, |device| DeviceBody::from(&device)))
}

async fn find(context: &Shared, id: &DeviceId) -> Answer<Device> {
    context.store.device(id).await?.ok_or_else(|| Failure::not_found("device", id))
}

/// Returns a device.
#[utoipa::path(get, path = "/api/v1/devices/{id}", tag = "devices", params(("id" = String, Path)),
    responses((status = 200, body = DeviceBody)))]
pub(super) async fn get(
    State(context): State<Shared>,
    Named(id): Named<DeviceId>,
) -> Answer<Json<DeviceBody>> {
    Ok(Json(DeviceBody::from(&find(&context, &id).await?)))
}

/// Changes the profile of a device: how critical it is, how sensitive its data are, in which segment it stands.
#[utoipa::path(patch, path = "/api/v1/devices/{id}", tag = "devices", params(("id" = String, Path)),
    request_body = DeviceChange, responses((status = 200, body = DeviceBody)))]
pub(super) async fn patch(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<DeviceId>,
    Wish(change): Wish<DeviceChange>,
) -> Answer<Json<DeviceBody>> {
    let _deciding = context.deciding.lock().await;
    let mut device = find(&context, &id).await?;
    let mut said = Vec::new();
    if let Some(new) = read("criticality", change.criticality.as_deref())? {
        note(&mut said, "criticality", &device.criticality, &new);
        device.criticality = new;
    }
    if let Some(new) = read("sensitivity", change.sensitivity.as_deref())? {
        note(&mut said, "sensitivity", &device.sensitivity, &new);
        device.sensitivity = new;
    }
    if let Some(new) = read("segment", change.segment.as_deref())? {
        let old = device.segment.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        note(&mut said, "segment", &old, &new);
        device.segment = Some(new);
    }
    let body = Json(DeviceBody::from(&device));
    if said.is_empty() {
        return Ok(body);
    }
    let reason = format!("{}, by {caller}", said.join(", "));
    let event = of_device(&id, event(now(), Stage::Assess, "profile changed", reason));
    context.store.commit(&[Write::Device(device), Write::Event(event)]).await?;
    context.wake_all();
    Ok(body)
}

/// Reads a field of a wish; the error names the field.
pub(super) fn read<T: FromStr<Err: Display>>(field: &str, text: Option<&str>) -> Answer<Option<T>> {
    text.map(str::parse)
        .transpose()
        .map_err(|error| Failure::new(ProblemCode::Invalid, format!("{field}: {error}")))
}

fn note(said: &mut Vec<String>, field: &str, old: &dyn Display, new: &dyn Display) {
    let (old, new) = (old.to_string(), new.to_string());
    if old != new {
        said.push(format!("{field} from {old} to {new}"));
    }
}

/// Lists what happened to a device, the newest first.
#[utoipa::path(get, path = "/api/v1/devices/{id}/events", tag = "devices", params(("id" = String, Path), Paging),
    responses((status = 200, body = Items<EventBody>)))]
pub(super) async fn events(
    State(context): State<Shared>,
    Named(id): Named<DeviceId>,
    Asked(paging): Asked<Paging>,
) -> Answer<Json<Items<EventBody>>> {
    find(&context, &id).await?;
    let page = context.store.events(&EventScope::Device(id), &paging.request()?).await?;
    Ok(items(page, |event| EventBody::from(&event)))
}

/// Lists the cases of a device, the most urgent first.
#[utoipa::path(get, path = "/api/v1/devices/{id}/cases", tag = "devices", params(("id" = String, Path), Paging),
    responses((status = 200, body = Items<CaseBody>)))]
pub(super) async fn cases(
    State(context): State<Shared>,
    Named(id): Named<DeviceId>,
    Asked(paging): Asked<Paging>,
) -> Answer<Json<Items<CaseBody>>> {
    find(&context, &id).await?;
    let cases = context.store.cases_of_device(&id).await?;
    let page: Page<_> = cut(cases, "device-cases", &paging.request()?, |case| case.id.as_str())?;
    Ok(items(page, |case| CaseBody::from(&case)))
}

/// Returns what a device says of itself.
#[utoipa::path(get, path = "/api/v1/devices/{id}/attributes", tag = "devices", params(("id" = String, Path)),
    responses((status = 200, body = BTreeMap<String, String>)))]
pub(super) async fn attributes(
    State(context): State<Shared>,
    Named(id): Named<DeviceId>,
) -> Answer<Json<BTreeMap<String, String>>> {
    find(&context, &id).await?;
    Ok(Json(context.store.attributes(&id).await?))
}
