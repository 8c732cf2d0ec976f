//! The device's signed state report: the only thing that counts as success.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, debug_handler};
use tracing::warn;
use warden_trust::{Envelope, envelope};
use warden_wire::problem::ProblemCode;
use warden_wire::report;

use super::identify::Asking;
use crate::clock::now;
use crate::context::Shared;
use crate::problem::Failure;
use crate::turn::reports::{Accepted, accept};

/// `POST …/fleetwarden/state`: a DSSE envelope around a state report.
#[debug_handler]
pub(super) async fn report(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    body: Bytes,
) -> Result<Response, Failure> {
    let refuse = |why: String| {
        warn!(device = %asking.device.id, why, "refused a state report");
        Failure::new(ProblemCode::Invalid, why)
    };
    let envelope: Envelope = serde_json::from_slice(&body)
        .map_err(|error| refuse(format!("the body is no DSSE envelope: {error}")))?;
    let payload = envelope::open(&envelope, report::PAYLOAD_TYPE, &asking.key)
        .map_err(|error| refuse(format!("the envelope cannot be believed: {error}")))?;
    let report = report::read(payload.get()).map_err(|error| refuse(error.to_string()))?;
    if report.device != asking.device.id {
        return Err(refuse(format!(
            "the report is about {}, not about the device that sends it",
            report.device
        )));
    }
    // What no column holds is nothing that a device counts to; refused here, so that it does not look like our failure.
    let counts = [report.counter, report.generation.0, report.downloaded.0, report.full.0];
    let action = report.action.map_or(0, |action| action.0);
    if counts.into_iter().chain([action]).any(|count| i64::try_from(count).is_err()) {
        return Err(refuse(format!("a number of the report is above {}", i64::MAX)));
    }
    match accept(&context, &report, now()).await? {
        Accepted::Taken | Accepted::KnownAlready => {
            Ok((StatusCode::OK, Json(serde_json::json!({}))).into_response())
        }
        Accepted::Replay { newest } => Err(Failure::conflict(format!(
            "report {} is older than report {newest}, which is here already",
            report.counter
        ))),
    }
}
