//! Makes the index of an image.
//!
//! In: an image in memory, limits. Out: the four parts of its index. Refuses: images above the limits, and images that do not
//! come out byte for byte when they are made from their own index.

use std::io::{self, Write};

use sha2::{Digest, Sha256};
use warden_model::{ByteCount, Sha256Digest};

use super::cut::{Cut, Walk, check_of};
use super::error::IndexError;
use super::head::{IndexHead, Part};
use super::list::{Chunk, ChunkList, Frame, Item};
use super::map::ImageMap;
use crate::layers::{Layers, NewSink, PACK_PIECE_BYTES};
use crate::plan::plan_alone;

/// What making an index may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexLimits {
    /// Largest image. Its plain bytes are kept in memory three times.
    pub image_bytes_max: ByteCount,
    /// The Zstandard level of the content, 1 (fast) to 22 (small).
    pub level: u8,
}

impl Default for IndexLimits {
    fn default() -> Self {
        Self {
            // As for patches: root file systems of the devices that we know stay below 200 MiB.
            image_bytes_max: ByteCount::mib(256),
            // Made once, loaded by thousands; frames are shorter than the window of any level.
            level: 19,
        }
    }
}

/// The parts of an index, each a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeIndex {
    /// What the parts are, read.
    pub about: IndexHead,
    /// The head: its digest is what is signed.
    pub head: Vec<u8>,
    /// The map.
    pub map: Vec<u8>,
    /// The list.
    pub list: Vec<u8>,
    /// The content, which is served in ranges.
    pub content: Vec<u8>,
}

/// Makes the index of an image. The same image makes the same index.
pub fn make_index(image: &[u8], limits: &IndexLimits) -> Result<MadeIndex, IndexError> {
    let size = ByteCount(image.len() as u64);
    super::limited("bytes of image", size.0, limits.image_bytes_max.0)?;
    let alone = plan_alone(image);
    let digest = Sha256Digest(Sha256::digest(image).into());
    check_remade(&alone.layers, &alone.plain, digest)?;
    let map = ImageMap::of(&alone);
    let cuts = Cuts::of(&alone.plain, &map);
    let mut list = ChunkList { chunks: cuts.chunks.clone(), frames: Vec::new() };
    let content = pack_frames(&mut list, &cuts, limits.level)?;
    let (map, list) = (map.write()?, list.write()?);
    let about = IndexHead {
        image: digest,
        image_size: size,
        plain_size: ByteCount(alone.plain.len() as u64),
        map: Part::of(&map),
        list: Part::of(&list),
        content: Part::of(&content),
    };
    let head = about.write();
    // Whoever cannot be read by devices must not be published: limits are theirs.
    let about = IndexHead::read(&head)?;
    ImageMap::read(&map, &about)?;
    ChunkList::read(&list, &about)?;
    Ok(MadeIndex { about, head, map, list, content })
}

/// Packs the plain bytes as a device will, and compares.
fn check_remade(layers: &Layers, plain: &[u8], expected: Sha256Digest) -> Result<(), IndexError> {
    let mut hash = Hashing(Sha256::new());
    let mut sink = NewSink::new(layers, &mut hash);
    plain.chunks(PACK_PIECE_BYTES).try_for_each(|piece| sink.push(piece))?;
    sink.finish()?;
    let found = Sha256Digest(hash.0.finalize().into());
    if found == expected { Ok(()) } else { Err(IndexError::ResultMismatch { expected, found }) }
}

struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How many plain bytes make a frame. Larger frames pack better, and more is fetched that is not lacked: of 8, 16 and 32 KiB,
/// 8 fetch least (figures in `docs/adr/0011-any-to-any-index.md`).
const FRAME_BYTES: usize = 8 << 10;

/// The shortest frame that ends with a file, in plain bytes: an unchanged neighbour need not be fetched.
const FRAME_BYTES_MIN: usize = 4 << 10;

/// What an image is cut into.
#[derive(Default)]
struct Cuts {
    chunks: Vec<Chunk>,
    /// Whether a file ends with the chunk.
    ends_file: Vec<bool>,
    /// The bodies of all chunks, one after the other: as long as the plain bytes.
    bodies: Vec<u8>,
    /// Their fields, one after the other.
    fields: Vec<u8>,
    /// Where the fields of each chunk start.
    fields_at: Vec<usize>,
}

impl Cuts {
    fn of(plain: &[u8], map: &ImageMap) -> Self {
        let mut cuts = Self::default();
        let mut note = |cut: &Cut<'_>| cuts.note(cut);
        let mut walk = Walk::new(&map.files);
        walk.push(plain, &mut note);
        walk.finish(&mut note);
        cuts
    }

    fn note(&mut self, cut: &Cut<'_>) {
        let narrow = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        self.chunks.push(Chunk {
            check: cut.check,
            whole: cut.whole,
            len: narrow(cut.body.len()),
            fields_len: narrow(cut.fields.len()),
            code: cut.code,
        });
        self.ends_file.push(cut.ends_file);
        self.bodies.extend_from_slice(cut.body);
        self.fields_at.push(self.fields.len());
        self.fields.extend_from_slice(cut.fields);
    }

    /// Returns an item of the content, and whether a file ends with it.
    fn item(&self, item: &Item, is_body: bool) -> (&[u8], bool) {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let chunk = place(item.chunk.into());
        let ends_file = self.ends_file.get(chunk).copied().unwrap_or_default();
        let (all, at) = if is_body {
            (&self.bodies, place(item.start))
        } else {
            (&self.fields, self.fields_at.get(chunk).copied().unwrap_or(usize::MAX))
        };
        let bytes = all.get(at..).and_then(|rest| rest.get(..place(item.len.into())));
        (bytes.unwrap_or_default(), ends_file)
    }
}

/// Packs the items into frames; returns the content.
fn pack_frames(list: &mut ChunkList, cuts: &Cuts, level: u8) -> Result<Vec<u8>, IndexError> {
    let pack_error = |source| IndexError::Unpack { what: "content", source };
    let mut compressor = zstd::bulk::Compressor::new(i32::from(level)).map_err(pack_error)?;
    let mut content = Vec::new();
    let mut held = Vec::new();
    let mut first = 0_u32;
    let items = list.items();
    for (index, item) in items.all.iter().enumerate() {
        let (bytes, ends_file) = cuts.item(item, index < items.bodies);
        held.extend_from_slice(bytes);
        // Bodies and fields have nothing to say to each other.
        let is_last = index + 1 == items.bodies || index + 1 == items.all.len();
        let is_long = held.len() >= if ends_file { FRAME_BYTES_MIN } else { FRAME_BYTES };
        if !is_last && !is_long {
            continue;
        }
        let coded = compressor.compress(&held).map_err(pack_error)?;
        let coded = if coded.len() < held.len() { coded.as_slice() } else { held.as_slice() };
        let narrow = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        list.frames.push(Frame {
            at: content.len() as u64,
            packed_len: narrow(coded.len()),
            plain_len: narrow(held.len()),
            check: check_of(&[coded]),
            first,
        });
        first = narrow(index + 1);
        content.extend_from_slice(coded);
        held.clear();
    }
    Ok(content)
}
