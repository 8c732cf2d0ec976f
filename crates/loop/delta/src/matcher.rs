//! Finds which stretches of a new file come from where in an old one.
//!
//! In: both files, with address fields masked or as they are. Out: copies, by place in the new file. Refuses nothing;
//! what is too large to be searched is described without copies.
//!
//! [`copies`] describes a file by a file that is known to resemble it, as cheaply as the coder behind it can say it.
//! [`sparse_copies`] looks for long stretches of a file anywhere in a whole image, in little memory.

mod pair;
mod paths;
mod price;
mod race;
mod scout;
mod sort;
mod sparse;
mod suffixes;

use pair::Pair;
use race::Race;
use suffixes::Suffixes;

pub(crate) use sparse::sparse_copies;

/// Largest file that is described by copies, in bytes: places are 32-bit numbers, and two of them stand for nothing.
pub(crate) const FILE_BYTES_MAX: usize = (u32::MAX - 2) as usize;

/// A stretch of the new file that resembles a stretch of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Copy {
    /// Where it starts in the new file, in bytes.
    pub(crate) new: u32,
    /// Where it starts in the old file, in bytes.
    pub(crate) old: u32,
    /// How long it is, in bytes: at least 1.
    pub(crate) len: u32,
}

/// How to look for copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MatchOptions {
    /// How far apart searches are at least, in bytes: 1 finds the most, the length of an instruction nearly as much in
    /// half of the time.
    pub(crate) search_step_bytes: usize,
}

impl Default for MatchOptions {
    fn default() -> Self {
        Self { search_step_bytes: 1 }
    }
}

/// Returns the copies of the cheapest way to make `new` from `old` that was found: sorted by place in the new file,
/// disjoint there, inside both files.
///
/// Beside its arguments and its result it needs 2.3 to 2.8 bytes of memory for each byte of `old`.
pub(crate) fn copies(old: &[u8], new: &[u8], options: MatchOptions) -> Vec<Copy> {
    count_copies(old, new, options).0
}

/// Returns the copies, and how many bytes were compared to find them.
fn count_copies(old: &[u8], new: &[u8], options: MatchOptions) -> (Vec<Copy>, u64) {
    if old.is_empty() || old.len() > FILE_BYTES_MAX || new.len() > FILE_BYTES_MAX {
        return (Vec::new(), 0);
    }
    let suffixes = Suffixes::new(old);
    let mut race = Race::new(Pair { old, new }, &suffixes, options);
    (race.run(), race.compared)
}

#[cfg(test)]
mod tests;
