//! Symbols to blocks (RFC 1951 section 3.2.3): gathers literals and matches, and writes them as a stored, fixed or
//! dynamic block, whichever zlib and GNU gzip take for the smallest.

use super::at;
use super::bits::BitWriter;
use super::codes::{
    Alphabet, Code, Cost, DISTANCE_ALPHABET, DISTANCE_EXTRA, DISTANCES, LENGTH_ALPHABET, LENGTH_EXTRA,
    LENGTHS, LITERAL_ALPHABET, LITERALS, REPEAT_EXTRA,
};
use super::{Flavour, Strategy};

/// The symbol that ends a block.
const END_OF_BLOCK: usize = 256;
/// The shortest match.
pub(super) const MATCH_MIN: usize = 3;
/// The order in which the lengths of the code-length code are sent (RFC 1951 section 3.2.7).
const LENGTH_ORDER: [usize; LENGTHS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// Repeat the previous length 3 to 6 times; repeat a zero 3 to 10 times; 11 to 138 times.
const REPEAT_PREVIOUS: usize = 16;
const REPEAT_ZERO: usize = 17;
const REPEAT_ZERO_LONG: usize = 18;

/// A literal (`distance` 0) or a match.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    distance: u16,
    /// The literal, or the length of the match less [`MATCH_MIN`].
    value: u8,
}

/// Where a block's bytes stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    /// The bytes, when they still lie in the window: only then the block can be stored.
    pub(super) bytes: Option<&'a [u8]>,
    /// How many they are.
    pub(super) len: usize,
}

/// Whether more blocks follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Inside,
    Last,
}

/// The block that is being gathered.
#[derive(Debug)]
pub(super) struct Blocks {
    flavour: Flavour,
    strategy: Strategy,
    /// GNU gzip ends a block early, when it packs well, from this level on.
    early_end: bool,
    symbols_max: usize,
    symbols: Vec<Symbol>,
    matches: usize,
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
    distance_symbols: Box<[u8; 512]>,
    length_symbols: Box<[u8; 256]>,
    fixed_literals: Code,
    fixed_distances: Code,
    bits: BitWriter,
}

/// From which level on GNU gzip looks every 4,096 symbols whether the block should end.
const EARLY_END_LEVEL: u8 = 3;
const EARLY_END_MASK: usize = 0xFFF;

impl Blocks {
    pub(super) fn new(flavour: Flavour, strategy: Strategy, level: u8, symbols_max: usize) -> Self {
        let mut blocks = Self {
            flavour,
            strategy,
            early_end: flavour == Flavour::Gnu && level >= EARLY_END_LEVEL,
            symbols_max,
            symbols: Vec::with_capacity(symbols_max),
            matches: 0,
            literals: [0; LITERALS],
            distances: [0; DISTANCES],
            distance_symbols: Box::new(distance_symbols()),
            length_symbols: Box::new(length_symbols()),
            fixed_literals: Code::fixed_literals(),
            fixed_distances: Code::fixed_distances(),
            bits: BitWriter::default(),
        };
        blocks.clear();
        blocks
    }

    fn clear(&mut self) {
        self.symbols.clear();
        self.matches = 0;
        self.literals = [0; LITERALS];
        self.distances = [0; DISTANCES];
        if let Some(count) = self.literals.get_mut(END_OF_BLOCK) {
            *count = 1;
        }
    }

    /// Adds a literal; `block_len` bytes lie between the start of the block and the reading position. True when the
    /// block must end.
    pub(super) fn literal(&mut self, byte: u8, block_len: usize) -> bool {
        self.symbols.push(Symbol { distance: 0, value: byte });
        if let Some(count) = self.literals.get_mut(usize::from(byte)) {
            *count = count.wrapping_add(1);
        }
        self.full(block_len)
    }

    /// Adds a match. True when the block must end.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a match has 3 to 258 bytes and a distance below 32 KiB"
    )]
    pub(super) fn copy(&mut self, distance: usize, len: usize, block_len: usize) -> bool {
        let value = len.wrapping_sub(MATCH_MIN) as u8;
        let distance = distance as u16;
        self.symbols.push(Symbol { distance, value });
        self.matches = self.matches.wrapping_add(1);
        let length_symbol =
            END_OF_BLOCK + 1 + usize::from(at(self.length_symbols.as_slice(), usize::from(value)));
        if let Some(count) = self.literals.get_mut(length_symbol) {
            *count = count.wrapping_add(1);
        }
        let distance_symbol = self.distance_symbol(distance);
        if let Some(count) = self.distances.get_mut(distance_symbol) {
            *count = count.wrapping_add(1);
        }
        self.full(block_len)
    }

    fn distance_symbol(&self, distance: u16) -> usize {
        let less = usize::from(distance.wrapping_sub(1));
        let index = if less < 256 { less } else { 256 + (less >> 7) };
        usize::from(at(self.distance_symbols.as_slice(), index))
    }

    fn full(&self, block_len: usize) -> bool {
        let count = self.symbols.len();
        if self.early_end && count & EARLY_END_MASK == 0 {
            let mut bits = count.wrapping_mul(8);
            for (&frequency, &extra) in self.distances.iter().zip(&DISTANCE_EXTRA) {
                bits = bits.wrapping_add((frequency as usize).wrapping_mul(5 + usize::from(extra)));
            }
            if self.matches < count / 2 && bits >> 3 < block_len / 2 {
                return true;
            }
        }
        count >= self.symbols_max
    }

    /// Writes the block.
    pub(super) fn end(&mut self, source: Source<'_>, place: Place, out: &mut Vec<u8>) {
        let (literals, mut cost) = Code::build(&LITERAL_ALPHABET, &self.literals);
        let (distances, distance_cost) = Code::build(&DISTANCE_ALPHABET, &self.distances);
        cost.own += distance_cost.own;
        cost.fixed += distance_cost.fixed;
        let header = Header::new(&literals, &distances);
        cost.own += header.cost();
        let fixed_bytes = bytes_of(cost.fixed);
        let mut bytes = bytes_of(cost.own);
        if fixed_bytes <= bytes || self.strategy == Strategy::Fixed {
            bytes = fixed_bytes;
        }
        let last = u16::from(place == Place::Last);
        match source.bytes {
            Some(stored) if source.len.saturating_add(4) as u64 <= bytes => self.store(stored, last, out),
            _ if fixed_bytes == bytes => {
                self.bits.put(2 | last, 3, out);
                let (literals, distances) = (self.fixed_literals.clone(), self.fixed_distances.clone());
                self.send(&literals, &distances, out);
            }
            _ => {
                self.bits.put(4 | last, 3, out);
                header.send(&mut self.bits, &literals, &distances, out);
                self.send(&literals, &distances, out);
            }
        }
        self.clear();
        if place == Place::Last {
            self.bits.align(out);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "both encoders write the low 16 bits of the length")]
    fn store(&mut self, bytes: &[u8], last: u16, out: &mut Vec<u8>) {
        self.bits.put(last, 3, out);
        self.bits.align(out);
        let len = bytes.len() as u16;
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(bytes);
    }

    fn send(&mut self, literals: &Code, distances: &Code, out: &mut Vec<u8>) {
        let symbols = std::mem::take(&mut self.symbols);
        for symbol in &symbols {
            if symbol.distance == 0 {
                self.send_symbol(literals, usize::from(symbol.value), out);
                continue;
            }
            let length_symbol = usize::from(at(self.length_symbols.as_slice(), usize::from(symbol.value)));
            self.send_symbol(literals, END_OF_BLOCK + 1 + length_symbol, out);
            let extra = u32::from(at(&LENGTH_EXTRA, length_symbol));
            self.bits.put(length_offset(symbol.value, length_symbol), extra, out);
            let distance_symbol = self.distance_symbol(symbol.distance);
            self.send_symbol(distances, distance_symbol, out);
            let extra = u32::from(at(&DISTANCE_EXTRA, distance_symbol));
            let less = symbol.distance.wrapping_sub(1);
            self.bits.put(less & ((1_u16 << extra).wrapping_sub(1)), extra, out);
        }
        self.send_symbol(literals, END_OF_BLOCK, out);
        self.symbols = symbols;
    }

    fn send_symbol(&mut self, code: &Code, symbol: usize, out: &mut Vec<u8>) {
        self.bits.put(at(&code.codes, symbol), at(&code.bits, symbol).into(), out);
    }

    /// The flavour that is imitated.
    pub(super) const fn flavour(&self) -> Flavour {
        self.flavour
    }
}

/// Three bits say what block it is.
fn bytes_of(bits: i64) -> u64 {
    u64::try_from(bits.saturating_add(3 + 7) >> 3).unwrap_or_default()
}

/// The bits behind a length symbol. Length 258 has a symbol of its own, without any.
fn length_offset(value: u8, symbol: usize) -> u16 {
    let extra = u32::from(at(&LENGTH_EXTRA, symbol));
    // Bases of the symbols are multiples of their ranges, counted from 4 on.
    if extra == 0 { 0 } else { u16::from(value) & ((1_u16 << extra) - 1) }
}

/// The symbol for each distance: below 256 by itself, above by its upper bits.
fn distance_symbols() -> [u8; 512] {
    let mut table = [0; 512];
    let mut distance = 0_usize;
    for (symbol, &extra) in (0_u8..).zip(&DISTANCE_EXTRA) {
        for _ in 0..1_u32 << extra {
            let index = if distance < 256 { distance } else { 256 + (distance >> 7) };
            if let Some(place) = table.get_mut(index) {
                *place = symbol;
            }
            distance += 1;
        }
    }
    table
}

/// The symbol for each match length.
fn length_symbols() -> [u8; 256] {
    let mut table = [28; 256];
    let mut places = table.iter_mut().take(255);
    for (symbol, &extra) in (0_u8..28).zip(&LENGTH_EXTRA) {
        for place in places.by_ref().take(1 << extra) {
            *place = symbol;
        }
    }
    table
}

/// The code lengths of both codes, themselves coded (RFC 1951 section 3.2.7).
struct Header {
    runs: Vec<Run>,
    code: Code,
    code_cost: Cost,
    /// How many lengths of the code-length code are sent.
    sent: usize,
}

/// A length symbol and the value of its extra bits.
#[derive(Clone, Copy)]
struct Run {
    symbol: usize,
    extra: u16,
}

impl Header {
    fn new(literals: &Code, distances: &Code) -> Self {
        let mut runs = Vec::new();
        gather_runs(literals, &mut runs);
        gather_runs(distances, &mut runs);
        let mut frequencies = [0_u32; LENGTHS];
        for run in &runs {
            if let Some(count) = frequencies.get_mut(run.symbol) {
                *count += 1;
            }
        }
        let alphabet: &Alphabet = &LENGTH_ALPHABET;
        let (code, code_cost) = Code::build(alphabet, &frequencies);
        let unused = LENGTH_ORDER.iter().rev().take_while(|&&symbol| at(&code.bits, symbol) == 0).count();
        let sent = LENGTHS.saturating_sub(unused).max(4);
        Self { runs, code, code_cost, sent }
    }

    /// In bits: the runs, three for each length sent, and fourteen for three counts.
    fn cost(&self) -> i64 {
        self.code_cost.own + 3 * i64::try_from(self.sent).unwrap_or_default() + 14
    }

    #[expect(clippy::cast_possible_truncation, reason = "counts of symbols, below 300")]
    fn send(&self, bits: &mut BitWriter, literals: &Code, distances: &Code, out: &mut Vec<u8>) {
        bits.put((literals.last - 256) as u16, 5, out);
        bits.put(distances.last as u16, 5, out);
        bits.put((self.sent - 4) as u16, 4, out);
        for &symbol in LENGTH_ORDER.iter().take(self.sent) {
            bits.put(at(&self.code.bits, symbol).into(), 3, out);
        }
        for run in &self.runs {
            bits.put(at(&self.code.codes, run.symbol), at(&self.code.bits, run.symbol).into(), out);
            bits.put(run.extra, at(&REPEAT_EXTRA, run.symbol).into(), out);
        }
    }
}

/// Cuts the lengths of a code into runs: at most 138 zeros, or a length and at most 6 repetitions of it.
fn gather_runs(code: &Code, runs: &mut Vec<Run>) {
    let lengths = code.bits.get(..=code.last).unwrap_or_default();
    let mut previous: Option<u8> = None;
    let mut index = 0;
    while let Some(&length) = lengths.get(index) {
        let same = lengths.iter().skip(index).take_while(|&&other| other == length).count();
        let taken = if length == 0 {
            zeros(same, runs)
        } else {
            repeated(length, same, previous == Some(length), runs)
        };
        index += taken;
        // After the longest run, and after zeros, both encoders start anew.
        previous = Some(length);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "at most 138")]
fn zeros(same: usize, runs: &mut Vec<Run>) -> usize {
    let count = same.min(138);
    match count {
        0..3 => runs.extend(std::iter::repeat_n(Run { symbol: 0, extra: 0 }, count)),
        3..11 => runs.push(Run { symbol: REPEAT_ZERO, extra: (count - 3) as u16 }),
        _ => runs.push(Run { symbol: REPEAT_ZERO_LONG, extra: (count - 11) as u16 }),
    }
    count
}

#[expect(clippy::cast_possible_truncation, reason = "at most 6")]
fn repeated(length: u8, same: usize, continued: bool, runs: &mut Vec<Run>) -> usize {
    let literal = Run { symbol: usize::from(length), extra: 0 };
    let count = same.min(if continued { 6 } else { 7 });
    let repeats = if continued { count } else { count - 1 };
    if repeats < 3 {
        runs.extend(std::iter::repeat_n(literal, count));
        return count;
    }
    if !continued {
        runs.push(literal);
    }
    runs.push(Run { symbol: REPEAT_PREVIOUS, extra: (repeats - 3) as u16 });
    count
}
