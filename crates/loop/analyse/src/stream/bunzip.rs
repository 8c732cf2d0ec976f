//! bzip2, after the description by J. Tsai of what the program by J. Seward writes.
//!
//! In: a stream. Out: a block at a time, at most 900,000 bytes before the first run-length coding is undone. Refuses
//! tables that are no codes, origins outside a block, and wrong checksums.

use std::io;

use super::{Blocks, Packed};

/// The marks of a block and of the end: the digits of pi and of its root.
const BLOCK: u64 = 0x3141_5926_5359;
const END: u64 = 0x1772_4538_5090;

/// Longest code, in bits.
const CODE_BITS_MAX: usize = 20;

/// Symbols that are coded with one table before another may be chosen.
const GROUP_SYMBOLS: usize = 50;

#[derive(Default)]
pub(super) struct Bzip2 {
    /// Bits that have been read but not used, the oldest highest.
    bits: u64,
    count: u32,
    /// Size of a block in units of 100,000 bytes; zero before the header.
    level: usize,
    sum: u32,
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The codes of a table: for each length the first code, how many there are, and where their symbols begin.
struct Table {
    first: [u32; CODE_BITS_MAX + 2],
    counts: [u32; CODE_BITS_MAX + 2],
    starts: [u32; CODE_BITS_MAX + 2],
    symbols: Vec<u16>,
}

impl Table {
    fn new(lengths: &[usize]) -> io::Result<Self> {
        let mut table = Self {
            first: [0; CODE_BITS_MAX + 2],
            counts: [0; CODE_BITS_MAX + 2],
            starts: [0; CODE_BITS_MAX + 2],
            symbols: Vec::new(),
        };
        let mut code = 0_u32;
        for length in 1..=CODE_BITS_MAX {
            code <<= 1;
            let start = table.symbols.len();
            for (symbol, _) in lengths.iter().enumerate().filter(|(_, other)| **other == length) {
                table.symbols.push(u16::try_from(symbol).unwrap_or(u16::MAX));
            }
            let count = u32::try_from(table.symbols.len() - start).unwrap_or(0);
            let slots =
                (table.first.get_mut(length), table.counts.get_mut(length), table.starts.get_mut(length));
            if let (Some(first), Some(counts), Some(starts)) = slots {
                (*first, *counts, *starts) = (code, count, u32::try_from(start).unwrap_or(0));
            }
            code += count;
            if code > 1 << length {
                return Err(damaged("a table has more codes than fit"));
            }
        }
        Ok(table)
    }
}

impl Bzip2 {
    fn read_bits(&mut self, packed: &mut Packed<'_>, count: u32) -> io::Result<u64> {
        while self.count < count {
            self.bits = self.bits << 8 | u64::from(packed.byte()?);
            self.count += 8;
        }
        self.count -= count;
        let value = self.bits >> self.count & ((1 << count) - 1);
        Ok(value)
    }

    fn bit(&mut self, packed: &mut Packed<'_>) -> io::Result<bool> {
        self.read_bits(packed, 1).map(|bit| bit == 1)
    }

    fn number(&mut self, packed: &mut Packed<'_>, bits: u32) -> io::Result<usize> {
        self.read_bits(packed, bits).map(|value| usize::try_from(value).unwrap_or(0))
    }

    fn symbol(&mut self, packed: &mut Packed<'_>, table: &Table) -> io::Result<u16> {
        let mut code = 0_u32;
        for length in 1..=CODE_BITS_MAX {
            code = code << 1 | u32::from(self.bit(packed)?);
            let field = |of: &[u32; CODE_BITS_MAX + 2]| of.get(length).copied().unwrap_or(0);
            let index = code.wrapping_sub(field(&table.first));
            if index < field(&table.counts) {
                let at = usize::try_from(field(&table.starts) + index).unwrap_or(usize::MAX);
                return table.symbols.get(at).copied().ok_or_else(|| damaged("a code stands for nothing"));
            }
        }
        Err(damaged("a code stands for nothing"))
    }

    /// Which bytes the block uses: sixteen bits for groups of sixteen.
    fn alphabet(&mut self, packed: &mut Packed<'_>) -> io::Result<Vec<u8>> {
        let groups = self.read_bits(packed, 16)?;
        let mut alphabet = Vec::new();
        for group in 0..16_u8 {
            if groups >> (15 - group) & 1 == 0 {
                continue;
            }
            let used = self.read_bits(packed, 16)?;
            alphabet.extend((0..16_u8).filter(|at| used >> (15 - at) & 1 == 1).map(|at| group * 16 + at));
        }
        if alphabet.is_empty() { Err(damaged("a block uses no byte")) } else { Ok(alphabet) }
    }

    /// Which table each group of symbols uses, moved to the front.
    fn selectors(&mut self, packed: &mut Packed<'_>, tables: usize) -> io::Result<Vec<usize>> {
        let count = self.number(packed, 15)?;
        let mut order: Vec<usize> = (0..tables).collect();
        let mut selectors = Vec::new();
        for _ in 0..count {
            let mut index = 0;
            while self.bit(packed)? {
                index += 1;
                if index >= tables {
                    return Err(damaged("a group uses a table that is not there"));
                }
            }
            let table = order.remove(index);
            order.insert(0, table);
            selectors.push(table);
        }
        Ok(selectors)
    }

    fn table(&mut self, packed: &mut Packed<'_>, symbols: usize) -> io::Result<Table> {
        let mut length = self.number(packed, 5)?;
        let mut lengths = Vec::with_capacity(symbols);
        for _ in 0..symbols {
            loop {
                if !(1..=CODE_BITS_MAX).contains(&length) {
                    return Err(damaged("a code has no length"));
                }
                if !self.bit(packed)? {
                    break;
                }
                length = if self.bit(packed)? { length - 1 } else { length + 1 };
            }
            lengths.push(length);
        }
        Table::new(&lengths)
    }

    /// Reads the symbols of a block and undoes run lengths and the move to the front.
    fn last_column(&mut self, packed: &mut Packed<'_>) -> io::Result<Vec<u32>> {
        let mut alphabet = self.alphabet(packed)?;
        let tables = self.number(packed, 3)?;
        if !(2..=6).contains(&tables) {
            return Err(damaged("a block has no tables"));
        }
        let selectors = self.selectors(packed, tables)?;
        let end = u16::try_from(alphabet.len() + 1).unwrap_or(0);
        let tables: io::Result<Vec<Table>> =
            (0..tables).map(|_| self.table(packed, alphabet.len() + 2)).collect();
        let tables = tables?;
        let most = self.level * 100_000;
        let mut column: Vec<u32> = Vec::new();
        let (mut run, mut weight) = (0_usize, 1_usize);
        for selector in selectors {
            let Some(table) = tables.get(selector) else { break };
            for _ in 0..GROUP_SYMBOLS {
                let symbol = self.symbol(packed, table)?;
                if symbol <= 1 {
                    // Two digits of a number in base two, counted from one.
                    run += weight << symbol;
                    weight <<= 1;
                    if run > most {
                        return Err(damaged("a block is longer than its level allows"));
                    }
                    continue;
                }
                let front = u32::from(*alphabet.first().unwrap_or(&0));
                if column.len() + run > most {
                    return Err(damaged("a block is longer than its level allows"));
                }
                column.resize(column.len() + run, front);
                (run, weight) = (0, 1);
                if symbol == end {
                    return Ok(column);
                }
                let index = usize::from(symbol - 1);
                if index >= alphabet.len() || column.len() >= most {
                    return Err(damaged("a block is longer than its level allows"));
                }
                let byte = alphabet.remove(index);
                alphabet.insert(0, byte);
                column.push(u32::from(byte));
            }
        }
        Err(damaged("a block does not end"))
    }

    fn block(&mut self, packed: &mut Packed<'_>, block: &mut Vec<u8>) -> io::Result<()> {
        let sum = u32::try_from(self.read_bits(packed, 32)?).unwrap_or(0);
        if self.bit(packed)? {
            return Err(damaged("a block is randomised, as only programs before 1997 did"));
        }
        let origin = self.number(packed, 24)?;
        let mut column = self.last_column(packed)?;
        transform_back(&mut column, origin, block)?;
        let found = crc(block);
        if found != sum {
            return Err(damaged("the checksum of a block is wrong"));
        }
        self.sum = self.sum.rotate_left(1) ^ sum;
        Ok(())
    }
}

impl Blocks for Bzip2 {
    fn next(&mut self, packed: &mut Packed<'_>, block: &mut Vec<u8>) -> io::Result<bool> {
        block.clear();
        if self.level == 0 {
            let header = packed.array::<4>()?;
            match header {
                [b'B', b'Z', b'h', level @ b'1'..=b'9'] => self.level = usize::from(level - b'0'),
                _ => return Err(damaged("it has no header")),
            }
        }
        match self.read_bits(packed, 48)? {
            BLOCK => self.block(packed, block).map(|()| true),
            END => {
                let sum = self.read_bits(packed, 32)?;
                if sum != u64::from(self.sum) {
                    return Err(damaged("the checksum of the whole is wrong"));
                }
                Ok(false)
            }
            _ => Err(damaged("a block has no mark")),
        }
    }
}

/// Undoes the Burrows-Wheeler transform, and the run lengths that were coded before it: behind four equal bytes stands
/// how many more there are. The upper bits of the column become the links.
fn transform_back(column: &mut [u32], origin: usize, block: &mut Vec<u8>) -> io::Result<()> {
    let mut starts = [0_u32; 256];
    for byte in column.iter() {
        if let Some(count) = starts.get_mut((byte & 0xff) as usize) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for start in &mut starts {
        (*start, sum) = (sum, sum + *start);
    }
    for index in 0..column.len() {
        let byte = column.get(index).map_or(0, |value| value & 0xff);
        let Some(start) = starts.get_mut(byte as usize) else { continue };
        let place = *start as usize;
        *start += 1;
        if let Some(link) = column.get_mut(place) {
            *link |= u32::try_from(index).unwrap_or(0) << 8;
        }
    }
    let mut value = *column.get(origin).ok_or_else(|| damaged("a block begins outside of itself"))?;
    let (mut equal, mut last) = (0, None);
    for _ in 0..column.len() {
        value =
            *column.get((value >> 8) as usize).ok_or_else(|| damaged("a block leads outside of itself"))?;
        let byte = (value & 0xff) as u8;
        if equal == 4 {
            block.resize(block.len() + usize::from(byte), last.unwrap_or(0));
            (equal, last) = (0, None);
            continue;
        }
        equal = if last == Some(byte) { equal + 1 } else { 1 };
        last = Some(byte);
        block.push(byte);
    }
    Ok(())
}

/// CRC-32 with the highest bit first.
fn crc(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|index| {
        let index = u32::try_from(index).unwrap_or(0) << 24;
        (0..8).fold(index, |sum, _| if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 })
    });
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        let index = (sum >> 24) as usize ^ usize::from(*byte);
        sum << 8 ^ table.get(index).copied().unwrap_or(0)
    })
}
