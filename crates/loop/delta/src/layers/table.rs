//! The tables of the layers, as they travel in a patch.
//!
//! In: a layer's stretches, one after the other, or bytes from a patch. Out: the checked layer, or its bytes. Refuses:
//! whatever overlaps, is empty, leaves its space, is too much, or is written longer than needed.
//!
//! ```text
//! layers    1 byte: 0 to 3; then each layer:
//! hints     number of hints; each as `codec` writes it
//! codecs    number of codecs; each as `codec` writes it
//! old       number of stretches; columns: gap before, packed length, plain length, hint
//! new       number of stretches; columns: gap before, plain length, codec
//! tail      new plain bytes behind the last stretch
//! ```
//! Numbers are little-endian base 128, seven bits a byte. A plain length is 0 where it is that of the stretch before. The
//! column of hints or codecs is left out where there are less than two.

use super::{
    CODECS_MAX, HINTS_MAX, LAYERS_MAX, Layer, LayerError, Layers, NewStretch, OldStretch, PLAIN_BYTES_MAX,
    STRETCHES_MAX,
};
use crate::codec::{Codec, Hint};

/// Builds a layer, stretch by stretch, and checks it.
#[derive(Debug, Default)]
pub(crate) struct LayerBuilder {
    layer: Layer,
}

impl LayerBuilder {
    /// Appends a packed stretch of the old side: how many raw bytes lie between it and the one before, its lengths,
    /// packed and plain, and how it is unpacked.
    pub(crate) fn push_old(
        &mut self,
        gap: u64,
        packed_len: u64,
        plain_len: u64,
        hint: Hint,
    ) -> Result<(), LayerError> {
        let hint = place(&mut self.layer.hints, hint, ("hints", HINTS_MAX))?;
        let hint = u8::try_from(hint).unwrap_or(u8::MAX);
        self.push_old_placed(gap, (packed_len, plain_len), hint)
    }

    /// Appends a stretch of the new side: how many raw bytes lie between it and the one before, its plain length, and how
    /// it is packed.
    pub(crate) fn push_new(&mut self, gap: u64, plain_len: u64, codec: Codec) -> Result<(), LayerError> {
        let codec = place(&mut self.layer.codecs, codec, ("codecs", CODECS_MAX))?;
        self.push_new_placed(gap, plain_len, codec)
    }

    /// Ends the layer. `old_len` is the length of the old packed space; `new_tail` is how many plain bytes follow the last
    /// stretch of the new side.
    pub(crate) fn finish(mut self, old_len: u64, new_tail: u64) -> Result<Layer, LayerError> {
        let (end, plain_end) = self.layer.old.last().map_or((0, 0), |last| (last.end(), last.plain_end()));
        let Some(tail) = old_len.checked_sub(end) else {
            return Err(LayerError::Table { what: "a stretch lies outside of the base" });
        };
        self.layer.old_plain_len = limited(plain_end.checked_add(tail))?;
        let plain_end = self.layer.new.last().map_or(0, NewStretch::plain_end);
        self.layer.new_plain_len = limited(plain_end.checked_add(new_tail))?;
        Ok(self.layer)
    }

    fn push_old_placed(&mut self, gap: u64, lens: (u64, u64), hint: u8) -> Result<(), LayerError> {
        check_count("stretches", self.layer.old.len().saturating_add(1) as u64, STRETCHES_MAX)?;
        let (packed_len, plain_len) = (stretch_len(lens.0)?, stretch_len(lens.1)?);
        let (end, plain_end) = self.layer.old.last().map_or((0, 0), |last| (last.end(), last.plain_end()));
        let start = limited(end.checked_add(gap))?;
        let plain_start = limited(plain_end.checked_add(gap))?;
        let stretch = OldStretch { start, plain_start, packed_len, plain_len, hint };
        limited(Some(stretch.end().max(stretch.plain_end())))?;
        self.layer.old.push(stretch);
        Ok(())
    }

    fn push_new_placed(&mut self, gap: u64, plain_len: u64, codec: u16) -> Result<(), LayerError> {
        check_count("stretches", self.layer.new.len().saturating_add(1) as u64, STRETCHES_MAX)?;
        let plain_len = stretch_len(plain_len)?;
        let plain_end = self.layer.new.last().map_or(0, NewStretch::plain_end);
        let stretch = NewStretch { plain_start: limited(plain_end.checked_add(gap))?, plain_len, codec };
        limited(Some(stretch.plain_end()))?;
        self.layer.new.push(stretch);
        Ok(())
    }
}

impl Layers {
    /// Writes the tables. The lengths of the images are not part of them: the header of a patch has them.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.stack.len()).unwrap_or(u8::MAX));
        for layer in &self.stack {
            layer.write(out);
        }
    }

    /// Reads the tables of a patch between an old image and a new one of these lengths; leaves what follows them.
    pub(crate) fn read(bytes: &mut &[u8], old_len: u64, new_len: u64) -> Result<Self, LayerError> {
        let mut layers = Self::new(old_len, new_len);
        let count = u64::from(byte(bytes)?);
        check_count("layers", count, LAYERS_MAX)?;
        for _ in 0..count {
            let layer = Layer::read(bytes, layers.old_plain_len())?;
            if layer.old.is_empty() && layer.new.is_empty() {
                return Err(LayerError::Table { what: "a layer unpacks nothing" });
            }
            layers.push(layer)?;
        }
        Ok(layers)
    }
}

impl Layer {
    fn write(&self, out: &mut Vec<u8>) {
        write_number(self.hints.len() as u64, out);
        self.hints.iter().for_each(|hint| hint.write(out));
        write_number(self.codecs.len() as u64, out);
        self.codecs.iter().for_each(|codec| codec.write(out));

        write_number(self.old.len() as u64, out);
        let mut end = 0;
        for stretch in &self.old {
            write_number(stretch.start.saturating_sub(end), out);
            end = stretch.end();
        }
        self.old.iter().for_each(|stretch| write_number(u64::from(stretch.packed_len), out));
        write_lens(self.old.iter().map(|stretch| stretch.plain_len), out);
        if self.hints.len() > 1 {
            self.old.iter().for_each(|stretch| write_number(u64::from(stretch.hint), out));
        }

        write_number(self.new.len() as u64, out);
        let mut end = 0;
        for stretch in &self.new {
            write_number(stretch.plain_start.saturating_sub(end), out);
            end = stretch.plain_end();
        }
        write_lens(self.new.iter().map(|stretch| stretch.plain_len), out);
        if self.codecs.len() > 1 {
            self.new.iter().for_each(|stretch| write_number(u64::from(stretch.codec), out));
        }
        write_number(self.new_plain_len.saturating_sub(end), out);
    }

    fn read(bytes: &mut &[u8], old_len: u64) -> Result<Self, LayerError> {
        let mut builder = LayerBuilder::default();
        for _ in 0..count(bytes, "hints", HINTS_MAX)? {
            let hint = Hint::read(bytes).map_err(|source| LayerError::Codec { source })?;
            distinct(&mut builder.layer.hints, hint)?;
        }
        for _ in 0..count(bytes, "codecs", CODECS_MAX)? {
            let codec = Codec::read(bytes).map_err(|source| LayerError::Codec { source })?;
            distinct(&mut builder.layer.codecs, codec)?;
        }

        let old = count(bytes, "stretches", STRETCHES_MAX)?;
        let gaps = column(bytes, old, number)?;
        let packed_lens = column(bytes, old, number)?;
        let plain_lens = read_lens(bytes, old)?;
        let hints = places(bytes, old, builder.layer.hints.len())?;
        let lens = packed_lens.into_iter().zip(plain_lens);
        for ((gap, lens), hint) in gaps.into_iter().zip(lens).zip(hints) {
            builder.push_old_placed(gap, lens, u8::try_from(hint).unwrap_or(u8::MAX))?;
        }

        let new = count(bytes, "stretches", STRETCHES_MAX)?;
        let gaps = column(bytes, new, number)?;
        let plain_lens = read_lens(bytes, new)?;
        let codecs = places(bytes, new, builder.layer.codecs.len())?;
        for ((gap, plain_len), codec) in gaps.into_iter().zip(plain_lens).zip(codecs) {
            builder.push_new_placed(gap, plain_len, codec)?;
        }
        builder.finish(old_len, number(bytes)?)
    }
}

/// Returns where in `list` an entry stands, after appending it where it does not.
fn place<T: PartialEq>(
    list: &mut Vec<T>,
    entry: T,
    (what, limit): (&'static str, usize),
) -> Result<u16, LayerError> {
    let index = list.iter().rposition(|known| *known == entry).unwrap_or(list.len());
    check_count(what, index.saturating_add(1) as u64, limit)?;
    if index == list.len() {
        list.push(entry);
    }
    u16::try_from(index).map_err(|_| LayerError::Table { what: "a place is too large" })
}

fn distinct<T: PartialEq>(list: &mut Vec<T>, entry: T) -> Result<(), LayerError> {
    if list.contains(&entry) {
        return Err(LayerError::Table { what: "a codec is listed twice" });
    }
    list.push(entry);
    Ok(())
}

fn check_count(what: &'static str, found: u64, limit: usize) -> Result<(), LayerError> {
    let limit = limit as u64;
    if found > limit { Err(LayerError::Limit { what, found, limit }) } else { Ok(()) }
}

/// Checks a length or an address of a plain or packed space; `None` is an overflow.
fn limited(bytes: Option<u64>) -> Result<u64, LayerError> {
    let found = bytes.unwrap_or(u64::MAX);
    if found > PLAIN_BYTES_MAX {
        return Err(LayerError::Limit { what: "bytes", found, limit: PLAIN_BYTES_MAX });
    }
    Ok(found)
}

fn stretch_len(len: u64) -> Result<u32, LayerError> {
    if len == 0 {
        return Err(LayerError::Table { what: "a stretch is empty" });
    }
    u32::try_from(len).map_err(|_| LayerError::Limit {
        what: "bytes",
        found: len,
        limit: u64::from(u32::MAX),
    })
}

fn write_number(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn number(bytes: &mut &[u8]) -> Result<u64, LayerError> {
    let mut value = 0_u64;
    let mut bits = 0_u32;
    loop {
        let byte = byte(bytes)?;
        let low = u64::from(byte & 0x7f);
        // One spelling only: no zeros on top, and no bits behind the 64th.
        let misspelled = (byte == 0 && bits > 0) || bits > 63 || (bits == 63 && low > 1);
        if misspelled {
            return Err(LayerError::Table { what: "a number is misspelled" });
        }
        value |= low << bits;
        bits += 7;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
}

fn byte(bytes: &mut &[u8]) -> Result<u8, LayerError> {
    let (byte, rest) = bytes.split_first().ok_or(LayerError::Table { what: "it ends too early" })?;
    *bytes = rest;
    Ok(*byte)
}

fn count(bytes: &mut &[u8], what: &'static str, limit: usize) -> Result<usize, LayerError> {
    let found = number(bytes)?;
    check_count(what, found, limit)?;
    Ok(usize::try_from(found).unwrap_or(limit))
}

/// Reads a column. Each entry takes a byte at least, so that the bytes bound what is allocated.
fn column<T>(
    bytes: &mut &[u8],
    count: usize,
    entry: fn(&mut &[u8]) -> Result<T, LayerError>,
) -> Result<Vec<T>, LayerError> {
    if count > bytes.len() {
        return Err(LayerError::Table { what: "it ends too early" });
    }
    (0..count).map(|_| entry(bytes)).collect()
}

/// Reads the column of hints or codecs: places in a list of `listed`.
fn places(bytes: &mut &[u8], count: usize, listed: usize) -> Result<Vec<u16>, LayerError> {
    let places = if listed > 1 { column(bytes, count, number)? } else { vec![0; count] };
    let place = |place: u64| u16::try_from(place).ok().filter(|place| usize::from(*place) < listed);
    let places: Option<Vec<u16>> = places.into_iter().map(place).collect();
    places.ok_or(LayerError::Table { what: "a stretch has a codec that is not listed" })
}

/// Writes plain lengths; one that is that of the stretch before is 0, which no length is.
fn write_lens(lens: impl Iterator<Item = u32>, out: &mut Vec<u8>) {
    let mut before = 0;
    for len in lens {
        write_number(if len == before { 0 } else { u64::from(len) }, out);
        before = len;
    }
}

fn read_lens(bytes: &mut &[u8], count: usize) -> Result<Vec<u64>, LayerError> {
    let mut lens = column(bytes, count, number)?;
    let mut before = 0;
    for len in &mut lens {
        match *len {
            0 => *len = before,
            again if again == before => return Err(LayerError::Table { what: "a length is misspelled" }),
            _ => before = *len,
        }
    }
    Ok(lens)
}
