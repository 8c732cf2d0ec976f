//! Which file of the old image a file of the new image is described against.
//!
//! In: path, length and sketch of every file of both images. Out: for each new file, the old file that it most probably
//! came from, or none. Refuses nothing: a wrong partner costs bytes, never correctness.

mod names;
mod sketch;

use std::collections::BTreeMap;

pub(crate) use sketch::{Sketch, Sketcher};

/// What pairing needs to know of a file.
#[derive(Debug, Clone)]
pub(crate) struct Sketched<'a> {
    /// Its path.
    pub(crate) path: &'a str,
    /// Its length, in bytes.
    pub(crate) len: u64,
    /// Its content.
    pub(crate) sketch: Sketch,
}

/// The similarity from which content alone makes a pair, of [`Sketch::SIMILARITY_MAX`]: about a ninth of all shingles.
/// Programs built for one processor share less than that by accident.
const SIMILAR: u32 = 7;

/// The similarity from which content overrules a name whose content is not similar at all: a third of all shingles.
const SAME_CONTENT: u32 = 21;

/// How many old files may hold a shingle for it to count: what stands in more of them (licences, start-up code) does not
/// tell files apart, and would make the search slow.
const HOLDERS_MAX: usize = 64;

/// How many old files of one stripped name are compared: kernel modules by the thousand share none.
const NAMESAKES_MAX: usize = 64;

/// Finds a partner for each new file: the old one of the same path; else of the same path but for its version; else of the
/// same name elsewhere, when its content is similar; else the one whose content is the most similar. Several new files may
/// have one partner.
pub(crate) fn pair(old: &[Sketched<'_>], new: &[Sketched<'_>]) -> Vec<Option<usize>> {
    let book = Book::new(old);
    new.iter().map(|file| book.partner(file)).collect()
}

/// The old files, by everything they are sought by.
struct Book<'a> {
    old: &'a [Sketched<'a>],
    paths: BTreeMap<&'a str, Vec<usize>>,
    stripped_paths: BTreeMap<String, Vec<usize>>,
    stripped_names: BTreeMap<String, Vec<usize>>,
    shingles: BTreeMap<(usize, u32), Vec<usize>>,
}

impl<'a> Book<'a> {
    fn new(old: &'a [Sketched<'a>]) -> Self {
        let mut book = Self {
            old,
            paths: BTreeMap::new(),
            stripped_paths: BTreeMap::new(),
            stripped_names: BTreeMap::new(),
            shingles: BTreeMap::new(),
        };
        for (index, file) in old.iter().enumerate() {
            book.paths.entry(file.path).or_default().push(index);
            book.stripped_paths.entry(names::strip(file.path)).or_default().push(index);
            book.stripped_names.entry(names::strip(names::last(file.path))).or_default().push(index);
            for shingle in file.sketch.shingles() {
                book.shingles.entry(shingle).or_default().push(index);
            }
        }
        book
    }

    fn partner(&self, file: &Sketched<'_>) -> Option<usize> {
        let by_path = || self.paths.get(file.path);
        let by_stripped_path = || self.stripped_paths.get(&names::strip(file.path));
        let named = by_path().or_else(by_stripped_path).and_then(|held| self.closest(file, held));
        if let Some((index, similarity)) = named
            && similarity >= SIMILAR
        {
            return Some(index);
        }
        let moved = self.stripped_names.get(&names::strip(names::last(file.path)));
        let moved = moved.and_then(|held| self.closest(file, held)).filter(|(_, alike)| *alike >= SIMILAR);
        let known = self.most_similar(file);
        let threshold = if named.is_some() { SAME_CONTENT } else { SIMILAR };
        let better = known.filter(|(_, similarity)| {
            *similarity >= threshold.max(moved.map_or(0, |(_, alike)| alike.saturating_add(1)))
        });
        let moved = moved.filter(|(_, similarity)| *similarity >= threshold);
        better.or(moved).or(named).map(|(index, _)| index)
    }

    /// Of some old files, returns the most similar one; of equals the closest in length, then the first.
    fn closest(&self, file: &Sketched<'_>, held: &[usize]) -> Option<(usize, u32)> {
        let candidates = held.iter().take(NAMESAKES_MAX).filter_map(|index| {
            let old = self.old.get(*index)?;
            Some((*index, file.sketch.similarity(&old.sketch), file.len.abs_diff(old.len)))
        });
        let best =
            candidates.min_by_key(|(index, alike, distance)| (std::cmp::Reverse(*alike), *distance, *index));
        best.map(|(index, alike, _)| (index, alike))
    }

    /// Returns the old file that shares the most shingles, of those that share any rare one.
    fn most_similar(&self, file: &Sketched<'_>) -> Option<(usize, u32)> {
        let mut votes = BTreeMap::<usize, u32>::new();
        for shingle in file.sketch.shingles() {
            let holders = self.shingles.get(&shingle).filter(|held| held.len() <= HOLDERS_MAX);
            for index in holders.into_iter().flatten() {
                *votes.entry(*index).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        // Common shingles were left out of the vote: whoever comes near is compared in full.
        let near = votes.into_iter().filter(|(_, count)| *count >= most.div_ceil(2)).map(|(index, _)| index);
        self.closest(file, &near.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests;
