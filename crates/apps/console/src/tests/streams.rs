//! The live page: the fragment comes at once, and again when something has changed.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::time::timeout;
use warden_model::Stage;
use warden_model::release::{PatchState, PatchStep};
use warden_model::rollout::RolloutState;
use warden_store::{Store, Write};

use super::fleet::{HOSTILE, full};
use super::seed::event;
use super::{SECRET, get, request, started};
use crate::clock;

/// Longest wait for a message: far above the debounce.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_step_of_the_rollout_reaches_the_page() {
    let store = Store::in_memory().await.unwrap();
    full(&store, clock::now(), HOSTILE).await;
    let router = started(&store).await;
    let request = request(Method::GET, "/rollouts/cam-x1-1.1-a/live", Some(SECRET));
    let response = TowerToHyperService::new(router).call(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut next = async || {
        let frame = timeout(PATIENCE, body.frame()).await.expect("a message in time").unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    };
    let first = next().await;
    assert!(first.starts_with("data: <h1>cam-x1-1.1-a</h1>"), "{first}");
    assert!(first.trim_end().lines().all(|line| line.starts_with("data: ")), "hostile line ends stay inside");

    let mut rollout = store.rollout(&"cam-x1-1.1-a".parse().unwrap()).await.unwrap().unwrap();
    rollout.state = RolloutState::Paused;
    rollout.reason = "The rollout was paused by a test.".to_owned();
    let now = clock::now();
    let news = event(now, Stage::Rollout, None, Some(&rollout.id), "paused", "by a test");
    store.commit(&[Write::Rollout(rollout), Write::Event(news)]).await.unwrap();
    let second = next().await;
    assert!(second.contains("The rollout was paused by a test."), "{second}");
    assert!(second.contains("/resume\""), "the buttons follow the state");
}

#[tokio::test]
async fn a_patch_that_is_built_reaches_the_page_of_its_release() {
    let store = Store::in_memory().await.unwrap();
    full(&store, clock::now(), HOSTILE).await;
    let router = started(&store).await;
    let request = request(Method::GET, "/releases/cam-x1-1.1/live", Some(SECRET));
    let mut body = TowerToHyperService::new(router).call(request).await.unwrap().into_body();
    let mut next = async || {
        let frame = timeout(PATIENCE, body.frame()).await.expect("a message in time").unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    };
    let first = next().await;
    assert!(first.contains("matching, step 3 of 5") && !first.contains("coding, step 4"), "{first}");
    let mut job = store.patch_jobs_in(PatchState::Building).await.unwrap().remove(0);
    job.step = Some(PatchStep::Coding);
    // The beat finds it: a step is no event.
    store.commit(&[Write::PatchJob(job)]).await.unwrap();
    assert!(next().await.contains("coding, step 4 of 5"));
}

#[tokio::test]
async fn the_number_of_streams_is_limited() {
    let store = Store::in_memory().await.unwrap();
    full(&store, clock::now(), "").await;
    let router = started(&store).await;
    let service = TowerToHyperService::new(router.clone());
    let mut open = Vec::new();
    for _ in 0..crate::live::STREAMS_MAX {
        let request = request(Method::GET, "/rollouts/cam-x1-1.1-a/live", Some(SECRET));
        open.push(service.call(request).await.unwrap());
    }
    let path = "/rollouts/cam-x1-1.1-a/live";
    assert_eq!(get(&router, path).await.status, StatusCode::SERVICE_UNAVAILABLE);
    drop(open);
    let freed = timeout(PATIENCE, async {
        let again = || service.call(request(Method::GET, path, Some(SECRET)));
        while again().await.unwrap().status() != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    });
    freed.await.expect("a stream that is closed makes room for another");
}
