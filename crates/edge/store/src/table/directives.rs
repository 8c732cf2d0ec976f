//! Orders to devices, what they cost, and what the devices answered.

use sqlx::SqliteConnection;
use warden_model::report::Way;
use warden_model::rollout::Directive;
use warden_model::{ActionId, ByteCount, DeviceId, Generation, RolloutId, Sha256Digest, Timestamp, words};

use crate::error::StoreError;
use crate::form;
use crate::row::Row;
use crate::sql::{Arg, Statement, Upsert};
use crate::store::Store;

words! {
    /// Where an order stands.
    pub enum DirectiveState: "directive state" {
        /// The device has it or will get it, and has not finished.
        Open = "open",
        /// It is being taken back; the device has not agreed yet.
        Cancelling = "cancelling",
        /// The device has finished, or has agreed to forget it.
        Closed = "closed",
    }
}

/// An order as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDirective {
    /// The order.
    pub directive: Directive,
    /// Where it stands.
    pub state: DirectiveState,
    /// When it was given.
    pub created_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// The image that the device shall run in the end.
    pub image: Sha256Digest,
    /// What the device has downloaded for it.
    pub downloaded: ByteCount,
    /// What the full image would have cost.
    pub full: ByteCount,
    /// How the bytes came, by the device's own report.
    pub way: Option<Way>,
    /// How long loading took, in milliseconds.
    pub loading_millis: u64,
    /// How long it took to write the slot from what was loaded, in milliseconds.
    pub applying_millis: u64,
}

impl StoredDirective {
    /// Returns what carrying it out cost.
    pub fn cost(&self) -> UpdateCost {
        UpdateCost {
            downloaded: self.downloaded,
            full: self.full,
            way: self.way,
            loading_millis: self.loading_millis,
            applying_millis: self.applying_millis,
        }
    }
}

/// What carrying out an order cost, by the device's own report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpdateCost {
    /// What was downloaded.
    pub downloaded: ByteCount,
    /// What the full image would have cost.
    pub full: ByteCount,
    /// How the bytes came.
    pub way: Option<Way>,
    /// How long loading took, in milliseconds.
    pub loading_millis: u64,
    /// How long it took to write the slot from what was loaded, in milliseconds.
    pub applying_millis: u64,
}

/// The shortest loading that tells how fast a line is, in milliseconds: below it, the handshake is most of the time.
const RATE_MILLIS_MIN: u64 = 1_000;
/// So many bytes tell it too, however fast they came.
const RATE_BYTES_MIN: ByteCount = ByteCount::mib(1);
/// The longest time that one update can save, in milliseconds: a week. Sums of it stay far below what a column holds.
const SAVED_MILLIS_MAX: u64 = 7 * 86_400_000;

impl UpdateCost {
    /// Returns how long the bytes that were not loaded would have taken, in milliseconds, at the rate of those that were;
    /// nothing where too little was loaded to know the rate.
    pub fn saved_millis(&self) -> Option<u64> {
        let measured = self.loading_millis >= RATE_MILLIS_MIN || self.downloaded >= RATE_BYTES_MIN;
        if !measured || self.loading_millis == 0 || self.downloaded.0 == 0 {
            return None;
        }
        let saved = self.full.0.saturating_sub(self.downloaded.0);
        let millis = u128::from(saved) * u128::from(self.loading_millis) / u128::from(self.downloaded.0);
        Some(u64::try_from(millis).unwrap_or(u64::MAX).min(SAVED_MILLIS_MAX))
    }
}

/// An answer of a device to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// When it came.
    pub at: Timestamp,
    /// The DDI execution state, for instance `proceeding`.
    pub execution: String,
    /// The DDI result, for instance `none`.
    pub finished: String,
    /// The device's messages.
    pub messages: Vec<String>,
}

/// Returns the time that an update saved as a column value.
fn saved_millis(cost: &UpdateCost) -> Arg {
    Arg::Int(cost.saved_millis().and_then(|millis| i64::try_from(millis).ok()))
}

/// Returns an action as a column value.
pub(super) fn number(action: Option<ActionId>) -> Result<Arg, StoreError> {
    let number = action.map(|action| i64::try_from(action.0)).transpose();
    number.map(Arg::Int).map_err(|error| StoreError::Unfit {
        table: "directives",
        column: "action",
        why: error.to_string(),
    })
}

pub(crate) async fn write(on: &mut SqliteConnection, stored: &StoredDirective) -> Result<(), StoreError> {
    let directive = &stored.directive;
    Upsert::into("directives")
        .key("action", directive.action.0)
        .set("rollout", directive.rollout.as_str())
        .set("device", directive.device.as_str())
        .set("todo", directive.order.word())
        .set("release", directive.release.as_str())
        .set("generation", directive.generation)
        .set("state", stored.state.word())
        .set("created_at", stored.created_at)
        .set("closed_at", stored.closed_at)
        .set("image", stored.image)
        .set("downloaded", stored.downloaded)
        .set("full_size", stored.full)
        .set("way", stored.way.map(Way::word))
        .set("loading_millis", stored.loading_millis)
        .set("applying_millis", stored.applying_millis)
        .set("saved_millis", saved_millis(&stored.cost()))
        .run(on)
        .await
}

pub(crate) async fn write_cost(
    on: &mut SqliteConnection,
    action: ActionId,
    cost: &UpdateCost,
) -> Result<(), StoreError> {
    let text = "UPDATE directives SET downloaded = $2, full_size = $3, way = $4, loading_millis = $5, \
         applying_millis = $6, saved_millis = $7 WHERE action = $1";
    let query = Statement::new("directives", text)
        .arg(action.0)
        .arg(cost.downloaded)
        .arg(cost.full)
        .arg(cost.way.map(Way::word))
        .arg(cost.loading_millis)
        .arg(cost.applying_millis)
        .arg(saved_millis(cost));
    match query.run(on).await? {
        0 => Err(StoreError::MissingParent),
        _ => Ok(()),
    }
}

pub(crate) async fn write_feedback(
    on: &mut SqliteConnection,
    action: ActionId,
    feedback: &Feedback,
) -> Result<(), StoreError> {
    let text = "INSERT INTO feedback (action, at, execution, finished, messages) SELECT $1, $2, $3, $4, $5 \
         WHERE NOT EXISTS (SELECT 1 FROM feedback WHERE action = $1 AND at = $2 AND execution = $3 \
         AND finished = $4 AND messages = $5)";
    Statement::new("feedback", text)
        .arg(action.0)
        .arg(feedback.at)
        .arg(feedback.execution.as_str())
        .arg(feedback.finished.as_str())
        .arg(form::encode("feedback", "messages", &feedback.messages)?)
        .run(on)
        .await
        .map(|_| ())
}

fn read(row: &Row) -> Result<StoredDirective, StoreError> {
    Ok(StoredDirective {
        directive: Directive {
            action: ActionId(row.unsigned("action")?),
            rollout: row.parsed("rollout")?,
            device: row.parsed("device")?,
            order: row.parsed("todo")?,
            release: row.parsed("release")?,
            generation: Generation(row.unsigned("generation")?),
        },
        state: row.parsed("state")?,
        created_at: row.time("created_at")?,
        closed_at: row.time_opt("closed_at")?,
        image: row.parsed("image")?,
        downloaded: ByteCount(row.unsigned("downloaded")?),
        full: ByteCount(row.unsigned("full_size")?),
        way: row.parsed_opt("way")?,
        loading_millis: row.unsigned("loading_millis")?,
        applying_millis: row.unsigned("applying_millis")?,
    })
}

fn read_feedback(row: &Row) -> Result<Feedback, StoreError> {
    Ok(Feedback {
        at: row.time("at")?,
        execution: row.text("execution")?,
        finished: row.text("finished")?,
        messages: row.form("messages")?,
    })
}

impl Store {
    /// Returns an order.
    pub async fn directive(&self, action: ActionId) -> Result<Option<StoredDirective>, StoreError> {
        Statement::new("directives", "SELECT * FROM directives WHERE action = $1")
            .arg(action.0)
            .read_one(self.reader(), read)
            .await
    }

    /// Returns the newest order of a device that is open or being taken back.
    pub async fn open_directive(&self, device: &DeviceId) -> Result<Option<StoredDirective>, StoreError> {
        let text = "SELECT * FROM directives WHERE device = $1 AND state IN ('open', 'cancelling') \
             ORDER BY action DESC LIMIT 1";
        Statement::new("directives", text).arg(device.as_str()).read_one(self.reader(), read).await
    }

    /// Returns the orders of a rollout, the oldest first.
    pub async fn directives_of(&self, rollout: &RolloutId) -> Result<Vec<StoredDirective>, StoreError> {
        Statement::new("directives", "SELECT * FROM directives WHERE rollout = $1 ORDER BY action")
            .arg(rollout.as_str())
            .read(self.reader(), read)
            .await
    }

    /// Returns the orders of a device, the newest first.
    pub async fn directives_of_device(&self, device: &DeviceId) -> Result<Vec<StoredDirective>, StoreError> {
        Statement::new("directives", "SELECT * FROM directives WHERE device = $1 ORDER BY action DESC")
            .arg(device.as_str())
            .read(self.reader(), read)
            .await
    }

    /// Returns the newest order of a device that it has finished and that led to an image; orders to cancel lead to none.
    pub async fn finished_directive(
        &self,
        device: &DeviceId,
        image: &Sha256Digest,
    ) -> Result<Option<StoredDirective>, StoreError> {
        let text = "SELECT * FROM directives WHERE device = $1 AND image = $2 AND state = 'closed' \
             ORDER BY action DESC LIMIT 1";
        Statement::new("directives", text)
            .arg(device.as_str())
            .arg(*image)
            .read_one(self.reader(), read)
            .await
    }

    /// Returns the orders to install a release that was taken back after its rollout had ended, where the device has not
    /// acted on them: no rollout looks after those any more.
    pub async fn orphaned_directives(&self) -> Result<Vec<StoredDirective>, StoreError> {
        let text = "SELECT d.* FROM directives d JOIN releases r ON r.id = d.release \
             JOIN rollouts o ON o.id = d.rollout \
             JOIN members m ON m.rollout = d.rollout AND m.device = d.device AND m.action = d.action \
             WHERE d.state = 'open' AND d.todo = 'install' AND r.state IN ('withdrawn', 'rejected') \
             AND o.state = 'finished' AND m.state IN ('offered', 'updating') ORDER BY d.action";
        Statement::new("directives", text).read(self.reader(), read).await
    }

    /// Reserves so many action ids in a row and returns the first one: all are larger than all before, also over a
    /// restart. What is reserved and not used is skipped.
    pub async fn reserve_action_ids(&self, count: u64) -> Result<ActionId, StoreError> {
        let text = "INSERT INTO sequences (name, last) VALUES ('action', $1) \
             ON CONFLICT (name) DO UPDATE SET last = sequences.last + $1 RETURNING last - $1 + 1 AS n";
        Statement::new("sequences", text).arg(count).number(self.writer()).await.map(ActionId)
    }

    /// Returns how many answers of a device to an order are kept.
    pub async fn feedback_count(&self, action: ActionId) -> Result<u64, StoreError> {
        Statement::new("feedback", "SELECT count(*) AS n FROM feedback WHERE action = $1")
            .arg(action.0)
            .number(self.reader())
            .await
    }

    /// Returns what a device answered to an order, the oldest first.
    pub async fn feedback(&self, action: ActionId) -> Result<Vec<Feedback>, StoreError> {
        Statement::new("feedback", "SELECT * FROM feedback WHERE action = $1 ORDER BY id")
            .arg(action.0)
            .read(self.reader(), read_feedback)
            .await
    }
}
