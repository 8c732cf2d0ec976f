//! The list of an index: the chunks of the plain image, and where they lie in the content.
//!
//! In: the list of an index. Out: a [`ChunkList`], or its bytes. Refuses: a list with another digest, lengths that do not make
//! the plain image, frames that are too long or do not make the content.
//!
//! The content holds *items*: first the bodies of all chunks, then the fields of those that have some; what came before is not
//! there again. They lie in *frames*: each a Zstandard frame of its own, or as it is where that is shorter.

use std::collections::BTreeSet;

use super::code::Code;
use super::cut::{CHUNK_BYTES_MAX, Check, WholeCheck};
use super::error::IndexError;
use super::head::{HeadBytes, IndexHead, LIST_BYTES_MAX};
use super::map::{packed, unpacked};
use crate::format::{bytes, number, write_number};

/// The most chunks of an image: 512 MiB of data, or half of that of code. Each takes some 300 bytes while a plan is made, so
/// that the memory that a device lends is the narrower limit.
const CHUNKS_MAX: u64 = 1 << 17;

/// The most plain bytes of a frame: two chunks of any length.
pub(super) const FRAME_BYTES_MAX: usize = 32 << 10;

/// A chunk of the plain image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The check of its body.
    pub(super) check: Check,
    /// With fields, the check of body and fields together.
    pub(super) whole: WholeCheck,
    pub(super) len: u32,
    /// How long its fields are; 0 where it has none.
    pub(super) fields_len: u32,
    /// Its code; `None` where it has no fields.
    pub(super) code: Option<Code>,
}

/// What is in the content: the body or the fields of a chunk that has not come before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    /// The first chunk that has it.
    pub(super) chunk: u32,
    /// Where that starts in the plain image: what fields point at is counted from there.
    pub(super) start: u64,
    /// How long it is, unpacked.
    pub(super) len: u32,
}

/// A frame of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Where it starts in the content.
    pub(super) at: u64,
    /// How long it is, packed.
    pub(super) packed_len: u32,
    /// How long it is, unpacked; the same when it is not packed.
    pub(super) plain_len: u32,
    /// The check of its packed bytes.
    pub(super) check: Check,
    /// The first of its items.
    pub(super) first: u32,
}

impl Frame {
    /// Returns where it ends in the content.
    pub(super) fn end(&self) -> u64 {
        self.at.saturating_add(u64::from(self.packed_len))
    }
}

/// The chunks of an image, and the frames of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkList {
    /// The chunks of the plain image, in order.
    pub(super) chunks: Vec<Chunk>,
    /// The frames of the content, in order.
    pub(super) frames: Vec<Frame>,
}

/// What the content holds.
pub(super) struct Items {
    /// Bodies first, then fields.
    pub(super) all: Vec<Item>,
    /// How many are bodies.
    pub(super) bodies: usize,
}

impl ChunkList {
    /// Reads the list of an index, after checking its digest.
    pub fn read(coded: &[u8], head: &IndexHead) -> Result<Self, IndexError> {
        head.list.check(coded, "list")?;
        let plain = unpacked(coded, "list", LIST_BYTES_MAX)?;
        let mut rest = HeadBytes(&plain);
        let chunks = read_chunks(&mut rest, head.plain_size.0)?;
        let mut list = Self { chunks, frames: Vec::new() };
        list.frames = list.read_frames(&mut rest, head.content.size.0)?;
        if !rest.0.is_empty() {
            return Err(IndexError::Corrupt { what: "the list has bytes after its end" });
        }
        Ok(list)
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, IndexError> {
        let mut plain = Vec::new();
        write_number(self.chunks.len() as u64, &mut plain);
        self.chunks.iter().for_each(|chunk| write_number(u64::from(chunk.len), &mut plain));
        plain.extend(self.chunks.iter().map(|chunk| Code::number(chunk.code)));
        let coded = || self.chunks.iter().filter(|chunk| chunk.code.is_some());
        coded().for_each(|chunk| write_number(u64::from(chunk.fields_len), &mut plain));
        self.chunks.iter().for_each(|chunk| plain.extend(chunk.check));
        coded().for_each(|chunk| plain.extend(chunk.whole));
        write_number(self.frames.len() as u64, &mut plain);
        let ends = self.frames.iter().skip(1).map(|frame| frame.first);
        let ends = ends.chain([u32::try_from(self.items().all.len()).unwrap_or(u32::MAX)]);
        for (frame, end) in self.frames.iter().zip(ends) {
            write_number(u64::from(end.saturating_sub(frame.first)), &mut plain);
        }
        self.frames.iter().for_each(|frame| write_number(u64::from(frame.packed_len), &mut plain));
        self.frames.iter().for_each(|frame| plain.extend(frame.check));
        packed(&plain, "list")
    }

    /// Returns what the content holds.
    pub(super) fn items(&self) -> Items {
        let (mut bodies, mut wholes) = (BTreeSet::new(), BTreeSet::new());
        let (mut all, mut fields) = (Vec::new(), Vec::new());
        let mut start = 0_u64;
        for (index, chunk) in (0_u32..).zip(&self.chunks) {
            if bodies.insert(chunk.check) {
                all.push(Item { chunk: index, start, len: chunk.len });
            }
            if chunk.code.is_some() && wholes.insert((chunk.check, chunk.whole)) {
                fields.push(Item { chunk: index, start, len: chunk.fields_len });
            }
            start = start.saturating_add(u64::from(chunk.len));
        }
        let bodies = all.len();
        all.extend(fields);
        Items { all, bodies }
    }

    fn read_frames(&self, rest: &mut HeadBytes<'_>, content: u64) -> Result<Vec<Frame>, IndexError> {
        let items = self.items().all;
        let count = count(rest, "frames", items.len() as u64)?;
        let counts = column(rest, count)?;
        let lens = column(rest, count)?;
        let mut frames = Vec::with_capacity(count);
        let (mut at, mut first) = (0_u64, 0_usize);
        for (inside, packed_len) in counts.into_iter().zip(lens) {
            let end = usize::try_from(inside).ok().and_then(|inside| first.checked_add(inside));
            let inside = end.and_then(|end| items.get(first..end)).filter(|inside| !inside.is_empty());
            let (Some(end), Some(inside)) = (end, inside) else {
                return Err(IndexError::Corrupt { what: "a frame has chunks that are not there" });
            };
            let plain_len: u64 = inside.iter().map(|item| u64::from(item.len)).sum();
            super::limited("bytes of a frame", plain_len, FRAME_BYTES_MAX as u64)?;
            if packed_len == 0 || packed_len > plain_len {
                return Err(IndexError::Corrupt { what: "a frame is longer than what it holds" });
            }
            frames.push(Frame {
                at,
                packed_len: narrow(packed_len),
                plain_len: narrow(plain_len),
                check: [0; 16],
                first: narrow(first as u64),
            });
            at = at.saturating_add(packed_len);
            first = end;
        }
        if at != content || first != items.len() {
            return Err(IndexError::Corrupt { what: "the frames do not make the content" });
        }
        for frame in &mut frames {
            frame.check = bytes(rest)?;
        }
        Ok(frames)
    }

    /// Returns how much memory the list takes, with what planning adds to it.
    pub(super) fn memory(&self) -> u64 {
        let frames = size_of_val(self.frames.as_slice());
        (self.chunks.len().saturating_mul(PLANNED_BYTES).saturating_add(frames)) as u64
    }
}

/// What a chunk takes at most while a plan is made: itself, its items, their places by their checks (trees may be half empty),
/// and where they are found, in bytes.
const PLANNED_BYTES: usize = size_of::<Chunk>() + 2 * size_of::<Item>() + 200;

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn read_chunks(rest: &mut HeadBytes<'_>, plain_size: u64) -> Result<Vec<Chunk>, IndexError> {
    let count = count(rest, "chunks", CHUNKS_MAX)?;
    let mut chunks = Vec::with_capacity(count);
    let mut sum = 0_u64;
    for len in column(rest, count)? {
        if !(1..=CHUNK_BYTES_MAX as u64).contains(&len) {
            return Err(IndexError::Corrupt { what: "a chunk is empty or too long" });
        }
        sum = sum.saturating_add(len);
        chunks.push(Chunk { check: [0; 16], whole: [0; 8], len: narrow(len), fields_len: 0, code: None });
    }
    if sum != plain_size {
        return Err(IndexError::Corrupt { what: "the chunks do not make the image" });
    }
    for chunk in &mut chunks {
        let [code] = bytes(rest)?;
        chunk.code = Code::read(code)?;
    }
    for chunk in chunks.iter_mut().filter(|chunk| chunk.code.is_some()) {
        let len = number(rest)?;
        if len == 0 || len > u64::from(chunk.len) {
            return Err(IndexError::Corrupt { what: "the fields of a chunk are longer than itself" });
        }
        chunk.fields_len = narrow(len);
    }
    for chunk in &mut chunks {
        chunk.check = bytes(rest)?;
    }
    for chunk in chunks.iter_mut().filter(|chunk| chunk.code.is_some()) {
        chunk.whole = bytes(rest)?;
    }
    check_bodies(&chunks)?;
    Ok(chunks)
}

/// Refuses chunks that have the same body by their check, and another length or code.
fn check_bodies(chunks: &[Chunk]) -> Result<(), IndexError> {
    let mut known: Vec<(Check, u32, u32, u8)> = chunks
        .iter()
        .map(|chunk| (chunk.check, chunk.len, chunk.fields_len, Code::number(chunk.code)))
        .collect();
    known.sort_unstable();
    known.dedup();
    let mut pairs = known.iter().zip(known.iter().skip(1));
    if pairs.any(|(one, other)| one.0 == other.0) {
        return Err(IndexError::Corrupt { what: "a chunk is told in two ways" });
    }
    Ok(())
}

fn count(rest: &mut HeadBytes<'_>, what: &'static str, limit: u64) -> Result<usize, IndexError> {
    let found = number(rest)?;
    super::limited(what, found, limit)?;
    // Each entry takes 17 bytes at least: what is there bounds what is allocated.
    usize::try_from(found)
        .ok()
        .filter(|count| *count <= rest.0.len())
        .ok_or(IndexError::Corrupt { what: "it ends too early" })
}

fn column(rest: &mut HeadBytes<'_>, count: usize) -> Result<Vec<u64>, IndexError> {
    (0..count).map(|_| number(rest)).collect()
}
