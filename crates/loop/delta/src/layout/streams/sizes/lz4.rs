//! The lengths of LZ4 streams, read from their tokens.
//!
//! In: bytes. Out: both lengths. Refuses frames that need a dictionary, blocks that refer to what was never there, and
//! whatever does not end where its headers say. Nothing is unpacked: an LZ4 token tells how long everything is.

use super::super::bytes::{array, byte, le16, le32, le64, length, slice, tail};
use super::{Measured, Meter};

/// What a block of the legacy format unpacks to; only the last one may hold less.
const LEGACY_BLOCK_BYTES: u64 = 8 << 20;

/// The shortest match (LZ4 block format).
const MATCH_BYTES_MIN: u64 = 4;

/// Measures an LZ4 frame (LZ4 frame format 1.6.4).
pub(in super::super) fn frame(bytes: &[u8], meter: &mut Meter) -> Option<Measured> {
    let [0x04, 0x22, 0x4d, 0x18, flags, size] = array(bytes, 0)? else { return None };
    // Version 01, reserved bits zero, no dictionary; blocks of 64 KiB to 4 MiB.
    let usual = flags & 0xc3 == 0x40 && size & 0x8f == 0 && size >= 0x40;
    let (checked, sized, summed) = (flags & 0x10 != 0, flags & 8 != 0, flags & 4 != 0);
    let descriptor_len = if sized { 10 } else { 2 };
    let sum = header_sum(slice(bytes, 4, descriptor_len)?);
    if !usual || byte(bytes, 4 + descriptor_len)? != sum {
        return None;
    }
    let block_len_max = 1_u64 << (8 + 2 * (size >> 4));
    let linked = flags & 0x20 == 0;
    let (mut at, mut plain_len) = (5 + descriptor_len, 0_u64);
    loop {
        meter.step()?;
        let header = le32(bytes, at)?;
        let packed_len = header & 0x7fff_ffff;
        at += 4;
        if header == 0 {
            break;
        }
        let history = if linked { plain_len } else { 0 };
        let made = if header == packed_len {
            block(slice(bytes, at, packed_len)?, history, meter)?
        } else {
            packed_len
        };
        if made > block_len_max {
            return None;
        }
        plain_len = plain_len.checked_add(made)?;
        at += packed_len + if checked { 4 } else { 0 };
    }
    at += if summed { 4 } else { 0 };
    let told = !sized || le64(bytes, 6)? == plain_len;
    if told && at <= length(bytes) { Measured::new(at, plain_len) } else { None }
}

/// Measures a legacy frame, as the Linux kernel's build makes them. It has no end mark: it ends behind the first block
/// that holds less than 8 MiB, or where no further block can stand.
pub(in super::super) fn legacy(bytes: &[u8], meter: &mut Meter) -> Option<Measured> {
    if array(bytes, 0)? != [0x02, 0x21, 0x4c, 0x18] {
        return None;
    }
    let (mut at, mut plain_len) = (4_u64, 0_u64);
    while let Some((packed_len, made)) = legacy_block(bytes, at, meter) {
        at += 4 + packed_len;
        plain_len = plain_len.checked_add(made)?;
        if made < LEGACY_BLOCK_BYTES {
            break;
        }
    }
    if plain_len == 0 { None } else { Measured::new(at, plain_len) }
}

fn legacy_block(bytes: &[u8], at: u64, meter: &mut Meter) -> Option<(u64, u64)> {
    let packed_len = le32(bytes, at)?;
    // The bound of LZ4 for 8 MiB: what does not pack at all grows by 1/255 and 16 bytes.
    if packed_len == 0 || packed_len > LEGACY_BLOCK_BYTES + LEGACY_BLOCK_BYTES / 255 + 16 {
        return None;
    }
    let made = block(slice(bytes, at + 4, packed_len)?, 0, meter)?;
    (made <= LEGACY_BLOCK_BYTES).then_some((packed_len, made))
}

/// Walks over the sequences of a block (LZ4 block format); returns what it unpacks to.
fn block(bytes: &[u8], history: u64, meter: &mut Meter) -> Option<u64> {
    meter.pay(length(bytes))?;
    let (mut at, mut made) = (0_u64, 0_u64);
    loop {
        let token = u64::from(byte(bytes, at)?);
        at += 1;
        let literals = extended(bytes, &mut at, token >> 4)?;
        at = at.checked_add(literals)?;
        made = made.checked_add(literals)?;
        if at == length(bytes) {
            return Some(made);
        }
        let offset = le16(bytes, at)?;
        at += 2;
        if offset == 0 || offset > made.saturating_add(history) {
            return None;
        }
        made = made.checked_add(extended(bytes, &mut at, token & 15)? + MATCH_BYTES_MIN)?;
    }
}

/// Reads a length of which the token holds the first four bits.
fn extended(bytes: &[u8], at: &mut u64, start: u64) -> Option<u64> {
    if start < 15 {
        return Some(start);
    }
    let rest = tail(bytes, *at)?;
    let full = u64::try_from(rest.iter().position(|byte| *byte != 255)?).ok()?;
    let last = u64::from(byte(rest, full)?);
    *at += full + 1;
    Some(start + full * 255 + last)
}

/// The second byte of xxHash-32 of a frame descriptor: always less than 16 bytes, so that only the end of that hash
/// is needed (xxHash specification, steps 1 and 5 to 7 with seed 0).
fn header_sum(descriptor: &[u8]) -> u8 {
    const PRIMES: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];
    let [first, second, third, fourth, fifth] = PRIMES;
    let mut hash = fifth.wrapping_add(u32::try_from(descriptor.len()).unwrap_or_default());
    let (words, rest) = descriptor.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(third));
        hash = hash.rotate_left(17).wrapping_mul(fourth);
    }
    for byte in rest {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(fifth));
        hash = hash.rotate_left(11).wrapping_mul(first);
    }
    hash = (hash ^ hash >> 15).wrapping_mul(second);
    hash = (hash ^ hash >> 13).wrapping_mul(third);
    hash ^= hash >> 16;
    let [_, sum, _, _] = hash.to_le_bytes();
    sum
}
