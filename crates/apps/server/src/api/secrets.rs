//! One-time secrets: enrolment tokens for devices, login links for people. Each is shown once; only its hash is kept.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use warden_model::{ProductId, Seconds, Stage};
use warden_store::{EnrolmentGrant, Write};
use warden_wire::problem::ProblemCode;
use warden_wire::rest::{EnrolmentRequest, EnrolmentToken, LoginLink};

use super::access::Caller;
use super::devices::read;
use super::extract::Wish;
use super::record::event;
use crate::clock::now;
use crate::context::Shared;
use crate::device::hash_of;
use crate::problem::{Answer, Failure};

/// Most devices that one enrolment token lets in: a large production run.
const USES_MAX: u32 = 100_000;
/// Shortest life of an enrolment token: a device boots and asks within a minute.
const LIFETIME_MIN: Seconds = Seconds(60);
/// Longest life of an enrolment token: a month on a shelf; what lies longer gets a new one.
const LIFETIME_MAX: Seconds = Seconds::days(30);
/// How long a login link is good: as long as it takes to get from the terminal to the browser.
const LINK_LIFETIME: Seconds = Seconds(15 * 60);

fn secret() -> Answer<String> {
    warden_keys::random_secret().map_err(|error| Failure::internal("make a secret", &error))
}

/// Makes an enrolment token.
///
/// Devices that show it become devices of this product, with this board and profile.
#[utoipa::path(post, path = "/api/v1/enrolment-tokens", tag = "devices", request_body = EnrolmentRequest,
    responses((status = 201, body = EnrolmentToken)))]
pub(super) async fn enrolment_token(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    Wish(wish): Wish<EnrolmentRequest>,
) -> Answer<(StatusCode, Json<EnrolmentToken>)> {
    let now = now();
    let lifetime = Seconds(wish.lifetime_seconds);
    if !(LIFETIME_MIN..=LIFETIME_MAX).contains(&lifetime) {
        let detail = format!("lifetime_seconds: {} to {} are allowed", LIFETIME_MIN.0, LIFETIME_MAX.0);
        return Err(Failure::new(ProblemCode::Invalid, detail));
    }
    let grant = grant(&context, &wish, now.plus(lifetime)).await?;
    let secret = secret()?;
    context.store.create_enrolment(&hash_of(secret.as_bytes()), &grant).await?;
    let reason = format!(
        "for {} on {}, {} uses until {}, by {caller}",
        grant.product, grant.hardware, grant.uses_left, grant.expires
    );
    let event = event(now, Stage::Rollout, "enrolment token made", reason);
    context.store.commit(&[Write::Event(event)]).await?;
    let token = EnrolmentToken {
        token: secret,
        expires: grant.expires.to_string(),
        ca_fingerprint: context.authority.fingerprint().to_string(),
    };
    Ok((StatusCode::CREATED, Json(token)))
}

async fn grant(
    context: &Shared,
    wish: &EnrolmentRequest,
    expires: warden_model::Timestamp,
) -> Answer<EnrolmentGrant> {
    let invalid = |text: String| Failure::new(ProblemCode::Invalid, text);
    if !(1..=USES_MAX).contains(&wish.uses) {
        return Err(invalid(format!("uses: 1 to {USES_MAX} are allowed")));
    }
    let id: ProductId = wish.product.parse().map_err(|error| invalid(format!("product: {error}")))?;
    let product = context.store.product(&id).await?.ok_or_else(|| {
        Failure::not_found("product", &id).with_hint(format!("make it first: PUT /api/v1/products/{id}"))
    })?;
    let hardware = wish.hardware.parse().map_err(|error| invalid(format!("hardware: {error}")))?;
    if !product.boards.contains(&hardware) {
        let boards: Vec<String> = product.boards.iter().map(ToString::to_string).collect();
        return Err(invalid(format!("hardware: {id} runs on {}, not on {hardware}", boards.join(", "))));
    }
    Ok(EnrolmentGrant {
        product: id,
        hardware,
        criticality: wish.criticality.parse().map_err(|error| invalid(format!("criticality: {error}")))?,
        sensitivity: wish.sensitivity.parse().map_err(|error| invalid(format!("sensitivity: {error}")))?,
        segment: read("segment", wish.segment.as_deref())?,
        uses_left: u64::from(wish.uses),
        expires,
    })
}

/// Makes a one-time link that opens the console.
#[utoipa::path(post, path = "/api/v1/login-links", tag = "people", responses((status = 201, body = LoginLink)))]
pub(super) async fn login_link(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Answer<(StatusCode, Json<LoginLink>)> {
    let now = now();
    let expires = now.plus(LINK_LIFETIME);
    let secret = secret()?;
    context.store.create_login_link(&hash_of(secret.as_bytes()), expires).await?;
    let reason = format!("good for one login until {expires}, by {caller}");
    let event = event(now, Stage::Watch, "login link made", reason);
    context.store.commit(&[Write::Event(event)]).await?;
    let link = LoginLink { url: format!("/login?token={secret}"), expires: expires.to_string() };
    Ok((StatusCode::CREATED, Json(link)))
}
