//! Bare LZ4 blocks: their length, and what they hold.
//!
//! In: bytes that begin with an LZ4 block. Out: how long the block is, or its unpacked bytes. Refuses blocks that break
//! the format, or hold more than they may.

/// A match is at least this long, in bytes; shorter ones are not written.
const MATCH_BYTES_MIN: u64 = 4;

/// A sequence of a block: bytes that stand in it, then a copy of bytes before them.
struct Sequence<'a> {
    literals: &'a [u8],
    /// How far back, and how many bytes; nothing in the last sequence.
    copy: Option<(u64, u64)>,
}

/// Reads sequences from the front of `rest` until the literals reach `plain_len`.
struct Sequences<'a> {
    rest: &'a [u8],
}

impl<'a> Sequences<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// A length of 15 goes on in the bytes that follow, up to one that is not 255.
    fn length(&mut self, nibble: u8) -> Option<u64> {
        let mut length = u64::from(nibble);
        if nibble == 15 {
            loop {
                let more = self.byte()?;
                length = length.checked_add(u64::from(more))?;
                if more != 255 {
                    break;
                }
            }
        }
        Some(length)
    }

    /// Reads a sequence, of which at most `wanted` bytes are still to come.
    fn next(&mut self, wanted: u64) -> Option<Sequence<'a>> {
        let token = self.byte()?;
        let count = self.length(token >> 4)?;
        let (literals, rest) = self.rest.split_at_checked(usize::try_from(count).ok()?)?;
        self.rest = rest;
        if rest.is_empty() || count >= wanted {
            return Some(Sequence { literals, copy: None });
        }
        let back = u64::from(u16::from_le_bytes([self.byte()?, self.byte()?]));
        let count = self.length(token & 15)?.checked_add(MATCH_BYTES_MIN)?;
        Some(Sequence { literals, copy: Some((back, count)) })
    }
}

/// Returns how long the block is that holds `plain_len` bytes and begins at the first byte.
pub(crate) fn packed_len(bytes: &[u8], plain_len: u64) -> Option<u64> {
    let mut sequences = Sequences { rest: bytes };
    let mut left = plain_len;
    loop {
        let sequence = sequences.next(left)?;
        left = left.checked_sub(sequence.literals.len() as u64)?;
        let Some((_, count)) = sequence.copy else { break };
        left = left.checked_sub(count)?;
    }
    (left == 0).then(|| bytes.len().saturating_sub(sequences.rest.len()) as u64)
}

/// Unpacks a block of at most `plain_len_max` bytes.
pub(crate) fn unpack(packed: &[u8], plain_len_max: u64) -> Option<Vec<u8>> {
    let mut plain: Vec<u8> = Vec::new();
    let mut sequences = Sequences { rest: packed };
    loop {
        let sequence = sequences.next(u64::MAX)?;
        plain.extend_from_slice(sequence.literals);
        let Some((back, count)) = sequence.copy else { break };
        if (plain.len() as u64).checked_add(count)? > plain_len_max {
            return None;
        }
        let from = plain.len().checked_sub(usize::try_from(back).ok()?)?;
        for at in from..from.checked_add(usize::try_from(count).ok()?)? {
            plain.push(*plain.get(at)?);
        }
    }
    (plain.len() as u64 <= plain_len_max).then_some(plain)
}

#[cfg(test)]
mod tests;
