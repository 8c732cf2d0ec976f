//! Problems (RFC 9457): how the API says what failed, why, and what to do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a problem (RFC 9457 §3).
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What failed. `type` is `urn:fleetwarden:problem:<code>`: a stable name, no page to fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind of problem (RFC 9457 §3.1.1), for instance `urn:fleetwarden:problem:not-found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem for people (§3.1.3), the same each time.
    pub title: String,
    /// The HTTP status (§3.1.2).
    pub status: u16,
    /// What failed this time, and why (§3.1.4).
    pub detail: String,
    /// What to do about it (extension member, §3.2); absent where nothing helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemCode {
    /// The request is malformed, or a value does not fit.
    Invalid,
    /// The request needs a token or a session.
    NotAuthenticated,
    /// Who asks may not do this.
    NotAllowed,
    /// There is no such thing.
    NotFound,
    /// The path is known, but not with this method.
    WrongMethod,
    /// The state of things does not allow it now.
    Conflict,
    /// The body is larger than its limit.
    TooLarge,
    /// There is no room on the server's disk.
    NoSpace,
    /// The server failed; its log says why.
    Internal,
}

impl ProblemCode {
    /// Returns the code, the title and the HTTP status.
    pub const fn parts(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::Invalid => ("invalid", "the request does not fit", 400),
            Self::NotAuthenticated => ("not-authenticated", "a token or a session is needed", 401),
            Self::NotAllowed => ("not-allowed", "this is not allowed", 403),
            Self::NotFound => ("not-found", "there is no such thing", 404),
            Self::WrongMethod => ("wrong-method", "the method does not fit the path", 405),
            Self::Conflict => ("conflict", "the present state does not allow it", 409),
            Self::TooLarge => ("too-large", "the body is too large", 413),
            Self::Internal => ("internal", "the server failed", 500),
            Self::NoSpace => ("no-space", "the server's disk is full", 507),
        }
    }
}

impl Problem {
    /// Makes a problem.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let (name, title, status) = code.parts();
        let kind = format!("urn:fleetwarden:problem:{name}");
        Self { kind, title: title.to_owned(), status, detail: detail.into(), hint: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the last part of `type`, for instance `not-found`.
    pub fn code(&self) -> &str {
        self.kind.rsplit(':').next().unwrap_or_default()
    }
}
