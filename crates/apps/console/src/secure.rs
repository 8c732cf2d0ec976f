//! Headers that keep a browser from doing more with a page than we meant.
//!
//! In: an answer. Out: the same with the headers. Refuses: inline scripts and styles, foreign ones, frames, guesses at
//! media types.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

/// Content Security Policy Level 3: everything comes from this server, and nothing stands inline. With `default-src
/// 'self'` also a name of a device that slipped through unescaped could not run.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'; object-src 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // The old form of frame-ancestors, for browsers that do not know it.
    (header::X_FRAME_OPTIONS, "DENY"),
    // `same-origin` and not `no-referrer`, which would also hide the origin of our own POST requests from ourselves.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Adds the headers. A page is for one person and one moment: nobody keeps it, unless its handler says otherwise.
pub(crate) async fn add_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
