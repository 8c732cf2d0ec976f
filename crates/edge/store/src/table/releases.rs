//! Releases, and their runs in the lab.

use sqlx::SqliteConnection;
use warden_model::release::Release;
use warden_model::{ProductId, ReleaseId, Timestamp, words};

use crate::error::StoreError;
use crate::row::Row;
use crate::sql::{Statement, Upsert};
use crate::store::Store;

words! {
    /// How a run in the lab ended.
    pub enum LabOutcome: "lab outcome" {
        /// All that the scenario asks for was seen.
        Passed = "passed",
        /// Something was not.
        Failed = "failed",
    }
}

/// A run of a scenario on virtual devices.
#[derive(Debug, Clone, PartialEq)]
pub struct LabRun {
    /// The release that was tried.
    pub release: ReleaseId,
    /// The scenario.
    pub scenario: String,
    /// How it ended.
    pub outcome: LabOutcome,
    /// The steps and what was observed.
    pub detail: serde_json::Value,
    /// When it ended.
    pub at: Timestamp,
}

pub(crate) async fn write(on: &mut SqliteConnection, release: &Release) -> Result<(), StoreError> {
    Upsert::into("releases")
        .key("id", release.id.as_str())
        .set("product", release.product.as_str())
        .set("version", release.version.as_str())
        .set("image", release.image)
        .set("counter", release.counter)
        .set("state", release.state.word())
        .set("reason", release.reason.as_str())
        .set("created_at", release.created_at)
        .run(on)
        .await
}

pub(crate) async fn write_lab_run(on: &mut SqliteConnection, run: &LabRun) -> Result<(), StoreError> {
    Upsert::into("lab_runs")
        .key("release", run.release.as_str())
        .key("scenario", run.scenario.as_str())
        .key("at", run.at)
        .set("outcome", run.outcome.word())
        .set("detail", run.detail.to_string())
        .run(on)
        .await
}

fn read(row: &Row) -> Result<Release, StoreError> {
    Ok(Release {
        id: row.parsed("id")?,
        product: row.parsed("product")?,
        version: row.parsed("version")?,
        image: row.parsed("image")?,
        counter: row.unsigned("counter")?,
        state: row.parsed("state")?,
        reason: row.text("reason")?,
        created_at: row.time("created_at")?,
    })
}

fn read_lab_run(row: &Row) -> Result<LabRun, StoreError> {
    Ok(LabRun {
        release: row.parsed("release")?,
        scenario: row.text("scenario")?,
        outcome: row.parsed("outcome")?,
        detail: row.json("detail")?,
        at: row.time("at")?,
    })
}

impl Store {
    /// Returns a release.
    pub async fn release(&self, id: &ReleaseId) -> Result<Option<Release>, StoreError> {
        Statement::new("releases", "SELECT * FROM releases WHERE id = $1")
            .arg(id.as_str())
            .read_one(self.reader(), read)
            .await
    }

    /// Returns all releases, the newest first.
    pub async fn releases(&self) -> Result<Vec<Release>, StoreError> {
        Statement::new("releases", "SELECT * FROM releases ORDER BY created_at DESC, id")
            .read(self.reader(), read)
            .await
    }

    /// Returns the releases of a product, the one with the largest counter first.
    pub async fn releases_of(&self, product: &ProductId) -> Result<Vec<Release>, StoreError> {
        Statement::new("releases", "SELECT * FROM releases WHERE product = $1 ORDER BY counter DESC")
            .arg(product.as_str())
            .read(self.reader(), read)
            .await
    }

    /// Returns a release counter for a product that is larger than all before, and never gives it again.
    pub async fn next_release_counter(&self, product: &ProductId) -> Result<u64, StoreError> {
        let text = "INSERT INTO sequences (name, last) VALUES ($1, \
             (SELECT coalesce(max(counter), 0) + 1 FROM releases WHERE product = $2)) \
             ON CONFLICT (name) DO UPDATE SET last = 1 + CASE WHEN sequences.last >= excluded.last - 1 \
             THEN sequences.last ELSE excluded.last - 1 END RETURNING last AS n";
        Statement::new("sequences", text)
            .arg(format!("release-counter/{product}"))
            .arg(product.as_str())
            .number(self.writer())
            .await
    }

    /// Returns the lab runs of a release, the oldest first.
    pub async fn lab_runs(&self, release: &ReleaseId) -> Result<Vec<LabRun>, StoreError> {
        Statement::new("lab_runs", "SELECT * FROM lab_runs WHERE release = $1 ORDER BY at, scenario")
            .arg(release.as_str())
            .read(self.reader(), read_lab_run)
            .await
    }
}
