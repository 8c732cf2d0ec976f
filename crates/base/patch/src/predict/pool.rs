//! Literal pools: the words between functions that loads fetch relative to the program counter.
//!
//! In: which word a load fetches, and whether an instruction adds the program counter to it. Out: the same, when the
//! word is reached. Refuses nothing; of two literals that share a place in the memory, the later one is kept.

use super::Memory;

/// A word that a load fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Literal {
    /// Where in the old file the instruction lies that adds its own address to the word, if there is one.
    pub(super) anchor: Option<u32>,
}

/// Stands for no anchor: no instruction starts there, since files are shorter.
const NO_ANCHOR: u32 = u32::MAX;

/// Remembers that the word at `offset` of the old file is a literal.
pub(super) fn note(memory: &mut Memory, offset: u32, literal: Literal) {
    let entry = u64::from(offset) << 32 | u64::from(literal.anchor.unwrap_or(NO_ANCHOR));
    let place = place(offset);
    if let Some(value) = memory.values.get_mut(place) {
        *value = entry;
    } else if let Some(other) = memory.others.get_mut(place - memory.values.len()) {
        *other = entry;
    }
}

/// Returns what is known of the word at `offset` of the old file.
pub(super) fn find(memory: &Memory, offset: u32) -> Option<Literal> {
    let place = place(offset);
    let entry = memory.values.get(place).or_else(|| memory.others.get(place - memory.values.len()))?;
    // A place that was never written is zero. No load fetches the word at 0: it would stand in front of the file.
    (*entry != 0 && entry >> 32 == u64::from(offset)).then(|| {
        let anchor = super::words::low32(*entry);
        Literal { anchor: (anchor != NO_ANCHOR).then_some(anchor) }
    })
}

/// Neighbours have different places, so that pools of up to 64 words are remembered in full.
fn place(offset: u32) -> usize {
    (offset >> 2 & 63) as usize
}
