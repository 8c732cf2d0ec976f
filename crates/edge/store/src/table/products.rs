//! Products.

use sqlx::SqliteConnection;
use warden_model::ProductId;
use warden_model::product::Product;

use crate::error::StoreError;
use crate::form;
use crate::row::Row;
use crate::sql::{Statement, Upsert};
use crate::store::Store;

pub(crate) async fn write(on: &mut SqliteConnection, product: &Product) -> Result<(), StoreError> {
    Upsert::into("products")
        .key("id", product.id.as_str())
        .set("name", product.name.as_str())
        .set("boards", form::encode("products", "boards", &product.boards)?)
        .set("support_ends", product.support_ends)
        .set("exposure", product.exposure.word())
        .run(on)
        .await
}

fn read(row: &Row) -> Result<Product, StoreError> {
    Ok(Product {
        id: row.parsed("id")?,
        name: row.text("name")?,
        boards: row.form("boards")?,
        support_ends: row.time_opt("support_ends")?,
        exposure: row.parsed("exposure")?,
    })
}

impl Store {
    /// Returns a product.
    pub async fn product(&self, id: &ProductId) -> Result<Option<Product>, StoreError> {
        Statement::new("products", "SELECT * FROM products WHERE id = $1")
            .arg(id.as_str())
            .read_one(self.reader(), read)
            .await
    }

    /// Returns all products, by id.
    pub async fn products(&self) -> Result<Vec<Product>, StoreError> {
        Statement::new("products", "SELECT * FROM products ORDER BY id").read(self.reader(), read).await
    }
}
