//! Who may ask: programs with a token, people with a session of the console.
//!
//! In: the head of a request. Out: the [`Caller`], for handlers and for the record of who did what. Refuses: unknown and
//! expired tokens, sessions that have ended, and changes that another web site sends with a person's cookie.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use warden_model::{Sha256Digest, Timestamp};
use warden_store::SessionState;
use warden_wire::problem::ProblemCode;

use crate::clock::now;
use crate::context::Shared;
use crate::device::hash_of;
use crate::problem::{Answer, Failure};

/// The cookie that holds a console session. The prefix makes browsers keep it to this very host and to TLS (RFC 6265bis
/// §4.1.3.2).
const SESSION_COOKIE: &str = "__Host-fleetwarden";

/// Longest secret that is looked at, in bytes: ours have 43 characters, and hashing a megabyte for a stranger is a gift.
const SECRET_BYTES_MAX: usize = 128;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A program with this API token.
    Token {
        /// The public part of the token.
        id: String,
    },
    /// A person with a session of the console.
    Session,
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token { id } => write!(f, "token {id}"),
            Self::Session => f.write_str("a person at the console"),
        }
    }
}

/// Lets a request through with its [`Caller`], or answers 401 or 403.
pub(super) async fn authenticate(State(context): State<Shared>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut response = match identify(&context, &parts, now()).await {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(failure) => {
            let mut response = failure.into_response();
            // RFC 9110 §15.5.2: a 401 names the scheme that would do.
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
    };
    // Answers hold secrets and the state of the fleet: no cache on the way keeps them.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn identify(context: &Shared, parts: &Parts, now: Timestamp) -> Answer<Caller> {
    if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        return token(context, value, now).await;
    }
    let Some(secret) = session_of(&parts.headers) else {
        return Err(unknown("the request has no token"));
    };
    match context.store.session(&hash_of(secret.as_bytes()), now).await? {
        SessionState::Live { .. } => {}
        SessionState::Gone => {
            return Err(Failure::new(ProblemCode::NotAuthenticated, "the session has ended")
                .with_hint("log in again: `fleetwarden login` prints a link"));
        }
    }
    if !is_safe(&parts.method) && !is_same_origin(&parts.headers) {
        return Err(Failure::new(
            ProblemCode::NotAllowed,
            "the request comes from another site than the console, with a person's cookie",
        )
        .with_hint("use the console itself; programs send a token instead of a cookie"));
    }
    Ok(Caller::Session)
}

fn unknown(why: &str) -> Failure {
    Failure::new(ProblemCode::NotAuthenticated, why).with_hint(
        "send `Authorization: Bearer fwt_…`; the first token lies in admin.token in the data directory",
    )
}

async fn token(context: &Shared, value: &HeaderValue, now: Timestamp) -> Answer<Caller> {
    let Some((id, secret)) = token_parts(value) else {
        return Err(unknown("the Authorization header holds no token of this server"));
    };
    let Some(known) = context.store.token(id).await? else {
        return Err(unknown("the token is not known"));
    };
    if !same(&hash_of(secret.as_bytes()), &known.hash) {
        return Err(unknown("the token is not known"));
    }
    match known.expires {
        Some(expires) if expires <= now => Err(unknown(&format!("the token expired at {expires}"))),
        Some(_) | None => Ok(Caller::Token { id: known.id }),
    }
}

/// Splits `Bearer fwt_<id>_<secret>`; ids have no underscore, secrets may have some.
fn token_parts(value: &HeaderValue) -> Option<(&str, &str)> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let (id, secret) = token.trim().strip_prefix("fwt_")?.split_once('_')?;
    let fits = scheme.eq_ignore_ascii_case("bearer")
        && (1..=SECRET_BYTES_MAX).contains(&id.len())
        && (1..=SECRET_BYTES_MAX).contains(&secret.len());
    fits.then_some((id, secret))
}

/// Compares in a time that does not depend on where the digests differ.
fn same(one: &Sha256Digest, other: &Sha256Digest) -> bool {
    one.0.iter().zip(&other.0).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

fn session_of(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, secret)| *name == SESSION_COOKIE && (1..=SECRET_BYTES_MAX).contains(&secret.len()))
        .map(|(_, secret)| secret)
}

/// Methods that change nothing (RFC 9110 §9.2.1).
fn is_safe(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD || *method == Method::OPTIONS
}

/// Says whether a browser sent the request from a page of this very origin. `Sec-Fetch-Site` says it outright; `Origin`
/// stands in for it where that header is missing. A request with neither is no browser's, and needs a token.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), _, _) => site == "same-origin",
        (None, Some(origin), Some(host)) => origin.strip_prefix("https://") == Some(host),
        (None, _, _) => false,
    }
}
