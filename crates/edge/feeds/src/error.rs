//! Why an advisory, a file or a path was refused.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use warden_assess::cvss::CvssError;
use warden_model::purl::PurlError;
use warden_model::unit::TimestampError;
use warden_model::{ByteCount, IdError};

/// Why something was refused. `at` is where: a JSON pointer (RFC 6901), with the number of the record before it where a
/// file has several.
#[derive(Debug, Error)]
pub enum FeedError {
    /// A file or folder could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There are too many files below a folder.
    #[error("there are more than {max} files below {}", path.display())]
    TooManyFiles {
        /// The folder.
        path: PathBuf,
        /// How many are allowed.
        max: usize,
    },
    /// A folder lies too deep.
    #[error("{} lies more than {max} folders deep", path.display())]
    TooDeep {
        /// The folder.
        path: PathBuf,
        /// How deep is allowed.
        max: usize,
    },
    /// The file is too large.
    #[error("the file has more than {max}")]
    TooLarge {
        /// How large it may be.
        max: ByteCount,
    },
    /// There is no advisory in the file.
    #[error("the file holds no advisory")]
    Empty,
    /// The bytes are no JSON.
    #[error("line {line}, column {column} is no JSON")]
    NotJson {
        /// The line, from 1 on.
        line: usize,
        /// The column, from 1 on.
        column: usize,
        /// What is wrong there.
        source: serde_json::Error,
    },
    /// There is more of something than is allowed.
    #[error("{at} holds {found} {what}, more than the {max} that are allowed")]
    TooMany {
        /// Where.
        at: String,
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A field that the schema requires is not there.
    #[error("{at} is missing")]
    Missing {
        /// Where.
        at: String,
    },
    /// A field has another JSON type than the schema says.
    #[error("{at} is {found}, not {expected}")]
    Type {
        /// Where.
        at: String,
        /// What the schema says.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// A field has a value that the schema does not know.
    #[error("{at} is {found:?}, not {expected}")]
    Value {
        /// Where.
        at: String,
        /// What the schema says.
        expected: &'static str,
        /// What stands there, cut to 64 characters.
        found: String,
    },
    /// A text is empty or too long.
    #[error("{at} has {bytes} bytes, not 1 to {max}")]
    Length {
        /// Where.
        at: String,
        /// How long it is, in bytes.
        bytes: usize,
        /// How long it may be, in bytes.
        max: usize,
    },
    /// A text cannot be an advisory's id.
    #[error("{at} is no advisory id")]
    Id {
        /// Where.
        at: String,
        /// Why not.
        source: IdError,
    },
    /// A text is no moment.
    #[error("{at} is no moment")]
    Moment {
        /// Where.
        at: String,
        /// Why not.
        source: TimestampError,
    },
    /// A text is no package URL.
    #[error("{at} is no package URL")]
    Purl {
        /// Where.
        at: String,
        /// Why not.
        source: PurlError,
    },
    /// A text is no CVSS vector.
    #[error("{at} is no CVSS vector")]
    Cvss {
        /// Where.
        at: String,
        /// Why not.
        source: CvssError,
    },
}

impl FeedError {
    /// Says what to do about it, in one line.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "check that the path exists and may be read",
            Self::TooManyFiles { .. } | Self::TooDeep { .. } => {
                "import a smaller folder, one ecosystem at a time"
            }
            Self::TooLarge { .. } => "split the file: one advisory a file is the form that osv.dev exports",
            Self::Empty => "export the advisory again; a file holds an object, an array or one object a line",
            Self::NotJson { .. } => {
                "export the advisory again as OSV JSON; YAML, CVE records and CSAF are not read here"
            }
            Self::TooMany { .. } => "split the advisory, or take it from its original publisher",
            Self::Missing { .. } | Self::Type { .. } | Self::Value { .. } | Self::Length { .. } => {
                "compare the field with the OSV schema 1.7: https://ossf.github.io/osv-schema/"
            }
            Self::Id { .. } => "use the publisher's own id, for instance CVE-2022-48174",
            Self::Moment { .. } => "write moments in UTC, for instance 2026-11-22T08:00:00Z",
            Self::Purl { .. } => "write the package as its package URL, for instance pkg:deb/debian/busybox",
            Self::Cvss { .. } => {
                "write the whole vector, for instance CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
            }
        }
    }
}
