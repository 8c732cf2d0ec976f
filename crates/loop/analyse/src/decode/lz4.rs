//! lz4 blocks (lz4 block format).
//!
//! In: a block. Out: its content, behind what is there already. Refuses distances of zero or beyond the start.

use super::{literal, repeat};

/// Returns the most bytes that a block of `unpacked` bytes takes: incompressible data grows by a byte in 255.
pub(crate) const fn packed_bytes_max(unpacked: usize) -> usize {
    unpacked + unpacked / 255 + 16
}

/// Unpacks until the block ends; `most` is how long `out` may get.
pub(crate) fn unpack(block: &[u8], out: &mut Vec<u8>, most: usize) -> Result<(), &'static str> {
    unpack_some(block, out, most, Rest::Forbidden)
}

/// Whether bytes may be left over when `out` is full.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    Forbidden,
    Allowed,
}

/// Unpacks until the block ends, or with [`Rest::Allowed`] until `out` has `most` bytes.
pub(crate) fn unpack_some(
    block: &[u8],
    out: &mut Vec<u8>,
    most: usize,
    rest: Rest,
) -> Result<(), &'static str> {
    let mut at = 0;
    while let Some(token) = block.get(at) {
        at += 1;
        let mut literals = usize::from(token >> 4);
        if literals == 15 {
            literals += more(block, &mut at)?;
        }
        if rest == Rest::Allowed {
            literals = literals.min(most.saturating_sub(out.len()));
        }
        let end = at.checked_add(literals).ok_or("it ends early")?;
        literal(out, block.get(at..end), most)?;
        at = end;
        if at == block.len() || (rest == Rest::Allowed && out.len() >= most) {
            return Ok(());
        }
        let Some([low, high]) = block.get(at..at + 2) else { return Err("it ends early") };
        at += 2;
        let distance = usize::from(u16::from_le_bytes([*low, *high]));
        let mut length = usize::from(token & 15);
        if length == 15 {
            length += more(block, &mut at)?;
        }
        length += 4;
        if rest == Rest::Allowed {
            length = length.min(most.saturating_sub(out.len()));
        }
        repeat(out, distance, length, most)?;
    }
    Ok(())
}

/// Reads the rest of a length: bytes of 255, and one that is less.
fn more(block: &[u8], at: &mut usize) -> Result<usize, &'static str> {
    let mut sum = 0_usize;
    loop {
        let byte = *block.get(*at).ok_or("it ends early")?;
        *at += 1;
        sum = sum.saturating_add(usize::from(byte));
        if byte != 255 {
            return Ok(sum);
        }
    }
}
