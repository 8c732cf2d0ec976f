//! The API as its clients see it: requests in, answers out, over a store in memory and a folder of its own.

mod access;
mod described;
mod fleet;
mod patches;
mod releases;
mod risk;
mod rollouts;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, header};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tempfile::TempDir;
use warden_model::Timestamp;
use warden_store::{ApiToken, Store, Write};
use warden_wire::problem::{MEDIA_TYPE, Problem};

use crate::config::Config;
use crate::context::Shared;
use crate::device::hash_of;
use crate::testing::context_over;

/// A server without listeners.
pub(super) struct World {
    pub(super) context: Shared,
    service: TowerToHyperService<Router>,
    pub(super) folder: TempDir,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// What a client sends besides method and path.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

pub(super) const TOKEN: &str = "Bearer fwt_admin_s3cret_with_underscores";

impl World {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let context = context_over(folder.path(), Store::in_memory().await.unwrap(), change);
        let world = Self { service: TowerToHyperService::new(super::router(&context)), context, folder };
        world.token("admin", "s3cret_with_underscores", None).await;
        world
    }

    pub(super) async fn token(&self, id: &str, secret: &str, expires: Option<Timestamp>) {
        let hash = hash_of(secret.as_bytes());
        let token = ApiToken { id: id.to_owned(), hash, name: "test".to_owned(), expires };
        self.context.store.create_token(&token).await.unwrap();
    }

    pub(super) async fn write(&self, writes: impl IntoIterator<Item = Write>) {
        let writes: Vec<Write> = writes.into_iter().collect();
        self.context.store.commit(&writes).await.unwrap();
    }

    /// Sends a request as it is.
    pub(super) async fn raw(&self, method: &str, path: &str, sent: Sent) -> Reply {
        self.stream(method, path, sent.headers, Body::from(sent.body)).await
    }

    pub(super) async fn stream(
        &self,
        method: &str,
        path: &str,
        headers: Vec<(&'static str, String)>,
        body: Body,
    ) -> Reply {
        let method: Method = method.parse().unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = self.service.call(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 24).await.unwrap().to_vec();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends a request with the token.
    pub(super) async fn send(&self, method: &str, path: &str, media: &str, body: Vec<u8>) -> Reply {
        let headers = vec![("authorization", TOKEN.to_owned()), ("content-type", media.to_owned())];
        self.raw(method, path, Sent { headers, body }).await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "application/json", Vec::new()).await
    }

    pub(super) async fn json(&self, method: &str, path: &str, body: Value) -> Reply {
        self.send(method, path, "application/json", body.to_string().into_bytes()).await
    }

    pub(super) async fn post(&self, path: &str) -> Reply {
        self.send("POST", path, "application/json", Vec::new()).await
    }

    /// Returns what happened so far, the newest first, as `stage: what (reason)`.
    pub(super) async fn story(&self) -> Vec<String> {
        let events = self.get("/api/v1/events?limit=500").await.ok(200);
        let line = |event: &Value| {
            format!("{}: {} ({})", text(event, "stage"), text(event, "what"), text(event, "reason"))
        };
        events["items"].as_array().unwrap().iter().map(line).collect()
    }
}

impl Reply {
    /// Checks the status and returns the JSON.
    #[track_caller]
    pub(super) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Checks that the answer is a problem of this kind, whose detail and hint hold these words.
    #[track_caller]
    pub(super) fn problem(&self, status: u16, code: &str, words: &str) -> Problem {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{text}");
        assert_eq!(self.headers[header::CONTENT_TYPE], MEDIA_TYPE);
        let problem: Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!((problem.code(), problem.status), (code, status));
        let said = format!("{} {}", problem.detail, problem.hint.clone().unwrap_or_default());
        assert!(said.contains(words), "{said:?} does not say {words:?}");
        problem
    }
}

pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} of {value} is no text"))
}

/// Returns one field of each item.
pub(super) fn column(list: &Value, field: &str) -> Vec<String> {
    list["items"].as_array().unwrap().iter().map(|item| text(item, field).to_owned()).collect()
}
