//! The stream of a rollout or a release: its fragment again, whenever something has changed.
//!
//! In: events as they are committed, and a slow beat for what changes without an event. Out: server-sent events with the
//! HTML of the fragment. Refuses: more than [`STREAMS_MAX`] streams; a stream ends after [`STREAM_LIFETIME`], and
//! the browser opens the next one, which checks the session anew.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::response::sse::{Event as ServerSentEvent, KeepAlive, Sse};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tracing::warn;
use warden_model::event::Event;
use warden_model::{ReleaseId, RolloutId};

use crate::failure::Failure;
use crate::page::{release, rollout};
use crate::{App, clock};

/// Most streams at a time: each holds a connection and a place among the listeners; a big operations room has tens.
pub(crate) const STREAMS_MAX: usize = 128;

/// How long a stream lives: a session that has ended is noticed within that time.
const STREAM_LIFETIME: Duration = Duration::from_mins(10);

/// How long to wait for more events after the first one: a step of the planner writes many at once.
const DEBOUNCE: Duration = Duration::from_millis(300);

/// How often to look when no event comes: progress of a download is kept without an event.
const BEAT: Duration = Duration::from_secs(3);

/// How often an idle stream says that it lives, so that proxies in between keep it open: they give up after a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

type Message = Result<ServerSentEvent, Infallible>;

/// What a stream is about.
#[derive(Debug, Clone)]
enum Subject {
    Rollout(RolloutId),
    Release(ReleaseId),
}

/// What its fragment shows.
#[derive(Debug, PartialEq)]
enum Gathered {
    Rollout(Box<rollout::Gathered>),
    Release(Box<release::Gathered>),
}

impl Subject {
    async fn gather(&self, app: &App) -> Result<Gathered, Failure> {
        Ok(match self {
            Self::Rollout(id) => Gathered::Rollout(Box::new(rollout::gather(app, id).await?)),
            Self::Release(id) => Gathered::Release(Box::new(release::gather(app, id).await?)),
        })
    }

    fn is_subject_of(&self, event: &Event) -> bool {
        match self {
            Self::Rollout(id) => event.rollout.as_ref() == Some(id),
            Self::Release(id) => event.release.as_ref() == Some(id),
        }
    }
}

/// Opens the stream of a rollout.
pub(crate) async fn of_rollout(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    stream(app, Subject::Rollout(rollout::parse(&id)?)).await
}

/// Opens the stream of a release.
pub(crate) async fn of_release(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    stream(app, Subject::Release(release::parse(&id)?)).await
}

async fn stream(app: App, subject: Subject) -> Result<impl IntoResponse, Failure> {
    let permit = app.streams().try_acquire_owned().map_err(|_| Failure::TooManyStreams)?;
    // Listen first and read then: nothing falls between the two.
    let events = app.store().subscribe();
    let first = subject.gather(&app).await?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(feed(app, subject, first, events, sender, permit));
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("still here");
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(keep_alive))
}

/// Sends the fragment until the reader goes, the lifetime ends, or the store fails.
async fn feed(
    app: App,
    subject: Subject,
    first: Gathered,
    mut events: Receiver<Event>,
    sender: Sender<Message>,
    _permit: OwnedSemaphorePermit,
) {
    let end = Instant::now() + STREAM_LIFETIME;
    let mut shown = first;
    let mut message = render(&app, &shown);
    loop {
        if sender.send(Ok(message)).await.is_err() {
            return;
        }
        shown = loop {
            let goes_on = tokio::select! {
                () = sender.closed() => false,
                () = sleep_until(end) => false,
                heard = timeout(BEAT, news(&mut events, &subject)) => heard.unwrap_or(true),
            };
            if !goes_on {
                return;
            }
            match subject.gather(&app).await {
                Ok(present) if present != shown => break present,
                Ok(_) => {}
                Err(failure) => {
                    warn!(?subject, %failure, "a live page ended");
                    return;
                }
            }
        };
        message = render(&app, &shown);
    }
}

fn render(app: &App, gathered: &Gathered) -> ServerSentEvent {
    let now = clock::now();
    let fragment = match gathered {
        Gathered::Rollout(gathered) => rollout::fragment(app, gathered, now),
        Gathered::Release(gathered) => release::fragment(gathered, now),
    };
    ServerSentEvent::default().data(fragment.into_string())
}

/// Waits for an event about the subject and for those that follow at once; says whether more can come.
async fn news(events: &mut Receiver<Event>, subject: &Subject) -> bool {
    loop {
        match events.recv().await {
            Ok(event) if subject.is_subject_of(&event) => break,
            Ok(_) => {}
            // Whatever was missed, the store has it.
            Err(RecvError::Lagged(_)) => break,
            Err(RecvError::Closed) => return false,
        }
    }
    sleep(DEBOUNCE).await;
    while events.try_recv().is_ok() {}
    true
}
