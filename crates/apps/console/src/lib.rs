//! The web console: pages made on the server, with two assets of their own.
//!
//! In: the store, and requests of people with a session. Out: pages that say what needs whom, why, and what to do next;
//! one stream of events for the rollout or release that is on screen. Refuses: everybody without a session (a one-time link from
//! `fleetwarden login` starts one), foreign scripts and styles, being framed. Without scripts everything can be read, and
//! every action names the command that does the same.

mod assets;
mod clock;
mod failure;
mod live;
mod page;
mod progress;
mod secure;
mod session;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use warden_model::{Seconds, Timestamp};
use warden_store::Store;

/// For how many poll intervals a device may be silent before the console calls it silent: one poll may get lost, two in a
/// row say that something is wrong.
const POLLS_MISSED_MAX: u64 = 3;

/// What the console is made of.
#[derive(Debug, Clone)]
pub struct Console {
    /// Where the pages come from.
    pub store: Store,
    /// What people call this fleet; it stands above every page.
    pub fleet: String,
    /// How often devices poll: tells who is online.
    pub poll: Seconds,
    /// For how long after an order a silent device counts as unreachable; the planner's own number.
    pub order_timeout: Seconds,
}

/// What all handlers share.
#[derive(Debug)]
struct Inner {
    console: Console,
    /// One permit for each stream of events that is open.
    streams: Arc<Semaphore>,
}

/// A handle that all handlers share.
#[derive(Debug, Clone)]
struct App(Arc<Inner>);

impl App {
    fn store(&self) -> &Store {
        &self.0.console.store
    }

    fn fleet(&self) -> &str {
        &self.0.console.fleet
    }

    fn order_timeout(&self) -> Seconds {
        self.0.console.order_timeout
    }

    fn streams(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.streams)
    }

    /// Returns for how long a device may be silent.
    fn silence_max(&self) -> Seconds {
        Seconds(self.0.console.poll.0.saturating_mul(POLLS_MISSED_MAX).max(1))
    }

    /// Returns since when a device must have been heard of to count as online.
    fn online_since(&self, now: Timestamp) -> Timestamp {
        let millis = i64::try_from(self.silence_max().0.saturating_mul(1000)).unwrap_or(i64::MAX);
        Timestamp(now.0.saturating_sub(millis))
    }
}

/// Makes the router of all pages. It has no fallback, so that it can be merged with the REST API; it belongs on a listener
/// with TLS, because browsers keep its session cookie only there.
pub fn router(console: Console) -> Router {
    let streams = Arc::new(Semaphore::new(live::STREAMS_MAX));
    let app = App(Arc::new(Inner { console, streams }));
    let pages = Router::new()
        .route("/", get(page::now::show))
        .route("/devices", get(page::devices::show))
        .route("/devices/{id}", get(page::device::show))
        .route("/risk", get(page::risk::show))
        .route("/risk/{advisory}", get(page::advisory::show))
        .route("/releases", get(page::releases::show))
        .route("/releases/{id}", get(page::release::show))
        .route("/releases/{id}/live", get(live::of_release))
        .route("/rollouts", get(page::rollouts::show))
        .route("/rollouts/{id}", get(page::rollout::show))
        .route("/rollouts/{id}/live", get(live::of_rollout))
        .route("/scans", get(page::scans::show))
        .route("/shields", get(page::shields::show))
        .route("/alerts", get(page::alerts::show))
        .route("/logout", post(session::log_out))
        .route_layer(middleware::from_fn_with_state(app.clone(), session::require));
    Router::new()
        .merge(pages)
        .route("/login", get(session::log_in))
        .route("/assets/{name}", get(assets::serve))
        .route_layer(middleware::map_response(secure::add_headers))
        .with_state(app)
}

#[cfg(test)]
mod tests;
