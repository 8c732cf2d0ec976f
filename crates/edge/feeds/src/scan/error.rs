//! Why a scan report was refused.

use std::io;

use thiserror::Error;
use warden_model::ByteCount;

/// Why a scan report was refused. Nothing of a refused report is kept.
#[derive(Debug, Error)]
pub enum ScanError {
    /// The report could not be read.
    #[error("cannot read the report")]
    Read {
        /// Why not.
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("the report is empty")]
    Empty,
    /// It is something else.
    #[error("this is no scan report that is understood here: {found}")]
    Unknown {
        /// What it seems to be.
        found: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// It is not text in UTF-8.
    #[error("the report is text in UTF-16")]
    Encoding,
    /// There is more of something than is allowed.
    #[error("the report has {what}, more than the {max} that are allowed")]
    Over {
        /// What there is too much of, and where.
        what: &'static str,
        /// How much is allowed, with its unit.
        max: String,
    },
    /// It is no well-formed XML.
    #[error("byte {at} is no well-formed XML: {why}")]
    Xml {
        /// How far the report was read, in bytes.
        at: u64,
        /// What is wrong there.
        why: String,
    },
    /// It defines or uses entities of its own, as an attack on XML readers does.
    #[error("byte {at} defines or uses an XML entity of its own")]
    Entity {
        /// How far the report was read, in bytes.
        at: u64,
    },
    /// It ends before its last element does.
    #[error("the report ends in the middle of {inside}")]
    Cut {
        /// What it was in the middle of.
        inside: String,
    },
    /// It is no JSON, or not in the form of the scanner.
    #[error("line {line}, column {column} is no JSON of such a report: {why}")]
    Json {
        /// The line, from 1 on.
        line: usize,
        /// The column, from 1 on.
        column: usize,
        /// What is wrong there.
        why: String,
    },
    /// A record of a CSV does not fit its header.
    #[error("record {record} of the CSV {why}")]
    Csv {
        /// The number of the record, the header being 1.
        record: u64,
        /// What is wrong.
        why: String,
    },
    /// Something that an item must have is not there.
    #[error("item {item} has no {what}")]
    Missing {
        /// The number of the item, from 1 on.
        item: u64,
        /// What is missing.
        what: &'static str,
    },
    /// A value cannot be.
    #[error("the {what} of item {item} is {found:?}, not {expected}")]
    Value {
        /// The number of the item, from 1 on.
        item: u64,
        /// Which value.
        what: &'static str,
        /// What stands there, cut to 64 characters.
        found: String,
        /// What is expected.
        expected: &'static str,
    },
    /// There are several reports in the file.
    #[error("the file holds several reports")]
    Several,
    /// The scanner says that it failed.
    #[error("the scanner answered: {said}")]
    Answer {
        /// What it said.
        said: String,
    },
}

impl ScanError {
    /// Makes the error for a limit in bytes.
    pub(super) fn over_bytes(what: &'static str, max: ByteCount) -> Self {
        Self::Over { what, max: max.to_string() }
    }

    /// Makes the error for a limit in numbers.
    pub(super) fn over(what: &'static str, max: impl std::fmt::Display) -> Self {
        Self::Over { what, max: format!("{max}") }
    }

    /// Makes the error for a value that cannot be.
    pub(super) fn value(item: u64, what: &'static str, found: &str, expected: &'static str) -> Self {
        Self::Value { item, what, found: found.chars().take(64).collect(), expected }
    }

    /// Says what to do about it, in one line.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "check that the path exists and may be read",
            Self::Empty => {
                "export the report again; scanners that write only what they found leave the file empty when they \
                 found nothing, and such a file closes nothing"
            }
            Self::Unknown { hint, .. } => hint,
            Self::Encoding => "save the report as UTF-8: iconv -f UTF-16 -t UTF-8",
            Self::Over { .. } => "split the scan: fewer hosts a report",
            Self::Xml { .. } | Self::Cut { .. } => {
                "export the report again; the scan may still have been running"
            }
            Self::Entity { .. } => "no scanner writes such a thing: do not trust where this file comes from",
            Self::Json { .. } => {
                "export the report again; nuclei writes JSON with -j or -je, others SARIF 2.1.0"
            }
            Self::Csv { .. } => {
                "export the report again as CSV with its header line, and do not edit it with a spreadsheet"
            }
            Self::Missing { .. } | Self::Value { .. } => {
                "export the report again; it does not have the form of its scanner"
            }
            Self::Several => "export one report a file: each has a time and a scope of its own",
            Self::Answer { .. } => "ask the scanner again; its log says more",
        }
    }
}
