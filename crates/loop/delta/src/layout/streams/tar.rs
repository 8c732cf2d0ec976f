//! tar archives: POSIX ustar and pax, GNU's extensions; Mender artifacts are such.
//!
//! In: an image and a place. Out: the regular files as raw members, each looked into. Refuses what does not begin with a
//! header whose checksum is right; an archive that breaks off later keeps the files up to there.

use super::bytes::{array, begins, byte, digits, length, round_up, slice, text};
use super::{Scan, is_blank};

/// The unit of everything in a tar archive.
const BLOCK_BYTES: u64 = 512;

/// The longest stretch of long names or pax records that is read: a path of 4 KiB and generous attributes.
const EXTENSION_BYTES_MAX: u64 = 1 << 20;

/// What extension headers say of the next entry.
#[derive(Default)]
struct Said {
    path: Option<String>,
    len: Option<u64>,
}

/// Looks for an archive; returns where it ends: behind the zeros that close it, or where it breaks off.
pub(super) fn look(scan: &mut Scan<'_>, image: &[u8], start: u64) -> Option<u64> {
    let mut at = start;
    let mut said = Said::default();
    while is_header(image, at) {
        scan.meter.step()?;
        let Some(next) = entry(scan, image, at, &mut said) else { break };
        at = next;
    }
    if at == start {
        return None;
    }
    while is_blank(image, at, BLOCK_BYTES) {
        at += BLOCK_BYTES;
    }
    Some(at.min(length(image)))
}

/// Says whether a header stands at a place (POSIX.1-2017 pax, "ustar Interchange Format").
fn is_header(image: &[u8], at: u64) -> bool {
    let sum = || {
        let header = slice(image, at, BLOCK_BYTES)?;
        let told = digits(header.get(148..156)?, 8)?;
        let bytes = header.iter().enumerate();
        // The checksum counts itself as blanks.
        let sum =
            bytes.map(|(i, byte)| if (148..156).contains(&i) { 32 } else { u64::from(*byte) }).sum::<u64>();
        Some(told == sum)
    };
    begins(image, at + 257, b"ustar") && sum() == Some(true)
}

/// Goes over an entry; returns where the next one begins.
fn entry(scan: &mut Scan<'_>, image: &[u8], at: u64, said: &mut Said) -> Option<u64> {
    let kind = byte(image, at + 156)?;
    let len = said.len.filter(|_| !matches!(kind, b'x' | b'g' | b'L' | b'K'));
    let len = len.or_else(|| number(slice(image, at + 124, 12)?))?;
    let mut data = at + BLOCK_BYTES;
    if kind == b'S' {
        // GNU's sparse files: the map goes on in blocks of its own, then comes what is stored.
        let mut more = byte(image, at + 482)? != 0;
        while more {
            scan.meter.step()?;
            more = byte(image, data + 504)? != 0;
            data += BLOCK_BYTES;
        }
    }
    // Links, devices and directories have no data, whatever they say.
    let len = if matches!(kind, b'1'..=b'6') { 0 } else { len };
    let end = data.checked_add(len).filter(|end| *end <= length(image))?;
    match kind {
        b'L' => said.path = Some(text(slice(image, data, len.min(EXTENSION_BYTES_MAX))?)),
        b'x' => pax(slice(image, data, len.min(EXTENSION_BYTES_MAX))?, said),
        b'g' | b'K' => {}
        b'0' | b'7' | b'S' | 0 => {
            let path = said.path.take().or_else(|| path(image, at))?;
            *said = Said::default();
            if len > 0 {
                scan.member(image, path, data, len)?;
            }
        }
        _ => *said = Said::default(),
    }
    at.checked_add(round_up(end - at, BLOCK_BYTES)?)
}

/// Returns the path of a header: its prefix, where there is one, and its name.
fn path(image: &[u8], at: u64) -> Option<String> {
    let name = text(slice(image, at, 100)?);
    // GNU's own variant ("ustar  ") keeps other things where POSIX has the prefix.
    let prefix =
        if begins(image, at + 257, b"ustar\0") { text(slice(image, at + 345, 155)?) } else { String::new() };
    Some(if prefix.is_empty() { name } else { format!("{prefix}/{name}") })
}

/// Reads a number: octal, or with its top bit set big endian (GNU).
fn number(field: &[u8]) -> Option<u64> {
    let [first, rest @ ..] = field else { return None };
    if *first == 0x80 {
        let low = array::<8>(rest, u64::try_from(rest.len()).ok()?.checked_sub(8)?)?;
        return Some(u64::from_be_bytes(low));
    }
    digits(field, 8)
}

/// Reads pax records, "length key=value\n" (POSIX.1-2017 pax, "pax Extended Header").
fn pax(mut records: &[u8], said: &mut Said) {
    while let Some(blank) = records.iter().take(20).position(|byte| *byte == b' ') {
        let len =
            records.get(..blank).and_then(|len| digits(len, 10)).and_then(|len| usize::try_from(len).ok());
        let Some(len) = len.filter(|len| *len > blank + 1) else { return };
        let Some(record) = records.get(blank + 1..len - 1) else { return };
        if let Some(value) = record.strip_prefix(b"path=") {
            said.path = Some(text(value));
        } else if let Some(value) = record.strip_prefix(b"size=") {
            said.len = digits(value, 10);
        }
        records = records.get(len..).unwrap_or_default();
    }
}
