//! Devices, their signs of life, and what they say of themselves.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;
use warden_model::device::{Device, Running, Slot};
use warden_model::{DeviceId, Generation, ProductId};
use warden_wire::filter::Filter;
use warden_wire::page::{Cursor, Page, PageRequest};

use crate::condition::{self, Target};
use crate::error::StoreError;
use crate::form;
use crate::row::Row;
use crate::sql::{Statement, Upsert};
use crate::store::Store;

/// The name of the list in cursors.
const LIST: &str = "devices";

const FROM: &str = "FROM devices d LEFT JOIN heartbeats h ON h.device = d.id";

/// Keeps the newer sign of life, whichever comes later: a device that was read, changed and written back meanwhile
/// must not take back a beat.
const WRITE_HEARTBEAT: &str = "INSERT INTO heartbeats (device, last_seen, address) VALUES ($1, $2, $3) \
     ON CONFLICT (device) DO UPDATE SET last_seen = excluded.last_seen, address = excluded.address \
     WHERE heartbeats.last_seen IS NULL OR excluded.last_seen >= heartbeats.last_seen";

pub(crate) async fn write(on: &mut SqliteConnection, device: &Device) -> Result<(), StoreError> {
    let image = |running: &Option<Running>| running.as_ref().map(|running| running.image.to_string());
    let version = |running: &Option<Running>| running.as_ref().map(|running| running.version.to_string());
    Upsert::into("devices")
        .key("id", device.id.as_str())
        .set("product", device.product.as_str())
        .set("hardware", device.hardware.as_str())
        .set("criticality", device.criticality.word())
        .set("sensitivity", device.sensitivity.word())
        .set("segment", device.segment.as_ref().map(warden_model::SegmentId::as_str))
        .set("installed_image", image(&device.installed))
        .set("installed_version", version(&device.installed))
        .set("confirmed_image", image(&device.confirmed))
        .set("confirmed_version", version(&device.confirmed))
        .set("slot", device.slot.map(Slot::word))
        .set("state", device.state.word())
        .set("generation", device.generation)
        .set("report_counter", device.report_counter)
        .set("enrolled_at", device.enrolled_at)
        .run(&mut *on)
        .await?;
    if device.last_seen.is_none() && device.address.is_none() {
        return Ok(());
    }
    Statement::new("heartbeats", WRITE_HEARTBEAT)
        .arg(device.id.as_str())
        .arg(device.last_seen)
        .arg(device.address)
        .run(on)
        .await
        .map(|_| ())
}

pub(crate) async fn write_attributes(
    on: &mut SqliteConnection,
    device: &DeviceId,
    values: &BTreeMap<String, String>,
) -> Result<(), StoreError> {
    Upsert::into("attributes")
        .key("device", device.as_str())
        .set("vals", form::encode("attributes", "vals", values)?)
        .run(on)
        .await
}

fn running(row: &Row, image: &'static str, version: &'static str) -> Result<Option<Running>, StoreError> {
    match (row.parsed_opt(image)?, row.parsed_opt(version)?) {
        (Some(image), Some(version)) => Ok(Some(Running { image, version })),
        (None, None) => Ok(None),
        _ => Err(row.corrupt(image, "an image without a version, or the reverse")),
    }
}

fn read(row: &Row) -> Result<Device, StoreError> {
    Ok(Device {
        id: row.parsed("id")?,
        product: row.parsed("product")?,
        hardware: row.parsed("hardware")?,
        criticality: row.parsed("criticality")?,
        sensitivity: row.parsed("sensitivity")?,
        segment: row.parsed_opt("segment")?,
        address: row.parsed_opt("address")?,
        installed: running(row, "installed_image", "installed_version")?,
        confirmed: running(row, "confirmed_image", "confirmed_version")?,
        slot: row.parsed_opt("slot")?,
        state: row.parsed("state")?,
        generation: Generation(row.unsigned("generation")?),
        report_counter: row.unsigned("report_counter")?,
        enrolled_at: row.time("enrolled_at")?,
        last_seen: row.time_opt("last_seen")?,
    })
}

impl Store {
    /// Returns a device.
    pub async fn device(&self, id: &DeviceId) -> Result<Option<Device>, StoreError> {
        Statement::new("devices", &format!("SELECT d.*, h.last_seen, h.address {FROM} WHERE d.id = $1"))
            .arg(id.as_str())
            .read_one(self.reader(), read)
            .await
    }

    /// Returns a page of the devices that a filter holds for, by id.
    pub async fn devices(&self, filter: &Filter, page: &PageRequest) -> Result<Page<Device>, StoreError> {
        let mut query =
            Statement::new("devices", &format!("SELECT d.*, h.last_seen, h.address {FROM} WHERE "));
        condition::push(&mut query, filter, Target::Devices);
        if let Some(cursor) = &page.after {
            let [id] = cursor.key::<1>(LIST)?;
            let id = query.bind(id.as_str());
            query.push(&format!(" AND d.id > {id}"));
        }
        let surplus = query.bind(i64::from(page.limit()) + 1);
        query.push(&format!(" ORDER BY d.id LIMIT {surplus}"));
        let rows = query.read(self.reader(), read).await?;
        Ok(Page::cut(rows, page, |device| Cursor::new(LIST, [device.id.to_string()])))
    }

    /// Returns how many devices a filter holds for.
    pub async fn device_count(&self, filter: &Filter) -> Result<u64, StoreError> {
        let mut query = Statement::new("devices", &format!("SELECT count(*) AS n {FROM} WHERE "));
        condition::push(&mut query, filter, Target::Devices);
        query.number(self.reader()).await
    }

    /// Returns all devices, by id.
    pub async fn all_devices(&self) -> Result<Vec<Device>, StoreError> {
        Statement::new("devices", &format!("SELECT d.*, h.last_seen, h.address {FROM} ORDER BY d.id"))
            .read(self.reader(), read)
            .await
    }

    /// Returns all devices of a product, by id.
    pub async fn devices_of(&self, product: &ProductId) -> Result<Vec<Device>, StoreError> {
        let text = format!("SELECT d.*, h.last_seen, h.address {FROM} WHERE d.product = $1 ORDER BY d.id");
        Statement::new("devices", &text).arg(product.as_str()).read(self.reader(), read).await
    }

    /// Returns what the devices of a product have confirmed, and how many devices run it; the most frequent first.
    pub async fn field_versions(&self, product: &ProductId) -> Result<Vec<(Running, u64)>, StoreError> {
        let text = "SELECT confirmed_image, confirmed_version, count(*) AS n FROM devices \
             WHERE product = $1 AND confirmed_image IS NOT NULL \
             GROUP BY confirmed_image, confirmed_version \
             ORDER BY n DESC, confirmed_version, confirmed_image";
        let read = |row: &Row| {
            let image = row.parsed("confirmed_image")?;
            Ok((Running { image, version: row.parsed("confirmed_version")? }, row.unsigned("n")?))
        };
        Statement::new("devices", text).arg(product.as_str()).read(self.reader(), read).await
    }

    /// Returns what a device said of itself; empty when it said nothing.
    pub async fn attributes(&self, device: &DeviceId) -> Result<BTreeMap<String, String>, StoreError> {
        let values = Statement::new("attributes", "SELECT device, vals FROM attributes WHERE device = $1")
            .arg(device.as_str())
            .read_one(self.reader(), |row| row.form("vals"))
            .await?;
        Ok(values.unwrap_or_default())
    }
}
