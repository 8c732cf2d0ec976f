//! cpio archives of the "new ASCII" formats: initramfs, SWUpdate's `.swu`, RPM payloads.
//!
//! In: an image and a place. Out: the regular files as raw members, each looked into. Refuses what does not begin with a
//! header that is wholly in order; an archive that breaks off later keeps the files up to there.

use super::Scan;
use super::bytes::{array, digits, length, round_up, slice, text};

/// The length of a header (`man 5 cpio`, "New ASCII Format").
const HEADER_BYTES: u64 = 110;

/// The longest name: the longest path of Linux.
const NAME_BYTES_MAX: u64 = 4_096;

/// The bits of a mode that tell the type of a file, and a regular file.
const TYPE_MASK: u64 = 0o170_000;
const REGULAR: u64 = 0o100_000;

struct Entry {
    name: String,
    mode: u64,
    data: u64,
    len: u64,
    next: u64,
}

/// Looks for an archive; returns where it ends: behind its trailer, or where it breaks off.
pub(super) fn look(scan: &mut Scan<'_>, image: &[u8], start: u64) -> Option<u64> {
    entry(image, start, start)?;
    let mut at = start;
    while let Some(entry) = entry(image, start, at) {
        scan.meter.step()?;
        at = entry.next.min(length(image));
        if entry.name == "TRAILER!!!" {
            break;
        }
        if entry.mode & TYPE_MASK == REGULAR && entry.len > 0 {
            scan.member(image, entry.name, entry.data, entry.len)?;
        }
    }
    Some(at)
}

/// Reads the entry at a place of the archive that begins at `start`: everything is aligned from there.
fn entry(image: &[u8], start: u64, at: u64) -> Option<Entry> {
    if !matches!(&array(image, at)?, b"070701" | b"070702") {
        return None;
    }
    let field = |index: u64| digits(slice(image, at + 6 + 8 * index, 8)?, 16);
    let (mode, len, name_len) = (field(1)?, field(6)?, field(11)?);
    if !(1..=NAME_BYTES_MAX).contains(&name_len) {
        return None;
    }
    let name = slice(image, at + HEADER_BYTES, name_len)?;
    if name.last() != Some(&0) {
        return None;
    }
    let data = start + round_up(at - start + HEADER_BYTES + name_len, 4)?;
    let end = data.checked_add(len).filter(|end| *end <= length(image))?;
    let next = start + round_up(end - start, 4)?;
    Some(Entry { name: text(name), mode, data, len, next })
}
