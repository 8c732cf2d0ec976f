//! Products: what all devices of one kind have in common.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use warden_model::product::Product;
use warden_model::{HardwareId, ProductId, Stage, Timestamp};
use warden_store::Write;
use warden_wire::problem::ProblemCode;
use warden_wire::rest::{Items, ProductBody};

use super::access::Caller;
use super::extract::{Asked, Named, Paging, Wish, cut, items};
use super::record::event;
use crate::clock::now;
use crate::context::Shared;
use crate::problem::{Answer, Failure};

/// Longest name, in characters: it stands in one column of a table.
const NAME_CHARS_MAX: usize = 100;
/// Most boards of a product: each needs its own test device in a lab, and nobody has that many.
const BOARDS_MAX: usize = 64;

/// Lists the products, by id.
#[utoipa::path(get, path = "/api/v1/products", tag = "products", params(Paging),
    responses((status = 200, body = Items<ProductBody>)))]
pub(super) async fn list(
    State(context): State<Shared>,
    Asked(paging): Asked<Paging>,
) -> Answer<Json<Items<ProductBody>>> {
    let page =
        cut(context.store.products().await?, "products", &paging.request()?, |product| product.id.as_str())?;
    Ok(items(page, |product| ProductBody::from(&product)))
}

/// Returns a product.
#[utoipa::path(get, path = "/api/v1/products/{id}", tag = "products", params(("id" = String, Path)),
    responses((status = 200, body = ProductBody)))]
pub(super) async fn get(
    State(context): State<Shared>,
    Named(id): Named<ProductId>,
) -> Answer<Json<ProductBody>> {
    let product = context.store.product(&id).await?.ok_or_else(|| Failure::not_found("product", &id))?;
    Ok(Json(ProductBody::from(&product)))
}

/// Makes a product, or replaces it.
#[utoipa::path(put, path = "/api/v1/products/{id}", tag = "products", params(("id" = String, Path)),
    request_body = ProductBody,
    responses((status = 200, description = "replaced", body = ProductBody),
        (status = 201, description = "made", body = ProductBody)))]
pub(super) async fn put(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<ProductId>,
    Wish(wish): Wish<ProductBody>,
) -> Answer<(StatusCode, Json<ProductBody>)> {
    let product = read(&id, &wish)?;
    let _deciding = context.deciding.lock().await;
    let known = context.store.product(&id).await?;
    let body = Json(ProductBody::from(&product));
    let (status, what) = match &known {
        Some(known) if *known == product => return Ok((StatusCode::OK, body)),
        Some(_) => (StatusCode::OK, "product changed"),
        None => (StatusCode::CREATED, "product made"),
    };
    let reason = format!("{id}: {}, by {caller}", describe(&product));
    let event = event(now(), Stage::Assess, what, reason);
    context.store.commit(&[Write::Product(product), Write::Event(event)]).await?;
    context.wake_all();
    Ok((status, body))
}

fn describe(product: &Product) -> String {
    let boards: Vec<&str> = product.boards.iter().map(HardwareId::as_str).collect();
    let support =
        product.support_ends.map_or_else(|| "supported".to_owned(), |end| format!("supported until {end}"));
    format!("boards {}, exposure {}, {support}", boards.join(" "), product.exposure)
}

fn read(id: &ProductId, wish: &ProductBody) -> Answer<Product> {
    let invalid = |text: String| Failure::new(ProblemCode::Invalid, text);
    if wish.id != id.as_str() {
        return Err(invalid(format!("id: the body names {:?}, the path names {id}", cut_text(&wish.id))));
    }
    if !(1..=NAME_CHARS_MAX).contains(&wish.name.chars().count()) {
        return Err(invalid(format!("name: 1 to {NAME_CHARS_MAX} characters are allowed")));
    }
    if !(1..=BOARDS_MAX).contains(&wish.boards.len()) {
        return Err(invalid(format!(
            "boards: 1 to {BOARDS_MAX} are allowed, {} are named",
            wish.boards.len()
        )));
    }
    let boards: Result<BTreeSet<HardwareId>, _> = wish.boards.iter().map(|board| board.parse()).collect();
    let support_ends: Result<Option<Timestamp>, _> = wish.support_ends.as_deref().map(str::parse).transpose();
    Ok(Product {
        id: id.clone(),
        name: wish.name.clone(),
        boards: boards.map_err(|error| invalid(format!("boards: {error}")))?,
        support_ends: support_ends.map_err(|error| invalid(format!("support_ends: {error}")))?,
        exposure: wish.exposure.parse().map_err(|error| invalid(format!("exposure: {error}")))?,
    })
}

/// Nobody needs more of a name that is wrong.
fn cut_text(text: &str) -> String {
    text.chars().take(64).collect()
}
