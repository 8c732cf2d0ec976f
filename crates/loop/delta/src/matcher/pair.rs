//! An old and a new file, compared under a shift.
//!
//! In: both, and questions. Out: how far they agree. Refuses nothing; whatever lies outside a file agrees with nothing.

/// Two files to compare. A *shift* says how many bytes further the counterpart of a new byte lies in the old file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) old: &'a [u8],
    pub(super) new: &'a [u8],
}

impl Pair<'_> {
    /// Returns where the counterpart of a new byte lies, also one behind the end.
    pub(super) fn old_at(&self, at: usize, shift: i64) -> Option<usize> {
        let at = i64::try_from(at).ok()?.checked_add(shift)?;
        usize::try_from(at).ok().filter(|at| *at <= self.old.len())
    }

    /// Says whether a new byte equals its counterpart; nothing where there is none.
    pub(super) fn is_right(&self, at: usize, shift: i64) -> Option<bool> {
        let old = self.old.get(self.old_at(at, shift)?)?;
        Some(old == self.new.get(at)?)
    }

    /// Returns by how much the word at `at` of the new file differs from its counterpart.
    pub(super) fn difference(&self, at: usize, shift: i64) -> Option<u32> {
        let old = self.old.get(self.old_at(at, shift)?..)?.first_chunk()?;
        let new = self.new.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*new).wrapping_sub(u32::from_le_bytes(*old)))
    }

    /// Returns how many bytes from `at` on equal their counterparts, at most `max`.
    pub(super) fn run(&self, at: usize, shift: i64, max: usize) -> usize {
        let Some(old) = self.old_at(at, shift).and_then(|at| self.old.get(at..)) else { return 0 };
        let new = self.new.get(at..).unwrap_or_default();
        shared(new.get(..max).unwrap_or(new), old)
    }

    /// Returns how many bytes in front of `at` equal their counterparts, at most `max`.
    pub(super) fn run_back(&self, at: usize, shift: i64, max: usize) -> usize {
        let Some(old) = self.old_at(at, shift).and_then(|at| self.old.get(..at)) else { return 0 };
        let new = self.new.get(at.saturating_sub(max)..at).unwrap_or_default();
        shared_back(new, old)
    }
}

/// Returns how many bytes two slices share from their start.
pub(super) fn shared(a: &[u8], b: &[u8]) -> usize {
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

/// Returns how many bytes two slices share before their end.
pub(super) fn shared_back(a: &[u8], b: &[u8]) -> usize {
    let (_, words_a) = a.as_rchunks::<8>();
    let (_, words_b) = b.as_rchunks::<8>();
    let mut words = 0;
    for (a, b) in words_a.iter().rev().zip(words_b.iter().rev()) {
        let difference = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if difference != 0 {
            return words * 8 + usize::try_from(difference.leading_zeros() / 8).unwrap_or(0);
        }
        words += 1;
    }
    let heads = [a, b].map(|slice| slice.get(..slice.len() - words * 8).unwrap_or_default());
    words * 8 + heads[0].iter().rev().zip(heads[1].iter().rev()).take_while(|(a, b)| a == b).count()
}
