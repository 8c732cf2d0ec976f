//! Units as types: time, size, share, order.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment: milliseconds since 1970-01-01T00:00:00Z; shown in RFC 3339 form, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A text that is no RFC 3339 moment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no RFC 3339 moment such as 2026-11-22T08:00:00Z")]
pub struct TimestampError {
    /// The text, cut to 64 characters.
    pub text: String,
}

impl Timestamp {
    /// Returns the moment `seconds` later; stays at the last moment that can be told instead of wrapping.
    #[must_use]
    pub fn plus(self, seconds: Seconds) -> Self {
        let millis = i64::try_from(seconds.0.saturating_mul(1000)).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// Returns the time from `earlier` to this moment; zero when `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Seconds {
        Seconds(u64::try_from(self.0.saturating_sub(earlier.0) / 1000).unwrap_or(0))
    }

    /// Returns whole seconds since 1970-01-01T00:00:00Z.
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Returns minutes since midnight, UTC: 0 to 1,439.
    pub fn minute_of_day(self) -> u16 {
        u16::try_from(self.unix_seconds().div_euclid(60).rem_euclid(1440)).unwrap_or(0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .and_then(|moment| moment.format(&Rfc3339).ok());
        match text {
            Some(text) => f.pad(&text),
            // Beyond the year 9999 there is no RFC 3339 form; the number is still the truth.
            None => write!(f, "@{}ms", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let error = || TimestampError { text: text.chars().take(64).collect() };
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| error())?;
        i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).map(Self).map_err(|_| error())
    }
}

/// A span of time in whole seconds; shown as people say it (`45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seconds(pub u64);

impl Seconds {
    /// Makes a span of whole days.
    pub const fn days(days: u64) -> Self {
        Self(days * 86_400)
    }

    /// Makes a span of whole hours.
    pub const fn hours(hours: u64) -> Self {
        Self(hours * 3_600)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pair = |f: &mut fmt::Formatter<'_>, large: u64, unit: &str, small: u64, small_unit: &str| {
            if small == 0 {
                write!(f, "{large} {unit}")
            } else {
                write!(f, "{large} {unit} {small} {small_unit}")
            }
        };
        match self.0 {
            seconds @ 0..60 => write!(f, "{seconds} s"),
            seconds @ 60..3_600 => pair(f, seconds / 60, "min", seconds % 60, "s"),
            seconds @ 3_600..86_400 => pair(f, seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
            seconds => pair(f, seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
        }
    }
}

/// A size in bytes; shown with a binary unit (`812 B`, `4.0 KiB`, `1.5 MiB`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteCount(pub u64);

impl ByteCount {
    /// Makes a size of whole kibibytes.
    pub const fn kib(kib: u64) -> Self {
        Self(kib * 1024)
    }

    /// Makes a size of whole mebibytes.
    pub const fn mib(mib: u64) -> Self {
        Self(mib * 1024 * 1024)
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 4] =
            [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        for (unit, size) in UNITS {
            if self.0 >= size {
                // Tenths, rounded down, in integers: a size is never shown larger than it is.
                let tenths = u128::from(self.0) * 10 / u128::from(size);
                return write!(f, "{}.{} {unit}", tenths / 10, tenths % 10);
            }
        }
        write!(f, "{} B", self.0)
    }
}

/// A share in thousandths, 0 to 1,000; shown in per cent (`12.5 %`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PerMille(u16);

/// A share above 1,000 ‰.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a share is 0 to 1000 per mille, not {0}")]
pub struct PerMilleError(pub u64);

impl PerMille {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The whole.
    pub const ALL: Self = Self(1000);
    /// Nine tenths.
    pub const NINE_TENTHS: Self = Self(900);

    /// Checks and makes a share: 0 to 1,000.
    pub fn new(per_mille: u64) -> Result<Self, PerMilleError> {
        match u16::try_from(per_mille) {
            Ok(value @ 0..=1000) => Ok(Self(value)),
            _ => Err(PerMilleError(per_mille)),
        }
    }

    /// Returns the share that `part` is of `whole`, rounded down; zero of zero is nothing.
    pub fn of(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Self::ZERO;
        }
        let share = u128::from(part.min(whole)) * 1000 / u128::from(whole);
        Self(u16::try_from(share).unwrap_or(1000))
    }

    /// Returns this share of `whole`, rounded up, so that a small share of a small fleet is still somebody.
    pub fn of_count_rounded_up(self, whole: u64) -> u64 {
        u64::try_from((u128::from(whole) * u128::from(self.0)).div_ceil(1000)).unwrap_or(whole)
    }

    /// Returns the thousandths.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for PerMille {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{} %", self.0 / 10),
            tenth => write!(f, "{}.{tenth} %", self.0 / 10),
        }
    }
}

/// The age of an order: a receiver refuses an order with a smaller one than it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Generation(pub u64);

impl Generation {
    /// Returns the generation that follows.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{ByteCount, PerMille, PerMilleError, Seconds, Timestamp};

    #[test]
    fn numbers_are_shown_with_their_unit() {
        assert_eq!(Seconds(59).to_string(), "59 s");
        assert_eq!(Seconds(200).to_string(), "3 min 20 s");
        assert_eq!(Seconds(7_500).to_string(), "2 h 5 min");
        assert_eq!(Seconds::days(3).to_string(), "3 d");
        assert_eq!(ByteCount(1023).to_string(), "1023 B");
        assert_eq!(ByteCount(1_610_612).to_string(), "1.5 MiB");
        assert_eq!(PerMille::new(125).unwrap().to_string(), "12.5 %");
    }

    #[test]
    fn shares_stay_within_the_whole() {
        assert_eq!(PerMille::new(1001), Err(PerMilleError(1001)));
        assert_eq!(PerMille::of(3, 0), PerMille::ZERO);
        assert_eq!(PerMille::of(1, 3).get(), 333);
        assert_eq!(PerMille::new(10).unwrap().of_count_rounded_up(12), 1);
        assert_eq!(PerMille::ALL.of_count_rounded_up(u64::MAX), u64::MAX);
    }

    #[test]
    fn moments_survive_their_text_form() {
        let moment: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-22T08:00:00Z");
        assert_eq!(moment.minute_of_day(), 480);
        assert_eq!(moment.plus(Seconds(90)).since(moment), Seconds(90));
        assert_eq!(moment.since(moment.plus(Seconds(90))), Seconds(0));
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert_eq!(Timestamp(i64::MAX).plus(Seconds(u64::MAX)), Timestamp(i64::MAX));
    }
}
