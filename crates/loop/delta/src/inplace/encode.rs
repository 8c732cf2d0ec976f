//! Codes a patch in place.
//!
//! In: both images, copies, and how to go about it. Out: a patch. Refuses nothing that a plan contains.

use std::cell::Cell;
use std::convert::Infallible;
use std::ops::Range;

use warden_patch::chart::{Copy, Lesson};
use warden_patch::coin::{Coin, Encoder, Target};
use warden_patch::flash::head::{Fate, Head, Segment};
use warden_patch::flash::segment::{Primed, Sizes, bytes, copies, prime, primer};
use warden_patch::flash::workspace::{LESSONS, shape};
use warden_patch::flash::{Geometry, UpdateError};
use warden_patch::mixing::Mixing;
use warden_patch::model::Narrow;
use warden_patch::part::{Broken, Io, Part};

use super::plan::{Ground, Plan, Planned, overwrite};
use super::regions::{Way, regions};
use super::{Told, digest, narrow};
use crate::stream::Tables;

/// A way to make a patch.
pub(super) struct Task<'a> {
    pub(super) old: &'a [u8],
    pub(super) new: &'a [u8],
    pub(super) told: &'a Told,
    pub(super) way: Way,
    pub(super) prime_log: u32,
    pub(super) log: u32,
    /// How many pages of scratch there are.
    pub(super) scratch: u32,
    pub(super) geometry: Geometry,
}

/// What went wrong: nothing, other than with a plan that does not fit its images.
#[derive(Debug)]
struct Unfit(Broken);

impl From<Infallible> for Unfit {
    fn from(value: Infallible) -> Self {
        match value {}
    }
}

impl From<Broken> for Unfit {
    fn from(value: Broken) -> Self {
        Self(value)
    }
}

impl From<Unfit> for UpdateError {
    fn from(Unfit(broken): Unfit) -> Self {
        broken.into()
    }
}

/// Coded bytes: of the copies, then of a segment.
#[derive(Default)]
struct Coded {
    done: Vec<Vec<u8>>,
    open: Vec<u8>,
}

impl Target for Coded {
    fn push(&mut self, byte: u8) {
        self.open.push(byte);
    }

    fn turn(&mut self) {
        self.done.push(std::mem::take(&mut self.open));
    }
}

/// The flash as it is when a segment is decoded, and what the segment shall be.
struct Images<'a> {
    flash: &'a [u8],
    wanted: &'a [u8],
}

impl Io for Images<'_> {
    type Error = Unfit;

    const KNOWS: bool = true;

    fn old(&mut self, at: u64, into: &mut [u8]) -> Result<(), Unfit> {
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let found = self.flash.get(start..).unwrap_or_default();
        into.iter_mut().zip(found).for_each(|(into, found)| *into = *found);
        Ok(())
    }

    fn wanted(&mut self, into: &mut [u8]) {
        let (found, rest) = self.wanted.split_at(into.len().min(self.wanted.len()));
        into.iter_mut().zip(found).for_each(|(into, found)| *into = *found);
        self.wanted = rest;
    }

    fn put(&mut self, _bytes: &[u8]) -> Result<(), Unfit> {
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Unfit> {
        Ok(())
    }
}

impl Task<'_> {
    /// Plans and codes.
    pub(super) fn encode(&self) -> Result<Vec<u8>, UpdateError> {
        let ground = Ground {
            old: self.old,
            new: self.new,
            page_bytes: self.geometry.page_bytes as usize,
            scratch_pages: self.scratch as usize,
        };
        let regions = regions(&ground, self.way, &self.told.copies);
        let Plan { segments, copies } = ground.plan(&regions, &self.told.copies);
        let mut copies = copies;
        crate::make::keep_longest(&mut copies, self.told.copies.len());
        let mut flash = self.old.to_vec();
        flash.resize(self.new.len().max(flash.len()).next_multiple_of(ground.page_bytes), 0xff);
        let (mut list, mut control, mut coded) = (Vec::new(), Vec::new(), Vec::new());
        for Planned { pages, segment } in segments {
            let stretch = narrow(pages.start * ground.page_bytes)
                ..narrow((pages.end * ground.page_bytes).min(self.new.len()));
            let (of_copies, of_segment) = self.segment(&flash, &mut copies, (&segment, stretch.clone()))?;
            let wanted = self.new.get(stretch.start as usize..stretch.end as usize).unwrap_or_default();
            let [a, b, c, d, ..] = digest(wanted);
            let mut segment = segment;
            (segment.coded_bytes, segment.check) = (narrow(of_segment.len()), [a, b, c, d]);
            list.push(segment);
            for number in 0..segment.pages() {
                if segment.fate(number).0 != Fate::Kept {
                    overwrite(&mut flash, self.new, ground.page_bytes, pages.start + number as usize);
                }
            }
            control = of_copies;
            coded.extend(of_segment);
        }
        let mut patch = Vec::new();
        let head = self.head(&list, copies.len(), control.len());
        head.write(&list, &mut |bytes| patch.extend_from_slice(bytes));
        patch.extend(control);
        patch.extend(coded);
        Ok(patch)
    }

    fn head(&self, list: &[Segment], copies: usize, control: usize) -> Head {
        Head {
            page_log: self.geometry.page_bytes.ilog2(),
            prime_log: self.prime_log,
            log: self.log,
            base: digest(self.old),
            result: digest(self.new),
            base_bytes: narrow(self.old.len()),
            result_bytes: narrow(self.new.len()),
            copies_max: narrow(copies),
            scratch_pages: list.iter().map(Segment::scratch_pages).max().unwrap_or(0),
            control_bytes: narrow(control),
            segments: narrow(list.len()),
        }
    }

    /// Codes the copies, which are the same in front of each segment, and a segment.
    fn segment(
        &self,
        flash: &[u8],
        found: &mut [Copy],
        (segment, stretch): (&Segment, Range<u32>),
    ) -> Result<(Vec<u8>, Vec<u8>), UpdateError> {
        let told = Cell::new(false);
        let mut tables = Tables::<Narrow>::new(shape(self.log));
        let coin = Primed::new(Encoder::new(Coded::default()), &told);
        let mut coder = Mixing::new(coin, tables.shape, tables.memory());
        let sizes = Sizes { base: narrow(self.old.len()), result: narrow(self.new.len()) };
        let count = found.len();
        let wanted: (&Part, usize) = (&self.told.part, count);
        let (part, _) = copies::<_, Unfit>(&mut coder, wanted, sizes, found)?;
        let before = primer(segment.order, self.prime_log, &stretch, sizes);
        let before = flash.get(before.start as usize..before.end as usize).unwrap_or_default();
        let Ok(()) = prime(&mut coder, &told, before);
        let wanted = self.new.get(stretch.start as usize..stretch.end as usize).unwrap_or_default();
        let mut images = Images { flash, wanted };
        let (mut order, mut lessons) = (vec![0; count], vec![Lesson::NONE; LESSONS]);
        bytes(&mut coder, &mut images, (&part, found), (&mut order, &mut lessons), stretch)?;
        let mut coin = coder.into_coin().into_coin();
        let Ok(()) = coin.turn();
        let mut done = std::mem::take(&mut coin.target().done).into_iter();
        Ok((done.next().unwrap_or_default(), done.next().unwrap_or_default()))
    }
}
