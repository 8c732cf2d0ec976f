//! Unpacks what was chosen, on both sides.
//!
//! In: both sides of a layer and what is chosen of them. Out: the layer, both plain spaces, and what is known of the new
//! one. What cannot be packed again stays packed, on both sides.

use std::ops::Range;
use std::rc::Rc;

use super::choose::{Choice, classes_of, overlapping};
use super::scene::{Pair, Scene};
use super::spans::{Place, Span, slice};
use super::{Budget, Extent, Item, Kind, Prove, around};
use crate::codec::{Codec, Proven};
use crate::layers::{Layer, LayerBuilder, unpack_onto};
use crate::layout::Packed;

/// The longest head between two blocks of a file that becomes a part of the file, in bytes: 2 before a block of metadata
/// of SquashFS, some 50 before a node of UBIFS, 68 before one of JFFS2.
const HEAD_BYTES_MAX: u64 = 128;

/// How many stretches a file may lie in for each to be compared with the whole old file: what follows is the directories of
/// ext4, which lie in hundreds.
const STRETCHES_OF_FILE_MAX: usize = 8;

/// The shortest stretch of a file in more places than that for which it is worth it, in bytes.
const SCATTERED_BYTES_MIN: u64 = 64 << 10;

/// Both sides, unpacked.
#[derive(Debug, Default)]
pub(super) struct Laid {
    /// `None` when nothing is unpacked.
    pub(super) layer: Option<Layer>,
    pub(super) old: Plain,
    pub(super) new: Plain,
}

/// The plain space of a side.
#[derive(Debug, Default)]
pub(super) struct Plain {
    /// `None` when nothing of this side is unpacked.
    pub(super) bytes: Option<Vec<u8>>,
    /// What is unpacked, by start.
    unpacked: Vec<Unpacked>,
}

/// A stretch that is unpacked.
#[derive(Debug, Clone, Copy)]
struct Unpacked {
    /// Which stretch of the side it is.
    index: usize,
    start: u64,
    end: u64,
    plain_start: u64,
    plain_end: u64,
}

/// Unpacks; `None` when the layer would exceed a limit. Codecs that take more than the budget count as none.
pub(super) fn lay(
    scene: &Scene,
    choice: &mut Choice,
    (old, new): (&[u8], &[u8]),
    prove: Prove<'_>,
    budget: &Budget,
) -> Option<Laid> {
    let mut builder = LayerBuilder::default();
    let mut news = Laying::new(new);
    let mut proofs = vec![Proof::Open; choice.classes.len()];
    for (index, one) in scene.new.iter().enumerate() {
        let Some(class) = choice.new.get(index).copied().filter(|class| choice.is_wanted(*class)) else {
            continue;
        };
        let Some(proof) = proofs.get_mut(class) else { continue };
        if !news.prove(index, one, proof, prove, budget, &mut builder) {
            *proof = Proof::Failed;
        }
    }
    give_up(scene, choice, &proofs);

    let mut olds = Laying::new(old);
    for (index, one) in scene.old.iter().enumerate() {
        if choice.old.get(index).is_some_and(|class| choice.is_wanted(*class)) {
            olds.unpack(index, one, &mut builder);
        }
    }
    if news.unpacked.is_empty() && olds.unpacked.is_empty() {
        return Some(Laid::default());
    }
    let tail = (new.len() as u64).saturating_sub(news.stretch_end());
    let layer = builder.finish(old.len() as u64, tail).ok()?;
    let fits = layer.scratch_bytes() <= budget.scratch_max.0;
    fits.then(|| Laid { layer: Some(layer), old: olds.finish(), new: news.finish() })
}

/// What is known of the packing of a class.
#[derive(Debug, Clone)]
enum Proof {
    Open,
    Known(Codec),
    Failed,
}

/// Leaves packed on the old side what is packed on the new one, and what nothing unpacked is compared with.
fn give_up(scene: &Scene, choice: &mut Choice, proofs: &[Proof]) {
    for (class, proof) in choice.classes.iter_mut().zip(proofs) {
        class.wanted &= !matches!(proof, Proof::Failed);
    }
    let mut needed = vec![false; choice.classes.len()];
    let mut need = |class: usize| {
        if let Some(needed) = needed.get_mut(class) {
            *needed = true;
        }
    };
    for (pair, kind) in scene.pairs.iter().zip(&choice.kinds) {
        let Some(old) = &pair.old else { continue };
        match kind {
            Kind::Changed => {
                let mut classes = choice.of_new(&pair.new).peekable();
                if classes.peek().is_none() || classes.any(|class| choice.is_wanted(class)) {
                    classes_of(&choice.old, old).for_each(&mut need);
                }
            }
            Kind::Same => choice.counterparts(pair).into_iter().for_each(&mut need),
        }
    }
    for (class, needed) in choice.classes.iter_mut().zip(needed) {
        class.wanted &= class.in_new || needed;
    }
}

/// A side that is being unpacked. Bytes are copied once something is unpacked, not before.
struct Laying<'a> {
    image: &'a [u8],
    plain: Vec<u8>,
    /// How much of the image is copied or unpacked.
    done: u64,
    unpacked: Vec<Unpacked>,
}

impl<'a> Laying<'a> {
    fn new(image: &'a [u8]) -> Self {
        Self { image, plain: Vec::new(), done: 0, unpacked: Vec::new() }
    }

    /// Unpacks a stretch of the new side and finds its codec; says whether there is one.
    fn prove(
        &mut self,
        index: usize,
        one: &Packed,
        proof: &mut Proof,
        prove: Prove<'_>,
        budget: &Budget,
        builder: &mut LayerBuilder,
    ) -> bool {
        let gap = one.start.saturating_sub(self.stretch_end());
        let Some(packed) = slice(self.image, one.start, one.len) else { return false };
        let codec = match proof {
            Proof::Failed => return false,
            Proof::Known(codec) => codec.clone(),
            Proof::Open => {
                let proven = prove(one.hint, packed, one.plain_len_max);
                let affordable =
                    |proven: &Proven| proven.codec.memory(proven.plain.len() as u64) <= budget.memory_max;
                let Some(proven) = proven.filter(affordable) else { return false };
                let plain_len = proven.plain.len() as u64;
                if builder.push_new(gap, plain_len, proven.codec.clone()).is_err() {
                    return false;
                }
                self.copy_to(one.start);
                self.plain.extend_from_slice(&proven.plain);
                self.note(index, one, plain_len);
                *proof = Proof::Known(proven.codec);
                return true;
            }
        };
        // The same packed bytes as before: no need to prove it twice.
        self.copy_to(one.start);
        let Some(plain_len) = unpack_onto(one.hint, packed, one.plain_len_max, &mut self.plain) else {
            return true;
        };
        if builder.push_new(gap, plain_len, codec).is_err() {
            self.plain.truncate(self.plain.len().saturating_sub(usize::try_from(plain_len).unwrap_or(0)));
            return true;
        }
        self.note(index, one, plain_len);
        true
    }

    /// Unpacks a stretch of the old side; leaves it packed if it cannot be.
    fn unpack(&mut self, index: usize, one: &Packed, builder: &mut LayerBuilder) {
        let gap = one.start.saturating_sub(self.stretch_end());
        let Some(packed) = slice(self.image, one.start, one.len) else { return };
        self.copy_to(one.start);
        let before = self.plain.len();
        let plain_len = unpack_onto(one.hint, packed, one.plain_len_max, &mut self.plain);
        let Some(plain_len) = plain_len else { return };
        if builder.push_old(gap, one.len, plain_len, one.hint).is_err() {
            self.plain.truncate(before);
            return;
        }
        self.note(index, one, plain_len);
    }

    /// Returns where in the image the last unpacked stretch ends.
    fn stretch_end(&self) -> u64 {
        self.unpacked.last().map_or(0, |last| last.end)
    }

    /// Copies the image up to a place.
    fn copy_to(&mut self, end: u64) {
        let raw = slice(self.image, self.done, end.saturating_sub(self.done));
        self.plain.extend_from_slice(raw.unwrap_or_default());
        self.done = end;
    }

    /// Notes what stands at the end of the plain bytes.
    fn note(&mut self, index: usize, one: &Packed, plain_len: u64) {
        let plain_end = self.plain.len() as u64;
        let plain_start = plain_end.saturating_sub(plain_len);
        let end = one.start.saturating_add(one.len);
        self.unpacked.push(Unpacked { index, start: one.start, end, plain_start, plain_end });
        self.done = end;
    }

    fn finish(mut self) -> Plain {
        if self.unpacked.is_empty() {
            return Plain::default();
        }
        self.copy_to(self.image.len() as u64);
        Plain { bytes: Some(self.plain), unpacked: self.unpacked }
    }
}

impl Plain {
    /// Returns where a place outside of all unpacked stretches lies now; inside of one, where that begins.
    fn raw(&self, at: u64) -> u64 {
        let before = self.unpacked.partition_point(|one| one.start <= at);
        let Some(one) = before.checked_sub(1).and_then(|index| self.unpacked.get(index)) else { return at };
        at.checked_sub(one.end).map_or(one.plain_start, |behind| one.plain_end.saturating_add(behind))
    }

    fn unpacked(&self, index: usize) -> Option<&Unpacked> {
        let place = self.unpacked.binary_search_by_key(&index, |one| one.index).ok()?;
        self.unpacked.get(place)
    }

    /// Returns where the bytes of a span lie now; `None` when they are still packed.
    fn range(&self, span: &Span) -> Option<Range<u64>> {
        let range = match span.place {
            Place::Raw { start } => self.raw(start)..self.raw(start.saturating_add(span.len)),
            Place::Packed { index, skip } => {
                let one = self.unpacked(index)?;
                let start = one.plain_start.saturating_add(skip);
                start..start.saturating_add(span.len).min(one.plain_end)
            }
        };
        (range.start < range.end).then_some(range)
    }

    /// Returns where the bytes of spans lie now; neighbours are joined, with up to `between_max` bytes between them.
    fn extents(&self, spans: &[Span], between_max: u64) -> Vec<Extent> {
        let mut extents: Vec<Extent> = Vec::with_capacity(spans.len());
        // What was between those that are joined moves the rest of the file, as does what a raw span held packed.
        let mut moved = 0_u64;
        for span in spans {
            let Some(range) = self.range(span) else { continue };
            let len = range.end.saturating_sub(range.start);
            let at = span.at.saturating_add(moved);
            let between = extents.last().and_then(|last| range.start.checked_sub(last.end()));
            match (extents.last_mut(), between) {
                (Some(last), Some(between))
                    if between <= between_max && last.at.saturating_add(last.len) == at =>
                {
                    last.len = range.end.saturating_sub(last.start);
                    moved = moved.saturating_add(between);
                }
                _ => extents.push(Extent { at, start: range.start, len }),
            }
            moved = moved.saturating_add(len.saturating_sub(span.len));
        }
        extents
    }
}

impl Laid {
    /// Returns what is known of the new plain space, by start, disjoint.
    pub(super) fn items(&self, scene: &Scene, choice: &Choice) -> Vec<Item> {
        let mut items = self.shared(scene, choice);
        for (pair, kind) in scene.pairs.iter().zip(&choice.kinds) {
            match (pair.kind, kind) {
                (None, Kind::Same) => self.same(pair, &mut items),
                (None, Kind::Changed) | (Some(_), _) => self.whole(pair, *kind, &mut items),
            }
        }
        items.sort_by_key(|item| (item.new.start, item.new.end));
        // Files may share bytes (hard links, blocks found twice): the first one has them.
        let mut end = 0;
        items.retain(|item| {
            let free = item.new.start >= end;
            end = if free { item.new.end } else { end };
            free
        });
        items
    }

    /// Lists what stays packed on both sides.
    fn shared(&self, scene: &Scene, choice: &Choice) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        let path: Rc<str> = Rc::from("");
        for (index, (one, class)) in scene.new.iter().zip(&choice.new).enumerate() {
            let old = choice.classes.get(*class).and_then(|class| class.old);
            let old = old.filter(|old| self.old.unpacked(*old).is_none());
            let Some(old) = old.and_then(|old| scene.old.get(old)) else { continue };
            if self.new.unpacked(index).is_some() {
                continue;
            }
            let (start, len) = (self.new.raw(one.start), one.len);
            let new = start..start.saturating_add(len);
            let extent = Extent { at: 0, start: self.old.raw(old.start), len };
            if let Some(last) = items.last_mut()
                && let [before] = last.old.as_ref()
                && (last.new.end, before.end()) == (new.start, extent.start)
            {
                let joined = Extent { len: before.len.saturating_add(len), ..*before };
                last.file = Rc::from([Extent { start: last.new.start, ..joined }]);
                last.new.end = new.end;
                last.old = Rc::from([joined]);
                continue;
            }
            items.push(Item {
                new,
                path: Rc::clone(&path),
                file: Rc::from([Extent { at: 0, start, len }]),
                old: Rc::from([extent]),
                kind: Kind::Same,
            });
        }
        items
    }

    /// Lists an unchanged file: each stretch with the same bytes of the old side.
    fn same(&self, pair: &Pair, items: &mut Vec<Item>) {
        let old = pair.old.as_deref().unwrap_or_default();
        for extent in self.new.extents(&pair.new, 0) {
            let span = Span { at: extent.at, len: extent.len, place: Place::Raw { start: 0 } };
            let olds = around(&self.old.extents(overlapping(old, &span), 0), extent, 0);
            items.push(Item {
                new: extent.start..extent.end(),
                path: Rc::clone(&pair.path),
                file: Rc::from([extent]),
                old: Rc::from(olds),
                kind: Kind::Same,
            });
        }
    }

    /// Lists a file: each stretch with the whole old file, unless there are many short ones.
    fn whole(&self, pair: &Pair, kind: Kind, items: &mut Vec<Item>) {
        let old = self.old.extents(pair.old.as_deref().unwrap_or_default(), HEAD_BYTES_MAX);
        let old: Rc<[Extent]> = Rc::from(old);
        let extents = self.new.extents(&pair.new, HEAD_BYTES_MAX);
        let is_scattered = extents.chunk_by(is_in_row).count() > STRETCHES_OF_FILE_MAX;
        for row in extents.chunk_by(is_in_row) {
            let ([first, ..], [.., last]) = (row, row) else { continue };
            let new = first.start..last.end();
            let (old, kind) = if is_scattered && new.end.saturating_sub(new.start) < SCATTERED_BYTES_MIN {
                let near = row.iter().flat_map(|extent| around(&old, *extent, SCATTERED_BYTES_MIN));
                (near.collect(), Kind::Same)
            } else {
                (Rc::clone(&old), kind)
            };
            items.push(Item { new, path: Rc::clone(&pair.path), file: Rc::from(row), old, kind });
        }
    }
}

/// Says whether a stretch of a file is followed by the next one, with nothing between them but zeros that the image does
/// not store.
fn is_in_row(one: &Extent, next: &Extent) -> bool {
    one.end() == next.start && one.at.saturating_add(one.len) <= next.at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_spans_that_hold_an_unpacked_stretch_move_what_follows() {
        let unpacked = vec![Unpacked { index: 0, start: 10, end: 20, plain_start: 10, plain_end: 1000 }];
        let plain = Plain { bytes: None, unpacked };
        let span = |at, start, len| Span { at, len, place: Place::Raw { start } };
        assert_eq!(
            plain.extents(&[span(0, 0, 30), span(30, 500, 5)], 0),
            [Extent { at: 0, start: 0, len: 1010 }, Extent { at: 1010, start: 1480, len: 5 }]
        );
    }
}
