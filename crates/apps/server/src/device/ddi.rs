//! hawkBit DDI v1, the part that devices need: base poll, attributes, deployment, feedback, cancellation.
//!
//! In: what SWUpdate, rauc-hawkbit-updater and our own agent send. Out: what hawkBit answers, with links of our own for
//! metadata, artifacts and state reports. Refuses as hawkBit does: 404 for orders of others, 410 for closed ones.

mod answer;
mod deployment;
mod feedback;

use std::collections::BTreeMap;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use warden_model::ActionId;
use warden_model::release::ReleaseState;
use warden_model::rollout::Order;
use warden_store::{DirectiveState, StoreError, StoredDirective, Write};
use warden_wire::ddi::{
    ATTRIBUTE_CHARS_MAX, ATTRIBUTES_MAX, Base, Config, ConfigData, ConfigMode, LINK_ARTIFACTS, LINK_METADATA,
    LINK_STATE, Link, Polling, Window,
};

use super::identify::Asking;
use crate::context::Shared;
use crate::turn::window_of;
use answer::{answer_tagged, broken, error, not_found, read};

pub(super) use deployment::{artifacts, deployment_base, installed_base};
pub(super) use feedback::{cancel_action, cancel_feedback, deployment_feedback};

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

/// Finds an order by its number among those of the device that asks.
pub(super) async fn own_directive(
    context: &Shared,
    asking: &Asking,
    action: &str,
) -> Result<StoredDirective, Response> {
    // What no column holds is the number of no order.
    let number = action.parse::<u64>().ok().filter(|number| i64::try_from(*number).is_ok());
    let Some(number) = number else { return Err(not_found()) };
    match context.store.directive(ActionId(number)).await {
        Ok(Some(found)) if found.directive.device == asking.device.id => Ok(found),
        Ok(_) => Err(not_found()),
        Err(cause) => Err(broken(&cause)),
    }
}

/// Says whether an order is offered: it is open, and nobody has taken its release back. The planner cancels such an
/// order with its next step; until then the device must not begin.
async fn is_offered(context: &Shared, stored: &StoredDirective) -> Result<bool, StoreError> {
    if stored.state != DirectiveState::Open || stored.directive.order != Order::Install {
        return Ok(stored.state == DirectiveState::Open);
    }
    let release = context.store.release(&stored.directive.release).await?;
    let taken_back = |state| matches!(state, ReleaseState::Withdrawn | ReleaseState::Rejected);
    Ok(release.is_some_and(|release| !taken_back(release.state)))
}

/// `GET /{tenant}/controller/v1/{device}`.
pub(super) async fn base(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    Path((tenant, device)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let own = own_url(&context, &headers, &tenant, &device);
    match links(&context, &asking, &own).await {
        Ok(links) => {
            let config = Config { polling: Polling::every(context.config.poll.0) };
            answer_tagged(&headers, &Base { config, links })
        }
        Err(cause) => broken(&cause),
    }
}

async fn links(context: &Shared, asking: &Asking, own: &str) -> Result<BTreeMap<String, Link>, StoreError> {
    let device = &asking.device;
    let link = |rest: &str| Link { href: format!("{own}/{rest}") };
    let mut links = BTreeMap::from([
        (LINK_METADATA.to_owned(), link("fleetwarden/metadata/")),
        (LINK_ARTIFACTS.to_owned(), link("fleetwarden/artifacts/")),
        (LINK_STATE.to_owned(), link("fleetwarden/state")),
    ]);
    if let Some(open) = context.store.open_directive(&device.id).await? {
        let action = open.directive.action;
        if open.state == DirectiveState::Cancelling {
            links.insert("cancelAction".to_owned(), link(&format!("cancelAction/{action}")));
        } else if is_offered(context, &open).await? {
            // The number behind `c` changes with the order and with its window, so that clients that compare notice
            // (hawkBit does so).
            let window = window_of(context, &open, crate::clock::now()).await?;
            let mark = if window == Some(Window::Unavailable) { "1" } else { "" };
            let href = format!("deploymentBase/{action}?c={}{mark}", open.directive.generation);
            links.insert("deploymentBase".to_owned(), link(&href));
        }
    }
    if let Some(confirmed) = &device.confirmed
        && let Some(done) = context.store.finished_directive(&device.id, &confirmed.image).await?
    {
        let href = format!("installedBase/{}?c={}", done.directive.action, done.directive.generation);
        links.insert("installedBase".to_owned(), link(&href));
    }
    if context.store.attributes(&device.id).await?.is_empty() {
        links.insert("configData".to_owned(), link("configData"));
    }
    Ok(links)
}

/// `PUT …/configData`.
pub(super) async fn config_data(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let config: ConfigData = match read(&headers, &body) {
        Ok(config) => config,
        Err(refusal) => return refusal,
    };
    let too_long = |text: &String| text.chars().count() > ATTRIBUTE_CHARS_MAX;
    let unfit = |key: &String, value: &String| key.is_empty() || too_long(key) || too_long(value);
    if config.data.is_empty() || config.data.iter().any(|(key, value)| unfit(key, value)) {
        let message = format!(
            "attributes must be there, with keys and values of at most {ATTRIBUTE_CHARS_MAX} characters"
        );
        return error(StatusCode::BAD_REQUEST, "repo.invalidTargetAttributes", &message);
    }
    let device = asking.device.id.clone();
    // Read and written under the lock: of two requests at the same time neither is lost.
    let _deciding = context.deciding.lock().await;
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
