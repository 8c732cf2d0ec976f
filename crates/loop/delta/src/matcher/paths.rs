//! The ways to describe the new file that are still in the race, as a tree of copies.
//!
//! In: copies as they start. Out: the copies of one way. Refuses nothing.

use super::Copy;
use super::price::Seek;

/// How many copies are kept at least before those that no way needs any more are thrown away: a sweep costs about as
/// much as a thousand searches, and should be rare.
const NODES_MIN: usize = 1 << 14;

/// How many copies back a shift counts as recent.
const RECENT_COPIES: usize = 4;

/// A copy whose end its followers know: they may disagree.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// Where it starts in the new file.
    new: u32,
    /// Where it starts in the old file.
    old: u32,
    /// The copy before it.
    parent: u32,
    /// Where the copy before it ends in the new file.
    parent_end: u32,
}

impl Node {
    fn shift(&self) -> i64 {
        i64::from(self.old) - i64::from(self.new)
    }
}

/// The root: a copy of nothing, from the start of the old file.
pub(super) const ROOT: u32 = 0;

/// The tree. A parent always stands before its children.
#[derive(Debug)]
pub(super) struct Paths {
    nodes: Vec<Node>,
    sweep_at: usize,
}

impl Paths {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node { new: 0, old: 0, parent: ROOT, parent_end: 0 }], sweep_at: NODES_MIN }
    }

    /// Adds a copy that follows `parent`, which ends at `parent_end`.
    pub(super) fn add(&mut self, (new, old): (usize, usize), parent: u32, parent_end: usize) -> u32 {
        self.nodes.push(Node { new: narrow(new), old: narrow(old), parent, parent_end: narrow(parent_end) });
        narrow(self.nodes.len() - 1)
    }

    /// Says how far a copy with this shift lies from the ways of the last ones.
    pub(super) fn seek(&self, last: u32, shift: i64) -> Seek {
        let Some(mut node) = self.node(last) else { return Seek::Far(1) };
        let distance = shift.abs_diff(node.shift());
        if distance == 0 {
            return Seek::Same;
        }
        for _ in 1..RECENT_COPIES {
            let Some(parent) = self.node(node.parent) else { break };
            if parent.shift() == shift {
                return Seek::Recent;
            }
            node = parent;
        }
        Seek::Far(distance)
    }

    /// Returns the shift of a copy.
    pub(super) fn shift(&self, index: u32) -> i64 {
        self.node(index).map_or(0, |node| node.shift())
    }

    /// Returns where a copy starts in the new file.
    pub(super) fn start(&self, index: u32) -> usize {
        self.node(index).map_or(0, |node| wide(node.new))
    }

    /// Returns the copies of the way that ends with `last`, which ends at `end`.
    pub(super) fn copies(&self, last: u32, end: usize) -> Vec<Copy> {
        let mut copies = Vec::new();
        let (mut index, mut end) = (last, narrow(end));
        while index != ROOT
            && let Some(node) = self.node(index)
        {
            if let Some(len) = end.checked_sub(node.new).filter(|len| *len > 0) {
                copies.push(Copy { new: node.new, old: node.old, len });
            }
            (index, end) = (node.parent, node.parent_end);
        }
        copies.reverse();
        copies
    }

    /// Says whether a sweep is due.
    pub(super) fn is_crowded(&self) -> bool {
        self.nodes.len() >= self.sweep_at
    }

    /// Throws away what no way in the race needs, and gives all of these ways their new numbers.
    pub(super) fn sweep(&mut self, mut ways: Vec<&mut u32>) {
        let mut places = self.needed(&ways);
        let mut kept = 0;
        for index in 0..self.nodes.len() {
            let (Some(Some(_)), Some(mut node)) = (places.get(index), self.nodes.get(index).copied()) else {
                continue;
            };
            node.parent = place(&places, node.parent);
            if let (Some(place), Some(slot)) = (places.get_mut(index), self.nodes.get_mut(kept)) {
                (*place, *slot) = (Some(narrow(kept)), node);
            }
            kept += 1;
        }
        self.nodes.truncate(kept);
        for way in &mut ways {
            **way = place(&places, **way);
        }
        self.sweep_at = kept * 2 + NODES_MIN;
    }

    /// Returns a place for each node that is needed; which one is not known yet.
    fn needed(&self, ways: &[&mut u32]) -> Vec<Option<u32>> {
        let mut needed = vec![None; self.nodes.len()];
        let need = |needed: &mut Vec<Option<u32>>, index: u32| {
            if let Some(needed) = needed.get_mut(wide(index)) {
                *needed = Some(ROOT);
            }
        };
        need(&mut needed, ROOT);
        for way in ways {
            need(&mut needed, **way);
        }
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if needed.get(index).is_some_and(Option::is_some) {
                need(&mut needed, node.parent);
            }
        }
        needed
    }

    fn node(&self, index: u32) -> Option<Node> {
        self.nodes.get(wide(index)).copied()
    }
}

fn place(places: &[Option<u32>], index: u32) -> u32 {
    places.get(wide(index)).copied().flatten().unwrap_or(ROOT)
}

/// Files are shorter than 4 GiB; [`super::copies`] sees to it.
fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn wide(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
