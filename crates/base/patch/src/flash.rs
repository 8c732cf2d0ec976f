//! Updates of a microcontroller that has one slot: the new image takes the place of the old one, page by page.
//!
//! In: the device's flash, a patch that was made for its page size (profile `in-place`), memory that the caller lends.
//! Out: the new image where the old one was. Refuses, before the first page is erased: what is no such patch, a patch for
//! other pages, a base that is not there, an area, scratch or memory that does not suffice; later: a page that does not
//! keep what is written to it, and a segment or result that is not the promised one.
//!
//! [`update`] may be stopped by a power cut at any moment, as often as it likes; called again after the reset, it goes on
//! and makes the same image. `docs/adr/0010-in-place-patches.md` tells why that holds, `docs/guide/microcontrollers.md`
//! how to call it.

pub mod coming;
pub mod device;
pub mod head;
pub mod journal;
pub mod segment;
pub mod sha256;
pub mod workspace;

use core::fmt;

pub use device::{Outcome, Progress, update};
pub use head::{Head, Order};
pub use workspace::{Lent, Workspace};

use crate::part::Broken;

/// Why the flash or the patch could not be read or written: a number that means something to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault(pub u32);

/// How a device's flash is laid out: the area of the image, and right behind it the scratch pages.
///
/// Places and pages count from the start of the area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// What is erased at once, in bytes: a power of two from 256 to 131,072.
    pub page_bytes: u32,
    /// What is programmed at once, in bytes: a power of two up to 512, at most half a page. Smaller units are padded.
    pub write_bytes: u32,
    /// How many pages the image may take.
    pub area_pages: u32,
    /// How many pages of scratch lie behind them; the last two are the journal's.
    pub scratch_pages: u32,
}

/// The page sizes that are served, as powers of two: small chips erase 256 bytes, large ones 128 KiB.
pub const PAGE_LOG: (u32, u32) = (8, 17);

/// The largest unit of writing, in bytes; it is collected on the stack.
pub const WRITE_BYTES_MAX: u32 = 512;

/// How many pages a flash may have: 2^16 pages of the smallest size are 16 MiB, of the usual one 256 MiB.
pub const PAGES_MAX: u32 = 1 << 16;

/// How many pages the journal takes: while one is erased, the other one tells how far the update is.
pub const JOURNAL_PAGES: u32 = 2;

impl Geometry {
    /// Says what cannot be in this geometry.
    pub fn check(&self) -> Result<(), UpdateError> {
        let is_page =
            self.page_bytes.is_power_of_two() && (PAGE_LOG.0..=PAGE_LOG.1).contains(&self.page_bytes.ilog2());
        let is_write = self.write_bytes.is_power_of_two()
            && self.write_bytes <= WRITE_BYTES_MAX
            && self.write_bytes <= self.page_bytes / 2;
        let pages = self.area_pages.checked_add(self.scratch_pages);
        let bytes = pages.and_then(|pages| pages.checked_mul(self.page_bytes));
        if !is_page || !is_write || bytes.is_none() || pages.is_none_or(|pages| pages > PAGES_MAX) {
            return Err(UpdateError::Geometry);
        }
        if self.scratch_pages < JOURNAL_PAGES {
            return Err(UpdateError::Scratch { needed: JOURNAL_PAGES, found: self.scratch_pages });
        }
        Ok(())
    }

    /// Returns the first page of the journal.
    pub fn journal_page(&self) -> u32 {
        (self.area_pages + self.scratch_pages).saturating_sub(JOURNAL_PAGES)
    }

    /// Returns the pages in which an image of this size lies.
    pub fn pages(&self, bytes: u32) -> u32 {
        bytes.div_ceil(self.page_bytes.max(1))
    }
}

/// A device's flash.
pub trait Flash {
    /// Returns how it is laid out.
    fn geometry(&self) -> Geometry;
    /// Reads. What was being written or erased when the power failed may read as anything, and must not fail.
    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<(), Fault>;
    /// Erases a page: all its bytes become 0xff.
    fn erase(&mut self, page: u32) -> Result<(), Fault>;
    /// Programs erased bytes: whole units of writing, within one page, none of them a second time.
    fn program(&mut self, at: u32, bytes: &[u8]) -> Result<(), Fault>;
}

/// A patch: wherever it lies (other flash, an SD card, a server that serves ranges), it must still be there after a reset.
pub trait Patch {
    /// Returns how long it is, in bytes.
    fn len(&self) -> u32;
    /// Says whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Reads; never beyond its end.
    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<(), Fault>;
}

/// Why an update was refused or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateError {
    /// The flash failed, or the power.
    Flash(Fault),
    /// The patch could not be read.
    Patch(Fault),
    /// The bytes are no patch at all.
    NotAPatch,
    /// The patch has another format.
    Version(u8),
    /// The patch is made for devices with two slots.
    NotInPlace,
    /// The patch breaks its own format.
    Corrupt(&'static str),
    /// The geometry of the device makes no sense.
    Geometry,
    /// The patch was made for other pages, in bytes.
    Pages {
        /// What the patch was made for.
        wanted: u32,
        /// What the device has.
        found: u32,
    },
    /// The area of the device is too small, in pages.
    Area {
        /// What the images take.
        needed: u32,
        /// What the device has.
        found: u32,
    },
    /// The scratch of the device is too small, in pages; what the images leave of the area counts as scratch.
    Scratch {
        /// What the patch takes, with the journal.
        needed: u32,
        /// What the device has.
        found: u32,
    },
    /// The lent memory is too small, in entries of a table.
    Memory {
        /// Which table.
        table: &'static str,
        /// How many entries the patch takes.
        needed: u32,
        /// How many are lent.
        found: u32,
    },
    /// What lies in the area is neither the base of the patch nor an update that it began.
    WrongBase,
    /// A page does not hold what was written to it.
    Worn {
        /// Which page.
        page: u32,
    },
    /// A segment came out otherwise than promised; its pages were not overwritten.
    WrongSegment,
    /// The whole image came out otherwise than promised. It must not be started.
    WrongResult,
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(Fault(code)) => write!(f, "the flash failed (code {code})"),
            Self::Patch(Fault(code)) => write!(f, "the patch cannot be read (code {code})"),
            Self::NotAPatch => f.write_str("this is no patch: it does not start with FWDELTA"),
            Self::Version(found) => {
                write!(f, "the patch has format version {found}, only version {} can be read", head::VERSION)
            }
            Self::NotInPlace => f.write_str("the patch is made for two slots, not for an update in place"),
            Self::Corrupt(what) => write!(f, "the patch is corrupt: {what}"),
            Self::Geometry => f.write_str(
                "the flash cannot be: pages are 256 to 131072 bytes, units of writing at most 512 and half a page",
            ),
            Self::Pages { wanted, found } => {
                write!(f, "the patch was made for pages of {wanted} bytes, the flash has pages of {found}")
            }
            Self::Area { needed, found } => {
                write!(f, "the images take {needed} pages, the area has {found}")
            }
            Self::Scratch { needed, found } => {
                write!(f, "the update takes {needed} pages of scratch with its journal, there are {found}")
            }
            Self::Memory { table, needed, found } => {
                write!(f, "the patch takes room for {needed} {table}, only {found} are lent")
            }
            Self::WrongBase => f.write_str("the image in the flash is not the one that the patch was made for"),
            Self::Worn { page } => write!(f, "page {page} does not keep what is written to it"),
            Self::WrongSegment => f.write_str("a segment came out otherwise than the patch promises"),
            Self::WrongResult => f.write_str("the new image came out otherwise than the patch promises"),
        }
    }
}

impl core::error::Error for UpdateError {}

impl From<Broken> for UpdateError {
    fn from(broken: Broken) -> Self {
        Self::Corrupt(match broken {
            Broken::CopyOutsideOld => "a copy reads from outside the base",
            Broken::BeyondNew => "a part makes more than it says",
            Broken::BeyondImage => "a part makes more than the result holds",
            Broken::OldOutsideImage => "a part is told by a file outside the base",
            Broken::TooManyCopies => "a part has more copies than the header says",
            Broken::Head => "the head of a part makes no sense",
        })
    }
}
