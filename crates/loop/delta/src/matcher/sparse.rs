//! Finds long stretches of a new file anywhere in a large old image, in little memory.
//!
//! In: both. Out: copies, exact ones. Refuses nothing.
//!
//! The old image is cut into blocks; a table knows where blocks with a certain hash start. A hash rolls over the new
//! file, and where the table knows a block that is equal, it grows in both directions.

use super::pair::{Pair, shared};
use super::{Copy, FILE_BYTES_MAX};

/// The bytes of a block. Two of them in a row hold every stretch of twice the length, less a byte, that is looked for.
const BLOCK_BYTES: usize = 32;

/// Shortest copy, in bytes: shorter ones are better coded by what models them.
const COPY_BYTES_MIN: usize = 64;

/// How many slots after its own a block may take.
const PROBES: usize = 4;

/// A slot without a block.
const EMPTY: u32 = u32::MAX;

/// The factor of the rolling hash, odd and without pattern (2^64 divided by the golden ratio).
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Returns the stretches of at least 64 bytes of `new` that stand somewhere in `old`: sorted by place in the new file,
/// disjoint there, inside both. Of equal stretches, the first one of the old image is taken.
///
/// Beside its arguments and its result it needs a quarter of a byte of memory for each byte of `old`.
pub(crate) fn sparse_copies(old: &[u8], new: &[u8]) -> Vec<Copy> {
    let mut copies: Vec<Copy> = Vec::new();
    if old.len() > FILE_BYTES_MAX || new.len() > FILE_BYTES_MAX {
        return copies;
    }
    let blocks = Blocks::new(old);
    let pair = Pair { old, new };
    let (mut at, mut done) = (0, 0);
    let mut rolling = Rolling::new(new, at);
    while let Some(hash) = rolling.map(|rolling| rolling.hash) {
        let found = blocks.find(hash, new.get(at..).unwrap_or_default());
        if let Some(copy) = found.and_then(|old| grow(pair, at, old, done)) {
            copies.push(copy);
            done = usize::try_from(copy.new + copy.len).unwrap_or(usize::MAX);
            at = done;
            rolling = Rolling::new(new, at);
        } else {
            rolling = rolling.and_then(|rolling| rolling.roll(new, at));
            at += 1;
        }
    }
    copies
}

/// Grows a block in both directions, back to `done` at most; nothing if it stays too short.
fn grow(pair: Pair<'_>, at: usize, old: usize, done: usize) -> Option<Copy> {
    let shift = i64::try_from(old).ok()? - i64::try_from(at).ok()?;
    let back = pair.run_back(at, shift, at - done);
    let len = back + pair.run(at, shift, usize::MAX);
    let narrow = |value: usize| u32::try_from(value).ok();
    let copy = Copy { new: narrow(at - back)?, old: narrow(old - back)?, len: narrow(len)? };
    (len >= COPY_BYTES_MIN).then_some(copy)
}

/// Where blocks of the old image start.
struct Blocks<'a> {
    old: &'a [u8],
    /// The number of a block, by its hash.
    slots: Vec<u32>,
}

impl<'a> Blocks<'a> {
    fn new(old: &'a [u8]) -> Self {
        let (all, _) = old.as_chunks::<BLOCK_BYTES>();
        // Between one and two slots a block, of four bytes each.
        let mut blocks = Self { old, slots: vec![EMPTY; all.len().next_power_of_two()] };
        for (number, block) in all.iter().enumerate() {
            if let Some(hash) = Rolling::new(block, 0)
                && let Some(slot) = blocks.free_slot(hash.hash, block)
                && let Some(slot) = blocks.slots.get_mut(slot)
            {
                *slot = u32::try_from(number).unwrap_or(EMPTY);
            }
        }
        blocks
    }

    /// Returns a slot for a block, unless it is full there or holds an equal one.
    fn free_slot(&self, hash: u64, block: &[u8]) -> Option<usize> {
        for slot in self.probes(hash) {
            match self.start(slot) {
                None => return Some(slot),
                Some(start) if self.is_at(start, block) => return None,
                Some(_) => {}
            }
        }
        None
    }

    /// Returns where a block with this hash starts that equals the first of `bytes`.
    fn find(&self, hash: u64, bytes: &[u8]) -> Option<usize> {
        self.probes(hash).map_while(|slot| self.start(slot)).find(|start| self.is_at(*start, bytes))
    }

    fn probes(&self, hash: u64) -> impl Iterator<Item = usize> + '_ {
        // The top bits of a product are the best; there are at least as many slots as one.
        let first = usize::try_from(hash.wrapping_mul(FACTOR) >> 32).unwrap_or(0);
        (0..PROBES).map(move |probe| (first + probe) & (self.slots.len() - 1))
    }

    fn start(&self, slot: usize) -> Option<usize> {
        let number = self.slots.get(slot).copied().filter(|number| *number != EMPTY)?;
        Some(usize::try_from(number).ok()? * BLOCK_BYTES)
    }

    fn is_at(&self, start: usize, bytes: &[u8]) -> bool {
        let block = self.old.get(start..start + BLOCK_BYTES).unwrap_or_default();
        shared(block, bytes) == BLOCK_BYTES
    }
}

/// A hash of as many bytes as a block has, which moves on byte by byte.
#[derive(Debug, Clone, Copy)]
struct Rolling {
    hash: u64,
}

impl Rolling {
    /// Hashes the bytes from `at` on; nothing if there are too few.
    fn new(bytes: &[u8], at: usize) -> Option<Self> {
        let block = bytes.get(at..)?.get(..BLOCK_BYTES)?;
        let hash = block
            .iter()
            .fold(0_u64, |hash, byte| hash.wrapping_mul(FACTOR).wrapping_add(u64::from(*byte) + 1));
        Some(Self { hash })
    }

    /// Moves on from `at` to the next byte.
    fn roll(self, bytes: &[u8], at: usize) -> Option<Self> {
        let first = u64::from(*bytes.get(at)?) + 1;
        let next = u64::from(*bytes.get(at + BLOCK_BYTES)?) + 1;
        let hash =
            self.hash.wrapping_sub(first.wrapping_mul(FIRST_FACTOR)).wrapping_mul(FACTOR).wrapping_add(next);
        Some(Self { hash })
    }
}

/// What the first byte of a block is multiplied with.
const FIRST_FACTOR: u64 = {
    let (mut factor, mut times) = (1_u64, 1);
    while times < BLOCK_BYTES {
        factor = factor.wrapping_mul(FACTOR);
        times += 1;
    }
    factor
};
