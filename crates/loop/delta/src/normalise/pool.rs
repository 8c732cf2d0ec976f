//! Which words are literals: the loads that fetch them come first, in the order of the file.

/// A literal that a load was seen to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Literal {
    /// Its value is used as it is.
    Plain,
    /// The program counter is added to it.
    Relative,
}

/// How far behind its load a literal may lie, in bytes: as far as any load reaches, and as much as is remembered.
const REACH_BYTES: usize = 4096 + 8;

/// How many places the ring has, one for each word in reach.
const PLACES: usize = (REACH_BYTES / 4).next_power_of_two();

/// The literals that lie ahead.
pub(super) struct Pool {
    /// For each place the word's offset, in bytes, and what it is.
    ring: Vec<Option<(usize, Literal)>>,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self { ring: vec![None; PLACES] }
    }

    /// Notes that the word at `offset` is fetched.
    pub(super) fn note(&mut self, offset: usize, literal: Literal) {
        if let Some(place) = self.ring.get_mut(offset / 4 % PLACES) {
            *place = Some((offset, literal));
        }
    }

    /// Returns what the word at `offset` is, if a load fetches it.
    pub(super) fn find(&self, offset: usize) -> Option<Literal> {
        let (found, literal) = (*self.ring.get(offset / 4 % PLACES)?)?;
        (found == offset).then_some(literal)
    }
}
