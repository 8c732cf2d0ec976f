//! Something unpacked that is held in memory, without its empty space.
//!
//! In: a stream. Out: [`Held`], which can be read anywhere. Refuses more than `file_bytes_max` of content in memory, for
//! all that an analysis holds together; empty space is free, since most of a fresh file system is empty.

use std::io::{self, Read};

use crate::budget::{Budget, read_up_to};
use crate::bytes::ReadAt;

/// The grain of empty space: 64 KiB, a few file system blocks.
const CHUNK_BYTES: usize = 64 * 1024;

/// Read instead of a chunk that holds nothing.
static EMPTY: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];

/// An image in memory.
pub(crate) struct Held {
    chunks: Vec<Option<Box<[u8]>>>,
    length: u64,
    /// How much memory it uses.
    pub(crate) memory_bytes: u64,
}

impl Held {
    /// Reads a stream to its end. The caller lets the memory go when it is done; what fails has let go already.
    pub(crate) fn read_from(reader: &mut dyn Read, budget: &Budget) -> io::Result<Self> {
        let mut held = Self { chunks: Vec::new(), length: 0, memory_bytes: 0 };
        let filled = held.fill(reader, budget);
        if filled.is_err() {
            budget.let_go(held.memory_bytes);
        }
        filled.map(|()| held)
    }

    fn fill(&mut self, reader: &mut dyn Read, budget: &Budget) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let count = read_up_to(reader, &mut buffer)?;
            let bytes = u64::try_from(count).unwrap_or(u64::MAX);
            self.length = self.length.saturating_add(bytes);
            let chunk = buffer.get(..count).unwrap_or_default();
            if chunk.iter().all(|byte| *byte == 0) {
                self.chunks.push(None);
            } else {
                self.memory_bytes = self.memory_bytes.saturating_add(bytes);
                budget.hold(bytes).map_err(io::Error::other)?;
                self.chunks.push(Some(chunk.into()));
            }
            if count < CHUNK_BYTES {
                return Ok(());
            }
        }
    }
}

impl ReadAt for Held {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let grain = CHUNK_BYTES as u64;
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let position = at.saturating_add(filled as u64);
            let index = usize::try_from(position / grain).unwrap_or(usize::MAX);
            let offset = usize::try_from(position % grain).unwrap_or(0);
            let Some(chunk) = self.chunks.get(index) else { break };
            let there = usize::try_from(self.length.saturating_sub(position)).unwrap_or(usize::MAX);
            let bytes = chunk.as_deref().unwrap_or(&EMPTY).get(offset..).unwrap_or_default();
            let count = bytes.get(..there.min(bytes.len())).unwrap_or_default().read(rest)?;
            if count == 0 {
                break;
            }
            filled += count;
        }
        Ok(filled)
    }
}
