//! A nested image held in memory, without its empty space.
//!
//! In: a stream. Out: [`Held`], which can seek. Refuses more than `file_bytes_max` of content in memory, for all held
//! images of an analysis together; empty space is free, since most of a fresh file system is empty.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use crate::budget::{Budget, read_up_to};
use crate::error::Halt;

/// The grain of empty space: 64 KiB, a few file system blocks.
const CHUNK_BYTES: usize = 64 * 1024;

/// Read instead of a chunk that holds nothing.
static EMPTY: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];

/// An image in memory.
pub(crate) struct Held {
    chunks: Vec<Option<Box<[u8]>>>,
    length: u64,
    position: u64,
    /// How much memory it uses.
    pub(crate) memory_bytes: u64,
}

impl Held {
    /// Reads a stream to its end. The caller lets the memory go when it is done; an image that fails has let go already.
    pub(crate) fn read_from(reader: &mut dyn Read, format: &str, budget: &Budget) -> Result<Self, Halt> {
        let mut held = Self { chunks: Vec::new(), length: 0, position: 0, memory_bytes: 0 };
        match held.fill(reader, format, budget) {
            Ok(()) => Ok(held),
            Err(halt) => {
                budget.let_go(held.memory_bytes);
                Err(halt)
            }
        }
    }

    fn fill(&mut self, reader: &mut dyn Read, format: &str, budget: &Budget) -> Result<(), Halt> {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let count =
                read_up_to(reader, &mut buffer).map_err(|error| Halt::from_read(format, budget, &error))?;
            let bytes = u64::try_from(count).unwrap_or(u64::MAX);
            self.length = self.length.saturating_add(bytes);
            let chunk = buffer.get(..count).unwrap_or_default();
            if chunk.iter().all(|byte| *byte == 0) {
                self.chunks.push(None);
            } else {
                self.memory_bytes = self.memory_bytes.saturating_add(bytes);
                budget.hold(bytes)?;
                self.chunks.push(Some(chunk.into()));
            }
            if count < CHUNK_BYTES {
                return Ok(());
            }
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Reads exactly, from anywhere.
    pub(crate) fn read_at(&mut self, start: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(start))?;
        self.read_exact(buffer)
    }
}

impl BufRead for Held {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = self.length.saturating_sub(self.position);
        let grain = CHUNK_BYTES as u64;
        let (Ok(index), Ok(offset)) =
            (usize::try_from(self.position / grain), usize::try_from(self.position % grain))
        else {
            return Ok(&[]);
        };
        let Some(chunk) = self.chunks.get(index) else { return Ok(&[]) };
        let bytes = chunk.as_deref().unwrap_or(&EMPTY).get(offset..).unwrap_or_default();
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes.get(..most).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.position = self.position.saturating_add(amount as u64).min(self.length);
    }
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl Seek for Held {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(start) => Some(start),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
