//! The parts of the new plain bytes.
//!
//! In: what is known of the new plain bytes. Out: parts that cover them all. A changed file is a part, or several where it
//! lies in several places; everything between two of them is one part: unchanged files, stretches that stay packed, the
//! image's own data. What stands there has the old bytes of the same files, and the old bytes around their neighbours.

use super::spans::slice;
use super::{Extent, Item, Kind, PlannedPart, around};

/// The shortest changed file that is a part of its own, in bytes: a part costs a dozen bytes, and predictions need room to
/// learn.
const OWN_BYTES_MIN: u64 = 4096;

/// The shortest file without an old one that is a part of its own, in bytes: what lies between files has old bytes, some
/// of which may be like it.
const ALONE_BYTES_MIN: u64 = 64 << 10;

/// The longest run of bytes between two files that is added to the first, in bytes: padding.
const PADDING_BYTES_MAX: u64 = 32;

/// What lies between files starts at multiples of this where zeros stand in front of it, in bytes: the fields of a file
/// system's tables have up to eight.
const ALIGNED_BYTES: u64 = 8;

/// The most old bytes between two extents that are taken with them, in bytes: an extent costs a few bytes, and what lies
/// between was often there before.
const BRIDGED_BYTES_MAX: u64 = 4096;

/// How much of the old file around it comes with a stretch that is no part of its own, in bytes.
const MARGIN_BYTES: u64 = 16 << 10;

/// Cuts the new plain bytes into parts.
pub(super) fn parts(items: &[Item], old_len: u64, new: &[u8]) -> Vec<PlannedPart> {
    let new_len = new.len() as u64;
    let covered = covered(items);
    let mut cutter =
        Cutter { parts: Vec::new(), new, covered, old_len, start: 0, old: Vec::new(), before: 0 };
    let aheads = aheads(items, old_len);
    let mut end = 0;
    for (item, ahead) in items.iter().zip(aheads.iter().copied()) {
        if item.new.start > end {
            cutter.unknown(ahead);
        }
        cutter.take(item);
        end = item.new.end;
    }
    if new_len > end {
        cutter.unknown(old_len);
    }
    cutter.cut(new_len);
    cutter.parts
}

/// Returns the old bytes that belong to something, in order, disjoint.
fn covered(items: &[Item]) -> Vec<(u64, u64)> {
    joined(items.iter().flat_map(|item| item.old.iter()).copied().collect(), 0)
        .iter()
        .map(|extent| (extent.start, extent.end()))
        .collect()
}

/// Returns, for each item, where the old bytes begin of the first one from it on that has some.
fn aheads(items: &[Item], old_len: u64) -> Vec<u64> {
    let mut ahead = old_len;
    let mut aheads: Vec<u64> = Vec::with_capacity(items.len());
    for item in items.iter().rev() {
        ahead = item.old.iter().map(|extent| extent.start).min().unwrap_or(ahead);
        aheads.push(ahead);
    }
    aheads.reverse();
    aheads
}

/// Sorts extents and joins those that overlap or lie at most `bridged` bytes apart.
fn joined(mut extents: Vec<Extent>, bridged: u64) -> Vec<Extent> {
    extents.sort_by_key(|extent| extent.start);
    let mut all: Vec<Extent> = Vec::with_capacity(extents.len());
    for extent in extents {
        match all.last_mut() {
            Some(last) if extent.start <= last.end().saturating_add(bridged) => {
                last.len = last.end().max(extent.end()).saturating_sub(last.start);
            }
            _ => all.push(extent),
        }
    }
    all
}

/// Parts on their way.
struct Cutter<'a> {
    parts: Vec<PlannedPart>,
    new: &'a [u8],
    covered: Vec<(u64, u64)>,
    old_len: u64,
    /// Where what is between files begins, and what it may be made from.
    start: u64,
    old: Vec<Extent>,
    /// Where the old bytes end of the last item that had some.
    before: u64,
}

impl Cutter<'_> {
    /// Takes bytes of which nothing is known: the old ones that follow the same item, and those before the next.
    fn unknown(&mut self, ahead: u64) {
        let behind = self.covered.partition_point(|(start, _)| *start <= self.before);
        let inside = behind.checked_sub(1).and_then(|index| self.covered.get(index));
        if inside.is_none_or(|(_, end)| *end <= self.before) {
            let end = self.covered.get(behind).map_or(self.old_len, |(start, _)| *start);
            self.add(self.before, end);
        }
        let behind = self.covered.partition_point(|(start, _)| *start < ahead);
        let start =
            behind.checked_sub(1).and_then(|index| self.covered.get(index)).map_or(0, |(_, end)| *end);
        self.add(start, ahead);
    }

    fn add(&mut self, start: u64, end: u64) {
        if start < end {
            self.old.push(Extent { at: 0, start, len: end.saturating_sub(start) });
        }
    }

    fn take(&mut self, item: &Item) {
        let len = item.new.end.saturating_sub(item.new.start);
        let len_min = if item.old.is_empty() { ALONE_BYTES_MIN } else { OWN_BYTES_MIN };
        if item.kind == Kind::Changed && len >= len_min {
            self.cut(item.new.start);
            self.parts.push(PlannedPart {
                new: item.new.clone(),
                path: item.path.to_string(),
                file: item.file.to_vec(),
                old: item.old.to_vec(),
            });
            self.start = item.new.end;
        } else {
            let near = item.file.iter().flat_map(|stretch| around(&item.old, *stretch, MARGIN_BYTES));
            self.old.extend(near);
        }
        if let Some(end) = item.old.iter().map(Extent::end).max() {
            self.before = end;
        }
    }

    /// Ends what is between files.
    fn cut(&mut self, end: u64) {
        let mut new = self.start..end;
        let mut old = joined(std::mem::take(&mut self.old), BRIDGED_BYTES_MAX);
        if new.is_empty() {
            return;
        }
        if let Some(last) = self.parts.last_mut() {
            if new.end.saturating_sub(new.start) <= PADDING_BYTES_MAX {
                last.new.end = new.end;
                return;
            }
            // Words are told aligned to the start of their part: whatever follows a file starts at a multiple, too.
            let aligned = new.start.next_multiple_of(ALIGNED_BYTES);
            if slice(self.new, new.start, aligned.saturating_sub(new.start)).is_some_and(is_blank) {
                (last.new.end, new.start) = (aligned, aligned);
            }
        }
        let mut at = 0_u64;
        for extent in &mut old {
            extent.at = at;
            at = at.saturating_add(extent.len);
        }
        self.parts.push(PlannedPart { new, path: String::new(), file: Vec::new(), old });
    }
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
