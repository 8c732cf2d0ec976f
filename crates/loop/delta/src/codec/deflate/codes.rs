//! Prefix codes as zlib and GNU gzip build them (RFC 1951 section 3.2.2).
//!
//! In: how often each symbol occurs. Out: code lengths and codes. The order in which equal frequencies are merged, and
//! how codes that are too long are shortened, decide the bytes of a stream: both encoders share one way, kept here.

use super::at;

/// Symbols for literals, the end of a block and lengths (two of them are never used).
pub(super) const LITERALS: usize = 286;
/// Symbols for distances.
pub(super) const DISTANCES: usize = 30;
/// Symbols for code lengths.
pub(super) const LENGTHS: usize = 19;
/// Leaves and inner nodes of the largest tree, and the unused place 0 of the heap.
const NODES: usize = 2 * LITERALS + 1;

/// Bits that follow a length symbol (RFC 1951 section 3.2.5).
pub(super) const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/// Bits that follow a distance symbol.
pub(super) const DISTANCE_EXTRA: [u8; 30] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
/// Bits that follow a code-length symbol.
pub(super) const REPEAT_EXTRA: [u8; 19] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];

/// What is fixed of an alphabet.
#[derive(Debug)]
pub(super) struct Alphabet {
    /// How many symbols it has.
    pub(super) symbols: usize,
    /// Extra bits, from symbol `extra_from` on.
    pub(super) extra: &'static [u8],
    /// The first symbol that may have extra bits.
    pub(super) extra_from: usize,
    /// The longest code, in bits.
    pub(super) bits_max: usize,
    /// The code lengths of the fixed code (RFC 1951 section 3.2.6).
    pub(super) fixed: Option<&'static [u8]>,
}

/// Literals and lengths.
pub(super) static LITERAL_ALPHABET: Alphabet = Alphabet {
    symbols: LITERALS,
    extra: &LENGTH_EXTRA,
    extra_from: 257,
    bits_max: 15,
    fixed: Some(&FIXED_LITERAL_BITS),
};
/// Distances.
pub(super) static DISTANCE_ALPHABET: Alphabet = Alphabet {
    symbols: DISTANCES,
    extra: &DISTANCE_EXTRA,
    extra_from: 0,
    bits_max: 15,
    fixed: Some(&[5; DISTANCES]),
};
/// Code lengths.
pub(super) static LENGTH_ALPHABET: Alphabet =
    Alphabet { symbols: LENGTHS, extra: &REPEAT_EXTRA, extra_from: 0, bits_max: 7, fixed: None };

/// Lengths of the fixed literal code; two symbols beyond the alphabet take part in its codes.
const FIXED_LITERAL_BITS: [u8; LITERALS + 2] = {
    let mut bits = [8_u8; LITERALS + 2];
    let mut index = 144;
    while index < 280 {
        #[expect(
            clippy::indexing_slicing,
            reason = "evaluated by the compiler, where a wrong index is an error"
        )]
        {
            bits[index] = if index < 256 { 9 } else { 7 };
        }
        index += 1;
    }
    bits
};

/// A prefix code.
#[derive(Debug, Clone)]
pub(super) struct Code {
    /// Length of each symbol's code, in bits; 0 for an unused symbol.
    pub(super) bits: Vec<u8>,
    /// Each symbol's code, first bit lowest.
    pub(super) codes: Vec<u16>,
    /// The highest symbol that is used.
    pub(super) last: usize,
}

impl Code {
    /// The fixed code of an alphabet.
    pub(super) fn fixed(bits: &[u8]) -> Self {
        let mut counts = [0_u16; 16];
        for &len in bits {
            bump(&mut counts, usize::from(len), 1);
        }
        Self { bits: bits.to_vec(), codes: codes(bits, &counts), last: bits.len().saturating_sub(1) }
    }

    /// The fixed code for literals and lengths.
    pub(super) fn fixed_literals() -> Self {
        Self::fixed(&FIXED_LITERAL_BITS)
    }

    /// The fixed code for distances.
    pub(super) fn fixed_distances() -> Self {
        Self::fixed(&[5; DISTANCES])
    }

    /// Builds the best code for these frequencies.
    pub(super) fn build(alphabet: &Alphabet, frequencies: &[u32]) -> (Self, Cost) {
        let mut tree = Tree::new(frequencies);
        tree.collect_leaves(alphabet);
        tree.merge(alphabet.symbols);
        let counts = tree.measure(alphabet);
        let bits: Vec<u8> = tree.bits.get(..alphabet.symbols).unwrap_or_default().to_vec();
        let codes = codes(&bits, &counts);
        (Self { bits, codes, last: tree.last }, tree.cost)
    }
}

/// What a block would cost, in bits.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Cost {
    /// With the code that was built.
    pub(super) own: i64,
    /// With the fixed code.
    pub(super) fixed: i64,
}

fn bump(counts: &mut [u16], index: usize, by: i16) {
    if let Some(count) = counts.get_mut(index) {
        *count = count.wrapping_add_signed(by);
    }
}

fn put<T>(values: &mut [T], index: usize, value: T) {
    if let Some(place) = values.get_mut(index) {
        *place = value;
    }
}

/// Codes of these lengths, in the order of RFC 1951 section 3.2.2, turned around.
fn codes(bits: &[u8], counts: &[u16; 16]) -> Vec<u16> {
    let mut next = [0_u16; 16];
    let mut code = 0_u16;
    for (place, &count) in next.iter_mut().skip(1).zip([0].iter().chain(counts.iter().skip(1))) {
        code = code.wrapping_add(count).wrapping_shl(1);
        *place = code;
    }
    bits.iter()
        .map(|&len| match (len, next.get_mut(usize::from(len))) {
            (0, _) | (_, None) => 0,
            (len, Some(code)) => {
                let value = code.reverse_bits().wrapping_shr(16_u32.wrapping_sub(u32::from(len)));
                *code = code.wrapping_add(1);
                value
            }
        })
        .collect()
}

/// A tree while it is built: a heap of nodes, the rarest on top, and behind it the nodes that have been taken off.
struct Tree {
    weights: [u32; NODES],
    parents: [u16; NODES],
    bits: [u8; NODES],
    depths: [u8; NODES],
    heap: [u16; NODES],
    heap_len: usize,
    /// Where the nodes that were taken off begin.
    taken: usize,
    last: usize,
    cost: Cost,
}

impl Tree {
    fn new(frequencies: &[u32]) -> Self {
        let mut weights = [0; NODES];
        for (weight, &frequency) in weights.iter_mut().zip(frequencies) {
            *weight = frequency;
        }
        Self {
            weights,
            parents: [0; NODES],
            bits: [0; NODES],
            depths: [0; NODES],
            heap: [0; NODES],
            heap_len: 0,
            taken: NODES,
            last: 0,
            cost: Cost::default(),
        }
    }

    fn collect_leaves(&mut self, alphabet: &Alphabet) {
        let mut used: Option<usize> = None;
        for symbol in 0..alphabet.symbols {
            if at(&self.weights, symbol) != 0 {
                self.add(symbol);
                used = Some(symbol);
            }
        }
        // A code of one symbol would have no bits: the first unused symbols fill up to two.
        while self.heap_len < 2 {
            let symbol = match used {
                Some(last) if last < 2 => last + 1,
                None | Some(_) => 0,
            };
            used = Some(used.map_or(symbol, |last| last.max(symbol)));
            self.add(symbol);
            put(&mut self.weights, symbol, 1);
            self.cost.own -= 1;
            self.cost.fixed -= alphabet.fixed.map_or(0, |bits| i64::from(at(bits, symbol)));
        }
        self.last = used.unwrap_or_default();
    }

    #[expect(clippy::cast_possible_truncation, reason = "there are fewer than 600 nodes")]
    fn add(&mut self, node: usize) {
        self.heap_len += 1;
        put(&mut self.heap, self.heap_len, node as u16);
    }

    /// Merges the two rarest nodes until one is left.
    #[expect(clippy::cast_possible_truncation, reason = "there are fewer than 600 nodes")]
    fn merge(&mut self, symbols: usize) {
        for place in (1..=self.heap_len / 2).rev() {
            self.sink(place);
        }
        let mut node = symbols;
        while self.heap_len >= 2 {
            let first = at(&self.heap, 1);
            let end = at(&self.heap, self.heap_len);
            put(&mut self.heap, 1, end);
            self.heap_len -= 1;
            self.sink(1);
            let second = at(&self.heap, 1);
            self.take_off(first);
            self.take_off(second);
            let (a, b) = (usize::from(first), usize::from(second));
            let weight = at(&self.weights, a).wrapping_add(at(&self.weights, b));
            let depth = at(&self.depths, a).max(at(&self.depths, b)).wrapping_add(1);
            put(&mut self.weights, node, weight);
            put(&mut self.depths, node, depth);
            put(&mut self.parents, a, node as u16);
            put(&mut self.parents, b, node as u16);
            put(&mut self.heap, 1, node as u16);
            node += 1;
            self.sink(1);
        }
        let root = at(&self.heap, 1);
        self.take_off(root);
    }

    fn take_off(&mut self, node: u16) {
        self.taken = self.taken.saturating_sub(1);
        put(&mut self.heap, self.taken, node);
    }

    fn sink(&mut self, mut place: usize) {
        let node = at(&self.heap, place);
        let mut child = place * 2;
        while child <= self.heap_len {
            if child < self.heap_len && self.rarer(at(&self.heap, child + 1), at(&self.heap, child)) {
                child += 1;
            }
            let other = at(&self.heap, child);
            if self.rarer(node, other) {
                break;
            }
            put(&mut self.heap, place, other);
            place = child;
            child *= 2;
        }
        put(&mut self.heap, place, node);
    }

    /// Of equally rare nodes the flatter one counts as rarer.
    fn rarer(&self, a: u16, b: u16) -> bool {
        let (a, b) = (usize::from(a), usize::from(b));
        let (weight, other) = (at(&self.weights, a), at(&self.weights, b));
        weight < other || (weight == other && at(&self.depths, a) <= at(&self.depths, b))
    }

    /// Gives each leaf its code length and counts the lengths.
    fn measure(&mut self, alphabet: &Alphabet) -> [u16; 16] {
        let mut counts = [0_u16; 16];
        let mut too_long = 0_i32;
        for place in self.taken + 1..NODES {
            let node = usize::from(at(&self.heap, place));
            let mut bits = usize::from(at(&self.bits, usize::from(at(&self.parents, node)))) + 1;
            if bits > alphabet.bits_max {
                bits = alphabet.bits_max;
                too_long += 1;
            }
            put(&mut self.bits, node, bits.to_le_bytes()[0]);
            if node > self.last {
                continue;
            }
            bump(&mut counts, bits, 1);
            let extra = node.checked_sub(alphabet.extra_from).map_or(0, |index| at(alphabet.extra, index));
            let weight = i64::from(at(&self.weights, node));
            self.cost.own += weight * (i64::from(extra) + i64::try_from(bits).unwrap_or_default());
            if let Some(fixed) = alphabet.fixed {
                self.cost.fixed += weight * i64::from(at(fixed, node) + extra);
            }
        }
        if too_long > 0 {
            shorten(&mut counts, alphabet.bits_max, too_long);
            self.reassign(&counts, alphabet.bits_max);
        }
        counts
    }

    /// Hands out the changed lengths, the longest to the rarest symbols.
    fn reassign(&mut self, counts: &[u16; 16], bits_max: usize) {
        let mut place = NODES;
        for bits in (1..=bits_max).rev() {
            let mut left = at(counts, bits);
            while left != 0 && place > self.taken {
                place -= 1;
                let node = usize::from(at(&self.heap, place));
                if node > self.last {
                    continue;
                }
                let before = i64::from(at(&self.bits, node));
                let now = i64::try_from(bits).unwrap_or_default();
                self.cost.own += (now - before) * i64::from(at(&self.weights, node));
                put(&mut self.bits, node, bits.to_le_bytes()[0]);
                left -= 1;
            }
        }
    }
}

/// Moves leaves up until no code is longer than allowed: each step makes one leaf an inner node for two.
fn shorten(counts: &mut [u16; 16], bits_max: usize, mut too_long: i32) {
    while too_long > 0 {
        let mut bits = bits_max - 1;
        while bits > 0 && at(counts, bits) == 0 {
            bits -= 1;
        }
        bump(counts, bits, -1);
        bump(counts, bits + 1, 2);
        bump(counts, bits_max, -1);
        too_long -= 2;
    }
}
