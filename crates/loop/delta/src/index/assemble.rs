//! Makes an image from what a device has and what it has fetched.
//!
//! In: the base, what was fetched, the map and the list of the image, a plan. Out: the image, written once from front to back.
//! Refuses: fetched frames with another digest, before they are unpacked; needs above the limits; a result with another
//! digest than promised.
//!
//! After an error the bytes already written are worth nothing: the caller throws them away, and never boots them.

use std::io::{self, SeekFrom, Write};

use sha2::{Digest, Sha256};
use warden_model::{ByteCount, Sha256Digest};

use super::code::{put_fields, take_fields};
use super::cut::check_of;
use super::error::IndexError;
use super::fetch::{Body, FetchPlan, Owned, Source, Stored};
use super::head::IndexHead;
use super::list::{Chunk, ChunkList, FRAME_BYTES_MAX, Frame};
use super::map::ImageMap;
use crate::apply::{ApplyLimits, ReadSeek};
use crate::layers::{NewSink, OldPlain};

/// Memory for frames, packed and not, and a chunk with its fields, in bytes.
const FIXED_MEMORY: u64 = 6 * FRAME_BYTES_MAX as u64;

/// What an image is made from.
pub struct Sources<'a> {
    /// What the device has: the same image and map as for the plan.
    pub own: Owned<'a>,
    /// What was fetched: the ranges of the plan, one after the other.
    pub fetched: &'a mut dyn ReadSeek,
    /// What is to be fetched, and where each chunk comes from.
    pub plan: &'a FetchPlan,
}

/// What an image is made after.
pub struct Fetched<'a> {
    /// The head of its index.
    pub head: &'a IndexHead,
    /// Its map.
    pub map: &'a ImageMap,
    /// Its list.
    pub list: &'a ChunkList,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assembled {
    /// How much was written: always the size that the head says.
    pub written: ByteCount,
}

/// Makes an image.
pub fn assemble(
    sources: Sources<'_>,
    wanted: &Fetched<'_>,
    result: &mut dyn Write,
    limits: &ApplyLimits,
) -> Result<Assembled, IndexError> {
    let Fetched { head, map, list } = wanted;
    if head.image_size > limits.result_bytes_max {
        return Err(IndexError::ResultTooLarge { size: head.image_size, limit: limits.result_bytes_max });
    }
    let own = sources.own.map;
    let memory = [own.memory(), map.memory(), list.memory(), FIXED_MEMORY];
    let memory = memory.into_iter().fold(0, u64::saturating_add);
    super::limited("bytes of memory", memory, limits.memory_max.0)?;
    super::limited("bytes of scratch storage", own.layers.scratch().0, limits.scratch_max.0)?;

    let mut plain = OldPlain::new(&own.layers, sources.own.image, sources.own.scratch)?;
    let mut frames = Frames { fetched: sources.fetched, plan: sources.plan, held: [None, None] };
    let mut hashed = Hashed { result, hash: Sha256::new() };
    let mut sink = NewSink::new(&map.layers, &mut hashed);
    let mut chunks = Chunks { plain: &mut plain, frames: &mut frames, list };
    for (chunk, source) in list.chunks.iter().zip(&sources.plan.sources) {
        sink.push(&chunks.make(chunk, source)?)?;
    }
    let written = ByteCount(sink.finish()?);
    let found = Sha256Digest(hashed.hash.finalize().into());
    if found != head.image {
        return Err(IndexError::ResultMismatch { expected: head.image, found });
    }
    hashed.result.flush().map_err(|source| IndexError::WriteResult { source })?;
    Ok(Assembled { written })
}

/// Makes chunks.
struct Chunks<'c, 'p, 'f> {
    plain: &'c mut OldPlain<'p>,
    frames: &'c mut Frames<'f>,
    list: &'c ChunkList,
}

impl Chunks<'_, '_, '_> {
    fn make(&mut self, chunk: &Chunk, source: &Source) -> Result<Vec<u8>, IndexError> {
        let mut bytes = vec![0; usize::try_from(chunk.len).unwrap_or(0)];
        match source.body {
            Body::Own(at) => self.plain.read_at(at, &mut bytes)?,
            Body::Content(stored) => self.frames.read(self.list, stored, &mut bytes)?,
        }
        let (Some((stored, at)), Some(code)) = (source.fields, chunk.code) else { return Ok(bytes) };
        if let Body::Own(_) = source.body {
            // What its fields point at there.
            take_fields(code, &mut bytes, 0);
        }
        let mut fields = vec![0; usize::try_from(chunk.fields_len).unwrap_or(0)];
        self.frames.read(self.list, stored, &mut fields)?;
        if put_fields(code, &mut bytes, at, &fields) {
            return Ok(bytes);
        }
        Err(IndexError::Corrupt { what: "the fields of a chunk do not fit its body" })
    }
}

/// How far what was fetched goes, in bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Up to where frames are there as a whole.
    pub whole: u64,
    /// Up to where they are right: less when one is not.
    pub right: u64,
}

/// Checks the frames among what was fetched, from a place up to which they are right; `fetched_bytes` are there. Nothing is
/// unpacked.
pub fn check_fetched(
    plan: &FetchPlan,
    list: &ChunkList,
    fetched: &mut dyn ReadSeek,
    (right_bytes, fetched_bytes): (u64, u64),
) -> Result<Checked, IndexError> {
    let mut checked = Checked { whole: right_bytes, right: right_bytes };
    for frame in &list.frames {
        let Some(at) = plan.staged_at(frame).filter(|at| *at >= right_bytes) else { continue };
        let end = at.saturating_add(u64::from(frame.packed_len));
        if end > fetched_bytes {
            break;
        }
        if checked.whole == checked.right {
            match read_frame(fetched, at, frame) {
                Ok(_) => checked.right = end,
                Err(IndexError::WrongPart { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        checked.whole = end;
    }
    Ok(checked)
}

/// Reads a fetched frame, and refuses it if it is not the one that the list names.
fn read_frame(fetched: &mut dyn ReadSeek, at: u64, frame: &Frame) -> Result<Vec<u8>, IndexError> {
    let mut packed = vec![0; usize::try_from(frame.packed_len).unwrap_or(0)];
    fetched
        .seek(SeekFrom::Start(at))
        .and_then(|_| fetched.read_exact(&mut packed))
        .map_err(|source| IndexError::ReadFetched { source })?;
    if check_of(&[&packed]) == frame.check {
        Ok(packed)
    } else {
        Err(IndexError::WrongPart { what: "content" })
    }
}

/// The frames that were fetched; those last used are kept unpacked: one of bodies, and one of fields.
struct Frames<'a> {
    fetched: &'a mut dyn ReadSeek,
    plan: &'a FetchPlan,
    held: [Option<(u32, Vec<u8>)>; 2],
}

impl Frames<'_> {
    /// Reads an item.
    fn read(&mut self, list: &ChunkList, stored: Stored, into: &mut [u8]) -> Result<(), IndexError> {
        const LOST: IndexError = IndexError::Corrupt { what: "a chunk is in no frame that was fetched" };
        let is_held =
            |held: &Option<(u32, Vec<u8>)>| held.as_ref().is_some_and(|(index, _)| *index == stored.frame);
        if !self.held.iter().any(is_held) {
            let frame =
                usize::try_from(stored.frame).ok().and_then(|index| list.frames.get(index)).ok_or(LOST)?;
            let at = self.plan.staged_at(frame).ok_or(LOST)?;
            let packed = read_frame(self.fetched, at, frame)?;
            self.held = [Some((stored.frame, unpack_frame(packed, frame)?)), self.held[0].take()];
        } else if !is_held(&self.held[0]) {
            self.held.swap(0, 1);
        }
        let start = usize::try_from(stored.skip).unwrap_or(usize::MAX);
        let plain = self.held[0].as_ref().and_then(|(_, plain)| plain.get(start..)?.get(..into.len()));
        into.copy_from_slice(plain.ok_or(LOST)?);
        Ok(())
    }
}

fn unpack_frame(packed: Vec<u8>, frame: &Frame) -> Result<Vec<u8>, IndexError> {
    if frame.packed_len == frame.plain_len {
        return Ok(packed);
    }
    let len = usize::try_from(frame.plain_len).unwrap_or(0);
    let unpack_error = |source| IndexError::Unpack { what: "content", source };
    let plain = zstd::bulk::decompress(&packed, len).map_err(unpack_error)?;
    if plain.len() == len {
        return Ok(plain);
    }
    Err(IndexError::Corrupt { what: "a frame does not unpack to what the list says" })
}

/// The result on its way, hashed.
struct Hashed<'a> {
    result: &'a mut dyn Write,
    hash: Sha256,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.result.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or(bytes));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.result.flush()
    }
}
