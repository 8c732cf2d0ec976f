//! How failures become answers: RFC 9457 problems for people and programs.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tracing::error;
use warden_store::StoreError;
use warden_wire::problem::{MEDIA_TYPE, Problem, ProblemCode};

/// A failed request.
#[derive(Debug)]
pub struct Failure(pub Problem);

/// What a handler of the REST API returns.
pub type Answer<T> = Result<T, Failure>;

impl Failure {
    /// Makes a failure.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self(Problem::new(code, detail))
    }

    /// Makes the failure "there is no such thing".
    pub fn not_found(what: &str, id: &dyn std::fmt::Display) -> Self {
        Self::new(ProblemCode::NotFound, format!("there is no {what} {id}"))
    }

    /// Makes the failure "the request does not fit".
    pub fn invalid(error: &dyn std::fmt::Display) -> Self {
        Self::new(ProblemCode::Invalid, error.to_string())
    }

    /// Makes the failure "the present state does not allow it".
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::Conflict, detail)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self(self.0.with_hint(hint))
    }

    /// Logs an error that nobody outside can do anything about, and says only that the server failed.
    pub fn internal(attempt: &str, error: &dyn std::error::Error) -> Self {
        error!(error = %chain(error), "{attempt} failed");
        Self::new(ProblemCode::Internal, format!("the server could not {attempt}"))
            .with_hint("the server's log says why")
    }
}

/// Returns an error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let failure = match &error {
            StoreError::StorageFull => Self::new(ProblemCode::NoSpace, error.to_string()),
            StoreError::Page(page) => Self::invalid(page),
            StoreError::MakeFolder { .. }
            | StoreError::Open { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::Migrate { .. }
            | StoreError::Query { .. }
            | StoreError::Transaction { .. }
            | StoreError::MissingParent
            | StoreError::Busy
            | StoreError::Corrupt { .. }
            | StoreError::Unfit { .. } => Self::internal("read or write its state", &error),
        };
        match error.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}

#[cfg(test)]
mod tests {
    use warden_store::StoreError;
    use warden_wire::page::PageError;

    use super::Failure;

    #[test]
    fn what_the_store_refuses_has_a_code_and_a_hint_of_its_own() {
        let check = |error: StoreError, code: &str, status: u16, hint: &str| {
            let problem = Failure::from(error).0;
            assert_eq!((problem.code(), problem.status), (code, status));
            assert!(problem.hint.as_deref().unwrap_or_default().contains(hint), "{problem:?}");
        };
        check(StoreError::StorageFull, "no-space", 507, "free space");
        check(StoreError::Page(PageError::Cursor), "invalid", 400, "first page again");
        check(StoreError::MissingParent, "internal", 500, "log says why");
        check(StoreError::Busy, "internal", 500, "stop the other server");
    }
}
