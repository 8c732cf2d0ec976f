//! Cases: one weakness on one device.

use sqlx::SqliteConnection;
use warden_model::case::{Case, Decision, Priority, Protection};
use warden_model::{AdvisoryId, DeviceId, Timestamp};
use warden_wire::filter::Filter;
use warden_wire::page::{Cursor, Page, PageError, PageRequest};

use super::advisories::read_finding;
use crate::condition::{self, Target};
use crate::error::StoreError;
use crate::form;
use crate::row::Row;
use crate::sql::{Statement, Upsert};
use crate::store::Store;

/// The name of the list in cursors.
const LIST: &str = "cases";

const RANKED: &str = "ORDER BY c.priority_rank, c.due, c.id";

/// The place of a priority in the ranking: the most urgent first.
fn rank(priority: Priority) -> i64 {
    match priority {
        Priority::Immediate => 0,
        Priority::OutOfCycle => 1,
        Priority::Scheduled => 2,
        Priority::Defer => 3,
    }
}

/// The moment that a case is ranked by: what has no deadline comes last.
fn due(decision: &Decision) -> Timestamp {
    decision.deadline.unwrap_or(Timestamp(i64::MAX))
}

pub(crate) async fn write(on: &mut SqliteConnection, case: &Case) -> Result<(), StoreError> {
    Upsert::into("cases")
        .key("id", case.id.as_str())
        .set("device", case.device.as_str())
        .set("image", case.finding.image)
        .set("product", case.finding.product.as_str())
        .set("advisory", case.finding.advisory.as_str())
        .set("component", case.finding.component.to_string())
        .set("path", case.finding.path.as_str())
        .set("reason", case.finding.reason.as_str())
        .set("fixed_in", case.finding.fixed_in.as_deref())
        .set("priority", case.decision.priority.word())
        .set("priority_rank", rank(case.decision.priority))
        .set("deadline", case.decision.deadline)
        .set("due", due(&case.decision))
        .set("rule", case.decision.rule.as_str())
        .set("factors", form::encode("cases", "factors", &case.decision.factors)?)
        .set("opened_at", case.opened_at)
        .set("protection", case.protected.map(|(how, _)| how.word()))
        .set("protected_at", case.protected.map(|(_, since)| since))
        .run(on)
        .await
}

fn protection(row: &Row) -> Result<Option<(Protection, Timestamp)>, StoreError> {
    match (row.parsed_opt("protection")?, row.time_opt("protected_at")?) {
        (Some(how), Some(since)) => Ok(Some((how, since))),
        (None, None) => Ok(None),
        _ => Err(row.corrupt("protection", "a protection without a moment, or the reverse")),
    }
}

fn read(row: &Row) -> Result<Case, StoreError> {
    Ok(Case {
        id: row.parsed("id")?,
        device: row.parsed("device")?,
        finding: read_finding(row)?,
        decision: Decision {
            priority: row.parsed("priority")?,
            deadline: row.time_opt("deadline")?,
            rule: row.text("rule")?,
            factors: row.form("factors")?,
        },
        opened_at: row.time("opened_at")?,
        protected: protection(row)?,
    })
}

fn number(text: &str) -> Result<i64, PageError> {
    text.parse().map_err(|_| PageError::Cursor)
}

impl Store {
    /// Returns a page of the cases that a filter holds for: by priority, then by deadline, then by id.
    pub async fn cases(&self, filter: &Filter, page: &PageRequest) -> Result<Page<Case>, StoreError> {
        let text = "SELECT c.* FROM cases c JOIN devices d ON d.id = c.device \
             LEFT JOIN heartbeats h ON h.device = d.id WHERE ";
        let mut query = Statement::new("cases", text);
        condition::push(&mut query, filter, Target::Cases);
        if let Some(cursor) = &page.after {
            let [rank, due, id] = cursor.key::<3>(LIST)?;
            let (rank, due) = (query.bind(number(rank)?), query.bind(number(due)?));
            let id = query.bind(id.as_str());
            query.push(&format!(" AND (c.priority_rank, c.due, c.id) > ({rank}, {due}, {id})"));
        }
        let surplus = query.bind(i64::from(page.limit()) + 1);
        query.push(&format!(" {RANKED} LIMIT {surplus}"));
        let rows = query.read(self.reader(), read).await?;
        Ok(Page::cut(rows, page, |case| {
            let rank = rank(case.decision.priority).to_string();
            Cursor::new(LIST, [rank, due(&case.decision).0.to_string(), case.id.to_string()])
        }))
    }

    /// Returns how many cases a filter holds for.
    pub async fn case_count(&self, filter: &Filter) -> Result<u64, StoreError> {
        let text = "SELECT count(*) AS n FROM cases c JOIN devices d ON d.id = c.device \
             LEFT JOIN heartbeats h ON h.device = d.id WHERE ";
        let mut query = Statement::new("cases", text);
        condition::push(&mut query, filter, Target::Cases);
        query.number(self.reader()).await
    }

    async fn cases_where(&self, condition: &str, value: Option<&str>) -> Result<Vec<Case>, StoreError> {
        let query = Statement::new("cases", &format!("SELECT c.* FROM cases c WHERE {condition} {RANKED}"));
        let query = match value {
            Some(value) => query.arg(value),
            None => query,
        };
        query.read(self.reader(), read).await
    }

    /// Returns all cases, the most urgent first.
    pub async fn all_cases(&self) -> Result<Vec<Case>, StoreError> {
        self.cases_where("1 = 1", None).await
    }

    /// Returns the cases of a device, the most urgent first.
    pub async fn cases_of_device(&self, device: &DeviceId) -> Result<Vec<Case>, StoreError> {
        self.cases_where("c.device = $1", Some(device.as_str())).await
    }

    /// Returns the cases of an advisory, the most urgent first.
    pub async fn cases_of_advisory(&self, advisory: &AdvisoryId) -> Result<Vec<Case>, StoreError> {
        self.cases_where("c.advisory = $1", Some(advisory.as_str())).await
    }

    /// Returns the cases of devices that are exposed, the most urgent first.
    pub async fn open_cases(&self) -> Result<Vec<Case>, StoreError> {
        self.cases_where("c.protection IS NULL", None).await
    }
}
