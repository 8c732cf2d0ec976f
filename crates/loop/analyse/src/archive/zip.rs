//! zip archives, and what is one by another name: jar, apk of Android, docx.
//!
//! In: an archive. Out: its entries. Refuses encrypted entries, methods other than store and deflate, and tables that lead
//! outside. The directory at the end counts; where it is missing, the entries are read one after the other.
//!
//! PKWARE's "APPNOTE.TXT" 6.3.10.

use std::io::{self, Read};

use crate::bytes::{Bytes, Endian, Fields};
use crate::door::{Content, Door, Found, FoundKind, TARGET_BYTES_MAX};
use crate::error::{Halt, bad, early};
use crate::format::{Carve, Claim, Format, Unpack};

pub(crate) static FORMAT: Format = Format {
    name: "zip",
    extension: "zip",
    magics: &[(0, b"PK\x03\x04"), (0, b"PK\x05\x06")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let is_sane = bytes.has(0, b"PK\x05") || bytes.u16(Endian::Little, 4)? & 0xff <= 63;
        let length = directory(bytes).map_or(bytes.length(), |directory| directory.length);
        is_sane.then(|| Claim::new("zip", length))
    },
    unpack: Unpack::Tree(walk),
};

/// How far the end of the directory may stand from the end of the archive: a comment of 64 KiB, searched from the front
/// in pieces.
const SEARCHED_BYTES: usize = 256 * 1024;

/// Most bytes that are searched for the end of the directory in something that goes on behind it.
const SEARCHED_BYTES_MAX: u64 = 1 << 30;

struct Directory {
    at: u64,
    entries: u64,
    /// What is to be added to all offsets: something may stand before the archive.
    base: u64,
    length: u64,
}

/// Finds the end of the directory: behind the last entry, but something may follow.
fn directory(bytes: &Bytes<'_>) -> Option<Directory> {
    let from_back = bytes.length().saturating_sub(22 + 0xffff);
    let head = bytes.head(from_back, 22 + 0xffff);
    let last = head.windows(4).rposition(|mark| mark == b"PK\x05\x06");
    let found = last.and_then(|at| read_end(bytes, from_back + at as u64));
    found.or_else(|| search(bytes))
}

fn search(bytes: &Bytes<'_>) -> Option<Directory> {
    let mut at = 0;
    let mut buffer = vec![0; SEARCHED_BYTES];
    while at < bytes.length().min(SEARCHED_BYTES_MAX) {
        let count = bytes.read_some(at, &mut buffer).ok()?;
        let window = buffer.get(..count)?;
        let mut marks = window.windows(4).enumerate().filter(|(_, mark)| *mark == b"PK\x05\x06");
        let found = marks.find_map(|(index, _)| read_end(bytes, at + index as u64));
        if found.is_some() || count <= 4 {
            return found;
        }
        at += count as u64 - 3;
    }
    None
}

/// Reads the end of the directory (section 4.3.16), and its larger form (4.3.14).
fn read_end(bytes: &Bytes<'_>, at: u64) -> Option<Directory> {
    let end = bytes.array::<22>(at)?;
    let fields = Fields::little(&end);
    let (mut entries, mut size, mut offset) =
        (u64::from(fields.u16(10)), u64::from(fields.u32(12)), u64::from(fields.u32(16)));
    let length = at + 22 + u64::from(fields.u16(20));
    let mut directory_end = at;
    let is_large = entries == 0xffff || size == 0xffff_ffff || offset == 0xffff_ffff;
    let locator = at.checked_sub(20).filter(|locator| is_large && bytes.has(*locator, b"PK\x06\x07"));
    if let Some(locator) = locator {
        let large = bytes.u64(Endian::Little, locator + 8)?;
        let head = bytes.array::<56>(large).filter(|head| head.starts_with(b"PK\x06\x06"))?;
        let fields = Fields::little(&head);
        (entries, size, offset) = (fields.u64(32), fields.u64(40), fields.u64(48));
        directory_end = large;
    }
    let start = directory_end.checked_sub(size)?;
    let base = start.checked_sub(offset)?;
    let is_sane = entries == 0 || bytes.has(start, b"PK\x01\x02");
    is_sane.then_some(Directory { at: start, entries, base, length })
}

/// An entry, from either header.
struct Entry {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    packed: u64,
    unpacked: u64,
    mode: u32,
    header: u64,
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let Some(directory) = directory(bytes) else { return walk_forward(bytes, door) };
    let mut at = directory.at;
    for _ in 0..directory.entries {
        door.step()?;
        let head = bytes.vec(at, 46)?;
        let fields = Fields::little(&head);
        if !head.starts_with(b"PK\x01\x02") {
            return Err(bad("its directory ends early"));
        }
        let (name, extra, comment) =
            (u64::from(fields.u16(28)), u64::from(fields.u16(30)), u64::from(fields.u16(32)));
        let mut entry = Entry {
            name: bytes.vec(at + 46, name)?,
            flags: fields.u16(8),
            method: fields.u16(10),
            packed: u64::from(fields.u32(20)),
            unpacked: u64::from(fields.u32(24)),
            // Made on a Unix: the upper half of the attributes is a mode.
            mode: if fields.u8(5) == 3 { fields.u32(38) >> 16 } else { 0 },
            header: u64::from(fields.u32(42)),
        };
        enlarge(&mut entry, &bytes.vec(at + 46 + name, extra)?);
        at += 46 + name + extra + comment;
        let end = offer(bytes, directory.base, &entry, door);
        door.tolerate(&entry.name, end)?;
    }
    Ok(())
}

/// Takes the large numbers of an entry (section 4.5.3): only those that did not fit are there.
fn enlarge(entry: &mut Entry, extra: &[u8]) {
    let mut rest = extra;
    while rest.len() >= 4 {
        let fields = Fields::little(rest);
        let (kind, size) = (fields.u16(0), usize::from(fields.u16(2)));
        if kind == 1 {
            let mut at = 4;
            for number in [&mut entry.unpacked, &mut entry.packed, &mut entry.header] {
                if *number == 0xffff_ffff {
                    *number = fields.u64(at);
                    at += 8;
                }
            }
            return;
        }
        rest = rest.get(4 + size..).unwrap_or_default();
    }
}

/// Reads entries one after the other, where there is no directory.
fn walk_forward(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let mut at = 0;
    while bytes.has(at, b"PK\x03\x04") {
        door.step()?;
        let head = bytes.vec(at, 30)?;
        let fields = Fields::little(&head);
        let (name, extra) = (u64::from(fields.u16(26)), u64::from(fields.u16(28)));
        let entry = Entry {
            name: bytes.vec(at + 30, name)?,
            flags: fields.u16(6),
            method: fields.u16(8),
            packed: u64::from(fields.u32(18)),
            unpacked: u64::from(fields.u32(22)),
            mode: 0,
            header: at,
        };
        if entry.flags & 8 != 0 {
            return Err(bad("its directory is missing, and an entry does not say how long it is"));
        }
        let end = at + 30 + name + extra + entry.packed;
        if end > bytes.length() {
            door.tolerate(&entry.name, Err(early()))?;
            return Err(bad("it ends early: its directory is missing"));
        }
        let offered = offer(bytes, 0, &entry, door);
        door.tolerate(&entry.name, offered)?;
        at = end;
    }
    Err(bad("its directory is missing"))
}

fn offer(bytes: &Bytes<'_>, base: u64, entry: &Entry, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let found = |kind| Found { path: entry.name.clone(), mode: entry.mode, owner: None, kind };
    if entry.name.ends_with(b"/") {
        return door.offer_bare(found(FoundKind::Directory));
    }
    if entry.flags & 1 != 0 {
        return Err(bad("it is encrypted"));
    }
    // The names may differ in length between the two headers.
    let at = base.saturating_add(entry.header);
    let head = bytes.vec(at, 30)?;
    let fields = Fields::little(&head);
    if !head.starts_with(b"PK\x03\x04") {
        return Err(bad("its header is not where the directory says"));
    }
    let start = at + 30 + u64::from(fields.u16(26)) + u64::from(fields.u16(28));
    let packed = bytes.slice(start, entry.packed);
    let mut deflated;
    let mut stored;
    let content: &mut dyn Read = match entry.method {
        0 => {
            stored = packed.reader();
            &mut stored
        }
        8 => {
            deflated = flate2::bufread::DeflateDecoder::new(packed.reader()).take(entry.unpacked);
            &mut deflated
        }
        method => return Err(bad(format!("it is packed with method {method}, which is not read"))),
    };
    if entry.mode & 0o170_000 == 0o120_000 && entry.unpacked <= TARGET_BYTES_MAX {
        let mut target = Vec::new();
        content.take(TARGET_BYTES_MAX).read_to_end(&mut target)?;
        return door.offer_bare(found(FoundKind::Symlink { target }));
    }
    let kind = FoundKind::File { size: entry.unpacked };
    if entry.method == 0 {
        return door.offer(found(kind), Content::Window(packed));
    }
    let mut whole = Whole { inner: content, left: entry.unpacked };
    door.offer(found(kind), Content::Stream(&mut whole))
}

/// A content that must be as long as its entry says.
struct Whole<'a> {
    inner: &'a mut dyn Read,
    left: u64,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}
