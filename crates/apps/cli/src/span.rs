//! Numbers with units, as people write them: `90 s`, `5min`, `12h`, `7d`, `512MiB`, `90%`.
//!
//! In: text. Out: [`Seconds`], [`ByteCount`], [`PerMille`] and numbers. Refuses: numbers without a unit, units that are not listed, fractions,
//! and what does not fit.

use warden_model::{ByteCount, PerMille, Seconds};

/// Longest text that is read: no number of 64 bits with its unit comes near.
const TEXT_BYTES_MAX: usize = 64;

const SPANS: [(&str, u64); 5] = [("s", 1), ("min", 60), ("h", 3_600), ("d", 86_400), ("w", 7 * 86_400)];
const SIZES: [(&str, u64); 5] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Reads a span of time; several parts add up: `1h30min`.
pub(crate) fn seconds(text: &str) -> Result<Seconds, String> {
    let wrong = || format!("{:?} is no span of time such as 90s, 5min, 12h, 7d or 1h30min", cut(text));
    parts(text, &SPANS).map(Seconds).ok_or_else(wrong)
}

/// Reads a size.
pub(crate) fn bytes(text: &str) -> Result<ByteCount, String> {
    let wrong = || format!("{:?} is no size such as 512KiB, 64MiB or 4GiB", cut(text));
    parts(text, &SIZES).map(ByteCount).ok_or_else(wrong)
}

/// Reads a share: `90%`, `92.5%`.
pub(crate) fn share(text: &str) -> Result<PerMille, String> {
    let wrong = || format!("{:?} is no share such as 90% or 92.5%, from 0% to 100%", cut(text));
    let number = text.trim().strip_suffix('%').map(str::trim_end).ok_or_else(wrong)?;
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(tenth) || whole.len() > 3 || tenth.len() > 1 {
        return Err(wrong());
    }
    let thousandths = whole.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(10);
    PerMille::new(thousandths.saturating_add(tenth.parse().unwrap_or(0))).map_err(|_| wrong())
}

/// The most that is counted at one setting: builds at the same time, where no machine has more cores.
const COUNT_MAX: u32 = 1_024;

/// Reads a number.
pub(crate) fn count(text: &str) -> Result<u32, String> {
    let number = text.trim().parse::<u32>().ok().filter(|number| *number <= COUNT_MAX);
    number.ok_or_else(|| format!("{:?} is no number from 0 to {COUNT_MAX}", cut(text)))
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_BYTES_MAX).collect()
}

fn parts(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let mut rest = text.trim();
    if rest.is_empty() || rest.len() > TEXT_BYTES_MAX {
        return None;
    }
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, behind) = rest.split_at_checked(digits)?;
        let behind = behind.trim_start();
        let letters = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, left) = behind.split_at_checked(letters)?;
        let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = left.trim_start();
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, seconds, share};
    use warden_model::{ByteCount, PerMille, Seconds};

    #[test]
    fn shares_and_numbers_are_read_as_people_write_them() {
        let check = |text: &str, expected: Option<u64>| {
            let expected = expected.map(|share| PerMille::new(share).unwrap());
            assert_eq!(share(text).ok(), expected, "{text:?}");
        };
        check("90%", Some(900));
        check(" 92.5 %", Some(925));
        check("0%", Some(0));
        check("100.0%", Some(1000));
        for wrong in ["", "%", "90", "0.9", "100.1%", "-1%", "9.%", "1e2%", "99.99%"] {
            check(wrong, None);
        }
        assert_eq!((count("0"), count("4"), count("1024")), (Ok(0), Ok(4), Ok(1024)));
        for wrong in ["", "-1", "1025", "two", "1.5"] {
            assert!(count(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn spans_are_read_as_people_write_them() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(seconds(text).ok(), expected.map(Seconds), "{text:?}");
        };
        check("90s", Some(90));
        check("5 min", Some(300));
        check("1h30min", Some(5_400));
        check("7d", Some(604_800));
        check("2w", Some(1_209_600));
        check("3 d 4 h", Some(273_600));
        for wrong in ["", "5", "min", "-5s", "1.5h", "5m", "5ms", "5 parsecs", "99999999999999999999d", "d5"]
        {
            check(wrong, None);
        }
        check(&"1s".repeat(40), None);
    }

    #[test]
    fn a_span_survives_its_own_text_form() {
        for span in [Seconds(0), Seconds(59), Seconds(200), Seconds(7_500), Seconds::days(90)] {
            assert_eq!(seconds(&span.to_string()), Ok(span));
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(bytes("4GiB"), Ok(ByteCount::mib(4096)));
        assert_eq!(bytes("512 KiB"), Ok(ByteCount::kib(512)));
        assert!(bytes("4GB").is_err(), "a decimal unit would be read wrong by half of its readers");
        assert!(bytes("4").is_err());
    }
}
