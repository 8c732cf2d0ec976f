//! LZO1X blocks, after the description of the stream in the documentation of Linux ("lzo.rst"), bitstream version 0.
//!
//! In: a block. Out: its content. Refuses references before the start, and more than it may write.

use super::{literal, repeat};

struct Input<'b> {
    block: &'b [u8],
    at: usize,
}

impl<'b> Input<'b> {
    fn byte(&mut self) -> Result<usize, &'static str> {
        let byte = *self.block.get(self.at).ok_or("it ends early")?;
        self.at += 1;
        Ok(usize::from(byte))
    }

    fn word(&mut self) -> Result<usize, &'static str> {
        Ok(self.byte()? | self.byte()? << 8)
    }

    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let end = self.at.checked_add(count)?;
        let bytes = self.block.get(self.at..end);
        self.at = end;
        bytes
    }

    /// A length whose bits are all zero goes on: 255 for each zero byte, and the byte behind them.
    fn length(&mut self, bits: usize, mask: usize) -> Result<usize, &'static str> {
        if bits & mask != 0 {
            return Ok(bits & mask);
        }
        let mut length = mask;
        loop {
            match self.byte()? {
                0 => length = length.saturating_add(255),
                byte => return Ok(length.saturating_add(byte)),
            }
        }
    }
}

/// Unpacks until the end mark; `most` is how long `out` may get.
pub(crate) fn unpack(block: &[u8], out: &mut Vec<u8>, most: usize) -> Result<(), &'static str> {
    let mut input = Input { block, at: 0 };
    // How many literals came before: it changes what the smallest codes mean.
    let mut state;
    let first = input.byte()?;
    if first >= 18 {
        literal(out, input.take(first - 17), most)?;
        state = if first - 17 < 4 { first - 17 } else { 4 };
    } else {
        input.at = 0;
        state = 0;
    }
    loop {
        let code = input.byte()?;
        let (distance, length) = match code {
            0..=15 if state == 0 => {
                let count = input.length(code, 15)? + 3;
                literal(out, input.take(count), most)?;
                state = 4;
                continue;
            }
            0..=15 => {
                let distance = (code >> 2) + (input.byte()? << 2);
                if state == 4 { (distance + 2049, 3) } else { (distance + 1, 2) }
            }
            16..=31 => {
                let length = input.length(code, 7)? + 2;
                let word = input.word()?;
                let distance = ((code & 8) << 11) + (word >> 2);
                if distance == 0 {
                    return if length == 3 { Ok(()) } else { Err("its end mark is wrong") };
                }
                state = word & 3;
                (distance + 16384, length)
            }
            32..=63 => {
                let length = input.length(code, 31)? + 2;
                let word = input.word()?;
                state = word & 3;
                ((word >> 2) + 1, length)
            }
            _ => {
                let length = (code >> 5) + 1;
                let distance = (input.byte()? << 3) + (code >> 2 & 7) + 1;
                (distance, length)
            }
        };
        repeat(out, distance, length, most)?;
        if !(16..64).contains(&code) {
            state = code & 3;
        }
        literal(out, input.take(state), most)?;
    }
}
