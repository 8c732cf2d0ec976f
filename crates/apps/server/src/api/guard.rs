//! Alerts and shields: what devices did that they never did, and what stands around those that run no fix.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use warden_wire::problem::ProblemCode;
use warden_wire::rest::{AlertBody, Items, ShieldBody};

use super::extract::{Asked, Filtering, Paging, cut, items};
use crate::clock::now;
use crate::context::Shared;
use crate::problem::{Answer, Failure};
use crate::turn::{RULES, RULESET};

/// Lists the alerts that a filter holds for, the newest first.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "guard", params(Filtering),
    responses((status = 200, body = Items<AlertBody>)))]
pub(super) async fn alerts(
    State(context): State<Shared>,
    Asked(filtering): Asked<Filtering>,
) -> Answer<Json<Items<AlertBody>>> {
    let (filter, page) = filtering.request(now())?;
    let page = context.store.alerts(&filter, &page).await?;
    Ok(items(page, |alert| AlertBody::from(&alert)))
}

/// Lists the shields, also those that were lifted or refused, by device.
#[utoipa::path(get, path = "/api/v1/shields", tag = "guard", params(Paging),
    responses((status = 200, body = Items<ShieldBody>)))]
pub(super) async fn shields(
    State(context): State<Shared>,
    Asked(paging): Asked<Paging>,
) -> Answer<Json<Items<ShieldBody>>> {
    let page =
        cut(context.store.shields().await?, "shields", &paging.request()?, |shield| shield.id.as_str())?;
    Ok(items(page, |shield| ShieldBody::from(&shield)))
}

/// Returns the nftables ruleset of all shields, to be loaded with `nft -f`.
#[utoipa::path(get, path = "/api/v1/shields/ruleset", tag = "guard",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn ruleset(State(context): State<Shared>) -> Answer<Response> {
    rules_text(&context, RULESET).await
}

/// Returns the intrusion-prevention rules (Suricata) of all shields.
#[utoipa::path(get, path = "/api/v1/shields/rules", tag = "guard",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn rules(State(context): State<Shared>) -> Answer<Response> {
    rules_text(&context, RULES).await
}

async fn rules_text(context: &Shared, key: &str) -> Answer<Response> {
    if let Some(Value::String(text)) = context.store.setting(key).await? {
        return Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response());
    }
    let failure = Failure::new(ProblemCode::NotFound, "no rules have been written yet");
    Err(failure.with_hint("the next turn of the loop writes them"))
}
