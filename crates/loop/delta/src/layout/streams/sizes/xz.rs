//! The lengths of an .xz stream (the .xz file format, version 1.2.1), read from its own headers.
//!
//! In: bytes. Out: both lengths. Refuses a stream of which any header, the index or the footer does not fit: the CRCs and
//! the index make an accident impossible, so that nothing need be unpacked.

use super::super::bytes::{array, be16, byte, le32, length, round_up};
use super::{Measured, Meter, sealed};

/// The filter that packs: it stands last in every block (section 5.3.1).
const LZMA2: u64 = 0x21;

/// The most filters of a block (section 3.1.2).
const FILTERS_MAX: u64 = 4;

/// Measures a stream: header, blocks, index, footer.
pub(in super::super) fn stream(bytes: &[u8], meter: &mut Meter) -> Option<Measured> {
    let [0xfd, b'7', b'z', b'X', b'Z', 0, 0, check] = array(bytes, 0)? else { return None };
    let check_len = match check {
        0 => 0,
        1..=15 => 4_u64 << ((check - 1) / 3),
        _ => return None,
    };
    if !sealed(bytes, 6, 2)? {
        return None;
    }
    let (mut at, mut plain_len, mut blocks) = (12, 0_u64, 0_u64);
    while byte(bytes, at)? != 0 {
        meter.step()?;
        let (data_len, block_plain_len) = block(bytes, at, meter)?;
        at += round_up(data_len, 4)? + check_len;
        plain_len = plain_len.checked_add(block_plain_len)?;
        blocks += 1;
    }
    let index_len = index(bytes, at, blocks, plain_len, meter)?;
    let end = at + index_len + 12;
    let footer = end - 12;
    let right = sealed_footer(bytes, footer)?
        && (le32(bytes, footer + 4)? + 1) * 4 == index_len
        && array(bytes, footer + 8)? == [0, check, b'Y', b'Z'];
    if right { Measured::new(end, plain_len) } else { None }
}

/// The CRC of the footer stands before what it covers (section 2.1.2.1).
fn sealed_footer(bytes: &[u8], footer: u64) -> Option<bool> {
    let covered = array::<6>(bytes, footer + 4)?;
    Some(super::crc32(&[&covered]) == le32(bytes, footer)?)
}

/// Walks over a block; returns the length of its header and data, and what it unpacks to.
fn block(bytes: &[u8], start: u64, meter: &mut Meter) -> Option<(u64, u64)> {
    let header_len = (u64::from(byte(bytes, start)?) + 1) * 4;
    meter.pay(header_len)?;
    if !sealed(bytes, start, header_len - 4)? {
        return None;
    }
    let flags = byte(bytes, start + 1)?;
    let mut at = start + 2;
    // Section 3.1.2: reserved bits are zero. The sizes are optional; the walk finds them anyway.
    if flags & 0x3c != 0 {
        return None;
    }
    for size in [0x40, 0x80] {
        if flags & size != 0 {
            number(bytes, &mut at)?;
        }
    }
    let count = u64::from(flags & 3) + 1;
    let mut last = 0;
    for _ in 0..count.min(FILTERS_MAX) {
        last = number(bytes, &mut at)?;
        let properties_len = number(bytes, &mut at)?;
        at = at.checked_add(properties_len)?;
    }
    if last != LZMA2 || at > start + header_len - 4 {
        return None;
    }
    let (end, plain_len) = chunks(bytes, start + header_len, meter)?;
    Some((end - start, plain_len))
}

/// Walks over LZMA2 chunks up to the one that ends them; returns where that is, and what they unpack to.
fn chunks(bytes: &[u8], start: u64, meter: &mut Meter) -> Option<(u64, u64)> {
    let (mut at, mut plain_len) = (start, 0_u64);
    loop {
        let control = u64::from(byte(bytes, at)?);
        if control == 0 {
            return Some((at + 1, plain_len));
        }
        meter.step()?;
        let size = be16(bytes, at + 1)?;
        if control >= 0x80 {
            let packed = be16(bytes, at + 3)?;
            let properties_len = u64::from(control >= 0xc0);
            plain_len += ((control & 0x1f) << 16) + size + 1;
            at += 5 + properties_len + packed + 1;
        } else if control <= 2 {
            plain_len += size + 1;
            at += 3 + size + 1;
        } else {
            return None;
        }
        if at >= length(bytes) {
            return None;
        }
    }
}

/// Checks the index against what was seen; returns its length.
fn index(bytes: &[u8], start: u64, blocks: u64, plain_len: u64, meter: &mut Meter) -> Option<u64> {
    let mut at = start + 1;
    if number(bytes, &mut at)? != blocks {
        return None;
    }
    let mut sum = 0_u64;
    for _ in 0..blocks {
        meter.step()?;
        number(bytes, &mut at)?;
        sum = sum.checked_add(number(bytes, &mut at)?)?;
    }
    let padded = round_up(at - start, 4)?;
    (sum == plain_len && sealed(bytes, start, padded)?).then_some(padded + 4)
}

/// Reads a number of one to nine bytes (section 1.2), and goes behind it.
fn number(bytes: &[u8], at: &mut u64) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let byte = byte(bytes, *at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return (byte != 0 || shift == 0).then_some(value);
        }
    }
    None
}
