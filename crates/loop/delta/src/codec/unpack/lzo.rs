//! LZO1X blocks, as the Linux kernel documents them ("LZO stream format as understood by Linux' LZO decompressor").
//!
//! In: a packed block. Out: its plain bytes. Refuses: copies from before the block, and blocks without their end mark.

use super::broken;
use super::lz::copy_back;
use crate::codec::CodecError;

const WHAT: &str = "LZO block";

/// After a long run of literals, the shortest instruction means something else.
const AFTER_LONG_RUN: u8 = 4;

/// A copy, and how many literals follow it.
struct Copy {
    distance: usize,
    len: usize,
    literals: u8,
}

/// Appends what a block holds, up to a length of `len_max` in all.
pub(super) fn unpack(mut block: &[u8], out: &mut Vec<u8>, len_max: usize) -> Result<(), CodecError> {
    let mut state = 0;
    if let Some((&first @ 18.., rest)) = block.split_first() {
        block = rest;
        let count = first - 17;
        literals(&mut block, count.into(), out, len_max)?;
        state = count.min(AFTER_LONG_RUN);
    }
    loop {
        let instruction = byte(&mut block)?;
        if instruction < 16 && state == 0 {
            let count = 3 + long(&mut block, instruction & 15, 15)?;
            literals(&mut block, count, out, len_max)?;
            state = AFTER_LONG_RUN;
            continue;
        }
        let Some(copy) = read_copy(instruction, state, &mut block)? else {
            return if block.is_empty() { Ok(()) } else { Err(broken(WHAT)) };
        };
        copy_back(out, copy.distance, copy.len, len_max)?;
        literals(&mut block, copy.literals.into(), out, len_max)?;
        state = copy.literals;
    }
}

/// Reads a copy; none at the end mark.
fn read_copy(instruction: u8, state: u8, block: &mut &[u8]) -> Result<Option<Copy>, CodecError> {
    let near = |block: &mut &[u8], shift: u32, low: u8| -> Result<usize, CodecError> {
        Ok((usize::from(byte(block)?) << shift) + usize::from(low))
    };
    let copy = match instruction {
        0..16 => {
            let (base, len) = if state == AFTER_LONG_RUN { (2049, 3) } else { (1, 2) };
            Copy { distance: near(block, 2, instruction >> 2)? + base, len, literals: instruction & 3 }
        }
        16..32 => {
            let len = 2 + long(block, instruction & 7, 7)?;
            let (back, literals) = pair(block)?;
            let distance = 0x4000 + (usize::from(instruction & 8) << 11) + back;
            if distance == 0x4000 {
                return Ok(None);
            }
            Copy { distance, len, literals }
        }
        32..64 => {
            let len = 2 + long(block, instruction & 31, 31)?;
            let (back, literals) = pair(block)?;
            Copy { distance: back + 1, len, literals }
        }
        64.. => {
            let len = if instruction < 128 { 3 + (instruction >> 5 & 1) } else { 5 + (instruction >> 5 & 3) };
            let distance = near(block, 3, instruction >> 2 & 7)? + 1;
            Copy { distance, len: len.into(), literals: instruction & 3 }
        }
    };
    Ok(Some(copy))
}

fn byte(block: &mut &[u8]) -> Result<u8, CodecError> {
    let (&first, rest) = block.split_first().ok_or(CodecError::Short { what: WHAT })?;
    *block = rest;
    Ok(first)
}

/// Fourteen bits of distance, and two bits of literals.
fn pair(block: &mut &[u8]) -> Result<(usize, u8), CodecError> {
    let value = u16::from_le_bytes([byte(block)?, byte(block)?]);
    Ok((usize::from(value >> 2), value.to_le_bytes()[0] & 3))
}

/// A length of zero goes on in further bytes, as long as they are zero.
fn long(block: &mut &[u8], value: u8, base: usize) -> Result<usize, CodecError> {
    if value != 0 {
        return Ok(value.into());
    }
    let mut sum = base;
    loop {
        let next = byte(block)?;
        sum = sum.saturating_add(if next == 0 { 255 } else { next.into() });
        if next != 0 {
            return Ok(sum);
        }
    }
}

fn literals(block: &mut &[u8], count: usize, out: &mut Vec<u8>, len_max: usize) -> Result<(), CodecError> {
    let (now, later) = block.split_at_checked(count).ok_or(CodecError::Short { what: WHAT })?;
    if count > len_max.saturating_sub(out.len()) {
        return Err(broken(WHAT));
    }
    out.extend_from_slice(now);
    *block = later;
    Ok(())
}
