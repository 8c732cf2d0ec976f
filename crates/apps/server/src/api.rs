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
mod products;
mod record;
mod releases;
mod risk;
mod rollouts;
mod secrets;
mod status;

use axum::extract::{DefaultBodyLimit, OriginalUri};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{self, MethodRouter};
use axum::{Extension, Json, Router};
use warden_model::ByteCount;
use warden_trust::Role;
use warden_wire::problem::ProblemCode;

use crate::context::Shared;
use crate::problem::Failure;
use extract::BodyLimit;

/// Largest body of a request, where its route names no other limit: a policy in 4 KiB and a filter in 1 KiB are the longest
/// texts that people send.
const BODY_BYTES_MAX: ByteCount = ByteCount::kib(64);

/// Largest file of advisories: the limit of the reader.
fn advisories_bytes_max() -> ByteCount {
    warden_feeds::Limits::default().file
}

/// Makes the router of the API, without its context's pages for people.
pub fn router(context: &Shared) -> Router {
    let mut guarded = Router::new();
    for route in routes() {
        guarded = guarded.route(route.path, route.handler);
    }
    guarded
        .route_layer(from_fn_with_state(context.clone(), access::authenticate))
        .route("/api/openapi.json", routing::get(openapi_json))
        .route("/api", routing::any(unknown))
        .route("/api/{*rest}", routing::any(unknown))
        .method_not_allowed_fallback(wrong_method)
        .with_state(context.clone())
}

/// Returns the description of the API: OpenAPI 3.1 as JSON, the same for the same program.
pub fn openapi() -> serde_json::Value {
    document::document()
}

/// One operation.
struct Route {
    #[cfg_attr(not(test), expect(dead_code, reason = "compared with the description in a test"))]
    method: &'static str,
    path: &'static str,
    handler: MethodRouter<Shared>,
}

impl Route {
    fn new(method: &'static str, path: &'static str, handler: MethodRouter<Shared>) -> Self {
        Self { method, path, handler }.limited(BODY_BYTES_MAX)
    }

    /// Sets the largest body; the innermost limit, which is the one set first, would win, so that this replaces it.
    fn limited(self, limit: ByteCount) -> Self {
        let bytes = usize::try_from(limit.0).unwrap_or(usize::MAX);
        let handler = self.handler.layer((DefaultBodyLimit::max(bytes), Extension(BodyLimit(limit))));
        Self { handler, ..self }
    }
}

fn get<H: Handler<T, Shared>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route::new("get", path, routing::get(handler))
}

fn put<H: Handler<T, Shared>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route::new("put", path, routing::put(handler))
}

fn post<H: Handler<T, Shared>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route::new("post", path, routing::post(handler))
}

fn patch<H: Handler<T, Shared>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route::new("patch", path, routing::patch(handler))
}
