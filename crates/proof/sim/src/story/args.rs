//! The words of a command.
//!
//! In: a line. Out: words, and values by their key. Refuses: quotes that do not end, values that do not parse, words that
//! nobody asked for.

use std::str::FromStr;

use thiserror::Error;
use warden_model::{ByteCount, DeviceId, PerMille, Seconds};
use warden_rollout::parse_span;

use super::Refusal;

/// Most devices that a range may name: a story is for people.
const RANGE_MAX: usize = 100;

/// Words that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArgsError {
    /// A quote does not end.
    #[error("a quote does not end")]
    Quote,
    /// A word is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A word is there that nobody asked for.
    #[error("{0:?} is not understood here")]
    TooMuch(String),
    /// A value is no such thing.
    #[error("{text:?} is no {what}: {why}")]
    Value {
        /// What it should be.
        what: &'static str,
        /// The text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The words of a command, taken one by one.
#[derive(Debug, Clone)]
pub struct Args {
    words: Vec<String>,
}

impl Args {
    /// Splits a line into words.
    pub fn read(line: &str) -> Result<Self, ArgsError> {
        let mut words = Vec::new();
        for (index, part) in line.split('"').enumerate() {
            // Every second part stands in quotes.
            if index % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        if line.matches('"').count() % 2 == 1 { Err(ArgsError::Quote) } else { Ok(Self { words }) }
    }

    /// Takes the next word.
    pub fn word(&mut self, what: &'static str) -> Result<String, ArgsError> {
        if self.words.is_empty() { Err(ArgsError::Missing(what)) } else { Ok(self.words.remove(0)) }
    }

    /// Takes the next word, if it is this one.
    pub fn takes(&mut self, word: &str) -> Option<()> {
        (self.words.first()? == word).then(|| self.words.remove(0)).map(drop)
    }

    /// Takes the next word as a value.
    pub fn next<T>(&mut self, what: &'static str) -> Result<T, ArgsError>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        parse(what, &self.word(what)?)
    }

    /// Takes the word after a key.
    pub fn after(&mut self, key: &'static str) -> Result<Option<String>, ArgsError> {
        let Some(at) = self.words.iter().position(|word| word == key) else { return Ok(None) };
        self.words.remove(at);
        if at < self.words.len() { Ok(Some(self.words.remove(at))) } else { Err(ArgsError::Missing(key)) }
    }

    /// Takes the value after a key.
    pub fn value<T>(&mut self, key: &'static str) -> Result<Option<T>, ArgsError>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        self.after(key)?.map(|text| parse(key, &text)).transpose()
    }

    /// Takes the span of time after a key.
    pub fn span_after(&mut self, key: &'static str) -> Result<Option<Seconds>, Refusal> {
        Ok(self.after(key)?.map(|text| parse_span(&text)).transpose()?)
    }

    /// Takes the next word as a span of time.
    pub fn span(&mut self) -> Result<Seconds, Refusal> {
        Ok(parse_span(&self.word("a span of time")?)?)
    }

    /// Takes the next word as a share.
    pub fn share(&mut self) -> Result<PerMille, ArgsError> {
        share(&self.word("a share")?)
    }

    /// Takes the share after a key.
    pub fn share_after(&mut self, key: &'static str) -> Result<Option<PerMille>, ArgsError> {
        self.after(key)?.map(|text| share(&text)).transpose()
    }

    /// Takes the next word as a size.
    pub fn size(&mut self) -> Result<ByteCount, ArgsError> {
        size(&self.word("a size")?)
    }

    /// Takes the size after a key.
    pub fn size_after(&mut self, key: &'static str) -> Result<Option<ByteCount>, ArgsError> {
        self.after(key)?.map(|text| size(&text)).transpose()
    }

    /// Takes the next word as devices: `gw-1`, `gw-1,gw-4` or `gw-1..gw-6`.
    pub fn devices(&mut self) -> Result<Vec<DeviceId>, ArgsError> {
        let text = self.word("a device")?;
        let names = match text.split_once("..") {
            Some((first, last)) => range(first, last).ok_or_else(|| ArgsError::Value {
                what: "range of devices",
                text: text.clone(),
                why: "write for instance gw-1..gw-6".to_owned(),
            })?,
            None => text.split(',').map(str::to_owned).collect(),
        };
        names.iter().map(|name| parse("device", name)).collect()
    }

    /// Takes all words that are left.
    pub fn rest(&mut self) -> Vec<String> {
        std::mem::take(&mut self.words)
    }

    /// Refuses words that nobody has taken.
    pub fn end(&self) -> Result<(), ArgsError> {
        self.words.first().map_or(Ok(()), |word| Err(ArgsError::TooMuch(word.clone())))
    }
}

/// Reads a value.
pub(super) fn parse<T>(what: &'static str, text: &str) -> Result<T, ArgsError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| ArgsError::Value {
        what,
        text: text.to_owned(),
        why: error.to_string(),
    })
}

fn range(first: &str, last: &str) -> Option<Vec<String>> {
    let (name, from) = first.rsplit_once('-')?;
    let (same, to) = last.rsplit_once('-')?;
    let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
    let fits = name == same && from <= to && to - from < RANGE_MAX;
    fits.then(|| (from..=to).map(|number| format!("{name}-{number}")).collect())
}

fn share(text: &str) -> Result<PerMille, ArgsError> {
    let wrong = |why: &str| ArgsError::Value { what: "share", text: text.to_owned(), why: why.to_owned() };
    let per_cent = text.strip_suffix('%').ok_or_else(|| wrong("write for instance 12%"))?;
    let per_cent: u64 = per_cent.parse().map_err(|_| wrong("whole per cents only"))?;
    PerMille::new(per_cent.saturating_mul(10)).map_err(|error| wrong(&error.to_string()))
}

fn size(text: &str) -> Result<ByteCount, ArgsError> {
    let wrong = || ArgsError::Value {
        what: "size",
        text: text.to_owned(),
        why: "write for instance 64KiB or 4MiB".to_owned(),
    };
    let number =
        |digits: &str| digits.parse::<u64>().ok().filter(|number| *number < 1 << 30).ok_or_else(wrong);
    if let Some(digits) = text.strip_suffix("KiB") {
        return Ok(ByteCount::kib(number(digits)?));
    }
    Ok(ByteCount::mib(number(text.strip_suffix("MiB").ok_or_else(wrong)?)?))
}

#[cfg(test)]
mod tests {
    use super::{Args, ArgsError};
    use warden_model::ByteCount;

    #[test]
    fn quotes_hold_words_together() {
        let mut args = Args::read(r#"rollout gw-1.1 phases "canary=1, rest" window 22:00-02:00"#).unwrap();
        assert_eq!(args.word("a command").unwrap(), "rollout");
        assert_eq!(args.after("phases").unwrap().unwrap(), "canary=1, rest");
        assert_eq!(args.after("window").unwrap().unwrap(), "22:00-02:00");
        assert_eq!(args.after("order-timeout").unwrap(), None);
        assert_eq!(args.end(), Err(ArgsError::TooMuch("gw-1.1".to_owned())));
        assert_eq!(Args::read(r#"a "b"#).unwrap_err(), ArgsError::Quote);
    }

    #[test]
    fn ranges_and_lists_name_devices() {
        let names = |text: &str| {
            let devices = Args::read(text).unwrap().devices();
            devices.map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(names("gw-2..gw-4").unwrap(), "gw-2 gw-3 gw-4");
        assert_eq!(names("gw-2,cam-1").unwrap(), "gw-2 cam-1");
        assert!(names("gw-4..gw-2").is_err());
        assert!(names("gw-1..cam-2").is_err());
        assert!(names("gw-1..gw-9999").is_err());
    }

    #[test]
    fn sizes_need_their_unit() {
        assert_eq!(Args::read("64KiB").unwrap().size(), Ok(ByteCount::kib(64)));
        assert!(Args::read("64").unwrap().size().is_err());
        assert!(Args::read("101%").unwrap().share().is_err());
    }
}
