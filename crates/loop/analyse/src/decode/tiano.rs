//! The compression of UEFI (UEFI Specification 2.10, chapter 19) and of Tiano: LZ77 with two Huffman codes a block.
//!
//! In: a block with its header. Out: its content. Refuses codes that are none, and references before the start. The two
//! differ in the width of one number only; what fits the sizes is taken.

use super::repeat;

struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> usize {
        (0..count).fold(0, |value, _| {
            let byte = self.bytes.get(self.at / 8).copied().unwrap_or(0);
            let bit = usize::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
            value << 1 | bit
        })
    }

    fn has_ended(&self) -> bool {
        // Bits behind the end read as zero; a few of them are part of the format.
        self.at > self.bytes.len().saturating_mul(8).saturating_add(64)
    }
}

/// A canonical code: for each length the symbols that have it.
struct Code {
    lengths: Vec<usize>,
    /// The one symbol of a code without lengths.
    only: Option<usize>,
}

impl Code {
    fn new(lengths: Vec<usize>) -> Result<Self, &'static str> {
        let sum: usize =
            lengths.iter().filter(|length| **length > 0).map(|length| 1 << (16 - (*length).min(16))).sum();
        if sum == 1 << 16 { Ok(Self { lengths, only: None }) } else { Err("a code is none") }
    }

    /// Makes tables of it: for each length the first code, and the symbols in order.
    fn tables(&self) -> Vec<(usize, Vec<usize>)> {
        let mut first = 0;
        (1..=16)
            .map(|length| {
                first <<= 1;
                let symbols: Vec<usize> = self
                    .lengths
                    .iter()
                    .enumerate()
                    .filter(|(_, other)| **other == length)
                    .map(|(symbol, _)| symbol)
                    .collect();
                let start = first;
                first += symbols.len();
                (start, symbols)
            })
            .collect()
    }
}

struct Decoder {
    only: Option<usize>,
    tables: Vec<(usize, Vec<usize>)>,
}

impl Decoder {
    fn new(code: &Code) -> Self {
        Self { only: code.only, tables: if code.only.is_some() { Vec::new() } else { code.tables() } }
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Result<usize, &'static str> {
        if let Some(only) = self.only {
            return Ok(only);
        }
        let mut code = 0;
        for (first, symbols) in &self.tables {
            code = code << 1 | bits.take(1);
            if let Some(symbol) = code.checked_sub(*first).and_then(|index| symbols.get(index)) {
                return Ok(*symbol);
            }
        }
        Err("a code stands for nothing")
    }
}

/// Reads the lengths of a small code: three bits each, and more ones for more.
fn small_code(
    bits: &mut Bits<'_>,
    symbols: usize,
    width: usize,
    gap_at: Option<usize>,
) -> Result<Code, &'static str> {
    let count = bits.take(width);
    if count == 0 {
        return Ok(Code { lengths: Vec::new(), only: Some(bits.take(width)) });
    }
    if count > symbols {
        return Err("a code has too many symbols");
    }
    let mut lengths = Vec::new();
    while lengths.len() < count {
        let mut length = bits.take(3);
        if length == 7 {
            while bits.take(1) == 1 {
                length += 1;
                if length > 16 {
                    return Err("a code is too long");
                }
            }
        }
        lengths.push(length);
        if Some(lengths.len()) == gap_at {
            lengths.resize(lengths.len() + bits.take(2), 0);
        }
    }
    Code::new(lengths)
}

/// Reads the lengths of the code of bytes and of lengths, which are coded themselves.
fn large_code(bits: &mut Bits<'_>, extra: &Decoder) -> Result<Code, &'static str> {
    let count = bits.take(9);
    if count == 0 {
        return Ok(Code { lengths: Vec::new(), only: Some(bits.take(9)) });
    }
    if count > 510 {
        return Err("a code has too many symbols");
    }
    let mut lengths = Vec::new();
    while lengths.len() < count {
        match extra.symbol(bits)? {
            0 => lengths.push(0),
            1 => lengths.resize(lengths.len() + bits.take(4) + 3, 0),
            2 => lengths.resize(lengths.len() + bits.take(9) + 20, 0),
            length => lengths.push(length - 2),
        }
    }
    Code::new(lengths)
}

/// Unpacks a block of `said` bytes.
pub(crate) fn unpack(block: &[u8], said: usize, most: usize) -> Result<Vec<u8>, &'static str> {
    let size = |at: usize| {
        block.get(at..at + 4).and_then(|size| size.first_chunk::<4>()).map(|size| u32::from_le_bytes(*size))
    };
    let (Some(packed), Some(unpacked)) = (size(0), size(4)) else { return Err("it ends early") };
    let (packed, unpacked) = (packed as usize, unpacked as usize);
    if unpacked > most || unpacked != said {
        return Err("its size is not what its section says");
    }
    let data = block.get(8..8_usize.saturating_add(packed)).ok_or("it ends early")?;
    // UEFI writes the number of distances with four bits, Tiano with five.
    attempt(data, unpacked, 4).or_else(|_| attempt(data, unpacked, 5))
}

fn attempt(data: &[u8], size: usize, distance_width: usize) -> Result<Vec<u8>, &'static str> {
    let mut bits = Bits { bytes: data, at: 0 };
    let mut out = Vec::new();
    while out.len() < size {
        let symbols = bits.take(16);
        let extra = Decoder::new(&small_code(&mut bits, 19, 5, Some(3))?);
        let bytes = Decoder::new(&large_code(&mut bits, &extra)?);
        let distances = Decoder::new(&small_code(&mut bits, 31, distance_width, None)?);
        if symbols == 0 {
            return Err("a block is empty");
        }
        for _ in 0..symbols {
            if out.len() >= size {
                break;
            }
            if bits.has_ended() {
                return Err("it ends early");
            }
            let symbol = bytes.symbol(&mut bits)?;
            if let Ok(byte) = u8::try_from(symbol) {
                out.push(byte);
                continue;
            }
            let width = distances.symbol(&mut bits)?;
            let distance = match width {
                0 | 1 => width,
                2..=24 => (1 << (width - 1)) + bits.take(width - 1),
                _ => return Err("a distance is too long"),
            };
            let length = (symbol - 256 + 3).min(size - out.len());
            repeat(&mut out, distance + 1, length, size)?;
        }
    }
    Ok(out)
}
