//! The coder of the profile `fast`: plain bytes, made for a general compressor behind it.
//!
//! In: a stream of bytes in one direction. Out: a [`Coder`]. Refuses: what the stream refuses, and numbers of more than
//! 64 bits.
//!
//! Words and blocks are said as their difference from the prediction: mostly zeros.

use crate::coder::{Coder, Kind, Word};
use crate::predict::Mode;

/// A stream of bytes, towards a compressor or from one.
pub trait Bytes {
    /// Why a byte could not be had.
    type Error;

    /// Codes a byte: a writer writes the wanted one, a reader finds out.
    fn byte(&mut self, wanted: u8) -> Result<u8, Self::Error>;
    /// Ends a window and starts the next.
    fn turn(&mut self) -> Result<(), Self::Error>;
}

/// The coder by plain bytes.
#[derive(Debug)]
pub struct Plain<B> {
    bytes: B,
}

impl<B: Bytes> Plain<B> {
    /// Makes a coder.
    pub fn new(bytes: B) -> Self {
        Self { bytes }
    }

    /// Returns the stream.
    pub fn into_bytes(self) -> B {
        self.bytes
    }
}

/// How many groups of seven bits a number may have.
const GROUPS_MAX: u32 = 10;

impl<B: Bytes> Coder for Plain<B> {
    type Error = B::Error;

    fn number(&mut self, _kind: Kind, wanted: u64) -> Result<u64, B::Error> {
        let (mut left, mut value) = (wanted, 0_u64);
        for group in 0..GROUPS_MAX {
            let [low, ..] = left.to_le_bytes();
            left >>= 7;
            let byte = self.bytes.byte(low & 0x7f | if left == 0 { 0 } else { 0x80 })?;
            value |= u64::from(byte & 0x7f).checked_shl(group * 7).unwrap_or(0);
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(value)
    }

    fn mode(&mut self, wanted: Mode) -> Result<Mode, B::Error> {
        Ok(Mode::from_number(u32::from(self.bytes.byte(wanted as u8)?)))
    }

    fn quiet(&mut self, _mode: Mode, wanted: bool) -> Result<bool, B::Error> {
        Ok(self.bytes.byte(u8::from(!wanted))? == 0)
    }

    fn word(&mut self, word: &Word, wanted: [u8; 4]) -> Result<[u8; 4], B::Error> {
        let mut new = [0; 4];
        let words = word.predicted.iter().zip(wanted).zip(new.iter_mut()).take(word.len);
        for ((predicted, wanted), new) in words {
            *new = self.bytes.byte(wanted.wrapping_sub(*predicted))?.wrapping_add(*predicted);
        }
        Ok(new)
    }

    fn literal(&mut self, wanted: u8) -> Result<u8, B::Error> {
        self.bytes.byte(wanted)
    }

    fn pass(&mut self, _bytes: &[u8]) {}

    fn turn(&mut self) -> Result<(), B::Error> {
        self.bytes.turn()
    }
}
