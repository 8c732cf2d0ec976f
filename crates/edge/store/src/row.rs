//! Rows on their way back into domain values.
//!
//! In: a row whose first column names it. Out: checked values. Refuses: what is not understood, with table, column
//! and row.

use std::fmt::Display;
use std::str::FromStr;

use sqlx::Row as _;
use sqlx::sqlite::{Sqlite, SqliteRow};
use warden_model::{PerMille, Timestamp};

use crate::error::StoreError;
use crate::form::{self, Form};

/// A row of a table; its first column names it in errors.
pub(crate) struct Row {
    table: &'static str,
    row: SqliteRow,
}

impl Row {
    pub(crate) fn new(table: &'static str, row: SqliteRow) -> Self {
        Self { table, row }
    }

    /// Makes the error for a column that cannot be read.
    pub(crate) fn corrupt(&self, column: &'static str, why: impl Display) -> StoreError {
        let row = self.row.try_get_unchecked::<String, _>(0).unwrap_or_else(|_| "?".to_owned());
        StoreError::Corrupt { table: self.table, column, row, why: why.to_string() }
    }

    fn get<'r, T>(&'r self, column: &'static str) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
    {
        self.row.try_get(column).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.get(column)
    }

    pub(crate) fn text_opt(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        self.get(column)
    }

    /// Reads a word, an id, a digest: anything with one text form.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn parsed_opt<T: FromStr<Err: Display>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text = self.text_opt(column)?;
        text.map(|text| text.parse().map_err(|error| self.corrupt(column, error))).transpose()
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.get(column).map(Timestamp)
    }

    pub(crate) fn time_opt(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp))
    }

    pub(crate) fn unsigned<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        let number: i64 = self.get(column)?;
        T::try_from(number).map_err(|_| self.corrupt(column, format!("{number} is out of range")))
    }

    pub(crate) fn unsigned_opt<T: TryFrom<i64>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let number: Option<i64> = self.get(column)?;
        let fit = |number| {
            T::try_from(number).map_err(|_| self.corrupt(column, format!("{number} is out of range")))
        };
        number.map(fit).transpose()
    }

    pub(crate) fn per_mille_opt(&self, column: &'static str) -> Result<Option<PerMille>, StoreError> {
        let share: Option<u64> = self.unsigned_opt(column)?;
        share.map(|share| PerMille::new(share).map_err(|error| self.corrupt(column, error))).transpose()
    }

    /// Reads a JSON column with a version.
    pub(crate) fn form<T: Form>(&self, column: &'static str) -> Result<T, StoreError> {
        form::decode(&self.text(column)?).map_err(|why| self.corrupt(column, why))
    }

    pub(crate) fn form_opt<T: Form>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let text = self.text_opt(column)?;
        text.map(|text| form::decode(&text).map_err(|why| self.corrupt(column, why))).transpose()
    }

    /// Reads a JSON column without a form of ours.
    pub(crate) fn json(&self, column: &'static str) -> Result<serde_json::Value, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(|error| self.corrupt(column, error))
    }
}
