//! The new image from its plain bytes, front to back.
//!
//! In: the plain bytes of the topmost layer, in order, in pieces of any size. Out: the new image, written as it comes.
//! Refuses: more or fewer plain bytes than the tables say, on any layer, and what cannot be packed.
//!
//! Each layer packs its stretches and hands the rest down as it is. Nothing is held but what packers hold, and a piece.

use std::io::Write;

use super::{LAYERS_MAX, Layer, LayerError, Layers, NewStretch, PACK_PIECE_BYTES};
use crate::codec::{CodecError, Pack};

/// A place between stretches from which packing can go on: how many plain bytes each layer has had, from the first
/// layer upwards, and how much of the image is written. Layers that there are not are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SinkPlace {
    /// The bytes of the image that are written.
    pub(crate) written: u64,
    /// The plain bytes that the layers have had.
    pub(crate) plain: [u64; LAYERS_MAX],
}

/// Says whether packing can go on from a place: between stretches on every layer, and nowhere on layers that there are not.
/// Whether the layers fit each other at that place, only packing shows.
pub(crate) fn can_resume(layers: &Layers, place: &SinkPlace) -> bool {
    let height = layers.stack.len();
    let between = |(layer, at): (&Layer, u64)| {
        let next = layer.new.partition_point(|stretch| stretch.plain_end() <= at);
        at <= layer.new_plain_len && layer.new.get(next).is_none_or(|stretch| stretch.plain_start >= at)
    };
    place.written <= layers.new_len
        && layers.stack.iter().zip(place.plain).all(between)
        && place.plain.iter().skip(height).all(|at| *at == 0)
}

/// Packs plain bytes and writes the new image.
pub(crate) struct NewSink<'a, W> {
    layers: &'a Layers,
    out: &'a mut W,
    written: u64,
    stages: Vec<Stage<'a>>,
}

/// A layer at work.
struct Stage<'a> {
    layer: &'a Layer,
    /// How many plain bytes it has had.
    at: u64,
    /// The stretch that is packed, or comes next.
    next: usize,
    packer: Option<Box<dyn Pack>>,
    /// The start of the next piece of the stretch.
    held: Vec<u8>,
    /// What the packer has handed out.
    packed: Vec<u8>,
}

/// What follows a piece of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Another piece.
    More,
    /// The end of the stretch.
    End,
}

impl Stage<'_> {
    /// Returns how far it is from here to the next border, and the stretch if it is inside of one.
    fn ahead(&self) -> (u64, Option<NewStretch>) {
        match self.layer.new.get(self.next) {
            Some(stretch) if self.at >= stretch.plain_start => {
                (stretch.plain_end().saturating_sub(self.at), Some(*stretch))
            }
            Some(stretch) => (stretch.plain_start.saturating_sub(self.at), None),
            None => (self.layer.new_plain_len.saturating_sub(self.at), None),
        }
    }
}

impl<'a, W: Write> NewSink<'a, W> {
    /// Starts at the front of the new image.
    pub(crate) fn new(layers: &'a Layers, out: &'a mut W) -> Self {
        Self::resume(layers, SinkPlace::default(), out)
    }

    /// Goes on from a place that [`Self::place`] told; `out` writes behind what was written then.
    pub(crate) fn resume(layers: &'a Layers, place: SinkPlace, out: &'a mut W) -> Self {
        let stage = |(layer, at): (&'a Layer, u64)| Stage {
            layer,
            at,
            next: layer.new.partition_point(|stretch| stretch.plain_end() <= at),
            packer: None,
            held: Vec::new(),
            packed: Vec::new(),
        };
        let stages = layers.stack.iter().zip(place.plain).map(stage).collect();
        Self { layers, out, written: place.written, stages }
    }

    /// Returns where the image goes.
    pub(crate) fn out(&mut self) -> &mut W {
        self.out
    }

    /// Returns after how many plain bytes the next border comes, of any layer: packing may be able to go on from there.
    pub(crate) fn until_border(&self) -> u64 {
        let mut least = u64::MAX;
        for stage in self.stages.iter().rev() {
            let (left, stretch) = stage.ahead();
            least = least.min(left);
            // What comes out of a packer, nobody knows; raw bytes go down one by one.
            if stretch.is_some() {
                break;
            }
        }
        least
    }

    /// Returns where this is, if packing could go on from here: between stretches, on every layer.
    pub(crate) fn place(&self) -> Option<SinkPlace> {
        let mut place = SinkPlace { written: self.written, ..SinkPlace::default() };
        for (at, stage) in place.plain.iter_mut().zip(&self.stages) {
            if stage.packer.is_some() || !stage.held.is_empty() {
                return None;
            }
            *at = stage.at;
        }
        Some(place)
    }

    /// Takes the next plain bytes.
    pub(crate) fn push(&mut self, plain: &[u8]) -> Result<(), LayerError> {
        let mut down = Down { out: self.out, written: &mut self.written, expected: self.layers.new_len };
        down.push(&mut self.stages, plain)
    }

    /// Ends the image; returns how long it is.
    pub(crate) fn finish(self) -> Result<u64, LayerError> {
        self.lengths()
    }

    /// Refuses an image, or plain bytes of a layer, that are too short; returns how long the image is.
    pub(crate) fn lengths(&self) -> Result<u64, LayerError> {
        for (index, stage) in self.stages.iter().enumerate().rev() {
            let expected = stage.layer.new_plain_len;
            if stage.at != expected {
                return Err(LayerError::NewLength { layer: index + 1, found: stage.at, expected });
            }
        }
        let expected = self.layers.new_len;
        if self.written != expected {
            return Err(LayerError::NewLength { layer: 0, found: self.written, expected });
        }
        Ok(self.written)
    }
}

/// The way down from a layer to the image.
struct Down<'s> {
    out: &'s mut dyn Write,
    written: &'s mut u64,
    /// The length of the image.
    expected: u64,
}

impl Down<'_> {
    fn push(&mut self, stages: &mut [Stage<'_>], mut plain: &[u8]) -> Result<(), LayerError> {
        let height = stages.len();
        let Some((stage, below)) = stages.split_last_mut() else { return self.write(plain) };
        while !plain.is_empty() {
            let (left, stretch) = stage.ahead();
            if left == 0 {
                let found = stage.at.saturating_add(1);
                let expected = stage.layer.new_plain_len;
                return Err(LayerError::NewLength { layer: height, found, expected });
            }
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(plain.len());
            let Some(stretch) = stretch else {
                let (raw, rest) = plain.split_at(len);
                self.push(below, raw)?;
                stage.at = stage.at.saturating_add(len as u64);
                plain = rest;
                continue;
            };
            let (piece, rest) = plain.split_at(len.min(PACK_PIECE_BYTES.saturating_sub(stage.held.len())));
            stage.take(&stretch, piece).map_err(|source| {
                let start = stretch.plain_start;
                LayerError::Pack { layer: height, start, source }
            })?;
            self.push(below, &stage.packed)?;
            stage.packed.clear();
            plain = rest;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        let found = self.written.saturating_add(bytes.len() as u64);
        if found > self.expected {
            return Err(LayerError::NewLength { layer: 0, found, expected: self.expected });
        }
        self.out.write_all(bytes).map_err(|source| LayerError::WriteResult { source })?;
        *self.written = found;
        Ok(())
    }
}

impl Stage<'_> {
    /// Takes the next bytes of a stretch, at most what is missing to a whole piece, and packs pieces that are whole.
    fn take(&mut self, stretch: &NewStretch, bytes: &[u8]) -> Result<(), CodecError> {
        self.at = self.at.saturating_add(bytes.len() as u64);
        let after = if self.at >= stretch.plain_end() { After::End } else { After::More };
        if self.held.is_empty() && (after == After::End || bytes.len() >= PACK_PIECE_BYTES) {
            return self.pack(stretch, bytes, after);
        }
        self.held.extend_from_slice(bytes);
        if after == After::End || self.held.len() >= PACK_PIECE_BYTES {
            let held = std::mem::take(&mut self.held);
            self.pack(stretch, &held, after)?;
            self.held = held;
            self.held.clear();
        }
        Ok(())
    }

    fn pack(&mut self, stretch: &NewStretch, piece: &[u8], after: After) -> Result<(), CodecError> {
        let packer = match &mut self.packer {
            Some(packer) => packer,
            none => {
                let Some(codec) = self.layer.codecs.get(usize::from(stretch.codec)) else { return Ok(()) };
                none.insert(codec.packer(u64::from(stretch.plain_len))?)
            }
        };
        packer.push(piece, &mut self.packed)?;
        if after == After::End {
            packer.finish(&mut self.packed)?;
            self.packer = None;
            self.next = self.next.saturating_add(1);
        }
        Ok(())
    }
}
