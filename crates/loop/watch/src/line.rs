//! Lines: what every reader refuses, and what it counts.
//!
//! In: a line. Out: whether it is worth parsing; counts. Refuses: lines above the limit.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::observed::Observed;

/// Longest line that is parsed, in bytes. Real lines have 130 to 560 bytes, statistics up to 20 KiB, and an alert with
/// a 64 KiB payload in base64 and as text about 160 KiB; what is longer is no log line of ours.
pub const LINE_BYTES_MAX: usize = 256 * 1024;

/// Most kinds of records that are counted by name; the rest is counted together. Suricata and Zeek know about 60 each.
const KINDS_MAX: usize = 256;

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineError {
    /// The line is longer than [`LINE_BYTES_MAX`].
    #[error("the line has {bytes} bytes, more than the {LINE_BYTES_MAX} that are read")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The line is not the JSON that the sensor documents.
    #[error("column {column}: {what}")]
    Json {
        /// The column, in bytes from 1.
        column: usize,
        /// What the JSON reader says.
        what: String,
    },
    /// A field is missing or has a value that it cannot have.
    #[error("field {field} is missing or wrong: {value:?}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value, cut to 64 characters.
        value: String,
    },
    /// A data line came before any `#fields` line: the columns are not known.
    #[error("a data line before any #fields line")]
    NoHeader,
    /// The line has not as many columns as `#fields` names.
    #[error("the line has {found} columns, #fields names {expected}")]
    Columns {
        /// How many `#fields` names.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

impl LineError {
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        Self::Json { column: error.column(), what: error.to_string().chars().take(200).collect() }
    }

    pub(crate) fn field(field: &'static str, value: &str) -> Self {
        Self::Field { field, value: value.chars().take(64).collect() }
    }
}

/// A line that is worth parsing, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// Nothing is on it; real files hold such lines.
    Blank,
    /// A comment or a header of a Zeek log, or a note before a log.
    Header(&'a str),
    /// A JSON object.
    Json(&'a str),
    /// A line of columns.
    Columns(&'a str),
}

impl<'a> Line<'a> {
    /// Looks at a line's first character only; refuses lines that are too long.
    pub fn look(line: &'a str) -> Result<Self, LineError> {
        if line.len() > LINE_BYTES_MAX {
            return Err(LineError::TooLong { bytes: line.len() });
        }
        let line = line.trim_end_matches(['\n', '\r']);
        let start = line.trim_start();
        Ok(match start.bytes().next() {
            None => Self::Blank,
            Some(b'#') => Self::Header(start),
            Some(b'{') => Self::Json(start),
            Some(_) => Self::Columns(line),
        })
    }
}

/// How many lines of which kind were read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// All lines.
    pub lines: u64,
    /// Lines without a record: blank ones and headers.
    pub silent: u64,
    /// Records by kind, for instance `flow`, `names`, `rule`, `stats`.
    pub kinds: BTreeMap<String, u64>,
    /// Lines that could not be read.
    pub malformed: u64,
    /// The number of the last malformed line, from 1, and what was wrong with it.
    pub last_malformed: Option<(u64, LineError)>,
}

impl Tally {
    /// Counts one line and hands on its record, if it has one: an error is counted and never stops the stream.
    pub fn count(&mut self, read: Result<Option<Observed>, LineError>) -> Option<Observed> {
        self.lines += 1;
        match read {
            Ok(Some(observed)) => {
                let kind = if self.kinds.len() < KINDS_MAX || self.kinds.contains_key(observed.kind()) {
                    observed.kind()
                } else {
                    "others"
                };
                *self.kinds.entry(kind.to_owned()).or_default() += 1;
                Some(observed)
            }
            Ok(None) => {
                self.silent += 1;
                None
            }
            Err(error) => {
                self.malformed += 1;
                self.last_malformed = Some((self.lines, error));
                None
            }
        }
    }
}
