//! Firmware.

use sqlx::SqliteConnection;
use warden_model::firmware::Firmware;
use warden_model::{ByteCount, ProductId, Sha256Digest};

use crate::error::StoreError;
use crate::form;
use crate::row::Row;
use crate::sql::{Statement, Upsert};
use crate::store::Store;

pub(crate) async fn write(on: &mut SqliteConnection, firmware: &Firmware) -> Result<(), StoreError> {
    let components = firmware.components.as_ref();
    let components = components.map(|list| form::encode("firmware", "components", list)).transpose()?;
    Upsert::into("firmware")
        .key("image", firmware.image)
        .set("product", firmware.product.as_str())
        .set("version", firmware.version.as_str())
        .set("size", firmware.size)
        .set("added_at", firmware.added_at)
        .set("components", components)
        .run(on)
        .await
}

fn read(row: &Row) -> Result<Firmware, StoreError> {
    Ok(Firmware {
        image: row.parsed("image")?,
        product: row.parsed("product")?,
        version: row.parsed("version")?,
        size: ByteCount(row.unsigned("size")?),
        added_at: row.time("added_at")?,
        components: row.form_opt("components")?,
    })
}

impl Store {
    /// Returns a firmware.
    pub async fn firmware(&self, image: &Sha256Digest) -> Result<Option<Firmware>, StoreError> {
        Statement::new("firmware", "SELECT * FROM firmware WHERE image = $1")
            .arg(*image)
            .read_one(self.reader(), read)
            .await
    }

    /// Returns the firmware of a product, the oldest first.
    pub async fn firmwares_of(&self, product: &ProductId) -> Result<Vec<Firmware>, StoreError> {
        Statement::new("firmware", "SELECT * FROM firmware WHERE product = $1 ORDER BY added_at, image")
            .arg(product.as_str())
            .read(self.reader(), read)
            .await
    }

    /// Returns all firmware, by product, the oldest first.
    pub async fn firmwares(&self) -> Result<Vec<Firmware>, StoreError> {
        Statement::new("firmware", "SELECT * FROM firmware ORDER BY product, added_at, image")
            .read(self.reader(), read)
            .await
    }
}
