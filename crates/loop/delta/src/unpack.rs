//! Unpacks the compressed frame of a patch, piece by piece.
//!
//! In: the patch from behind its header. Out: the record stream. Refuses: any frame that is not a plain Zstandard frame
//! within the announced window, a frame that ends early, and bytes after its end.

use std::io::{ErrorKind, Read};

use zstd::stream::raw::{DParameter, Decoder, Operation};

use crate::apply::ApplyError;
use crate::format::FRAME_MAGIC;

/// The size of the piece in which the patch is read: what a network read brings at once, and little memory.
pub(crate) const INPUT_BYTES: usize = 64 * 1024;

/// A frame on its way out of its compression.
pub(crate) struct Unpacker<'a> {
    patch: &'a mut dyn Read,
    decoder: Decoder<'static>,
    input: Vec<u8>,
    /// The part of `input` that has been read and not unpacked.
    start: usize,
    end: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    InFrame,
    FrameEnded,
}

impl<'a> Unpacker<'a> {
    /// Checks that a frame starts here, and prepares for a window of 2^`window_log` bytes.
    pub(crate) fn new(patch: &'a mut dyn Read, window_log: u32) -> Result<Self, ApplyError> {
        let mut decoder = Decoder::new().map_err(|source| ApplyError::Unpack { source })?;
        decoder
            .set_parameter(DParameter::WindowLogMax(window_log))
            .map_err(|source| ApplyError::Unpack { source })?;
        let mut unpacker =
            Self { patch, decoder, input: vec![0; INPUT_BYTES], start: 0, end: 0, state: State::InFrame };
        unpacker.check_magic()?;
        Ok(unpacker)
    }

    fn check_magic(&mut self) -> Result<(), ApplyError> {
        let magic = self.input.get_mut(..FRAME_MAGIC.len()).unwrap_or_default();
        read_exactly(self.patch, magic)?;
        if magic != FRAME_MAGIC {
            return Err(ApplyError::Corrupt { what: "no compressed frame behind the header" });
        }
        self.end = FRAME_MAGIC.len();
        Ok(())
    }

    /// Unpacks at least one byte into `out`; nothing when the frame has ended.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> Result<usize, ApplyError> {
        while self.state == State::InFrame && !out.is_empty() {
            let source_ended = self.start == self.end && self.fill()? == 0;
            let input = self.input.get(self.start..self.end).unwrap_or_default();
            let status =
                self.decoder.run_on_buffers(input, out).map_err(|source| ApplyError::Unpack { source })?;
            self.start += status.bytes_read;
            if status.remaining == 0 {
                self.state = State::FrameEnded;
            }
            if status.bytes_written > 0 {
                return Ok(status.bytes_written);
            }
            if source_ended && self.state == State::InFrame {
                return Err(ApplyError::Truncated);
            }
        }
        Ok(0)
    }

    /// Unpacks exactly as many bytes as `out` holds.
    pub(crate) fn read_exact(&mut self, mut out: &mut [u8]) -> Result<(), ApplyError> {
        while !out.is_empty() {
            let count = self.read(out)?;
            if count == 0 {
                return Err(ApplyError::Corrupt { what: "the records end before the result is complete" });
            }
            out = out.get_mut(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Checks that the frame ends here, and the patch with it. Asks for one byte more than there should be: a bomb is
    /// stopped at its first byte.
    pub(crate) fn expect_end(&mut self) -> Result<(), ApplyError> {
        if self.read(&mut [0])? > 0 {
            return Err(ApplyError::Corrupt { what: "the records go on after the result is complete" });
        }
        if self.start < self.end || self.fill()? > 0 {
            return Err(ApplyError::TrailingBytes);
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<usize, ApplyError> {
        self.start = 0;
        self.end = read_some(self.patch, &mut self.input)?;
        Ok(self.end)
    }
}

/// Reads what comes next; nothing at the end.
fn read_some(patch: &mut dyn Read, into: &mut [u8]) -> Result<usize, ApplyError> {
    loop {
        match patch.read(into) {
            Ok(count) => return Ok(count.min(into.len())),
            Err(source) if source.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(ApplyError::ReadPatch { source }),
        }
    }
}

/// Reads exactly as many bytes of the patch as `into` holds.
pub(crate) fn read_exactly(patch: &mut dyn Read, into: &mut [u8]) -> Result<(), ApplyError> {
    patch.read_exact(into).map_err(|source| match source.kind() {
        ErrorKind::UnexpectedEof => ApplyError::Truncated,
        _ => ApplyError::ReadPatch { source },
    })
}
