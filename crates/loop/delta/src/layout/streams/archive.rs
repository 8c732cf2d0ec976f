//! ar archives: Debian packages, static libraries.
//!
//! In: an image and a place. Out: the members as raw files, each looked into. Refuses what lacks the magic; an archive
//! that breaks off keeps the members up to there.

use super::Scan;
use super::bytes::{begins, digits, length, round_up, slice, tail};

const MAGIC: &[u8] = b"!<arch>\n";

/// The header of a member (`man 5 ar`).
const HEADER_BYTES: u64 = 60;

/// The longest BSD name: the longest path of Linux.
const NAME_BYTES_MAX: u64 = 4_096;

/// Looks for an archive; returns where it ends.
pub(super) fn look(scan: &mut Scan<'_>, image: &[u8], start: u64) -> Option<u64> {
    if !begins(image, start, MAGIC) {
        return None;
    }
    let mut at = start + 8;
    // GNU's long names stand in a member of their own, "//".
    let mut names = [].as_slice();
    while let Some((name, data, len)) = header(image, at) {
        scan.meter.step()?;
        let stored = slice(image, data, len)?;
        if name == b"//" {
            names = stored;
        } else if name.starts_with(b"#1/") {
            // BSD's long names stand before the data, and count to it.
            let name_len =
                name.get(3..).and_then(|len| digits(len, 10)).filter(|len| *len <= NAME_BYTES_MAX)?;
            let path = super::bytes::text(slice(stored, 0, name_len)?);
            scan.member(image, path, data + name_len, len - name_len)?;
        } else if !matches!(name, b"/" | b"/SYM64/") {
            scan.member(image, path(name, names), data, len)?;
        }
        at = start + round_up(data + len - start, 2)?;
    }
    Some(at.min(length(image)))
}

/// Returns name, place and length of the member whose header stands at a place.
fn header(image: &[u8], at: u64) -> Option<(&[u8], u64, u64)> {
    let header = slice(image, at, HEADER_BYTES)?;
    let len = digits(header.get(48..58)?, 10)?;
    let data = at + HEADER_BYTES;
    let fits = header.ends_with(b"`\n") && data.checked_add(len)? <= length(image);
    fits.then_some((header.get(..16)?.trim_ascii_end(), data, len))
}

/// Returns the path of a member: GNU ends short names with a slash, and points to long ones by "/offset".
fn path(name: &[u8], names: &[u8]) -> String {
    let long = || {
        let offset = digits(name.strip_prefix(b"/")?, 10)?;
        let rest = tail(names, offset)?;
        rest.split(|byte| *byte == b'\n').next()
    };
    let name = long().unwrap_or(name);
    String::from_utf8_lossy(name.strip_suffix(b"/").unwrap_or(name)).into_owned()
}
