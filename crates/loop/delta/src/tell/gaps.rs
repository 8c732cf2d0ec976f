//! What lies between changed files, told by what lay between the old ones.
//!
//! In: both. Out: copies. Refuses nothing.
//!
//! Most of it is unchanged and long: copies of that are found cheaply. What is left over is short and like what lay in its
//! place: entries of directories whose inodes have other numbers, small files. There the cheapest way is searched, in
//! the old bytes around.

use crate::matcher::{self, Copy, MatchOptions};

/// A gap longer than this is told by long exact copies first, in bytes.
const LONG_BYTES_MIN: usize = 1 << 20;

/// Copies shorter than this between two stretches that are left over are searched anew with them, in bytes.
const BRIDGE_BYTES_MAX: u32 = 4096;

/// How much old data around a stretch is searched on both sides, in bytes.
const MARGIN_BYTES: u32 = 16 << 10;

/// The shortest stretch for which a search can pay, in bytes.
const SEARCHED_BYTES_MIN: u32 = 16;

/// The longest stretch that is searched, and the longest of the old bytes for it, in bytes: what is longer is new, or
/// packed.
const SEARCHED_BYTES_MAX: u32 = 1 << 20;

/// How many old bytes may be sorted for all searches, for each byte of both sides.
const SORTED_FACTOR: u64 = 2;

/// Fields of tables have four bytes, and prices are of such words.
const WORD_BYTES: u32 = 4;

/// Says whether a gap is so long that it is told in two steps.
pub(super) fn is_long(old: &[u8], new: &[u8]) -> bool {
    new.len().max(old.len()) > LONG_BYTES_MIN
}

/// Returns the copies that tell a long gap.
pub(super) fn copies(old: &[u8], new: &[u8]) -> Vec<Copy> {
    let sparse = matcher::sparse_copies(old, new);
    let mut sorted_left = (old.len() as u64).saturating_add(new.len() as u64).saturating_mul(SORTED_FACTOR);
    let mut all: Vec<Copy> = Vec::with_capacity(sparse.len());
    // Long copies stay; the short ones between two of them are one stretch with what they leave over.
    let ends = sparse.iter().enumerate().filter(|(_, copy)| copy.len >= BRIDGE_BYTES_MAX);
    let mut first = 0;
    for (index, long) in ends.map(|(index, long)| (index, Some(long))).chain([(sparse.len(), None)]) {
        let short = sparse.get(first..index).unwrap_or_default();
        let stretch = Stretch::new(all.last(), short, long, (old, new));
        if let Some(found) = stretch.search((old, new), &mut sorted_left) {
            if let Some(last) = all.last_mut() {
                last.len = stretch.new.0.saturating_sub(last.new);
            }
            all.extend(found);
        } else {
            all.extend(short);
        }
        all.extend(long);
        first = index.saturating_add(1);
    }
    all
}

/// What lies between two long copies.
struct Stretch {
    /// Where it lies in the new bytes.
    new: (u32, u32),
    /// The old bytes that it may be like.
    old: (u32, u32),
    /// How many bytes no copy tells so far.
    left_over: u32,
}

impl Stretch {
    /// Takes what lies between the last of the copies before and the next long one, with the short ones there; it begins
    /// with a whole word, which the copy before has to give away.
    fn new(before: Option<&Copy>, short: &[Copy], next: Option<&Copy>, (old, new): (&[u8], &[u8])) -> Self {
        let start = before.map_or(0, |last| last.new.saturating_add(last.len));
        let old_start = before.map_or(0, |last| last.old.saturating_add(last.len));
        let start = match before {
            Some(last) if last.len > WORD_BYTES => start - start % WORD_BYTES,
            _ => start,
        };
        let end = next.map_or(narrow(new.len()), |next| next.new);
        let old_end = next.map_or(narrow(old.len()), |next| next.old);
        let told: u32 = short.iter().map(|copy| copy.len).fold(0, u32::saturating_add);
        let left_over = end.saturating_sub(start).saturating_sub(told);
        let len = end.saturating_sub(start);
        let mut reach = (old_start.min(old_end), old_start.max(old_end));
        for copy in short {
            reach = (reach.0.min(copy.old), reach.1.max(copy.old.saturating_add(copy.len)));
        }
        if reach.1 - reach.0 > SEARCHED_BYTES_MAX.max(len) {
            // The long copies come from different places: it is the one before that this goes on from.
            reach = (old_start, old_start.saturating_add(len));
        }
        let old_len = narrow(old.len());
        let reach = (reach.0.saturating_sub(MARGIN_BYTES), reach.1.saturating_add(MARGIN_BYTES).min(old_len));
        Self { new: (start, end), old: reach, left_over }
    }

    /// Searches the cheapest copies; `None` where that cannot pay or costs too much.
    fn search(&self, (old, new): (&[u8], &[u8]), sorted_left: &mut u64) -> Option<Vec<Copy>> {
        let (len, old_len) = (self.new.1.saturating_sub(self.new.0), self.old.1.saturating_sub(self.old.0));
        if self.left_over < SEARCHED_BYTES_MIN || len.max(old_len) > SEARCHED_BYTES_MAX + 2 * MARGIN_BYTES {
            return None;
        }
        *sorted_left = sorted_left.checked_sub(u64::from(old_len))?;
        let (old, new) = (part(old, self.old)?, part(new, self.new)?);
        let found = matcher::copies(old, new, MatchOptions { search_step_bytes: 1 });
        let moved = |copy: Copy| Copy {
            new: copy.new.saturating_add(self.new.0),
            old: copy.old.saturating_add(self.old.0),
            len: copy.len,
        };
        Some(found.into_iter().map(moved).collect())
    }
}

fn part(bytes: &[u8], (start, end): (u32, u32)) -> Option<&[u8]> {
    bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes without a pattern; the same for the same seed.
    fn noise(len: usize, seed: u32) -> Vec<u8> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    /// A directory: entries of sixteen bytes whose inodes count from `first`.
    fn directory(first: u32) -> Vec<u8> {
        let entry = |index: u32| [&(first + index).to_le_bytes()[..], &noise(12, index)].concat();
        (0..256).flat_map(entry).collect()
    }

    /// Checks the copies, and returns how many bytes none of them tells.
    fn left_over(old: &[u8], new: &[u8]) -> usize {
        let copies = copies(old, new);
        let mut end = 0;
        for copy in &copies {
            assert!(copy.new >= end && copy.len > 0, "{copy:?} begins before {end}");
            end = copy.new + copy.len;
            assert!(end as usize <= new.len() && (copy.old + copy.len) as usize <= old.len(), "{copy:?}");
        }
        new.len() - copies.iter().map(|copy| copy.len as usize).sum::<usize>()
    }

    #[test]
    fn a_directory_with_other_numbers_is_copied() {
        let (front, back) = (noise(700_000, 1), noise(600_001, 2));
        let old = [&front[..], &directory(1000), &back].concat();
        let new = [&front[..], &directory(1007), &back].concat();
        assert!(is_long(&old, &new));
        let alone = matcher::sparse_copies(&old, &new);
        assert!(alone.iter().map(|copy| copy.len as usize).sum::<usize>() < front.len() + back.len() + 100);
        assert!(left_over(&old, &new) < 64);
    }

    #[test]
    fn whatever_moves_the_copies_stay_in_order() {
        let (front, back) = (noise(700_000, 1), noise(600_001, 2));
        for (old, new) in [
            (vec![&front[..], &back], vec![&back[..], &front]),
            (vec![&front[..], &back], vec![&front[..], b"something new", &back]),
            (vec![&front[..1], &back], vec![&front[..5], &back[7..], b"end"]),
            (vec![&front[..], &back], vec![&front[..100], &front[164..], &front[..300], &back[..99]]),
        ] {
            assert!(left_over(&old.concat(), &new.concat()) < 200);
        }
    }
}
