//! Where the bytes of a file lie, and what they are.
//!
//! In: files of a layout, the image. Out: spans, checked against the image, and the bytes of a file, unpacked as needed.
//! Drops what does not fit: pieces outside of the image or of their stretch.

use crate::layers::unpack_onto;
use crate::layout::{File, Packed, Piece};

/// The longest stretch that is unpacked only to compare or to sketch a file, in bytes: a block. Streams are longer, and
/// each is a file of its own, which has changed when its packed bytes have.
const UNPACKED_BYTES_MAX: u64 = 4 << 20;

/// A stretch of a file that an image stores in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Where it begins in the file.
    pub(super) at: u64,
    /// How many bytes it has; the last one of a stretch of unknown length may have fewer.
    pub(super) len: u64,
    pub(super) place: Place,
}

/// Where a span lies in the packed space of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Where it starts.
    Raw { start: u64 },
    /// In which packed stretch, and how many unpacked bytes of it come before.
    Packed { index: usize, skip: u64 },
}

impl Span {
    pub(super) fn end(&self) -> u64 {
        self.at.saturating_add(self.len)
    }
}

/// Returns the spans of a file of a layout of `image_len` bytes whose stretches are `packed`.
pub(super) fn spans(file: &File, packed: &[Packed], image_len: u64) -> Vec<Span> {
    let mut spans = Vec::with_capacity(file.pieces.len());
    let mut at = 0_u64;
    for piece in &file.pieces {
        let (len, place) = match *piece {
            Piece::Hole { len } => (len, None),
            Piece::Raw { start, len } => {
                let fits = start.checked_add(len).is_some_and(|end| end <= image_len);
                (len, fits.then_some(Place::Raw { start }))
            }
            Piece::InPacked { index, skip, len } => {
                let plain_len_max = packed.get(index).map_or(0, |stretch| stretch.plain_len_max);
                let fits = skip.checked_add(len).is_some_and(|end| end <= plain_len_max);
                (len, fits.then_some(Place::Packed { index, skip }))
            }
        };
        if let Some(place) = place.filter(|_| len > 0) {
            spans.push(Span { at, len, place });
        }
        at = at.saturating_add(len);
    }
    spans
}

/// The bytes of an image, raw and unpacked; the last unpacked stretch is kept.
pub(super) struct Reader<'a> {
    image: &'a [u8],
    packed: &'a [Packed],
    held: Option<usize>,
    plain: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(image: &'a [u8], packed: &'a [Packed]) -> Self {
        Self { image, packed, held: None, plain: Vec::new() }
    }

    /// Returns the bytes of a span; `None` when it lies in a stretch that is too long, or is none.
    pub(super) fn bytes(&mut self, span: &Span) -> Option<&[u8]> {
        match span.place {
            Place::Raw { start } => slice(self.image, start, span.len),
            Place::Packed { index, skip } => slice(self.stretch(index)?, skip, span.len),
        }
    }

    fn stretch(&mut self, index: usize) -> Option<&[u8]> {
        if self.held != Some(index) {
            self.held = None;
            self.plain.clear();
            let stretch = self.packed.get(index).filter(|one| one.plain_len_max <= UNPACKED_BYTES_MAX)?;
            let packed = slice(self.image, stretch.start, stretch.len)?;
            unpack_onto(stretch.hint, packed, stretch.plain_len_max, &mut self.plain)?;
            self.held = Some(index);
        }
        Some(&self.plain)
    }
}

/// Returns a stretch of bytes by its place and length.
pub(super) fn slice(bytes: &[u8], start: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    bytes.get(start..)?.get(..usize::try_from(len).ok()?)
}

/// A file that has no namesake on the other side.
pub(crate) struct Candidate<'a> {
    /// Its path.
    pub(crate) path: &'a str,
    /// Its length, in bytes.
    pub(crate) len: u64,
    pub(super) spans: &'a [Span],
    pub(super) image: &'a [u8],
    pub(super) packed: &'a [Packed],
}

impl Candidate<'_> {
    /// Hands out its bytes, in order and piece by piece. Blocks that cannot be unpacked are left out.
    pub(crate) fn read(&self, take: &mut dyn FnMut(&[u8])) {
        let mut reader = Reader::new(self.image, self.packed);
        self.spans.iter().for_each(|span| {
            if let Some(bytes) = reader.bytes(span) {
                take(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Hint;

    #[test]
    fn pieces_outside_of_the_image_are_dropped() {
        let packed = [Packed { start: 0, len: 10, plain_len_max: 100, hint: Hint::Zlib }];
        let pieces = vec![
            Piece::Raw { start: 90, len: 11 },
            Piece::Hole { len: 5 },
            Piece::InPacked { index: 0, skip: 90, len: 10 },
            Piece::InPacked { index: 0, skip: 90, len: 11 },
            Piece::InPacked { index: 1, skip: 0, len: 1 },
            Piece::Raw { start: u64::MAX, len: 2 },
            Piece::Raw { start: 99, len: 1 },
        ];
        let file = File { path: "a".into(), pieces };
        assert_eq!(
            spans(&file, &packed, 100),
            [
                Span { at: 16, len: 10, place: Place::Packed { index: 0, skip: 90 } },
                Span { at: 40, len: 1, place: Place::Raw { start: 99 } },
            ]
        );
    }
}
