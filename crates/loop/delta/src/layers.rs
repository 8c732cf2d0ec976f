//! The layers between an image and its plain bytes.
//!
//! In: the tables of a patch that say which stretches of the old and of the new image are packed. Out: the old plain
//! bytes by random access ([`OldPlain`]), the new image from its plain bytes, front to back ([`NewSink`]), and what
//! both need of memory and of scratch storage. Refuses: tables whose stretches overlap, leave their image or exceed the
//! limits below; stretches that do not unpack to the promised length.
//!
//! An *image* is the packed space of the first layer. A layer unpacks some stretches and leaves the rest as it is, all in
//! image order: that is its plain space, and the packed space of the next layer.

mod ahead;
mod cache;
mod engine;
mod new;
mod old;
mod table;

use std::io::{self, Read, Seek, Write};

use thiserror::Error;
use warden_model::ByteCount;

use crate::codec::{Codec, CodecError, Hint, unpack_memory};

pub(crate) use engine::unpack_onto;
pub(crate) use new::{NewSink, SinkPlace, can_resume};
pub(crate) use old::OldPlain;
pub(crate) use table::LayerBuilder;

/// How many layers a patch may have: a module (1) in an initramfs (2) in a container (3) is the deepest that we know.
pub(crate) const LAYERS_MAX: usize = 3;

/// How many stretches a layer may have on a side: 8 GiB of SquashFS in its usual blocks of 128 KiB, and 2 MiB of memory
/// for the table.
pub(crate) const STRETCHES_MAX: usize = 1 << 16;

/// How many hints a layer may have: an image is built by a handful of tools.
pub(crate) const HINTS_MAX: usize = 64;

/// How many codecs a layer may have. Blocks of a file system share one; compressed files have one each, since it knows
/// the time in their heads: the manual pages of a root file system.
pub(crate) const CODECS_MAX: usize = 1 << 12;

/// The largest plain space of a layer, in bytes: four times the largest image that limits of patches allow by default.
/// What an address costs in memory does not depend on it.
pub(crate) const PLAIN_BYTES_MAX: u64 = 1 << 32;

/// The longest stretch, packed and plain, that is unpacked into memory, in bytes: the largest block of SquashFS.
/// Longer ones (gzip streams of kernels) go to scratch storage.
pub(crate) const WHOLE_BYTES_MAX: u32 = 1 << 20;

/// The most that unpacked stretches may take in memory, in bytes: 32 blocks of the usual 128 KiB, enough for the
/// neighbourhood of a copy, a quarter of what a device lends us.
pub(crate) const CACHE_BYTES_MAX: u64 = 4 << 20;

/// The piece in which packers get a stretch, counted from its start, in bytes; the last one is shorter. What some packers
/// make depends on the cut: whoever proves a codec must push the same pieces.
pub(crate) const PACK_PIECE_BYTES: usize = 64 << 10;

/// The piece in which streams are read and unpacked, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// Storage for streams that are too long for memory, as large as [`Layers::scratch`] says. What it holds is worth
/// nothing afterwards.
pub trait Scratch: Read + Write + Seek {}

impl<T: Read + Write + Seek + ?Sized> Scratch for T {}

/// The layers of a pair of images, from the image upwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layers {
    /// The length of the old image, in bytes.
    old_len: u64,
    /// The length of the new image, in bytes.
    new_len: u64,
    /// From the image upwards.
    stack: Vec<Layer>,
}

/// A layer: which stretches of its packed spaces are unpacked, old and new. Built by [`LayerBuilder`], which checks it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layer {
    hints: Vec<Hint>,
    codecs: Vec<Codec>,
    old: Vec<OldStretch>,
    new: Vec<NewStretch>,
    old_plain_len: u64,
    new_plain_len: u64,
}

/// A packed stretch of the old side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OldStretch {
    /// Where it starts in the packed space.
    pub(crate) start: u64,
    /// Where it starts in the plain space.
    pub(crate) plain_start: u64,
    /// How long it is, packed.
    pub(crate) packed_len: u32,
    /// How long it is, unpacked: never 0.
    pub(crate) plain_len: u32,
    /// Which of the layer's hints says how to unpack it.
    pub(crate) hint: u8,
}

impl OldStretch {
    /// Returns where it ends in the packed space.
    pub(crate) fn end(&self) -> u64 {
        self.start.saturating_add(u64::from(self.packed_len))
    }

    /// Returns where it ends in the plain space.
    pub(crate) fn plain_end(&self) -> u64 {
        self.plain_start.saturating_add(u64::from(self.plain_len))
    }

    /// Says whether it is too long for memory.
    fn is_long(&self) -> bool {
        self.plain_len > WHOLE_BYTES_MAX || self.packed_len > WHOLE_BYTES_MAX
    }
}

/// A stretch of the new side that is to be packed. Where it will lie then, only packing tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewStretch {
    /// Where it starts in the plain space.
    pub(crate) plain_start: u64,
    /// How long it is, unpacked: never 0.
    pub(crate) plain_len: u32,
    /// Which of the layer's codecs packs it.
    pub(crate) codec: u16,
}

impl NewStretch {
    fn plain_end(&self) -> u64 {
        self.plain_start.saturating_add(u64::from(self.plain_len))
    }
}

/// Why layers could not be read or used.
#[derive(Debug, Error)]
pub enum LayerError {
    /// The table of packed stretches breaks its own format.
    #[error("the table of packed stretches is corrupt: {what}")]
    Table {
        /// What is wrong.
        what: &'static str,
    },
    /// The table of packed stretches exceeds a limit.
    #[error("the table of packed stretches has {found} {what}, only {limit} are allowed")]
    Limit {
        /// Of what there is too much.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// The table names a codec or a hint that is not known.
    #[error("read a codec of the table of packed stretches")]
    Codec {
        /// What is wrong with it.
        source: CodecError,
    },
    /// The patch reads from outside of the base.
    #[error("the patch reads {len} bytes at {at} of the unpacked base, which has {end}")]
    OutOfRange {
        /// Where it reads.
        at: u64,
        /// How much it reads.
        len: u64,
        /// How long the unpacked base is.
        end: u64,
    },
    /// The base could not be read.
    #[error("read the base at byte {at}")]
    ReadBase {
        /// Where.
        at: u64,
        /// What the reader said.
        source: io::Error,
    },
    /// Long streams are to be unpacked and there is no room for it.
    #[error("the patch needs {need} of scratch storage, and there is none")]
    NoScratch {
        /// How much is needed.
        need: ByteCount,
    },
    /// The scratch storage could not be written or read.
    #[error("use the scratch storage at byte {at}")]
    Scratch {
        /// Where.
        at: u64,
        /// What it said.
        source: io::Error,
    },
    /// A stretch of the base could not be unpacked.
    #[error("unpack the base at {start} of layer {layer}")]
    Unpack {
        /// The layer, from 1.
        layer: usize,
        /// Where the stretch starts in the packed space of the layer.
        start: u64,
        /// What the codec said.
        source: CodecError,
    },
    /// A stretch of the base unpacks to another length than the patch says.
    #[error(
        "the base at {start} of layer {layer} does not unpack to the {expected} bytes that the patch says"
    )]
    PlainLength {
        /// The layer, from 1.
        layer: usize,
        /// Where the stretch starts in the packed space of the layer.
        start: u64,
        /// What the patch says.
        expected: u64,
    },
    /// A stretch of the result could not be packed.
    #[error("pack the result at {start} of layer {layer}")]
    Pack {
        /// The layer, from 1.
        layer: usize,
        /// Where the stretch starts in the plain space of the layer.
        start: u64,
        /// What the codec said.
        source: CodecError,
    },
    /// The plain bytes of a layer are more or less than the patch says.
    #[error("the patch makes {found} plain bytes of layer {layer}, not the {expected} that it says")]
    NewLength {
        /// The layer, from 1; 0 is the result itself.
        layer: usize,
        /// How many were made; where it is more than expected, the first that is too much is counted.
        found: u64,
        /// How many there should be.
        expected: u64,
    },
    /// The result could not be written.
    #[error("write the result")]
    WriteResult {
        /// What the writer said.
        source: io::Error,
    },
}

impl Layers {
    /// Starts without layers: the plain bytes are the image.
    pub(crate) fn new(old_len: u64, new_len: u64) -> Self {
        Self { old_len, new_len, stack: Vec::new() }
    }

    /// Lays a layer on top. It must have been built for the plain space of the layer below.
    pub(crate) fn push(&mut self, layer: Layer) -> Result<(), LayerError> {
        if self.stack.len() >= LAYERS_MAX {
            let found = self.stack.len().saturating_add(1) as u64;
            return Err(LayerError::Limit { what: "layers", found, limit: LAYERS_MAX as u64 });
        }
        self.stack.push(layer);
        Ok(())
    }

    /// Leaves what unpacks the old image: for whoever reads it and makes nothing.
    pub(crate) fn only_old(mut self) -> Self {
        for layer in &mut self.stack {
            layer.new = Vec::new();
            layer.codecs = Vec::new();
        }
        self
    }

    /// Leaves what packs the new image: for whoever makes it and reads another one.
    pub(crate) fn only_new(mut self) -> Self {
        for layer in &mut self.stack {
            layer.old = Vec::new();
            layer.hints = Vec::new();
        }
        self
    }

    /// Returns the layers, from the image upwards.
    pub(crate) fn layers(&self) -> &[Layer] {
        &self.stack
    }

    /// Returns the length of the unpacked old image, in bytes.
    pub(crate) fn old_plain_len(&self) -> u64 {
        self.stack.last().map_or(self.old_len, |layer| layer.old_plain_len)
    }

    /// Returns the length of the unpacked new image, in bytes.
    pub(crate) fn new_plain_len(&self) -> u64 {
        self.stack.last().map_or(self.new_len, |layer| layer.new_plain_len)
    }

    /// Returns the most memory that [`OldPlain`] and [`NewSink`] take together, tables included. Every layer may have a
    /// stretch of its own under way, on both sides.
    pub(crate) fn memory(&self) -> ByteCount {
        // Two buffers that read ahead (image, scratch).
        let fixed = 2 * PIECE_BYTES as u64;
        let short_bytes: u64 = self.stack.iter().map(Layer::short_plain_bytes).fold(0, u64::saturating_add);
        let layers = self.stack.iter().map(Layer::memory).fold(0, u64::saturating_add);
        ByteCount(fixed.saturating_add(layers).saturating_add(short_bytes.min(CACHE_BYTES_MAX)))
    }

    /// Returns how much scratch storage [`OldPlain`] takes.
    pub(crate) fn scratch(&self) -> ByteCount {
        ByteCount(self.stack.iter().map(Layer::scratch_bytes).fold(0, u64::saturating_add))
    }
}

impl Layer {
    #[cfg(test)]
    /// Returns the packed stretches of the old side, by start.
    pub(crate) fn old(&self) -> &[OldStretch] {
        &self.old
    }

    #[cfg(test)]
    /// Returns the stretches of the new side that are to be packed, by start.
    pub(crate) fn new_stretches(&self) -> &[NewStretch] {
        &self.new
    }

    #[cfg(test)]
    /// Returns where in the plain space of the old side an address of the packed space lies; inside of a stretch, where
    /// that stretch starts.
    pub(crate) fn old_plain_at(&self, at: u64) -> u64 {
        let before = self.old.partition_point(|stretch| stretch.start <= at);
        let Some(stretch) = before.checked_sub(1).and_then(|index| self.old.get(index)) else { return at };
        match at.checked_sub(stretch.end()) {
            Some(behind) => stretch.plain_end().saturating_add(behind),
            None => stretch.plain_start,
        }
    }

    /// Returns how much scratch storage the long stretches of the old side take, in bytes.
    pub(crate) fn scratch_bytes(&self) -> u64 {
        let long = self.old.iter().filter(|stretch| stretch.is_long());
        long.map(|stretch| u64::from(stretch.plain_len)).fold(0, u64::saturating_add)
    }

    fn hint(&self, stretch: &OldStretch) -> Option<Hint> {
        self.hints.get(usize::from(stretch.hint)).copied()
    }

    fn short_plain_bytes(&self) -> u64 {
        let short = self.old.iter().filter(|stretch| !stretch.is_long());
        short.map(|stretch| u64::from(stretch.plain_len) + cache::SLOT_BYTES).fold(0, u64::saturating_add)
    }

    /// Returns what the layer takes besides the cache: tables, a stretch that is unpacked, one that is packed.
    fn memory(&self) -> u64 {
        let stretches = size_of_val(self.old.as_slice()).saturating_add(size_of_val(self.new.as_slice()));
        let tables = stretches.saturating_add(size_of_val(self.codecs.as_slice())) as u64;
        let short = self.old.iter().filter(|stretch| !stretch.is_long());
        let whole = short.map(|stretch| u64::from(stretch.packed_len) + u64::from(stretch.plain_len)).max();
        let stream = self.old.iter().any(OldStretch::is_long).then_some(2 * PIECE_BYTES as u64);
        let unpacking = self
            .old
            .iter()
            .filter_map(|stretch| Some(unpack_memory(self.hint(stretch)?, u64::from(stretch.plain_len))));
        let packing = self.new.iter().filter_map(|stretch| {
            let codec = self.codecs.get(usize::from(stretch.codec))?;
            Some(codec.memory(u64::from(stretch.plain_len)).0)
        });
        let pieces = (!self.new.is_empty()).then_some(3 * PACK_PIECE_BYTES as u64);
        [whole.max(stream), unpacking.max(), packing.max(), pieces]
            .into_iter()
            .flatten()
            .fold(tables, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests;
