//! Discs: ISO 9660 with Rock Ridge or Joliet.
//!
//! In: an image. Out: its tree; contents are windows. Refuses directories that contain themselves.
//!
//! ECMA-119; Rock Ridge Interchange Protocol 1.12; Joliet Specification. Rock Ridge is taken where it is there, since it
//! has modes and links; else Joliet, which has long names; else the names of eight letters.

use std::collections::BTreeSet;

use crate::bytes::{Bytes, Fields};
use crate::door::{Content, Door, Found, FoundKind};
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};
use crate::path::{PATH_DEPTH_MAX, PathError};
use crate::report::{Owner, Why};

pub(crate) static FORMAT: Format = Format {
    name: "ISO 9660",
    extension: "iso",
    magics: &[(0x8001, b"CD001")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let head = bytes.vec(SYSTEM, 2048).ok()?;
        let fields = Fields::little(&head);
        let length = u64::from(fields.u32(80)) * u64::from(fields.u16(128));
        let is_sane = matches!(fields.u16(128), 512 | 1024 | 2048) && length > SYSTEM;
        is_sane.then(|| Claim::new("ISO 9660", length))
    },
    unpack: Unpack::Tree(walk),
};

/// Where the descriptors begin: behind sixteen sectors for the boot loader.
const SYSTEM: u64 = 0x8000;

const SECTOR: u64 = 2048;

/// Most descriptors.
const DESCRIPTORS_MAX: u64 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Plain,
    Joliet,
}

struct Volume<'a> {
    bytes: Bytes<'a>,
    block: u64,
    names: Names,
    /// Bytes before the entries of Rock Ridge in each record.
    skipped: usize,
}

/// A directory record.
struct Record {
    name: Vec<u8>,
    start: u64,
    length: u64,
    is_directory: bool,
    is_continued: bool,
    rock: Rock,
}

/// What Rock Ridge says of an entry.
#[derive(Default)]
struct Rock {
    name: Option<Vec<u8>>,
    mode: Option<u32>,
    owner: Option<Owner>,
    target: Option<Vec<u8>>,
    /// It was moved elsewhere, since the tree was too deep.
    is_moved: bool,
    child: Option<u64>,
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let primary = bytes.vec(SYSTEM, SECTOR)?;
    let fields = Fields::little(&primary);
    let mut volume =
        Volume { bytes: bytes.clone(), block: u64::from(fields.u16(128)), names: Names::Plain, skipped: 0 };
    let mut root = fields.slice(156, 34).to_vec();
    let first = u64::from(fields.u32(158)) * volume.block;
    match rock_ridge(bytes, first) {
        Some(skipped) => volume.skipped = skipped,
        None => {
            if let Some(joliet) = joliet(bytes) {
                (root, volume.names) = (joliet, Names::Joliet);
            }
        }
    }
    let root = Fields::little(&root);
    let place = (u64::from(root.u32(2)) * volume.block, u64::from(root.u32(10)));
    let mut seen = BTreeSet::new();
    let mut directories = vec![(Vec::new(), 0, place)];
    while let Some((path, depth, (start, length))) = directories.pop() {
        if !seen.insert(start) {
            door.tolerate(&path, Err(bad("a directory contains itself, or stands twice")))?;
            continue;
        }
        if depth > PATH_DEPTH_MAX {
            door.skip(&path, Why::Path(PathError::TooDeep))?;
            continue;
        }
        let mut below = Vec::new();
        walk_directory(&volume, &path, &bytes.slice(start, length), door, &mut below)?;
        below.reverse();
        directories.extend(below.into_iter().map(|(path, place)| (path, depth + 1, place)));
    }
    Ok(())
}

/// Says how many bytes of each record to leave out, where there is Rock Ridge: the root's own record begins with `SP`.
fn rock_ridge(bytes: &Bytes<'_>, root: u64) -> Option<usize> {
    let record = bytes.head(root, 255);
    let fields = Fields::little(&record);
    let system = fields.slice(34, usize::from(fields.u8(0)).saturating_sub(34));
    let at = system.windows(6).position(|window| window.starts_with(b"SP\x07\x01\xbe\xef"))?;
    Some(usize::from(Fields::little(system).u8(at + 6)))
}

/// The record of the root with names in Unicode: the escapes say so.
fn joliet(bytes: &Bytes<'_>) -> Option<Vec<u8>> {
    (1..DESCRIPTORS_MAX).find_map(|index| {
        let descriptor = bytes.vec(SYSTEM + index * SECTOR, SECTOR).ok()?;
        let fields = Fields::little(&descriptor);
        let is_joliet =
            descriptor.starts_with(b"\x02CD001") && matches!(fields.slice(88, 3), b"%/@" | b"%/C" | b"%/E");
        is_joliet.then(|| fields.slice(156, 34).to_vec())
    })
}

fn walk_directory(
    volume: &Volume<'_>,
    path: &[u8],
    directory: &Bytes<'_>,
    door: &mut Door<'_, '_>,
    below: &mut Vec<(Vec<u8>, (u64, u64))>,
) -> Result<(), Halt> {
    let mut at = 0;
    // The extents of a file that has several; all but the last say that more follow.
    let mut extents: Vec<(u64, Bytes<'_>)> = Vec::new();
    let mut total = 0;
    while at < directory.length() {
        door.step()?;
        let length = directory.u8(at).unwrap_or(0);
        if length == 0 {
            // Records do not cross sectors.
            at = (at + 1).next_multiple_of(SECTOR);
            continue;
        }
        let bytes = directory.head(at, u64::from(length));
        at += u64::from(length);
        let Some(record) = record(volume, &bytes) else { continue };
        let mut full = path.to_vec();
        if !full.is_empty() {
            full.push(b'/');
        }
        full.extend(record.rock.name.as_ref().unwrap_or(&record.name));
        if record.rock.is_moved {
            continue;
        }
        extents.push((total, volume.bytes.slice(record.start, record.length)));
        total += record.length;
        if record.is_continued {
            continue;
        }
        let content = crate::bytes::Pieces::joined(total, 0, std::mem::take(&mut extents));
        total = 0;
        offer(volume, &full, &record, content, door, below)?;
    }
    Ok(())
}

fn offer(
    volume: &Volume<'_>,
    path: &[u8],
    record: &Record,
    content: Bytes<'_>,
    door: &mut Door<'_, '_>,
    below: &mut Vec<(Vec<u8>, (u64, u64))>,
) -> Result<(), Halt> {
    let rock = &record.rock;
    let found =
        |kind| Found { path: path.to_vec(), mode: rock.mode.unwrap_or(0o555), owner: rock.owner, kind };
    if let Some(target) = &rock.target {
        return door.offer_bare(found(FoundKind::Symlink { target: target.clone() }));
    }
    if let Some(child) = rock.child {
        // A directory that was moved: its own record stands at the start of its content.
        let start = child.saturating_mul(volume.block);
        let head = volume.bytes.head(start, 34);
        below.push((path.to_vec(), (start, u64::from(Fields::little(&head).u32(10)))));
        return door.offer_bare(found(FoundKind::Directory));
    }
    if record.is_directory {
        below.push((path.to_vec(), (record.start, record.length)));
        return door.offer_bare(found(FoundKind::Directory));
    }
    match rock.mode.map_or(0o100_000, |mode| mode & 0o170_000) {
        0o100_000 | 0 => {
            door.offer(found(FoundKind::File { size: content.length() }), Content::Window(content))
        }
        _ => door.offer_bare(found(FoundKind::Special)),
    }
}

/// Reads a record; `None` for those of the directory itself and the one above.
fn record(volume: &Volume<'_>, bytes: &[u8]) -> Option<Record> {
    let fields = Fields::little(bytes);
    let name_bytes = usize::from(fields.u8(32));
    let raw = fields.slice(33, name_bytes);
    if raw.is_empty() || matches!(raw, [0 | 1]) {
        return None;
    }
    let name = match volume.names {
        Names::Joliet => {
            let units: Vec<u16> = raw.chunks_exact(2).map(|unit| Fields::big(unit).u16(0)).collect();
            String::from_utf16_lossy(&units).into_bytes()
        }
        Names::Plain => raw.to_vec(),
    };
    // A version follows a semicolon, and a dot stands where there is no extension.
    let name = name.split(|byte| *byte == b';').next().unwrap_or_default();
    let name = name.strip_suffix(b".").filter(|stem| !stem.is_empty()).unwrap_or(name).to_vec();
    let system = (33 + name_bytes).next_multiple_of(2) + volume.skipped;
    Some(Record {
        name,
        start: u64::from(fields.u32(2)) * volume.block,
        length: u64::from(fields.u32(10)),
        is_directory: fields.u8(25) & 2 != 0,
        is_continued: fields.u8(25) & 0x80 != 0,
        rock: if volume.names == Names::Plain {
            rock(volume, bytes.get(system..).unwrap_or_default())
        } else {
            Rock::default()
        },
    })
}

/// Reads the entries of Rock Ridge, and where they go on (`CE`).
fn rock(volume: &Volume<'_>, system: &[u8]) -> Rock {
    let mut rock = Rock::default();
    let mut area = system.to_vec();
    // Real records go on once or twice.
    for _ in 0..8 {
        let mut next = None;
        let mut rest = area.as_slice();
        while let Some(length) = rest.get(2).map(|length| usize::from(*length)).filter(|length| *length >= 4)
        {
            let Some((entry, behind)) = rest.split_at_checked(length) else { break };
            rest = behind;
            let fields = Fields::little(entry);
            match entry.first_chunk::<2>() {
                Some(b"NM") => {
                    // Flags 2 and 4 stand for `.` and `..`.
                    let name = rock.name.get_or_insert_default();
                    name.extend_from_slice(entry.get(5..).unwrap_or_default());
                }
                Some(b"PX") => {
                    rock.mode = Some(fields.u32(4));
                    rock.owner = Some(Owner { user: fields.u32(20), group: fields.u32(28) });
                }
                Some(b"SL") => {
                    take_target(entry.get(5..).unwrap_or_default(), rock.target.get_or_insert_default());
                }
                Some(b"RE") => rock.is_moved = true,
                Some(b"CL") => rock.child = Some(u64::from(fields.u32(4))),
                Some(b"CE") => {
                    let place = u64::from(fields.u32(4)) * volume.block + u64::from(fields.u32(12));
                    next = Some(volume.bytes.head(place, u64::from(fields.u32(20)).min(SECTOR)));
                }
                _ => {}
            }
        }
        match next {
            Some(bytes) => area = bytes,
            None => break,
        }
    }
    rock
}

/// Adds the components of a link's target.
fn take_target(mut components: &[u8], target: &mut Vec<u8>) {
    while let Some([flags, length]) = components.first_chunk::<2>() {
        let text = components.get(2..2 + usize::from(*length)).unwrap_or_default();
        let is_root = flags & 8 != 0;
        if !target.is_empty() && !target.ends_with(b"/") {
            target.push(b'/');
        }
        match flags & 0xe {
            2 => target.push(b'.'),
            4 => target.extend(b".."),
            _ if is_root => target.push(b'/'),
            _ => target.extend(text),
        }
        components = components.get(2 + usize::from(*length)..).unwrap_or_default();
    }
}
