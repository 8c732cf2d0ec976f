//! The description of the API (OpenAPI 3.1), made from the code: types from `warden-wire`, operations from the handlers.

use serde_json::Value;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, PathItem, Ref, RefOr};
use utoipa::{Modify, OpenApi as _};
use warden_wire::problem::{MEDIA_TYPE, Problem};

use super::{
    devices, events, guard, images, metadata, metrics, patches, products, releases, risk, rollouts, scans,
    secrets, status,
};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Fleetwarden",
        description = "Updates and shields for IoT fleets. Moments are RFC 3339 texts in UTC, sizes are bytes, shares are \
            per mille, spans are seconds. Lists come in pages: give `next` back as `after`. What fails is a problem of \
            RFC 9457, with a hint where one helps.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        status::get, metrics::get,
        products::list, products::get, products::put,
        devices::list, devices::get, devices::patch, devices::events, devices::cases, devices::attributes,
        secrets::enrolment_token, secrets::login_link,
        images::upload,
        releases::list, releases::get, releases::post, patches::list, releases::sbom, releases::events, releases::withdraw,
        metadata::draft, metadata::publish, metadata::file,
        risk::import, risk::advisories, risk::advisory, risk::cases,
        scans::import, scans::list, scans::get, scans::hosts, scans::unmatched, scans::sightings,
        rollouts::list, rollouts::get, rollouts::events, rollouts::plan::plan, rollouts::plan::create,
        rollouts::command::start, rollouts::command::pause, rollouts::command::resume, rollouts::command::halt,
        rollouts::command::roll_back, rollouts::command::why,
        guard::alerts, guard::shields, guard::ruleset, guard::rules,
        events::list, events::stream,
        super::openapi_json,
    ),
    components(schemas(Problem)),
    tags(
        (name = "status", description = "Where the fleet stands."),
        (name = "products", description = "What all devices of one kind have in common."),
        (name = "devices", description = "Devices, their timelines and their weaknesses; how new ones come in."),
        (name = "releases", description = "Images and the releases that are made of them."),
        (name = "metadata", description = "What the offline key signs, and what devices verify."),
        (name = "risk", description = "Advisories, and the cases that they open on devices."),
        (name = "scans", description = "Reports of vulnerability scanners, and what they saw on devices."),
        (name = "rollouts", description = "Releases on their way to the fleet, in phases."),
        (name = "guard", description = "Alerts, and shields around devices that run no fix."),
        (name = "events", description = "What happened, and what happens."),
        (name = "people", description = "How people get into the console."),
        (name = "description", description = "This document."),
    ),
    security(("token" = []), ("session" = [])),
    modifiers(&Common),
)]
struct Api;

/// What all operations have in common: how one is let in, and what a failure looks like.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut Document) {
        if let Some(components) = document.components.as_mut() {
            let bearer =
                HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("fwt_<id>_<secret>").build();
            components.add_security_scheme("token", SecurityScheme::Http(bearer));
            let cookie = ApiKey::Cookie(ApiKeyValue::new("__Host-fleetwarden"));
            components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            let problem = ResponseBuilder::new()
                .description("What failed, why, and what to do about it (RFC 9457).")
                .content(MEDIA_TYPE, content)
                .build();
            components.responses.insert("Problem".to_owned(), problem.into());
        }
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                operation.responses.responses.iter_mut().for_each(describe);
                let problem = Ref::from_response_name("Problem");
                operation.responses.responses.insert("default".to_owned(), problem.into());
                operation.operation_id = Some(operation_id(method, path));
            }
        }
    }
}

/// The operations of a path, with the methods that this API uses.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [("get", &mut item.get), ("put", &mut item.put), ("post", &mut item.post), ("patch", &mut item.patch)]
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Gives an answer its description, where the handler has none: each must have one (OpenAPI 3.1 §4.8.17).
fn describe((status, response): (&String, &mut RefOr<Response>)) {
    if let RefOr::T(response) = response
        && response.description.is_empty()
    {
        let words = if status == "201" { "made" } else { "the answer" };
        words.clone_into(&mut response.description);
    }
}

/// Names an operation after its method and path: `get_devices_id_events`. Handlers of several modules share a name, and the
/// id of an operation is its own (OpenAPI 3.1 §4.8.10).
fn operation_id(method: &str, path: &str) -> String {
    let words = path.trim_start_matches("/api/").trim_start_matches("v1/").split(['/', '-', '.']);
    words.fold(method.to_owned(), |id, word| format!("{id}_{}", word.trim_matches(['{', '}'])))
}

/// Returns the description of the API: OpenAPI 3.1 as JSON, the same for the same program.
pub(super) fn document() -> Value {
    serde_json::to_value(Api::openapi()).unwrap_or_default()
}
