//! Makes a simple patch in place: one copy from the start of the old image, the rest literals, in one segment.

use std::cell::Cell;
use std::convert::Infallible;

use warden_patch::atlas::Space;
use warden_patch::chart::{Copy, Lesson};
use warden_patch::coin::{Coin, Encoder, Target};
use warden_patch::flash::head::{Fate, Head, Order, Run, Segment};
use warden_patch::flash::segment::{Primed, Sizes, bytes, copies};
use warden_patch::flash::sha256::Sha256;
use warden_patch::flash::workspace::{LESSONS, SEEN, shape, slots};
use warden_patch::mixing::{Memory, Mixing, Seen};
use warden_patch::model::{Narrow, Slot};
use warden_patch::part::{Broken, Io, Part};

#[derive(Debug)]
struct Unfit;

impl From<Infallible> for Unfit {
    fn from(value: Infallible) -> Self {
        match value {}
    }
}

impl From<Broken> for Unfit {
    fn from(_: Broken) -> Self {
        Self
    }
}

#[derive(Default)]
struct Coded(Vec<Vec<u8>>, Vec<u8>);

impl Target for Coded {
    fn push(&mut self, byte: u8) {
        self.1.push(byte);
    }

    fn turn(&mut self) {
        self.0.push(std::mem::take(&mut self.1));
    }
}

struct Images<'a> {
    old: &'a [u8],
    new: &'a [u8],
}

impl Io for Images<'_> {
    type Error = Unfit;

    const KNOWS: bool = true;

    fn old(&mut self, at: u64, into: &mut [u8]) -> Result<(), Unfit> {
        let from = usize::try_from(at).unwrap();
        into.copy_from_slice(&self.old[from..from + into.len()]);
        Ok(())
    }

    fn wanted(&mut self, into: &mut [u8]) {
        let (wanted, rest) = self.new.split_at(into.len());
        into.copy_from_slice(wanted);
        self.new = rest;
    }

    fn put(&mut self, _: &[u8]) -> Result<(), Unfit> {
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Unfit> {
        Ok(())
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::default();
    hash.update(bytes);
    hash.finish()
}

fn narrow(len: usize) -> u32 {
    u32::try_from(len).unwrap()
}

/// Makes a patch for pages of 4 KiB: a page of scratch, and what the new image does not share with the old one is written
/// at once. Both differ only behind their common start, which must end in the second page or be shorter than one.
pub(crate) fn patch(old: &[u8], new: &[u8]) -> Vec<u8> {
    let shared = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let sizes = Sizes { base: narrow(old.len()), result: narrow(new.len()) };
    let part = Part {
        new_len: sizes.result,
        old_len: sizes.base,
        spaces: (Space::flat(0, sizes.base), Space::flat(0, sizes.result)),
        ..Part::default()
    };
    let mut found = [Copy { new: 0, old: 0, len: narrow(shared) }];
    let told = Cell::new(false);
    let (mut tables, mut seen) = (vec![Narrow::FRESH; slots(9)], vec![Seen::NONE; SEEN]);
    let memory = Memory { slots: &mut tables, seen: &mut seen, history: &mut [], index: &mut [] };
    let mut coder = Mixing::new(Primed::new(Encoder::new(Coded::default()), &told), shape(9), memory);
    let (part, count) = copies::<_, Unfit>(&mut coder, (&part, 1), sizes, &mut found).unwrap();
    let (mut order, mut lessons) = (vec![0; count], vec![Lesson::NONE; LESSONS]);
    let mut images = Images { old, new };
    let room = (&mut order[..], &mut lessons[..]);
    bytes(&mut coder, &mut images, (&part, &found), room, 0..sizes.result).unwrap();
    let mut coin = coder.into_coin().into_coin();
    let Ok(()) = coin.turn();
    let done = std::mem::take(&mut coin.target().0);
    let [control, stream] = &done[..] else { panic!("copies and one segment") };
    let mut segment = Segment::new(Order::Forward, 0);
    segment.coded_bytes = narrow(stream.len());
    segment.check.copy_from_slice(&digest(new)[..4]);
    // The copy reads pages 0 and 1, and a little of what follows.
    let pages = sizes.result.div_ceil(4096);
    let through = pages.min(2);
    segment.push(Run { pages: through, fate: Fate::Scratch });
    if pages > through {
        segment.push(Run { pages: pages - through, fate: Fate::Direct });
    }
    let head = Head {
        page_log: 12,
        prime_log: 0,
        log: 9,
        base: digest(old),
        result: digest(new),
        base_bytes: sizes.base,
        result_bytes: sizes.result,
        copies_max: 1,
        scratch_pages: through,
        control_bytes: narrow(control.len()),
        segments: 1,
    };
    let mut patch = Vec::new();
    head.write(&[segment], &mut |bytes| patch.extend_from_slice(bytes));
    patch.extend_from_slice(control);
    patch.extend_from_slice(stream);
    patch
}
