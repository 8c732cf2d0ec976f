//! The one filter language of API, command line and console.
//!
//! In: text such as `product:cam criticality:>standard -shielded:yes seen:>7d "front door"`, and `now`. Out: a
//! [`Filter`], checked word by word; its text form is canonical. Refuses: unknown keys and values, with the term, its
//! position, and what would be understood; texts above 1,024 bytes and filters above 32 terms.
//!
//! Terms are separated by spaces and all must hold. `key:a,b` holds for any of the values, `-term` holds where the term
//! does not, quotes keep a value together (`\"` and `\\` inside), a word without a key is looked for in ids and names.
//! `seen:>7d` means last seen longer than seven days ago; `criticality:>standard` means more critical than standard.

mod parse;

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use thiserror::Error;
use warden_model::{Seconds, Timestamp, words};

/// Longest filter text, in bytes: it must fit into a URL with everything else, and nobody types more.
pub const FILTER_BYTES_MAX: usize = 1024;

/// Most terms: each may cost a condition in the database, and a person loses track long before.
pub const FILTER_TERMS_MAX: usize = 32;

words! {
    /// What a term asks about.
    pub enum Key: "filter key" {
        /// The id of the row.
        Id = "id",
        /// The product.
        Product = "product",
        /// The board.
        Hardware = "hardware",
        /// What breaks when the device breaks.
        Criticality = "criticality",
        /// What leaks when the device leaks.
        Sensitivity = "sensitivity",
        /// The network segment.
        Segment = "segment",
        /// The version that the device last confirmed.
        Version = "version",
        /// Where the device stands with its updates.
        State = "state",
        /// The advisory, by its id or one of its aliases; `advisory` is understood too.
        Cve = "cve",
        /// How soon a case must be closed.
        Priority = "priority",
        /// How long ago the device was last heard of.
        Seen = "seen",
        /// Whether a verified shield stands around the device.
        Shielded = "shielded",
        /// Whether the case is closed: for a device, whether none of its cases that the other terms name is open.
        Protected = "protected",
        /// The release whose image the device last confirmed.
        Release = "release",
        /// The rollout that the device belongs to.
        Rollout = "rollout",
    }
}

words! {
    /// The answer to a question with two answers.
    pub enum YesNo: "answer" {
        /// It is so.
        Yes = "yes",
        /// It is not so.
        No = "no",
    }
}

/// Whether a term must hold or must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sense {
    /// It must hold.
    Is,
    /// It must not hold: the term starts with `-`.
    IsNot,
}

/// The direction of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Than {
    /// `<`: younger, less severe, less urgent.
    Below,
    /// `>`: older, more severe, more urgent.
    Above,
}

/// What a term says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The text stands in the row's id or name, in whatever case; never empty.
    Text(String),
    /// The value of the key is one of these; never empty. Words of the model stand in their canonical spelling.
    AnyOf {
        /// The key; never [`Key::Seen`].
        key: Key,
        /// The values, sorted.
        values: BTreeSet<String>,
    },
    /// The value of the key is more or less severe, or urgent, than this word.
    Compared {
        /// The key: criticality, sensitivity or priority.
        key: Key,
        /// The direction.
        than: Than,
        /// The word to compare with.
        word: String,
    },
    /// The device was last heard of longer ago (above) or less long ago (below).
    Seen {
        /// The direction.
        than: Than,
        /// How long ago.
        age: Seconds,
    },
}

/// One term of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Whether it must hold or must not.
    pub sense: Sense,
    /// What it says.
    pub condition: Condition,
}

/// A filter: all its terms must hold. Without terms it holds for everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<Term>,
    now: Timestamp,
}

/// A text that is no filter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterError {
    /// The text is too long.
    #[error("the filter has {bytes} bytes, more than the {FILTER_BYTES_MAX} that are read")]
    TooLong {
        /// How long it is, in bytes.
        bytes: usize,
    },
    /// There are too many terms.
    #[error("the filter has more than {FILTER_TERMS_MAX} terms")]
    TooManyTerms,
    /// A term is not understood.
    #[error("{term:?} (character {position} of the filter) is not understood: {why}")]
    Term {
        /// The term, cut to 64 characters.
        term: String,
        /// Where it starts, in characters from 1.
        position: usize,
        /// What is wrong, and what would be understood.
        why: String,
    },
}

impl Filter {
    /// Reads a filter; ages are counted back from `now`.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, FilterError> {
        Ok(Self { terms: parse::terms(text)?, now })
    }

    /// Makes the filter that holds for everything.
    pub const fn everything() -> Self {
        Self { terms: Vec::new(), now: Timestamp(0) }
    }

    /// Returns the terms, in the order in which they were written.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Returns the moment from which ages are counted back.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns the moment that lies `age` before the filter's now.
    pub fn moment_before(&self, age: Seconds) -> Timestamp {
        let millis = i64::try_from(age.0.saturating_mul(1000)).unwrap_or(i64::MAX);
        Timestamp(self.now.0.saturating_sub(millis))
    }

    /// Says whether it holds for everything.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }
}

impl fmt::Display for Than {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char(match self {
            Self::Below => '<',
            Self::Above => '>',
        })
    }
}

/// Characters that end a value or mean something at its start.
fn needs_quotes(text: &str) -> bool {
    text.is_empty()
        || text.starts_with(['<', '>', '-'])
        || text.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\\' | ','))
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}

fn write_value(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if needs_quotes(text) { write_quoted(f, text) } else { f.write_str(text) }
}

fn write_age(f: &mut fmt::Formatter<'_>, age: Seconds) -> fmt::Result {
    let fits = |unit: &&(char, u64)| age.0 != 0 && age.0.is_multiple_of(unit.1);
    match parse::AGE_UNITS.iter().find(fits) {
        Some((unit, seconds)) => write!(f, "{}{unit}", age.0 / seconds),
        None => write!(f, "{}s", age.0),
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sense == Sense::IsNot {
            f.write_char('-')?;
        }
        match &self.condition {
            Condition::Text(text) if text.contains(':') => write_quoted(f, text),
            Condition::Text(text) => write_value(f, text),
            Condition::AnyOf { key, values } => {
                for (index, value) in values.iter().enumerate() {
                    if index == 0 {
                        write!(f, "{key}:")?;
                    } else {
                        f.write_char(',')?;
                    }
                    write_value(f, value)?;
                }
                Ok(())
            }
            Condition::Compared { key, than, word } => write!(f, "{key}:{than}{word}"),
            Condition::Seen { than, age } => {
                write!(f, "{}:{than}", Key::Seen)?;
                write_age(f, *age)
            }
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            if index > 0 {
                f.write_char(' ')?;
            }
            write!(f, "{term}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
