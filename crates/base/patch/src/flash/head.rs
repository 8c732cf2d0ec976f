//! The head of a patch in place: sizes, digests, and what becomes of each page.
//!
//! In: a patch by random access. Out: its head, and its segments one after the other; or the bytes of a head. Refuses:
//! another magic, version or profile, tables and pages that cannot be, segments that do not make the whole image.
//!
//! `docs/reference/patch-format.md` tells it byte by byte.

use super::coming::Reader;
use super::sha256::Sha256;
use super::workspace::{Needs, shape};
use super::{PAGE_LOG, PAGES_MAX, Patch, UpdateError};
use crate::mixing::Shape;

/// The first bytes of each patch.
pub const MAGIC: [u8; 7] = *b"FWDELTA";

/// The version of the format.
pub const VERSION: u8 = 2;

/// The number of the profile `in-place`.
pub const PROFILE: u8 = 4;

/// How many stretches of pages of one kind a segment may have: they are kept on the stack, 8 bytes each.
pub const RUNS_MAX: usize = 32;

/// The largest image, in bytes: places are 32-bit numbers with room to add.
pub const IMAGE_BYTES_MAX: u32 = 1 << 30;

/// How many copies a patch may have: their order is kept in 16 bits each.
const COPIES_MAX: u32 = 1 << 16;

/// The largest table, as a power of two: 2^12 slots a context are more than a microcontroller lends.
const LOG_MAX: u8 = 12;

/// The most bytes that the literals are prepared with, as a power of two.
const PRIME_LOG_MAX: u8 = 20;

/// In which direction work goes on: code that moves up is copied from its end, code that moves down from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Towards the end of the image.
    Forward,
    /// Towards the start of the image.
    Backward,
}

/// What a patch in place says of itself before anything is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The size of a page, as a power of two.
    pub page_log: u32,
    /// How many bytes in front of a segment (behind it, when going backward) prepare its literals, as a power of two; 0:
    /// none do.
    pub prime_log: u32,
    /// The size of the tables, as a power of two.
    pub log: u32,
    /// The digest of the image that must be there.
    pub base: [u8; 32],
    /// The digest of the image that it makes.
    pub result: [u8; 32],
    /// The size of the image that must be there, in bytes.
    pub base_bytes: u32,
    /// The size of the image that it makes, in bytes.
    pub result_bytes: u32,
    /// The most copies.
    pub copies_max: u32,
    /// The most pages that a segment keeps in scratch.
    pub scratch_pages: u32,
    /// The length of the coded copies, in bytes.
    pub control_bytes: u32,
    /// How many segments there are.
    pub segments: u32,
}

/// What becomes of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Kept,
    /// It is overwritten while its segment is decoded: nothing of its segment reads it.
    Direct,
    /// It is decoded into scratch, and overwritten when its segment is complete.
    Scratch,
}

impl Fate {
    fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Kept,
            1 => Self::Direct,
            _ => Self::Scratch,
        }
    }
}

/// Pages of one fate, in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How many they are.
    pub pages: u32,
    /// What becomes of them.
    pub fate: Fate,
}

/// Pages that are decoded together: after a power cut, from the first one on again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its coded length, in bytes.
    pub coded_bytes: u32,
    /// The start of the SHA-256 of what it makes.
    pub check: [u8; 4],
    /// In which direction work goes here.
    pub order: Order,
    /// Its first page.
    pub first_page: u32,
    runs: [Run; RUNS_MAX],
    count: usize,
}

impl Segment {
    /// Makes a segment that has no pages yet.
    pub const fn new(order: Order, first_page: u32) -> Self {
        let none = Run { pages: 0, fate: Fate::Kept };
        Self { coded_bytes: 0, check: [0; 4], order, first_page, runs: [none; RUNS_MAX], count: 0 }
    }

    /// Adds pages; says whether there was room.
    pub fn push(&mut self, run: Run) -> bool {
        let Some(place) = self.runs.get_mut(self.count) else { return false };
        *place = run;
        self.count += 1;
        true
    }

    /// Returns its pages, in order.
    pub fn runs(&self) -> &[Run] {
        self.runs.get(..self.count).unwrap_or_default()
    }

    /// Returns how many pages it makes.
    pub fn pages(&self) -> u32 {
        self.runs().iter().map(|run| run.pages).fold(0, u32::saturating_add)
    }

    /// Returns how many of them go through scratch.
    pub fn scratch_pages(&self) -> u32 {
        let through = self.runs().iter().filter(|run| run.fate == Fate::Scratch);
        through.map(|run| run.pages).fold(0, u32::saturating_add)
    }

    /// Returns the fate of its page with a number, and how many of those in front of it go through scratch.
    pub fn fate(&self, page: u32) -> (Fate, u32) {
        let (mut left, mut scratch) = (page, 0);
        for run in self.runs() {
            if left < run.pages {
                return (run.fate, if run.fate == Fate::Scratch { scratch + left } else { scratch });
            }
            left -= run.pages;
            scratch += if run.fate == Fate::Scratch { run.pages } else { 0 };
        }
        (Fate::Kept, scratch)
    }

    /// Returns which of its pages is the one with a number among those that go through scratch.
    pub fn scratch_page(&self, number: u32) -> u32 {
        let (mut left, mut page) = (number, 0);
        for run in self.runs() {
            if run.fate == Fate::Scratch {
                if left < run.pages {
                    return page + left;
                }
                left -= run.pages;
            }
            page += run.pages;
        }
        page
    }
}

/// Where a segment begins that goes on where the one before ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Forward: its first page.
    forward: u32,
    /// Backward: the page behind its last.
    backward: u32,
}

/// The segment goes on forward, or backward; larger numbers tell another place.
const GOES_ON: [u32; 2] = [0, 1];

impl Place {
    /// In front of the first segment: both ends of the image.
    pub(super) fn new(head: &Head) -> Self {
        Self { forward: 0, backward: head.pages(head.result_bytes) }
    }

    /// Tells where a segment begins.
    fn tell(self, segment: &Segment) -> u32 {
        let [forward, backward] = GOES_ON;
        let end = segment.first_page + segment.pages();
        match segment.order {
            Order::Forward if segment.first_page == self.forward => forward,
            Order::Backward if end == self.backward => backward,
            Order::Forward => segment.first_page * 2 + 2,
            Order::Backward => end * 2 + 3,
        }
    }

    /// Hears where a segment begins; forward its first page, backward the one behind its last.
    fn hear(self, told: u32) -> (Order, u32) {
        match told.checked_sub(2) {
            None if told == 0 => (Order::Forward, self.forward),
            None => (Order::Backward, self.backward),
            Some(other) if other & 1 == 0 => (Order::Forward, other >> 1),
            Some(other) => (Order::Backward, other >> 1),
        }
    }

    fn pass(&mut self, segment: &Segment) {
        self.forward = segment.first_page.saturating_add(segment.pages());
        self.backward = segment.first_page;
    }
}

/// Where a patch's segments and coded bytes lie, and what ties all of it to one journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Where the list of segments starts in the patch, in bytes.
    pub list_at: u32,
    /// Where the coded copies start: the segments follow them in the order in which they are made.
    pub control_at: u32,
    /// A number that no other patch has: of the digest of head and list.
    pub id: u64,
    /// How many steps the update has: one to decode each segment, one for each page that goes through scratch.
    pub steps: u32,
}

impl Head {
    /// Returns the size of a page, in bytes.
    pub fn page_bytes(&self) -> u32 {
        1 << self.page_log
    }

    /// Returns the pages of an image.
    pub fn pages(&self, bytes: u32) -> u32 {
        bytes.div_ceil(self.page_bytes())
    }

    /// Returns the first page of scratch: behind both images.
    pub fn scratch_page(&self) -> u32 {
        self.pages(self.base_bytes.max(self.result_bytes))
    }

    /// Returns the sizes of the tables.
    pub fn shape(&self) -> Shape {
        shape(self.log)
    }

    /// Returns what must be lent.
    pub fn needs(&self) -> Needs {
        let shape = self.shape();
        Needs {
            slots: shape.slots(),
            seen: shape.seen(),
            copies: self.copies_max as usize,
            lessons: super::workspace::LESSONS,
        }
    }

    /// Writes the head and the list of segments.
    pub fn write(&self, segments: &[Segment], out: &mut dyn FnMut(&[u8])) {
        out(&MAGIC);
        let logs = [self.page_log, self.prime_log, self.log].map(|log| u8::try_from(log).unwrap_or(u8::MAX));
        out(&[VERSION, PROFILE]);
        out(&logs);
        out(&self.base);
        out(&self.result);
        for number in [
            self.base_bytes,
            self.result_bytes,
            self.copies_max,
            self.scratch_pages,
            self.control_bytes,
            self.segments,
        ] {
            write_number(number, out);
        }
        let mut place = Place::new(self);
        for segment in segments {
            write_number(segment.coded_bytes, out);
            out(&segment.check);
            write_number(place.tell(segment), out);
            place.pass(segment);
            write_number(length(segment.runs().len()), out);
            for run in segment.runs() {
                write_number(run.pages << 2 | run.fate as u32, out);
            }
        }
    }

    /// Reads the head of a patch and looks through its list of segments.
    pub fn read(patch: &mut dyn Patch) -> Result<(Self, Layout), UpdateError> {
        let mut reader = Reader::new(patch, 0);
        let mut hash = Sha256::default();
        let head = Self::read_fields(&mut reader, &mut hash)?;
        let list_at = reader.at();
        let (mut pages, mut coded, mut steps) = (0_u32, head.control_bytes, 0_u32);
        let mut place = Place::new(&head);
        for _ in 0..head.segments {
            let segment = read_segment(&mut reader, &mut hash, &head, &mut place)?;
            pages = pages.saturating_add(segment.pages());
            coded = coded.saturating_add(segment.coded_bytes);
            steps = steps.saturating_add(1).saturating_add(segment.scratch_pages());
        }
        if pages != head.pages(head.result_bytes) {
            return Err(UpdateError::Corrupt("the segments do not make the image"));
        }
        let control_at = reader.at();
        let end = control_at.checked_add(coded);
        if end != Some(patch.len()) {
            return Err(UpdateError::Corrupt("the patch does not end where its head says"));
        }
        let mut id = [0; 8];
        id.iter_mut().zip(hash.finish()).for_each(|(place, byte)| *place = byte);
        let id = u64::from_le_bytes(id);
        Ok((head, Layout { list_at, control_at, id, steps }))
    }

    fn read_fields(reader: &mut Reader<'_>, hash: &mut Sha256) -> Result<Self, UpdateError> {
        if take::<7>(reader, hash)? != MAGIC {
            return Err(UpdateError::NotAPatch);
        }
        let [version, profile] = take(reader, hash)?;
        if version != VERSION {
            return Err(UpdateError::Version(version));
        }
        if profile != PROFILE {
            return Err(UpdateError::NotInPlace);
        }
        let [page_log, prime_log, log] = take(reader, hash)?;
        let is_known = (PAGE_LOG.0..=PAGE_LOG.1).contains(&u32::from(page_log))
            && prime_log <= PRIME_LOG_MAX
            && log <= LOG_MAX;
        if !is_known {
            return Err(UpdateError::Corrupt("the head names sizes that cannot be"));
        }
        let base = take(reader, hash)?;
        let result = take(reader, hash)?;
        let mut numbers = [0; 6];
        for place in &mut numbers {
            *place = number(reader, hash)?;
        }
        let [base_bytes, result_bytes, copies_max, scratch_pages, control_bytes, segments] = numbers;
        let is_bounded = base_bytes <= IMAGE_BYTES_MAX
            && (1..=IMAGE_BYTES_MAX).contains(&result_bytes)
            && copies_max <= COPIES_MAX
            && scratch_pages <= PAGES_MAX
            && (1..=PAGES_MAX).contains(&segments);
        if !is_bounded {
            return Err(UpdateError::Corrupt("the head names more than an image can have"));
        }
        Ok(Self {
            page_log: u32::from(page_log),
            prime_log: u32::from(prime_log),
            log: u32::from(log),
            base,
            result,
            base_bytes,
            result_bytes,
            copies_max,
            scratch_pages,
            control_bytes,
            segments,
        })
    }
}

/// Reads an entry of the list of segments: whatever it says, its pages lie in the image and its scratch in that of the head.
pub(super) fn read_segment(
    reader: &mut Reader<'_>,
    hash: &mut Sha256,
    head: &Head,
    place: &mut Place,
) -> Result<Segment, UpdateError> {
    let coded_bytes = number(reader, hash)?;
    let check = take(reader, hash)?;
    let (order, begin) = place.hear(number(reader, hash)?);
    let mut segment = Segment { coded_bytes, check, ..Segment::new(order, 0) };
    let count = number(reader, hash)?;
    for _ in 0..count {
        let said = number(reader, hash)?;
        let run = Run { pages: said >> 2, fate: Fate::from_number(said & 3) };
        if said & 3 == 3 || run.pages == 0 || run.pages > PAGES_MAX || !segment.push(run) {
            return Err(UpdateError::Corrupt("a segment has pages that cannot be"));
        }
    }
    if count == 0 {
        return Err(UpdateError::Corrupt("a segment has no pages"));
    }
    let first_page = match order {
        Order::Forward => Some(begin),
        Order::Backward => begin.checked_sub(segment.pages()),
    };
    let end = first_page.and_then(|first| first.checked_add(segment.pages()));
    if end.is_none_or(|end| end > head.pages(head.result_bytes)) {
        return Err(UpdateError::Corrupt("the segments do not make the image"));
    }
    segment.first_page = first_page.unwrap_or(0);
    if segment.scratch_pages() > head.scratch_pages {
        return Err(UpdateError::Corrupt("a segment takes more scratch than the head says"));
    }
    place.pass(&segment);
    Ok(segment)
}

fn take<const N: usize>(reader: &mut Reader<'_>, hash: &mut Sha256) -> Result<[u8; N], UpdateError> {
    let mut bytes = [0; N];
    for place in &mut bytes {
        *place = reader.byte()?;
    }
    hash.update(&bytes);
    Ok(bytes)
}

/// Reads a number of at most 32 bits. One number has one spelling.
fn number(reader: &mut Reader<'_>, hash: &mut Sha256) -> Result<u32, UpdateError> {
    let mut value = 0_u64;
    for group in 0..5 {
        let [byte] = take(reader, hash)?;
        value |= u64::from(byte & 0x7f) << (group * 7);
        if byte == 0 && group > 0 {
            break;
        }
        if byte & 0x80 == 0 {
            return u32::try_from(value)
                .map_err(|_| UpdateError::Corrupt("a number of the head is too large"));
        }
    }
    Err(UpdateError::Corrupt("a number of the head is misspelled"))
}

/// At most [`RUNS_MAX`].
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn write_number(mut value: u32, out: &mut dyn FnMut(&[u8])) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out(&[low & 0x7f]);
            return;
        }
        out(&[low | 0x80]);
    }
}
