//! Shields, and the alerts that they answer.

use sqlx::SqliteConnection;
use warden_model::alert::Alert;
use warden_model::shield::Shield;
use warden_model::{AlertId, DeviceId, ShieldId};
use warden_wire::filter::Filter;
use warden_wire::page::{Cursor, Page, PageError, PageRequest};

use crate::condition::{self, Target};
use crate::error::StoreError;
use crate::form;
use crate::row::Row;
use crate::sql::{Statement, Upsert};
use crate::store::Store;

/// The name of the list of alerts in cursors.
const ALERTS: &str = "alerts";

pub(crate) async fn write(on: &mut SqliteConnection, shield: &Shield) -> Result<(), StoreError> {
    Upsert::into("shields")
        .key("id", shield.id.as_str())
        .set("device", shield.device.as_str())
        .set("reason", shield.reason.word())
        .set("advisories", form::encode("shields", "advisories", &shield.advisories)?)
        .set("state", shield.state.word())
        .set("since", shield.since)
        .run(on)
        .await
}

pub(crate) async fn write_alert(on: &mut SqliteConnection, alert: &Alert) -> Result<(), StoreError> {
    Upsert::into("alerts")
        .key("id", alert.id.as_str())
        .set("device", alert.device.as_str())
        .set("kind", alert.kind.word())
        .set("sensor", alert.sensor.word())
        .set("at", alert.at)
        .set("destination", alert.destination.as_str())
        .set("reason", alert.reason.as_str())
        .run(on)
        .await
}

fn read(row: &Row) -> Result<Shield, StoreError> {
    Ok(Shield {
        id: row.parsed("id")?,
        device: row.parsed("device")?,
        reason: row.parsed("reason")?,
        advisories: row.form("advisories")?,
        state: row.parsed("state")?,
        since: row.time("since")?,
    })
}

fn read_alert(row: &Row) -> Result<Alert, StoreError> {
    Ok(Alert {
        id: row.parsed("id")?,
        device: row.parsed("device")?,
        kind: row.parsed("kind")?,
        sensor: row.parsed("sensor")?,
        at: row.time("at")?,
        destination: row.text("destination")?,
        reason: row.text("reason")?,
    })
}

impl Store {
    /// Returns a shield.
    pub async fn shield(&self, id: &ShieldId) -> Result<Option<Shield>, StoreError> {
        Statement::new("shields", "SELECT * FROM shields WHERE id = $1")
            .arg(id.as_str())
            .read_one(self.reader(), read)
            .await
    }

    /// Returns all shields, also those that were lifted or refused, by device.
    pub async fn shields(&self) -> Result<Vec<Shield>, StoreError> {
        Statement::new("shields", "SELECT * FROM shields ORDER BY device, since DESC, id")
            .read(self.reader(), read)
            .await
    }

    /// Returns the shield of a device: one that stands or is planned before one that was lifted or refused, and of
    /// those the newest.
    pub async fn shield_of(&self, device: &DeviceId) -> Result<Option<Shield>, StoreError> {
        let text = "SELECT * FROM shields WHERE device = $1 ORDER BY \
             CASE state WHEN 'verified' THEN 0 WHEN 'planned' THEN 1 ELSE 2 END, since DESC, id LIMIT 1";
        Statement::new("shields", text).arg(device.as_str()).read_one(self.reader(), read).await
    }

    /// Returns an alert.
    pub async fn alert(&self, id: &AlertId) -> Result<Option<Alert>, StoreError> {
        Statement::new("alerts", "SELECT * FROM alerts WHERE id = $1")
            .arg(id.as_str())
            .read_one(self.reader(), read_alert)
            .await
    }

    /// Returns a page of the alerts that a filter holds for, the newest first.
    pub async fn alerts(&self, filter: &Filter, page: &PageRequest) -> Result<Page<Alert>, StoreError> {
        let text = "SELECT a.* FROM alerts a JOIN devices d ON d.id = a.device \
             LEFT JOIN heartbeats h ON h.device = d.id WHERE ";
        let mut query = Statement::new("alerts", text);
        condition::push(&mut query, filter, Target::Alerts);
        if let Some(cursor) = &page.after {
            let [at, id] = cursor.key::<2>(ALERTS)?;
            let at = query.bind(at.parse::<i64>().map_err(|_| PageError::Cursor)?);
            let id = query.bind(id.as_str());
            query.push(&format!(" AND (a.at, a.id) < ({at}, {id})"));
        }
        let surplus = query.bind(i64::from(page.limit()) + 1);
        query.push(&format!(" ORDER BY a.at DESC, a.id DESC LIMIT {surplus}"));
        let rows = query.read(self.reader(), read_alert).await?;
        Ok(Page::cut(rows, page, |alert| Cursor::new(ALERTS, [alert.at.0.to_string(), alert.id.to_string()])))
    }

    /// Returns the alerts of a device, the newest first.
    pub async fn alerts_of(&self, device: &DeviceId) -> Result<Vec<Alert>, StoreError> {
        Statement::new("alerts", "SELECT * FROM alerts WHERE device = $1 ORDER BY at DESC, id DESC")
            .arg(device.as_str())
            .read(self.reader(), read_alert)
            .await
    }
}
