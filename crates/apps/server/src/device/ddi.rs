//! hawkBit DDI v1, the part that devices need: base poll, attributes, deployment, feedback, cancellation.
//!
//! In: what SWUpdate, rauc-hawkbit-updater and our own agent send. Out: what hawkBit answers, with links of our own for
//! metadata, artifacts and state reports. Refuses as hawkBit does: 404 for orders of others, 410 for closed ones.

use std::collections::BTreeMap;

use axum::Extension;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use warden_model::case::Priority;
use warden_model::rollout::Order;
use warden_model::{ActionId, Timestamp};
use warden_store::{DirectiveState, StoredDirective, Write};
use warden_wire::ddi::{
    ATTRIBUTE_CHARS_MAX, ATTRIBUTES_MAX, Artifact, Base, CancelAction, CancelBase, Chunk, Config, ConfigData,
    ConfigMode, DdiError, Deployment, DeploymentBase, Feedback, Handling, Hashes, LINK_ARTIFACTS,
    LINK_METADATA, LINK_STATE, Link, META_GENERATION, META_IMAGE, META_ORDER, Metadata, Polling, Window,
};

use super::identify::Asking;
use crate::context::Shared;
use crate::turn::reports::{Channel, take_feedback};

/// The address under which the device reaches us: the one that it used itself, so that links work behind any proxy.
fn own_url(context: &Shared, headers: &HeaderMap, tenant: &str, device: &str) -> String {
    let fallback = format!("{}:{}", context.config.public_host, context.config.device_address.port());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).filter(|host| is_host(host));
    format!("https://{}/{tenant}/controller/v1/{device}", host.unwrap_or(&fallback))
}

fn is_host(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    (1..=255).contains(&text.len()) && text.bytes().all(fits)
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = DdiError { error_code: format!("hawkbit.server.error.{code}"), message: message.to_owned() };
    (status, Json(body)).into_response()
}

fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "repo.entityNotFound", "there is no such order for this device")
}

fn broken(cause: &warden_store::StoreError) -> Response {
    tracing::error!(error = %crate::problem::chain(cause), "a device's request failed");
    error(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; its log says why")
}

/// Answers with JSON in the media type that the client asked for: hawkBit's default is HAL.
fn answer<T: Serialize>(headers: &HeaderMap, body: &T) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let media =
        if accepts.contains("application/json") { "application/json" } else { "application/hal+json" };
    let mut response = Json(body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Response> {
    serde_json::from_slice(body)
        .map_err(|cause| error(StatusCode::BAD_REQUEST, "rest.body.notReadable", &cause.to_string()))
}

/// Finds an order by its number among those of the device that asks.
pub(super) async fn own_directive(
    context: &Shared,
    asking: &Asking,
    action: &str,
) -> Result<StoredDirective, Response> {
    let Ok(action) = action.parse::<u64>() else { return Err(not_found()) };
    match context.store.directive(ActionId(action)).await {
        Ok(Some(found)) if found.directive.device == asking.device.id => Ok(found),
        Ok(_) => Err(not_found()),
        Err(cause) => Err(broken(&cause)),
    }
}

/// `GET /{tenant}/controller/v1/{device}`.
pub(super) async fn base(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    Path((tenant, device)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let own = own_url(&context, &headers, &tenant, &device);
    let link = |rest: &str| Link { href: format!("{own}/{rest}") };
    let mut links = BTreeMap::from([
        (LINK_METADATA.to_owned(), link("fleetwarden/metadata/")),
        (LINK_ARTIFACTS.to_owned(), link("fleetwarden/artifacts/")),
        (LINK_STATE.to_owned(), link("fleetwarden/state")),
    ]);
    let open = match context.store.open_directive(&asking.device.id).await {
        Ok(open) => open,
        Err(cause) => return broken(&cause),
    };
    if let Some(open) = open {
        let action = open.directive.action;
        match open.state {
            // The number behind `c` changes with the order and with its window, so that clients that compare notice
            // (hawkBit does so).
            DirectiveState::Open => {
                let window = match window_of(&context, &open, &asking, crate::clock::now()).await {
                    Ok(window) => window,
                    Err(cause) => return broken(&cause),
                };
                let mark = if window == Some(Window::Unavailable) { "1" } else { "" };
                let href = format!("deploymentBase/{action}?c={}{mark}", open.directive.generation);
                links.insert("deploymentBase".to_owned(), link(&href));
            }
            DirectiveState::Cancelling => {
                links.insert("cancelAction".to_owned(), link(&format!("cancelAction/{action}")));
            }
            DirectiveState::Closed => {}
        }
    }
    match context.store.attributes(&asking.device.id).await {
        Ok(attributes) if attributes.is_empty() => {
            links.insert("configData".to_owned(), link("configData"));
        }
        Ok(_) => {}
        Err(cause) => return broken(&cause),
    }
    answer(&headers, &Base { config: Config { polling: Polling::every(context.config.poll.0) }, links })
}

/// `PUT …/configData`.
pub(super) async fn config_data(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    body: Bytes,
) -> Response {
    let config: ConfigData = match read(&body) {
        Ok(config) => config,
        Err(refusal) => return refusal,
    };
    let too_long = |text: &String| text.chars().count() > ATTRIBUTE_CHARS_MAX;
    if config.data.is_empty() || config.data.iter().any(|(key, value)| too_long(key) || too_long(value)) {
        let message = format!(
            "attributes must be there, with keys and values of at most {ATTRIBUTE_CHARS_MAX} characters"
        );
        return error(StatusCode::BAD_REQUEST, "repo.invalidTargetAttributes", &message);
    }
    let device = asking.device.id.clone();
    let mut values = match context.store.attributes(&device).await {
        Ok(values) => values,
        Err(cause) => return broken(&cause),
    };
    match config.mode {
        ConfigMode::Merge => values.extend(config.data),
        ConfigMode::Replace => values = config.data,
        ConfigMode::Remove => values.retain(|key, _| !config.data.contains_key(key)),
    }
    if values.len() > ATTRIBUTES_MAX {
        let message = format!("a device may have {ATTRIBUTES_MAX} attributes at most");
        return error(StatusCode::TOO_MANY_REQUESTS, "quota.tooManyEntries", &message);
    }
    match context.store.commit(&[Write::Attributes { device, values }]).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(cause) => broken(&cause),
    }
}

/// `GET …/deploymentBase/{action}`.
pub(super) async fn deployment_base(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    Path((tenant, device, action)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let own = match own_directive(&context, &asking, &action).await {
        Ok(own) => own,
        Err(refusal) => return refusal,
    };
    if own.state != DirectiveState::Open {
        return not_found();
    }
    let url = own_url(&context, &headers, &tenant, &device);
    let window = match window_of(&context, &own, &asking, crate::clock::now()).await {
        Ok(window) => window,
        Err(cause) => return broken(&cause),
    };
    match chunk(&context, &own, &url).await {
        Ok(chunk) => {
            let deployment = Deployment {
                download: Handling::Forced,
                // A closed window lets the device load, and keeps it from installing (hawkBit has it so).
                update: if window == Some(Window::Unavailable) { Handling::Skip } else { Handling::Forced },
                maintenance_window: window,
                chunks: vec![chunk],
            };
            answer(&headers, &DeploymentBase { id: own.directive.action.to_string(), deployment })
        }
        Err(refusal) => refusal,
    }
}

/// `GET …/softwaremodules/{module}/artifacts`.
pub(super) async fn artifacts(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    Path((tenant, device, module)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let own = match own_directive(&context, &asking, &module).await {
        Ok(own) => own,
        Err(refusal) => return refusal,
    };
    match chunk(&context, &own, &own_url(&context, &headers, &tenant, &device)).await {
        Ok(chunk) => answer(&headers, &chunk.artifacts),
        Err(refusal) => refusal,
    }
}

/// Says whether the window of an order's rollout is open; nothing when there is none. The way back waits for no window,
/// and neither does a device with an immediate case.
async fn window_of(
    context: &Shared,
    own: &StoredDirective,
    asking: &Asking,
    now: Timestamp,
) -> Result<Option<Window>, warden_store::StoreError> {
    let rollout = context.store.rollout(&own.directive.rollout).await?;
    let Some(window) = rollout.and_then(|rollout| rollout.window) else { return Ok(None) };
    if own.directive.order != Order::Install || window.opens_after(now).is_none() {
        return Ok(Some(Window::Available));
    }
    let cases = context.store.cases_of_device(&asking.device.id).await?;
    let is_urgent =
        cases.iter().any(|case| case.protected.is_none() && case.decision.priority == Priority::Immediate);
    Ok(Some(if is_urgent { Window::Available } else { Window::Unavailable }))
}

async fn chunk(context: &Shared, own: &StoredDirective, url: &str) -> Result<Chunk, Response> {
    let image = own.image;
    let firmware =
        context.store.firmware(&image).await.map_err(|cause| broken(&cause))?.ok_or_else(not_found)?;
    let hashes = context.artifacts.hashes(&image).map_err(|_| not_found())?;
    let name = format!("{image}.img");
    let href = format!("{url}/softwaremodules/{}/artifacts/{name}", own.directive.action);
    let artifact = Artifact {
        links: BTreeMap::from([
            ("download".to_owned(), Link { href: href.clone() }),
            ("md5sum".to_owned(), Link { href: format!("{href}.MD5SUM") }),
        ]),
        filename: name,
        hashes: Hashes { sha1: Some(hashes.sha1), md5: Some(hashes.md5), sha256: Some(image.to_string()) },
        size: firmware.size.0,
    };
    let order = match own.directive.order {
        Order::Install | Order::Cancel => Order::Install,
        Order::TurnBack => Order::TurnBack,
    };
    let entry = |key: &str, value: String| Metadata { key: key.to_owned(), value };
    Ok(Chunk {
        part: "os".to_owned(),
        version: firmware.version.to_string(),
        name: firmware.product.to_string(),
        artifacts: vec![artifact],
        metadata: vec![
            entry(META_GENERATION, own.directive.generation.to_string()),
            entry(META_IMAGE, image.to_string()),
            entry(META_ORDER, order.to_string()),
        ],
    })
}

/// `POST …/deploymentBase/{action}/feedback`.
pub(super) async fn deployment_feedback(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    Path((_, _, action)): Path<(String, String, String)>,
    body: Bytes,
) -> Response {
    feedback(&context, &asking, &action, &body, Channel::Deployment).await
}

/// `POST …/cancelAction/{action}/feedback`.
pub(super) async fn cancel_feedback(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    Path((_, _, action)): Path<(String, String, String)>,
    body: Bytes,
) -> Response {
    feedback(&context, &asking, &action, &body, Channel::Cancellation).await
}

async fn feedback(
    context: &Shared,
    asking: &Asking,
    action: &str,
    body: &[u8],
    channel: Channel,
) -> Response {
    let own = match own_directive(context, asking, action).await {
        Ok(own) => own,
        Err(refusal) => return refusal,
    };
    let feedback: Feedback = match read(body) {
        Ok(feedback) => feedback,
        Err(refusal) => return refusal,
    };
    match (own.state, channel) {
        (DirectiveState::Closed, _) => {
            error(StatusCode::GONE, "repo.actionNotActive", "this order is closed")
        }
        (DirectiveState::Open, Channel::Cancellation) => {
            let message = "this order is not being cancelled";
            error(StatusCode::METHOD_NOT_ALLOWED, "action.notCancelable", message)
        }
        (DirectiveState::Open | DirectiveState::Cancelling, _) => {
            match take_feedback(context, &own, &feedback, channel, crate::clock::now()).await {
                Ok(()) => StatusCode::OK.into_response(),
                Err(cause) => broken(&cause),
            }
        }
    }
}

/// `GET …/cancelAction/{action}`.
pub(super) async fn cancel_action(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    Path((_, _, action)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    match own_directive(&context, &asking, &action).await {
        Ok(own) if own.state == DirectiveState::Cancelling => {
            let id = own.directive.action.to_string();
            answer(&headers, &CancelBase { cancel_action: CancelAction { stop_id: id.clone() }, id })
        }
        Ok(_) => not_found(),
        Err(refusal) => refusal,
    }
}
