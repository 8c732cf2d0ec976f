//! Sorts the suffixes of a file: those that start at even places.
//!
//! In: bytes. Out: the halves of the even places, in the order of the suffixes that start there. Refuses nothing; a file
//! has less than 8 GiB.
//!
//! Every second suffix is enough: a stretch of six equal bytes holds an even place with five, and whoever finds it looks
//! back anyway. That halves memory and time. Suffixes at even places of bytes are the suffixes of a text whose letters
//! are pairs of bytes; these are sorted by induced sorting (Nong, Zhang and Chan: "Two Efficient Algorithms for Linear
//! Time Suffix Array Construction", 2009): in linear time whatever the bytes are, in the memory of the result, plus a bit
//! a letter and the counts of the letters.

/// How many different pairs of bytes there are.
const PAIRS: usize = 1 << 16;

/// A place of the result that holds nothing yet.
const EMPTY: u32 = u32::MAX;

/// Returns the halves of all even places of `bytes`, in the order of the suffixes that start there.
pub(super) fn sorted_even_suffixes(bytes: &[u8]) -> Vec<u32> {
    let text = Pairs(bytes);
    let mut sorted = vec![EMPTY; text.len()];
    sort(&text, PAIRS, &mut sorted);
    sorted
}

/// Letters to sort the suffixes of. The end of a text sorts before every letter.
trait Text {
    fn len(&self) -> usize;
    /// Returns a letter: a number below the size of the alphabet.
    fn letter(&self, at: usize) -> usize;
}

/// Bytes as pairs. A missing last byte counts as zero; that keeps the order, for the suffix that lacks it ends there.
struct Pairs<'a>(&'a [u8]);

impl Text for Pairs<'_> {
    fn len(&self) -> usize {
        self.0.len().div_ceil(2)
    }

    fn letter(&self, at: usize) -> usize {
        match self.0.get(at * 2..at * 2 + 2) {
            Some([high, low]) => usize::from(*high) << 8 | usize::from(*low),
            Some(_) | None => self.0.get(at * 2).map_or(0, |high| usize::from(*high) << 8),
        }
    }
}

/// A text whose letters are numbers.
struct Numbers<'a>(&'a [u32]);

impl Text for Numbers<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn letter(&self, at: usize) -> usize {
        self.0.get(at).map_or(0, |letter| wide(*letter))
    }
}

/// Sorts the suffixes of a text into `sorted`, which is as long as the text.
///
/// A suffix is *small* if it sorts before the one that starts a letter later, else *large*. Small ones behind a large
/// one are the *seeds*: from their order follows that of all large ones, and from that the order of all small ones.
fn sort<T: Text>(text: &T, letters: usize, sorted: &mut [u32]) {
    if text.len() < 2 {
        sorted.fill(0);
        return;
    }
    let small = Small::of(text);
    let counts = counts(text, letters);
    // Seeds in any order give the order of the stretches from one seed to the next.
    sorted.fill(EMPTY);
    let mut places = ends(&counts);
    for seed in small.seeds() {
        put_last(sorted, &mut places, text.letter(wide(seed)), seed);
    }
    drop(places);
    induce(text, &small, &counts, sorted);
    let seeds = gather_seeds(&small, sorted);
    sort_seeds(text, &small, seeds, sorted);
    // Seeds in their right order give the order of all suffixes. None is put where one still waits to be taken away:
    // as many or more places lie before the end of its letter as seeds are left.
    let mut places = ends(&counts);
    for at in (0..seeds).rev() {
        let Some(place) = sorted.get_mut(at) else { continue };
        let seed = std::mem::replace(place, EMPTY);
        put_last(sorted, &mut places, text.letter(wide(seed)), seed);
    }
    drop(places);
    induce(text, &small, &counts, sorted);
}

/// Puts all suffixes in order from those that stand at the ends of their letters: first the large ones, each when the
/// suffix behind it comes by, then the small ones from the back.
fn induce<T: Text>(text: &T, small: &Small, counts: &[u32], sorted: &mut [u32]) {
    let mut starts = starts(counts);
    // The end of the text sorts first, and the suffix of one letter is a large one.
    let last = text.len() - 1;
    put_first(sorted, &mut starts, text.letter(last), narrow(last));
    for at in 0..sorted.len() {
        let Some(before) = before(sorted, at) else { continue };
        if !small.holds(before) {
            put_first(sorted, &mut starts, text.letter(before), narrow(before));
        }
    }
    drop(starts);
    let mut ends = ends(counts);
    for at in (0..sorted.len()).rev() {
        let Some(before) = before(sorted, at) else { continue };
        if small.holds(before) {
            put_last(sorted, &mut ends, text.letter(before), narrow(before));
        }
    }
}

/// Returns the suffix that starts a letter before the one in a place.
fn before(sorted: &[u32], at: usize) -> Option<usize> {
    let suffix = *sorted.get(at)?;
    (suffix != EMPTY).then(|| wide(suffix).checked_sub(1))?
}

/// Moves the seeds to the front, in their order; returns how many they are.
fn gather_seeds(small: &Small, sorted: &mut [u32]) -> usize {
    let mut seeds = 0;
    for at in 0..sorted.len() {
        let Some(&suffix) = sorted.get(at) else { continue };
        if suffix != EMPTY && small.is_seed(wide(suffix)) {
            if let Some(place) = sorted.get_mut(seeds) {
                *place = suffix;
            }
            seeds += 1;
        }
    }
    seeds
}

/// Sorts the seeds at the front, which are in the order of their stretches; empties the rest.
///
/// Equal stretches get equal names. The names, in the order of the text, are a text whose suffixes sort like the seeds.
/// It is at most half as long, and finds room in the rest.
fn sort_seeds<T: Text>(text: &T, small: &Small, seeds: usize, sorted: &mut [u32]) {
    let Some((order, rest)) = sorted.split_at_mut_checked(seeds) else { return };
    rest.fill(EMPTY);
    let (mut names, mut last) = (0, None);
    for seed in order.iter().map(|seed| wide(*seed)) {
        if last.is_none_or(|last| !is_same_stretch(text, small, last, seed)) {
            names += 1;
        }
        last = Some(seed);
        // Seeds lie at least two letters apart.
        if let Some(place) = rest.get_mut(seed / 2) {
            *place = narrow(names - 1);
        }
    }
    let mut start = rest.len();
    for at in (0..rest.len()).rev() {
        if let Some(&name) = rest.get(at).filter(|name| **name != EMPTY) {
            start -= 1;
            if let Some(place) = rest.get_mut(start) {
                *place = name;
            }
        }
    }
    let Some(reduced) = rest.get_mut(start..) else { return };
    if names < seeds {
        sort(&Numbers(reduced), names, order);
    } else {
        for (at, name) in reduced.iter().enumerate() {
            if let Some(place) = order.get_mut(wide(*name)) {
                *place = narrow(at);
            }
        }
    }
    reduced.iter_mut().zip(small.seeds()).for_each(|(place, seed)| *place = seed);
    for place in order.iter_mut() {
        *place = reduced.get(wide(*place)).copied().unwrap_or(EMPTY);
    }
    rest.fill(EMPTY);
}

/// Says whether two stretches from a seed to the next have the same letters. The last one ends with the text and is
/// like no other.
fn is_same_stretch<T: Text>(text: &T, small: &Small, a: usize, b: usize) -> bool {
    let most = text.len() - a.max(b);
    for len in 0..most {
        let (a, b) = (a + len, b + len);
        if text.letter(a) != text.letter(b) || small.holds(a) != small.holds(b) {
            return false;
        }
        if len > 0 && small.is_seed(a) {
            return small.is_seed(b);
        }
    }
    false
}

/// Which suffixes are small, a bit each.
struct Small {
    words: Vec<u64>,
    len: usize,
}

impl Small {
    fn of<T: Text>(text: &T) -> Self {
        let len = text.len();
        let mut small = Self { words: vec![0; len.div_ceil(64)], len };
        let (mut next_letter, mut is_next_small) = (text.letter(len - 1), false);
        for at in (0..len - 1).rev() {
            let letter = text.letter(at);
            is_next_small = letter < next_letter || (letter == next_letter && is_next_small);
            next_letter = letter;
            if is_next_small && let Some(word) = small.words.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
        }
        small
    }

    fn holds(&self, at: usize) -> bool {
        self.words.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    fn is_seed(&self, at: usize) -> bool {
        at > 0 && self.holds(at) && !self.holds(at - 1)
    }

    fn seeds(&self) -> impl Iterator<Item = u32> + '_ {
        (1..self.len).filter(|at| self.is_seed(*at)).map(narrow)
    }
}

/// Returns how often each letter stands in a text.
fn counts<T: Text>(text: &T, letters: usize) -> Vec<u32> {
    let mut counts = vec![0; letters];
    for at in 0..text.len() {
        if let Some(count) = counts.get_mut(text.letter(at)) {
            *count += 1;
        }
    }
    counts
}

/// Returns where the suffixes of each letter start.
fn starts(counts: &[u32]) -> Vec<u32> {
    let start = |sum: &mut u32, count: &u32| {
        let start = *sum;
        *sum += count;
        Some(start)
    };
    counts.iter().scan(0, start).collect()
}

/// Returns where the suffixes of each letter end.
fn ends(counts: &[u32]) -> Vec<u32> {
    let end = |sum: &mut u32, count: &u32| {
        *sum += count;
        Some(*sum)
    };
    counts.iter().scan(0, end).collect()
}

/// Puts a suffix in the first place that its letter has left.
fn put_first(sorted: &mut [u32], starts: &mut [u32], letter: usize, suffix: u32) {
    if let Some(start) = starts.get_mut(letter)
        && let Some(place) = sorted.get_mut(wide(*start))
    {
        *place = suffix;
        *start += 1;
    }
}

/// Puts a suffix in the last place that its letter has left.
fn put_last(sorted: &mut [u32], ends: &mut [u32], letter: usize, suffix: u32) {
    if let Some(end) = ends.get_mut(letter)
        && let Some(last) = end.checked_sub(1)
        && let Some(place) = sorted.get_mut(wide(last))
    {
        *place = suffix;
        *end = last;
    }
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(EMPTY)
}

fn wide(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::sorted_even_suffixes;

    fn check(bytes: &[u8]) {
        let mut expected: Vec<u32> = (0..u32::try_from(bytes.len().div_ceil(2)).unwrap()).collect();
        expected.sort_by_key(|half| &bytes[usize::try_from(*half).unwrap() * 2..]);
        assert_eq!(sorted_even_suffixes(bytes), expected, "{bytes:?}");
    }

    #[test]
    fn short_and_uniform_texts_are_sorted() {
        for len in 0..70 {
            check(&vec![0; len]);
            check(&vec![0xff; len]);
            check(&[0, 0, 0, 1].repeat(len));
            check(&b"mississippi".repeat(len)[..len * 9]);
        }
    }

    proptest! {
        #[test]
        fn even_suffixes_are_sorted(bytes in vec(any::<u8>(), 0..300), stretch in 1..30_usize, letters in 1..=255_u8) {
            // Stretching and few letters make the long repeats that need the deepest recursion.
            let bytes: Vec<u8> = bytes.iter().flat_map(|byte| std::iter::repeat_n(byte % letters, stretch)).collect();
            check(&bytes);
        }
    }
}
