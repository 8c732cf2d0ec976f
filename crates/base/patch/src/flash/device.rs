//! The update itself: what is read and written when.
//!
//! In: flash, patch, memory. Out: the new image. Refuses: see [`super::UpdateError`].
//!
//! An update is a list of steps, each of which can be done again from its start as often as needed:
//! - *Decode a segment.* It reads the patch and pages that hold still: neither the pages that the segment overwrites at once
//!   nor those it writes in scratch are among them.
//! - *Overwrite a page* from scratch, which holds still until all pages of the segment are overwritten.
//!
//! After each step the journal notes that it is done.

use core::cell::Cell;
use core::ops::Range;

use super::coming::{Coming, Reader};
use super::head::{Fate, Head, Layout, Place, Segment, read_segment};
use super::journal::Journal;
use super::segment::{Primed, Sizes, bytes, copies, prime, primer};
use super::sha256::Sha256;
use super::workspace::Lent;
use super::{Fault, Flash, Geometry, JOURNAL_PAGES, Patch, UpdateError, WRITE_BYTES_MAX};
use crate::coin::Decoder;
use crate::mixing::Mixing;
use crate::part::{Io, Part};

/// How much is read or compared at once, in bytes: it lies on the stack.
const PIECE_BYTES: u32 = 64;

/// How far an update is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many steps are done.
    pub done: u32,
    /// How many there are.
    pub steps: u32,
}

/// What came of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The new image is there.
    Updated,
    /// The new image was there already.
    WasThere,
}

/// Puts the new image in the place of the old one. After a power cut it goes on where it was when called again with the same
/// patch; `watch` hears of each step.
pub fn update(
    flash: &mut dyn Flash,
    patch: &mut dyn Patch,
    mut lent: Lent<'_>,
    watch: &mut dyn FnMut(Progress),
) -> Result<Outcome, UpdateError> {
    let (head, layout) = Head::read(patch)?;
    let geometry = flash.geometry();
    check(&head, &geometry, &lent)?;
    let mut journal = Journal::new(geometry, layout.id);
    if has(flash, head.result_bytes, &head.result)? {
        if journal.find(flash).map_err(UpdateError::Flash)?.is_some() {
            journal.clear(flash).map_err(UpdateError::Flash)?;
        }
        return Ok(Outcome::WasThere);
    }
    let mut done = if has(flash, head.base_bytes, &head.base)? {
        // Whatever a journal says: with the whole base in place, everything can be done from the start.
        journal.start(flash).map_err(UpdateError::Flash)?;
        0
    } else {
        let done = journal.find(flash).map_err(UpdateError::Flash)?;
        let done = done.filter(|done| *done <= layout.steps).ok_or(UpdateError::WrongBase)?;
        expect_made(flash, patch, (&head, &layout), done)?;
        journal.go_on(flash, done).map_err(UpdateError::Flash)?;
        done
    };
    watch(Progress { done, steps: layout.steps });
    let mut list = List::new(&head, &layout);
    while let Some(turn) = list.next(patch)? {
        for step in done.max(turn.first_step)..turn.end_step() {
            if step == turn.first_step {
                decode(flash, patch, (&head, &layout), &turn, &mut lent)?;
            } else {
                overwrite(flash, &head, &turn, step - turn.first_step - 1)?;
            }
            done = step + 1;
            journal.append(flash, done).map_err(UpdateError::Flash)?;
            watch(Progress { done, steps: layout.steps });
        }
    }
    if !has(flash, head.result_bytes, &head.result)? {
        return Err(UpdateError::WrongResult);
    }
    journal.clear(flash).map_err(UpdateError::Flash)?;
    Ok(Outcome::Updated)
}

/// Refuses to go on where another image was put in the place of the one that was being made.
fn expect_made(
    flash: &mut dyn Flash,
    patch: &mut dyn Patch,
    (head, layout): (&Head, &Layout),
    done: u32,
) -> Result<(), UpdateError> {
    let mut list = List::new(head, layout);
    while let Some(turn) = list.next(patch)? {
        if turn.end_step() > done {
            break;
        }
        if !digest(flash, turn.bytes(head))?.starts_with(&turn.segment.check) {
            return Err(UpdateError::WrongBase);
        }
    }
    Ok(())
}

/// Refuses what this device cannot do, before anything is erased.
fn check(head: &Head, geometry: &Geometry, lent: &Lent<'_>) -> Result<(), UpdateError> {
    geometry.check()?;
    if head.page_bytes() != geometry.page_bytes {
        return Err(UpdateError::Pages { wanted: head.page_bytes(), found: geometry.page_bytes });
    }
    let images = head.scratch_page();
    if images > geometry.area_pages {
        return Err(UpdateError::Area { needed: images, found: geometry.area_pages });
    }
    let needed = head.scratch_pages.saturating_add(JOURNAL_PAGES);
    let found = geometry.area_pages + geometry.scratch_pages - images;
    if needed > found {
        return Err(UpdateError::Scratch { needed, found });
    }
    let (needs, has) = (head.needs(), lent.has());
    let tables = [
        ("slots", needs.slots, has.slots),
        ("words", needs.seen, has.seen),
        ("copies", needs.copies, has.copies),
        ("lessons", needs.lessons, has.lessons),
    ];
    match tables.into_iter().find(|(_, needed, found)| needed > found) {
        Some((table, needed, found)) => {
            let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            Err(UpdateError::Memory { table, needed: narrow(needed), found: narrow(found) })
        }
        None => Ok(()),
    }
}

/// Says whether an image of this digest lies in the area.
fn has(flash: &mut dyn Flash, len: u32, wanted: &[u8; 32]) -> Result<bool, UpdateError> {
    Ok(digest(flash, 0..len)? == *wanted)
}

fn digest(flash: &mut dyn Flash, stretch: Range<u32>) -> Result<[u8; 32], UpdateError> {
    let mut hash = Sha256::default();
    read(flash, stretch, &mut |piece| {
        hash.update(piece);
        Ok(())
    })?;
    Ok(hash.finish())
}

/// Reads a stretch, piece by piece.
fn read(
    flash: &mut dyn Flash,
    stretch: Range<u32>,
    hear: &mut dyn FnMut(&[u8]) -> Result<(), UpdateError>,
) -> Result<(), UpdateError> {
    let (mut at, mut piece) = (stretch.start, [0; PIECE_BYTES as usize]);
    while at < stretch.end {
        let len = (stretch.end - at).min(PIECE_BYTES);
        let piece = piece.get_mut(..len as usize).unwrap_or_default();
        flash.read(at, piece).map_err(UpdateError::Flash)?;
        hear(piece)?;
        at += len;
    }
    Ok(())
}

/// A segment whose turn it is.
struct Turn {
    segment: Segment,
    /// Where its coded bytes lie in the patch.
    coded_at: u32,
    first_step: u32,
}

impl Turn {
    fn end_step(&self) -> u32 {
        self.first_step + 1 + self.segment.scratch_pages()
    }

    /// Returns its bytes in the new image.
    fn bytes(&self, head: &Head) -> Range<u32> {
        let first = self.segment.first_page;
        let start = first * head.page_bytes();
        let end = (first + self.segment.pages()) * head.page_bytes();
        start..end.min(head.result_bytes)
    }
}

/// The list of segments, read again when one is needed: it may be longer than memory.
struct List<'h> {
    head: &'h Head,
    left: u32,
    at: u32,
    coded_at: u32,
    place: Place,
    step: u32,
}

impl<'h> List<'h> {
    fn new(head: &'h Head, layout: &Layout) -> Self {
        let coded_at = layout.control_at.saturating_add(head.control_bytes);
        Self { head, left: head.segments, at: layout.list_at, coded_at, place: Place::new(head), step: 0 }
    }

    fn next(&mut self, patch: &mut dyn Patch) -> Result<Option<Turn>, UpdateError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        let mut reader = Reader::new(patch, self.at);
        let segment = read_segment(&mut reader, &mut Sha256::default(), self.head, &mut self.place)?;
        (self.left, self.at) = (left, reader.at());
        let turn = Turn { segment, coded_at: self.coded_at, first_step: self.step };
        self.coded_at = self.coded_at.saturating_add(segment.coded_bytes);
        self.step = turn.end_step();
        Ok(Some(turn))
    }
}

/// Decodes a segment: into scratch, or at once into pages that nothing of it reads.
fn decode(
    flash: &mut dyn Flash,
    patch: &mut dyn Patch,
    (head, layout): (&Head, &Layout),
    turn: &Turn,
    lent: &mut Lent<'_>,
) -> Result<(), UpdateError> {
    let (memory, room, order, lessons) = lent.split(head.needs());
    let segment = (turn.coded_at, turn.segment.coded_bytes);
    let mut coming = Coming::new(patch, (layout.control_at, head.control_bytes), segment);
    let told = Cell::new(false);
    let mut coin = Decoder::new(&mut coming);
    coin.start()?;
    let mut coder = Mixing::new(Primed::new(coin, &told), head.shape(), memory);
    let sizes = Sizes { base: head.base_bytes, result: head.result_bytes };
    let (part, count) = copies::<_, UpdateError>(&mut coder, (&Part::default(), 0), sizes, room)?;
    let found = room.get(..count).unwrap_or_default();
    let stretch = turn.bytes(head);
    let before = primer(turn.segment.order, head.prime_log, &stretch, sizes);
    read(flash, before, &mut |piece| prime(&mut coder, &told, piece))?;
    let mut images = Images { pages: Pages::new(flash, head, turn), hash: Sha256::default() };
    bytes(&mut coder, &mut images, (&part, found), (order, lessons), stretch)?;
    let Images { mut pages, hash } = images;
    pages.flush()?;
    coming.expect_end()?;
    if hash.finish().starts_with(&turn.segment.check) { Ok(()) } else { Err(UpdateError::WrongSegment) }
}

/// Overwrites a page of a segment from scratch.
fn overwrite(flash: &mut dyn Flash, head: &Head, turn: &Turn, number: u32) -> Result<(), UpdateError> {
    let page = turn.segment.first_page + turn.segment.scratch_page(number);
    let len = head.result_bytes.saturating_sub(page * head.page_bytes()).min(head.page_bytes());
    let mut writer = Writer::new(flash.geometry());
    writer.open(flash, page)?;
    let from = (head.scratch_page() + number) * head.page_bytes();
    let mut piece = [0; PIECE_BYTES as usize];
    let mut at = 0;
    while at < len {
        let piece = piece.get_mut(..(len - at).min(PIECE_BYTES) as usize).unwrap_or_default();
        flash.read(from + at, piece).map_err(UpdateError::Flash)?;
        writer.put(flash, piece)?;
        at += PIECE_BYTES;
    }
    writer.flush(flash)
}

/// The images of a segment that is being decoded.
struct Images<'a> {
    pages: Pages<'a>,
    hash: Sha256,
}

impl Io for Images<'_> {
    type Error = UpdateError;

    const KNOWS: bool = false;

    fn old(&mut self, at: u64, into: &mut [u8]) -> Result<(), UpdateError> {
        let at = u32::try_from(at).map_err(|_| UpdateError::Corrupt("a copy reads from outside the base"))?;
        self.pages.flash.read(at, into).map_err(UpdateError::Flash)
    }

    fn wanted(&mut self, _into: &mut [u8]) {}

    fn put(&mut self, bytes: &[u8]) -> Result<(), UpdateError> {
        self.hash.update(bytes);
        self.pages.put(bytes)
    }

    fn turn(&mut self) -> Result<(), UpdateError> {
        Ok(())
    }
}

/// The pages of a segment on their way to where they go.
struct Pages<'a> {
    flash: &'a mut dyn Flash,
    head: &'a Head,
    turn: &'a Turn,
    writer: Writer,
    /// Which page of the segment comes next, and how much of the one at hand is missing.
    next: u32,
    left: u32,
    is_kept: bool,
}

impl<'a> Pages<'a> {
    fn new(flash: &'a mut dyn Flash, head: &'a Head, turn: &'a Turn) -> Self {
        let writer = Writer::new(flash.geometry());
        Self { flash, head, turn, writer, next: 0, left: 0, is_kept: true }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), UpdateError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.left == 0 {
                self.open()?;
            }
            let len = u32::try_from(rest.len()).unwrap_or(u32::MAX).min(self.left);
            let (piece, behind) = rest.split_at(len as usize);
            self.left -= len;
            if !self.is_kept {
                self.writer.put(self.flash, piece)?;
            }
            rest = behind;
        }
        Ok(())
    }

    /// Opens the next page.
    fn open(&mut self) -> Result<(), UpdateError> {
        self.flush()?;
        let (fate, scratch) = self.turn.segment.fate(self.next);
        let page = match fate {
            Fate::Kept => None,
            Fate::Direct => Some(self.turn.segment.first_page + self.next),
            Fate::Scratch => Some(self.head.scratch_page() + scratch),
        };
        if let Some(page) = page {
            self.writer.open(self.flash, page)?;
        }
        self.is_kept = page.is_none();
        self.next += 1;
        self.left = self.head.page_bytes();
        Ok(())
    }

    fn flush(&mut self) -> Result<(), UpdateError> {
        if self.is_kept { Ok(()) } else { self.writer.flush(self.flash) }
    }
}

/// Programs a page in whole units of writing, and looks whether it keeps them.
struct Writer {
    unit: [u8; WRITE_BYTES_MAX as usize],
    /// How much is programmed at once: many small units, or a large one.
    unit_bytes: u32,
    filled: u32,
    at: u32,
    page: u32,
}

/// Small units of writing are collected to this many bytes: the page of a serial NOR flash.
const COLLECTED_BYTES: u32 = 256;

impl Writer {
    fn new(geometry: Geometry) -> Self {
        let unit_bytes = geometry.write_bytes.max(COLLECTED_BYTES.min(geometry.page_bytes));
        Self { unit: [0xff; WRITE_BYTES_MAX as usize], unit_bytes, filled: 0, at: 0, page: 0 }
    }

    /// Erases a page, and starts with its first byte.
    fn open(&mut self, flash: &mut dyn Flash, page: u32) -> Result<(), UpdateError> {
        flash.erase(page).map_err(UpdateError::Flash)?;
        (self.page, self.at, self.filled) = (page, page * flash.geometry().page_bytes, 0);
        Ok(())
    }

    fn put(&mut self, flash: &mut dyn Flash, bytes: &[u8]) -> Result<(), UpdateError> {
        for byte in bytes {
            if let Some(place) = self.unit.get_mut(self.filled as usize) {
                *place = *byte;
            }
            self.filled += 1;
            if self.filled == self.unit_bytes {
                self.flush(flash)?;
            }
        }
        Ok(())
    }

    /// Programs what was collected; the last unit of an image is filled up with erased bytes.
    fn flush(&mut self, flash: &mut dyn Flash) -> Result<(), UpdateError> {
        if self.filled == 0 {
            return Ok(());
        }
        let len = self.filled.next_multiple_of(flash.geometry().write_bytes);
        let unit = self.unit.get_mut(..len as usize).unwrap_or_default();
        unit.iter_mut().skip(self.filled as usize).for_each(|byte| *byte = 0xff);
        flash.program(self.at, unit).map_err(UpdateError::Flash)?;
        let (mut expected, page) = (&*unit, self.page);
        read(flash, self.at..self.at + len, &mut |piece| {
            let (wanted, rest) = expected.split_at_checked(piece.len()).unwrap_or_default();
            expected = rest;
            if wanted == piece { Ok(()) } else { Err(UpdateError::Worn { page }) }
        })?;
        self.at += len;
        self.filled = 0;
        Ok(())
    }
}

impl From<Fault> for UpdateError {
    fn from(fault: Fault) -> Self {
        Self::Flash(fault)
    }
}
