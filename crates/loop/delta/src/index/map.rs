//! The map of an image: its layers, and where in its plain bytes files begin.
//!
//! In: the map of an index, or nothing but the size of an image. Out: an [`ImageMap`], or its bytes. Refuses: a map with
//! another digest, tables of layers that cannot be, files that go backwards or leave the image, unknown code.

use std::io::Read as _;

use super::code::Code;
use super::cut::Span;
use super::error::IndexError;
use super::head::{HeadBytes, IndexHead, MAP_BYTES_MAX};
use crate::format::{bytes, number, write_number};
use crate::layers::Layers;
use crate::plan::Alone;

/// The most files that a map may have, with their stretches and what lies between them: root file systems have some ten
/// thousand. They take 16 bytes of memory each.
const FILES_MAX: u64 = 1 << 18;

/// The Zstandard level of maps and lists: some kilobytes, made once.
const LEVEL: i32 = 19;

/// How an image is unpacked and packed again, and where files begin in its plain bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageMap {
    pub(super) layers: Layers,
    /// By start, each once; the first begins at 0.
    pub(super) files: Vec<Span>,
}

impl ImageMap {
    /// Reads the map of an index, after checking its digest.
    pub fn read(coded: &[u8], head: &IndexHead) -> Result<Self, IndexError> {
        head.map.check(coded, "map")?;
        let plain = unpacked(coded, "map", MAP_BYTES_MAX)?;
        let mut rest = plain.as_slice();
        let layers = Layers::read(&mut rest, head.image_size.0, head.image_size.0)?;
        let plain_size = head.plain_size.0;
        if (layers.old_plain_len(), layers.new_plain_len()) != (plain_size, plain_size) {
            return Err(IndexError::Corrupt { what: "the layers make another size than the head says" });
        }
        let files = read_files(&mut HeadBytes(rest), plain_size)?;
        Ok(Self { layers, files })
    }

    /// Returns the map of an image of which nothing is known: it is taken as it is.
    pub fn unknown(image_bytes: u64) -> Self {
        Self { layers: Layers::new(image_bytes, image_bytes), files: vec![Span { start: 0, code: None }] }
    }

    pub(super) fn of(alone: &Alone<'_>) -> Self {
        let span = |(start, arch): &(u64, _)| Span { start: *start, code: Code::of(*arch) };
        Self { layers: alone.layers.clone(), files: alone.files.iter().map(span).collect() }
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, IndexError> {
        let mut plain = Vec::new();
        self.layers.write(&mut plain);
        write_number(self.files.len() as u64, &mut plain);
        let mut before = 0;
        for file in &self.files {
            write_number(file.start.saturating_sub(before), &mut plain);
            before = file.start;
        }
        plain.extend(self.files.iter().map(|file| Code::number(file.code)));
        packed(&plain, "map")
    }

    /// Returns how many plain bytes the image has.
    pub(super) fn plain_bytes(&self) -> u64 {
        self.layers.old_plain_len()
    }

    /// Leaves what reading the image takes: less memory.
    #[must_use]
    pub fn for_reading(self) -> Self {
        Self { layers: self.layers.only_old(), files: self.files }
    }

    /// Leaves what making the image takes: less memory.
    #[must_use]
    pub fn for_making(self) -> Self {
        Self { layers: self.layers.only_new(), files: Vec::new() }
    }

    /// Returns how much memory it takes, with what unpacks and packs.
    pub(super) fn memory(&self) -> u64 {
        self.layers.memory().0.saturating_add(size_of_val(self.files.as_slice()) as u64)
    }
}

fn read_files(rest: &mut HeadBytes<'_>, plain_size: u64) -> Result<Vec<Span>, IndexError> {
    let count = number(rest)?;
    super::limited("files", count, FILES_MAX)?;
    let mut start = 0_u64;
    let mut files = Vec::new();
    for index in 0..count {
        let gap = number(rest)?;
        start = start.saturating_add(gap);
        // An image without a byte has its one file at its end.
        if (gap == 0) != (index == 0) || start > plain_size || (start == plain_size && index > 0) {
            return Err(IndexError::Corrupt { what: "a file begins where it cannot" });
        }
        files.push(Span { start, code: None });
    }
    for file in &mut files {
        let [code] = bytes(rest)?;
        file.code = Code::read(code)?;
    }
    if files.is_empty() || !rest.0.is_empty() {
        return Err(IndexError::Corrupt { what: "the map has no files, or bytes after its end" });
    }
    Ok(files)
}

/// Packs a part: one Zstandard frame.
pub(super) fn packed(plain: &[u8], what: &'static str) -> Result<Vec<u8>, IndexError> {
    zstd::bulk::compress(plain, LEVEL).map_err(|source| IndexError::Unpack { what, source })
}

/// Unpacks a part of at most `limit` bytes; the decoder takes no more memory than that either.
pub(super) fn unpacked(coded: &[u8], what: &'static str, limit: u64) -> Result<Vec<u8>, IndexError> {
    let unpack_error = |source| IndexError::Unpack { what, source };
    let mut plain = Vec::new();
    let mut decoder = zstd::stream::read::Decoder::new(coded).map_err(unpack_error)?;
    decoder.window_log_max(limit.ilog2()).map_err(unpack_error)?;
    decoder.take(limit.saturating_add(1)).read_to_end(&mut plain).map_err(unpack_error)?;
    super::limited("bytes of unpacked tables", plain.len() as u64, limit)?;
    Ok(plain)
}
