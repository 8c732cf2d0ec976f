//! Small numbers and byte strings as they stand in a patch.
//!
//! In: bytes of a patch. Out: numbers in their ranges. Refuses: an early end, numbers above the named limit, and
//! numbers that are longer than they need be (each value has one form only).

use crate::codec::CodecError;

/// Bytes of a number of 64 bits, 7 bits in each.
const NUMBER_BYTES_MAX: u32 = 10;

/// Appends a number, 7 bits a byte, low bits first; the top bit says that more follows.
pub(super) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = value.to_le_bytes()[0] & 0x7F;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Reads a number of at most `max`.
pub(super) fn number(input: &mut &[u8], what: &'static str, max: u64) -> Result<u64, CodecError> {
    let mut value = 0_u64;
    for index in 0..NUMBER_BYTES_MAX {
        let byte = byte(input, what)?;
        let shift = index * 7;
        let bits = u64::from(byte & 0x7F);
        let shifted = bits << shift;
        if shifted >> shift != bits || (index > 0 && byte == 0) {
            return Err(CodecError::Malformed { what });
        }
        value |= shifted;
        if byte & 0x80 == 0 {
            return if value <= max { Ok(value) } else { Err(CodecError::OutOfRange { what, value, max }) };
        }
    }
    Err(CodecError::Malformed { what })
}

/// Reads one byte.
pub(super) fn byte(input: &mut &[u8], what: &'static str) -> Result<u8, CodecError> {
    let (&byte, rest) = input.split_first().ok_or(CodecError::Short { what })?;
    *input = rest;
    Ok(byte)
}

/// Reads one byte of at most `max`.
pub(super) fn byte_to(input: &mut &[u8], what: &'static str, max: u8) -> Result<u8, CodecError> {
    let value = byte(input, what)?;
    if value > max {
        return Err(CodecError::OutOfRange { what, value: value.into(), max: max.into() });
    }
    Ok(value)
}

/// Reads one byte of at least `min` and at most `max`.
pub(super) fn byte_from_to(
    input: &mut &[u8],
    what: &'static str,
    min: u8,
    max: u8,
) -> Result<u8, CodecError> {
    let value = byte_to(input, what, max)?;
    if value < min {
        return Err(CodecError::TooSmall { what, value: value.into(), min: min.into() });
    }
    Ok(value)
}

/// Appends a byte string with its length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads a byte string of at most `max` bytes.
pub(super) fn bytes(input: &mut &[u8], what: &'static str, max: u16) -> Result<Vec<u8>, CodecError> {
    let len = number(input, what, max.into())?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let (head, rest) = input.split_at_checked(len).ok_or(CodecError::Short { what })?;
    *input = rest;
    Ok(head.to_vec())
}
