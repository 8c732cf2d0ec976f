//! A plan that tests write down: which old addresses are which new ones.

use std::collections::BTreeMap;
use std::vec::Vec;

use super::{Arch, LOOK_AHEAD_BYTES, Memory, Mode, View, learn, step};
use crate::atlas::Atlas;

/// An atlas that knows what it is told. Files lie at `base`, the same in the old and in the new one.
pub(super) struct Plan {
    pub(super) base: u64,
    pub(super) len: u32,
    pub(super) moves: BTreeMap<u64, u64>,
    pub(super) learned: Vec<(u64, u64)>,
}

impl Plan {
    pub(super) fn new(base: u64, moves: &[(u64, u64)]) -> Self {
        Self { base, len: 0x10_0000, moves: moves.iter().copied().collect(), learned: Vec::new() }
    }
}

impl Atlas for Plan {
    fn old_address(&self, offset: u32) -> u64 {
        self.base.wrapping_add(u64::from(offset))
    }

    fn new_address(&self, offset: u32) -> u64 {
        self.base.wrapping_add(u64::from(offset))
    }

    fn moved_offset(&self, old_offset: u32) -> u32 {
        let moved = self.moves.get(&self.old_address(old_offset)).map(|new| new.wrapping_sub(self.base));
        moved.map_or(old_offset, |offset| u32::try_from(offset).unwrap_or(0))
    }

    fn moved(&self, old_address: u64) -> Option<u64> {
        self.moves.get(&old_address).copied()
    }

    fn is_address(&self, value: u64) -> bool {
        value >= self.base && value - self.base < u64::from(self.len)
    }

    fn old_len(&self) -> u32 {
        self.len
    }

    fn learn(&mut self, old_address: u64, new_address: u64) {
        self.learned.push((old_address, new_address));
    }
}

/// A block of code: the old bytes, where they lay, and where they lie now.
pub(super) struct Block<'a> {
    pub(super) arch: Arch,
    pub(super) old: &'a [u8],
    pub(super) places: (u32, u32),
}

impl Block<'_> {
    fn view(&self) -> View<'_> {
        let (old_offset, new_offset) = self.places;
        View { old: self.old, old_offset, new_offset, frame_index: (0, 0), go: Default::default() }
    }

    /// Predicts the whole block without being told anything.
    pub(super) fn predict(&self, plan: &Plan) -> Vec<u8> {
        let (mut out, mut memory, mut at) = (self.old.to_vec(), Memory::default(), 0);
        while at < out.len() {
            at += step((self.arch, Mode::Code), &self.view(), at, &mut memory, plan, &mut out).len;
        }
        out
    }

    /// Goes through the block with the true bytes at hand; returns what was predicted, each step after the one before was
    /// known.
    pub(super) fn go_through(&self, new: &[u8], plan: &mut Plan) -> Vec<u8> {
        let (mut out, mut memory, mut at) = (self.old.to_vec(), Memory::default(), 0);
        let mut predicted = out.clone();
        let kind = (self.arch, Mode::Code);
        while at < out.len() {
            let done = step(kind, &self.view(), at, &mut memory, plan, &mut out);
            let end = (at + done.len).min(out.len());
            predicted[at..end].copy_from_slice(&out[at..end]);
            out[at..end].copy_from_slice(&new[at..end]);
            if done.teaches {
                learn(kind, &self.view(), at, &mut memory, &out[..end], plan);
            }
            at = end;
        }
        predicted
    }
}

/// Any bytes, anywhere: neither a step nor a lesson may panic, and each goes on.
pub(super) fn survives(arch: Arch, old: &[u8], new: &[u8], at: usize, places: (u32, u32), base: u64) {
    let mut plan = Plan::new(base, &[]);
    for pair in old.chunks(3).zip(new.chunks(3)) {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        plan.moves.insert(base.wrapping_add(number(pair.0)), base.wrapping_add(number(pair.1)));
    }
    let block = Block { arch, old, places };
    let (mut memory, mut out) = (Memory::default(), new.to_vec());
    let kind = (arch, Mode::Code);
    for at in [at, 0, 1, 2, 3, old.len(), usize::MAX] {
        assert!(step(kind, &block.view(), at, &mut memory, &plan, &mut out).len > 0);
        learn(kind, &block.view(), at, &mut memory, new, &mut plan);
    }
    let mut at = 0;
    while at < out.len() {
        at += step(kind, &block.view(), at, &mut memory, &plan, &mut out).len;
        learn(kind, &block.view(), at, &mut memory, new, &mut plan);
    }
    assert!(old.len() <= LOOK_AHEAD_BYTES || out.len() == new.len());
}
