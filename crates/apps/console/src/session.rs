//! Sessions: who may see pages.
//!
//! In: a one-time login link, later a cookie. Out: a session of twelve hours, of which only the hash is kept. Refuses:
//! links that are unknown, used up or expired, and every page without a session, with the command that makes a new link.

use std::fmt::Write as _;

use axum::extract::{Query, Request, State};
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use maud::html;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tracing::info;
use warden_model::{Seconds, Sha256Digest};
use warden_store::{LinkUse, SessionState};

use crate::failure::Failure;
use crate::view::{bare, command_line};
use crate::{App, clock};

/// The name of the cookie. With the prefix `__Host-` a browser takes it only from this very host, over TLS, for all paths
/// (RFC 6265bis, section 4.1.3.2).
pub(crate) const COOKIE_NAME: &str = "__Host-fleetwarden";

/// How long a session lasts: a working day with overtime; the next morning starts with a new link.
const SESSION: Seconds = Seconds::hours(12);

/// Random bytes in the secret of a session: nobody guesses 256 bits.
const SECRET_BYTES: usize = 32;

/// Longest secret that is hashed, in bytes: ours have 43, and a header may be much longer.
const SECRET_TEXT_BYTES_MAX: usize = 256;

/// What stands in a login link.
#[derive(Debug, Deserialize)]
pub(crate) struct LoginQuery {
    token: Option<String>,
}

/// Starts a session with a link that is good for one use.
pub(crate) async fn log_in(
    State(app): State<App>,
    Query(query): Query<LoginQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let now = clock::now();
    let Some(token) = query.token else {
        return Ok(if is_live(&app, &headers).await? {
            to_first_page(None)
        } else {
            how_to_log_in("Log in with a one-time link", "Links are made on the command line.")
        });
    };
    if method == Method::HEAD {
        // Whoever only looks at a link, as chat programs do, must not use it up.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    match app.store().use_login_link(&hash(&token), now).await? {
        LinkUse::Accepted => {}
        LinkUse::Unknown => {
            return Ok(how_to_log_in(
                "This login link is unknown",
                "It may have been cut off when it was copied.",
            ));
        }
        LinkUse::Expired => {
            return Ok(how_to_log_in("This login link has expired", "Links are good for a short time."));
        }
        LinkUse::UsedUp => {
            return Ok(how_to_log_in("This login link is used up", "Each link is good for one login."));
        }
    }
    let secret = secret()?;
    app.store().create_session(&hash(&secret), now.plus(SESSION)).await?;
    info!("a person has logged in to the console");
    Ok(to_first_page(Some(cookie(&secret, SESSION))))
}

/// Ends the session.
pub(crate) async fn log_out(State(app): State<App>, headers: HeaderMap) -> Result<Response, Failure> {
    // SameSite=Lax keeps the cookie from foreign forms already; browsers also say where a request comes from (Fetch
    // Metadata), and the second lock costs nothing.
    let from = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if from.is_some_and(|from| from != "same-origin" && from != "none") {
        return Err(Failure::Foreign);
    }
    if let Some(secret) = secret_of(&headers) {
        app.store().delete_session(&hash(secret)).await?;
    }
    let mut response = how_to_log_in("You are logged out", "The session has ended on the server too.");
    *response.status_mut() = StatusCode::OK;
    set_cookie(&mut response, &cookie("", Seconds(0)));
    Ok(response)
}

/// Lets requests with a session pass.
pub(crate) async fn require(State(app): State<App>, request: Request, next: Next) -> Response {
    match is_live(&app, request.headers()).await {
        Ok(true) => next.run(request).await,
        Ok(false) => how_to_log_in("Log in to see this page", "You have no session, or it has ended."),
        Err(failure) => failure.into_response(),
    }
}

async fn is_live(app: &App, headers: &HeaderMap) -> Result<bool, Failure> {
    let Some(secret) = secret_of(headers) else { return Ok(false) };
    let state = app.store().session(&hash(secret), clock::now()).await?;
    Ok(matches!(state, SessionState::Live { .. }))
}

fn secret_of(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE_NAME && value.len() <= SECRET_TEXT_BYTES_MAX)
        .map(|(_, value)| value)
}

/// Returns the hash under which a secret is kept: SHA-256 over its text. A slow hash would bring nothing here, because
/// nobody can try 2^256 secrets.
pub(crate) fn hash(secret: &str) -> Sha256Digest {
    Sha256Digest(Sha256::digest(secret.as_bytes()).into())
}

fn secret() -> Result<String, Failure> {
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Failure::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn cookie(secret: &str, lifetime: Seconds) -> String {
    let mut text = format!("{COOKIE_NAME}={secret}; Path=/; Secure; HttpOnly; SameSite=Lax");
    // Writing to a string cannot fail.
    write!(text, "; Max-Age={}", lifetime.0).ok();
    text
}

fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = cookie.parse() {
        response.headers_mut().insert(SET_COOKIE, value);
    }
}

fn to_first_page(cookie: Option<String>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response();
    if let Some(cookie) = cookie {
        set_cookie(&mut response, &cookie);
    }
    response
}

fn how_to_log_in(title: &str, cause: &str) -> Response {
    let body = html! {
        h1 { (title) }
        p { (cause) }
        p { "Make a link on the machine that runs the server, and open it in this browser:" }
        (command_line("fleetwarden login"))
        p.muted { "The link is good for one login. The session then lasts " (SESSION) "." }
    };
    (StatusCode::UNAUTHORIZED, bare(title, &body)).into_response()
}
