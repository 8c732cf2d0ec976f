//! Policies as text: what people type.
//!
//! In: `canary=1,early=25%,rest; success=95%; error=10%; soak=30min`. Out: phases. Refuses, with the part that it does not
//! understand and what it would: unknown settings, phases after `rest`, shares above 100 %, texts above the limits.

use thiserror::Error;
use warden_model::rollout::{MaintenanceWindow, Phase, PhaseSize};
use warden_model::{PerMille, Seconds};

use crate::policy::{ERROR_DEFAULT_PER_MILLE, SOAK_DEFAULT, SUCCESS_DEFAULT_PER_MILLE, per_mille};

/// Longest text, in bytes: a person types it in one line, and the largest sensible one has a tenth of that.
const TEXT_BYTES_MAX: usize = 4096;
/// Most phases: each needs its soak time, and with 32 of them no rollout ends in a year's patience.
const PHASES_MAX: usize = 32;
/// Longest name of a phase, in characters: it stands in table columns and sentences.
const NAME_CHARS_MAX: usize = 32;
/// Longest span: 90 days. A longer soak is a typing error; the least urgent deadline of a case is 60 days.
const SPAN_MAX: Seconds = Seconds::days(90);

/// A text that is no policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// The text is longer than the limit.
    #[error("the policy has {bytes} bytes, more than the {TEXT_BYTES_MAX} that are allowed")]
    TooLong {
        /// How long it is, in bytes.
        bytes: usize,
    },
    /// There is no phase.
    #[error("no phase is named; write for instance canary=1,early=25%,rest")]
    NoPhase,
    /// There are more phases than the limit.
    #[error("{phases} phases are named, more than the {PHASES_MAX} that are allowed")]
    TooManyPhases {
        /// How many there are.
        phases: usize,
    },
    /// The name of a phase is not usable.
    #[error("{name:?} is no phase name: 1 to {NAME_CHARS_MAX} letters, digits, `-` and `_` are allowed")]
    PhaseName {
        /// The name, cut to 64 characters.
        name: String,
    },
    /// Two phases have the same name.
    #[error("phase {name} is named twice")]
    PhaseTwice {
        /// The name.
        name: String,
    },
    /// A phase follows the one that takes all that is left.
    #[error("phase {name} follows the phase that takes the rest, and would get no device")]
    AfterRest {
        /// The name of the phase.
        name: String,
    },
    /// The size of a phase is not usable.
    #[error("{text:?} is no size of phase {name}: write a number of devices (1), a share (25%) or rest")]
    Size {
        /// The name of the phase.
        name: String,
        /// The size, cut to 64 characters.
        text: String,
    },
    /// A setting is not known.
    #[error("{text:?} is no setting (one of: success, error, soak)")]
    Setting {
        /// The setting, cut to 64 characters.
        text: String,
    },
    /// A setting is given twice.
    #[error("{setting} is set twice")]
    SettingTwice {
        /// The setting.
        setting: &'static str,
    },
    /// A share is not usable.
    #[error("{text:?} is no share for {setting}: write 0% to 100%, with at most one digit after the point")]
    Share {
        /// The setting.
        setting: &'static str,
        /// The share, cut to 64 characters.
        text: String,
    },
    /// A span of time is not usable.
    #[error("{text:?} is no span of time up to {SPAN_MAX}: write for instance 30s, 15min, 2h or 1d")]
    Span {
        /// The span, cut to 64 characters.
        text: String,
    },
    /// A window is not usable.
    #[error("{text:?} is no maintenance window: write its start and end in UTC, for instance 22:00-02:00")]
    Window {
        /// The window, cut to 64 characters.
        text: String,
    },
}

/// Reads phases: `name=size,…` and then, each once and in any order, `success=…`, `error=…` and `soak=…` for all of them.
///
/// A size is a number of devices, a share of the fleet (not cumulative) or `rest`; a bare `rest` is a phase of that name.
/// What is not set is 90 %, 10 % and an hour.
pub fn parse_phases(text: &str) -> Result<Vec<Phase>, ParseError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ParseError::TooLong { bytes: text.len() });
    }
    let mut sections = text.split(';').map(str::trim);
    let sizes = parse_sizes(sections.next().unwrap_or_default())?;
    let settings = parse_settings(sections)?;
    let success_threshold = settings.success.unwrap_or(per_mille(SUCCESS_DEFAULT_PER_MILLE));
    let error_threshold = settings.error.unwrap_or(per_mille(ERROR_DEFAULT_PER_MILLE));
    let soak = settings.soak.unwrap_or(SOAK_DEFAULT);
    Ok(sizes
        .into_iter()
        .map(|(name, size)| Phase { name, size, success_threshold, error_threshold, soak })
        .collect())
}

/// Reads a span of time: a whole number and `s`, `m` or `min`, `h`, `d`; at most 90 days. `0` needs no unit.
pub fn parse_span(text: &str) -> Result<Seconds, ParseError> {
    let text = text.trim();
    let error = || ParseError::Span { text: cut(text) };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(error)?;
    let number: u64 = number.parse().map_err(|_| error())?;
    let seconds_each = match unit.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "" if number == 0 => 1,
        _ => return Err(error()),
    };
    let span = number.checked_mul(seconds_each).map(Seconds).ok_or_else(error)?;
    if span > SPAN_MAX { Err(error()) } else { Ok(span) }
}

/// Reads a maintenance window in UTC: `22:00-02:00` runs over midnight, `00:00-24:00` is the whole day.
pub fn parse_window(text: &str) -> Result<MaintenanceWindow, ParseError> {
    let text = text.trim();
    let error = || ParseError::Window { text: cut(text) };
    let (start, end) = text.split_once('-').ok_or_else(error)?;
    let start = minute_of_day(start).ok_or_else(error)?;
    let end = minute_of_day(end).ok_or_else(error)?;
    let length = if end > start { end - start } else { end + 1440 - start };
    // The same start and end may mean a whole day or nothing at all: refused, 00:00-24:00 is clear.
    if start == end { Err(error()) } else { MaintenanceWindow::new(start, length).map_err(|_| error()) }
}

fn parse_sizes(text: &str) -> Result<Vec<(String, PhaseSize)>, ParseError> {
    if text.is_empty() {
        return Err(ParseError::NoPhase);
    }
    let count = text.split(',').count();
    if count > PHASES_MAX {
        return Err(ParseError::TooManyPhases { phases: count });
    }
    let mut sizes: Vec<(String, PhaseSize)> = Vec::with_capacity(count);
    for part in text.split(',') {
        let (name, size) = part.split_once('=').unwrap_or((part, "rest"));
        let (name, size) = (check_name(name.trim())?, size.trim());
        if !part.contains('=') && name != "rest" {
            return Err(ParseError::Size { name, text: String::new() });
        }
        if sizes.iter().any(|(known, _)| *known == name) {
            return Err(ParseError::PhaseTwice { name });
        }
        if sizes.last().is_some_and(|(_, size)| *size == PhaseSize::Rest) {
            return Err(ParseError::AfterRest { name });
        }
        let Some(size) = parse_size(size) else { return Err(ParseError::Size { name, text: cut(size) }) };
        sizes.push((name, size));
    }
    Ok(sizes)
}

fn check_name(name: &str) -> Result<String, ParseError> {
    let fits = (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if fits { Ok(name.to_owned()) } else { Err(ParseError::PhaseName { name: cut(name) }) }
}

fn parse_size(text: &str) -> Option<PhaseSize> {
    if text == "rest" {
        return Some(PhaseSize::Rest);
    }
    if text.ends_with('%') {
        return parse_share(text).filter(|share| *share > PerMille::ZERO).map(PhaseSize::Share);
    }
    text.parse().ok().filter(|count| *count > 0).map(PhaseSize::Count)
}

#[derive(Default)]
struct Settings {
    success: Option<PerMille>,
    error: Option<PerMille>,
    soak: Option<Seconds>,
}

fn parse_settings<'a>(sections: impl Iterator<Item = &'a str>) -> Result<Settings, ParseError> {
    let mut settings = Settings::default();
    for section in sections.filter(|section| !section.is_empty()) {
        let (name, value) = section.split_once('=').unwrap_or((section, ""));
        let value = value.trim();
        match name.trim() {
            "success" => set_once(&mut settings.success, "success", share("success", value)?)?,
            "error" => set_once(&mut settings.error, "error", share("error", value)?)?,
            "soak" => set_once(&mut settings.soak, "soak", parse_span(value)?)?,
            _ => return Err(ParseError::Setting { text: cut(section) }),
        }
    }
    Ok(settings)
}

fn set_once<T>(place: &mut Option<T>, setting: &'static str, value: T) -> Result<(), ParseError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ParseError::SettingTwice { setting }),
    }
}

fn share(setting: &'static str, text: &str) -> Result<PerMille, ParseError> {
    parse_share(text).ok_or_else(|| ParseError::Share { setting, text: cut(text) })
}

/// Reads `25%`, `12.5%` or `12.5 %`.
fn parse_share(text: &str) -> Option<PerMille> {
    let number = text.strip_suffix('%')?.trim();
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str, longest: usize| {
        (1..=longest).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_number(whole, 3) || !is_number(tenth, 1) {
        return None;
    }
    let (whole, tenth): (u64, u64) = (whole.parse().ok()?, tenth.parse().ok()?);
    PerMille::new(whole * 10 + tenth).ok()
}

/// Reads `HH:MM`, 00:00 to 24:00.
fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let of_day = hour * 60 + minute;
    (minute < 60 && of_day <= 1440).then_some(of_day)
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
