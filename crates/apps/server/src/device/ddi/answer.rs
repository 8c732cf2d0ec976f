//! What answers and bodies look like: media types, entity tags, errors as hawkBit's clients expect them.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use warden_store::StoreError;
use warden_wire::ddi::DdiError;

pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = DdiError { error_code: format!("hawkbit.server.error.{code}"), message: message.to_owned() };
    (status, Json(body)).into_response()
}

pub(super) fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "repo.entityNotFound", "there is no such order for this device")
}

pub(super) fn broken(cause: &StoreError) -> Response {
    tracing::error!(error = %crate::problem::chain(cause), "a device's request failed");
    if matches!(cause, StoreError::StorageFull) {
        return error(StatusCode::INSUFFICIENT_STORAGE, "internal", "the server's disk is full");
    }
    error(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; its log says why")
}

/// The media type of an answer: hawkBit's default is HAL. Nothing when the client takes neither form of JSON; CBOR is
/// not spoken here.
fn media(headers: &HeaderMap) -> Option<&'static str> {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepts.contains("application/json") {
        return Some("application/json");
    }
    let any = ["application/hal+json", "application/*", "*/*"].iter().any(|name| accepts.contains(name));
    (any || accepts.is_empty()).then_some("application/hal+json")
}

/// Answers with JSON in the media type that the client asked for.
pub(super) fn answer<T: Serialize>(headers: &HeaderMap, body: &T) -> Response {
    let Some(media) = media(headers) else { return StatusCode::NOT_ACCEPTABLE.into_response() };
    let mut response = Json(body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// The same with an entity tag: a client that has this very answer already gets 304 (RFC 9110 §13.1.2).
pub(super) fn answer_tagged<T: Serialize>(headers: &HeaderMap, body: &T) -> Response {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let tag = format!("\"{}\"", crate::device::hash_of(&bytes));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
    // Weak comparison (RFC 9110 §8.8.3.2): `W/` in front changes nothing.
    let is_known = known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag);
    let mut response =
        if is_known { StatusCode::NOT_MODIFIED.into_response() } else { answer(headers, body) };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Reads a JSON body. A client that names no media type is believed to send JSON.
pub(super) fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Response> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim();
    if !essence.is_empty() && !essence.eq_ignore_ascii_case("application/json") {
        let message = "only application/json is understood";
        return Err(error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "rest.body.notReadable", message));
    }
    serde_json::from_slice(body)
        .map_err(|cause| error(StatusCode::BAD_REQUEST, "rest.body.notReadable", &cause.to_string()))
}
