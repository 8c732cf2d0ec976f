//! A JSON value that knows where it stands.
//!
//! In: a parsed JSON value. Out: its fields and elements, checked against the type that the caller expects. Refuses: other
//! types, with the JSON pointer (RFC 6901) of the place. `null` counts as absent, as the OSV schema allows.

use serde_json::Value;
use warden_model::{PerMille, Timestamp};

use crate::FeedError;

/// A value, and the JSON pointer of its place.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    value: &'a Value,
    at: String,
}

impl<'a> Node<'a> {
    /// Makes the node of a whole record; `at` is empty, or says which record of the file it is.
    pub(crate) fn new(value: &'a Value, at: String) -> Self {
        Self { value, at }
    }

    /// Returns the place in words.
    pub(crate) fn place(&self) -> String {
        match self.at.trim_end_matches(": ") {
            "" => "the advisory".to_owned(),
            at => at.to_owned(),
        }
    }

    fn wrong_type(&self, expected: &'static str) -> FeedError {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        FeedError::Type { at: self.place(), expected, found }
    }

    /// Returns a field of an object; none when it is absent or null.
    pub(crate) fn field(&self, name: &str) -> Result<Option<Node<'a>>, FeedError> {
        let object = self.value.as_object().ok_or_else(|| self.wrong_type("an object"))?;
        let found = object.get(name).filter(|value| !value.is_null());
        Ok(found.map(|value| Node { value, at: self.below(name) }))
    }

    /// Returns a field that must be there.
    pub(crate) fn need(&self, name: &str) -> Result<Node<'a>, FeedError> {
        self.field(name)?.ok_or_else(|| FeedError::Missing { at: self.below(name) })
    }

    fn below(&self, name: &str) -> String {
        format!("{}/{name}", self.at)
    }

    /// Returns the elements of a list field; none of them when it is absent.
    pub(crate) fn list(
        &self,
        name: &str,
        what: &'static str,
        max: usize,
    ) -> Result<Vec<Node<'a>>, FeedError> {
        let Some(list) = self.field(name)? else { return Ok(Vec::new()) };
        let values = list.value.as_array().ok_or_else(|| list.wrong_type("a list"))?;
        if values.len() > max {
            return Err(FeedError::TooMany { at: list.at, what, found: values.len(), max });
        }
        let element = |(index, value)| Node { value, at: list.below(&usize::to_string(&index)) };
        Ok(values.iter().enumerate().map(element).collect())
    }

    /// Returns the text.
    pub(crate) fn text(&self) -> Result<&'a str, FeedError> {
        self.value.as_str().ok_or_else(|| self.wrong_type("a text"))
    }

    /// Returns the text, which has 1 to `max` bytes.
    pub(crate) fn short_text(&self, max: usize) -> Result<&'a str, FeedError> {
        let text = self.text()?;
        if (1..=max).contains(&text.len()) {
            Ok(text)
        } else {
            Err(FeedError::Length { at: self.place(), bytes: text.len(), max })
        }
    }

    /// Returns true or false.
    pub(crate) fn truth(&self) -> Result<bool, FeedError> {
        self.value.as_bool().ok_or_else(|| self.wrong_type("true or false"))
    }

    /// Returns a number from 0 to 1, in thousandths, rounded down.
    pub(crate) fn probability(&self) -> Result<PerMille, FeedError> {
        let number = self.value.as_f64().ok_or_else(|| self.wrong_type("a number"))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "cut to 0..=1000 just before"
        )]
        let thousandths = (number * 1000.0).clamp(0.0, 1000.0) as u64;
        match PerMille::new(thousandths) {
            Ok(share) if (0.0..=1.0).contains(&number) => Ok(share),
            _ => Err(FeedError::Value { at: self.place(), expected: "0 to 1", found: number.to_string() }),
        }
    }

    /// Returns the moment that the text names.
    pub(crate) fn moment(&self) -> Result<Timestamp, FeedError> {
        self.text()?.parse().map_err(|source| FeedError::Moment { at: self.place(), source })
    }

    /// Makes the error for a text that is none of the known words.
    pub(crate) fn unknown(&self, expected: &'static str) -> FeedError {
        let found = self.value.as_str().unwrap_or_default().chars().take(64).collect();
        FeedError::Value { at: self.place(), expected, found }
    }
}
