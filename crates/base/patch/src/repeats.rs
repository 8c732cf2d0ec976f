//! Finds what literals repeat: files that have no predecessor are full of themselves.
//!
//! In: literals, one after the other. Out: a guess of the next. Refuses nothing.

use crate::model::{hash, place};

/// How many bytes must agree before a repeat is believed.
const AGREE_BYTES: u32 = 5;

/// The kept literals, and where each run of [`AGREE_BYTES`] ended last.
#[derive(Debug)]
pub(crate) struct Repeats<'m> {
    history: &'m mut [u8],
    index: &'m mut [u32],
    /// How many literals there were.
    count: u32,
    /// Which literal repeats the next one, and how many in a row were right.
    from: u32,
    right: u32,
    /// The last bytes, the newest lowest.
    recent: u64,
}

impl<'m> Repeats<'m> {
    pub(crate) fn new(history: &'m mut [u8], index: &'m mut [u32]) -> Self {
        index.fill(u32::MAX);
        Self { history, index, count: 0, from: 0, right: 0, recent: 0 }
    }

    fn expected(&self) -> Option<u8> {
        if self.right == 0 {
            return None;
        }
        self.history.get(self.from as usize & self.history.len().wrapping_sub(1)).copied()
    }

    /// Returns a context: the byte that a repeat would bring, and how long it has been right.
    pub(crate) fn guess(&self) -> u32 {
        match self.expected() {
            // The longer it was right, the surer it is; beyond 32 bytes it makes no difference.
            Some(byte) => hash(u32::from(byte) | self.right.min(32) << 8, 8),
            None => 0,
        }
    }

    pub(crate) fn push(&mut self, byte: u8) {
        if self.history.is_empty() {
            return;
        }
        self.right = if self.expected() == Some(byte) { self.right.saturating_add(1) } else { 0 };
        self.from = self.from.wrapping_add(1);
        let at = self.count as usize & (self.history.len() - 1);
        if let Some(place) = self.history.get_mut(at) {
            *place = byte;
        }
        self.count = self.count.wrapping_add(1);
        self.recent = self.recent << 8 | u64::from(byte);
        #[expect(clippy::cast_possible_truncation, reason = "the last five bytes are hashed, in two halves")]
        let key = hash(self.recent as u32, (self.recent >> 32) as u32 & 0xff);
        let len = self.index.len();
        let Some(entry) = self.index.get_mut(place(key, len)) else { return };
        if self.right == 0
            && *entry != u32::MAX
            && self.count.wrapping_sub(*entry) as usize <= self.history.len()
        {
            self.from = *entry;
            self.right = AGREE_BYTES - 4;
        }
        *entry = self.count;
    }
}
