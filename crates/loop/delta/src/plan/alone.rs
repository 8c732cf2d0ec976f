//! What of one image is unpacked, when it is not known what it will be compared with.
//!
//! In: an image, and tools that look at images and prove codecs. Out: its layers, the same on both sides, so that they serve
//! who has the image and who makes it; the plain image; where in it files begin, and which hold code. Refuses nothing: what cannot be
//! packed again byte for byte, or would cost a device more than its budget, stays packed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use warden_patch::predict::Arch;

use super::spans::slice;
use super::{Budget, Extent, Item, Kind, Tools, choose, lay, scene};
use crate::codec::Prover;
use crate::detect;
use crate::layers::{LAYERS_MAX, Layers};
use crate::layout;

/// An image, unpacked as far as it can be packed again.
#[derive(Debug)]
pub(crate) struct Alone<'a> {
    /// The layers between the image and its plain bytes, the same on both sides.
    pub(crate) layers: Layers,
    /// The plain bytes; borrowed where nothing is unpacked.
    pub(crate) plain: Cow<'a, [u8]>,
    /// Where in the plain bytes files, their stretches, and what lies between them begin, ascending, each once; and for which
    /// processor they hold code. The first begins at 0.
    pub(crate) files: Vec<(u64, Arch)>,
}

/// Unpacks an image with the tools of this crate and the usual budget.
pub(crate) fn plan_alone(image: &[u8]) -> Alone<'_> {
    let mut prover = Prover::default();
    let mut tools = Tools {
        look: &mut layout::look,
        prove: &mut |hint, packed, plain_len_max| prover.prove(hint, packed, plain_len_max),
        pair: &mut |new, _| vec![None; new.len()],
    };
    plan_alone_with(image, &mut tools, &Budget::default())
}

/// Unpacks an image with given tools.
fn plan_alone_with<'a>(image: &'a [u8], tools: &mut Tools<'_>, budget: &Budget) -> Alone<'a> {
    let len = image.len() as u64;
    let mut alone = Alone { layers: Layers::new(len, len), plain: Cow::Borrowed(image), files: Vec::new() };
    let mut items = vec![Item::alone("", 0, 0, len)];
    for height in 0..=LAYERS_MAX {
        let Some(scene) = scene::gather(&items, &alone.plain, &alone.plain, tools) else { break };
        let budget = (height < LAYERS_MAX).then_some(budget);
        let mut choice = choose::all(&scene, &alone.plain, budget);
        let laid = budget.and_then(|budget| {
            lay::lay(&scene, &mut choice, (&alone.plain, &alone.plain), tools.prove, budget)
        });
        let laid = laid.unwrap_or_default();
        // Whoever has the image must see the same plain bytes as who makes it.
        if laid.old.bytes != laid.new.bytes {
            break;
        }
        items = laid.items(&scene, &choice).iter().map(itself).collect();
        // Nothing unpacked, but files were found: the next look goes into them.
        let (Some(layer), Some(plain)) = (laid.layer, laid.new.bytes) else { continue };
        if alone.layers.push(layer).is_err() {
            break;
        }
        alone.plain = Cow::Owned(plain);
    }
    alone.files = files(&items, &alone.plain);
    alone
}

/// The length of a word of code, in bytes: stretches of a file that begin within one are taken for data.
const WORD_BYTES: u64 = 4;

fn files(items: &[Item], plain: &[u8]) -> Vec<(u64, Arch)> {
    let mut by_path: BTreeMap<&str, Arch> = BTreeMap::new();
    let mut starts = BTreeMap::from([(0, Arch::None)]);
    for item in items {
        let len = item.new.end.saturating_sub(item.new.start);
        let arch = match item.file.first().map_or(0, |stretch| stretch.at) {
            0 => slice(plain, item.new.start, len).map_or(Arch::None, arch_of),
            at if at % WORD_BYTES == 0 => by_path.get(item.path.as_ref()).copied().unwrap_or_default(),
            _ => Arch::None,
        };
        by_path.insert(&item.path, arch);
        starts.insert(item.new.start, arch);
        starts.entry(item.new.end).or_insert(Arch::None);
    }
    if !plain.is_empty() {
        // What begins behind the last byte is nothing.
        starts.remove(&(plain.len() as u64));
    }
    starts.into_iter().collect()
}

/// Returns for which processor a file holds code, if it says so itself: an ELF file, or the kernel of 64-bit Arm.
fn arch_of(file: &[u8]) -> Arch {
    let says = file.starts_with(b"\x7fELF") || file.get(56..60) == Some(b"ARM\x64");
    let found = says.then(|| detect::candidates(file));
    found.and_then(|found| found.first().map(|reading| reading.arch)).unwrap_or_default()
}

/// Makes an item its own old file. Files in several pieces are not looked at again: no parser knows them in pieces.
fn itself(item: &Item) -> Item {
    let len = item.new.end.saturating_sub(item.new.start);
    let is_whole = item.kind == Kind::Changed && item.old.len() <= 1;
    let kind = if is_whole { Kind::Changed } else { Kind::Same };
    let at = item.file.first().map_or(0, |stretch| stretch.at);
    Item { kind, ..Item::alone(&item.path, at, item.new.start, len) }
}

impl Item {
    fn alone(path: &str, at: u64, start: u64, len: u64) -> Self {
        Self {
            new: start..start.saturating_add(len),
            path: Rc::from(path),
            file: Rc::from([Extent { at, start, len }]),
            old: Rc::from([Extent { at, start, len }]),
            kind: Kind::Changed,
        }
    }
}
