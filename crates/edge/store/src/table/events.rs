//! Events: the timeline.

use sqlx::SqliteConnection;
use warden_model::event::Event;
use warden_model::{DeviceId, ReleaseId, RolloutId};
use warden_wire::page::{Cursor, Page, PageError, PageRequest};

use crate::error::StoreError;
use crate::row::Row;
use crate::sql::Statement;
use crate::store::Store;

/// The name of the list in cursors.
const LIST: &str = "events";

/// Whose events are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventScope {
    /// Everybody's.
    All,
    /// Those of a device.
    Device(DeviceId),
    /// Those of a release.
    Release(ReleaseId),
    /// Those of a rollout.
    Rollout(RolloutId),
}

/// Writes an event, unless the same one stands there already, and returns it when it is new.
pub(crate) async fn write(on: &mut SqliteConnection, event: &Event) -> Result<Option<Event>, StoreError> {
    let text = "INSERT INTO events (at, stage, device, release, rollout, what, reason) \
         SELECT $1, $2, $3, $4, $5, $6, $7 WHERE NOT EXISTS (SELECT 1 FROM events WHERE at = $1 AND stage = $2 \
         AND device = $3 AND release = $4 AND rollout = $5 AND what = $6 AND reason = $7)";
    let written = Statement::new("events", text)
        .arg(event.at)
        .arg(event.stage.word())
        .arg(event.device.as_ref().map_or("", DeviceId::as_str))
        .arg(event.release.as_ref().map_or("", ReleaseId::as_str))
        .arg(event.rollout.as_ref().map_or("", RolloutId::as_str))
        .arg(event.what.as_str())
        .arg(event.reason.as_str())
        .run(on)
        .await?;
    Ok((written > 0).then(|| event.clone()))
}

fn subject<T: std::str::FromStr<Err: std::fmt::Display>>(
    row: &Row,
    column: &'static str,
) -> Result<Option<T>, StoreError> {
    if row.text(column)?.is_empty() { Ok(None) } else { row.parsed(column).map(Some) }
}

fn read(row: &Row) -> Result<(i64, Event), StoreError> {
    let event = Event {
        at: row.time("at")?,
        stage: row.parsed("stage")?,
        device: subject(row, "device")?,
        release: subject(row, "release")?,
        rollout: subject(row, "rollout")?,
        what: row.text("what")?,
        reason: row.text("reason")?,
    };
    Ok((row.unsigned("id")?, event))
}

impl Store {
    /// Returns a page of events, the newest first.
    pub async fn events(&self, scope: &EventScope, page: &PageRequest) -> Result<Page<Event>, StoreError> {
        let mut query = Statement::new("events", "SELECT * FROM events WHERE ");
        // The comparison with the empty text lets the partial index of the subject be used.
        let (condition, subject) = match scope {
            EventScope::All => ("TRUE", None),
            EventScope::Device(id) => ("device <> '' AND device = ", Some(id.as_str())),
            EventScope::Release(id) => ("release <> '' AND release = ", Some(id.as_str())),
            EventScope::Rollout(id) => ("rollout <> '' AND rollout = ", Some(id.as_str())),
        };
        query.push(condition);
        if let Some(subject) = subject {
            let subject = query.bind(subject);
            query.push(&subject);
        }
        if let Some(cursor) = &page.after {
            let [id] = cursor.key::<1>(LIST)?;
            let id = query.bind(id.parse::<i64>().map_err(|_| PageError::Cursor)?);
            query.push(&format!(" AND id < {id}"));
        }
        let surplus = query.bind(i64::from(page.limit()) + 1);
        query.push(&format!(" ORDER BY id DESC LIMIT {surplus}"));
        let rows = query.read(self.reader(), read).await?;
        let page = Page::cut(rows, page, |(id, _)| Cursor::new(LIST, [id.to_string()]));
        Ok(page.map(|(_, event)| event))
    }
}
