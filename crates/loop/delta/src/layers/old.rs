//! The unpacked old image, by random access.
//!
//! In: the old image, the layers, scratch storage if they need it. Out: plain bytes at any address. Refuses: addresses
//! outside, long streams without scratch storage, stretches that are not what the table says.
//!
//! Reads are small and mostly go forward. A read inside of the region of the last one costs a comparison and a copy; a
//! stretch is unpacked once and kept until others drive it out; a long stream is unpacked once, to scratch storage.

use std::collections::BTreeMap;

use super::ahead::Ahead;
use super::cache::Cache;
use super::engine::{Fault, Pipe, unpack_through, unpack_whole};
use super::{CACHE_BYTES_MAX, Layer, LayerError, Layers, OldStretch, Scratch};
use crate::apply::ReadSeek;

/// The plain bytes of the old image.
pub(crate) struct OldPlain<'a> {
    layers: &'a Layers,
    image: &'a mut dyn ReadSeek,
    image_ahead: Ahead,
    scratch: Option<&'a mut dyn Scratch>,
    scratch_ahead: Ahead,
    /// Where long stretches lie in the scratch storage, and whether they are there yet; by layer and place.
    long: BTreeMap<(usize, usize), Long>,
    pub(super) cache: Cache,
    /// The region of the last read, for each layer.
    last: Vec<Region>,
    /// Memory for the packed bytes of a stretch.
    packed: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Long {
    at: u64,
    filled: bool,
}

/// A contiguous region of a plain space.
#[derive(Debug, Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Raw bytes; where they start in the packed space.
    Raw { packed_start: u64 },
    /// A stretch that is kept whole; its place in the table.
    Whole { index: usize },
    /// A stretch that goes to scratch storage; its place in the table.
    Long { index: usize },
}

impl Default for Kind {
    fn default() -> Self {
        Self::Raw { packed_start: 0 }
    }
}

impl<'a> OldPlain<'a> {
    /// Looks at an old image through layers. Nothing is read yet, and nothing unpacked.
    pub(crate) fn new(
        layers: &'a Layers,
        image: &'a mut dyn ReadSeek,
        scratch: Option<&'a mut dyn Scratch>,
    ) -> Result<Self, LayerError> {
        let need = layers.scratch();
        if need.0 > 0 && scratch.is_none() {
            return Err(LayerError::NoScratch { need });
        }
        let mut long = BTreeMap::new();
        let mut at = 0_u64;
        for (layer, table) in layers.stack.iter().enumerate() {
            for (index, stretch) in table.old.iter().enumerate().filter(|(_, stretch)| stretch.is_long()) {
                long.insert((layer, index), Long { at, filled: false });
                at = at.saturating_add(u64::from(stretch.plain_len));
            }
        }
        Ok(Self {
            layers,
            image,
            image_ahead: Ahead::default(),
            scratch,
            scratch_ahead: Ahead::default(),
            long,
            cache: Cache::new(CACHE_BYTES_MAX),
            last: vec![Region::default(); layers.stack.len()],
            packed: Vec::new(),
        })
    }

    /// Returns how many plain bytes there are.
    pub(crate) fn len(&self) -> u64 {
        self.layers.old_plain_len()
    }

    /// Fills `into` with the plain bytes at `at`.
    pub(crate) fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), LayerError> {
        let (len, end) = (into.len() as u64, self.len());
        if at.checked_add(len).is_none_or(|behind| behind > end) {
            return Err(LayerError::OutOfRange { at, len, end });
        }
        self.read(self.layers.stack.len(), at, into)
    }

    /// Reads from the plain space of the `height`-th layer; that of no layer is the image.
    fn read(&mut self, height: usize, mut at: u64, mut into: &mut [u8]) -> Result<(), LayerError> {
        let Some(below) = height.checked_sub(1) else { return self.read_image(at, into) };
        while !into.is_empty() {
            let region = self.region(below, at);
            let left = usize::try_from(region.end.saturating_sub(at)).unwrap_or(usize::MAX);
            let (piece, rest) = into.split_at_mut(left.min(into.len()));
            if piece.is_empty() {
                return Err(LayerError::OutOfRange { at, len: rest.len() as u64, end: region.end });
            }
            let skip = at.saturating_sub(region.start);
            at = at.saturating_add(piece.len() as u64);
            match region.kind {
                Kind::Raw { packed_start } => self.read(below, packed_start.saturating_add(skip), piece)?,
                Kind::Whole { index } => self.read_whole((below, index), skip, piece)?,
                Kind::Long { index } => self.read_long((below, index), skip, piece)?,
            }
            into = rest;
        }
        Ok(())
    }

    fn read_image(&mut self, at: u64, into: &mut [u8]) -> Result<(), LayerError> {
        let range = (at, self.layers.old_len);
        self.image_ahead.read(self.image, range, into).map_err(|source| LayerError::ReadBase { at, source })
    }

    /// Returns the region around an address; mostly it is the last one.
    fn region(&mut self, layer: usize, at: u64) -> Region {
        let last = self.last.get(layer).copied().unwrap_or_default();
        if at >= last.start && at < last.end {
            return last;
        }
        let region = self.layers.stack.get(layer).map(|table| region(table, at)).unwrap_or_default();
        if let Some(last) = self.last.get_mut(layer) {
            *last = region;
        }
        region
    }

    fn read_whole(&mut self, key: (usize, usize), skip: u64, into: &mut [u8]) -> Result<(), LayerError> {
        if let Some(bytes) = self.cache.get(key) {
            return copy_from(bytes, skip, into);
        }
        let bytes = self.unpack(key)?;
        copy_from(&bytes, skip, into)?;
        self.cache.put(key, bytes);
        Ok(())
    }

    fn unpack(&mut self, key: (usize, usize)) -> Result<Vec<u8>, LayerError> {
        let (table, stretch) = self.stretch(key)?;
        let hint = table.hint(&stretch).ok_or(LOST)?;
        // Reading may unpack a stretch of the layer below, which takes memory of its own.
        let mut packed = std::mem::take(&mut self.packed);
        packed.resize(usize::try_from(stretch.packed_len).map_err(|_| LOST)?, 0);
        self.read(key.0, stretch.start, &mut packed)?;
        let plain_len = usize::try_from(stretch.plain_len).map_err(|_| LOST)?;
        let room = self.cache.make_room(u64::from(stretch.plain_len));
        let result = unpack_whole(hint, &packed, plain_len, room);
        self.packed = packed;
        result.map_err(|fault| explained(fault, key, &stretch))
    }

    fn read_long(&mut self, key: (usize, usize), skip: u64, into: &mut [u8]) -> Result<(), LayerError> {
        let long = *self.long.get(&key).ok_or(LOST)?;
        if !long.filled {
            self.fill(key, long.at)?;
            self.long.insert(key, Long { filled: true, ..long });
        }
        let (_, stretch) = self.stretch(key)?;
        let (at, end) = (long.at.saturating_add(skip), long.at.saturating_add(u64::from(stretch.plain_len)));
        let need = self.layers.scratch();
        let scratch = self.scratch.as_deref_mut().ok_or(LayerError::NoScratch { need })?;
        self.scratch_ahead.read(scratch, (at, end), into).map_err(|source| LayerError::Scratch { at, source })
    }

    /// Unpacks a long stretch to the scratch storage.
    fn fill(&mut self, key: (usize, usize), at: u64) -> Result<(), LayerError> {
        let (table, stretch) = self.stretch(key)?;
        let hint = table.hint(&stretch).ok_or(LOST)?;
        let mut filling = Filling {
            height: key.0,
            packed_at: stretch.start,
            packed_left: u64::from(stretch.packed_len),
            scratch_at: at,
            plain: self,
        };
        unpack_through(hint, &mut filling, u64::from(stretch.plain_len))
            .map_err(|fault| explained(fault, key, &stretch))?;
        self.scratch_ahead.forget();
        Ok(())
    }

    fn stretch(&self, (layer, index): (usize, usize)) -> Result<(&'a Layer, OldStretch), LayerError> {
        let table = self.layers.stack.get(layer).ok_or(LOST)?;
        Ok((table, *table.old.get(index).ok_or(LOST)?))
    }
}

/// Only a mistake of ours leads here: regions come from the same tables.
const LOST: LayerError = LayerError::Table { what: "a stretch is not in it" };

/// Returns the region of the plain space around an address.
fn region(table: &Layer, at: u64) -> Region {
    let next = table.old.partition_point(|stretch| stretch.plain_start <= at);
    let raw_end = table.old.get(next).map_or(table.old_plain_len, |stretch| stretch.plain_start);
    let Some((index, stretch)) = next.checked_sub(1).and_then(|index| Some((index, table.old.get(index)?)))
    else {
        return Region { start: 0, end: raw_end, kind: Kind::Raw { packed_start: 0 } };
    };
    if at >= stretch.plain_end() {
        let kind = Kind::Raw { packed_start: stretch.end() };
        return Region { start: stretch.plain_end(), end: raw_end, kind };
    }
    let kind = if stretch.is_long() { Kind::Long { index } } else { Kind::Whole { index } };
    Region { start: stretch.plain_start, end: stretch.plain_end(), kind }
}

fn copy_from(bytes: &[u8], skip: u64, into: &mut [u8]) -> Result<(), LayerError> {
    let from = usize::try_from(skip).ok().and_then(|skip| bytes.get(skip..)?.get(..into.len()));
    into.copy_from_slice(from.ok_or(LOST)?);
    Ok(())
}

fn explained(fault: Fault, (layer, _): (usize, usize), stretch: &OldStretch) -> LayerError {
    let (layer, start) = (layer + 1, stretch.start);
    match fault {
        Fault::Codec(source) => LayerError::Unpack { layer, start, source },
        Fault::Length => LayerError::PlainLength { layer, start, expected: u64::from(stretch.plain_len) },
        Fault::Pipe(error) => error,
    }
}

/// A long stretch on its way to the scratch storage.
struct Filling<'f, 'a> {
    plain: &'f mut OldPlain<'a>,
    /// The space from which packed bytes are read.
    height: usize,
    packed_at: u64,
    packed_left: u64,
    scratch_at: u64,
}

impl Pipe for Filling<'_, '_> {
    fn packed(&mut self, piece: &mut [u8]) -> Result<usize, LayerError> {
        let len = usize::try_from(self.packed_left).unwrap_or(usize::MAX).min(piece.len());
        let piece = piece.get_mut(..len).unwrap_or_default();
        self.plain.read(self.height, self.packed_at, piece)?;
        self.packed_at = self.packed_at.saturating_add(len as u64);
        self.packed_left = self.packed_left.saturating_sub(len as u64);
        Ok(len)
    }

    fn plain(&mut self, piece: &[u8]) -> Result<(), LayerError> {
        let at = self.scratch_at;
        let need = self.plain.layers.scratch();
        let scratch = self.plain.scratch.as_deref_mut().ok_or(LayerError::NoScratch { need })?;
        scratch
            .seek(std::io::SeekFrom::Start(at))
            .and_then(|_| scratch.write_all(piece))
            .map_err(|source| LayerError::Scratch { at, source })?;
        self.scratch_at = at.saturating_add(piece.len() as u64);
        Ok(())
    }
}
