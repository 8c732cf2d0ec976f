//! Where a tail stands, as plain data and as one line of text.
//!
//! In: marks of files. Out: a text that a store can keep, and back. Refuses: text of another version.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use thiserror::Error;

/// How many first bytes of a file are remembered. The first line of a log with its time is within them: `timestamp` in
/// `eve.json`, `#open` (byte 80 to 106) in Zeek's logs.
pub(super) const HEAD_BYTES_MAX: usize = 128;

/// Whether a file is still the one that is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It has the log's own name, or has unread lines.
    Live,
    /// It was rotated away and read to its end.
    Settled,
}

/// Whether the reader stands inside a line that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// It stands at the start of a line.
    Nothing,
    /// It passes over the rest of a line that is too long.
    LongLine,
}

/// How far one file was read. A file is known by its device and inode while it lives, and by its first bytes when an
/// inode is given to another file, or when the content is copied away and the file truncated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The device that the file is on.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// How far it was read, in bytes; always the end of a line, unless inside a long one.
    pub offset: u64,
    /// Its first bytes, at most 128: the first line of a log with its time.
    pub head: Vec<u8>,
    /// When the file was last written, in nanoseconds since 1970.
    pub modified: i64,
    /// What it is.
    pub role: Role,
    /// Where the reader stands.
    pub inside: Inside,
}

/// Where a tail stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The files that are known.
    pub marks: Vec<Mark>,
    /// Rotated files that are not among the marks and were last written before this moment have been read.
    pub horizon: i64,
}

/// A text that is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no checkpoint of this version")]
pub struct CheckpointError {
    /// The text, cut to 64 characters.
    pub text: String,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tail-1 {}", self.horizon)?;
        for mark in &self.marks {
            let Mark { device, inode, offset, head, modified, .. } = mark;
            write!(f, " {device}:{inode}:{offset}:{modified}:")?;
            head.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            f.write_char(':')?;
            f.write_char(match mark.role {
                Role::Live => 'l',
                Role::Settled => 's',
            })?;
            f.write_char(match mark.inside {
                Inside::Nothing => '-',
                Inside::LongLine => '+',
            })?;
        }
        Ok(())
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        parse(text).ok_or_else(|| CheckpointError { text: text.chars().take(64).collect() })
    }
}

fn parse(text: &str) -> Option<Checkpoint> {
    let mut words = text.strip_prefix("tail-1 ")?.split(' ');
    let horizon = words.next()?.parse().ok()?;
    Some(Checkpoint { marks: words.map(parse_mark).collect::<Option<_>>()?, horizon })
}

fn parse_mark(word: &str) -> Option<Mark> {
    let parts: Vec<&str> = word.split(':').collect();
    let [device, inode, offset, modified, head, state] = parts.as_slice() else { return None };
    let (role, inside) = match *state {
        "l-" => (Role::Live, Inside::Nothing),
        "l+" => (Role::Live, Inside::LongLine),
        "s-" => (Role::Settled, Inside::Nothing),
        "s+" => (Role::Settled, Inside::LongLine),
        _ => return None,
    };
    Some(Mark {
        device: device.parse().ok()?,
        inode: inode.parse().ok()?,
        offset: offset.parse().ok()?,
        head: parse_head(head)?,
        modified: modified.parse().ok()?,
        role,
        inside,
    })
}

fn parse_head(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    if hex.len() > HEAD_BYTES_MAX * 2 { None } else { hex.as_bytes().chunks(2).map(byte).collect() }
}

#[cfg(test)]
mod tests {
    use super::Checkpoint;

    #[test]
    fn a_checkpoint_survives_its_text_form() {
        for text in [
            "tail-1 0",
            "tail-1 -5 1:2:3:-6:ff00:l-",
            "tail-1 9 1:2:3:6::s+ 18446744073709551615:2:3:6:0a:l+",
        ] {
            assert_eq!(text.parse::<Checkpoint>().unwrap().to_string(), text);
        }
        let long = format!("tail-1 0 1:2:3:4:{}:l-", "00".repeat(129));
        for text in [
            "",
            "tail-2 0",
            "tail-1",
            "tail-1 x",
            "tail-1 0 1:2:3",
            "tail-1 0 1:2:3:4:5:l-",
            "tail-1 0 1:2:3:4:0g:l-",
            "tail-1 0 1:2:3:4::x-",
            &long,
        ] {
            assert!(text.parse::<Checkpoint>().is_err(), "{text:?}");
        }
    }
}
