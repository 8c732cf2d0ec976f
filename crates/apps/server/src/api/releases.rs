//! Releases: an uploaded image becomes a release of a product, and what became of it.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use warden_model::firmware::{Firmware, Version};
use warden_model::product::Product;
use warden_model::release::{Release, ReleaseState};
use warden_model::{ByteCount, ProductId, ReleaseId, Sha256Digest, Stage, Timestamp};
use warden_store::{ArtifactError, EventScope, SavingsOf, StoreError, Write};
use warden_wire::problem::ProblemCode;
use warden_wire::rest::{EventBody, Items, LabRunBody, PatchBody, ReleaseBody, ReleaseRequest};

use super::access::Caller;
use super::extract::{Asked, Named, Paging, Wish, cut, items};
use super::patches::savings;
use super::record::{event, of_release};
use crate::clock::now;
use crate::context::Shared;
use crate::problem::{Answer, Failure};

/// The media type of a CycloneDX document in JSON (CycloneDX 1.6, "Media Types").
const SBOM_MEDIA_TYPE: &str = "application/vnd.cyclonedx+json";

/// Lists the releases, the newest first.
#[utoipa::path(get, path = "/api/v1/releases", tag = "releases", params(Paging),
    responses((status = 200, body = Items<ReleaseBody>)))]
pub(super) async fn list(
    State(context): State<Shared>,
    Asked(paging): Asked<Paging>,
) -> Answer<Json<Items<ReleaseBody>>> {
    let page =
        cut(context.store.releases().await?, "releases", &paging.request()?, |release| release.id.as_str())?;
    let next = page.next.map(|cursor| cursor.to_string());
    let mut items = Vec::new();
    for release in &page.items {
        items.push(body(&context, release).await?);
    }
    Ok(Json(Items { items, next }))
}

pub(super) async fn find(context: &Shared, id: &ReleaseId) -> Answer<Release> {
    context.store.release(id).await?.ok_or_else(|| Failure::not_found("release", id))
}

/// Returns a release, with its patches and what the lab has seen.
#[utoipa::path(get, path = "/api/v1/releases/{id}", tag = "releases", params(("id" = String, Path)),
    responses((status = 200, body = ReleaseBody)))]
pub(super) async fn get(
    State(context): State<Shared>,
    Named(id): Named<ReleaseId>,
) -> Answer<Json<ReleaseBody>> {
    let release = find(&context, &id).await?;
    Ok(Json(body(&context, &release).await?))
}

async fn body(context: &Shared, release: &Release) -> Result<ReleaseBody, StoreError> {
    let firmware = context.store.firmware(&release.image).await?;
    let components = firmware.as_ref().and_then(|firmware| firmware.components.as_ref());
    let lab = context.store.lab_runs(&release.id).await?.into_iter().map(|run| LabRunBody {
        scenario: run.scenario,
        outcome: run.outcome.to_string(),
        detail: run.detail,
        at: run.at.to_string(),
    });
    Ok(ReleaseBody {
        id: release.id.to_string(),
        product: release.product.to_string(),
        version: release.version.to_string(),
        image: release.image.to_string(),
        counter: release.counter,
        state: release.state.to_string(),
        reason: release.reason.clone(),
        created_at: release.created_at.to_string(),
        image_bytes: firmware.as_ref().map_or(0, |firmware| firmware.size.0),
        components: components.map(|list| u64::try_from(list.len()).unwrap_or(u64::MAX)),
        patches: context.store.patches_to(&release.image).await?.iter().map(PatchBody::from).collect(),
        lab: lab.collect(),
        savings: savings(&context.store.savings(&SavingsOf::Release(release.id.clone())).await?),
    })
}

/// Makes a release of an uploaded image.
///
/// Its id is `<product>-<version>`. Asking again for the same image changes nothing.
#[utoipa::path(post, path = "/api/v1/releases", tag = "releases", request_body = ReleaseRequest,
    responses((status = 200, description = "it was there already", body = ReleaseBody),
        (status = 201, description = "made", body = ReleaseBody)))]
pub(super) async fn post(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    Wish(wish): Wish<ReleaseRequest>,
) -> Answer<Response> {
    let wanted = wanted(&context, &wish).await?;
    let _deciding = context.deciding.lock().await;
    if let Some(known) = context.store.release(&wanted.id).await? {
        return same_release(&context, &known, &wanted).await;
    }
    let firmware = firmware(&context, &wanted).await?;
    let now = now();
    let release = Release {
        id: wanted.id.clone(),
        product: wanted.product.id.clone(),
        version: wanted.version.clone(),
        image: wanted.image,
        counter: context.store.next_release_counter(&wanted.product.id).await?,
        state: ReleaseState::Uploaded,
        reason: "the image is here and waits for its analysis".to_owned(),
        created_at: now,
    };
    let reason = format!("image {} of {}, by {caller}", wanted.image.short(), wanted.size);
    let event = of_release(&release.id, event(now, Stage::Analyse, "release made", reason));
    let mut writes: Vec<Write> = firmware.map(Write::Firmware).into_iter().collect();
    writes.extend([Write::Release(release.clone()), Write::Event(event)]);
    context.store.commit(&writes).await?;
    context.wake_all();
    let location = [(header::LOCATION, format!("/api/v1/releases/{}", release.id))];
    Ok((StatusCode::CREATED, location, Json(body(&context, &release).await?)).into_response())
}

/// A checked wish for a release.
struct Wanted {
    id: ReleaseId,
    product: Product,
    version: Version,
    image: Sha256Digest,
    size: ByteCount,
}

async fn wanted(context: &Shared, wish: &ReleaseRequest) -> Answer<Wanted> {
    let invalid = |text: String| Failure::new(ProblemCode::Invalid, text);
    let product: ProductId = wish.product.parse().map_err(|error| invalid(format!("product: {error}")))?;
    let version: Version = wish.version.parse().map_err(|error| invalid(format!("version: {error}")))?;
    let image: Sha256Digest = wish.image.parse().map_err(|error| invalid(format!("image: {error}")))?;
    let id = ReleaseId::new(format!("{product}-{version}")).map_err(|error| {
        invalid(format!("version: {error}"))
            .with_hint("a release is named <product>-<version>; shorten the version")
    })?;
    let product = context.store.product(&product).await?.ok_or_else(|| {
        Failure::not_found("product", &product)
            .with_hint(format!("make it first: PUT /api/v1/products/{product}"))
    })?;
    let size = match context.artifacts.open_read(&image) {
        Ok((_, size)) => size,
        Err(ArtifactError::Unknown { .. }) => {
            return Err(Failure::not_found("image", &image).with_hint("upload it first: POST /api/v1/images"));
        }
        Err(error) => return Err(Failure::internal("read the image", &error)),
    };
    Ok(Wanted { id, product, version, image, size })
}

async fn same_release(context: &Shared, known: &Release, wanted: &Wanted) -> Answer<Response> {
    if known.image == wanted.image && known.product == wanted.product.id && known.version == wanted.version {
        return Ok((StatusCode::OK, Json(body(context, known).await?)).into_response());
    }
    let detail = format!("release {} is there already, with image {}", known.id, known.image.short());
    Err(Failure::conflict(detail).with_hint("give the new image a version of its own"))
}

/// Returns the firmware to write; nothing when it is known already, with what is inside it.
async fn firmware(context: &Shared, wanted: &Wanted) -> Answer<Option<Firmware>> {
    match context.store.firmware(&wanted.image).await? {
        None => Ok(Some(Firmware {
            image: wanted.image,
            product: wanted.product.id.clone(),
            version: wanted.version.clone(),
            size: wanted.size,
            added_at: now(),
            components: None,
        })),
        Some(known) if known.product == wanted.product.id && known.version == wanted.version => Ok(None),
        Some(known) => {
            let detail = format!(
                "image {} is known as {} {}, and an image has one name",
                wanted.image.short(),
                known.product,
                known.version
            );
            Err(Failure::conflict(detail).with_hint("build the image anew with the new version inside"))
        }
    }
}

/// Returns what is inside a release, as CycloneDX 1.6.
#[utoipa::path(get, path = "/api/v1/releases/{id}/sbom", tag = "releases", params(("id" = String, Path)),
    responses((status = 200, body = serde_json::Value, content_type = "application/vnd.cyclonedx+json")))]
pub(super) async fn sbom(State(context): State<Shared>, Named(id): Named<ReleaseId>) -> Answer<Response> {
    let release = find(&context, &id).await?;
    let sbom = context.store.setting(&format!("sbom/{}", release.image)).await?;
    let sbom = sbom.ok_or_else(|| {
        Failure::new(ProblemCode::NotFound, format!("release {id} is {} and has no SBOM", release.state))
            .with_hint("wait until it has been analysed")
    })?;
    Ok(([(header::CONTENT_TYPE, SBOM_MEDIA_TYPE)], Json(sbom)).into_response())
}

/// Lists what happened to a release, the newest first.
#[utoipa::path(get, path = "/api/v1/releases/{id}/events", tag = "releases", params(("id" = String, Path), Paging),
    responses((status = 200, body = Items<EventBody>)))]
pub(super) async fn events(
    State(context): State<Shared>,
    Named(id): Named<ReleaseId>,
    Asked(paging): Asked<Paging>,
) -> Answer<Json<Items<EventBody>>> {
    find(&context, &id).await?;
    let page = context.store.events(&EventScope::Release(id), &paging.request()?).await?;
    Ok(items(page, |event| EventBody::from(&event)))
}

/// Takes a release back: nobody installs it any more, and rollouts of it halt.
///
/// Withdrawing it again changes nothing.
#[utoipa::path(post, path = "/api/v1/releases/{id}/withdraw", tag = "releases", params(("id" = String, Path)),
    responses((status = 200, body = ReleaseBody)))]
pub(super) async fn withdraw(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<ReleaseId>,
) -> Answer<Json<ReleaseBody>> {
    let _deciding = context.deciding.lock().await;
    let mut release = find(&context, &id).await?;
    if release.state != ReleaseState::Withdrawn {
        let now: Timestamp = now();
        let reason = format!("withdrawn while it was {}, by {caller}", release.state);
        release.state = ReleaseState::Withdrawn;
        release.reason.clone_from(&reason);
        let event = of_release(&id, event(now, Stage::Rollout, "release withdrawn", reason));
        context.store.commit(&[Write::Release(release.clone()), Write::Event(event)]).await?;
        context.wake_all();
    }
    Ok(Json(body(&context, &release).await?))
}
