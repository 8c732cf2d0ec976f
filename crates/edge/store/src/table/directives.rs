//! Orders to devices, what they cost, and what the devices answered.

use sqlx::SqliteConnection;
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
        .run(on)
        .await
}

pub(crate) async fn write_cost(
    on: &mut SqliteConnection,
    action: ActionId,
    downloaded: ByteCount,
    full: ByteCount,
) -> Result<(), StoreError> {
    let text = "UPDATE directives SET downloaded = $2, full_size = $3 WHERE action = $1";
    let query = Statement::new("directives", text).arg(action.0).arg(downloaded).arg(full);
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
