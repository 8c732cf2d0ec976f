//! Firmware, and patches from one to another.

use sqlx::SqliteConnection;
use warden_model::firmware::Firmware;
use warden_model::release::Patch;
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

pub(crate) async fn write_patch(on: &mut SqliteConnection, patch: &Patch) -> Result<(), StoreError> {
    Upsert::into("patches")
        .key("result", patch.result)
        .key("base", patch.base)
        .set("digest", patch.digest)
        .set("size", patch.size)
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

fn read_patch(row: &Row) -> Result<Patch, StoreError> {
    Ok(Patch {
        base: row.parsed("base")?,
        result: row.parsed("result")?,
        digest: row.parsed("digest")?,
        size: ByteCount(row.unsigned("size")?),
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

    /// Returns the patches that make an image, by their base.
    pub async fn patches_to(&self, result: &Sha256Digest) -> Result<Vec<Patch>, StoreError> {
        Statement::new("patches", "SELECT * FROM patches WHERE result = $1 ORDER BY base")
            .arg(*result)
            .read(self.reader(), read_patch)
            .await
    }

    /// Returns the patch from one image to another.
    pub async fn patch(
        &self,
        base: &Sha256Digest,
        result: &Sha256Digest,
    ) -> Result<Option<Patch>, StoreError> {
        Statement::new("patches", "SELECT * FROM patches WHERE result = $1 AND base = $2")
            .arg(*result)
            .arg(*base)
            .read_one(self.reader(), read_patch)
            .await
    }
}
