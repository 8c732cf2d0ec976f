//! What of two images is unpacked before they are compared, and what is compared with what.
//!
//! In: both images, and tools that look at images, prove codecs and pair files. Out: the layers, both plain images, and
//! the new one cut into parts, each with the old bytes that it is likely made from. Refuses nothing: what cannot be packed
//! again byte for byte, or would cost a device more than its budget, stays packed.
//!
//! Packed bytes that both images hold stay packed: they are copied as they are. The others are unpacked, file by file: when
//! a block of a file has changed, all its blocks are unpacked on both sides, since predictions need the whole file. Each
//! layer is looked at once more, part by part, until nothing more can be unpacked.

mod alone;
mod choose;
mod lay;
mod parts;
mod scene;
mod spans;

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

use warden_model::ByteCount;

use crate::codec::{Hint, Proven, Prover};
use crate::layers::{LAYERS_MAX, Layers};
use crate::layout::{self, Layout};
use crate::pair::{Sketched, Sketcher, pair};

pub(crate) use alone::{Alone, plan_alone};
pub(crate) use spans::Candidate;

/// What a device can lend to unpacking and packing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Budget {
    /// The most memory that one packer or unpacker may take.
    pub(crate) memory_max: ByteCount,
    /// The longest stream that may be unpacked to scratch storage, and all of them.
    pub(crate) scratch_max: ByteCount,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            // What applying may take in all is 16 MiB, of which unpacked stretches take four.
            memory_max: ByteCount::mib(12),
            // A kernel or an initramfs; devices keep as much free where they store the patch.
            scratch_max: ByteCount::mib(256),
        }
    }
}

/// Finds old files (the second list) for new ones (the first): for each new file the index of an old one, or none.
pub(crate) type FindPartners<'t> =
    &'t mut dyn FnMut(&[Candidate<'_>], &[Candidate<'_>]) -> Vec<Option<usize>>;

/// Finds the codec that packs a stretch again, and unpacks it: its hint, its packed bytes, the most that it may unpack to.
pub(crate) type Prove<'t> = &'t mut dyn FnMut(Hint, &[u8], u64) -> Option<Proven>;

/// What planning needs from others.
pub(crate) struct Tools<'t> {
    /// Looks at an image.
    pub(crate) look: &'t mut dyn FnMut(&[u8]) -> Layout,
    /// Finds the codec of a stretch, and unpacks it.
    pub(crate) prove: Prove<'t>,
    /// Pairs files that have no namesake.
    pub(crate) pair: FindPartners<'t>,
}

/// Two images, unpacked and cut into parts.
#[derive(Debug)]
pub(crate) struct Planned<'a> {
    /// The layers between the images and their plain bytes.
    pub(crate) layers: Layers,
    /// The old plain bytes; borrowed where nothing is unpacked.
    pub(crate) old_plain: Cow<'a, [u8]>,
    /// The new plain bytes; borrowed where nothing is unpacked.
    pub(crate) new_plain: Cow<'a, [u8]>,
    /// The parts of the new plain bytes, in order, without gaps.
    pub(crate) parts: Vec<PlannedPart>,
}

/// A part of the new plain bytes: a changed file, a stretch of one, or everything that lies between changed files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedPart {
    /// Where it lies in the new plain bytes.
    pub(crate) new: Range<u64>,
    /// The path of the file; empty for what lies between files.
    pub(crate) path: String,
    /// What it holds of the file, in the coordinates of the new plain bytes: several stretches in a row where the image
    /// leaves out zeros between them. Empty for what lies between files.
    pub(crate) file: Vec<Extent>,
    /// The old file, whole, or the old bytes that lie where these lay; empty when there is no likely one.
    pub(crate) old: Vec<Extent>,
}

impl PlannedPart {
    /// Returns where in the file it begins: not 0 for the tail of a file that is stored elsewhere than its blocks.
    pub(crate) fn at(&self) -> u64 {
        self.file.first().map_or(0, |stretch| stretch.at)
    }
}

/// A stretch of a file in plain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Where it begins in the file. Between extents lie zeros that the image does not store. A file that is stored with
    /// short heads between its blocks counts them as its own.
    pub(crate) at: u64,
    /// Where it lies in the plain bytes.
    pub(crate) start: u64,
    /// How many bytes it has.
    pub(crate) len: u64,
}

impl Extent {
    fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// Returns what of it lies between two places of the file; its length may be 0.
    pub(crate) fn within(self, from: u64, to: u64) -> Self {
        let at = self.at.max(from);
        let end = self.at.saturating_add(self.len).min(to);
        let start = self.start.saturating_add(at.saturating_sub(self.at));
        Self { at, start, len: end.saturating_sub(at) }
    }
}

/// Returns what of a file lies around a stretch of it, with a margin on both sides, in bytes.
fn around(file: &[Extent], stretch: Extent, margin: u64) -> Vec<Extent> {
    let from = stretch.at.saturating_sub(margin);
    let to = stretch.at.saturating_add(stretch.len).saturating_add(margin);
    file.iter().map(|extent| extent.within(from, to)).filter(|extent| extent.len > 0).collect()
}

/// A stretch of the new plain bytes of which something is known.
#[derive(Debug, Clone)]
struct Item {
    new: Range<u64>,
    path: Rc<str>,
    /// What of the file it is: stretches in a row, without a gap.
    file: Rc<[Extent]>,
    old: Rc<[Extent]>,
    kind: Kind,
}

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It has changed; the extents are its old file.
    Changed,
    /// It has not, or it lies in too many places to be compared as a file; the extents are where the same bytes lie, or
    /// are likely to.
    Same,
}

/// Both images on their way to plain bytes.
struct State<'a> {
    old: Cow<'a, [u8]>,
    new: Cow<'a, [u8]>,
    layers: Layers,
    items: Vec<Item>,
}

impl<'a> Planned<'a> {
    /// Unpacks nothing: one part.
    pub(crate) fn flat(old: &'a [u8], new: &'a [u8]) -> Self {
        let (old_len, new_len) = (old.len() as u64, new.len() as u64);
        let whole = Extent { at: 0, start: 0, len: old_len };
        let part = PlannedPart {
            new: 0..new_len,
            path: String::new(),
            file: Vec::new(),
            old: (old_len > 0).then_some(whole).into_iter().collect(),
        };
        Self {
            layers: Layers::new(old_len, new_len),
            old_plain: Cow::Borrowed(old),
            new_plain: Cow::Borrowed(new),
            parts: (new_len > 0).then_some(part).into_iter().collect(),
        }
    }
}

/// Plans with the tools of this crate and the usual budget. An image that is handed over is dropped once it is unpacked.
pub(crate) fn plan<'a>(old: Cow<'a, [u8]>, new: Cow<'a, [u8]>) -> Planned<'a> {
    let mut prover = Prover::default();
    let mut tools = Tools {
        look: &mut layout::look,
        prove: &mut |hint, packed, plain_len_max| prover.prove(hint, packed, plain_len_max),
        pair: &mut by_content,
    };
    plan_with(old, new, &mut tools, &Budget::default())
}

fn by_content(new: &[Candidate<'_>], old: &[Candidate<'_>]) -> Vec<Option<usize>> {
    let [new, old] = [new, old].map(|files| files.iter().map(sketched).collect::<Vec<_>>());
    pair(&old, &new)
}

fn sketched<'a>(file: &Candidate<'a>) -> Sketched<'a> {
    let mut sketcher = Sketcher::new();
    file.read(&mut |bytes| sketcher.update(bytes));
    Sketched { path: file.path, len: file.len, sketch: sketcher.finish() }
}

/// Plans with given tools.
pub(crate) fn plan_with<'a>(
    old: Cow<'a, [u8]>,
    new: Cow<'a, [u8]>,
    tools: &mut Tools<'_>,
    budget: &Budget,
) -> Planned<'a> {
    let (old_len, new_len) = (old.len() as u64, new.len() as u64);
    let whole = Item {
        new: 0..new_len,
        path: Rc::from(""),
        file: Rc::from([Extent { at: 0, start: 0, len: new_len }]),
        old: (old_len > 0).then_some(Extent { at: 0, start: 0, len: old_len }).into_iter().collect(),
        kind: Kind::Changed,
    };
    let mut state = State { old, new, layers: Layers::new(old_len, new_len), items: vec![whole] };
    // One look more than there may be layers: the last one finds the files in what the last layer unpacked.
    for height in 0..=LAYERS_MAX {
        let budget = (height < LAYERS_MAX).then_some(budget);
        if !state.unpack(tools, budget) {
            break;
        }
    }
    let parts = parts::parts(&state.items, state.old.len() as u64, &state.new);
    Planned { layers: state.layers, old_plain: state.old, new_plain: state.new, parts }
}

impl State<'_> {
    /// Looks at what has changed, and lays a layer on top if something can be unpacked, and may be; says whether it did.
    fn unpack(&mut self, tools: &mut Tools<'_>, budget: Option<&Budget>) -> bool {
        let Some(scene) = scene::gather(&self.items, &self.old, &self.new, tools) else { return false };
        let mut choice = choose::choose(&scene, &self.old, &self.new, budget);
        let images: (&[u8], &[u8]) = (&self.old, &self.new);
        let laid = budget.and_then(|budget| lay::lay(&scene, &mut choice, images, tools.prove, budget));
        let laid = laid.unwrap_or_default();
        self.items = laid.items(&scene, &choice);
        let Some(layer) = laid.layer else { return false };
        if self.layers.push(layer).is_err() {
            return false;
        }
        for (side, plain) in [(&mut self.old, laid.old.bytes), (&mut self.new, laid.new.bytes)] {
            if let Some(plain) = plain {
                *side = Cow::Owned(plain);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
