//! What of an image a device lacks, and in which ranges of the content it lies.
//!
//! In: the image that the device has, with its map, and the list of the image that it wants. Out: a [`FetchPlan`]. Refuses:
//! what takes more memory or scratch storage than the device lends.

use std::collections::{BTreeMap, BTreeSet};

use super::cut::{Check, Cut, Walk, WholeCheck};
use super::error::IndexError;
use super::list::{Chunk, ChunkList, Frame, Item, Items};
use super::map::ImageMap;
use crate::apply::{ApplyLimits, ReadSeek};
use crate::layers::{OldPlain, Scratch};

/// The most ranges of a plan: each is a request of its own, and costs some 700 bytes and a round trip.
pub const REQUESTS_MAX: usize = 512;

/// The most bytes between two ranges that are fetched with them: what a request with its answer costs over TLS.
const BRIDGED_BYTES_MAX: u64 = 1024;

/// The piece in which the image is read, in bytes.
const PIECE_BYTES: u64 = 64 << 10;

/// What a device has: an image and its map.
pub struct Owned<'a> {
    /// The image, by random access. It may be longer than its map says: the rest is never read.
    pub image: &'a mut dyn ReadSeek,
    /// Its map.
    pub map: &'a ImageMap,
    /// Storage for long streams of it.
    pub scratch: Option<&'a mut dyn Scratch>,
}

/// A range of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Its first byte.
    pub at: u64,
    /// How many bytes it has.
    pub len: u64,
}

/// Where an item of the content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    /// Its frame.
    pub(super) frame: u32,
    /// Where it starts in the frame.
    pub(super) skip: u32,
}

/// Where the body of a chunk comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// From the plain bytes of what the device has, at this place.
    Own(u64),
    /// From the content.
    Content(Stored),
}

/// Where a chunk comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) body: Body,
    /// The fields to put into the body, and the place from which they count; without them, the bytes are right as they are.
    pub(super) fields: Option<(Stored, u64)>,
}

/// What to fetch, and where each chunk comes from then.
///
/// What was fetched is kept as one file: the ranges one after the other, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPlan {
    pub(super) sources: Vec<Source>,
    ranges: Vec<Range>,
    /// Where in what was fetched each range starts.
    staged: Vec<u64>,
}

impl FetchPlan {
    /// Returns the ranges to fetch, ascending, disjoint.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// Returns how many bytes of the content are fetched.
    pub fn fetch_bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.len).fold(0, u64::saturating_add)
    }

    /// Returns the range that goes on after so many fetched bytes; `None` when all are there.
    pub fn next_range(&self, fetched: u64) -> Option<Range> {
        let mut left = fetched;
        for range in &self.ranges {
            if left < range.len {
                return Some(Range {
                    at: range.at.saturating_add(left),
                    len: range.len.saturating_sub(left),
                });
            }
            left = left.saturating_sub(range.len);
        }
        None
    }

    /// Returns where in what was fetched a frame starts; `None` when it is not fetched.
    pub(super) fn staged_at(&self, frame: &Frame) -> Option<u64> {
        let place = self.ranges.partition_point(|range| range.at <= frame.at).checked_sub(1)?;
        let (range, staged) = (self.ranges.get(place)?, self.staged.get(place)?);
        let is_inside = frame.end() <= range.at.saturating_add(range.len);
        is_inside.then(|| staged.saturating_add(frame.at.saturating_sub(range.at)))
    }
}

/// Finds out what of an image is lacking. Reads all that the device has, once.
pub fn plan_fetch(own: Owned<'_>, list: &ChunkList, limits: &ApplyLimits) -> Result<FetchPlan, IndexError> {
    let memory = own.map.memory().saturating_add(list.memory());
    super::limited("bytes of memory", memory, limits.memory_max.0)?;
    super::limited("bytes of scratch storage", own.map.layers.scratch().0, limits.scratch_max.0)?;
    let mut wanted = Wanted::new(list);
    wanted.find_in(own)?;
    let sources = wanted.sources();
    let ranges = ranges_of(list, &sources);
    let starts = ranges.iter().scan(0_u64, |end, range| {
        let start = *end;
        *end = end.saturating_add(range.len);
        Some(start)
    });
    let staged = starts.collect();
    Ok(FetchPlan { sources, ranges, staged })
}

/// What the content holds, and what of it the device has.
struct Wanted<'l> {
    list: &'l ChunkList,
    items: Vec<Item>,
    bodies: BTreeMap<Check, Known>,
    /// Chunks with fields, as they are.
    wholes: BTreeMap<(Check, WholeCheck), Known>,
}

/// An item.
struct Known {
    /// Its place among the items.
    item: usize,
    /// Where the device has it.
    own: Option<u64>,
}

impl<'l> Wanted<'l> {
    fn new(list: &'l ChunkList) -> Self {
        let Items { all: items, bodies: count } = list.items();
        let (mut bodies, mut wholes) = (BTreeMap::new(), BTreeMap::new());
        for (item, at) in items.iter().enumerate() {
            let chunk = usize::try_from(at.chunk).ok().and_then(|chunk| list.chunks.get(chunk));
            let Some(chunk) = chunk else { continue };
            let known = Known { item, own: None };
            if item < count {
                bodies.insert(chunk.check, known);
            } else {
                wholes.insert((chunk.check, chunk.whole), known);
            }
        }
        Self { list, items, bodies, wholes }
    }

    fn find_in(&mut self, own: Owned<'_>) -> Result<(), IndexError> {
        let mut plain = OldPlain::new(&own.map.layers, own.image, own.scratch)?;
        let end = own.map.plain_bytes();
        let mut note = |cut: &Cut<'_>| self.found(cut);
        let mut walk = Walk::new(&own.map.files);
        let mut at = 0_u64;
        let mut piece = Vec::new();
        while at < end {
            let len = end.saturating_sub(at).min(PIECE_BYTES);
            piece.resize(usize::try_from(len).unwrap_or(0), 0);
            plain.read_at(at, &mut piece)?;
            walk.push(&piece, &mut note);
            at = at.saturating_add(len);
        }
        walk.finish(&mut note);
        Ok(())
    }

    fn found(&mut self, cut: &Cut<'_>) {
        if let Some(body) = self.bodies.get_mut(&cut.check) {
            body.own.get_or_insert(cut.start);
        }
        if cut.code.is_some()
            && let Some(whole) = self.wholes.get_mut(&(cut.check, cut.whole))
        {
            whole.own.get_or_insert(cut.start);
        }
    }

    fn sources(&self) -> Vec<Source> {
        let stored = self.stored();
        self.list.chunks.iter().filter_map(|chunk| self.source(chunk, &stored)).collect()
    }

    /// Returns where in the content each item is.
    fn stored(&self) -> Vec<Stored> {
        let mut frames = (0_u32..).zip(&self.list.frames).peekable();
        let (mut frame, mut skip) = (0, 0_u32);
        let mut stored = Vec::with_capacity(self.items.len());
        for (index, item) in (0_u32..).zip(&self.items) {
            if let Some((next, _)) = frames.next_if(|(_, frame)| frame.first == index) {
                (frame, skip) = (next, 0);
            }
            stored.push(Stored { frame, skip });
            skip = skip.saturating_add(item.len);
        }
        stored
    }

    fn source(&self, chunk: &Chunk, stored: &[Stored]) -> Option<Source> {
        let body = self.bodies.get(&chunk.check)?;
        let from = match body.own {
            Some(at) => Body::Own(at),
            None => Body::Content(*stored.get(body.item)?),
        };
        if chunk.code.is_none() {
            return Some(Source { body: from, fields: None });
        }
        let whole = self.wholes.get(&(chunk.check, chunk.whole))?;
        if let Some(at) = whole.own {
            return Some(Source { body: Body::Own(at), fields: None });
        }
        let start = self.items.get(whole.item)?.start;
        Some(Source { body: from, fields: Some((*stored.get(whole.item)?, start)) })
    }
}

/// Returns the ranges in which the needed frames lie.
fn ranges_of(list: &ChunkList, sources: &[Source]) -> Vec<Range> {
    let mut needed = vec![false; list.frames.len()];
    for source in sources {
        let body = match source.body {
            Body::Content(stored) => Some(stored),
            Body::Own(_) => None,
        };
        for stored in body.into_iter().chain(source.fields.map(|(stored, _)| stored)) {
            let frame = usize::try_from(stored.frame).ok();
            if let Some(needed) = frame.and_then(|frame| needed.get_mut(frame)) {
                *needed = true;
            }
        }
    }
    let mut ranges: Vec<Range> = Vec::new();
    for (frame, _) in list.frames.iter().zip(needed).filter(|(_, needed)| *needed) {
        let len = u64::from(frame.packed_len);
        match ranges.last_mut() {
            Some(range) if gap(range, frame.at) <= BRIDGED_BYTES_MAX => {
                range.len = frame.end().saturating_sub(range.at);
            }
            _ => ranges.push(Range { at: frame.at, len }),
        }
    }
    bridge(&mut ranges);
    ranges
}

fn gap(before: &Range, at: u64) -> u64 {
    at.saturating_sub(before.at.saturating_add(before.len))
}

/// Fetches the shortest gaps too, as many as there are ranges too many.
fn bridge(ranges: &mut Vec<Range>) {
    let excess = ranges.len().saturating_sub(REQUESTS_MAX);
    let pairs = ranges.iter().zip(ranges.iter().skip(1));
    let mut gaps: Vec<(u64, usize)> =
        pairs.enumerate().map(|(index, (before, next))| (gap(before, next.at), index + 1)).collect();
    gaps.sort_unstable();
    let bridged: BTreeSet<usize> = gaps.iter().take(excess).map(|(_, index)| *index).collect();
    let mut kept: Vec<Range> = Vec::with_capacity(ranges.len());
    for (index, range) in ranges.iter().enumerate() {
        match kept.last_mut() {
            Some(last) if bridged.contains(&index) => {
                last.len = range.at.saturating_add(range.len).saturating_sub(last.at);
            }
            _ => kept.push(*range),
        }
    }
    *ranges = kept;
}
