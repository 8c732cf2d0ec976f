//! Why an analysis ends early.
//!
//! In: what readers and walkers report. Out: [`AnalyseError`] for callers, [`Halt`] inside. Refuses nothing.

use std::io;

use thiserror::Error;

use crate::budget::Budget;
use crate::limits::LimitReached;
use crate::report::{Analysis, Why};

/// The formats that are understood, as people read them.
pub(crate) const UNDERSTOOD: &str = "file systems (squashfs 1.0 to 4.0, ext2/3/4, UBIFS, JFFS2, cramfs and others), archives (tar, cpio, zip, 7z, ar and others), vendor and boot images (uImage, FIT, TRX, Android and others), and compressed streams around them; the reference lists them all";

/// An image that was not analysed, or not to its end.
#[derive(Debug, Error)]
pub enum AnalyseError {
    /// The image has no known format.
    #[error("the image is {looks_like}; understood are {UNDERSTOOD}")]
    UnknownFormat {
        /// What it looks like.
        looks_like: String,
    },
    /// The image is damaged or ends early.
    #[error("the image is damaged: {format}: {what}; until then {} were read", partial.looked_at)]
    Damaged {
        /// The format of the layer that is damaged.
        format: String,
        /// What is wrong with it.
        what: String,
        /// What was found until then. Empty but for `looked_at` when the image was only visited.
        partial: Box<Analysis>,
    },
    /// The image reached a limit.
    #[error("the image was left off at a limit; until then {} were read", partial.looked_at)]
    Limit {
        /// The limit.
        #[source]
        source: LimitReached,
        /// What was found until then. Empty but for `looked_at` when the image was only visited.
        partial: Box<Analysis>,
    },
    /// A visited image holds an entry that must not or cannot be unpacked. An analysis lists it instead.
    #[error("the image holds {path:?}, which is not unpacked: {why}")]
    Refused {
        /// The path as written, escaped, at most 200 characters.
        path: String,
        /// Why.
        why: Why,
    },
    /// The visitor failed.
    #[error("handling {path:?} of the image")]
    Visitor {
        /// The path of the entry.
        path: String,
        /// What the visitor said.
        #[source]
        source: io::Error,
    },
    /// The size of the image cannot be found out.
    #[error("finding out the size of the image")]
    Size {
        /// What the reader said.
        #[source]
        source: io::Error,
    },
}

/// Why a walk ends early, inside this crate.
#[derive(Debug)]
pub(crate) enum Halt {
    Unknown {
        looks_like: String,
    },
    Damaged {
        format: String,
        what: String,
    },
    Limit(LimitReached),
    Refused {
        path: String,
        why: Why,
    },
    Visitor {
        path: String,
        source: io::Error,
    },
    /// A read failed; [`Halt::settle`] tells why.
    Read(io::Error),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// Damage in the format at hand.
pub(crate) fn bad(what: impl Into<String>) -> Halt {
    Halt::Damaged { format: String::new(), what: what.into() }
}

/// The format at hand ends early.
pub(crate) fn early() -> Halt {
    bad("it ends early")
}

impl From<LimitReached> for Halt {
    fn from(limit: LimitReached) -> Self {
        Self::Limit(limit)
    }
}

/// Makes a library's words fit to be shown: they may quote the image, and a hostile name could look like a line of ours.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(200).collect()
}

/// Says whether an error means that bytes are missing. The `tar` crate says so in words only.
fn ends_early(error: &io::Error) -> bool {
    let text = error.to_string();
    error.kind() == io::ErrorKind::UnexpectedEof
        || ["unexpected EOF", "failed to read entire block"].iter().any(|words| text.contains(words))
}

impl Halt {
    pub(crate) fn damaged(format: &str, what: impl Into<String>) -> Self {
        Self::Damaged { format: format.to_owned(), what: what.into() }
    }

    /// Tells limits from damage, even where a library has wrapped our own reader's error.
    pub(crate) fn from_read(format: &str, budget: &Budget, error: &io::Error) -> Self {
        match budget.take_reached() {
            Some(limit) => Self::Limit(limit),
            None if ends_early(error) => Self::damaged(format, "it ends early"),
            None => Self::damaged(format, one_line(&error.to_string())),
        }
    }

    /// Wraps it for a reader; what is wrapped is told apart again by [`Halt::from_read`].
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Read(error) | Self::Visitor { source: error, .. } => error,
            Self::Limit(limit) => io::Error::other(limit),
            Self::Damaged { what, .. } => io::Error::new(io::ErrorKind::InvalidData, what),
            Self::Unknown { .. } | Self::Refused { .. } => io::ErrorKind::InvalidData.into(),
        }
    }

    /// Says of which format damage is, and what a failed read means.
    pub(crate) fn settle(self, label: &str, budget: &Budget) -> Self {
        match self {
            Self::Read(error) => Self::from_read(label, budget, &error),
            Self::Damaged { format, what } if format.is_empty() => Self::damaged(label, one_line(&what)),
            halt => halt,
        }
    }

    pub(crate) fn into_error(self, partial: Analysis) -> AnalyseError {
        let partial = Box::new(partial);
        match self {
            Self::Unknown { looks_like } => AnalyseError::UnknownFormat { looks_like },
            Self::Read(error) => AnalyseError::Damaged {
                format: "the image".to_owned(),
                what: one_line(&error.to_string()),
                partial,
            },
            Self::Damaged { format, what } => AnalyseError::Damaged { format, what, partial },
            Self::Limit(source) => AnalyseError::Limit { source, partial },
            Self::Refused { path, why } => AnalyseError::Refused { path, why },
            Self::Visitor { path, source } => AnalyseError::Visitor { path, source },
        }
    }
}
