//! Events: the timeline of everything, as pages and as they happen.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{self, KeepAlive, Sse};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_stream::{Stream, StreamExt as _};
use warden_model::event::Event;
use warden_store::EventScope;
use warden_wire::rest::{EventBody, Items};

use super::extract::{Asked, Paging, items};
use crate::context::Shared;
use crate::problem::Answer;

/// How often an idle stream shows a sign of life: proxies close what is silent for half a minute or longer.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Lists what happened, the newest first.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(Paging),
    responses((status = 200, body = Items<EventBody>)))]
pub(super) async fn list(
    State(context): State<Shared>,
    Asked(paging): Asked<Paging>,
) -> Answer<Json<Items<EventBody>>> {
    let page = context.store.events(&EventScope::All, &paging.request()?).await?;
    Ok(items(page, |event| EventBody::from(&event)))
}

/// Tells what happens, as it happens (server-sent events).
///
/// Each message holds one event as JSON. A message of the type `lagged` says how many events a slow client has missed:
/// it reads `/api/v1/events` and goes on.
#[utoipa::path(get, path = "/api/v1/events/stream", tag = "events",
    responses((status = 200, body = EventBody, content_type = "text/event-stream")))]
pub(super) async fn stream(
    State(context): State<Shared>,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let messages = BroadcastStream::new(context.store.subscribe()).map(|received| Ok(message(received)));
    Sse::new(messages).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_EVERY))
}

fn message(received: Result<Event, BroadcastStreamRecvError>) -> sse::Event {
    match received {
        // JSON has no raw line breaks, so that each message is one `data` line.
        Ok(event) => {
            let json = serde_json::to_string(&EventBody::from(&event)).unwrap_or_default();
            sse::Event::default().data(json)
        }
        Err(BroadcastStreamRecvError::Lagged(missed)) => {
            sse::Event::default().event("lagged").data(format!("{{\"missed\":{missed}}}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    #[tokio::test]
    async fn a_slow_client_is_told_how_much_it_has_missed() {
        let lagged = message(Err(BroadcastStreamRecvError::Lagged(7)));
        let messages = tokio_stream::once(Ok::<_, Infallible>(lagged));
        let body = Sse::new(messages).into_response().into_body();
        let bytes = axum::body::to_bytes(body, 1024).await.unwrap();
        assert_eq!(bytes.as_ref(), b"event: lagged\ndata: {\"missed\":7}\n\n");
    }
}
