//! What can go wrong on the way to a page, and the page that says so.
//!
//! In: an error. Out: a page with the cause and the next step; the details go to the log. Refuses: to show people the
//! inside of the database.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::html;
use thiserror::Error;
use tracing::error;
use warden_store::StoreError;
use warden_wire::filter::FilterError;
use warden_wire::page::PageError;

use crate::view::{bare, command_line};

/// Longest part of an unknown name that is shown, in characters: ids have at most 64.
const SHOWN_CHARS_MAX: usize = 64;

/// Why a page cannot be shown.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// There is no such thing.
    #[error("show {what} {id:?}, which is unknown")]
    Unknown {
        /// What was looked for, for instance `device`.
        what: &'static str,
        /// Its name, as it came.
        id: String,
        /// The command that lists what there is.
        list: &'static str,
    },
    /// The store failed.
    #[error("read the store")]
    Store(#[from] StoreError),
    /// A filter of our own making is wrong.
    #[error("use a filter")]
    Filter(#[from] FilterError),
    /// The page that is asked for cannot be given.
    #[error(transparent)]
    Page(#[from] PageError),
    /// Too many streams are open.
    #[error("open one more stream of events")]
    TooManyStreams,
    /// A request that comes from another site.
    #[error("obey a page of another site")]
    Foreign,
    /// The system has no randomness to give.
    #[error("draw a session secret")]
    Random,
}

impl Failure {
    /// Makes the failure "there is no such thing".
    pub(crate) fn unknown(what: &'static str, id: &str, list: &'static str) -> Self {
        Self::Unknown { what, id: id.chars().take(SHOWN_CHARS_MAX).collect(), list }
    }
}

fn chain(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut source = std::error::Error::source(failure);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn page(status: StatusCode, title: &str, cause: &str, next: &str, command: &str) -> Response {
    let body = html! {
        h1 { (title) }
        p { (cause) }
        p { (next) }
        (command_line(command))
        p { a href="/" { "Back to what needs you" } }
    };
    (status, bare(title, &body)).into_response()
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match &self {
            Self::Unknown { what, id, list } => page(
                StatusCode::NOT_FOUND,
                &format!("There is no {what} {id}"),
                "It was never there, or its name is spelled differently.",
                "See what there is:",
                list,
            ),
            Self::Page(error) | Self::Store(StoreError::Page(error)) => page(
                StatusCode::BAD_REQUEST,
                "This page of the list cannot be shown",
                &error.to_string(),
                "Start at the first page. The same list on the command line:",
                "fleetwarden device list",
            ),
            Self::TooManyStreams => page(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many live pages are open",
                "The server keeps a limited number of live pages.",
                "Close some, or reload this page now and then. The same on the command line:",
                "fleetwarden rollout list",
            ),
            Self::Foreign => page(
                StatusCode::FORBIDDEN,
                "Another site sent this request",
                "Only pages of this console may do that.",
                "Use the button on the page itself. To start anew:",
                "fleetwarden login",
            ),
            Self::Store(_) | Self::Filter(_) | Self::Random => {
                error!(error = %chain(&self), "a page of the console failed");
                page(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "This page cannot be shown now",
                    "The server could not read its own state. Devices go on without it.",
                    "The server's log says why. Check the server:",
                    "fleetwarden doctor",
                )
            }
        }
    }
}
