//! What stands on both sides of a layer: packed stretches, and pairs of files.
//!
//! In: what is known of the plain bytes so far, and a tool that looks at images. Out: a [`Scene`], in the coordinates of
//! these bytes, or the news that nothing new is seen. Each changed file is looked at as an image of its own, together with
//! its old file: containers in containers are paired that way, and what one parser took for a file is whole for the next.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::spans::{Place, Span, slice, spans};
use super::{Candidate, Extent, FindPartners, Item, Kind, Tools};
use crate::layout::{File, Layout, Packed, Piece};

/// The shortest file that is looked at, in bytes: nothing packed that is worth a line in a table is shorter.
const LOOKED_BYTES_MIN: u64 = 64;

/// Both sides of a layer.
#[derive(Debug, Default)]
pub(super) struct Scene {
    /// The packed stretches of the old side, by start, disjoint.
    pub(super) old: Vec<Packed>,
    /// The packed stretches of the new side, by start, disjoint.
    pub(super) new: Vec<Packed>,
    /// The new files, each with its old one.
    pub(super) pairs: Vec<Pair>,
}

/// A new file and its old one.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) path: Rc<str>,
    pub(super) new: Vec<Span>,
    /// `None` when no old file is likely.
    pub(super) old: Option<Vec<Span>>,
    /// What is known already: `None` for files that were just found.
    pub(super) kind: Option<Kind>,
}

/// A layout, moved to where its image lies.
struct Side {
    packed: Vec<Packed>,
    files: Vec<(String, Vec<Span>)>,
}

/// Looks at all changed files; `None` when none of them is more than a file.
pub(super) fn gather(items: &[Item], old: &[u8], new: &[u8], tools: &mut Tools<'_>) -> Option<Scene> {
    let mut scene = Scene::default();
    let mut seen = false;
    for item in items {
        let found = looked_into(item, old, new, tools);
        seen |= found.is_some();
        match found {
            Some((old_side, new_side)) => scene.add(item, (old, old_side), (new, new_side), &mut tools.pair),
            None => scene.pairs.push(kept(item)),
        }
    }
    scene.settle();
    seen.then_some(scene)
}

/// Looks at a changed file and its old one; `None` when there is nothing to see.
fn looked_into(item: &Item, old: &[u8], new: &[u8], tools: &mut Tools<'_>) -> Option<(Side, Side)> {
    let len = item.new.end.saturating_sub(item.new.start);
    let whole = item.kind == Kind::Changed
        && matches!(item.file.as_ref(), [Extent { at: 0, .. }])
        && item.old.len() <= 1;
    if !whole || len < LOOKED_BYTES_MIN {
        return None;
    }
    let new_layout = (tools.look)(slice(new, item.new.start, len)?);
    let old_extent = item.old.first().copied().unwrap_or(Extent { at: 0, start: 0, len: 0 });
    let old_layout = (tools.look)(slice(old, old_extent.start, old_extent.len)?);
    // Something must be packed on a side, or there must be files on both, and more than a file.
    let files = !new_layout.files.is_empty() && !old_layout.files.is_empty();
    let files = files && (new_layout.files.len() > 1 || old_layout.files.len() > 1);
    if new_layout.packed.is_empty() && old_layout.packed.is_empty() && !files {
        return None;
    }
    Some((
        Side::new(old_layout, old_extent.start, old_extent.len),
        Side::new(new_layout, item.new.start, len),
    ))
}

/// Returns an item as a pair, unchanged.
fn kept(item: &Item) -> Pair {
    let raw =
        |extent: &Extent| Span { at: extent.at, len: extent.len, place: Place::Raw { start: extent.start } };
    Pair {
        path: Rc::clone(&item.path),
        new: item.file.iter().map(raw).collect(),
        old: (!item.old.is_empty()).then(|| item.old.iter().map(raw).collect()),
        kind: Some(item.kind),
    }
}

impl Side {
    fn new(mut layout: Layout, start: u64, len: u64) -> Self {
        name_the_nameless(&mut layout);
        let mut files = Vec::with_capacity(layout.files.len());
        for file in layout.files {
            let mut spans = spans(&file, &layout.packed, len);
            for span in &mut spans {
                if let Place::Raw { start: at } = &mut span.place {
                    *at = at.saturating_add(start);
                }
            }
            files.push((file.path, spans));
        }
        if files.is_empty() {
            // Nothing is known of it but that it is there.
            files.push((String::new(), vec![Span { at: 0, len, place: Place::Raw { start } }]));
        }
        let inside = |one: &Packed| one.start.checked_add(one.len).is_some_and(|end| end <= len);
        let moved = |one: Packed| {
            // A stretch outside of its image stays in the list, so that places in it hold; nothing unpacks it.
            let len = if inside(&one) { one.len } else { 0 };
            Packed { start: one.start.saturating_add(start), len, ..one }
        };
        Self { packed: layout.packed.into_iter().map(moved).collect(), files }
    }
}

/// Makes a file of each stretch that belongs to none, so that it is paired.
fn name_the_nameless(layout: &mut Layout) {
    let mut named = vec![false; layout.packed.len()];
    for piece in layout.files.iter().flat_map(|file| &file.pieces) {
        if let Piece::InPacked { index, .. } = piece
            && let Some(named) = named.get_mut(*index)
        {
            *named = true;
        }
    }
    let nameless = named.iter().enumerate().filter(|(_, named)| !**named).map(|(index, _)| index);
    for (number, index) in nameless.enumerate() {
        let len = layout.packed.get(index).map_or(0, |one| one.plain_len_max);
        let pieces = vec![Piece::InPacked { index, skip: 0, len }];
        layout.files.push(File { path: format!("<packed {number}>"), pieces });
    }
}

impl Scene {
    /// Adds what was seen in a file and in its old one.
    fn add(
        &mut self,
        item: &Item,
        (old, old_side): (&[u8], Side),
        (new, new_side): (&[u8], Side),
        pair: &mut FindPartners<'_>,
    ) {
        let partners = partners((old, &old_side), (new, &new_side), pair);
        let (old_base, new_base) = (self.old.len(), self.new.len());
        let based = |spans: &[Span], base: usize| {
            let moved = |span: &Span| match span.place {
                Place::Packed { index, skip } => {
                    Span { place: Place::Packed { index: index.saturating_add(base), skip }, ..*span }
                }
                Place::Raw { .. } => *span,
            };
            spans.iter().map(moved).collect::<Vec<_>>()
        };
        for ((path, spans), partner) in new_side.files.iter().zip(partners) {
            let partner = partner.and_then(|index| old_side.files.get(index));
            let path = match (item.path.as_ref(), path.as_str()) {
                ("", path) | (path, "") => Rc::from(path),
                (outer, inner) => Rc::from(format!("{outer}/{inner}")),
            };
            let old = partner.map(|(_, spans)| based(spans, old_base));
            self.pairs.push(Pair { path, new: based(spans, new_base), old, kind: None });
        }
        self.old.extend(old_side.packed);
        self.new.extend(new_side.packed);
    }

    /// Sorts the stretches of both sides, drops what overlaps, and lets the spans follow.
    fn settle(&mut self) {
        let old_moved = settle(&mut self.old);
        let new_moved = settle(&mut self.new);
        for pair in &mut self.pairs {
            follow(&mut pair.new, &new_moved);
            if let Some(old) = &mut pair.old {
                follow(old, &old_moved);
            }
        }
    }
}

/// Sorts stretches and drops those that overlap one before; returns where each went.
fn settle(packed: &mut Vec<Packed>) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..packed.len()).collect();
    order.sort_by_key(|index| packed.get(*index).map(|one| one.start));
    let mut kept: Vec<Packed> = Vec::with_capacity(packed.len());
    let mut moved = vec![None; packed.len()];
    for index in order {
        let (Some(one), Some(place)) = (packed.get(index), moved.get_mut(index)) else { continue };
        let end_before = kept.last().map_or(0, |last| last.start.saturating_add(last.len));
        // An old file may be the partner of two new ones: its stretches are seen twice.
        let again = kept.last().is_some_and(|last| last == one);
        if !again && (one.len == 0 || one.start < end_before) {
            continue;
        }
        if !again {
            kept.push(*one);
        }
        *place = kept.len().checked_sub(1);
    }
    *packed = kept;
    moved
}

/// Gives spans the new places of their stretches; drops those whose stretch is gone.
fn follow(spans: &mut Vec<Span>, moved: &[Option<usize>]) {
    spans.retain_mut(|span| match &mut span.place {
        Place::Raw { .. } => true,
        Place::Packed { index, .. } => match moved.get(*index).copied().flatten() {
            Some(place) => {
                *index = place;
                true
            }
            None => false,
        },
    });
}

/// Returns the partner of each new file: the old one of the same path, else whatever `pair` finds, else the whole old
/// image if nothing is known of its files.
fn partners(
    (old, old_side): (&[u8], &Side),
    (new, new_side): (&[u8], &Side),
    pair: &mut FindPartners<'_>,
) -> Vec<Option<usize>> {
    if let ([(_, _)], true) =
        (old_side.files.as_slice(), old_side.packed.is_empty() || new_side.files.len() == 1)
    {
        return vec![Some(0); new_side.files.len()];
    }
    let mut by_path = BTreeMap::new();
    for (index, (path, _)) in old_side.files.iter().enumerate() {
        by_path.entry(path.as_str()).or_insert(index);
    }
    let mut partners: Vec<Option<usize>> =
        new_side.files.iter().map(|(path, _)| by_path.get(path.as_str()).copied()).collect();
    let mut taken = vec![false; old_side.files.len()];
    for partner in partners.iter().flatten() {
        if let Some(taken) = taken.get_mut(*partner) {
            *taken = true;
        }
    }
    let unpaired = |side: &Side, is_paired: &dyn Fn(usize) -> bool| -> Vec<usize> {
        (0..side.files.len()).filter(|index| !is_paired(*index)).collect()
    };
    let new_left = unpaired(new_side, &|index| partners.get(index).is_some_and(Option::is_some));
    let old_left = unpaired(old_side, &|index| taken.get(index).is_some_and(|taken| *taken));
    if new_left.is_empty() || old_left.is_empty() {
        return partners;
    }
    let found = pair(&candidates(new_side, new, &new_left), &candidates(old_side, old, &old_left));
    for (index, partner) in new_left.iter().zip(found) {
        if let Some(place) = partners.get_mut(*index) {
            *place = partner.and_then(|partner| old_left.get(partner).copied());
        }
    }
    partners
}

fn candidates<'a>(side: &'a Side, image: &'a [u8], which: &[usize]) -> Vec<Candidate<'a>> {
    let files = which.iter().filter_map(|index| side.files.get(*index));
    let candidate = |(path, spans): &'a (String, Vec<Span>)| {
        let len = spans.last().map_or(0, Span::end);
        Candidate { path, len, spans, image, packed: &side.packed }
    };
    files.map(candidate).collect()
}
