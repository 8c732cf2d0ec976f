//! Rollouts, and the devices in them.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;
use warden_model::rollout::{MaintenanceWindow, Member, Rollout};
use warden_model::{ActionId, DeviceId, Generation, RolloutId};

use crate::error::StoreError;
use crate::form;
use crate::row::Row;
use crate::sql::{Statement, Upsert};
use crate::store::Store;

/// An index as it is stored: no rollout has more phases than fit.
fn index(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX)
}

pub(crate) async fn write(on: &mut SqliteConnection, rollout: &Rollout) -> Result<(), StoreError> {
    Upsert::into("rollouts")
        .key("id", rollout.id.as_str())
        .set("release", rollout.release.as_str())
        .set("phases", form::encode("rollouts", "phases", &rollout.phases)?)
        .set("window_start", rollout.window.map(MaintenanceWindow::start_minute))
        .set("window_length", rollout.window.map(MaintenanceWindow::length_minutes))
        .set("state", rollout.state.word())
        .set("reason", rollout.reason.as_str())
        .set("phase", index(rollout.phase))
        .set("good_since", rollout.good_since)
        .set("accepted_until", rollout.failures_accepted_until)
        .set("generation", rollout.generation)
        .set("created_at", rollout.created_at)
        .run(on)
        .await
}

pub(crate) async fn write_member(
    on: &mut SqliteConnection,
    rollout: &RolloutId,
    member: &Member,
) -> Result<(), StoreError> {
    Upsert::into("members")
        .key("rollout", rollout.as_str())
        .key("device", member.device.as_str())
        .set("phase", index(member.phase))
        .set("state", member.state.word())
        .set("since", member.since)
        .set("action", super::directives::number(member.action)?)
        .run(on)
        .await
}

fn window(row: &Row) -> Result<Option<MaintenanceWindow>, StoreError> {
    match (row.unsigned_opt("window_start")?, row.unsigned_opt("window_length")?) {
        (Some(start), Some(length)) => {
            let window = MaintenanceWindow::new(start, length);
            window.map(Some).map_err(|error| row.corrupt("window_start", error))
        }
        (None, None) => Ok(None),
        _ => Err(row.corrupt("window_start", "a start without a length, or the reverse")),
    }
}

fn read(row: &Row) -> Result<Rollout, StoreError> {
    Ok(Rollout {
        id: row.parsed("id")?,
        release: row.parsed("release")?,
        phases: row.form("phases")?,
        window: window(row)?,
        state: row.parsed("state")?,
        reason: row.text("reason")?,
        phase: row.unsigned("phase")?,
        good_since: row.time_opt("good_since")?,
        failures_accepted_until: row.time_opt("accepted_until")?,
        generation: Generation(row.unsigned("generation")?),
        created_at: row.time("created_at")?,
    })
}

fn read_member(row: &Row) -> Result<Member, StoreError> {
    Ok(Member {
        device: row.parsed("device")?,
        phase: row.unsigned("phase")?,
        state: row.parsed("state")?,
        since: row.time("since")?,
        action: row.unsigned_opt("action")?.map(ActionId),
    })
}

impl Store {
    /// Returns a rollout.
    pub async fn rollout(&self, id: &RolloutId) -> Result<Option<Rollout>, StoreError> {
        Statement::new("rollouts", "SELECT * FROM rollouts WHERE id = $1")
            .arg(id.as_str())
            .read_one(self.reader(), read)
            .await
    }

    /// Returns all rollouts, the newest first.
    pub async fn rollouts(&self) -> Result<Vec<Rollout>, StoreError> {
        Statement::new("rollouts", "SELECT * FROM rollouts ORDER BY created_at DESC, id")
            .read(self.reader(), read)
            .await
    }

    /// Returns the rollouts that are not over, the oldest first: running, paused, halted and rolling back.
    pub async fn active_rollouts(&self) -> Result<Vec<Rollout>, StoreError> {
        let text = "SELECT * FROM rollouts WHERE state IN ('running', 'paused', 'halted', 'rolling-back') \
             ORDER BY created_at, id";
        Statement::new("rollouts", text).read(self.reader(), read).await
    }

    /// Returns the rollouts that have gone back and have a device that came to run their release only after that, the
    /// oldest first.
    pub async fn rollouts_with_stragglers(&self) -> Result<Vec<Rollout>, StoreError> {
        let text = "SELECT r.* FROM rollouts r WHERE r.state = 'rolled-back' AND EXISTS (SELECT 1 FROM members m \
             WHERE m.rollout = r.id AND m.state IN ('installed', 'booted', 'healthy')) ORDER BY r.created_at, r.id";
        Statement::new("rollouts", text).read(self.reader(), read).await
    }

    /// Returns where a device stands in a rollout.
    pub async fn member(&self, rollout: &RolloutId, device: &DeviceId) -> Result<Option<Member>, StoreError> {
        let text =
            "SELECT device, phase, state, since, action FROM members WHERE rollout = $1 AND device = $2";
        Statement::new("members", text)
            .arg(rollout.as_str())
            .arg(device.as_str())
            .read_one(self.reader(), read_member)
            .await
    }

    /// Returns the devices of all rollouts, the rollouts from the newest to the oldest.
    pub async fn all_members(&self) -> Result<Vec<(Rollout, Vec<Member>)>, StoreError> {
        let text = "SELECT m.device, m.phase, m.state, m.since, m.action, m.rollout FROM members m \
             ORDER BY m.rollout, m.phase, m.device";
        let read = |row: &Row| Ok((row.parsed::<RolloutId>("rollout")?, read_member(row)?));
        let mut members: BTreeMap<RolloutId, Vec<Member>> = BTreeMap::new();
        for (rollout, member) in Statement::new("members", text).read(self.reader(), read).await? {
            members.entry(rollout).or_default().push(member);
        }
        let rollouts = self.rollouts().await?;
        Ok(rollouts
            .into_iter()
            .map(|rollout| {
                let own = members.remove(&rollout.id).unwrap_or_default();
                (rollout, own)
            })
            .collect())
    }

    /// Returns the devices of a rollout, by phase, then by id.
    pub async fn members(&self, rollout: &RolloutId) -> Result<Vec<Member>, StoreError> {
        let text = "SELECT device, phase, state, since, action FROM members \
             WHERE rollout = $1 ORDER BY phase, device";
        Statement::new("members", text).arg(rollout.as_str()).read(self.reader(), read_member).await
    }

    /// Returns the rollouts that a device belongs to, the newest first, and where it stands in each.
    pub async fn rollouts_of_device(&self, device: &DeviceId) -> Result<Vec<(Rollout, Member)>, StoreError> {
        let text = "SELECT r.* FROM rollouts r JOIN members m ON m.rollout = r.id \
             WHERE m.device = $1 ORDER BY r.created_at DESC, r.id";
        let rollouts =
            Statement::new("rollouts", text).arg(device.as_str()).read(self.reader(), read).await?;
        let text = "SELECT m.device, m.phase, m.state, m.since, m.action, m.rollout FROM members m \
             WHERE m.device = $1";
        let members = Statement::new("members", text)
            .arg(device.as_str())
            .read(self.reader(), |row| Ok((row.parsed::<RolloutId>("rollout")?, read_member(row)?)))
            .await?;
        // The two queries may see different states: what only one of them saw is left out.
        let member = |id: &RolloutId| members.iter().find(|(rollout, _)| rollout == id);
        Ok(rollouts
            .into_iter()
            .filter_map(|rollout| member(&rollout.id).map(|(_, member)| (rollout.clone(), member.clone())))
            .collect())
    }
}
