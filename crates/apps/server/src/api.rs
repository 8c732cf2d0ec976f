//! REST for people and programs: `/api/v1`, described by itself in `/api/openapi.json`.
//!
//! In: requests with an API token or a session of the console. Out: JSON in the types of `warden_wire::rest`; a change
//! leaves an event and wakes the loop. Refuses, with a problem (RFC 9457): requests that do not say who asks, that do not
//! fit, that are too large, or that the present state of things does not allow.

mod access;
mod devices;
mod document;
mod events;
mod extract;
mod guard;
mod images;
mod metadata;
mod metrics;
mod patches;
mod products;
mod record;
mod releases;
mod risk;
mod rollouts;
mod scans;
mod secrets;
mod status;

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri};
use axum::http::{HeaderName, Method, header};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any, get, patch, post, put};
use axum::{Extension, Router};
use warden_model::ByteCount;
use warden_trust::Role;
use warden_wire::problem::ProblemCode;

use crate::context::Shared;
use crate::problem::Failure;
use extract::BodyLimit;

/// Largest body of a request, where its route names no other limit: a policy in 4 KiB and a filter in 1 KiB are the longest
/// texts that people send.
const BODY_BYTES_MAX: ByteCount = ByteCount::kib(64);

/// How much of a path that does not exist is told back.
const PATH_CHARS_MAX: usize = 128;

/// Largest file of advisories: the limit of the reader.
fn advisories_bytes_max() -> ByteCount {
    warden_feeds::Limits::default().file
}

/// Makes the router of the API; the console's pages are merged beside it.
pub fn router(context: &Shared) -> Router {
    let mut guarded = Router::new();
    for Route { path, handler, limit } in routes() {
        let bytes = usize::try_from(limit.0).unwrap_or(usize::MAX);
        let limits = (DefaultBodyLimit::max(bytes), Extension(BodyLimit(limit)));
        guarded = guarded.route(path, handler.layer(limits));
    }
    guarded
        .route_layer(from_fn_with_state(context.clone(), access::authenticate))
        .route("/api/openapi.json", get(openapi_json))
        .route("/api", any(unknown))
        .route("/api/{*rest}", any(unknown))
        .method_not_allowed_fallback(wrong_method)
        .with_state(context.clone())
}

/// Returns the description of the API: OpenAPI 3.1 as JSON, the same for the same program.
pub fn openapi() -> serde_json::Value {
    document::document()
}

/// One operation: a path with one method. All of them are for callers who have said who they are.
struct Route {
    path: &'static str,
    handler: MethodRouter<Shared>,
    limit: ByteCount,
}

impl Route {
    fn limited(self, limit: ByteCount) -> Self {
        Self { limit, ..self }
    }
}

fn on(path: &'static str, handler: MethodRouter<Shared>) -> Route {
    Route { path, handler, limit: BODY_BYTES_MAX }
}

/// Lists all operations; a test compares the list with the description.
fn routes() -> Vec<Route> {
    vec![
        on("/api/v1/status", get(status::get)),
        on("/api/v1/metrics", get(metrics::get)),
        on("/api/v1/products", get(products::list)),
        on("/api/v1/products/{id}", get(products::get)),
        on("/api/v1/products/{id}", put(products::put)),
        on("/api/v1/devices", get(devices::list)),
        on("/api/v1/devices/{id}", get(devices::get)),
        on("/api/v1/devices/{id}", patch(devices::patch)),
        on("/api/v1/devices/{id}/events", get(devices::events)),
        on("/api/v1/devices/{id}/cases", get(devices::cases)),
        on("/api/v1/devices/{id}/attributes", get(devices::attributes)),
        on("/api/v1/enrolment-tokens", post(secrets::enrolment_token)),
        on("/api/v1/login-links", post(secrets::login_link)),
        // An image is never held in memory; the handler itself counts what comes.
        on("/api/v1/images", post(images::upload)),
        on("/api/v1/releases", get(releases::list)),
        on("/api/v1/releases", post(releases::post)),
        on("/api/v1/releases/{id}", get(releases::get)),
        on("/api/v1/releases/{id}/patches", get(patches::list)),
        on("/api/v1/releases/{id}/sbom", get(releases::sbom)),
        on("/api/v1/releases/{id}/events", get(releases::events)),
        on("/api/v1/releases/{id}/withdraw", post(releases::withdraw)),
        on("/api/v1/metadata/draft", get(metadata::draft)),
        on("/api/v1/metadata/targets", put(metadata::publish)).limited(Role::Targets.bytes_max()),
        on("/api/v1/metadata/{file}", get(metadata::file)),
        on("/api/v1/advisories", get(risk::advisories)),
        on("/api/v1/advisories", post(risk::import)).limited(advisories_bytes_max()),
        on("/api/v1/advisories/{id}", get(risk::advisory)),
        on("/api/v1/cases", get(risk::cases)),
        // A report is never held in memory either.
        on("/api/v1/scans", post(scans::import)),
        on("/api/v1/scans", get(scans::list)),
        on("/api/v1/scans/{id}", get(scans::get)),
        on("/api/v1/scans/{id}/hosts", get(scans::hosts)),
        on("/api/v1/scan-hosts/unmatched", get(scans::unmatched)),
        on("/api/v1/devices/{id}/sightings", get(scans::sightings)),
        on("/api/v1/rollouts", get(rollouts::list)),
        on("/api/v1/rollouts", post(rollouts::plan::create)),
        on("/api/v1/rollouts/plan", post(rollouts::plan::plan)),
        on("/api/v1/rollouts/{id}", get(rollouts::get)),
        on("/api/v1/rollouts/{id}/events", get(rollouts::events)),
        on("/api/v1/rollouts/{id}/start", post(rollouts::command::start)),
        on("/api/v1/rollouts/{id}/pause", post(rollouts::command::pause)),
        on("/api/v1/rollouts/{id}/resume", post(rollouts::command::resume)),
        on("/api/v1/rollouts/{id}/halt", post(rollouts::command::halt)),
        on("/api/v1/rollouts/{id}/roll-back", post(rollouts::command::roll_back)),
        on("/api/v1/rollouts/{id}/devices/{device}/why", get(rollouts::command::why)),
        on("/api/v1/alerts", get(guard::alerts)),
        on("/api/v1/shields", get(guard::shields)),
        on("/api/v1/shields/ruleset", get(guard::ruleset)),
        on("/api/v1/shields/rules", get(guard::rules)),
        on("/api/v1/events", get(events::list)),
        on("/api/v1/events/stream", get(events::stream)),
    ]
}

/// Returns this description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "description", security(()),
    responses((status = 200, body = serde_json::Value)))]
async fn openapi_json() -> ([(HeaderName, &'static str); 1], Bytes) {
    // Anybody may ask: it is made once, so that asking a thousand times costs nobody anything.
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(openapi().to_string()));
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone())
}

async fn unknown(OriginalUri(uri): OriginalUri) -> Failure {
    let path: String = uri.path().chars().take(PATH_CHARS_MAX).collect();
    Failure::not_found("resource", &path).with_hint("/api/openapi.json lists what there is")
}

async fn wrong_method(method: Method, OriginalUri(uri): OriginalUri) -> Failure {
    let path: String = uri.path().chars().take(PATH_CHARS_MAX).collect();
    Failure::new(ProblemCode::WrongMethod, format!("{path} has no method {method}"))
        .with_hint("the header `allow` lists the methods that it has")
}

#[cfg(test)]
mod tests;
