//! Enrolment over Secure Transport (RFC 7030): a one-time token or the present certificate in, a certificate out.
//!
//! In: PKCS#10 requests in base64 (§4.2.1). Out: certs-only PKCS#7 in base64 (§4.1.3, §4.2.3). Refuses: unknown, expired and
//! used tokens, requests for a name that belongs to another device, and requests whose own signature is wrong.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};
use warden_model::device::{Device, UpdateState};
use warden_model::event::Event;
use warden_model::{DeviceId, Generation, Sha256Digest, Stage, Timestamp};
use warden_store::{EnrolmentGrant, EnrolmentRefused, Write};
use warden_trust::est::{certs_only, from_base64, to_base64};
use warden_trust::identity::{Csr, check_csr, device_of_certificate, device_of_uri};

use crate::clock::now;
use crate::context::Shared;
use crate::listen::Peer;

/// An answer that says what failed; EST wants plain text (RFC 7030 §4.2.3).
fn refuse(status: StatusCode, why: &str) -> Response {
    warn!(status = status.as_u16(), why, "refused an enrolment");
    (status, [(header::CONTENT_TYPE, "text/plain")], format!("{why}\n")).into_response()
}

fn certificates(list: &[&[u8]]) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/pkcs7-mime; smime-type=certs-only"),
        (header::HeaderName::from_static("content-transfer-encoding"), "base64"),
    ];
    (headers, to_base64(&certs_only(list))).into_response()
}

/// `GET /.well-known/est/cacerts` (RFC 7030 §4.1): anybody may ask; devices pin the fingerprint.
pub(super) async fn ca_certificates(State(context): State<Shared>) -> Response {
    certificates(&[context.authority.certificate_der().as_ref()])
}

/// `POST /.well-known/est/simpleenroll` (RFC 7030 §4.2.1), with HTTP Basic `enrol:<token>` (§3.2.3).
pub(super) async fn simple_enrol(State(context): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(token) = token_of(&headers) else {
        let mut response =
            refuse(StatusCode::UNAUTHORIZED, "an enrolment token is needed: HTTP Basic, user enrol");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Basic realm=\"est\""));
        return response;
    };
    let (csr, device) = match request(&context, &body) {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    let at = now();
    let token = hash_of(token.as_bytes());
    // Of two devices that ask for the same name at the same time, only one gets it.
    let deciding = context.deciding.lock().await;
    match enrol(&context, &csr, &device, token, at).await {
        Ok(()) => {}
        Err(refusal) => return refusal,
    }
    drop(deciding);
    context.wake.notify_one();
    issue(&context, &csr, &device, at)
}

/// Enlists a device, or finds that it was enlisted by this very request, whose answer got lost.
async fn enrol(
    context: &Shared,
    csr: &Csr,
    device: &DeviceId,
    token: Sha256Digest,
    at: Timestamp,
) -> Result<(), Response> {
    let unauthorized = |why: EnrolmentRefused| match why {
        EnrolmentRefused::Store(error) => broken(&error),
        why @ (EnrolmentRefused::Unknown | EnrolmentRefused::Expired | EnrolmentRefused::UsedUp) => {
            refuse(StatusCode::UNAUTHORIZED, &format!("the enrolment token is refused: {why}"))
        }
    };
    let store = &context.store;
    let known = store.device(device).await.map_err(|error| broken(&error))?;
    let proof = Value::from(format!("{token} {}", csr.public_key.key_id()));
    let kept = store.setting(&proof_key(device)).await.map_err(|error| broken(&error))?;
    // The same token and the same key: a device that never got its certificate, because it or we were cut off. Once it
    // has reported, it has one, and renews that.
    if known.as_ref().is_some_and(|known| known.state == UpdateState::Enrolled)
        && kept.as_ref() == Some(&proof)
    {
        return Ok(());
    }
    // Before the name: who holds no token learns nothing about names. And it is only looked at: a mistaken name must not
    // cost the operator a token.
    store.enrolment(&token, at).await.map_err(unauthorized)?;
    if known.is_some() {
        let why = "a device of this name is enrolled; it renews with simplereenroll, or is removed first";
        return Err(refuse(StatusCode::CONFLICT, why));
    }
    let key = proof_key(device);
    let enlist = |grant: &EnrolmentGrant| enlisted(device, grant, Write::Setting { key, value: proof }, at);
    let grant = store.enrol(&token, at, enlist).await.map_err(unauthorized)?;
    info!(device = %device, product = %grant.product, "enrolled a device");
    Ok(())
}

/// Returns the key under which is kept with which token and key a device enrolled; both as digests.
fn proof_key(device: &DeviceId) -> String {
    format!("enrolled/{device}")
}

/// `POST /.well-known/est/simplereenroll` (RFC 7030 §4.2.2): the present certificate proves who asks.
pub(super) async fn simple_reenrol(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Response {
    let Some(certificate) = peer.certificate.as_deref() else {
        return refuse(StatusCode::UNAUTHORIZED, "renewal needs the present certificate");
    };
    let Ok((present, _)) = device_of_certificate(certificate, &context.trust_domain) else {
        return refuse(StatusCode::UNAUTHORIZED, "the present certificate is of another fleet");
    };
    let (csr, device) = match request(&context, &body) {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    if device != present {
        return refuse(StatusCode::FORBIDDEN, "a device renews its own name and no other");
    }
    match context.store.device(&device).await {
        Ok(Some(_)) => issue(&context, &csr, &device, now()),
        Ok(None) => refuse(StatusCode::UNAUTHORIZED, "the device is not enrolled here any more"),
        Err(error) => broken(&error),
    }
}

fn broken(error: &warden_store::StoreError) -> Response {
    tracing::error!(error = %crate::problem::chain(error), "an enrolment failed");
    (StatusCode::INTERNAL_SERVER_ERROR, "the server failed; its log says why\n").into_response()
}

/// Reads and checks a request; the name that it asks for is that of a device of this fleet, and the only one.
fn request(context: &Shared, body: &[u8]) -> Result<(Csr, DeviceId), Response> {
    let bad = |why: &str| refuse(StatusCode::BAD_REQUEST, why);
    let der = from_base64(body).map_err(|error| bad(&format!("the body is no base64: {error}")))?;
    let csr =
        check_csr(&der).map_err(|error| bad(&format!("the certificate request is refused: {error}")))?;
    let [uri] = csr.uris.as_slice() else {
        return Err(bad("the certificate request must ask for exactly one URI name"));
    };
    let device = device_of_uri(uri, &context.trust_domain).map_err(|error| {
        bad(&format!("the certificate request asks for a name that is not of this fleet: {error}"))
    })?;
    Ok((csr, device))
}

fn issue(context: &Shared, csr: &Csr, device: &DeviceId, at: Timestamp) -> Response {
    let lifetime = context.config.certificate_lifetime;
    match context.authority.issue_device(csr, device, &context.trust_domain, at, lifetime) {
        Ok(certificate) => certificates(&[certificate.as_ref()]),
        Err(error) => {
            tracing::error!(error = %crate::problem::chain(&error), "a certificate could not be issued");
            (StatusCode::INTERNAL_SERVER_ERROR, "the server failed; its log says why\n").into_response()
        }
    }
}

fn enlisted(id: &DeviceId, grant: &EnrolmentGrant, proof: Write, at: Timestamp) -> Vec<Write> {
    let device = Device {
        id: id.clone(),
        product: grant.product.clone(),
        hardware: grant.hardware.clone(),
        criticality: grant.criticality,
        sensitivity: grant.sensitivity,
        segment: grant.segment.clone(),
        address: None,
        installed: None,
        confirmed: None,
        state: UpdateState::Enrolled,
        generation: Generation(0),
        slot: None,
        report_counter: 0,
        enrolled_at: at,
        last_seen: None,
    };
    let event = Event {
        at,
        stage: Stage::Rollout,
        device: Some(id.clone()),
        release: None,
        rollout: None,
        what: "enrolled".to_owned(),
        reason: format!("it showed a valid enrolment token for {} on {}", grant.product, grant.hardware),
    };
    vec![Write::Device(device), proof, Write::Event(event)]
}

fn token_of(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let decoded = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.strip_prefix("enrol:").map(str::to_owned)
}

/// Returns the SHA-256 digest under which a secret of 256 random bits is kept: no salt is needed for those.
pub(crate) fn hash_of(secret: &[u8]) -> Sha256Digest {
    Sha256Digest(Sha256::digest(secret).into())
}
