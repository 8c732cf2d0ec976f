//! The atlas of a part: its copies, read as a map from old to new, and what decoded words have taught beyond them.
//!
//! In: copies, sorted by their place in the new file; lent memory. Out: an [`Atlas`]. Refuses nothing.

use crate::atlas::{Atlas, Space};
use crate::model::hash;

/// Bytes of the new file that come from the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copy {
    /// Where they go, in bytes from the start of the part.
    pub new: u32,
    /// Where they come from, in bytes from the start of the old file.
    pub old: u32,
    /// How many they are.
    pub len: u32,
}

/// What a decoded word has taught: where an old address went, beside what the copies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lesson {
    /// The old address.
    address: u64,
    /// By how much the copies were wrong there.
    correction: i32,
    /// 0 as long as nothing was learned here.
    known: u32,
}

impl Lesson {
    /// Nothing was learned yet.
    pub const NONE: Self = Self { address: 0, correction: 0, known: 0 };
}

/// How many places the copies are searched backwards for one that holds an offset: copies overlap in the old file
/// where code was doubled, seldom more than twice.
const OVERLAP_MAX: usize = 8;

/// A correction holds for addresses this near, in bytes: functions and tables move as wholes.
const NEAR_BYTES: u64 = 192;

/// A function's address and one so near are the same function, in bytes: entry points behind a landing pad.
const SAME_CODE_BYTES: u64 = 4;

/// Behind all copies (RAM, PLT) a correction holds this far, in bytes: there is nothing better.
const FAR_BYTES: u64 = 4096;

/// A larger correction is a coincidence, not a lesson, in bytes.
const CORRECTION_MAX: i64 = 1 << 20;

/// The memory that a chart works in.
#[derive(Debug)]
pub struct ChartMemory<'m> {
    /// The numbers of the copies, sorted by their place in the old file: room for as many as there are copies.
    pub order: &'m mut [u16],
    /// Three tables of lessons, each with a power of two of entries, in a row.
    pub lessons: &'m mut [Lesson],
}

/// Where the old addresses of a part went.
#[derive(Debug)]
pub struct Chart<'m> {
    old: Space,
    new: Space,
    /// The length of the old file, and where in the new file the part starts.
    old_len: u32,
    copies: &'m [Copy],
    order: &'m [u16],
    exact: &'m mut [Lesson],
    near: &'m mut [Lesson],
    far: &'m mut [Lesson],
    recent: core::cell::Cell<usize>,
}

impl<'m> Chart<'m> {
    /// Draws the chart. Copies beyond the memory's room are copied, and not used for predictions.
    pub fn new(spaces: (Space, Space), old_len: u32, copies: &'m [Copy], memory: ChartMemory<'m>) -> Self {
        let ChartMemory { order, lessons } = memory;
        let room = order.len().min(copies.len());
        let order = order.get_mut(..room).unwrap_or_default();
        for (place, number) in order.iter_mut().zip(0..=u16::MAX) {
            *place = number;
        }
        order.sort_unstable_by_key(|number| {
            copies
                .get(usize::from(*number))
                .map_or((u32::MAX, 0, *number), |copy| (copy.old, copy.len, *number))
        });
        lessons.fill(Lesson::default());
        // A power of two each: half for single addresses, a quarter for their surroundings, near and far.
        let quarter = previous_power_of_two(lessons.len() / 4);
        let (exact, rest) = lessons.split_at_mut(quarter * 2);
        let (near, far) = rest.split_at_mut(quarter);
        let far_len = previous_power_of_two(far.len());
        let far = far.get_mut(..far_len).unwrap_or_default();
        let (old, new) = spaces;
        Self { old, new, old_len, copies, order, exact, near, far, recent: core::cell::Cell::new(0) }
    }

    fn copy(&self, at: usize) -> Option<&Copy> {
        self.copies.get(usize::from(*self.order.get(at)?))
    }

    /// Returns how many copies start at or before an offset of the old file.
    fn before(&self, offset: u32) -> usize {
        let recent = self.recent.get();
        let starts_after = |at: usize| self.copy(at).is_none_or(|copy| copy.old > offset);
        if recent > 0 && !starts_after(recent - 1) && starts_after(recent) {
            return recent;
        }
        let is_before =
            |number: &u16| self.copies.get(usize::from(*number)).is_some_and(|copy| copy.old <= offset);
        let found = self.order.partition_point(is_before);
        self.recent.set(found);
        found
    }

    /// Returns the longest copy that holds an offset of the old file.
    fn holder(&self, offset: u32) -> Option<&Copy> {
        let before = self.before(offset);
        let copies = (before.saturating_sub(OVERLAP_MAX)..before).rev().filter_map(|at| self.copy(at));
        let mut best: Option<&Copy> = None;
        for copy in copies.filter(|copy| offset - copy.old < copy.len) {
            if best.is_none_or(|best| copy.len > best.len) {
                best = Some(copy);
            }
        }
        best
    }

    /// Returns by how much the byte at an offset of the old file moved: as the longest copy that holds it, else as the
    /// nearest copy.
    fn shift(&self, offset: u32) -> i64 {
        let nearest = || {
            let before = self.before(offset);
            let mut left: Option<(u32, &Copy)> = None;
            for copy in (before.saturating_sub(OVERLAP_MAX)..before).filter_map(|at| self.copy(at)) {
                let gap = (offset - copy.old).saturating_sub(copy.len);
                if left.is_none_or(|(best, _)| gap < best) {
                    left = Some((gap, copy));
                }
            }
            match (left, self.copy(before)) {
                (Some((gap, left)), Some(right)) if gap < right.old - offset => Some(left),
                (_, Some(right)) => Some(right),
                (Some((_, left)), None) => Some(left),
                (None, None) => None,
            }
        };
        self.holder(offset).or_else(nearest).map_or(0, |copy| i64::from(copy.new) - i64::from(copy.old))
    }

    /// Returns where an old address went as far as the copies and the segments tell.
    fn drawn(&self, address: u64) -> Option<u64> {
        if let Some(offset) = self.old.offset(address) {
            return Some(self.new.address(self.moved_offset(offset)));
        }
        let mut pairs = self.old.segments().iter().zip(self.new.segments());
        pairs.find_map(|(old, new)| {
            // Memory behind the file's bytes: `.bss` moves with the end of what is in front of it.
            let inside = address.checked_sub(old.address)?;
            (inside <= old.memory_len).then(|| {
                let moved = new.address.wrapping_add(u64::from(new.file_len));
                address.wrapping_add(moved).wrapping_sub(old.address.wrapping_add(u64::from(old.file_len)))
            })
        })
    }

    /// Returns what was learned of an address itself, of the nearest place in front of it and of the nearest behind: how far
    /// off it is, and the correction.
    fn lessons_near(&self, address: u64) -> [Option<(u64, i64)>; 3] {
        let told = |lesson: &Lesson| (lesson.address.abs_diff(address), i64::from(lesson.correction));
        let exact = self.exact.get(slot(address, self.exact.len())).filter(|l| l.known != 0);
        if let Some(lesson) = exact.filter(|lesson| lesson.address == address) {
            return [Some(told(lesson)), None, None];
        }
        let granule = address >> 8;
        let mut sides = [None, None];
        for granule in [granule.wrapping_sub(1), granule, granule + 1] {
            let lesson = self.near.get(slot(granule, self.near.len())).filter(|l| l.known != 0);
            let Some(lesson) = lesson.filter(|lesson| lesson.address >> 8 == granule) else { continue };
            let found = told(lesson);
            let [left, right] = &mut sides;
            let side = if lesson.address <= address { left } else { right };
            if side.is_none_or(|(distance, _)| found.0 < distance) {
                *side = Some(found);
            }
        }
        let [left, right] = sides;
        [None, left, right]
    }

    fn far_correction(&self, address: u64) -> Option<i64> {
        let granule = address >> 12;
        let found = |granule: u64| self.far.get(slot(granule, self.far.len())).filter(|l| l.known != 0);
        let best = [found(granule), found(granule.wrapping_sub(1)), found(granule + 1)].into_iter().flatten();
        let best = best.min_by_key(|lesson| lesson.address.abs_diff(address))?;
        (best.address.abs_diff(address) <= FAR_BYTES).then_some(i64::from(best.correction))
    }
}

fn previous_power_of_two(len: usize) -> usize {
    len.checked_ilog2().map_or(0, |log| 1 << log)
}

#[expect(clippy::cast_possible_truncation, reason = "both halves of the address go into the hash")]
fn slot(key: u64, len: usize) -> usize {
    hash(key as u32, (key >> 32) as u32) as usize & len.saturating_sub(1)
}

impl Atlas for Chart<'_> {
    fn old_address(&self, offset: u32) -> u64 {
        self.old.address(offset)
    }

    fn new_address(&self, offset: u32) -> u64 {
        self.new.address(offset)
    }

    fn moved_offset(&self, old_offset: u32) -> u32 {
        let moved = i64::from(old_offset) + self.shift(old_offset);
        u32::try_from(moved.max(0)).unwrap_or(u32::MAX)
    }

    fn moved(&self, old_address: u64) -> Option<u64> {
        let [exact, left, right] = self.lessons_near(old_address);
        let near = [left, right].into_iter().flatten().min_by_key(|(distance, _)| *distance);
        let near = near.filter(|(distance, _)| *distance <= NEAR_BYTES);
        // Inside of a copy, one neighbour says little; where two agree, the copy is wrong.
        let agreed = left.zip(right).filter(|(left, right)| left.1 == right.1).map(|(left, _)| left);
        let is_copied = self.old.offset(old_address).is_some_and(|offset| self.holder(offset).is_some());
        let correction = exact.or(if is_copied { agreed } else { near }).map(|(_, correction)| correction);
        match (self.drawn(old_address), correction) {
            (Some(drawn), Some(correction)) => Some(drawn.wrapping_add_signed(correction)),
            (Some(drawn), None) => Some(drawn),
            (None, Some(correction)) => Some(old_address.wrapping_add_signed(correction)),
            (None, None) => self.far_correction(old_address).map(|c| old_address.wrapping_add_signed(c)),
        }
    }

    fn moved_code(&self, old_address: u64) -> Option<u64> {
        let Some(drawn) = self.drawn(old_address) else { return self.moved(old_address) };
        let correction = match self.lessons_near(old_address) {
            [Some((_, correction)), ..] => correction,
            [None, left, right] => {
                let near = [left, right].into_iter().flatten().min_by_key(|(distance, _)| *distance);
                match (near, left, right) {
                    (Some((distance, correction)), ..) if distance <= SAME_CODE_BYTES => correction,
                    (_, Some((_, a)), Some((_, b))) if a == b => a,
                    _ => 0,
                }
            }
        };
        Some(drawn.wrapping_add_signed(correction))
    }

    fn is_address(&self, value: u64) -> bool {
        value >= 0x1000 && self.old.holds(value)
    }

    fn old_len(&self) -> u32 {
        self.old_len
    }

    fn learn(&mut self, old_address: u64, new_address: u64) {
        let drawn = self.drawn(old_address).unwrap_or(old_address);
        let correction = new_address.wrapping_sub(drawn).cast_signed();
        let Ok(small) = i32::try_from(correction) else { return };
        if correction.abs() >= CORRECTION_MAX {
            return;
        }
        let lesson = Lesson { address: old_address, correction: small, known: 1 };
        let places =
            [(&mut *self.exact, old_address), (self.near, old_address >> 8), (self.far, old_address >> 12)];
        for (table, key) in places {
            let len = table.len();
            if let Some(place) = table.get_mut(slot(key, len)) {
                *place = lesson;
            }
        }
    }
}
