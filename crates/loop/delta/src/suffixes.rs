//! Finds the longest match of some bytes anywhere in the base.
//!
//! In: the base, then needles. Out: where the longest match starts and how long it is. Refuses nothing; whoever calls
//! keeps the base below [`BASE_BYTES_MAX`].

/// Largest base, in bytes: the suffix array holds signed 32-bit positions (crate `divsufsort`).
pub(crate) const BASE_BYTES_MAX: u64 = i32::MAX as u64 - 1;

/// Shortest match that is looked for, in bytes: a shorter one is paid for by its record head, which takes 3 to 8 bytes.
pub(crate) const MATCH_BYTES_MIN: usize = 8;

/// Longest stretch that a search compares, in bytes. What matches this long is good enough, and the cap keeps images
/// with long periodic stretches from costing quadratic time; the caller extends a match as far as it goes.
const MATCH_BYTES_MAX: usize = 16 * 1024;

/// How many suffix ranges there are: one for each pair of first bytes.
const PAIRS: usize = 1 << 16;

/// Bits of the filter for each byte of the base: at 8, one absent needle in nine or so still costs a search.
const FILTER_BITS_PER_BYTE: usize = 8;

/// A match in the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) start: usize,
    pub(crate) len: usize,
}

/// The sorted suffixes of a base, with two shortcuts: the ranges of suffixes by their first two bytes, and a filter
/// that knows most needles that are nowhere in the base.
pub(crate) struct Suffixes<'a> {
    base: &'a [u8],
    sorted: Vec<i32>,
    ranges: Vec<(u32, u32)>,
    filter: Filter,
}

impl<'a> Suffixes<'a> {
    /// Sorts the suffixes of `base`.
    pub(crate) fn new(base: &'a [u8]) -> Self {
        let mut sorted = vec![0; base.len()];
        divsufsort::sort_in_place(base, &mut sorted);
        Self { base, sorted, ranges: ranges(base), filter: Filter::new(base) }
    }

    /// Returns the longest match of a beginning of `needle`, unless it is shorter than [`MATCH_BYTES_MIN`].
    pub(crate) fn find(&self, needle: &[u8]) -> Option<Match> {
        let first: [u8; MATCH_BYTES_MIN] = *needle.first_chunk()?;
        if !self.filter.may_hold(first) {
            return None;
        }
        let needle = needle.get(..MATCH_BYTES_MAX).unwrap_or(needle);
        let [high, low, ..] = first;
        let (start, end) = *self.ranges.get(usize::from(high) << 8 | usize::from(low))?;
        let candidates = self.sorted.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
        let found = self.search(candidates, needle);
        (found.len >= MATCH_BYTES_MIN).then_some(found)
    }

    /// Searches suffixes that all share the needle's first two bytes. The needle's place in the order is closed in from
    /// both sides; the longest match is one of its two neighbours there, and each of them has been looked at.
    fn search(&self, candidates: &[i32], needle: &[u8]) -> Match {
        let mut best = Match { start: 0, len: 0 };
        let (mut low, mut high) = (0, candidates.len());
        // How many bytes the needle shares with the suffixes just outside: everything between shares the lesser number.
        let (mut low_shared, mut high_shared) = (2, 2);
        while low < high {
            let middle = low.midpoint(high);
            let start = candidates.get(middle).and_then(|start| usize::try_from(*start).ok()).unwrap_or(0);
            let suffix = self.base.get(start..).unwrap_or_default();
            let known = low_shared.min(high_shared);
            let shared = known
                + shared(suffix.get(known..).unwrap_or_default(), needle.get(known..).unwrap_or_default());
            if shared > best.len {
                best = Match { start, len: shared };
            }
            match (suffix.get(shared), needle.get(shared)) {
                (_, None) => return best,
                (Some(suffix), Some(needle)) if suffix > needle => (high, high_shared) = (middle, shared),
                (Some(_) | None, Some(_)) => (low, low_shared) = (middle + 1, shared),
            }
        }
        best
    }
}

/// Returns how many bytes two slices share from their start.
pub(crate) fn shared(a: &[u8], b: &[u8]) -> usize {
    let (words_a, _) = a.as_chunks::<8>();
    let (words_b, _) = b.as_chunks::<8>();
    let mut words = 0;
    for (a, b) in words_a.iter().zip(words_b) {
        let difference = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if difference != 0 {
            return words * 8 + usize::try_from(difference.trailing_zeros() / 8).unwrap_or(0);
        }
        words += 1;
    }
    let tails = [a, b].map(|slice| slice.get(words * 8..).unwrap_or_default());
    words * 8 + tails[0].iter().zip(tails[1]).take_while(|(a, b)| a == b).count()
}

/// Returns, for each pair of first bytes, the range of sorted suffixes that start with it.
fn ranges(base: &[u8]) -> Vec<(u32, u32)> {
    let mut counts = vec![0_u32; PAIRS];
    for pair in base.windows(2) {
        let [high, low] = *pair else { continue };
        if let Some(count) = counts.get_mut(usize::from(high) << 8 | usize::from(low)) {
            *count += 1;
        }
    }
    let mut next = 0;
    let mut ranges = Vec::with_capacity(PAIRS);
    for (pair, count) in counts.into_iter().enumerate() {
        // The last suffix has one byte only; it stands before all longer ones with the same first byte.
        if base.last().is_some_and(|last| usize::from(*last) << 8 == pair) {
            next += 1;
        }
        ranges.push((next, next + count));
        next += count;
    }
    ranges
}

/// One bit for each hash of [`MATCH_BYTES_MIN`] bytes that stand somewhere in the base. Most bytes of changed,
/// compressed files are nowhere in the base: one look into memory here saves some thirty in the suffix array.
struct Filter {
    words: Vec<u64>,
    shift: u32,
}

impl Filter {
    fn new(base: &[u8]) -> Self {
        let bits = base.len().saturating_mul(FILTER_BITS_PER_BYTE).max(64).next_power_of_two();
        let mut filter = Self { words: vec![0; bits / 64], shift: 64 - bits.ilog2() };
        for window in base.windows(MATCH_BYTES_MIN) {
            let Some(&bytes) = window.first_chunk() else { continue };
            let (word, bit) = filter.place(bytes);
            if let Some(word) = filter.words.get_mut(word) {
                *word |= bit;
            }
        }
        filter
    }

    fn may_hold(&self, bytes: [u8; MATCH_BYTES_MIN]) -> bool {
        let (word, bit) = self.place(bytes);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    fn place(&self, bytes: [u8; MATCH_BYTES_MIN]) -> (usize, u64) {
        // Fibonacci hashing: 2^64 divided by the golden ratio spreads neighbouring values; the top bits are the best.
        let hash = u64::from_le_bytes(bytes).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift;
        (usize::try_from(hash >> 6).unwrap_or(0), 1 << (hash & 63))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::{MATCH_BYTES_MIN, Suffixes, shared};

    fn longest_by_trying(base: &[u8], needle: &[u8]) -> usize {
        (0..base.len()).map(|start| shared(&base[start..], needle)).max().unwrap_or(0)
    }

    fn check(base: &[u8], needle: &[u8]) {
        let longest = longest_by_trying(base, needle);
        match Suffixes::new(base).find(needle) {
            Some(found) => {
                assert_eq!(found.len, longest, "{base:?} {needle:?}");
                assert_eq!(base[found.start..found.start + found.len], needle[..found.len]);
            }
            None => assert!(longest < MATCH_BYTES_MIN, "{base:?} {needle:?}"),
        }
    }

    #[test]
    fn the_longest_match_is_found_at_the_borders() {
        check(b"", b"abcdefghi");
        check(b"abcdefgh", b"abcdefgh");
        check(b"xabcdefgh", b"abcdefghi");
        check(b"abcdefghabcdefghi", b"abcdefghij");
        check(&[0; 100], &[0; 60]);
        check(&[0; 60], &[0; 100]);
        check(&[0xff; 20], &[0xff; 21]);
        check(b"abcdefg", b"abcdefgh");
    }

    proptest! {
        #[test]
        fn the_longest_match_is_found_anywhere(base in vec(0..3_u8, 0..300), needle in vec(0..3_u8, 0..40)) {
            check(&base, &needle);
        }

        #[test]
        fn suffixes_are_sorted(base in vec(any::<u8>(), 0..500), stretch in 1..30_usize, letters in 1..=255_u8) {
            // Stretching and few letters make the long repeats that suffix sorting is hard for.
            let base: Vec<u8> = base.iter().flat_map(|byte| std::iter::repeat_n(byte % letters, stretch)).collect();
            let suffixes = Suffixes::new(&base);
            let in_order = |pair: &[i32]| {
                let [a, b] = [pair[0], pair[1]].map(|start| &base[usize::try_from(start).unwrap()..]);
                a < b
            };
            assert!(suffixes.sorted.windows(2).all(in_order));
        }

        #[test]
        fn shared_bytes_are_counted_one_by_one(a in vec(0..2_u8, 0..40), b in vec(0..2_u8, 0..40)) {
            assert_eq!(shared(&a, &b), a.iter().zip(&b).take_while(|(a, b)| a == b).count());
        }
    }
}
