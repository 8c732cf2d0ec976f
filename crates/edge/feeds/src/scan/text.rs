//! What reports write in many forms: CVE ids, moments, addresses, ports, words of severity.

use std::collections::BTreeSet;
use std::net::IpAddr;

use warden_model::scan::{Port, PortProtocol, ScanSeverity};
use warden_model::{AdvisoryId, Seconds, Timestamp};

/// How far a moment without a time zone may be off: time zones reach from 12 hours behind UTC to 14 hours before it.
const ZONE_UNKNOWN: Seconds = Seconds::hours(14);

/// Longest number of a CVE id, in digits (CVE record format 5: 4 to 19).
const CVE_DIGITS_MAX: usize = 19;

/// Finds CVE ids in a text, whatever stands around them.
pub(super) fn cves_in(text: &str) -> impl Iterator<Item = AdvisoryId> + '_ {
    let bytes = text.as_bytes();
    let starts = bytes.windows(4).enumerate().filter(|(_, four)| four.eq_ignore_ascii_case(b"cve-"));
    starts.filter_map(|(at, _)| {
        let rest = bytes.get(at + 4..)?;
        let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let year = digits(rest);
        let number = rest.get(year..)?.strip_prefix(b"-").map(digits)?;
        if year != 4 || !(4..=CVE_DIGITS_MAX).contains(&number) {
            return None;
        }
        let id = bytes.get(at..at + 4 + year + 1 + number)?;
        AdvisoryId::new(String::from_utf8_lossy(id).to_ascii_uppercase()).ok()
    })
}

/// Cuts a text to so many characters, and trims it.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    let text = text.trim();
    match text.char_indices().nth(chars_max) {
        Some((at, _)) => text.split_at(at).0.trim_end().to_owned(),
        None => text.to_owned(),
    }
}

/// Reads the words that scanners use for how severe something is, and Nessus' numbers 0 to 4.
pub(super) fn severity(word: &str) -> Option<ScanSeverity> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "critical" | "4" => ScanSeverity::Critical,
        "high" | "serious" | "3" => ScanSeverity::High,
        "medium" | "moderate" | "2" => ScanSeverity::Medium,
        "low" | "1" => ScanSeverity::Low,
        "info" | "informational" | "none" | "log" | "0" => ScanSeverity::Info,
        _ => return None,
    })
}

/// Reads an address; a zone (`%eth0`) is left out.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let plain = text.split_once('%').map_or(text, |(plain, _)| plain);
    plain.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Makes a host name comparable; nothing where the text is none.
pub(super) fn host_name(text: &str) -> Option<String> {
    let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let fits = (1..=253).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        && address(&name).is_none();
    fits.then_some(name)
}

/// Reads the word of a protocol.
pub(super) fn protocol(word: &str) -> PortProtocol {
    match word.trim().to_ascii_lowercase().as_str() {
        "tcp" => PortProtocol::Tcp,
        "udp" => PortProtocol::Udp,
        "sctp" => PortProtocol::Sctp,
        "icmp" => PortProtocol::Icmp,
        _ => PortProtocol::Ip,
    }
}

/// Reads `443/tcp`, `general/tcp` and `https (443/tcp)`.
pub(super) fn port(text: &str) -> Option<Port> {
    let inside = text.split_once('(').map_or(text, |(_, inside)| inside).trim().trim_end_matches(')');
    let (number, word) = inside.split_once('/').unwrap_or((inside, ""));
    let protocol = protocol(word);
    match number.trim() {
        "" | "general" => Some(Port { protocol, number: 0 }),
        number => number.parse().ok().map(|number| Port { protocol, number }),
    }
}

/// Reads a moment: RFC 3339, or seconds since 1970.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() <= 12
        && let Ok(seconds) = text.parse::<i64>()
    {
        return (seconds > 0).then(|| Timestamp(seconds.saturating_mul(1_000)));
    }
    text.parse().ok()
}

/// Reads a moment that people wrote, as the span in which it must lie: `Tue Jan  7 08:19:25 2014` (C `asctime`, no time
/// zone), `Nov 22, 2020 13:00:00 UTC`, and what [`moment`] reads.
pub(super) fn loose_moment(text: &str) -> Option<(Timestamp, Timestamp)> {
    if let Some(exact) = moment(text) {
        return Some((exact, exact));
    }
    let words: Vec<&str> = text.split_whitespace().map(|word| word.trim_end_matches(',')).collect();
    let &[first, second, third, clock, last] = words.as_slice() else { return None };
    let (month, day, year, zone) = match (month_number(first), month_number(second)) {
        (_, Some(month)) => (month, third, last, None),
        (Some(month), None) => (month, second, third, Some(last)),
        (None, None) => return None,
    };
    let day: u8 = day.parse().ok()?;
    let exact: Timestamp = format!("{year:0>4}-{month:02}-{day:02}T{clock}Z").parse().ok()?;
    Some(if zone == Some("UTC") || zone == Some("GMT") {
        (exact, exact)
    } else {
        let off = i64::try_from(ZONE_UNKNOWN.0).unwrap_or(0).saturating_mul(1_000);
        (Timestamp(exact.0.saturating_sub(off)), Timestamp(exact.0.saturating_add(off)))
    })
}

fn month_number(word: &str) -> Option<usize> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    MONTHS.iter().position(|month| word.starts_with(month)).map(|at| at + 1)
}

/// Finds the identities of devices in the text of a certificate: `spiffe://…`.
pub(super) fn identities_in(text: &str) -> BTreeSet<String> {
    let fits = |char: &char| char.is_ascii_alphanumeric() || "/._:-".contains(*char);
    let found = text.match_indices("spiffe://").filter_map(|(at, start)| {
        let rest: String = text.get(at + start.len()..)?.chars().take_while(fits).take(256).collect();
        Some(format!("{start}{}", rest.trim_end_matches(['.', ':'])))
    });
    // A certificate has one; a text that names thousands is none.
    found.take(16).collect()
}
