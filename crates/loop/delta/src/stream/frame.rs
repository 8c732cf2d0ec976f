//! The compressed frame of the profile `fast`.
//!
//! In: plain bytes with the places where windows end; or the windows. Out: the windows; or the plain bytes. Refuses: any
//! frame that is not one plain Zstandard frame within the announced window, and one that ends early or late.

use std::io::{self, Write as _};

use warden_patch::plain::Bytes;
use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::read::Coming;
use crate::apply::ApplyError;

/// The first bytes of a Zstandard frame: RFC 8878 section 3.1.1, `Magic_Number`. Checked by us, so that no other kind of
/// frame (skippable, legacy) ever reaches the decoder.
const FRAME_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The piece in which a frame is unpacked, in bytes.
const PIECE_BYTES: usize = 16 * 1024;

/// Compresses; every window can be unpacked as soon as it is there.
pub(crate) struct Framing {
    packer: zstd::stream::write::Encoder<'static, Vec<u8>>,
    windows: Vec<usize>,
    buffer: Vec<u8>,
    problem: Option<io::Error>,
}

impl Framing {
    pub(crate) fn new(level: i32, frame_log: u32) -> io::Result<Self> {
        let mut packer = zstd::stream::write::Encoder::new(Vec::new(), level)?;
        packer.window_log(frame_log)?;
        packer.include_checksum(false)?;
        Ok(Self { packer, windows: Vec::new(), buffer: Vec::new(), problem: None })
    }

    fn hand_on(&mut self) {
        if let Err(error) = self.packer.write_all(&self.buffer) {
            self.problem.get_or_insert(error);
        }
        self.buffer.clear();
    }

    /// Returns the coded bytes of each window.
    pub(crate) fn finish(mut self) -> io::Result<Vec<Vec<u8>>> {
        self.hand_on();
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let mut rest = self.packer.finish()?;
        let mut windows = Vec::new();
        for end in self.windows.iter().rev() {
            windows.push(rest.split_off((*end).min(rest.len())));
        }
        windows.push(rest);
        windows.reverse();
        Ok(windows)
    }
}

impl Bytes for Framing {
    type Error = core::convert::Infallible;

    fn byte(&mut self, wanted: u8) -> Result<u8, Self::Error> {
        self.buffer.push(wanted);
        if self.buffer.len() >= PIECE_BYTES {
            self.hand_on();
        }
        Ok(wanted)
    }

    fn turn(&mut self) -> Result<(), Self::Error> {
        self.hand_on();
        if let Err(error) = self.packer.flush() {
            self.problem.get_or_insert(error);
        }
        self.windows.push(self.packer.get_ref().len());
        Ok(())
    }
}

/// Unpacks.
pub(crate) struct Unframed<'c, 'a> {
    coming: &'c mut Coming<'a>,
    decoder: Decoder<'static>,
    plain: Vec<u8>,
    at: usize,
    end: usize,
    ended: bool,
}

impl<'c, 'a> Unframed<'c, 'a> {
    pub(crate) fn new(coming: &'c mut Coming<'a>, frame_log: u32) -> Result<Self, ApplyError> {
        let mut decoder = Decoder::new().map_err(|source| ApplyError::Unpack { source })?;
        decoder
            .set_parameter(DParameter::WindowLogMax(frame_log))
            .map_err(|source| ApplyError::Unpack { source })?;
        if !coming.buffered()?.starts_with(&FRAME_MAGIC) {
            return Err(ApplyError::Corrupt { what: "no compressed frame behind the header" });
        }
        Ok(Self { coming, decoder, plain: vec![0; PIECE_BYTES], at: 0, end: 0, ended: false })
    }

    /// Unpacks some bytes; none at the end of the window.
    fn fill(&mut self) -> Result<(), ApplyError> {
        (self.at, self.end) = (0, 0);
        while self.end == 0 && !self.ended {
            let coded = self.coming.buffered()?;
            let dry = coded.is_empty();
            let status = self.decoder.run_on_buffers(coded, &mut self.plain);
            let status = status.map_err(|source| ApplyError::Unpack { source })?;
            self.coming.consume(status.bytes_read);
            self.end = status.bytes_written.min(self.plain.len());
            self.ended = status.remaining == 0;
            if dry && self.end == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Refuses bytes that are left over, in the window or in the frame.
    pub(crate) fn expect_end(mut self) -> Result<(), ApplyError> {
        self.expect_nothing()?;
        if self.ended { Ok(()) } else { Err(ApplyError::Truncated) }
    }

    fn expect_nothing(&mut self) -> Result<(), ApplyError> {
        if self.at == self.end {
            self.fill()?;
        }
        if self.at < self.end {
            return Err(ApplyError::Corrupt { what: "a window goes on after its bytes are complete" });
        }
        Ok(())
    }
}

impl Bytes for Unframed<'_, '_> {
    type Error = ApplyError;

    fn byte(&mut self, _wanted: u8) -> Result<u8, ApplyError> {
        if self.at == self.end {
            self.fill()?;
        }
        let byte = self.plain.get(self.at..self.end).and_then(<[u8]>::first).copied();
        self.at += 1;
        byte.ok_or(ApplyError::Corrupt { what: "a window ends before its bytes are complete" })
    }

    fn turn(&mut self) -> Result<(), ApplyError> {
        self.expect_nothing()?;
        self.coming.next_window()
    }
}
