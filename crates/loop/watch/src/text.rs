//! Reading the small parts of lines: names, times, borrowed texts.
//!
//! In: text from a log. Out: checked values. Refuses: what is no name and no time.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use warden_model::Timestamp;

/// A text that is borrowed from the line where it can be. Inside an `Option`, a bare `Cow` would always be copied.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Makes a host name canonical; nothing that is an address, or could not stand in the DNS (RFC 1035 section 2.3.4), is one.
pub(crate) fn host_name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let fits = (1..=253).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.');
    let is_address =
        name.parse::<std::net::IpAddr>().is_ok() || name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (fits && !is_address).then(|| name.to_ascii_lowercase())
}

/// Cuts a text and replaces what cannot be shown.
pub(crate) fn shown(text: &str, characters_max: usize) -> String {
    text.chars().take(characters_max).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Reads Suricata's time, which has no colon in its offset: `2026-11-22T09:09:57.425657+0000`.
pub(crate) fn eve_time(text: &str) -> Option<Timestamp> {
    let (rest, minutes) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let has_plain_offset =
        text.len() > 5 && rest.as_bytes().iter().rev().nth(2).is_some_and(|b| b"+-".contains(b));
    if has_plain_offset { format!("{rest}:{minutes}").parse().ok() } else { text.parse().ok() }
}

/// Reads Zeek's time: seconds since 1970 with a fraction, possibly negative, or RFC 3339 text.
pub(crate) fn zeek_time(text: &str) -> Option<Timestamp> {
    if text.contains('T') {
        return text.parse().ok();
    }
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let seconds: i64 = whole.parse().ok()?;
    Some(Timestamp(seconds.checked_mul(1000)?.checked_add(millis)?.checked_mul(sign)?))
}

/// Zeek's time in JSON: a number or a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ZeekTime(pub(crate) Timestamp);

impl<'de> Deserialize<'de> for ZeekTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Moment;
        impl Visitor<'_> for Moment {
            type Value = ZeekTime;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds since 1970 or an RFC 3339 moment")
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<ZeekTime, E> {
                // Within 2^53 ms all whole numbers are exact; what is outside is no time of a log.
                let millis = (seconds * 1000.0).round();
                if millis.abs() > 9.0e15 {
                    return Err(E::custom("a time out of range"));
                }
                #[expect(clippy::cast_possible_truncation, reason = "checked above to be far within 63 bits")]
                let millis = millis as i64;
                Ok(ZeekTime(Timestamp(millis)))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<ZeekTime, E> {
                let millis = seconds.checked_mul(1000).ok_or_else(|| E::custom("a time out of range"))?;
                Ok(ZeekTime(Timestamp(millis)))
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<ZeekTime, E> {
                self.visit_i64(i64::try_from(seconds).map_err(|_| E::custom("a time out of range"))?)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ZeekTime, E> {
                zeek_time(text).map(ZeekTime).ok_or_else(|| E::custom("no time"))
            }
        }
        deserializer.deserialize_any(Moment)
    }
}

#[cfg(test)]
mod tests {
    use super::{eve_time, host_name, zeek_time};

    #[test]
    fn times_are_read_to_the_millisecond() {
        let eve = |text: &str, shown: &str| assert_eq!(eve_time(text).unwrap().to_string(), shown);
        eve("2026-11-22T09:09:57.425657+0000", "2026-11-22T09:09:57.425Z");
        eve("2021-06-06T15:59:46.457984+0200", "2021-06-06T13:59:46.457Z");
        eve("2021-06-06T15:59:46Z", "2021-06-06T15:59:46Z");
        let zeek = |text: &str, millis: i64| assert_eq!(zeek_time(text).unwrap().0, millis, "{text}");
        zeek("1536925231.782367", 1_536_925_231_782);
        zeek("928.9", 928_900);
        zeek("-0.4", -400);
        zeek("12", 12_000);
        zeek("2008-07-09T16:13:30.005432Z", 1_215_620_010_005);
        for text in ["", "-", ".", "1.x", "XXXXXXXXXX.XXXXXX", "99999999999999999999", "1e9", "é", "+é00"] {
            assert!(zeek_time(text).is_none(), "{text:?}");
            assert!(eve_time(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn only_names_are_names() {
        assert_eq!(host_name("Cloud.Example.").as_deref(), Some("cloud.example"));
        for text in ["", ".", "147.32.82.197", "::1", "a b", "a\nb", "1.2", &"a".repeat(254)] {
            assert_eq!(host_name(text), None, "{text:?}");
        }
    }
}
