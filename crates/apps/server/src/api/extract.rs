//! What requests hold: bodies, queries, ids in paths, pages.
//!
//! In: raw requests. Out: checked values. Refuses, as a problem that says where: bodies above their route's limit, JSON
//! that does not fit, queries with names or values that are not understood, ids that are none.

use std::fmt::Display;
use std::str::FromStr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use warden_model::{ByteCount, Timestamp};
use warden_wire::filter::Filter;
use warden_wire::page::{Cursor, Page, PageError, PageRequest};
use warden_wire::problem::ProblemCode;
use warden_wire::rest::Items;

use crate::problem::{Answer, Failure};

/// The largest body of a route; stands in the request, so that a refusal can name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimit(pub(super) ByteCount);

/// Makes the failure "the body is too large".
pub(super) fn too_large(limit: ByteCount) -> Failure {
    Failure::new(ProblemCode::TooLarge, format!("the body has more than {limit}, which is the limit here"))
}

fn refused_body(status: StatusCode, text: String, limit: Option<BodyLimit>) -> Failure {
    match (status, limit) {
        (StatusCode::PAYLOAD_TOO_LARGE, Some(BodyLimit(limit))) => too_large(limit),
        (StatusCode::PAYLOAD_TOO_LARGE, None) => Failure::new(ProblemCode::TooLarge, text),
        _ => Failure::new(ProblemCode::Invalid, text).with_hint("/api/openapi.json describes what fits"),
    }
}

/// A JSON body.
pub(super) struct Wish<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Wish<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        let limit = request.extensions().get::<BodyLimit>().copied();
        match Json::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(refused_body(rejection.status(), rejection.body_text(), limit)),
        }
    }
}

/// A body as it came.
pub(super) struct Raw(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        let limit = request.extensions().get::<BodyLimit>().copied();
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(rejection) => Err(refused_body(rejection.status(), rejection.body_text(), limit)),
        }
    }
}

/// The query of a request.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Failure::new(ProblemCode::Invalid, rejection.body_text())),
        }
    }
}

/// The id in the path of a request.
pub(super) struct Named<T>(pub(super) T);

impl<T: FromStr<Err: Display>, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let Path(text) = path::<String, S>(parts, state).await?;
        text.parse().map(Self).map_err(|error: T::Err| Failure::invalid(&error))
    }
}

/// The two ids in the path of a request.
pub(super) struct NamedTwo<A, B>(pub(super) A, pub(super) B);

impl<A: FromStr<Err: Display>, B: FromStr<Err: Display>, S: Send + Sync> FromRequestParts<S>
    for NamedTwo<A, B>
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let Path((one, other)) = path::<(String, String), S>(parts, state).await?;
        let one = one.parse().map_err(|error: A::Err| Failure::invalid(&error))?;
        let other = other.parse().map_err(|error: B::Err| Failure::invalid(&error))?;
        Ok(Self(one, other))
    }
}

async fn path<T: DeserializeOwned + Send, S: Send + Sync>(parts: &mut Parts, state: &S) -> Answer<Path<T>> {
    Path::from_request_parts(parts, state)
        .await
        .map_err(|rejection| Failure::new(ProblemCode::Invalid, rejection.body_text()))
}

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// How many items at most: 1 to 500; 50 when absent.
    limit: Option<u64>,
    /// The `next` of the page before; absent for the first page.
    after: Option<String>,
}

impl Paging {
    /// Checks the request for a page.
    pub(super) fn request(&self) -> Answer<PageRequest> {
        PageRequest::parse(self.limit, self.after.as_deref()).map_err(|error| Failure::invalid(&error))
    }
}

/// Which page of a list, and which of its items.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filtering {
    /// Which items, in the filter language, for instance `product:cam criticality:>standard`; absent: all of them.
    filter: Option<String>,
    /// How many items at most: 1 to 500; 50 when absent.
    limit: Option<u64>,
    /// The `next` of the page before; absent for the first page.
    after: Option<String>,
}

impl Filtering {
    /// Checks the filter and the request for a page.
    pub(super) fn request(&self, now: Timestamp) -> Answer<(Filter, PageRequest)> {
        let page = PageRequest::parse(self.limit, self.after.as_deref())
            .map_err(|error| Failure::invalid(&error))?;
        Ok((filter(self.filter.as_deref(), now)?, page))
    }
}

/// Reads a filter; absent means everything.
pub(super) fn filter(text: Option<&str>, now: Timestamp) -> Answer<Filter> {
    text.map_or_else(|| Ok(Filter::everything()), |text| Filter::parse(text, now))
        .map_err(|error| Failure::invalid(&error))
}

/// Cuts a page out of a list that the store gives whole; such lists have no more than some hundreds of rows.
pub(super) fn cut<T>(
    rows: Vec<T>,
    list: &'static str,
    request: &PageRequest,
    id: impl Fn(&T) -> &str,
) -> Answer<Page<T>> {
    let rest = match &request.after {
        None => rows,
        Some(cursor) => {
            let [seen] = cursor.key::<1>(list).map_err(|error| Failure::invalid(&error))?;
            let place = rows.iter().position(|row| id(row) == seen);
            let place = place.ok_or_else(|| Failure::invalid(&PageError::Cursor))?;
            rows.into_iter().skip(place.saturating_add(1)).collect()
        }
    };
    Ok(Page::cut(rest, request, |row| Cursor::new(list, [id(row).to_owned()])))
}

/// Answers with a page.
pub(super) fn items<T, B>(page: Page<T>, body: impl FnMut(T) -> B) -> Json<Items<B>> {
    let page = page.map(body);
    Json(Items { items: page.items, next: page.next.map(|cursor| cursor.to_string()) })
}
