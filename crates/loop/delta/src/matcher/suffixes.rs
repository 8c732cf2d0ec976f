//! Finds the places of the old file that agree the longest with some bytes.
//!
//! In: the old file, then needles. Out: even places and how far they agree. Refuses nothing.

use super::pair::shared;
use super::sort::sorted_even_suffixes;

/// Longest stretch that a search compares, in bytes. What agrees this long is good enough, and the cap keeps files with
/// long periodic stretches from costing quadratic time; whoever takes the place looks how far it goes on.
pub(super) const NEEDLE_BYTES_MAX: usize = 4 * 1024;

/// How many sorted suffixes share one entry of the index, which takes 8 bytes: a quarter of a byte for a byte of the old
/// file. The search in the index touches few cache lines; each step behind it misses the cache twice.
const INDEX_STEP: usize = 16;

/// How many pairs of first bytes there are, and where they stand in a prefix.
const PAIRS: u64 = 1 << 16;
const PAIR_SHIFT: u32 = 48;

/// So many equal entries of the index are stepped over before the rest of their pair is searched by halves.
const EQUAL_MAX: usize = 8;

/// How many of the places that agree the longest are offered on each side of the needle, in the order of suffixes.
const SIDE_PLACES_MAX: usize = 4;

/// How many places on each side are looked through for one near the expected place.
const SIDE_PLACES_SCANNED: usize = 256;

/// How far from the expected place a place counts as near, in bytes.
const NEAR_BYTES_MAX: usize = 64 * 1024;

/// A place of the old file that agrees with the start of a needle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it starts in the old file.
    pub(super) start: usize,
    /// For how many bytes it agrees, at most [`NEEDLE_BYTES_MAX`].
    pub(super) len: usize,
}

/// What to look for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needle<'a> {
    /// The bytes, at most [`NEEDLE_BYTES_MAX`].
    bytes: &'a [u8],
    /// How many of them a place must agree with, at least.
    len_min: usize,
    /// Near which place of the old file a place would be the best.
    expected: usize,
}

impl<'a> Needle<'a> {
    /// Looks for the first of `bytes`.
    pub(super) fn new(bytes: &'a [u8], len_min: usize, expected: usize) -> Self {
        Self { bytes: bytes.get(..NEEDLE_BYTES_MAX).unwrap_or(bytes), len_min, expected }
    }
}

/// The sorted even suffixes of the old file, and an index of their first bytes.
pub(super) struct Suffixes<'a> {
    old: &'a [u8],
    /// Half of where each one starts.
    sorted: Vec<u32>,
    /// The prefix of each [`INDEX_STEP`]th one.
    index: Vec<u64>,
    /// For each pair of first bytes, how many entries of the index stand before it.
    pairs: Vec<usize>,
}

impl<'a> Suffixes<'a> {
    /// Sorts the suffixes of `old`.
    pub(super) fn new(old: &'a [u8]) -> Self {
        let sorted = sorted_even_suffixes(old);
        let prefix = |half: &u32| prefix(old.get(start(*half)..).unwrap_or_default());
        let index: Vec<u64> = sorted.iter().step_by(INDEX_STEP).map(prefix).collect();
        let pairs = (0..=PAIRS).map(|pair| index.partition_point(|prefix| prefix >> PAIR_SHIFT < pair));
        Self { old, sorted, pairs: pairs.collect(), index }
    }

    /// Puts places that agree with the needle into `places`: those that agree the longest, and the one next to the
    /// expected place among the many that may agree less long. Returns how many bytes were compared.
    pub(super) fn find(&self, needle: Needle<'_>, places: &mut Vec<Place>) -> u64 {
        places.clear();
        let (split, compared) = self.search(needle.bytes);
        let (before, after) = self.sorted.split_at_checked(split).unwrap_or_default();
        let before = before.get(before.len().saturating_sub(SIDE_PLACES_SCANNED)..).unwrap_or_default();
        let after = after.get(..SIDE_PLACES_SCANNED).unwrap_or(after);
        self.offer(needle, before.iter().rev(), before, places);
        self.offer(needle, after.iter(), after, places);
        let looked_at = places.iter().map(|place| place.len).sum::<usize>() + before.len() + after.len();
        compared + looked_at as u64
    }

    fn offer<'s>(
        &self,
        needle: Needle<'_>,
        longest_first: impl Iterator<Item = &'s u32>,
        side: &[u32],
        places: &mut Vec<Place>,
    ) {
        for half in longest_first.take(SIDE_PLACES_MAX) {
            let Some(place) = self.place(needle, *half) else { return };
            places.push(place);
        }
        let expected = u32::try_from(needle.expected / 2).unwrap_or(u32::MAX);
        let distance = side.iter().map(|half| half.abs_diff(expected)).min().unwrap_or(u32::MAX);
        if start(distance) <= NEAR_BYTES_MAX {
            let near = side.iter().find(|half| half.abs_diff(expected) == distance);
            places.extend(near.and_then(|half| self.place(needle, *half)));
        }
    }

    fn place(&self, needle: Needle<'_>, half: u32) -> Option<Place> {
        let len = shared(self.suffix(half), needle.bytes);
        (len >= needle.len_min).then_some(Place { start: start(half), len })
    }

    fn suffix(&self, half: u32) -> &[u8] {
        self.old.get(start(half)..).unwrap_or_default()
    }

    /// Returns how many suffixes stand before the needle, or a place amidst those that agree with all of it; and how
    /// many bytes were compared.
    fn search(&self, needle: &[u8]) -> (usize, u64) {
        let (mut low, mut high) = self.range(prefix(needle));
        // How many bytes the needle shares with the suffixes just outside: everything between shares the lesser number.
        let (mut low_shared, mut high_shared) = (0_usize, 0_usize);
        let mut compared = 0;
        while low < high {
            let middle = low.midpoint(high);
            let suffix = self.sorted.get(middle).map_or(&[][..], |half| self.suffix(*half));
            let known = low_shared.min(high_shared);
            let more =
                shared(suffix.get(known..).unwrap_or_default(), needle.get(known..).unwrap_or_default());
            let len = known + more;
            compared += more as u64 + 1;
            match (suffix.get(len), needle.get(len)) {
                (_, None) => return (middle, compared),
                (Some(suffix), Some(needle)) if suffix > needle => (high, high_shared) = (middle, len),
                (Some(_) | None, Some(_)) => (low, low_shared) = (middle + 1, len),
            }
        }
        (low, compared)
    }

    /// Returns which suffixes may stand on both sides of a needle with this prefix.
    fn range(&self, first: u64) -> (usize, usize) {
        let pair = usize::try_from(first >> PAIR_SHIFT).unwrap_or(0);
        let (start, end) = match self.pairs.get(pair..pair + 2) {
            Some([start, end]) => (*start, *end),
            Some(_) | None => (0, self.index.len()),
        };
        let entries = self.index.get(start..end).unwrap_or_default();
        let less = start + entries.partition_point(|prefix| *prefix < first);
        let rest = self.index.get(less..end).unwrap_or_default();
        let equal = rest.iter().take(EQUAL_MAX).take_while(|prefix| **prefix == first).count();
        let beyond = if equal < EQUAL_MAX { less + equal } else { end };
        (less.saturating_sub(1) * INDEX_STEP, (beyond * INDEX_STEP).min(self.sorted.len()))
    }
}

/// Returns where a suffix starts.
fn start(half: u32) -> usize {
    usize::try_from(half).map_or(usize::MAX, |half| half.saturating_mul(2))
}

/// Returns the first eight bytes as a number that sorts as they do; zeros stand for what is missing.
fn prefix(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut first = [0; 8];
    first.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::proptest;

    use super::{Needle, Suffixes, shared};

    fn check(old: &[u8], bytes: &[u8]) {
        let longest = (0..old.len()).step_by(2).map(|start| shared(&old[start..], bytes)).max().unwrap_or(0);
        let mut places = Vec::new();
        Suffixes::new(old).find(Needle::new(bytes, 1, 0), &mut places);
        assert!(places.iter().all(|place| old[place.start..].starts_with(&bytes[..place.len])));
        let found = places.iter().map(|place| place.len).max().unwrap_or(0);
        assert_eq!(found, longest, "{old:?} {bytes:?}");
    }

    #[test]
    fn the_longest_place_is_found_at_the_borders() {
        check(b"", b"abcdefghi");
        check(b"abcdefgh", b"");
        check(b"abcdefgh", b"abcdefgh");
        check(b"xyabcdefgh", b"abcdefghi");
        check(b"abcdefghabcdefghij", b"abcdefghij");
        check(&[0; 1000], &[0; 60]);
        check(&[0; 60], &[0; 100]);
        check(&[0xff; 20], &[0xff; 21]);
    }

    #[test]
    fn a_place_near_the_expected_one_is_offered() {
        let old = b"function".repeat(100);
        let mut places = Vec::new();
        Suffixes::new(&old).find(Needle::new(b"function!", 8, 400), &mut places);
        assert!(places.iter().any(|place| place.start == 400));
    }

    proptest! {
        #[test]
        fn the_longest_place_is_found_anywhere(old in vec(0..3_u8, 0..900), bytes in vec(0..3_u8, 0..40)) {
            check(&old, &bytes);
        }
    }
}
