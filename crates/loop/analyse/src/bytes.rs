//! Bytes that can be read anywhere: an image, a part of one, or something that was unpacked into memory.
//!
//! In: a [`ReadAt`]. Out: [`Bytes`], a window that is cheap to copy and to cut. Refuses to read behind its end; makes no
//! room for what is not there.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, BufRead, Read, SeekFrom};
use std::rc::Rc;

use crate::ReadSeek;

/// A page of the image that is kept, in bytes.
const PAGE_BYTES: usize = 64 * 1024;

/// Most pages that are kept. 4 MiB together: tables at both ends of an image, and the data between them.
const PAGES_MAX: usize = 64;

/// Bytes that a reader fetches at once.
const READER_BYTES: usize = 32 * 1024;

/// Longest magic number that is asked for.
const MAGIC_BYTES_MAX: usize = 32;

/// Something that can be read anywhere.
pub(crate) trait ReadAt {
    fn length(&self) -> u64;

    /// Reads from `at`; returns how much came, which is less than asked for only at the end.
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// A window on a source.
#[derive(Clone)]
pub(crate) struct Bytes<'a> {
    source: Rc<dyn ReadAt + 'a>,
    start: u64,
    length: u64,
}

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endian {
    Little,
    Big,
}

impl Endian {
    pub(crate) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(crate) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(crate) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(source: Rc<dyn ReadAt + 'a>) -> Self {
        let length = source.length();
        Self { source, start: 0, length }
    }

    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self::new(Rc::new(Memory(bytes)))
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Cuts a window out; what would lie behind the end is left off.
    pub(crate) fn slice(&self, at: u64, length: u64) -> Self {
        let at = at.min(self.length);
        Self {
            source: Rc::clone(&self.source),
            start: self.start.saturating_add(at),
            length: length.min(self.length - at),
        }
    }

    /// The window from `at` to the end.
    pub(crate) fn from(&self, at: u64) -> Self {
        self.slice(at, u64::MAX)
    }

    /// Reads what there is from `at`, at most a buffer full.
    pub(crate) fn read_some(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most) else { return Ok(0) };
        self.source.read_at(self.start.saturating_add(at), buffer)
    }

    pub(crate) fn read_exact(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.read_some(at, buffer)? == buffer.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Reads a piece into memory; one that is not wholly there is refused before room is made for it.
    pub(crate) fn vec(&self, at: u64, length: u64) -> io::Result<Vec<u8>> {
        if at.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.read_exact(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads at most `most` bytes from `at`: fewer at the end, none where reading fails.
    pub(crate) fn head(&self, at: u64, most: u64) -> Vec<u8> {
        self.vec(at, most.min(self.length.saturating_sub(at))).unwrap_or_default()
    }

    pub(crate) fn array<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.read_exact(at, &mut bytes).ok()?;
        Some(bytes)
    }

    pub(crate) fn u8(&self, at: u64) -> Option<u8> {
        self.array::<1>(at).map(|[byte]| byte)
    }

    pub(crate) fn u16(&self, endian: Endian, at: u64) -> Option<u16> {
        self.array(at).map(|bytes| endian.u16(bytes))
    }

    pub(crate) fn u32(&self, endian: Endian, at: u64) -> Option<u32> {
        self.array(at).map(|bytes| endian.u32(bytes))
    }

    pub(crate) fn u64(&self, endian: Endian, at: u64) -> Option<u64> {
        self.array(at).map(|bytes| endian.u64(bytes))
    }

    /// Says whether a magic number of at most 32 bytes stands at `at`.
    pub(crate) fn has(&self, at: u64, magic: &[u8]) -> bool {
        let mut there = [0; MAGIC_BYTES_MAX];
        there.get_mut(..magic.len()).is_some_and(|there| self.read_exact(at, there).is_ok() && there == magic)
    }

    pub(crate) fn reader(&self) -> Reader<'a> {
        Reader { bytes: self.clone(), position: 0, buffer: Vec::new(), taken: 0 }
    }
}

/// Reads a window from its start to its end.
pub(crate) struct Reader<'a> {
    bytes: Bytes<'a>,
    /// Where the byte behind the buffer lies.
    position: u64,
    buffer: Vec<u8>,
    taken: usize,
}

impl Reader<'_> {
    /// Returns how far the reader has come.
    pub(crate) fn position(&self) -> u64 {
        self.position.saturating_sub(self.buffer.len().saturating_sub(self.taken) as u64)
    }
}

impl BufRead for Reader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken >= self.buffer.len() {
            self.taken = 0;
            self.buffer.resize(READER_BYTES, 0);
            let count = self.bytes.read_some(self.position, &mut self.buffer);
            self.buffer.truncate(*count.as_ref().unwrap_or(&0));
            self.position = self.position.saturating_add(count? as u64);
        }
        Ok(self.buffer.get(self.taken..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.taken = self.taken.saturating_add(amount).min(self.buffer.len());
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken >= self.buffer.len() && buffer.len() >= READER_BYTES {
            let count = self.bytes.read_some(self.position, buffer)?;
            self.position = self.position.saturating_add(count as u64);
            return Ok(count);
        }
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// Bytes in memory.
struct Memory(Vec<u8>);

impl ReadAt for Memory {
    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        self.0.get(at..).unwrap_or_default().read(buffer)
    }
}

/// The image itself, with the pages that were read last.
pub(crate) struct Image<'a> {
    length: u64,
    inner: RefCell<Pages<'a>>,
}

struct Pages<'a> {
    image: Box<dyn ReadSeek + 'a>,
    /// The number of each page and what is in it, the one that was used last at the end.
    kept: VecDeque<(u64, Vec<u8>)>,
}

impl<'a> Image<'a> {
    pub(crate) fn new(image: Box<dyn ReadSeek + 'a>, length: u64) -> Self {
        Self { length, inner: RefCell::new(Pages { image, kept: VecDeque::new() }) }
    }
}

impl Pages<'_> {
    fn page(&mut self, number: u64) -> io::Result<&[u8]> {
        let kept = match self.kept.iter().position(|(kept, _)| *kept == number) {
            Some(index) => self.kept.remove(index),
            None => None,
        };
        let page = if let Some(page) = kept {
            page
        } else {
            let reuse = if self.kept.len() >= PAGES_MAX { self.kept.pop_front() } else { None };
            let mut bytes = reuse.map(|(_, bytes)| bytes).unwrap_or_default();
            bytes.resize(PAGE_BYTES, 0);
            self.image.seek(SeekFrom::Start(number.saturating_mul(PAGE_BYTES as u64)))?;
            let count = crate::budget::read_up_to(&mut self.image, &mut bytes)?;
            bytes.truncate(count);
            (number, bytes)
        };
        self.kept.push_back(page);
        Ok(self.kept.back().map(|(_, bytes)| bytes.as_slice()).unwrap_or_default())
    }
}

impl ReadAt for Image<'_> {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut pages = self.inner.borrow_mut();
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let position = at.saturating_add(filled as u64);
            let page = pages.page(position / PAGE_BYTES as u64)?;
            let offset = usize::try_from(position % PAGE_BYTES as u64).unwrap_or(0);
            let count = page.get(offset..).unwrap_or_default().read(rest)?;
            if count == 0 {
                break;
            }
            filled += count;
        }
        Ok(filled)
    }
}

/// Pieces of other bytes in a new order, with empty space between them.
pub(crate) struct Pieces<'a> {
    length: u64,
    /// What an empty place reads as.
    fill: u8,
    /// Where each piece begins, and the piece; sorted.
    placed: Vec<(u64, Bytes<'a>)>,
}

impl<'a> Pieces<'a> {
    /// Puts pieces together; of two that overlap the later one in the list is cut off by the next start.
    pub(crate) fn joined(length: u64, fill: u8, mut pieces: Vec<(u64, Bytes<'a>)>) -> Bytes<'a> {
        pieces.sort_by_key(|(start, _)| *start);
        Bytes::new(Rc::new(Self { length, fill, placed: pieces }))
    }
}

impl ReadAt for Pieces<'_> {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        let mut filled = 0;
        while filled < most {
            let position = at.saturating_add(filled as u64);
            let next = self.placed.partition_point(|(start, _)| *start <= position);
            let end = self.placed.get(next).map_or(self.length, |(start, _)| *start);
            let room = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX).min(most - filled);
            let Some(rest) = buffer.get_mut(filled..filled + room) else { break };
            let piece = next.checked_sub(1).and_then(|index| self.placed.get(index));
            let count = match piece {
                Some((start, bytes)) => bytes.read_some(position - start, rest)?,
                None => 0,
            };
            // Behind a piece that is shorter than the room for it there is empty space.
            let count = if count == 0 {
                rest.fill(self.fill);
                room
            } else {
                count
            };
            if count == 0 {
                break;
            }
            filled += count;
        }
        Ok(filled)
    }
}

/// The numbers in a structure that was read as a whole; what lies behind its end reads as zero.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'f> {
    pub(crate) bytes: &'f [u8],
    pub(crate) endian: Endian,
}

impl<'f> Fields<'f> {
    pub(crate) fn little(bytes: &'f [u8]) -> Self {
        Self { bytes, endian: Endian::Little }
    }

    pub(crate) fn big(bytes: &'f [u8]) -> Self {
        Self { bytes, endian: Endian::Big }
    }

    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        self.bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
    }

    pub(crate) fn u8(self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    pub(crate) fn u16(self, at: usize) -> u16 {
        self.endian.u16(self.array(at))
    }

    pub(crate) fn u32(self, at: usize) -> u32 {
        self.endian.u32(self.array(at))
    }

    pub(crate) fn u64(self, at: usize) -> u64 {
        self.endian.u64(self.array(at))
    }

    /// The bytes from `at` to `at + length`; fewer at the end.
    pub(crate) fn slice(self, at: usize, length: usize) -> &'f [u8] {
        let rest = self.bytes.get(at..).unwrap_or_default();
        rest.get(..length).unwrap_or(rest)
    }

    /// The text from `at` to the first NUL, at most `length` bytes.
    pub(crate) fn text(self, at: usize, length: usize) -> &'f [u8] {
        let field = self.slice(at, length);
        field.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}
