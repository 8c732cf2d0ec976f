//! Which packed stretches are to be unpacked.
//!
//! In: both sides of a layer. Out: for each stretch, its class (stretches of the same packed bytes are one class, on both
//! sides) and whether the class is wanted; for each pair of files, whether it has changed. A class is unpacked on both
//! sides or on none: a stretch that is packed here and unpacked there could not be copied.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::scene::{Pair, Scene};
use super::spans::{Place, Reader, Span, slice};
use super::{Budget, Kind};
use crate::codec::{Hint, unpack_memory};
use crate::layers::{STRETCHES_MAX, WHOLE_BYTES_MAX};
use crate::layout::Packed;

/// Stretches of the same packed bytes.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) hint: Hint,
    /// The first stretch of the old side.
    pub(super) old: Option<usize>,
    /// Whether the new side has one.
    pub(super) in_new: bool,
    /// Whether it is to be unpacked.
    pub(super) wanted: bool,
    plain_len_max: u64,
}

impl Class {
    /// Says whether its packed bytes are nowhere on the old side.
    fn is_new(&self) -> bool {
        self.in_new && self.old.is_none()
    }
}

/// What is to be unpacked.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) classes: Vec<Class>,
    /// The class of each old stretch.
    pub(super) old: Vec<usize>,
    /// The class of each new stretch.
    pub(super) new: Vec<usize>,
    /// What is known of each pair.
    pub(super) kinds: Vec<Kind>,
}

/// Chooses within a budget; without one, nothing.
pub(super) fn choose(scene: &Scene, old: &[u8], new: &[u8], budget: Option<&Budget>) -> Choice {
    let mut choice = classified(scene, old, new);
    let mut readers = (Reader::new(old, &scene.old), Reader::new(new, &scene.new));
    choice.kinds =
        scene.pairs.iter().map(|pair| pair.kind.unwrap_or_else(|| choice.kind(pair, &mut readers))).collect();
    if let Some(budget) = budget {
        choice.want(scene, budget);
    }
    choice
}

/// Chooses whatever a budget allows, of an image that stands on both sides; without a budget, nothing.
pub(super) fn all(scene: &Scene, image: &[u8], budget: Option<&Budget>) -> Choice {
    let mut choice = classified(scene, image, image);
    choice.kinds = scene.pairs.iter().map(|pair| pair.kind.unwrap_or(Kind::Changed)).collect();
    if let Some(budget) = budget {
        choice.mark(0..choice.classes.len(), budget);
        let count = choice.new.iter().filter(|class| choice.is_wanted(**class)).count();
        if count > STRETCHES_MAX {
            choice.leave_packed(0..choice.classes.len());
        }
    }
    choice
}

fn classified(scene: &Scene, old: &[u8], new: &[u8]) -> Choice {
    let mut classes: Vec<Class> = Vec::new();
    let mut by_digest: BTreeMap<[u8; 32], usize> = BTreeMap::new();
    let mut class_of = |one: &Packed, image: &[u8]| {
        let digest = Sha256::digest(slice(image, one.start, one.len).unwrap_or_default());
        let index = *by_digest.entry(digest.into()).or_insert(classes.len());
        if index == classes.len() {
            let (hint, plain_len_max) = (one.hint, one.plain_len_max);
            classes.push(Class { hint, old: None, in_new: false, wanted: false, plain_len_max });
        }
        index
    };
    let old_classes: Vec<usize> = scene.old.iter().map(|one| class_of(one, old)).collect();
    let new_classes: Vec<usize> = scene.new.iter().map(|one| class_of(one, new)).collect();
    for (index, class) in old_classes.iter().enumerate() {
        if let Some(class) = classes.get_mut(*class) {
            class.old.get_or_insert(index);
        }
    }
    for class in &new_classes {
        if let Some(class) = classes.get_mut(*class) {
            class.in_new = true;
        }
    }
    Choice { classes, old: old_classes, new: new_classes, kinds: Vec::new() }
}

impl Choice {
    /// Returns the classes of the stretches in which spans of a new file lie.
    pub(super) fn of_new(&self, spans: &[Span]) -> impl Iterator<Item = usize> {
        classes_of(&self.new, spans)
    }

    fn is_new(&self, class: usize) -> bool {
        self.classes.get(class).is_some_and(Class::is_new)
    }

    /// Finds out whether a new file has changed.
    fn kind(&self, pair: &Pair, (old, new): &mut (Reader<'_>, Reader<'_>)) -> Kind {
        let Some(old_spans) = &pair.old else { return Kind::Changed };
        let same = self.is_same((old, old_spans), (new, &pair.new));
        if same { Kind::Same } else { Kind::Changed }
    }

    /// Compares files span by span. Spans of one place in one class are equal without a look.
    fn is_same(
        &self,
        (old, old_spans): (&mut Reader<'_>, &[Span]),
        (new, new_spans): (&mut Reader<'_>, &[Span]),
    ) -> bool {
        let (mut olds, mut news) = (old_spans.iter().copied(), new_spans.iter().copied());
        let (mut one, mut other) = (olds.next(), news.next());
        loop {
            let (a, b) = match (one, other) {
                (None, None) => return true,
                (Some(a), Some(b)) if a.at == b.at => (a, b),
                _ => return false,
            };
            let len = a.len.min(b.len);
            let (head_a, head_b) = (Span { len, ..a }, Span { len, ..b });
            if !self.is_one_place(head_a.place, head_b.place) {
                let (Some(a), Some(b)) = (old.bytes(&head_a), new.bytes(&head_b)) else { return false };
                if a != b {
                    return false;
                }
            }
            one = behind(a, len).or_else(|| olds.next());
            other = behind(b, len).or_else(|| news.next());
        }
    }

    fn is_one_place(&self, old: Place, new: Place) -> bool {
        let (Place::Packed { index: a, skip: skip_a }, Place::Packed { index: b, skip: skip_b }) = (old, new)
        else {
            return false;
        };
        skip_a == skip_b && self.old.get(a).is_some_and(|class| Some(class) == self.new.get(b))
    }

    /// Marks what is wanted.
    fn want(&mut self, scene: &Scene, budget: &Budget) {
        let news: Vec<usize> = (0..self.classes.len()).filter(|class| self.is_new(*class)).collect();
        self.mark(news, budget);
        for (pair, kind) in scene.pairs.iter().zip(self.kinds.clone()) {
            let wanted = match (pair.kind, kind, &pair.old) {
                (None, Kind::Changed, Some(old)) => {
                    classes_of(&self.new, &pair.new).chain(classes_of(&self.old, old)).collect()
                }
                (None, Kind::Same, Some(_)) => self.counterparts(pair),
                _ => Vec::new(),
            };
            self.mark(wanted, budget);
        }
        for (pair, kind) in scene.pairs.iter().zip(self.kinds.clone()) {
            // Without its old file, a new one is as well off packed.
            if kind == Kind::Changed && self.is_out_of_reach(pair.old.as_deref().unwrap_or_default()) {
                let new: Vec<usize> = classes_of(&self.new, &pair.new).collect();
                self.leave_packed(new);
            }
        }
        let count = |side: &[usize]| side.iter().filter(|class| self.is_wanted(**class)).count();
        if count(&self.old) > STRETCHES_MAX || count(&self.new) > STRETCHES_MAX {
            self.leave_packed(0..self.classes.len());
        }
    }

    /// Returns the classes from which the spans of an unchanged file can be copied that lie in new classes: a file whose
    /// neighbour in a block of many files has changed.
    pub(super) fn counterparts(&self, pair: &Pair) -> Vec<usize> {
        let in_new =
            |span: &&Span| classes_of(&self.new, std::slice::from_ref(*span)).any(|class| self.is_new(class));
        let old = pair.old.as_deref().unwrap_or_default();
        let mut classes = Vec::new();
        for span in pair.new.iter().filter(in_new) {
            classes.extend(classes_of(&self.old, overlapping(old, span)));
        }
        classes
    }

    fn mark(&mut self, classes: impl IntoIterator<Item = usize>, budget: &Budget) {
        for class in classes {
            if let Some(class) = self.classes.get_mut(class) {
                class.wanted = class.is_affordable(budget);
            }
        }
    }

    /// Says whether an old file is packed and stays so.
    fn is_out_of_reach(&self, old: &[Span]) -> bool {
        let is_raw = |span: &Span| matches!(span.place, Place::Raw { .. });
        !old.is_empty()
            && !old.iter().any(is_raw)
            && !classes_of(&self.old, old).any(|class| self.is_wanted(class))
    }

    fn leave_packed(&mut self, classes: impl IntoIterator<Item = usize>) {
        for class in classes {
            if let Some(class) = self.classes.get_mut(class) {
                class.wanted = false;
            }
        }
    }

    pub(super) fn is_wanted(&self, class: usize) -> bool {
        self.classes.get(class).is_some_and(|class| class.wanted)
    }
}

impl Class {
    fn is_affordable(&self, budget: &Budget) -> bool {
        let is_short = self.plain_len_max <= u64::from(WHOLE_BYTES_MAX);
        let fits = is_short || self.old.is_none() || self.plain_len_max <= budget.scratch_max.0;
        fits && unpack_memory(self.hint, self.plain_len_max) <= budget.memory_max.0
    }
}

/// Returns what follows the first `len` bytes of a span.
fn behind(span: Span, len: u64) -> Option<Span> {
    let left = span.len.saturating_sub(len);
    let place = match span.place {
        Place::Raw { start } => Place::Raw { start: start.saturating_add(len) },
        Place::Packed { index, skip } => Place::Packed { index, skip: skip.saturating_add(len) },
    };
    (left > 0).then(|| Span { at: span.at.saturating_add(len), len: left, place })
}

/// Returns the classes of the stretches in which spans lie.
pub(super) fn classes_of(side: &[usize], spans: &[Span]) -> impl Iterator<Item = usize> {
    spans.iter().filter_map(|span| match span.place {
        Place::Packed { index, .. } => side.get(index).copied(),
        Place::Raw { .. } => None,
    })
}

/// Returns the spans of an old file that overlap a span of the new one.
pub(super) fn overlapping<'s>(old: &'s [Span], new: &Span) -> &'s [Span] {
    let first = old.partition_point(|span| span.end() <= new.at);
    let behind = old.partition_point(|span| span.at < new.end());
    old.get(first..behind).unwrap_or_default()
}
