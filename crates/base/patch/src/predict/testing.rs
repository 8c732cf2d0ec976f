//! A small atlas for tests.

use std::collections::BTreeMap;
use std::vec::Vec;

use super::{GoTables, LOOK_AHEAD_BYTES, Memory, Mode, View, learn, step};
use crate::atlas::Atlas;
use crate::predict::Arch;

/// Everything from `from` on has moved by `by`; the old file is loaded at `base`, the new one at the same place.
pub(super) struct Moved {
    pub(super) base: u64,
    pub(super) len: u32,
    pub(super) from: u64,
    pub(super) by: i64,
    pub(super) go: (GoTables, GoTables),
    pub(super) learned: BTreeMap<u64, u64>,
}

impl Moved {
    /// A file of 64 KiB.
    pub(super) fn new(base: u64, from: u64, by: i64) -> Self {
        Self { base, len: 0x1_0000, from, by, go: Default::default(), learned: BTreeMap::new() }
    }
}

impl Atlas for Moved {
    fn old_address(&self, offset: u32) -> u64 {
        self.base.wrapping_add(u64::from(offset))
    }

    fn new_address(&self, offset: u32) -> u64 {
        self.base.wrapping_add(u64::from(offset))
    }

    fn moved_offset(&self, old_offset: u32) -> u32 {
        let moved = self.moved(self.old_address(old_offset)).unwrap_or(0);
        u32::try_from(moved.wrapping_sub(self.base) & 0xffff_ffff).unwrap_or(0)
    }

    fn moved(&self, old_address: u64) -> Option<u64> {
        if let Some(learned) = self.learned.get(&old_address) {
            return Some(*learned);
        }
        let by = if old_address < self.from { 0 } else { self.by };
        self.is_address(old_address).then(|| old_address.wrapping_add_signed(by))
    }

    fn is_address(&self, value: u64) -> bool {
        value.checked_sub(self.base).is_some_and(|inside| inside < u64::from(self.len))
    }

    fn old_len(&self) -> u32 {
        self.len
    }

    fn learn(&mut self, old_address: u64, new_address: u64) {
        self.learned.insert(old_address, new_address);
    }
}

/// Predicts a block step by step.
pub(super) fn predict(way: (Arch, Mode), old: &[u8], places: (u32, u32), atlas: &Moved) -> Vec<u8> {
    let view = View {
        old,
        old_offset: places.0,
        new_offset: places.1,
        frame_index: (atlas.base, atlas.base),
        go: atlas.go,
    };
    let (mut out, mut memory, mut at) = (old.to_vec(), Memory::default(), 0);
    while at < out.len() {
        at += step(way, &view, at, &mut memory, atlas, &mut out).len.max(1);
    }
    out
}

/// Learns from a step.
pub(super) fn teach(way: (Arch, Mode), old: &[u8], new: &[u8], places: (u32, u32), atlas: &mut Moved) {
    let view = View {
        old,
        old_offset: places.0,
        new_offset: places.1,
        frame_index: (atlas.base, atlas.base),
        go: atlas.go,
    };
    learn(way, &view, 0, &mut Memory::default(), new, atlas);
}

/// Predicts and learns from bytes of any kind: it must end, go on with each step, and stay within the block.
pub(super) fn survive(way: (Arch, Mode), old: &[u8], len: usize, places: (u32, u32), atlas: &mut Moved) {
    let len = len.min(old.len());
    let old = &old[..old.len().min(len + LOOK_AHEAD_BYTES)];
    let view =
        View { old, old_offset: places.0, new_offset: places.1, frame_index: (atlas.base, !0), go: atlas.go };
    let (mut out, mut memory, mut at) = (old[..len].to_vec(), Memory::default(), 0);
    while at < len {
        let done = step(way, &view, at, &mut memory, atlas, &mut out);
        assert!(done.len >= 1);
        let end = (at + done.len).min(len);
        learn(way, &view, at, &mut Memory::default(), &out[..end], atlas);
        at = end;
    }
    // Any place, also behind the end.
    step(way, &view, len + 1000, &mut memory, atlas, &mut out);
    step(way, &view, usize::MAX, &mut memory, atlas, &mut out);
    learn(way, &view, usize::MAX, &mut Memory::default(), &out, atlas);
}
