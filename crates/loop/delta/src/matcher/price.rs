//! What a description of the new file costs.
//!
//! In: what a step of it does. Out: its price, in sixteenths of a bit. Refuses nothing.
//!
//! The prices are about what the coder behind the matcher pays, tuned on libraries, kernels and firmware of
//! microcontrollers; each is only weighed against the others. A right byte in a copy is free: it costs about 0.02 bits.

use super::pair::Pair;

/// A price, in sixteenths of a bit. The dearest file, 4 GiB of literals, costs less than 2^40.
pub(super) type Price = u64;

/// A price that nobody pays: what costs this much is not to be had. Sums of a few of them do not overflow.
pub(super) const UNPAYABLE: Price = Price::MAX / 8;

/// A bit.
const BIT: Price = 16;

/// A byte that no copy covers. The coder pays between 4 and 6.5 bits.
const LITERAL: Price = 4 * BIT;

/// A literal byte that goes on a run of equal bytes.
const LITERAL_RUN: Price = BIT / 2;

/// Literals between two copies: their number, and what the coder loses by the change.
pub(super) const LITERALS: Price = 7 * BIT;

/// The first wrong byte in a word of a copy: the word's flag, and the byte itself.
pub(super) const WRONG_WORD: Price = 11 * BIT;

/// A wrong word that differs from the old one by as much as one of the last wrong words did.
pub(super) const WRONG_KNOWN: Price = BIT;

/// Each further wrong byte in the same word.
const WRONG_BYTE: Price = 5 * BIT;

/// A copy: its length, what the coder loses by the change, and what predictors lose by a map of many small pieces.
pub(super) const COPY: Price = 22 * BIT;

/// A seek back to the shift of the copy before.
const SEEK_SAME: Price = BIT;

/// A seek to the shift of one of the copies before that.
const SEEK_RECENT: Price = 5 * BIT;

/// A seek to anywhere, besides the bits of its distance.
const SEEK: Price = 6 * BIT;

/// The most that starting a copy in a file of 4 GiB costs, literals before it included.
pub(super) const COPY_MAX: Price = COPY + SEEK + 32 * BIT + LITERALS;

/// The bytes of a word: the coder codes words of four bytes, aligned in the new file.
pub(super) const WORD_BYTES: usize = 4;

/// How far a copy lies from where the last ones would have gone on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seek {
    /// The shift of the last copy: only literals stand between the two.
    Same,
    /// A shift that was used shortly before.
    Recent,
    /// So many bytes from where the last copy would have gone on.
    Far(u64),
}

/// Returns the price of starting a copy.
pub(super) fn copy(seek: Seek) -> Price {
    COPY + match seek {
        Seek::Same => SEEK_SAME,
        Seek::Recent => SEEK_RECENT,
        Seek::Far(distance) => SEEK + BIT * u64::from(distance.max(1).ilog2()),
    }
}

/// Returns the price of the literal byte at `at`.
pub(super) fn literal(new: &[u8], at: usize) -> Price {
    let before = at.checked_sub(2).and_then(|start| new.get(start..=at));
    match before {
        Some([a, b, c]) if a == b && b == c => LITERAL_RUN,
        Some(_) | None => LITERAL,
    }
}

/// Returns about what the literal bytes from one place to another cost.
pub(super) fn literals(from: usize, to: usize) -> Price {
    LITERAL * to.saturating_sub(from) as Price
}

/// What the wrong words of a lane have in common. Tables of addresses whose targets have moved differ from the old ones
/// by few distances, which a predictor or the coder guesses; such a table is still the right one to copy.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wrongs {
    /// The word in which the last wrong byte lay, and what a further one in it costs.
    word: Option<(usize, Price)>,
    /// By how much the last words differed, the latest first.
    differences: [Option<u32>; DIFFERENCES],
}

/// How many differences are remembered.
const DIFFERENCES: usize = 4;

impl Wrongs {
    /// Returns the price of a wrong byte at `at` of the new file, and remembers it.
    pub(super) fn price(&mut self, pair: Pair<'_>, at: usize, shift: i64) -> Price {
        let word = at / WORD_BYTES;
        if let Some((last, price)) = self.word
            && last == word
        {
            return price;
        }
        let difference = pair.difference(word * WORD_BYTES, shift);
        let place = self.differences.iter().position(|known| known.is_some() && *known == difference);
        let (price, further) = if place.is_some() { (WRONG_KNOWN, 0) } else { (WRONG_WORD, WRONG_BYTE) };
        if let Some(moved) = self.differences.get_mut(..=place.unwrap_or(DIFFERENCES - 1)) {
            moved.rotate_right(1);
        }
        self.differences[0] = difference;
        self.word = Some((word, further));
        price
    }
}
