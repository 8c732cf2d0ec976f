//! The memory that an update works in.
//!
//! In: sizes, chosen when the bootloader is built. Out: tables that can stand in a `static`. Refuses nothing: [`super::update`]
//! refuses patches that need larger tables.

use crate::chart::{Copy, Lesson};
use crate::mixing::{Memory, Seen, Shape};
use crate::model::{Narrow, Slot};

/// Memory that is lent to an update.
#[derive(Debug)]
pub struct Lent<'m> {
    /// Statistics.
    pub slots: &'m mut [Narrow],
    /// Remembered words.
    pub seen: &'m mut [Seen],
    /// Room for copies.
    pub copies: &'m mut [Copy],
    /// Room for the order of the copies.
    pub order: &'m mut [u16],
    /// Room for lessons.
    pub lessons: &'m mut [Lesson],
}

/// How many entries of each table something needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Statistics.
    pub slots: usize,
    /// Remembered words.
    pub seen: usize,
    /// Copies, and places in their order.
    pub copies: usize,
    /// Lessons.
    pub lessons: usize,
}

/// What an update takes beside its tables, in bytes: its stack. Measured to be 13.6 KiB deep on a 64-bit host; a test in
/// `warden-delta` holds it below this.
pub const STACK_BYTES: usize = 16 << 10;

impl Needs {
    /// Returns what tables of these sizes take, in bytes.
    pub const fn bytes(self) -> usize {
        self.slots * size_of::<Narrow>()
            + self.seen * size_of::<Seen>()
            + self.copies * (size_of::<Copy>() + size_of::<u16>())
            + self.lessons * size_of::<Lesson>()
    }
}

/// How many words are remembered: the profile for microcontrollers always uses as many.
pub const SEEN: usize = 256;

/// How many lessons there are.
pub const LESSONS: usize = 256;

/// Returns how many slots tables of a size take, given as a power of two: 8 to 10 fit a microcontroller.
pub const fn slots(log: u32) -> usize {
    shape(log).slots()
}

/// Returns the tables of that size.
pub const fn shape(log: u32) -> Shape {
    Shape { log, small_log: 9, seen_log: SEEN.ilog2(), history_log: 0 }
}

/// Tables for patches with at most `COPIES` copies, whose statistics take `SLOTS` slots ([`slots`] tells how many): mostly a
/// `static` of the bootloader.
#[derive(Debug)]
pub struct Workspace<const SLOTS: usize, const COPIES: usize> {
    slots: [Narrow; SLOTS],
    seen: [Seen; SEEN],
    copies: [Copy; COPIES],
    order: [u16; COPIES],
    lessons: [Lesson; LESSONS],
}

impl<const SLOTS: usize, const COPIES: usize> Workspace<SLOTS, COPIES> {
    /// Makes empty tables.
    pub const fn new() -> Self {
        Self {
            slots: [Narrow::FRESH; SLOTS],
            seen: [Seen::NONE; SEEN],
            copies: [Copy { new: 0, old: 0, len: 0 }; COPIES],
            order: [0; COPIES],
            lessons: [Lesson::NONE; LESSONS],
        }
    }

    /// Lends the tables.
    pub fn lend(&mut self) -> Lent<'_> {
        let Self { slots, seen, copies, order, lessons } = self;
        Lent { slots, seen, copies, order, lessons }
    }
}

impl<const SLOTS: usize, const COPIES: usize> Default for Workspace<SLOTS, COPIES> {
    fn default() -> Self {
        Self::new()
    }
}

impl Lent<'_> {
    /// Returns what is lent.
    pub fn has(&self) -> Needs {
        Needs {
            slots: self.slots.len(),
            seen: self.seen.len(),
            copies: self.copies.len().min(self.order.len()),
            lessons: self.lessons.len(),
        }
    }

    /// Splits the memory into that of the coder and the rest.
    pub(super) fn split(
        &mut self,
        needs: Needs,
    ) -> (Memory<'_, Narrow>, &mut [Copy], &mut [u16], &mut [Lesson]) {
        let Self { slots, seen, copies, order, lessons } = self;
        let memory = Memory {
            slots: slots.get_mut(..needs.slots).unwrap_or_default(),
            seen: seen.get_mut(..needs.seen).unwrap_or_default(),
            history: &mut [],
            index: &mut [],
        };
        let copies = copies.get_mut(..needs.copies).unwrap_or_default();
        let order = order.get_mut(..needs.copies).unwrap_or_default();
        (memory, copies, order, lessons.get_mut(..needs.lessons).unwrap_or_default())
    }
}
