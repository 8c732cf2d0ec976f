//! Files that an image stores without their longest zeros: file systems leave out whole blocks of them.
//!
//! In: the stored stretches of both files, in a row, and where in their files they lie. Out: the readings of both files,
//! as if nothing were left out, brought down to the stored bytes. Refuses nothing: files with more zeros than are worth
//! it are read as data.
//!
//! Where a file is loaded stands in its segments, and those may be cut: what is left out of a file needs no address. So
//! patches know nothing of holes.

use std::borrow::Cow;

use warden_patch::atlas::{SEGMENTS_MAX, Segment, Space};
use warden_patch::predict::{Arch, GoTables};

use super::readings as readings_of_whole;
use crate::detect::{Detected, data};
use crate::plan::Extent;

/// How much longer than its stored bytes a file may be to be looked at with its zeros. Programs have a few blocks of
/// them between segments; images of disks have mostly zeros, and are no programs.
const WHOLE_FACTOR_MAX: u64 = 4;

/// The stretches of a file, in the coordinates of its stored bytes.
pub(super) struct Stretches(Vec<Extent>);

impl Stretches {
    /// Takes stretches of plain bytes; the stored ones of the file begin at `start`.
    pub(super) fn new<'e>(extents: impl IntoIterator<Item = &'e Extent>, start: u64) -> Self {
        let moved = |extent: &Extent| Extent { start: extent.start.saturating_sub(start), ..*extent };
        Self(extents.into_iter().map(moved).collect())
    }

    /// Says whether anything is left out between them.
    pub(super) fn have_holes(&self) -> bool {
        let [first, ..] = self.0.as_slice() else { return false };
        first.at == 0 && self.0.iter().any(|stretch| stretch.at != stretch.start)
    }

    /// Returns the file as it is read, with its zeros; `None` where they are too many.
    fn whole<'b>(&self, stored: &'b [u8]) -> Option<Cow<'b, [u8]>> {
        if !self.have_holes() {
            return Some(Cow::Borrowed(stored));
        }
        let end = self.0.iter().map(|stretch| stretch.at.saturating_add(stretch.len)).max()?;
        if end > (stored.len() as u64).saturating_mul(WHOLE_FACTOR_MAX) {
            return None;
        }
        let mut whole = vec![0; usize::try_from(end).ok()?];
        for stretch in &self.0 {
            let from = stored.get(usize::try_from(stretch.start).ok()?..)?;
            let into = whole.get_mut(usize::try_from(stretch.at).ok()?..)?;
            let len = usize::try_from(stretch.len).ok()?;
            into.iter_mut().zip(from).take(len).for_each(|(into, from)| *into = *from);
        }
        Some(Cow::Owned(whole))
    }

    /// Brings a reading of the whole file down to the stored bytes.
    fn reduced(&self, reading: &Detected, stored: &[u8]) -> Detected {
        if reading.arch == Arch::None {
            return data(stored);
        }
        if !self.have_holes() {
            return *reading;
        }
        let go = self.reduced_tables(reading.go).unwrap_or_default();
        Detected { space: self.reduced_space(&reading.space), go, ..*reading }
    }

    /// Cuts segments at holes; of too many pieces, the longest are kept.
    fn reduced_space(&self, space: &Space) -> Space {
        let mut pieces: Vec<Segment> =
            space.segments().iter().flat_map(|segment| self.reduced_segment(segment)).collect();
        pieces.sort_by_key(|piece| std::cmp::Reverse(piece.file_len));
        pieces.truncate(SEGMENTS_MAX);
        pieces.sort_by_key(|piece| piece.offset);
        Space::new(&pieces)
    }

    fn reduced_segment(&self, segment: &Segment) -> Vec<Segment> {
        let (from, to) = (u64::from(segment.offset), u64::from(segment.offset) + u64::from(segment.file_len));
        let mut pieces: Vec<Segment> = Vec::new();
        for piece in self.0.iter().map(|stretch| stretch.within(from, to)).filter(|piece| piece.len > 0) {
            let (Ok(offset), Ok(file_len)) = (u32::try_from(piece.start), u32::try_from(piece.len)) else {
                continue;
            };
            let inside = piece.at.saturating_sub(from);
            let address = segment.address.wrapping_add(inside);
            pieces.push(Segment { offset, file_len, address, memory_len: piece.len });
        }
        if let Some(last) = pieces.last_mut() {
            // What is in memory behind the file is behind its last piece.
            let before = last.address.wrapping_sub(segment.address);
            last.memory_len = segment.memory_len.saturating_sub(before);
        }
        pieces
    }

    /// Returns where a place of the file is stored.
    fn stored_at(&self, at: u32) -> Option<u32> {
        let at = u64::from(at);
        let holds = |stretch: &&Extent| at >= stretch.at && at - stretch.at < stretch.len;
        let stretch = self.0.iter().find(holds)?;
        u32::try_from(stretch.start.saturating_add(at - stretch.at)).ok()
    }

    fn reduced_tables(&self, go: GoTables) -> Option<GoTables> {
        if go == GoTables::default() {
            return Some(go);
        }
        Some(GoTables {
            names: self.stored_at(go.names)?,
            units: self.stored_at(go.units)?,
            lines: self.stored_at(go.lines)?,
            functions: self.stored_at(go.functions)?,
            ..go
        })
    }
}

/// Returns the likely readings of both files, for their stored bytes.
pub(super) fn readings(
    (old, old_stored): (&Stretches, &[u8]),
    (new, new_stored): (&Stretches, &[u8]),
) -> Vec<(Detected, Detected)> {
    let (Some(old_whole), Some(new_whole)) = (old.whole(old_stored), new.whole(new_stored)) else {
        return vec![(data(old_stored), data(new_stored))];
    };
    let of_whole = readings_of_whole(&old_whole, &new_whole).into_iter();
    of_whole.map(|(a, b)| (old.reduced(&a, old_stored), new.reduced(&b, new_stored))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretches(of: &[(u64, u64, u64)]) -> Stretches {
        Stretches(of.iter().map(|(at, start, len)| Extent { at: *at, start: *start, len: *len }).collect())
    }

    fn segment(offset: u32, file_len: u32, address: u64, memory_len: u64) -> Segment {
        Segment { offset, file_len, address, memory_len }
    }

    #[test]
    fn a_file_is_read_with_its_zeros() {
        let file = stretches(&[(0, 0, 3), (5, 3, 2)]);
        assert!(file.have_holes());
        assert_eq!(file.whole(b"abcde").as_deref(), Some(&b"abc\0\0de"[..]));
        let far = stretches(&[(0, 0, 3), (1 << 40, 3, 2)]);
        assert_eq!(far.whole(b"abcde"), None);
        let file = stretches(&[(0, 0, 3), (3, 3, 2)]);
        assert!(!file.have_holes());
        assert_eq!(file.whole(b"abcde").as_deref(), Some(&b"abcde"[..]));
    }

    #[test]
    fn segments_are_cut_at_holes() {
        let file = stretches(&[(0, 0, 100), (200, 100, 100), (400, 200, 50)]);
        let check = |segments: &[Segment], expected: &[Segment]| {
            assert_eq!(file.reduced_space(&Space::new(segments)).segments(), expected);
        };
        check(&[segment(0, 100, 1000, 100)], &[segment(0, 100, 1000, 100)]);
        check(&[segment(0, 150, 1000, 150)], &[segment(0, 100, 1000, 150)]);
        check(&[segment(110, 80, 1000, 80)], &[]);
        check(
            &[segment(50, 375, 1000, 900)],
            &[segment(50, 50, 1000, 50), segment(100, 100, 1150, 100), segment(200, 25, 1350, 550)],
        );
        let many: Vec<(u64, u64, u64)> = (0..12).map(|n| (n * 200, n * 100, 90 + n)).collect();
        let cut = stretches(&many).reduced_space(&Space::new(&[segment(0, 5000, 0, 5000)]));
        let offsets: Vec<u32> = cut.segments().iter().map(|piece| piece.offset).collect();
        assert_eq!(offsets, [400, 500, 600, 700, 800, 900, 1000, 1100]);
    }

    #[test]
    fn tables_of_go_move_with_their_stretches() {
        let file = stretches(&[(0, 0, 100), (200, 100, 100)]);
        let go =
            GoTables { names: 50, units: 200, lines: 210, functions: 299, text: 7, ..GoTables::default() };
        let moved = GoTables { units: 100, lines: 110, functions: 199, ..go };
        assert_eq!(file.reduced_tables(go), Some(moved));
        assert_eq!(file.reduced_tables(GoTables { lines: 150, ..go }), None);
    }
}
