//! The coded bytes of a patch, as they come to a device.
//!
//! In: a patch by random access. Out: its bytes in order; for the coder, those of the copies, then those of a segment.
//! Refuses: to read beyond the end of the patch, of the copies or of the segment, and bytes that are left over there.

use super::{Patch, UpdateError};
use crate::coin::{Source, TAIL_BYTES};

/// How much is read at once, in bytes: enough for a bus, little of a stack.
const PIECE_BYTES: u32 = 64;

/// Reads a patch byte by byte.
pub(super) struct Reader<'a> {
    patch: &'a mut dyn Patch,
    len: u32,
    piece: [u8; PIECE_BYTES as usize],
    /// Where the piece starts in the patch, how much it holds, how much of that was handed out.
    start: u32,
    filled: u32,
    used: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(patch: &'a mut dyn Patch, at: u32) -> Self {
        let len = patch.len();
        Self { patch, len, piece: [0; PIECE_BYTES as usize], start: at, filled: 0, used: 0 }
    }

    /// Returns where the next byte lies.
    pub(super) fn at(&self) -> u32 {
        self.start.saturating_add(self.used)
    }

    fn seek(&mut self, at: u32) {
        (self.start, self.filled, self.used) = (at, 0, 0);
    }

    pub(super) fn byte(&mut self) -> Result<u8, UpdateError> {
        if self.used == self.filled {
            let at = self.at();
            let len = self.len.saturating_sub(at).min(PIECE_BYTES);
            if len == 0 {
                return Err(UpdateError::Corrupt("the patch ends too early: it was cut"));
            }
            self.seek(at);
            let piece = self.piece.get_mut(..len as usize).unwrap_or_default();
            self.patch.read(at, piece).map_err(UpdateError::Patch)?;
            self.filled = len;
        }
        let byte = self.piece.get(self.used as usize).copied().unwrap_or(0);
        self.used += 1;
        Ok(byte)
    }
}

/// The copies, then a segment: two streams of the coder.
pub(super) struct Coming<'a> {
    reader: Reader<'a>,
    left: u32,
    tail: usize,
    /// Where the segment lies and how long it is, until its turn has come.
    segment: Option<(u32, u32)>,
}

impl<'a> Coming<'a> {
    /// Starts with the copies, given where they lie and how long they are, like the segment.
    pub(super) fn new(patch: &'a mut dyn Patch, control: (u32, u32), segment: (u32, u32)) -> Self {
        let (at, len) = control;
        Self { reader: Reader::new(patch, at), left: len, tail: 0, segment: Some(segment) }
    }

    /// Refuses bytes that are left over.
    pub(super) fn expect_end(&self) -> Result<(), UpdateError> {
        if self.left > 0 || self.segment.is_some() {
            return Err(UpdateError::Corrupt("a segment goes on after its bytes are complete"));
        }
        Ok(())
    }
}

impl Source for &mut Coming<'_> {
    type Error = UpdateError;

    fn next(&mut self) -> Result<u8, UpdateError> {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return self.reader.byte();
        }
        self.tail += 1;
        if self.tail > TAIL_BYTES {
            return Err(UpdateError::Corrupt("a segment ends before its bytes are complete"));
        }
        Ok(0)
    }

    fn turn(&mut self) -> Result<(), UpdateError> {
        if self.left > 0 {
            return Err(UpdateError::Corrupt("the copies go on after their bytes are complete"));
        }
        let (at, len) = self.segment.take().ok_or(UpdateError::Corrupt("a segment has no bytes"))?;
        self.reader.seek(at);
        (self.left, self.tail) = (len, 0);
        Ok(())
    }
}
