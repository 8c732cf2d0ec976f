//! What devices say about their orders, and the orders that are taken back.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use warden_store::DirectiveState;
use warden_wire::ddi::{CancelAction, CancelBase, Feedback};

use super::answer::{answer, broken, error, not_found, read};
use super::own_directive;
use crate::clock::now;
use crate::context::Shared;
use crate::device::identify::Asking;
use crate::turn::{Channel, Taken, take_feedback};

type OfAction = Path<(String, String, String)>;

/// `POST …/deploymentBase/{action}/feedback`.
pub(in crate::device) async fn deployment_feedback(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    Path((_, _, action)): OfAction,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    feedback(&context, &asking, &action, (&headers, &body), Channel::Deployment).await
}

/// `POST …/cancelAction/{action}/feedback`.
pub(in crate::device) async fn cancel_feedback(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    Path((_, _, action)): OfAction,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    feedback(&context, &asking, &action, (&headers, &body), Channel::Cancellation).await
}

async fn feedback(
    context: &Shared,
    asking: &Asking,
    action: &str,
    (headers, body): (&HeaderMap, &[u8]),
    channel: Channel,
) -> Response {
    let own = match own_directive(context, asking, action).await {
        Ok(own) => own.directive.action,
        Err(refusal) => return refusal,
    };
    let feedback: Feedback = match read(headers, body) {
        Ok(feedback) => feedback,
        Err(refusal) => return refusal,
    };
    match take_feedback(context, own, &feedback, channel, now()).await {
        Ok(Taken::Kept) => StatusCode::OK.into_response(),
        Ok(Taken::Gone) => error(StatusCode::GONE, "repo.actionNotActive", "this order is closed"),
        Ok(Taken::NotCancelling) => {
            let message = "this order is not being cancelled";
            error(StatusCode::METHOD_NOT_ALLOWED, "action.notCancelable", message)
        }
        Ok(Taken::TooMany) => {
            let message = "this order has as many answers as are kept";
            error(StatusCode::TOO_MANY_REQUESTS, "quota.tooManyEntries", message)
        }
        Err(cause) => broken(&cause),
    }
}

/// `GET …/cancelAction/{action}`.
pub(in crate::device) async fn cancel_action(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    Path((_, _, action)): OfAction,
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
