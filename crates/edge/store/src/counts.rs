//! The numbers on the first page.
//!
//! In: since when a device counts as online. Out: counts. Each is one scan of an index or of the narrow table of signs
//! of life: some milliseconds at a hundred thousand devices, which is what one SQLite database is meant for.

use std::collections::BTreeMap;

use warden_model::Timestamp;
use warden_model::case::Priority;
use warden_model::device::UpdateState;

use crate::error::StoreError;
use crate::sql::Statement;
use crate::store::Store;

/// The fleet in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// All devices.
    pub devices: u64,
    /// Devices that were heard of since the moment that was asked for.
    pub online: u64,
    /// Devices by update state; states without a device are absent.
    pub by_state: BTreeMap<UpdateState, u64>,
    /// Devices with a case that is open.
    pub exposed: u64,
    /// Devices with a verified shield.
    pub shielded: u64,
    /// Open cases by priority; priorities without a case are absent.
    pub open_cases: BTreeMap<Priority, u64>,
    /// Alerts since the moment that was asked for.
    pub alerts: u64,
    /// Rollouts that are not over.
    pub active_rollouts: u64,
}

impl Store {
    /// Counts the fleet; a device is online when it was heard of at `since` or later.
    pub async fn counts(&self, since: Timestamp) -> Result<Counts, StoreError> {
        let number = |table, text| Statement::new(table, text);
        let states = "SELECT state, count(*) AS n FROM devices GROUP BY state";
        let by_state: BTreeMap<UpdateState, u64> = number("devices", states)
            .read(self.reader(), |row| Ok((row.parsed("state")?, row.unsigned("n")?)))
            .await?
            .into_iter()
            .collect();
        let cases = "SELECT priority, count(*) AS n FROM cases WHERE protection IS NULL GROUP BY priority";
        let open_cases = number("cases", cases)
            .read(self.reader(), |row| Ok((row.parsed("priority")?, row.unsigned("n")?)))
            .await?
            .into_iter()
            .collect();
        let online = "SELECT count(*) AS n FROM heartbeats WHERE last_seen >= $1";
        let exposed = "SELECT count(DISTINCT device) AS n FROM cases WHERE protection IS NULL";
        let shielded = "SELECT count(DISTINCT device) AS n FROM shields WHERE state = 'verified'";
        let alerts = "SELECT count(*) AS n FROM alerts WHERE at >= $1";
        let rollouts = "SELECT count(*) AS n FROM rollouts \
             WHERE state IN ('running', 'paused', 'halted', 'rolling-back')";
        Ok(Counts {
            devices: by_state.values().sum(),
            online: number("heartbeats", online).arg(since).number(self.reader()).await?,
            by_state,
            exposed: number("cases", exposed).number(self.reader()).await?,
            shielded: number("shields", shielded).number(self.reader()).await?,
            open_cases,
            alerts: number("alerts", alerts).arg(since).number(self.reader()).await?,
            active_rollouts: number("rollouts", rollouts).number(self.reader()).await?,
        })
    }
}
