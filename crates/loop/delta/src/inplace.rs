//! Patches in place, for devices with one slot: the new image takes the place of the old one, page by page.
//!
//! In: both images, and how the device's flash is laid out. Out: a patch that was applied to a simulated flash of that
//! layout before it is handed out, or the news that the full image is the better way. Refuses: layouts that cannot be,
//! images that leave no page of scratch, less memory than any patch takes.
//!
//! The device's side is `warden_patch::flash`; [`apply_in_place`] runs it on a host. `docs/adr/0010-in-place-patches.md`
//! tells why a power cut does no harm.

mod encode;
mod plan;
mod regions;
mod simulate;

use sha2::{Digest, Sha256};
use thiserror::Error;
use warden_model::{ByteCount, Sha256Digest};
use warden_patch::chart::Copy;
use warden_patch::flash::head::{Head, IMAGE_BYTES_MAX, PROFILE};
use warden_patch::flash::workspace::{LESSONS, Needs, SEEN, STACK_BYTES, slots};
use warden_patch::flash::{Fault, Flash, JOURNAL_PAGES, Lent, Outcome, Patch, Progress, update};
use warden_patch::mixing::Seen;
use warden_patch::model::{Narrow, Slot};

use crate::format::{MAGIC, VERSION};
use crate::make::{Made, keep_longest};
use crate::stream::write::Told;
use crate::tell::tell;
use encode::Task;
use regions::{WAYS, Way};

pub use simulate::{Cut, Simulated};
pub use warden_patch::flash::{Geometry, UpdateError};

/// For which device a patch in place is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPlaceLimits {
    /// What its flash erases at once, in bytes: a power of two from 256 to 131,072.
    pub page_bytes: u32,
    /// What its flash programs at once, in bytes: a power of two up to 512.
    pub write_bytes: u32,
    /// How much room the image may take: whole pages.
    pub area: ByteCount,
    /// How many pages of scratch lie behind the area. Two of them are the journal's.
    pub scratch_pages: u32,
    /// How much memory the device lends, its stack included.
    pub memory: ByteCount,
    /// For how many copies the device has room, where its tables are laid out once and for all; else the tables are as
    /// suits the patch.
    pub copies: Option<u32>,
}

/// Why no patch in place could be made.
#[derive(Debug, Error)]
pub enum InPlaceError {
    /// An image is too large.
    #[error("the images have {base} and {result}: more than the {limit} that a patch in place is made for")]
    TooLarge {
        /// The size of the old one.
        base: ByteCount,
        /// The size of the new one.
        result: ByteCount,
        /// The limit.
        limit: ByteCount,
    },
    /// There is nothing to make.
    #[error("the new image is empty")]
    Empty,
    /// The flash cannot be as described, or does not hold the images.
    #[error("lay out the flash")]
    Flash {
        /// What is wrong with it.
        source: UpdateError,
    },
    /// No patch can be applied in so little memory.
    #[error("applying a patch in place takes {need} of memory at least, the device lends {limit}")]
    Memory {
        /// What it takes at least.
        need: ByteCount,
        /// The limit.
        limit: ByteCount,
    },
    /// The patch did not make the new image when it was tried.
    #[error("try the patch on a simulated flash")]
    NotProven {
        /// What went wrong.
        source: UpdateError,
    },
}

impl InPlaceLimits {
    /// Returns the layout of the flash.
    pub fn geometry(&self) -> Geometry {
        let area_pages = self.area.0 / u64::from(self.page_bytes.max(1));
        Geometry {
            page_bytes: self.page_bytes,
            write_bytes: self.write_bytes,
            area_pages: u32::try_from(area_pages).unwrap_or(u32::MAX),
            scratch_pages: self.scratch_pages,
        }
    }
}

/// Makes a patch that turns `base` into `result` where it lies. The same input makes the same patch.
pub fn make_in_place(base: &[u8], result: &[u8], limits: &InPlaceLimits) -> Result<Made, InPlaceError> {
    let geometry = limits.geometry();
    let scratch = scratch_pages(base, result, &geometry)?;
    let mut told = tell(base, result);
    let log = table_log(&mut told.copies, limits)?;
    let encode = |way: Way, prime_log: u32| {
        let task = Task { old: base, new: result, told: &told, way, prime_log, log, scratch, geometry };
        task.encode().map_err(|source| InPlaceError::NotProven { source })
    };
    let [first, others @ ..] = WAYS;
    let (mut best, mut patch) = (first, encode(first, 0)?);
    for way in others {
        let other = encode(way, 0)?;
        if other.len() < patch.len() {
            (best, patch) = (way, other);
        }
    }
    for prime_log in PRIMES {
        let other = encode(best, prime_log)?;
        if other.len() < patch.len() {
            patch = other;
        }
    }
    prove(base, result, &patch, geometry).map_err(|source| InPlaceError::NotProven { source })?;
    if patch.len() < result.len() {
        Ok(Made::Patch(patch))
    } else {
        Ok(Made::FullIsSmaller { patch: size_of(&patch), full: size_of(result) })
    }
}

/// How many bytes beside a segment may prepare its literals, as powers of two. Each is tried, and none.
const PRIMES: [u32; 2] = [13, 16];

/// The largest tables that are tried, as a power of two, and the smallest.
const TABLE_LOG: (u32, u32) = (10, 8);

/// Returns how many pages there are for scratch: what both images leave of the area, and what lies behind it.
fn scratch_pages(base: &[u8], result: &[u8], geometry: &Geometry) -> Result<u32, InPlaceError> {
    let limit = ByteCount(u64::from(IMAGE_BYTES_MAX));
    if size_of(base) > limit || size_of(result) > limit {
        return Err(InPlaceError::TooLarge { base: size_of(base), result: size_of(result), limit });
    }
    if result.is_empty() {
        return Err(InPlaceError::Empty);
    }
    let refused = |source| InPlaceError::Flash { source };
    geometry.check().map_err(refused)?;
    let images = geometry.pages(narrow(base.len().max(result.len())));
    if images > geometry.area_pages {
        return Err(refused(UpdateError::Area { needed: images, found: geometry.area_pages }));
    }
    let found = geometry.area_pages - images + geometry.scratch_pages;
    let needed = JOURNAL_PAGES + 1;
    if found < needed {
        return Err(refused(UpdateError::Scratch { needed, found }));
    }
    Ok(found - JOURNAL_PAGES)
}

/// Returns how large the tables can be, and drops the shortest copies if the device has no room for all of them.
fn table_log(copies: &mut Vec<Copy>, limits: &InPlaceLimits) -> Result<u32, InPlaceError> {
    let bytes = |log: u32, copies: usize| {
        let needs = Needs { slots: slots(log), seen: SEEN, copies, lessons: LESSONS };
        (needs.bytes() + STACK_BYTES) as u64
    };
    let per_copy = bytes(TABLE_LOG.1, 1) - bytes(TABLE_LOG.1, 0);
    let least = bytes(TABLE_LOG.1, limits.copies.unwrap_or(0) as usize);
    let limit = limits.memory;
    let Some(spare) = limit.0.checked_sub(least) else {
        return Err(InPlaceError::Memory { need: ByteCount(least), limit });
    };
    // Copies may take what the smallest tables leave, up to a third of all.
    let most = limits.copies.map_or(spare.min(limit.0 / 3) / per_copy, u64::from);
    keep_longest(copies, usize::try_from(most).unwrap_or(usize::MAX));
    let reserved = limits.copies.map_or(copies.len(), |copies| copies as usize);
    let fitting = (TABLE_LOG.1..=TABLE_LOG.0).rev().find(|log| bytes(*log, reserved) <= limit.0);
    Ok(fitting.unwrap_or(TABLE_LOG.1))
}

/// Applies a patch to a simulated flash.
fn prove(base: &[u8], result: &[u8], patch: &[u8], geometry: Geometry) -> Result<(), UpdateError> {
    let mut flash = Simulated::new(geometry, base);
    apply_in_place(&mut flash, patch, &mut |_| {})?;
    if flash.bytes().starts_with(result) { Ok(()) } else { Err(UpdateError::WrongResult) }
}

/// A patch in memory.
struct Bytes<'a>(&'a [u8]);

impl Patch for Bytes<'_> {
    fn len(&self) -> u32 {
        narrow(self.0.len())
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<(), Fault> {
        let found = self.0.get(at as usize..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(found.ok_or(Fault(at))?);
        Ok(())
    }
}

/// Applies a patch in place to a flash, as a device does; called again after a failure, it goes on.
pub fn apply_in_place(
    flash: &mut dyn Flash,
    patch: &[u8],
    watch: &mut dyn FnMut(Progress),
) -> Result<Outcome, UpdateError> {
    let (head, _) = Head::read(&mut Bytes(patch))?;
    let Needs { slots, seen, copies, lessons } = head.needs();
    let lent = Lent {
        slots: &mut vec![Narrow::FRESH; slots],
        seen: &mut vec![Seen::NONE; seen],
        copies: &mut vec![Copy::default(); copies],
        order: &mut vec![0; copies],
        lessons: &mut vec![warden_patch::chart::Lesson::NONE; lessons],
    };
    update(flash, &mut Bytes(patch), lent, watch)
}

/// What a patch in place says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPlaceHeader {
    /// The digest of the image that must be there.
    pub base: Sha256Digest,
    /// The digest of the image that it makes.
    pub result: Sha256Digest,
    /// The size of the image that must be there.
    pub base_size: ByteCount,
    /// The size of the image that it makes.
    pub result_size: ByteCount,
    /// The size of a page, in bytes.
    pub page_bytes: u32,
    /// How many pages both images take.
    pub area_pages: u32,
    /// How many pages of scratch it takes behind them, the journal's included.
    pub scratch_pages: u32,
    /// How many segments are decoded one after the other.
    pub segments: u32,
    /// How many steps the update has; after each of them, a power cut costs nothing.
    pub steps: u32,
    /// How many copies the device must have room for.
    pub copies: u32,
    /// How much memory the device lends, its stack included.
    pub memory: ByteCount,
}

/// Says whether bytes start like a patch in place.
pub fn is_in_place(patch: &[u8]) -> bool {
    patch.starts_with(&MAGIC)
        && patch.get(MAGIC.len()..).is_some_and(|rest| rest.starts_with(&[VERSION, PROFILE]))
}

/// Reads what a patch in place says of itself.
pub fn read_in_place(patch: &[u8]) -> Result<InPlaceHeader, UpdateError> {
    let (head, layout) = Head::read(&mut Bytes(patch))?;
    Ok(InPlaceHeader {
        base: Sha256Digest(head.base),
        result: Sha256Digest(head.result),
        base_size: ByteCount(u64::from(head.base_bytes)),
        result_size: ByteCount(u64::from(head.result_bytes)),
        page_bytes: head.page_bytes(),
        area_pages: head.scratch_page(),
        scratch_pages: head.scratch_pages.saturating_add(JOURNAL_PAGES),
        segments: head.segments,
        steps: layout.steps,
        copies: head.copies_max,
        memory: ByteCount((head.needs().bytes() + STACK_BYTES) as u64),
    })
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn size_of(bytes: &[u8]) -> ByteCount {
    ByteCount(bytes.len() as u64)
}

/// Images are at most 1 GiB here.
fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
