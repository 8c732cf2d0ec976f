//! The device's side of the server: hawkBit DDI v1, EST, signed metadata, artifacts, state reports.
//!
//! In: requests over mutual TLS (EST enrolment alone comes without a client certificate). Out: what the norm says.
//! Refuses: certificates of devices that are not known, and devices that ask in the name of another one.

mod artifacts;
mod ddi;
mod est;
mod identify;
mod state;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};

pub(crate) use est::hash_of;

use crate::context::Shared;

/// Largest body that a device may send, in bytes: hawkBit's largest feedback (50 messages of 512 characters of up to four
/// bytes) fits, a certificate request and a state report are far below.
const BODY_BYTES_MAX: usize = 128 * 1024;

/// Makes the router of the device listener.
pub(crate) fn router(context: &Shared) -> Router {
    let own = "/{tenant}/controller/v1/{device}";
    let path = |rest: &str| format!("{own}{rest}");
    let controller = Router::new()
        .route(own, get(ddi::base))
        .route(&path("/configData"), put(ddi::config_data))
        .route(&path("/deploymentBase/{action}"), get(ddi::deployment_base))
        .route(&path("/deploymentBase/{action}/feedback"), post(ddi::deployment_feedback))
        .route(&path("/cancelAction/{action}"), get(ddi::cancel_action))
        .route(&path("/cancelAction/{action}/feedback"), post(ddi::cancel_feedback))
        .route(&path("/installedBase/{action}"), get(ddi::installed_base))
        .route(&path("/softwaremodules/{module}/artifacts"), get(ddi::artifacts))
        .route(&path("/softwaremodules/{module}/artifacts/{file}"), get(artifacts::of_module))
        .route(&path("/fleetwarden/metadata/{file}"), get(artifacts::metadata))
        .route(&path("/fleetwarden/artifacts/{digest}"), get(artifacts::by_digest))
        .route(&path("/fleetwarden/state"), post(state::report))
        .route_layer(from_fn_with_state(context.clone(), identify::identify));
    let est = Router::new()
        .route("/.well-known/est/cacerts", get(est::ca_certificates))
        .route("/.well-known/est/simpleenroll", post(est::simple_enrol))
        .route("/.well-known/est/simplereenroll", post(est::simple_reenrol));
    controller.merge(est).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(context.clone())
}

#[cfg(test)]
mod tests;
