//! Signed metadata: what the offline key has to sign, and what it has signed.
//!
//! In: targets metadata that a person has signed elsewhere; the server never holds that key. Out: what should be signed;
//! the files as devices get them. Refuses: what the root's keys have not signed, and versions that go back.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use warden_model::event::Event;
use warden_model::product::Product;
use warden_model::release::{Patch, Release, ReleaseState};
use warden_model::{ByteCount, ProductId, Sha256Digest, Stage, Timestamp};
use warden_store::Write;
use warden_trust::TrustError;
use warden_trust::repository::{Listing, TargetEntry, TargetKind};
use warden_wire::problem::ProblemCode;
use warden_wire::rest::{IndexHeadBody, TargetBody, TargetsReceipt, TargetsToSign};

use super::access::Caller;
use super::extract::{Named, Raw};
use super::patches::{dropped, unsigned};
use super::record::{event, of_release};
use crate::clock::now;
use crate::context::Shared;
use crate::problem::{Answer, Failure, chain};
use crate::repository::PublishError;

/// Returns what the offline key has to sign next: what is published already, and what has been proven since.
///
/// Patches to signed releases that were built since are among it. Images of releases that were withdrawn, patches that lead
/// to them, and patches that no device can use any more are left out.
#[utoipa::path(get, path = "/api/v1/metadata/draft", tag = "metadata",
    responses((status = 200, body = TargetsToSign)))]
pub(super) async fn draft(State(context): State<Shared>) -> Answer<Json<TargetsToSign>> {
    let releases = context.store.releases().await?;
    let withdrawn = |image: &Sha256Digest| {
        releases.iter().any(|release| release.image == *image && release.state == ReleaseState::Withdrawn)
    };
    let dropped = dropped(&context).await?;
    let listing = context.repository.listing();
    let version = listing.as_ref().map_or(1, |listing| listing.version.saturating_add(1));
    // By name, so that the draft is the same whatever the order of the releases.
    let mut targets: BTreeMap<String, TargetBody> = listing
        .iter()
        .flat_map(|listing| &listing.entries)
        .filter(|entry| match &entry.about.kind {
            TargetKind::Image => !withdrawn(&entry.sha256),
            TargetKind::Patch { base, result } => !withdrawn(result) && !dropped.contains(&(*base, *result)),
        })
        .map(|entry| (entry.name.clone(), published(entry)))
        .collect();
    let mut signed = Vec::new();
    for release in releases.iter().filter(|release| release.state == ReleaseState::Proven) {
        let product = context.store.product(&release.product).await?;
        let product = product.ok_or_else(|| Failure::not_found("product", &release.product))?;
        let firmware = context.store.firmware(&release.image).await?;
        let size = firmware.ok_or_else(|| Failure::not_found("firmware", &release.image))?.size;
        let mut patches = context.store.patches_to(&release.image).await?;
        patches.retain(|patch| !dropped.contains(&(patch.base, patch.result)));
        let new = std::iter::once(image(release, &product, size))
            .chain(patches.iter().map(|known| patch(release, &product, known)));
        targets.extend(new.map(|target| (target.name.clone(), target)));
        signed.push(release.id.to_string());
    }
    for (release, patches, _) in unsigned(&context).await? {
        let product = context.store.product(&release.product).await?;
        let product = product.ok_or_else(|| Failure::not_found("product", &release.product))?;
        for target in patches.iter().map(|known| patch(&release, &product, known)) {
            // What was published under a name stays: devices may be loading it.
            targets.entry(target.name.clone()).or_insert(target);
        }
    }
    for target in targets.values_mut().filter(|target| target.base.is_none() && target.index.is_none()) {
        target.index = index_head(&context, &target.sha256).await?;
    }
    signed.sort();
    Ok(Json(TargetsToSign { version, targets: targets.into_values().collect(), releases: signed }))
}

/// Returns the head of an image's index, if there is one.
async fn index_head(context: &Shared, image: &str) -> Answer<Option<IndexHeadBody>> {
    let Ok(image) = image.parse::<Sha256Digest>() else { return Ok(None) };
    let head = crate::turn::index_of(context, &image).await?;
    Ok(head.map(|pin| IndexHeadBody { length: pin.length.0, sha256: pin.sha256.to_string() }))
}

fn published(entry: &TargetEntry) -> TargetBody {
    let (base, result) = match &entry.about.kind {
        TargetKind::Image => (None, None),
        TargetKind::Patch { base, result } => (Some(base.to_string()), Some(result.to_string())),
    };
    TargetBody {
        name: entry.name.clone(),
        length: entry.length.0,
        sha256: entry.sha256.to_string(),
        product: entry.about.product.to_string(),
        boards: entry.about.hardware_ids.iter().map(ToString::to_string).collect(),
        version: entry.about.version.to_string(),
        counter: entry.about.release_counter,
        base,
        result,
        index: entry
            .about
            .index
            .map(|pin| IndexHeadBody { length: pin.length.0, sha256: pin.sha256.to_string() }),
    }
}

fn image(release: &Release, product: &Product, size: ByteCount) -> TargetBody {
    TargetBody {
        name: format!("{}-{}.img", release.product, release.version),
        length: size.0,
        sha256: release.image.to_string(),
        product: release.product.to_string(),
        boards: product.boards.iter().map(ToString::to_string).collect(),
        version: release.version.to_string(),
        counter: release.counter,
        base: None,
        result: None,
        index: None,
    }
}

fn patch(release: &Release, product: &Product, patch: &Patch) -> TargetBody {
    TargetBody {
        name: format!("{}-{}-from-{}.patch", release.product, release.version, patch.base.short()),
        sha256: patch.digest.to_string(),
        base: Some(patch.base.to_string()),
        result: Some(patch.result.to_string()),
        ..image(release, product, patch.size)
    }
}

/// Publishes targets metadata that the offline key has signed, and sets the proven releases free that it lists.
///
/// The very same bytes again change nothing, so that a client whose answer got lost may try again.
#[utoipa::path(put, path = "/api/v1/metadata/targets", tag = "metadata", request_body = serde_json::Value,
    responses((status = 200, body = TargetsReceipt)))]
pub(super) async fn publish(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    Raw(body): Raw,
) -> Answer<Json<TargetsReceipt>> {
    let now = now();
    let _deciding = context.deciding.lock().await;
    let before = context.repository.listing().map(|listing| listing.version);
    let listing = context.repository.publish(&body, now).await.map_err(|error| refused(&error))?;
    let free = set_free(context.store.releases().await?, &listing);
    let mut writes = Vec::new();
    if before != Some(listing.version) {
        let reason = format!(
            "version {} lists {} targets and expires at {}, by {caller}",
            listing.version,
            listing.entries.len(),
            listing.expires
        );
        writes.push(Write::Event(event(now, Stage::Rollout, "targets published", reason)));
    }
    for release in &free {
        writes.push(Write::Event(signed_event(release, now, &caller)));
        writes.push(Write::Release(release.clone()));
    }
    context.store.commit(&writes).await?;
    context.wake_all();
    Ok(Json(TargetsReceipt {
        version: listing.version,
        expires: listing.expires.to_string(),
        releases: free.iter().map(|release| release.id.to_string()).collect(),
    }))
}

fn signed_event(release: &Release, now: Timestamp, caller: &Caller) -> Event {
    let reason = format!("{}, by {caller}", release.reason);
    of_release(&release.id, event(now, Stage::Rollout, "release signed", reason))
}

/// Returns the proven releases that the metadata lists, as signed ones; sorted by id.
fn set_free(releases: Vec<Release>, listing: &Listing) -> Vec<Release> {
    let images: BTreeMap<(Sha256Digest, &ProductId), u64> = listing
        .entries
        .iter()
        .filter(|entry| entry.about.kind == TargetKind::Image)
        .map(|entry| ((entry.sha256, &entry.about.product), entry.about.release_counter))
        .collect();
    // Another counter would be refused by devices, or break the order of releases: such an entry sets nothing free.
    let is_listed =
        |release: &Release| images.get(&(release.image, &release.product)) == Some(&release.counter);
    let mut free: Vec<Release> = releases
        .into_iter()
        .filter(|release| release.state == ReleaseState::Proven && is_listed(release))
        .map(|release| Release {
            state: ReleaseState::Signed,
            reason: format!(
                "targets metadata version {} lists it, signed with the offline key",
                listing.version
            ),
            ..release
        })
        .collect();
    free.sort_by(|a, b| a.id.cmp(&b.id));
    free
}

fn refused(error: &PublishError) -> Failure {
    match error {
        PublishError::Trust(TrustError::Rollback { have, got, .. }) => {
            Failure::conflict(format!("version {got} is offered, but version {have} is published already"))
                .with_hint("fetch /api/v1/metadata/draft again and sign that version")
        }
        PublishError::Trust(trust @ TrustError::Expired { .. }) => {
            Failure::new(ProblemCode::Invalid, chain(trust)).with_hint(
                "sign it again with an expiry in the future, and compare the clocks of both machines",
            )
        }
        PublishError::Trust(trust) => Failure::new(ProblemCode::Invalid, chain(trust)).with_hint(
            "sign what /api/v1/metadata/draft holds, with the keys that the root lists for targets",
        ),
        PublishError::NoRoot(_) => Failure::conflict(error.to_string()).with_hint(
            "run `fleetwarden setup`, which makes the root metadata, on the server's data directory",
        ),
        PublishError::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            Failure::new(ProblemCode::NoSpace, "the metadata does not fit on the server's disk")
                .with_hint("free space on the disk of the data directory, then try again")
        }
        PublishError::File { .. } | PublishError::Write(_) => {
            Failure::internal("publish the metadata", error)
        }
    }
}

/// Returns a metadata file as devices get it, for instance `timestamp.json` or `1.root.json`.
#[utoipa::path(get, path = "/api/v1/metadata/{file}", tag = "metadata", params(("file" = String, Path)),
    responses((status = 200, body = serde_json::Value)))]
pub(super) async fn file(State(context): State<Shared>, Named(file): Named<String>) -> Answer<Response> {
    if let Some(bytes) = context.repository.read(&file) {
        return Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response());
    }
    let file: String = file.chars().take(64).collect();
    Err(Failure::not_found("metadata file", &file))
}
