//! Which pages are made together, what becomes of each, and which copies can still be made by then.
//!
//! In: both images, copies, regions with their order, how many pages of scratch there are. Out: segments, and the copies that are left.
//! Refuses nothing: a copy of bytes that are gone by then becomes literals.

use std::collections::BTreeSet;
use std::ops::Range;

use warden_patch::chart::Copy;
use warden_patch::flash::head::{Fate, Order, RUNS_MAX, Run, Segment};
use warden_patch::predict::LOOK_AHEAD_BYTES;

use super::regions::Region;

/// Pages of the image that are made together.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// Which pages.
    pub(super) pages: Range<usize>,
    /// What becomes of them.
    pub(super) segment: Segment,
}

/// Segments in the order in which they are made, and all copies by their place in the new image.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) segments: Vec<Planned>,
    pub(super) copies: Vec<Copy>,
}

/// What a plan is made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) old: &'a [u8],
    pub(super) new: &'a [u8],
    pub(super) page_bytes: usize,
    pub(super) scratch_pages: usize,
}

/// A copy of bytes that were overwritten is kept as it is if so many of four bytes are right nevertheless.
const RIGHT_OF_FOUR: usize = 3;

/// A piece of a copy shorter than this is not worth its place, in bytes.
const PIECE_BYTES_MIN: u32 = 8;

/// The image as it changes, and what is planned so far.
struct Work<'a> {
    ground: Ground<'a>,
    /// The flash after the segments so far.
    flash: Vec<u8>,
    /// Which pages have been overwritten.
    gone: Vec<bool>,
    copies: Vec<Copy>,
}

/// A segment on its way.
struct Draft {
    pages: Range<usize>,
    copies: Vec<Copy>,
    /// Which pages it reads.
    reads: BTreeSet<usize>,
}

impl Ground<'_> {
    pub(super) fn pages(&self) -> usize {
        self.new.len().div_ceil(self.page_bytes)
    }

    fn bytes(&self, pages: &Range<usize>) -> Range<usize> {
        pages.start * self.page_bytes..(pages.end * self.page_bytes).min(self.new.len())
    }

    /// Says whether a page of the new image is the old one's.
    fn is_kept(&self, page: usize) -> bool {
        let bytes = self.bytes(&(page..page + 1));
        self.old.get(bytes.clone()).is_some_and(|old| Some(old) == self.new.get(bytes))
    }

    /// Plans.
    pub(super) fn plan(self, regions: &[Region], copies: &[Copy]) -> Plan {
        let count = self.pages().max(self.old.len().div_ceil(self.page_bytes));
        let mut flash = self.old.to_vec();
        flash.resize(count * self.page_bytes, 0xff);
        let mut work = Work { ground: self, flash, gone: vec![false; count], copies: Vec::new() };
        let mut segments = Vec::new();
        for Region { pages, order } in regions {
            let mut left = pages.clone();
            while !left.is_empty() {
                let draft = work.draft((&left, *order), copies);
                match order {
                    Order::Forward => left.start = draft.pages.end,
                    Order::Backward => left.end = draft.pages.start,
                }
                segments.push(work.close(draft, *order));
            }
        }
        Plan { segments, copies: joined(work.copies) }
    }

    fn fate(&self, page: usize, reads: &BTreeSet<usize>) -> Fate {
        if self.is_kept(page) {
            Fate::Kept
        } else if reads.contains(&page) {
            Fate::Scratch
        } else {
            Fate::Direct
        }
    }

    fn runs(&self, pages: &Range<usize>, reads: &BTreeSet<usize>) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for page in pages.clone() {
            let fate = self.fate(page, reads);
            match runs.last_mut() {
                Some(run) if run.fate == fate => run.pages += 1,
                Some(_) | None => runs.push(Run { pages: 1, fate }),
            }
        }
        runs
    }
}

impl Work<'_> {
    /// Takes as many pages from the end at which work goes on as scratch allows: at least one.
    fn draft(&self, (left, order): (&Range<usize>, Order), copies: &[Copy]) -> Draft {
        let first = match order {
            Order::Forward => left.start..left.start,
            Order::Backward => left.end..left.end,
        };
        let mut draft = Draft { pages: first, copies: Vec::new(), reads: BTreeSet::new() };
        while draft.pages.len() < left.len() {
            let (pages, page) = match order {
                Order::Forward => (draft.pages.start..draft.pages.end + 1, draft.pages.end),
                Order::Backward => (draft.pages.start - 1..draft.pages.end, draft.pages.start - 1),
            };
            let pieces = self.pieces(page, copies);
            let mut reads = draft.reads.clone();
            reads.extend(pieces.iter().flat_map(|piece| self.read_by(piece)));
            let runs = self.ground.runs(&pages, &reads);
            let scratch = runs.iter().filter(|run| run.fate == Fate::Scratch).map(|run| run.pages as usize);
            let is_full = scratch.sum::<usize>() > self.ground.scratch_pages || runs.len() > RUNS_MAX;
            if is_full && !draft.pages.is_empty() {
                break;
            }
            (draft.pages, draft.reads) = (pages, reads);
            draft.copies.extend(pieces);
        }
        draft
    }

    /// Returns the pages that a copy reads, with what predictors look at behind it.
    fn read_by(&self, copy: &Copy) -> Range<usize> {
        let end = (copy.old as usize + copy.len as usize + LOOK_AHEAD_BYTES).min(self.ground.old.len());
        copy.old as usize / self.ground.page_bytes..end.div_ceil(self.ground.page_bytes)
    }

    /// Cuts out what of the copies lies in a page of the new image and can still be copied.
    fn pieces(&self, page: usize, copies: &[Copy]) -> Vec<Copy> {
        let bytes = self.ground.bytes(&(page..page + 1));
        let from = copies.partition_point(|copy| (copy.new as usize + copy.len as usize) <= bytes.start);
        let mut pieces = Vec::new();
        for copy in copies.iter().skip(from).take_while(|copy| (copy.new as usize) < bytes.end) {
            let start = bytes.start.max(copy.new as usize);
            let end = bytes.end.min(copy.new as usize + copy.len as usize);
            let mut at = start;
            while at < end {
                let old = copy.old as usize + (at - copy.new as usize);
                let len = (end - at).min(self.ground.page_bytes - old % self.ground.page_bytes);
                if self.is_right(old, at, len) {
                    pieces.push(Copy {
                        new: super::narrow(at),
                        old: super::narrow(old),
                        len: super::narrow(len),
                    });
                }
                at += len;
            }
        }
        pieces
    }

    /// Says whether a stretch of one old page can be copied: it is still there, or what is there now is as good.
    fn is_right(&self, old: usize, new: usize, len: usize) -> bool {
        if !self.gone.get(old / self.ground.page_bytes).copied().unwrap_or(true) {
            return true;
        }
        let there = self.flash.get(old..old + len).unwrap_or_default();
        let wanted = self.ground.new.get(new..new + len).unwrap_or_default();
        there.iter().zip(wanted).filter(|(a, b)| a == b).count() * 4 >= len * RIGHT_OF_FOUR
    }

    /// Overwrites the pages of a segment.
    fn close(&mut self, draft: Draft, order: Order) -> Planned {
        let first_page = super::narrow(draft.pages.start);
        let mut segment = Segment::new(order, first_page);
        for run in self.ground.runs(&draft.pages, &draft.reads) {
            segment.push(run);
        }
        for page in draft.pages.clone() {
            if self.ground.is_kept(page) {
                continue;
            }
            if let Some(gone) = self.gone.get_mut(page) {
                *gone = true;
            }
            overwrite(&mut self.flash, self.ground.new, self.ground.page_bytes, page);
        }
        self.copies.extend(draft.copies);
        Planned { pages: draft.pages, segment }
    }
}

/// Puts a page of the new image in its place; behind the image it stays erased.
pub(super) fn overwrite(flash: &mut [u8], new: &[u8], page_bytes: usize, page: usize) {
    let start = page * page_bytes;
    let bytes = new.get(start..).unwrap_or_default();
    let place = flash.iter_mut().skip(start).take(page_bytes);
    place.zip(bytes.iter().chain(std::iter::repeat(&0xff))).for_each(|(place, byte)| *place = *byte);
}

/// Puts pieces together that belong together.
fn joined(mut pieces: Vec<Copy>) -> Vec<Copy> {
    pieces.sort_unstable_by_key(|piece| piece.new);
    let mut copies: Vec<Copy> = Vec::new();
    for piece in pieces {
        match copies.last_mut() {
            Some(last) if last.new + last.len == piece.new && last.old + last.len == piece.old => {
                last.len += piece.len;
            }
            Some(_) | None => copies.push(piece),
        }
    }
    copies.retain(|copy| copy.len >= PIECE_BYTES_MIN);
    copies
}
