//! Settings and other small state of the server: baselines, how far a log was read, texts of rule sets.

use sqlx::SqliteConnection;

use crate::error::StoreError;
use crate::sql::{Statement, Upsert};
use crate::store::Store;

pub(crate) async fn write(
    on: &mut SqliteConnection,
    key: &str,
    value: &serde_json::Value,
) -> Result<(), StoreError> {
    Upsert::into("settings").key("name", key).set("data", value.to_string()).run(on).await
}

impl Store {
    /// Returns a setting.
    pub async fn setting(&self, key: &str) -> Result<Option<serde_json::Value>, StoreError> {
        Statement::new("settings", "SELECT name, data FROM settings WHERE name = $1")
            .arg(key)
            .read_one(self.reader(), |row| row.json("data"))
            .await
    }

    /// Returns all settings whose name starts with a prefix, by name.
    pub async fn settings(&self, prefix: &str) -> Result<Vec<(String, serde_json::Value)>, StoreError> {
        let text = "SELECT name, data FROM settings WHERE substr(name, 1, length($1)) = $1 ORDER BY name";
        Statement::new("settings", text)
            .arg(prefix)
            .read(self.reader(), |row| Ok((row.text("name")?, row.json("data")?)))
            .await
    }
}
