//! What an image is made of: its packed stretches and its files.
//!
//! In: an image in memory. Out: a [`Layout`]. Refuses nothing: what is not understood, or breaks its own format, is
//! simply not listed, and travels as raw bytes.

mod disk;
mod draft;
mod erofs;
mod ext;
mod fields;
mod lz4;
mod scan;
mod squashfs;
mod streams;
#[cfg(test)]
mod testing;
mod ubi;
mod ubifs;
mod unpack;

use crate::codec::Hint;

/// A packed stretch of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packed {
    /// Where it starts in the image, in bytes.
    pub(crate) start: u64,
    /// How long it is there, in bytes.
    pub(crate) len: u64,
    /// How long it is unpacked, in bytes, where the container tells; else the most that it may be.
    pub(crate) plain_len_max: u64,
    /// What the container says of it.
    pub(crate) hint: Hint,
}

/// A stretch of a file, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes that stand in the image as they are.
    Raw {
        /// Where they start in the image.
        start: u64,
        /// How many they are.
        len: u64,
    },
    /// Bytes inside a packed stretch.
    InPacked {
        /// Which of [`Layout::packed`].
        index: usize,
        /// How many unpacked bytes of it come before them.
        skip: u64,
        /// How many they are.
        len: u64,
    },
    /// Zeros that the image does not store.
    Hole {
        /// How many they are.
        len: u64,
    },
}

/// A file of the image, or a named part of its own data (`<squashfs inodes>`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Its path from the top of the image; parts of the image's own data carry a name in angle brackets.
    pub(crate) path: String,
    /// Where its bytes lie, in the order of the file.
    pub(crate) pieces: Vec<Piece>,
}

/// What is known of an image. Whatever no file covers is the image's own data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The packed stretches, by start, disjoint.
    pub(crate) packed: Vec<Packed>,
    /// The files, in the order of their first byte.
    pub(crate) files: Vec<File>,
}

/// Looks at an image: at the streams, containers and file systems at its start and behind each other; else at file systems
/// anywhere in it; else at streams anywhere in it.
pub(crate) fn look(image: &[u8]) -> Layout {
    let mut layout = Layout::default();
    if streams::look_streams(image, 0, &mut layout, &scan::look_at).is_some() {
        return layout;
    }
    scan::look(image, &mut layout);
    if layout.packed.is_empty() && layout.files.is_empty() {
        streams::carve(image, 0, image.len() as u64, &mut layout, &scan::look_at);
    }
    layout
}
