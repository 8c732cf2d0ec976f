//! Statements: text with `$1` placeholders (understood by SQLite and PostgreSQL alike) and their values.
//!
//! In: text that is made of literals of this crate only, and values from anywhere, which are always bound. Out: rows.
//! Refuses: numbers above what a signed 64-bit column holds.

use std::net::IpAddr;

use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{AssertSqlSafe, Executor};
use warden_model::{ByteCount, Generation, Sha256Digest, Timestamp};

use crate::error::StoreError;
use crate::row::Row;

/// A value on its way into a statement. Absent values keep their type: PostgreSQL wants to know it.
#[derive(Debug, Clone)]
pub(crate) enum Arg {
    Int(Option<i64>),
    Unsigned(u64),
    Text(Option<String>),
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<u64> for Arg {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<ByteCount> for Arg {
    fn from(value: ByteCount) -> Self {
        Self::Unsigned(value.0)
    }
}

impl From<Generation> for Arg {
    fn from(value: Generation) -> Self {
        Self::Unsigned(value.0)
    }
}

impl From<Timestamp> for Arg {
    fn from(value: Timestamp) -> Self {
        Self::Int(Some(value.0))
    }
}

impl From<Option<Timestamp>> for Arg {
    fn from(value: Option<Timestamp>) -> Self {
        Self::Int(value.map(|moment| moment.0))
    }
}

impl From<Option<u16>> for Arg {
    fn from(value: Option<u16>) -> Self {
        Self::Int(value.map(i64::from))
    }
}

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<&str>> for Arg {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

impl From<Option<String>> for Arg {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<Sha256Digest> for Arg {
    fn from(value: Sha256Digest) -> Self {
        Self::Text(Some(value.to_string()))
    }
}

impl From<Option<IpAddr>> for Arg {
    fn from(value: Option<IpAddr>) -> Self {
        Self::Text(value.map(|address| address.to_string()))
    }
}

type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// A statement about one table.
#[derive(Debug)]
pub(crate) struct Statement {
    table: &'static str,
    text: String,
    args: Vec<Arg>,
}

impl Statement {
    /// Starts a statement. The text must be made of literals: values go through [`Statement::bind`].
    pub(crate) fn new(table: &'static str, text: &str) -> Self {
        Self { table, text: text.to_owned(), args: Vec::new() }
    }

    /// Adds text.
    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds a value and returns its placeholder.
    pub(crate) fn bind(&mut self, arg: impl Into<Arg>) -> String {
        self.args.push(arg.into());
        format!("${}", self.args.len())
    }

    /// Adds the value of the next placeholder.
    pub(crate) fn arg(mut self, arg: impl Into<Arg>) -> Self {
        self.args.push(arg.into());
        self
    }

    fn query(self) -> Result<Query, StoreError> {
        let table = self.table;
        let mut query = sqlx::query(AssertSqlSafe(self.text));
        for arg in self.args {
            query = match arg {
                Arg::Int(value) => query.bind(value),
                Arg::Text(value) => query.bind(value),
                Arg::Unsigned(value) => query.bind(i64::try_from(value).map_err(|_| StoreError::Unfit {
                    table,
                    column: "a number",
                    why: format!("{value} is above {}", i64::MAX),
                })?),
            };
        }
        Ok(query)
    }

    /// Runs it and returns how many rows it changed.
    pub(crate) async fn run(self, on: impl Executor<'_, Database = Sqlite>) -> Result<u64, StoreError> {
        let table = self.table;
        let done = self.query()?.execute(on).await.map_err(|source| StoreError::query(table, source))?;
        Ok(done.rows_affected())
    }

    /// Runs it and returns all rows.
    pub(crate) async fn rows(self, on: impl Executor<'_, Database = Sqlite>) -> Result<Vec<Row>, StoreError> {
        let table = self.table;
        let rows = self.query()?.fetch_all(on).await.map_err(|source| StoreError::query(table, source))?;
        Ok(rows.into_iter().map(|row| Row::new(table, row)).collect())
    }

    /// Runs it and returns the first row.
    pub(crate) async fn row(
        self,
        on: impl Executor<'_, Database = Sqlite>,
    ) -> Result<Option<Row>, StoreError> {
        let table = self.table;
        let row =
            self.query()?.fetch_optional(on).await.map_err(|source| StoreError::query(table, source))?;
        Ok(row.map(|row| Row::new(table, row)))
    }

    /// Runs it and reads all rows.
    pub(crate) async fn read<T>(
        self,
        on: impl Executor<'_, Database = Sqlite>,
        reader: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.rows(on).await?.iter().map(reader).collect()
    }

    /// Runs it and reads the first row.
    pub(crate) async fn read_one<T>(
        self,
        on: impl Executor<'_, Database = Sqlite>,
        reader: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.row(on).await?.as_ref().map(reader).transpose()
    }

    /// Runs it and reads the single number that it gives.
    pub(crate) async fn number(self, on: impl Executor<'_, Database = Sqlite>) -> Result<u64, StoreError> {
        self.read_one(on, |row| row.unsigned("n")).await.map(Option::unwrap_or_default)
    }
}

/// Writes a whole row: new when its key is new, else in the place of the row that is there.
#[derive(Debug)]
pub(crate) struct Upsert {
    table: &'static str,
    keys: Vec<(&'static str, Arg)>,
    values: Vec<(&'static str, Arg)>,
}

impl Upsert {
    pub(crate) fn into(table: &'static str) -> Self {
        Self { table, keys: Vec::new(), values: Vec::new() }
    }

    /// Adds a column of the key.
    pub(crate) fn key(mut self, column: &'static str, value: impl Into<Arg>) -> Self {
        self.keys.push((column, value.into()));
        self
    }

    /// Adds a column.
    pub(crate) fn set(mut self, column: &'static str, value: impl Into<Arg>) -> Self {
        self.values.push((column, value.into()));
        self
    }

    fn statement(self) -> Statement {
        let names = |columns: &[(&'static str, Arg)]| {
            columns.iter().map(|(column, _)| *column).collect::<Vec<_>>().join(", ")
        };
        let keys = names(&self.keys);
        let update: Vec<String> =
            self.values.iter().map(|(column, _)| format!("{column} = excluded.{column}")).collect();
        let conflict = if update.is_empty() {
            "NOTHING".to_owned()
        } else {
            format!("UPDATE SET {}", update.join(", "))
        };
        let columns: Vec<(&'static str, Arg)> = self.keys.into_iter().chain(self.values).collect();
        let places: Vec<String> = (1..=columns.len()).map(|place| format!("${place}")).collect();
        Statement {
            table: self.table,
            text: format!(
                "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({keys}) DO {conflict}",
                self.table,
                names(&columns),
                places.join(", ")
            ),
            args: columns.into_iter().map(|(_, arg)| arg).collect(),
        }
    }

    /// Runs it.
    pub(crate) async fn run(self, on: impl Executor<'_, Database = Sqlite>) -> Result<(), StoreError> {
        self.statement().run(on).await.map(|_| ())
    }
}
