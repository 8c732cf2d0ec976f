//! The coder of the profiles `linux` and `mcu`: context mixing.
//!
//! In: lent tables, a coin. Out: a [`Coder`]. Refuses: what its coin refuses, and numbers that no encoder writes.
//!
//! A word of a copy is said in up to three steps: that it is as predicted; else, that it is one of a few likely words
//! (the prediction corrected as the last similar word was, what the same old word became before); else its bytes.

use crate::coder::{Coder, Kind, Word};
use crate::coin::Coin;
use crate::model::{Mixer, Slot, hash, place};
use crate::predict::Mode;
use crate::repeats::Repeats;

const WORD_CONTEXTS: usize = 5;
const BYTE_CONTEXTS: usize = 8;
const LITERAL_CONTEXTS: usize = 8;
const CANDIDATE_CONTEXTS: usize = 4;

/// How large the tables of a patch are; it stands in its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Slots for each context, as a power of two.
    pub log: u32,
    /// Slots for numbers, and for each context of the candidates, as a power of two.
    pub small_log: u32,
    /// Remembered words, as a power of two.
    pub seen_log: u32,
    /// Literals that are kept to find repeats, as a power of two; 0: none are.
    pub history_log: u32,
}

impl Shape {
    /// Returns how many slots the tables take.
    pub const fn slots(self) -> usize {
        ((WORD_CONTEXTS + BYTE_CONTEXTS + LITERAL_CONTEXTS) << self.log)
            + ((1 + CANDIDATE_CONTEXTS + 2) << self.small_log)
    }

    /// Returns how many words are remembered.
    pub const fn seen(self) -> usize {
        1 << self.seen_log
    }

    /// Returns how many literals are kept.
    pub const fn history(self) -> usize {
        if self.history_log == 0 { 0 } else { 1 << self.history_log }
    }

    /// Returns how many places in the kept literals are indexed.
    pub const fn index(self) -> usize {
        self.history() / 4
    }
}

/// The memory that a coder works in. It must have the lengths of its [`Shape`] (shorter ones cost bytes only).
#[derive(Debug)]
pub struct Memory<'m, S> {
    /// [`Shape::slots`] of them.
    pub slots: &'m mut [S],
    /// [`Shape::seen`] of them.
    pub seen: &'m mut [Seen],
    /// [`Shape::history`] of them.
    pub history: &'m mut [u8],
    /// [`Shape::index`] of them.
    pub index: &'m mut [u32],
}

/// What an old word became when it was met last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    old: u32,
    new: u32,
}

impl Seen {
    /// Nothing was met yet.
    pub const NONE: Self = Self { old: 0, new: 0 };
}

/// The last corrections of words, by what they look like.
#[derive(Debug, Clone)]
struct Shifts {
    /// By mode and the top bits of the word, where instruction sets keep the operation: the last and the one before.
    class: [[u32; 2]; 256],
    /// By place within eight bytes: tables have columns.
    column: [u32; 64],
}

/// The coder by context mixing.
#[derive(Debug)]
pub struct Mixing<'m, C, S> {
    coin: C,
    words: &'m mut [S],
    bytes: &'m mut [S],
    literals: &'m mut [S],
    candidates: &'m mut [S],
    numbers: &'m mut [S],
    modes: &'m mut [S],
    seen: &'m mut [Seen],
    repeats: Repeats<'m>,
    word_mixer: Mixer<WORD_CONTEXTS, 4>,
    byte_mixer: Mixer<BYTE_CONTEXTS, 4>,
    literal_mixer: Mixer<LITERAL_CONTEXTS, 2>,
    candidate_mixer: Mixer<CANDIDATE_CONTEXTS, 5>,
    number_mixer: Mixer<1, 1>,
    mode_mixer: Mixer<2, 1>,
    shifts: Shifts,
    /// The last eight bytes of the new file, the newest lowest.
    recent: u64,
    /// Which of the last words were not as predicted, a bit each, the newest lowest.
    missed: u32,
    /// Which candidates were right, three bits each.
    chosen: u32,
    /// Which of the last blocks were quiet.
    quiet: u32,
    last_mode: Mode,
}

impl<'m, C: Coin, S: Slot> Mixing<'m, C, S> {
    /// Makes a coder in tables of this shape.
    pub fn new(coin: C, shape: Shape, memory: Memory<'m, S>) -> Self {
        let Memory { slots, seen, history, index } = memory;
        slots.fill(S::FRESH);
        seen.fill(Seen::default());
        let (len, small) = (1_usize << shape.log, 1_usize << shape.small_log);
        let (words, rest) = split(slots, WORD_CONTEXTS * len);
        let (bytes, rest) = split(rest, BYTE_CONTEXTS * len);
        let (literals, rest) = split(rest, LITERAL_CONTEXTS * len);
        let (candidates, rest) = split(rest, CANDIDATE_CONTEXTS * small);
        let (modes, numbers) = split(rest, 2 * small);
        Self {
            coin,
            words,
            bytes,
            literals,
            candidates,
            numbers,
            modes,
            seen,
            repeats: Repeats::new(history, index),
            word_mixer: Mixer::new(RATE),
            byte_mixer: Mixer::new(RATE),
            literal_mixer: Mixer::new(RATE),
            candidate_mixer: Mixer::new(RATE),
            number_mixer: Mixer::new(RATE),
            mode_mixer: Mixer::new(RATE),
            shifts: Shifts { class: [[0; 2]; 256], column: [0; 64] },
            recent: 0,
            missed: 0,
            chosen: 0,
            quiet: 0,
            last_mode: Mode::Same,
        }
    }

    /// Returns the coin, and gives the tables back.
    pub fn into_coin(self) -> C {
        self.coin
    }

    /// Codes one bit of a number.
    fn number_bit(&mut self, context: u32, wanted: bool) -> Result<bool, C::Error> {
        let places = [place(context, self.numbers.len())];
        self.number_mixer.bit(&mut self.coin, self.numbers, &places, 0, wanted)
    }

    /// Codes whether a word is as predicted.
    fn is_predicted(&mut self, word: &Word, wanted: bool) -> Result<bool, C::Error> {
        let (old, predicted) = (value(word.old), value(word.predicted));
        let differs = u32::from(old != predicted);
        let shift = predicted.wrapping_sub(old);
        let mode = word.mode as u32;
        let class = class_hash(word, differs);
        #[expect(clippy::cast_possible_truncation, reason = "1 to 4")]
        let len = word.len as u32;
        let contexts = [
            hash(self.missed & 0xff, differs | mode << 1 | len << 5),
            hash(class, self.missed & 3),
            hash(old, differs),
            hash(shift, mode | (self.missed & 3) << 8),
            hash(self.missed & 0xffff, 1 + differs),
        ];
        let places = places(&contexts, self.words.len(), 0x9e37_79b1);
        let set = (differs * 2 + (self.missed & 1)) as usize;
        let equal = self.word_mixer.bit(&mut self.coin, self.words, &places, set, wanted)?;
        self.missed = self.missed << 1 | u32::from(!equal);
        Ok(equal)
    }

    /// Tries the likely words, the likeliest first.
    fn candidate(&mut self, word: &Word, wanted: u32) -> Result<Option<u32>, C::Error> {
        let (old, predicted) = (value(word.old), value(word.predicted));
        let [last, before] = self.shifts.class.get(class(word)).copied().unwrap_or_default();
        let column = self.shifts.column.get(column(word)).copied().unwrap_or_default();
        let remembered = self.seen.get(seen_place(word, self.seen.len())).filter(|seen| seen.old == old);
        let words = [
            predicted.wrapping_add(last),
            predicted.wrapping_add(column),
            remembered.map_or(old, |seen| seen.new),
            old,
            predicted.wrapping_add(before),
        ];
        let (mode, top) = (word.mode as u32, old >> 26);
        let class = class_hash(word, u32::from(old != predicted));
        for (index, candidate) in words.iter().enumerate() {
            if *candidate == predicted || words.iter().take(index).any(|earlier| earlier == candidate) {
                continue;
            }
            #[expect(clippy::cast_possible_truncation, reason = "0 to 4")]
            let number = index as u32;
            let contexts = [
                hash(number, self.chosen & 0xff),
                hash(number | top << 4, mode),
                hash(number | mode << 3 | word.phase << 8, self.chosen & 3),
                hash(class, number + 900),
            ];
            let places = places(&contexts, self.candidates.len(), 5);
            let right = wanted == *candidate;
            if self.candidate_mixer.bit(&mut self.coin, self.candidates, &places, index, right)? {
                self.chosen = self.chosen << 3 | (number + 1);
                return Ok(Some(*candidate));
            }
        }
        self.chosen <<= 3;
        Ok(None)
    }

    /// Codes the bytes of a word that is none of the likely ones.
    fn bytes(&mut self, word: &Word, wanted: [u8; 4]) -> Result<[u8; 4], C::Error> {
        let mut done = word.old;
        let old_value = value(word.old);
        let mode = word.mode as u32;
        let (mut same, mut miss) = (1_u32, 0_u8);
        let mut bytes =
            word.old.iter().zip(&word.predicted).zip(wanted).zip(done.iter_mut()).take(word.len).enumerate();
        #[expect(clippy::cast_possible_truncation, reason = "1 to 4")]
        let len = word.len as u32;
        let mut recent = self.recent;
        for (index, (((old, predicted), wanted), done)) in &mut bytes {
            #[expect(clippy::cast_possible_truncation, reason = "0 to 3")]
            let at = index as u32;
            let place_kind = at | len << 3;
            #[expect(clippy::cast_possible_truncation, reason = "bytes are cut out of the history")]
            let (one, two, column) =
                (recent as u32 & 0xff, (recent >> 8) as u32 & 0xff, (recent >> 56) as u32);
            let (old, guess) = (u32::from(*old), u32::from(*predicted));
            // Where the bytes before were off by something, this one may be, too: a carry, a shifted field.
            let corrected = u32::from(predicted.wrapping_sub(miss));
            let next =
                word.predicted.get(index + 1).filter(|_| index + 1 < word.len).map_or(256, |b| u32::from(*b));
            let contexts = [
                hash(guess | place_kind << 8, same),
                hash(guess | old << 8, place_kind + 50),
                hash(guess | one << 8 | two << 16, place_kind + 100),
                hash(one | two << 8, place_kind + 150),
                hash(guess | next << 8, place_kind + 200),
                hash(corrected | old << 8 | same << 20, place_kind + 250),
                hash(old_value, at << 9 | 0x12c | if same == 1 { 0 } else { one << 16 }),
                hash(column | guess << 8, (place_kind + 350) | mode << 16),
            ];
            let set = (same * 2 + u32::from(index > 0)) as usize;
            let mixer = &mut self.byte_mixer;
            *done = byte(&mut self.coin, mixer, self.bytes, &contexts, set, wanted)?;
            miss = predicted.wrapping_sub(*done);
            if *done != *predicted {
                same = 0;
            }
            recent = recent << 8 | u64::from(*done);
        }
        Ok(done)
    }

    /// Remembers how a word came out.
    fn remember(&mut self, word: &Word, new: u32) {
        let predicted = value(word.predicted);
        if new == predicted {
            return;
        }
        let shift = new.wrapping_sub(predicted);
        if let Some(class) = self.shifts.class.get_mut(class(word))
            && class.first() != Some(&shift)
        {
            let [last, _] = *class;
            *class = [shift, last];
        }
        if let Some(column) = self.shifts.column.get_mut(column(word)) {
            *column = shift;
        }
        let len = self.seen.len();
        if let Some(seen) = self.seen.get_mut(seen_place(word, len)) {
            *seen = Seen { old: value(word.old), new };
        }
    }

    fn push_recent(&mut self, bytes: &[u8]) {
        let tail = bytes.len().saturating_sub(8);
        for byte in bytes.iter().skip(tail) {
            self.recent = self.recent << 8 | u64::from(*byte);
        }
    }
}

/// A context's table up to this many slots is filled slot by slot.
const SMALL_SLOTS: usize = 1 << 12;

/// How fast the mixers learn, in 1/65,536.
const RATE: i32 = 5;

fn split<S>(slots: &mut [S], at: usize) -> (&mut [S], &mut [S]) {
    let at = at.min(slots.len());
    slots.split_at_mut(at)
}

/// Reads a word as a number.
fn value(bytes: [u8; 4]) -> u32 {
    u32::from_le_bytes(bytes)
}

/// The class of a word: its mode, and its top bits, where instruction sets keep the operation.
fn class(word: &Word) -> usize {
    let [.., top] = word.old;
    (word.mode as usize * 64 + usize::from(top >> 2)) & 0xff
}

fn class_hash(word: &Word, differs: u32) -> u32 {
    let [.., top] = word.old;
    #[expect(clippy::cast_possible_truncation, reason = "1 to 4")]
    let len = word.len as u32;
    hash(u32::from(top) | (word.mode as u32) << 8 | differs << 12, len)
}

fn column(word: &Word) -> usize {
    (word.phase as usize & 7 | (word.mode as usize) << 3) & 63
}

fn seen_place(word: &Word, len: usize) -> usize {
    place(hash(value(word.old), word.mode as u32), len)
}

/// Returns how many of the slots each of `count` contexts has: a power of two.
#[inline]
fn part_len(slots: usize, count: usize) -> usize {
    slots.checked_div(count).and_then(usize::checked_ilog2).map_or(1, |log| 1 << log)
}

/// Spreads contexts over a table, each over a part of its own.
#[inline]
fn places<const N: usize>(contexts: &[u32; N], len: usize, node: u32) -> [usize; N] {
    let part = part_len(len, N);
    let mut places = [0; N];
    for (index, (found, context)) in places.iter_mut().zip(contexts).enumerate() {
        *found = index * part + place(context.wrapping_add(node), part);
    }
    places
}

/// Codes a byte, the highest bit first.
#[inline]
fn byte<C: Coin, S: Slot, const N: usize, const SETS: usize>(
    coin: &mut C,
    mixer: &mut Mixer<N, SETS>,
    slots: &mut [S],
    contexts: &[u32; N],
    set: usize,
    wanted: u8,
) -> Result<u8, C::Error> {
    let part = part_len(slots.len(), N);
    // Sixteen slots lie in a row for four bits: one look into memory for each context. Small tables are in the cache
    // anyway, and must not waste any slot.
    let is_small = part <= SMALL_SLOTS;
    let mut node = 1_u32;
    let mut rows = [0; N];
    for index in (0..8).rev() {
        if index == 7 || index == 3 || is_small {
            for (number, (row, context)) in rows.iter_mut().zip(contexts).enumerate() {
                let within = place(context.wrapping_add(node.wrapping_mul(0x9e37_79b1)), part);
                *row = number * part + if is_small { within } else { within & !15 };
            }
        }
        let step = if index > 3 { node } else { (node & ((1 << (3 - index)) - 1)) | 1 << (3 - index) };
        let places = if is_small { rows } else { rows.map(|row| row + (step as usize & 15)) };
        let bit = mixer.bit(coin, slots, &places, set, (wanted >> index) & 1 == 1)?;
        node = node << 1 | u32::from(bit);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the ninth bit is the mark that it started with")]
    let byte = node as u8;
    Ok(byte)
}

impl<C: Coin, S: Slot> Coder for Mixing<'_, C, S> {
    type Error = C::Error;

    fn number(&mut self, kind: Kind, wanted: u64) -> Result<u64, C::Error> {
        // The length of the number + 1 in unary, then its bits: the three highest with contexts of their own.
        let target = wanted.saturating_add(1);
        let kind = kind as u32;
        let wanted_len = target.max(1).ilog2();
        let mut len = 0;
        while len < 63 && self.number_bit(hash(kind, len), len < wanted_len)? {
            len += 1;
        }
        let mut value = 1_u64;
        for index in (0..len).rev() {
            #[expect(clippy::cast_possible_truncation, reason = "used for the three highest bits only")]
            let context = if len - index <= 3 {
                hash(kind + 100, value as u32 | len << 8)
            } else {
                hash(kind + 200, len << 8 | index)
            };
            let bit = self.number_bit(context, (target >> index) & 1 == 1)?;
            value = value << 1 | u64::from(bit);
        }
        Ok(value - 1)
    }

    fn mode(&mut self, wanted: Mode) -> Result<Mode, C::Error> {
        let mut node = 1_u32;
        for index in (0..Mode::BITS).rev() {
            let last = self.last_mode as u32;
            let contexts = [hash(last, node), hash(77, node)];
            let places = places(&contexts, self.modes.len(), 0);
            let bit = (wanted as u32 >> index) & 1 == 1;
            let bit = self.mode_mixer.bit(&mut self.coin, self.modes, &places, 0, bit)?;
            node = node << 1 | u32::from(bit);
        }
        self.last_mode = Mode::from_number(node & ((1 << Mode::BITS) - 1));
        Ok(self.last_mode)
    }

    fn quiet(&mut self, mode: Mode, wanted: bool) -> Result<bool, C::Error> {
        let contexts = [hash(mode as u32, 500 + (self.quiet & 3)), hash(501, self.quiet & 0xff)];
        let places = places(&contexts, self.modes.len(), 3);
        let quiet = self.mode_mixer.bit(&mut self.coin, self.modes, &places, 0, wanted)?;
        self.quiet = self.quiet << 1 | u32::from(quiet);
        Ok(quiet)
    }

    fn word(&mut self, word: &Word, wanted: [u8; 4]) -> Result<[u8; 4], C::Error> {
        let whole = word.len == 4;
        let equal = wanted.iter().zip(&word.predicted).take(word.len).all(|(a, b)| a == b);
        let new = if self.is_predicted(word, equal)? {
            word.predicted
        } else if !whole {
            self.bytes(word, wanted)?
        } else if let Some(candidate) = self.candidate(word, value(wanted))? {
            candidate.to_le_bytes()
        } else {
            self.bytes(word, wanted)?
        };
        if whole {
            self.remember(word, value(new));
        }
        self.push_recent(new.get(..word.len).unwrap_or(&new));
        Ok(new)
    }

    fn literal(&mut self, wanted: u8) -> Result<u8, C::Error> {
        let recent = self.recent;
        #[expect(clippy::cast_possible_truncation, reason = "bytes are cut out of the history")]
        let (low, high) = (recent as u32, (recent >> 32) as u32);
        let contexts = [
            hash(0, 1),
            hash(low & 0xff, 2),
            hash(low & 0xffff, 3),
            hash(low & 0x00ff_ffff, 4),
            hash(low, 5),
            hash(low >> 24 | high >> 24 << 8, 6),
            hash(low, 7 ^ (high & 0xffff).wrapping_mul(0x1_0001)),
            self.repeats.guess(),
        ];
        let byte = byte(&mut self.coin, &mut self.literal_mixer, self.literals, &contexts, 0, wanted)?;
        self.recent = recent << 8 | u64::from(byte);
        self.repeats.push(byte);
        Ok(byte)
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.push_recent(bytes);
        self.missed = 0;
    }

    fn turn(&mut self) -> Result<(), C::Error> {
        self.coin.turn()
    }
}
