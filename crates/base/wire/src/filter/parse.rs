//! Reads the text of a filter.
//!
//! In: text from outside. Out: checked terms. Refuses: what [`FilterError`] names.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::iter::Peekable;
use std::str::{Chars, FromStr};

use warden_model::case::Priority;
use warden_model::device::{Criticality, DataSensitivity, UpdateState};
use warden_model::firmware::Version;
use warden_model::{AdvisoryId, DeviceId, HardwareId, ProductId, ReleaseId, RolloutId, Seconds, SegmentId};

use super::{Condition, FILTER_BYTES_MAX, FILTER_TERMS_MAX, FilterError, Key, Sense, Term, Than, YesNo};

/// The units of an age, the longest first.
pub(super) const AGE_UNITS: [(char, u64); 5] =
    [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// What is wrong with a term, and what would be understood.
type Why = String;

/// Reads all terms.
pub(super) fn terms(text: &str) -> Result<Vec<Term>, FilterError> {
    if text.len() > FILTER_BYTES_MAX {
        return Err(FilterError::TooLong { bytes: text.len() });
    }
    let mut scanner = Scanner { rest: text.chars().peekable(), read: 0 };
    let mut terms = Vec::new();
    loop {
        scanner.skip_spaces();
        if scanner.peek().is_none() {
            return Ok(terms);
        }
        if terms.len() == FILTER_TERMS_MAX {
            return Err(FilterError::TooManyTerms);
        }
        let start = scanner.read;
        let term = term(&mut scanner).map_err(|why| FilterError::Term {
            term: text.chars().skip(start).take_while(|c| !c.is_whitespace()).take(64).collect(),
            position: start + 1,
            why,
        })?;
        terms.push(term);
    }
}

struct Scanner<'t> {
    rest: Peekable<Chars<'t>>,
    /// Characters read so far.
    read: usize,
}

impl Scanner<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.read += usize::from(next.is_some());
        next
    }

    /// Takes the next character when it is this one, and says whether it did.
    fn took(&mut self, wanted: char) -> bool {
        let is_next = self.peek() == Some(wanted);
        if is_next {
            self.next();
        }
        is_next
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    fn is_at_end_of_term(&mut self) -> bool {
        self.peek().is_none_or(char::is_whitespace)
    }

    /// Takes characters up to a space or one of `ends`.
    fn bare(&mut self, ends: &[char]) -> String {
        let mut text = String::new();
        while let Some(c) = self.peek().filter(|c| !c.is_whitespace() && !ends.contains(c)) {
            text.push(c);
            self.next();
        }
        text
    }

    /// Takes the rest of a quoted text whose first quote is behind us.
    fn quoted(&mut self) -> Result<String, Why> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') if text.is_empty() => return Err("there is nothing between the quotes".to_owned()),
                Some('"') => return Ok(text),
                Some('\\') => match self.next() {
                    Some(c @ ('"' | '\\')) => text.push(c),
                    _ => {
                        return Err(
                            "inside quotes, a backslash stands before a quote or a backslash".to_owned()
                        );
                    }
                },
                Some(c) => text.push(c),
                None => return Err("a quote is not closed".to_owned()),
            }
        }
    }
}

fn term(scanner: &mut Scanner<'_>) -> Result<Term, Why> {
    let sense = if scanner.took('-') { Sense::IsNot } else { Sense::Is };
    let condition = if scanner.took('"') {
        Condition::Text(scanner.quoted()?)
    } else {
        let word = scanner.bare(&[':', '"']);
        if scanner.took(':') { keyed(key(&word)?, scanner)? } else { free_text(word)? }
    };
    if scanner.is_at_end_of_term() {
        Ok(Term { sense, condition })
    } else {
        Err("a quote stands at the start and at the end of a value; a space follows".to_owned())
    }
}

fn free_text(word: String) -> Result<Condition, Why> {
    if word.is_empty() {
        return Err("a term is a word, or key:value".to_owned());
    }
    if word.contains([',', '\\']) {
        // It would have to be quoted in the canonical form: one spelling only.
        return Err("text with a comma or a backslash stands in quotes".to_owned());
    }
    Ok(Condition::Text(word))
}

fn key(word: &str) -> Result<Key, Why> {
    if word == "advisory" {
        return Ok(Key::Cve);
    }
    word.parse().map_err(|error| format!("{error}; text with a colon stands in quotes"))
}

fn keyed(key: Key, scanner: &mut Scanner<'_>) -> Result<Condition, Why> {
    let than = match scanner.peek() {
        Some('<') => Some(Than::Below),
        Some('>') => Some(Than::Above),
        _ => None,
    };
    if than.is_some() {
        scanner.next();
    }
    let mut values = BTreeSet::new();
    loop {
        values.insert(value(key, scanner)?);
        if !scanner.took(',') {
            break;
        }
    }
    match (key, than) {
        (Key::Seen, Some(than)) => Ok(Condition::Seen { than, age: age(&single(key, values)?)? }),
        (Key::Seen, None) => Err("an age is compared: seen:>7d or seen:<5m".to_owned()),
        (Key::Criticality | Key::Sensitivity | Key::Priority, Some(than)) => {
            Ok(Condition::Compared { key, than, word: single(key, values)? })
        }
        (_, Some(_)) => Err(format!(
            "{key} has no order; {}, {}, {} and {} have",
            Key::Criticality,
            Key::Sensitivity,
            Key::Priority,
            Key::Seen
        )),
        (_, None) => Ok(Condition::AnyOf { key, values }),
    }
}

fn single(key: Key, values: BTreeSet<String>) -> Result<String, Why> {
    let mut values = values.into_iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(format!("{key} is compared with one value")),
    }
}

fn value(key: Key, scanner: &mut Scanner<'_>) -> Result<String, Why> {
    let text = if scanner.took('"') { scanner.quoted()? } else { scanner.bare(&[',', '"', '\\']) };
    if text.is_empty() {
        return Err(match example(key) {
            Some(known) => format!("{key}: is followed by a value, one of: {known}"),
            None => format!("{key}: is followed by a value"),
        });
    }
    match key {
        Key::Id => canonical::<DeviceId, _>(&text),
        Key::Product => canonical::<ProductId, _>(&text),
        Key::Hardware => canonical::<HardwareId, _>(&text),
        Key::Criticality => canonical::<Criticality, _>(&text),
        Key::Sensitivity => canonical::<DataSensitivity, _>(&text),
        Key::Segment => canonical::<SegmentId, _>(&text),
        Key::Version => canonical::<Version, _>(&text),
        Key::State => canonical::<UpdateState, _>(&text),
        Key::Cve => canonical::<AdvisoryId, _>(&text),
        Key::Priority => canonical::<Priority, _>(&text),
        Key::Seen => age(&text).map(|_| text),
        Key::Shielded | Key::Protected => canonical::<YesNo, _>(&text),
        Key::Release => canonical::<ReleaseId, _>(&text),
        Key::Rollout => canonical::<RolloutId, _>(&text),
    }
}

fn canonical<T: FromStr<Err = E> + Display, E: Display>(text: &str) -> Result<String, Why> {
    text.parse::<T>().map(|value| value.to_string()).map_err(|error| error.to_string())
}

/// Returns the values that a key takes, where there is a list of them.
fn example(key: Key) -> Option<String> {
    fn list<T: Display>(all: &[T]) -> String {
        all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
    match key {
        Key::Criticality => Some(list(Criticality::ALL)),
        Key::Sensitivity => Some(list(DataSensitivity::ALL)),
        Key::State => Some(list(UpdateState::ALL)),
        Key::Priority => Some(list(Priority::ALL)),
        Key::Shielded | Key::Protected => Some(list(YesNo::ALL)),
        Key::Seen => Some(">7d, <5m".to_owned()),
        Key::Id
        | Key::Product
        | Key::Hardware
        | Key::Segment
        | Key::Version
        | Key::Cve
        | Key::Release
        | Key::Rollout => None,
    }
}

/// Reads an age: digits and a unit.
fn age(text: &str) -> Result<Seconds, Why> {
    let why = || "an age is a number and one of s, m, h, d, w, for instance 7d".to_owned();
    let mut rest = text.chars();
    let unit = rest.next_back().ok_or_else(why)?;
    let (_, seconds) = AGE_UNITS.iter().find(|(known, _)| *known == unit).ok_or_else(why)?;
    let digits = rest.as_str();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(why());
    }
    let number: u64 = digits.parse().map_err(|_| why())?;
    // Above the milliseconds that a moment can hold, nothing could be older.
    let age = number.checked_mul(*seconds).filter(|age| *age <= u64::MAX / 1_000_000).ok_or_else(why)?;
    Ok(Seconds(age))
}
