//! Decoders of single blocks, as file systems store them.
//!
//! In: a packed block, and how long it may get. Out: the block. Refuses to write more than that, and references to what
//! was not written.

pub(crate) mod crc;
pub(crate) mod lz4;
pub(crate) mod lzma;
pub(crate) mod lzo;
pub(crate) mod rtime;
pub(crate) mod tiano;

/// Copies `length` bytes that stand `distance` before the end; the two may overlap.
fn repeat(out: &mut Vec<u8>, distance: usize, length: usize, most: usize) -> Result<(), &'static str> {
    let start = out
        .len()
        .checked_sub(distance)
        .filter(|_| distance > 0)
        .ok_or("it refers to what was not written")?;
    if length > most.saturating_sub(out.len()) {
        return Err("it is longer than it may be");
    }
    if distance >= length {
        out.extend_from_within(start..start + length);
        return Ok(());
    }
    for at in start..start + length {
        let byte = out.get(at).copied().unwrap_or(0);
        out.push(byte);
    }
    Ok(())
}

/// Copies bytes as they are.
fn literal(out: &mut Vec<u8>, bytes: Option<&[u8]>, most: usize) -> Result<(), &'static str> {
    let bytes = bytes.ok_or("it ends early")?;
    if bytes.len() > most.saturating_sub(out.len()) {
        return Err("it is longer than it may be");
    }
    out.extend_from_slice(bytes);
    Ok(())
}
