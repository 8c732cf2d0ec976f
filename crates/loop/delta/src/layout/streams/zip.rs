//! zip archives, read from front to back.
//!
//! In: an image and a place. Out: stored members as raw files, each looked into, and packed members as packed files.
//! Refuses what does not begin with a member; encrypted members and methods that nobody uses stay raw.

use super::bytes::{array, begins, head, le16, le32, le64, length, slice, tail};
use super::sizes::{self, Measured};
use super::{Piece, Scan};
use crate::codec::Hint;

/// The header of a member (APPNOTE 6.3.10 section 4.3.7) and of its entry in the directory (section 4.3.12).
const MEMBER: [u8; 4] = *b"PK\x03\x04";
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
/// The ends of the directory: zip64's, its locator, the classic one (sections 4.3.14 to 4.3.16).
const END64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR64: [u8; 4] = *b"PK\x06\x07";
const END: [u8; 4] = *b"PK\x05\x06";

/// What a header tells of a member.
struct Member {
    flags: u64,
    method: u64,
    packed_len: u64,
    plain_len: u64,
    path: String,
    data: u64,
}

/// Looks for an archive; returns where it ends.
pub(super) fn look(scan: &mut Scan<'_>, image: &[u8], start: u64) -> Option<u64> {
    let mut at = start;
    while begins(image, at, &MEMBER) {
        scan.meter.step()?;
        let Some(next) = member(scan, image, at) else { break };
        at = next;
    }
    (at > start).then(|| directory(scan, image, at))
}

/// Goes over a member; returns its end.
fn member(scan: &mut Scan<'_>, image: &[u8], at: u64) -> Option<u64> {
    let mut member = header(image, at)?;
    let streamed = member.flags & 8 != 0 && member.packed_len == 0;
    let bytes = tail(image, member.data)?;
    if streamed {
        // The lengths come behind the data: only a stream tells its own end (section 4.4.4, bit 3).
        let Measured { packed_len, plain_len } = match member.method {
            8 => sizes::deflate(bytes, &mut scan.meter)?,
            93 => sizes::zstd(bytes, &mut scan.meter)?,
            95 => sizes::xz(bytes, &mut scan.meter)?,
            _ => return None,
        };
        (member.packed_len, member.plain_len) = (packed_len, plain_len);
    }
    let end = member.data.checked_add(member.packed_len).filter(|end| *end <= length(image))?;
    let hint = match member.method {
        // Encrypted members (bit 0) are noise.
        _ if member.flags & 1 != 0 => None,
        8 => Some(Hint::Deflate),
        93 => Some(Hint::Zstd),
        95 => Some(Hint::Xz(None)),
        _ => None,
    };
    let lengths = Measured { packed_len: member.packed_len, plain_len: member.plain_len };
    match hint {
        Some(hint) if lengths.plain_len > 0 => {
            let index = scan.list(member.data, lengths, hint)?;
            scan.add(member.path, vec![Piece::InPacked { index, skip: 0, len: lengths.plain_len }])?;
        }
        _ => scan.member(head(image, end), member.path, member.data, member.packed_len)?,
    }
    Some(if member.flags & 8 != 0 { descriptor(image, end) } else { end })
}

fn header(image: &[u8], at: u64) -> Option<Member> {
    let (flags, method) = (le16(image, at + 6)?, le16(image, at + 8)?);
    let (mut packed_len, mut plain_len) = (le32(image, at + 18)?, le32(image, at + 22)?);
    let (name_len, extra_len) = (le16(image, at + 26)?, le16(image, at + 28)?);
    let name = slice(image, at + 30, name_len)?;
    let extra = slice(image, at + 30 + name_len, extra_len)?;
    // Zip64 (section 4.5.3): both lengths stand in an extra field, the plain one first.
    if packed_len == 0xffff_ffff || plain_len == 0xffff_ffff {
        let field = zip64(extra)?;
        (plain_len, packed_len) = (le64(field, 0)?, le64(field, 8)?);
    }
    let path = String::from_utf8_lossy(name).into_owned();
    let data = at + 30 + name_len + extra_len;
    let fits = plain_len <= sizes::PLAIN_BYTES_MAX && data <= length(image);
    fits.then_some(Member { flags, method, packed_len, plain_len, path, data })
}

/// Finds the extra field of zip64.
fn zip64(extra: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        let (id, len) = (le16(extra, at)?, le16(extra, at + 2)?);
        if id == 1 {
            return slice(extra, at + 4, len);
        }
        at += 4 + len;
    }
}

/// Goes over the descriptor behind a member, with or without its magic, with 32-bit or 64-bit lengths.
fn descriptor(image: &[u8], end: u64) -> u64 {
    let magic_len = if begins(image, end, &DESCRIPTOR) { 4 } else { 0 };
    let follows = |at: u64| begins(image, at, &MEMBER) || begins(image, at, &ENTRY);
    let ends = [end + magic_len + 12, end + magic_len + 20];
    ends.into_iter().find(|at| follows(*at)).unwrap_or(end)
}

/// Goes over the directory; returns where it ends, or where it breaks off.
fn directory(scan: &mut Scan<'_>, image: &[u8], start: u64) -> u64 {
    let mut at = start;
    while let Some(len) = directory_record(image, at).filter(|len| *len <= length(image) - at) {
        at += len;
        if scan.meter.step().is_none() {
            break;
        }
    }
    at
}

/// Returns the length of a record of the directory.
fn directory_record(image: &[u8], at: u64) -> Option<u64> {
    match array::<4>(image, at)? {
        ENTRY => Some(46 + le16(image, at + 28)? + le16(image, at + 30)? + le16(image, at + 32)?),
        END64 => le64(image, at + 4)?.checked_add(12),
        LOCATOR64 => Some(20),
        END => Some(22 + le16(image, at + 20)?),
        _ => None,
    }
}
