//! What a patch says, one saying at a time; how each is coded is the profile's business.
//!
//! In: for an encoder, what is to be said. Out: for a decoder, what was said. Refuses: what its source refuses.

use crate::predict::Mode;

/// Four bytes of a copy (fewer at its ends), before it is known what they became.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// The old bytes.
    pub old: [u8; 4],
    /// What they probably became.
    pub predicted: [u8; 4],
    /// How many bytes count: 1 to 4.
    pub len: usize,
    /// Where they go in the new file, modulo 8.
    pub phase: u32,
    /// How they were predicted.
    pub mode: Mode,
}

/// What a number says; each kind has statistics of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// How many copies a part has.
    Copies = 1,
    /// How many literals come before a copy.
    Literals,
    /// How long a copy is that follows literals.
    Len,
    /// How long a copy is that follows another directly.
    LenAtOnce,
    /// How far a copy lies from the end of the one before, in the old file, after literals.
    Seek,
    /// The same, for a copy that follows another directly.
    SeekAtOnce,
    /// A size of a part.
    PartSize,
    /// Where the old file of a part lies.
    PartPlace,
    /// What kind of file a part is.
    PartKind,
    /// A number about a segment of the old file.
    Segment,
    /// A difference between a segment of the old and the new file.
    SegmentChange,
}

/// Says and hears.
pub trait Coder {
    /// Why something could not be said or heard.
    type Error;

    /// Codes a number.
    fn number(&mut self, kind: Kind, wanted: u64) -> Result<u64, Self::Error>;
    /// Codes how the next block is predicted.
    fn mode(&mut self, wanted: Mode) -> Result<Mode, Self::Error>;
    /// Codes whether the whole block is as predicted.
    fn quiet(&mut self, mode: Mode, wanted: bool) -> Result<bool, Self::Error>;
    /// Codes what a word became.
    fn word(&mut self, word: &Word, wanted: [u8; 4]) -> Result<[u8; 4], Self::Error>;
    /// Codes a byte for which the old file has nothing.
    fn literal(&mut self, wanted: u8) -> Result<u8, Self::Error>;
    /// Hears of bytes that need not be said.
    fn pass(&mut self, bytes: &[u8]);
    /// Ends a window and starts the next: everything said so far can be heard from the bytes written so far.
    fn turn(&mut self) -> Result<(), Self::Error>;
}

/// Folds the sign of a number into its lowest bit.
pub fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

/// Undoes [`zigzag`].
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}
