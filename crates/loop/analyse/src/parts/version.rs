//! What a version text looks like, and where it ends.
//!
//! In: the bytes around a prefix. Out: the version. Refuses texts that only look like one: every version has the number
//! of numbers that its product uses, and ends where a word ends.

/// Most digits of one number of a version: dates such as 20230101 are the longest in use.
const DIGITS_MAX: usize = 8;

/// What a version looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// The least and the most numbers behind the prefix, separated by dots.
    pub(crate) numbers: (u8, u8),
    pub(crate) suffix: Suffix,
    pub(crate) before: Before,
    pub(crate) then: Then,
}

/// What may follow the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suffix {
    None,
    /// Up to two small letters (`1.1.1n`, `1.0.2zg`).
    Letters,
    /// `p` and a number (`8.4p1`), always: without it, it is a pattern of versions to get along with.
    Patch,
    /// `-rc` and a number (`2021.10-rc3`).
    Candidate,
}

/// What stands before the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Anything but a letter or digit.
    NoWord,
    /// The start of a text or line.
    LineStart,
}

/// What follows the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Anything,
    /// The end of the text or line.
    LineEnd,
    /// A date such as `19 Sep 2023`.
    Date,
    Text(&'static [u8]),
}

impl Shape {
    /// Reads a version at the start of `after`; `before` is the byte in front of the prefix.
    pub(crate) fn read<'t>(&self, before: Option<u8>, after: &'t [u8]) -> Option<&'t str> {
        let line_starts = before.is_none_or(|byte| byte == 0 || byte == b'\n');
        let fits = match self.before {
            Before::LineStart => line_starts,
            Before::NoWord => before.is_none_or(|byte| !byte.is_ascii_alphanumeric()),
        };
        if !fits {
            return None;
        }
        let numbers_end = self.numbers_end(after)?;
        let end = numbers_end + suffix_bytes(self.suffix, after.get(numbers_end..)?)?;
        let (version, rest) = after.split_at_checked(end)?;
        if !is_word_end(rest) || !self.goes_on_with(rest) {
            return None;
        }
        std::str::from_utf8(version).ok()
    }

    fn numbers_end(&self, after: &[u8]) -> Option<usize> {
        let (least, most) = self.numbers;
        let mut end = 0;
        let mut count = 0;
        while count <= most {
            let dot = usize::from(count > 0);
            if dot == 1 && after.get(end) != Some(&b'.') {
                break;
            }
            let digits = after.get(end + dot..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                break;
            }
            if digits > DIGITS_MAX {
                return None;
            }
            end += dot + digits;
            count += 1;
        }
        (least..=most).contains(&count).then_some(end)
    }

    fn goes_on_with(&self, rest: &[u8]) -> bool {
        match self.then {
            Then::Anything => true,
            Then::LineEnd => matches!(rest.first(), None | Some(0 | b'\n')),
            Then::Text(text) => rest.starts_with(text),
            Then::Date => {
                let date = rest.trim_ascii_start();
                let day = date.iter().take_while(|byte| byte.is_ascii_digit()).count();
                matches!(day, 1 | 2)
                    && date.get(day) == Some(&b' ')
                    && date.get(day + 1).is_some_and(u8::is_ascii_uppercase)
            }
        }
    }
}

fn suffix_bytes(suffix: Suffix, rest: &[u8]) -> Option<usize> {
    let numbered = |mark: &[u8]| {
        let digits = rest
            .strip_prefix(mark)
            .map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).take(DIGITS_MAX).count());
        if digits == 0 { 0 } else { mark.len() + digits }
    };
    match suffix {
        Suffix::None => Some(0),
        Suffix::Letters => Some(rest.iter().take_while(|byte| byte.is_ascii_lowercase()).take(2).count()),
        Suffix::Patch => Some(numbered(b"p")).filter(|bytes| *bytes > 0),
        Suffix::Candidate => Some(numbered(b"-rc")),
    }
}

/// A version ends where no letter, digit, underscore, format or pattern sign goes on, and where no further number follows a dot.
fn is_word_end(rest: &[u8]) -> bool {
    match rest {
        [b'.', next, ..] => !next.is_ascii_digit() && *next != b'%',
        [next, ..] => !next.is_ascii_alphanumeric() && !matches!(next, b'_' | b'%' | b'*'),
        [] => true,
    }
}
