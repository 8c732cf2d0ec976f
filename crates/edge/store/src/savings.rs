//! What patches saved: bytes and time, summed over the devices' own reports.
//!
//! In: which orders. Out: sums. Orders count once a device has said how their bytes came; agents that do not say so count
//! once they have loaded something.

use std::collections::BTreeMap;

use warden_model::report::Way;
use warden_model::savings::Savings;
use warden_model::{ByteCount, ReleaseId, RolloutId};

use crate::error::StoreError;
use crate::row::Row;
use crate::sql::Statement;
use crate::store::Store;

/// Which orders are summed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SavingsOf {
    /// All that were ever given.
    Fleet,
    /// Those of a release.
    Release(ReleaseId),
    /// Those of a rollout.
    Rollout(RolloutId),
}

/// The sums of one way.
struct Part {
    way: Option<Way>,
    sums: Savings,
}

fn read(row: &Row) -> Result<Part, StoreError> {
    let sums = Savings {
        ways: BTreeMap::new(),
        updates: row.unsigned("updates")?,
        loaded: ByteCount(row.unsigned("loaded")?),
        full: ByteCount(row.unsigned("full_bytes")?),
        loading_millis: row.unsigned("loading")?,
        applying_millis: row.unsigned("applying")?,
        saved_millis: row.unsigned("saved")?,
        measured: row.unsigned("measured")?,
    };
    Ok(Part { way: row.parsed_opt("way")?, sums })
}

impl Store {
    /// Sums what patches saved.
    pub async fn savings(&self, of: &SavingsOf) -> Result<Savings, StoreError> {
        let text = "SELECT way, count(*) AS updates, sum(downloaded) AS loaded, sum(full_size) AS full_bytes, \
             sum(loading_millis) AS loading, sum(applying_millis) AS applying, \
             coalesce(sum(saved_millis), 0) AS saved, count(saved_millis) AS measured FROM directives \
             WHERE todo = 'install' AND (way IS NOT NULL OR downloaded > 0)";
        let mut statement = Statement::new("directives", text);
        match of {
            SavingsOf::Fleet => {}
            SavingsOf::Release(id) => {
                let place = statement.bind(id.as_str());
                statement.push(&format!(" AND release = {place}"));
            }
            SavingsOf::Rollout(id) => {
                let place = statement.bind(id.as_str());
                statement.push(&format!(" AND rollout = {place}"));
            }
        }
        statement.push(" GROUP BY way ORDER BY way");
        let mut all = Savings::default();
        for Part { way, sums } in statement.read(self.reader(), read).await? {
            if let Some(way) = way {
                all.ways.insert(way, sums.updates);
            }
            all.updates = all.updates.saturating_add(sums.updates);
            all.loaded = ByteCount(all.loaded.0.saturating_add(sums.loaded.0));
            all.full = ByteCount(all.full.0.saturating_add(sums.full.0));
            all.loading_millis = all.loading_millis.saturating_add(sums.loading_millis);
            all.applying_millis = all.applying_millis.saturating_add(sums.applying_millis);
            all.saved_millis = all.saved_millis.saturating_add(sums.saved_millis);
            all.measured = all.measured.saturating_add(sums.measured);
        }
        Ok(all)
    }
}
