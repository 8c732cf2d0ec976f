//! Pages of a fleet with everything in it, of an empty one, and of a hostile one.

mod fleet;
mod pages;
mod preview;
mod scans;
mod seed;
mod sessions;
mod streams;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use warden_model::Seconds;
use warden_store::Store;

use crate::session::{COOKIE_NAME, hash};
use crate::{Console, clock, router};

/// The secret of the session that the tests use.
const SECRET: &str = "a-session-for-tests";

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn console(store: Store) -> Console {
    Console { store, fleet: "Harbour North".to_owned(), poll: Seconds(300), order_timeout: Seconds::days(1) }
}

/// Makes the console over a store, with a session.
async fn started(store: &Store) -> Router {
    store.create_session(&hash(SECRET), clock::now().plus(Seconds::hours(1))).await.unwrap();
    router(console(store.clone()))
}

fn request(method: Method, path: &str, secret: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(secret) = secret {
        request = request.header(header::COOKIE, format!("other=1; {COOKIE_NAME}={secret}"));
    }
    request.body(Body::empty()).unwrap()
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = TowerToHyperService::new(router.clone()).call(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// Gets a page with the session of the tests.
async fn get(router: &Router, path: &str) -> Answer {
    send(router, request(Method::GET, path, Some(SECRET))).await
}
