//! Android's boot images and sparse images.
//!
//! In: an image and a place. Out: kernel, ramdisk and device tree of a boot image, each looked into; a sparse image as one
//! file with holes. Refuses headers whose parts do not lie inside the image.

use super::bytes::{begins, le16, le32, length, round_up};
use super::{Piece, Scan};

/// The page of boot images from version 3 on.
const PAGE_BYTES: u64 = 4_096;

/// The largest page of older boot images (`mkbootimg --pagesize`).
const PAGE_BYTES_MAX: u64 = 64 << 10;

/// The most chunks of a sparse image: one of 16 GiB that alternates every 64 KiB.
const CHUNKS_MAX: u64 = 1 << 18;

/// The largest sparse image, unfolded: the largest that anything here could hold.
const SPARSE_BYTES_MAX: u64 = 64 << 30;

/// Looks for a boot image or a sparse image; returns where it ends.
pub(super) fn look(scan: &mut Scan<'_>, image: &[u8], start: u64) -> Option<u64> {
    if begins(image, start, b"ANDROID!") {
        boot(scan, image, start)
    } else if begins(image, start, &[0x3a, 0xff, 0x26, 0xed]) {
        sparse(scan, image, start)
    } else {
        None
    }
}

/// A boot image (`system/tools/mkbootimg/include/bootimg/bootimg.h`): a header page, then the parts, each from a page on.
fn boot(scan: &mut Scan<'_>, image: &[u8], start: u64) -> Option<u64> {
    let field = |offset: u64| le32(image, start + offset);
    let version = field(40)?;
    let (page, parts) = match version {
        0..=2 => {
            let overlay = if version > 0 { field(1_632)? } else { 0 };
            let tree = if version > 1 { field(1_648)? } else { 0 };
            let parts = [("kernel", field(8)?), ("ramdisk", field(16)?), ("second", field(24)?)];
            let [kernel, ramdisk, second] = parts;
            (field(36)?, vec![kernel, ramdisk, second, ("recovery_dtbo", overlay), ("dtb", tree)])
        }
        3..=4 => (PAGE_BYTES, vec![("kernel", field(8)?), ("ramdisk", field(12)?)]),
        _ => return None,
    };
    if !page.is_power_of_two() || !(PAGE_BYTES / 2..=PAGE_BYTES_MAX).contains(&page) {
        return None;
    }
    let mut at = start + page;
    for (name, len) in parts {
        scan.member(image, name.to_owned(), at, len)?;
        at += round_up(len, page)?;
    }
    Some(at.min(length(image)))
}

/// A sparse image (`system/core/libsparse/sparse_format.h`): chunks that are stored, filled, or left out.
fn sparse(scan: &mut Scan<'_>, image: &[u8], start: u64) -> Option<u64> {
    let (major, header_len, chunk_header_len) =
        (le16(image, start + 4)?, le16(image, start + 8)?, le16(image, start + 10)?);
    let (block, chunks) = (le32(image, start + 12)?, le32(image, start + 20)?);
    let usual = major == 1 && header_len >= 28 && chunk_header_len >= 12 && block > 0 && block % 4 == 0;
    if !usual || chunks > CHUNKS_MAX {
        return None;
    }
    let (mut at, mut plain_len, mut pieces) = (start + header_len, 0_u64, Vec::new());
    for _ in 0..chunks {
        scan.meter.step()?;
        let (kind, blocks, total) = (le16(image, at)?, le32(image, at + 4)?, le32(image, at + 8)?);
        let data = at + chunk_header_len;
        let end = at.checked_add(total.max(chunk_header_len)).filter(|end| *end <= length(image))?;
        let len = blocks * block;
        plain_len = plain_len.checked_add(len).filter(|sum| *sum <= SPARSE_BYTES_MAX)?;
        match kind {
            0xcac1 if len == end - data => push(&mut pieces, Piece::Raw { start: data, len }),
            0xcac3 => push(&mut pieces, Piece::Hole { len }),
            // What is filled with anything but zeros cannot be told in pieces: the file goes on without it.
            0xcac2 if le32(image, data)? == 0 => push(&mut pieces, Piece::Hole { len }),
            0xcac2 | 0xcac4 => {}
            _ => return None,
        }
        at = end;
    }
    if pieces.iter().any(|piece| matches!(piece, Piece::Raw { .. })) {
        scan.add("<sparse image>".to_owned(), pieces)?;
    }
    Some(at)
}

/// Adds a piece that holds something.
fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    match piece {
        Piece::Raw { len: 0, .. } | Piece::Hole { len: 0 } => {}
        piece => pieces.push(piece),
    }
}
