//! tar archives (POSIX.1-2001 pax, GNU, and older), as a stream.
//!
//! In: a stream of bytes. Out: its entries through the door. Refuses long names and pax records beyond what a path
//! needs; the `tar` crate frames the entries, and names are put together here, so that nothing hostile is held.

use std::io::{self, Read};

use tar::EntryType;

use crate::bytes::Bytes;
use crate::door::{Content, Door, Found, FoundKind, TARGET_BYTES_MAX};
use crate::error::Halt;
use crate::format::{Carve, Claim, Format, Unpack};
use crate::report::Owner;

pub(crate) static FORMAT: Format = Format {
    name: "tar",
    extension: "tar",
    magics: &[],
    // The mark `ustar` is not at the start, and the oldest archives have none: the checksum of the first header tells.
    carve: Carve::AtStart,
    claim: |bytes| is_tar(bytes).then(|| Claim::open_ended("tar")),
    unpack: Unpack::Archive(walk),
};

/// Tells a tar header by its checksum (POSIX.1-1988 and later; the oldest archives have no magic).
fn is_tar(bytes: &Bytes<'_>) -> bool {
    let Some(header) = bytes.array::<512>(0) else { return false };
    let Some(field) = header.get(148..156) else { return false };
    let text: String = field.iter().map(|byte| char::from(*byte)).collect();
    let Ok(said) = u32::from_str_radix(text.trim_matches([' ', '\0']), 8) else { return false };
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let field_sum: u32 = field.iter().map(|byte| u32::from(*byte)).sum();
    header.first() != Some(&0) && sum - field_sum + 8 * u32::from(b' ') == said
}

/// Longest pax record block or GNU long name, in bytes. 64 KiB: real ones hold a path, times and some attributes.
const EXTENSION_BYTES_MAX: u64 = 64 * 1024;

/// What extension entries say about the entry that follows.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

/// Walks an archive.
fn walk(reader: &mut dyn Read, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let mut archive = tar::Archive::new(reader);
    let damaged = Halt::Read;
    let mut extension = Extension::default();
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader) {
            let bytes = read_extension(&mut entry).map_err(damaged)?;
            extension.take(kind, bytes);
            continue;
        }
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let extension = std::mem::take(&mut extension);
        let path = extension.path.unwrap_or_else(|| entry.header().path_bytes().into_owned());
        let target = extension
            .target
            .or_else(|| entry.header().link_name_bytes().map(std::borrow::Cow::into_owned))
            .unwrap_or_default();
        let mode = entry.header().mode().map_err(damaged)?;
        let size = entry.size();
        let kind = match kind {
            // Before POSIX.1-1988 a directory was a file whose name ends in a slash.
            EntryType::Regular if path.ends_with(b"/") => FoundKind::Directory,
            EntryType::Regular | EntryType::Continuous => FoundKind::File { size },
            EntryType::Directory => FoundKind::Directory,
            EntryType::Symlink => FoundKind::Symlink { target: cut(target) },
            EntryType::Link => FoundKind::HardLink { target: cut(target) },
            _ => FoundKind::Special,
        };
        let number = |number: io::Result<u64>| number.ok().and_then(|number| u32::try_from(number).ok());
        let owner = match (number(entry.header().uid()), number(entry.header().gid())) {
            (Some(user), Some(group)) => Some(Owner { user, group }),
            _ => None,
        };
        door.offer(Found { path, mode, owner, kind }, Content::Stream(&mut entry))?;
    }
    Ok(())
}

/// A target that is too long becomes one that no check lets pass.
fn cut(target: Vec<u8>) -> Vec<u8> {
    if target.len() as u64 > TARGET_BYTES_MAX { vec![0] } else { target }
}

fn read_extension(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(EXTENSION_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > EXTENSION_BYTES_MAX {
        return Err(io::Error::other(format!(
            "a long name or pax record has more than {EXTENSION_BYTES_MAX} bytes"
        )));
    }
    Ok(bytes)
}

impl Extension {
    fn take(&mut self, kind: EntryType, mut bytes: Vec<u8>) {
        match kind {
            EntryType::XHeader => self.take_pax(&bytes),
            EntryType::GNULongName | EntryType::GNULongLink => {
                if bytes.last() == Some(&0) {
                    bytes.pop();
                }
                if kind == EntryType::GNULongName {
                    self.path = Some(bytes);
                } else {
                    self.target = Some(bytes);
                }
            }
            _ => {}
        }
    }

    /// "%d %s=%s\n" records, their length first (POSIX.1-2001 pax, "Extended Header").
    fn take_pax(&mut self, mut bytes: &[u8]) {
        while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
            let length =
                bytes.get(..space).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<usize>().ok());
            let Some((record, rest)) = length.and_then(|length| bytes.split_at_checked(length)) else {
                return;
            };
            let record = record.get(space + 1..).unwrap_or_default();
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            if let Some(path) = record.strip_prefix(b"path=") {
                self.path = Some(path.to_vec());
            } else if let Some(target) = record.strip_prefix(b"linkpath=") {
                self.target = Some(target.to_vec());
            }
            bytes = rest;
        }
    }
}
