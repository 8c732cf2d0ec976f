//! Risk: advisories, and the cases that they open on devices.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::{Extension, Json};
use warden_assess::{Progress, time_to_protected};
use warden_feeds::{FeedError, Limits, read_osv};
use warden_model::advisory::Advisory;
use warden_model::{AdvisoryId, Stage, Timestamp};
use warden_store::Write;
use warden_wire::problem::ProblemCode;
use warden_wire::rest::{AdvisoryBody, CaseBody, ImportReceipt, Items, ProtectedBody};

use super::access::Caller;
use super::extract::{Asked, Filtering, Named, Paging, Raw, cut, items, too_large};
use super::record::event;
use crate::clock::now;
use crate::context::Shared;
use crate::problem::{Answer, Failure, chain};

/// How many ids the event of an import names: it is one line, and the answer names all of them.
const IDS_NAMED_MAX: usize = 5;

/// Takes advisories in OSV form: one, an array of them, or one a line (JSON Lines).
///
/// An advisory that is known already keeps the moment when it became known; an older version of it is passed over.
#[utoipa::path(post, path = "/api/v1/advisories", tag = "risk", request_body = serde_json::Value,
    responses((status = 200, body = ImportReceipt)))]
pub(super) async fn import(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    Raw(body): Raw,
) -> Answer<Json<ImportReceipt>> {
    let now = now();
    let read = tokio::task::spawn_blocking(move || read_osv(&body, now, &Limits::default())).await;
    let read = read.map_err(|error| Failure::internal("read the advisories", &error))?;
    let advisories = read.map_err(|error| refused(&error))?;
    let _deciding = context.deciding.lock().await;
    let (accepted, new) = newer(&context, advisories).await?;
    let receipt = ImportReceipt {
        accepted: accepted.keys().map(ToString::to_string).collect(),
        new: u64::try_from(new.len()).unwrap_or(u64::MAX),
    };
    if !accepted.is_empty() {
        let reason = format!("{} read, {}, by {caller}", accepted.len(), name_new(&new));
        let mut writes: Vec<Write> = accepted.into_values().map(Write::Advisory).collect();
        writes.push(Write::Event(event(now, Stage::Assess, "advisories imported", reason)));
        context.store.commit(&writes).await?;
        context.wake_all();
    }
    Ok(Json(receipt))
}

/// Returns the advisories that are not older than what is known, and the ids of those that are new.
async fn newer(
    context: &Shared,
    advisories: Vec<Advisory>,
) -> Answer<(BTreeMap<AdvisoryId, Advisory>, Vec<AdvisoryId>)> {
    let mut accepted: BTreeMap<AdvisoryId, Advisory> = BTreeMap::new();
    let mut new = Vec::new();
    for mut advisory in advisories {
        if accepted.get(&advisory.id).is_some_and(|twin| twin.modified > advisory.modified) {
            continue;
        }
        // The store also finds by alias; that is another advisory.
        let known = context.store.advisory(&advisory.id).await?.filter(|known| known.id == advisory.id);
        match known {
            Some(known) if known.modified > advisory.modified => continue,
            Some(known) => advisory.known_at = known.known_at,
            None => new.push(advisory.id.clone()),
        }
        accepted.insert(advisory.id.clone(), advisory);
    }
    new.sort();
    new.dedup();
    Ok((accepted, new))
}

fn name_new(new: &[AdvisoryId]) -> String {
    if new.is_empty() {
        return "none of them new".to_owned();
    }
    let named: Vec<&str> = new.iter().take(IDS_NAMED_MAX).map(AdvisoryId::as_str).collect();
    let more = if new.len() > IDS_NAMED_MAX { " and more" } else { "" };
    format!("{} of them new: {}{more}", new.len(), named.join(", "))
}

fn refused(error: &FeedError) -> Failure {
    match error {
        FeedError::TooLarge { max } => too_large(*max).with_hint(error.hint()),
        error => Failure::new(ProblemCode::Invalid, chain(error)).with_hint(error.hint()),
    }
}

/// Lists the advisories, the one that became known last first.
#[utoipa::path(get, path = "/api/v1/advisories", tag = "risk", params(Paging),
    responses((status = 200, body = Items<AdvisoryBody>)))]
pub(super) async fn advisories(
    State(context): State<Shared>,
    Asked(paging): Asked<Paging>,
) -> Answer<Json<Items<AdvisoryBody>>> {
    let rows = context.store.advisories().await?;
    let page = cut(rows, "advisories", &paging.request()?, |advisory| advisory.id.as_str())?;
    Ok(items(page, |advisory| AdvisoryBody::from(&advisory)))
}

/// Returns an advisory, by its id or an alias, and how far the fleet is protected against it.
#[utoipa::path(get, path = "/api/v1/advisories/{id}", tag = "risk", params(("id" = String, Path)),
    responses((status = 200, body = AdvisoryBody)))]
pub(super) async fn advisory(
    State(context): State<Shared>,
    Named(id): Named<AdvisoryId>,
) -> Answer<Json<AdvisoryBody>> {
    let advisory = context.store.advisory(&id).await?.ok_or_else(|| Failure::not_found("advisory", &id))?;
    let protected = protected(&context, &advisory, now()).await?;
    Ok(Json(AdvisoryBody { protected: Some(protected), ..AdvisoryBody::from(&advisory) }))
}

async fn protected(context: &Shared, advisory: &Advisory, now: Timestamp) -> Answer<ProtectedBody> {
    let cases = context.store.cases_of_advisory(&advisory.id).await?;
    let protected = time_to_protected(advisory, &cases, now);
    let state = match protected.progress {
        Progress::NobodyAffected => "nobody-affected",
        Progress::Exposed => "open",
        Progress::Done => "done",
    };
    Ok(ProtectedBody {
        affected: protected.affected,
        protected: protected.protected,
        patched: protected.patched,
        shielded: protected.shielded,
        elapsed_seconds: protected.elapsed.0,
        state: state.to_owned(),
    })
}

/// Lists the cases that a filter holds for, the most urgent first.
#[utoipa::path(get, path = "/api/v1/cases", tag = "risk", params(Filtering),
    responses((status = 200, body = Items<CaseBody>)))]
pub(super) async fn cases(
    State(context): State<Shared>,
    Asked(filtering): Asked<Filtering>,
) -> Answer<Json<Items<CaseBody>>> {
    let (filter, page) = filtering.request(now())?;
    let page = context.store.cases(&filter, &page).await?;
    Ok(items(page, |case| CaseBody::from(&case)))
}
