//! Lays the result over the base: which stretch of the result comes from where.
//!
//! In: base, result, and the sorted suffixes of the base. Out: segments that cover the result from front to back, each
//! with bytes that resemble the base and bytes that do not. Refuses nothing.
//!
//! The way is that of bsdiff: exact matches are found, kept when their place is clearly better than the old one, and
//! stretched in both directions as long as at least half of the bytes agree. Moved code differs from old code in the
//! addresses only, so the differences are mostly zero and compress well.

use crate::suffixes::{Match, Suffixes, shared};

/// How far places are compared, in bytes, when the exact match is shorter: a place counts for what follows the match, too.
/// Half and double of it made patches of rebuilt libraries larger.
const OUTLOOK_BYTES: usize = 64;

/// How many more bytes a new place must get right than going on in the old one, in bytes. A new segment costs a record
/// head and a break in the stream: with less gain, the jump costs more than it saves.
const GAIN_BYTES_MIN: usize = 12;

/// A run of this many equal bytes in the old place is not worth a search for a better one, in bytes.
const RUN_BYTES_MIN: usize = 24;

/// A segment that gets fewer bytes right than this gives them up to its neighbour's extra bytes: its record head (3 to 8
/// bytes after compression) costs as much as the bytes themselves.
const RIGHT_BYTES_MIN: usize = 12;

/// A stretch of the result: `add` bytes that resemble the base from `base_start` on, then `extra` bytes that do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) base_start: usize,
    pub(crate) result_start: usize,
    pub(crate) add: usize,
    pub(crate) extra: usize,
}

/// Covers `result` with segments.
pub(crate) fn align(base: &[u8], result: &[u8], suffixes: &Suffixes<'_>) -> Vec<Segment> {
    let mut segments = Segments { base, result, done: Vec::new() };
    let mut open = Open { base_start: 0, result_start: 0 };
    let mut at = 0;
    while let Some(needle) = result.get(at..).filter(|rest| !rest.is_empty()) {
        let here = open.counterpart(base, at);
        let run = shared(here, needle);
        if run >= RUN_BYTES_MIN {
            at += run;
            continue;
        }
        match suffixes.find(needle) {
            Some(found) if is_better(found, base, here, needle) => {
                open = segments.close(open, at, found.start);
                at += found.len;
            }
            Some(_) | None => at += run + 1,
        }
    }
    segments.close_last(open);
    segments.done
}

/// Says whether the result resembles the place that was found clearly more than what lies `here`, in the old place.
fn is_better(found: Match, base: &[u8], here: &[u8], needle: &[u8]) -> bool {
    let there = base.get(found.start..).unwrap_or_default();
    let reach = found.len.max(OUTLOOK_BYTES);
    // A place may end before its reach does; what is missing there is not right.
    let right = |place: &[u8]| place.iter().zip(needle).take(reach).filter(|(a, b)| a == b).count();
    right(there) > right(here) + GAIN_BYTES_MIN
}

/// A segment whose end is not known yet.
#[derive(Debug, Clone, Copy)]
struct Open {
    base_start: usize,
    result_start: usize,
}

impl Open {
    /// Returns the base from the place on that lies under `at` of the result.
    fn counterpart<'a>(&self, base: &'a [u8], at: usize) -> &'a [u8] {
        base.get(self.base_start + (at - self.result_start)..).unwrap_or_default()
    }
}

struct Segments<'a> {
    base: &'a [u8],
    result: &'a [u8],
    done: Vec<Segment>,
}

impl Segments<'_> {
    /// Ends the open segment because at `at` a better match starts; returns the new open segment, which may reach back.
    fn close(&mut self, open: Open, at: usize, found: usize) -> Open {
        let mut forward = self.forward(open, at);
        let mut backward = self.backward(open, at, found);
        let gap = at - open.result_start;
        if forward + backward > gap {
            let overlap = forward + backward - gap;
            let split = self.split(open, forward - overlap, overlap, (at - backward, found - backward));
            forward = forward - overlap + split;
            backward -= split;
        }
        let end = at - backward;
        self.push(open, forward, end);
        Open { base_start: found - backward, result_start: end }
    }

    fn close_last(&mut self, open: Open) {
        let end = self.result.len();
        let forward = self.forward(open, end);
        self.push(open, forward, end);
    }

    /// Returns how far the open segment resembles the base: where right bytes lead over wrong ones the most.
    fn forward(&self, open: Open, end: usize) -> usize {
        let result = self.result.get(open.result_start..end).unwrap_or_default();
        let base = self.base.get(open.base_start..).unwrap_or_default();
        longest_lead(result.iter().zip(base))
    }

    /// Returns how far the match at `at` resembles the base in front of it, down to the start of the open segment.
    fn backward(&self, open: Open, at: usize, found: usize) -> usize {
        let result = self.result.get(open.result_start..at).unwrap_or_default();
        let base = self.base.get(..found).unwrap_or_default();
        longest_lead(result.iter().rev().zip(base.iter().rev()))
    }

    /// Both segments want the same `overlap` bytes: returns how many of them the first one should keep.
    fn split(&self, open: Open, skip: usize, overlap: usize, second: (usize, usize)) -> usize {
        let (result_start, second_base) = second;
        let result = self.result.get(result_start..).unwrap_or_default();
        let first = self.base.get(open.base_start + skip..).unwrap_or_default();
        let second = self.base.get(second_base..).unwrap_or_default();
        let (mut lead, mut best, mut best_len) = (0_i64, 0_i64, 0);
        for (index, ((byte, first), second)) in result.iter().zip(first).zip(second).take(overlap).enumerate()
        {
            lead += i64::from(byte == first) - i64::from(byte == second);
            if lead > best {
                (best, best_len) = (lead, index + 1);
            }
        }
        best_len
    }

    /// Adds a segment that ends at `end`, unless it is empty or too poor for a record of its own.
    fn push(&mut self, open: Open, add: usize, end: usize) {
        let whole = end - open.result_start;
        if whole == 0 {
            return;
        }
        if let Some(last) = self.done.last_mut()
            && right_bytes(self.base, self.result, open, add) < RIGHT_BYTES_MIN
        {
            last.extra += whole;
            return;
        }
        let Open { base_start, result_start } = open;
        self.done.push(Segment { base_start, result_start, add, extra: whole - add });
    }
}

fn right_bytes(base: &[u8], result: &[u8], open: Open, add: usize) -> usize {
    let result = result.get(open.result_start..).unwrap_or_default();
    let base = base.get(open.base_start..).unwrap_or_default();
    // Whether it is enough shows after few bytes; there is no need to count them all.
    result.iter().zip(base).take(add).filter(|(a, b)| a == b).take(RIGHT_BYTES_MIN).count()
}

/// Returns the length at which twice the right bytes lead over the length the most (bsdiff's measure).
fn longest_lead<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    let (mut lead, mut best, mut best_len) = (0_i64, 0_i64, 0);
    for (index, (a, b)) in pairs.enumerate() {
        lead += if a == b { 1 } else { -1 };
        if lead > best {
            (best, best_len) = (lead, index + 1);
        }
    }
    best_len
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::proptest;

    use super::{Segment, align};
    use crate::suffixes::Suffixes;

    fn segments(base: &[u8], result: &[u8]) -> Vec<Segment> {
        align(base, result, &Suffixes::new(base))
    }

    /// Bytes without any repeat of eight.
    fn noise(len: usize, seed: u32) -> Vec<u8> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    #[test]
    fn equal_images_are_one_segment() {
        let image = noise(1000, 1);
        let whole = Segment { base_start: 0, result_start: 0, add: 1000, extra: 0 };
        assert_eq!(segments(&image, &image), [whole]);
        assert_eq!(segments(&image, b""), []);
        assert_eq!(segments(b"", b"abc"), [Segment { base_start: 0, result_start: 0, add: 0, extra: 3 }]);
    }

    #[test]
    fn an_insertion_moves_the_rest() {
        let base = noise(1000, 1);
        let result = [&base[..400], &[1; 50], &base[400..]].concat();
        let first = Segment { base_start: 0, result_start: 0, add: 400, extra: 50 };
        let second = Segment { base_start: 400, result_start: 450, add: 600, extra: 0 };
        assert_eq!(segments(&base, &result), [first, second]);
    }

    #[test]
    fn a_few_changed_bytes_break_no_segment() {
        let base = noise(1000, 1);
        let mut result = base.clone();
        (100..900).step_by(10).for_each(|index| result[index] ^= 0x55);
        assert_eq!(segments(&base, &result).len(), 1);
    }

    #[test]
    fn swapped_halves_are_two_segments() {
        let base = noise(1000, 1);
        let result = [&base[500..], &base[..500]].concat();
        let places: Vec<_> = segments(&base, &result).iter().map(|s| (s.base_start, s.add)).collect();
        assert_eq!(places.last(), Some(&(0, 500)));
    }

    proptest! {
        #[test]
        fn segments_cover_the_result_and_stay_in_the_base(
            base in vec(0..4_u8, 0..400), result in vec(0..4_u8, 0..400),
        ) {
            let mut end = 0;
            for segment in segments(&base, &result) {
                assert_eq!(segment.result_start, end);
                assert!(segment.base_start + segment.add <= base.len());
                end += segment.add + segment.extra;
            }
            assert_eq!(end, result.len());
        }
    }
}
