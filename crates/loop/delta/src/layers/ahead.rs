//! Reads ahead where reading goes forward.
//!
//! In: something to read from anywhere, and many small reads. Out: the bytes, with few reads of the thing itself.
//! Refuses nothing: what cannot be read is the caller's error.

use std::io::{self, Read, Seek, SeekFrom};

use super::PIECE_BYTES;

/// The least that is read, in bytes: a page, so that a lonely read costs little.
const LEAST_BYTES: usize = 4 << 10;

/// A buffer that remembers what was last read, and from where.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Where the buffer starts.
    start: u64,
    held: Vec<u8>,
    /// How much the last read fetched: it doubles while reading goes forward.
    fetched: usize,
}

impl Ahead {
    /// Fills `into` with what stands at `at`; never reads at or behind `end`.
    pub(super) fn read<S: Read + Seek + ?Sized>(
        &mut self,
        source: &mut S,
        (at, end): (u64, u64),
        into: &mut [u8],
    ) -> io::Result<()> {
        let held = self.held_at(at);
        if let Some(bytes) = held.get(..into.len()) {
            into.copy_from_slice(bytes);
            return Ok(());
        }
        let (first, rest) = into.split_at_mut(held.len());
        first.copy_from_slice(held);
        let at = at.saturating_add(first.len() as u64);
        if rest.len() >= PIECE_BYTES {
            source.seek(SeekFrom::Start(at))?;
            return source.read_exact(rest);
        }
        self.fetch(source, (at, end), rest.len())?;
        let fetched = self.held.get(..rest.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        rest.copy_from_slice(fetched);
        Ok(())
    }

    /// Forgets what was read: it has been written over.
    pub(super) fn forget(&mut self) {
        self.held.clear();
    }

    fn held_at(&self, at: u64) -> &[u8] {
        let skip = at.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.held.get(skip..)).unwrap_or_default()
    }

    fn fetch<S: Read + Seek + ?Sized>(
        &mut self,
        source: &mut S,
        (at, end): (u64, u64),
        least: usize,
    ) -> io::Result<()> {
        let forward = at == self.start.saturating_add(self.held.len() as u64);
        let wanted = if forward { self.fetched.saturating_mul(2) } else { LEAST_BYTES };
        let wanted = wanted.clamp(LEAST_BYTES, PIECE_BYTES).max(least);
        let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
        self.held.clear();
        self.held.resize(wanted.min(left), 0);
        self.start = at;
        self.fetched = wanted;
        let result = source.seek(SeekFrom::Start(at)).and_then(|_| source.read_exact(&mut self.held));
        if result.is_err() {
            self.held.clear();
        }
        result
    }
}
