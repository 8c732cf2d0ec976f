//! Streams of compress(1): LZW with codes of 9 to 16 bits.
//!
//! In: a stream. Out: its content, some KiB at a time. Refuses codes that stand for nothing yet.

use std::io;

use super::{Blocks, Packed};

/// The code that empties the table, in streams that have it.
const CLEAR: usize = 256;

/// Bytes that are handed out together.
const BLOCK_BYTES: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Lzw {
    state: Option<State>,
}

struct State {
    bits_max: u32,
    has_clear: bool,
    bits: u32,
    /// What a code adds to another one: that one, and the byte.
    table: Vec<(u16, u8)>,
    /// A group of eight codes of one width, and how many of its bits are used.
    group: Vec<u8>,
    used: u32,
    last: Option<usize>,
    first_byte: u8,
    has_ended: bool,
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl State {
    fn read(packed: &mut Packed<'_>) -> io::Result<Self> {
        let [_, _, flags] = packed.array::<3>()?;
        let bits_max = u32::from(flags & 0x1f);
        if !(9..=16).contains(&bits_max) {
            return Err(damaged("its codes have no width"));
        }
        let has_clear = flags & 0x80 != 0;
        let mut state = Self {
            bits_max,
            has_clear,
            bits: 9,
            table: Vec::new(),
            group: Vec::new(),
            used: 0,
            last: None,
            first_byte: 0,
            has_ended: false,
        };
        state.clear();
        Ok(state)
    }

    fn clear(&mut self) {
        let reserved = if self.has_clear { 257 } else { 256 };
        self.table.clear();
        self.table.extend((0..reserved).map(|code| (0, u8::try_from(code).unwrap_or(0))));
        self.change_width(9);
        self.last = None;
    }

    /// Codes come in groups of eight; the rest of a group is left out when the width changes.
    fn change_width(&mut self, bits: u32) {
        self.bits = bits;
        self.group.clear();
        self.used = 0;
    }

    fn code(&mut self, packed: &mut Packed<'_>) -> io::Result<Option<usize>> {
        let there = u32::try_from(self.group.len()).unwrap_or(0) * 8;
        if self.used + self.bits > there {
            if there > 0 && there < self.bits * 8 {
                return Ok(None);
            }
            self.group.clear();
            io::copy(&mut io::Read::take(&mut *packed, u64::from(self.bits)), &mut self.group)?;
            self.used = 0;
            if u32::try_from(self.group.len()).unwrap_or(0) * 8 < self.bits {
                return Ok(None);
            }
        }
        let at = usize::try_from(self.used / 8).unwrap_or(0);
        let three = self.group.iter().skip(at).take(3).enumerate();
        let word = three.fold(0_u32, |word, (index, byte)| word | u32::from(*byte) << (8 * index));
        let code = word >> (self.used % 8) & ((1 << self.bits) - 1);
        self.used += self.bits;
        Ok(usize::try_from(code).ok())
    }

    /// Writes what a code stands for.
    fn write(&mut self, code: usize, block: &mut Vec<u8>) -> io::Result<()> {
        let start = block.len();
        let mut at = code;
        if code >= self.table.len() {
            if code > self.table.len() || self.last.is_none() {
                return Err(damaged("a code stands for nothing yet"));
            }
            block.push(self.first_byte);
            at = self.last.unwrap_or(0);
        }
        while at > 255 {
            let (before, byte) =
                self.table.get(at).copied().ok_or_else(|| damaged("a code stands for nothing"))?;
            block.push(byte);
            at = usize::from(before);
        }
        self.first_byte = u8::try_from(at).unwrap_or(0);
        block.push(self.first_byte);
        if let Some(new) = block.get_mut(start..) {
            new.reverse();
        }
        if let Some(last) = self.last.filter(|_| self.table.len() < 1 << self.bits_max) {
            self.table.push((u16::try_from(last).unwrap_or(0), self.first_byte));
        }
        self.last = Some(code);
        Ok(())
    }
}

impl Blocks for Lzw {
    fn next(&mut self, packed: &mut Packed<'_>, block: &mut Vec<u8>) -> io::Result<bool> {
        block.clear();
        let state = match &mut self.state {
            Some(state) => state,
            empty @ None => empty.insert(State::read(packed)?),
        };
        while block.len() < BLOCK_BYTES && !state.has_ended {
            // A full table of codes of this width is followed by wider ones.
            if state.table.len() >= 1 << state.bits && state.bits < state.bits_max {
                state.change_width(state.bits + 1);
            }
            match state.code(packed)? {
                None => state.has_ended = true,
                Some(CLEAR) if state.has_clear => state.clear(),
                Some(code) => state.write(code, block)?,
            }
        }
        Ok(!block.is_empty())
    }
}
