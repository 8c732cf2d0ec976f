//! Packed bytes to plain ones, in bounded memory, for each format that a container may name.
//!
//! In: a packed stretch through a reader. Out: its plain bytes, as many at a time as the caller has room for. Refuses:
//! what breaks the format, windows and blocks above the named limits. Check sums in the stretch are left alone: what
//! is unpacked here belongs to an image whose digest is known, or is packed again and compared.

mod lz;
mod lzo;

use std::io::{ErrorKind, Read};

use flate2::{Decompress, FlushDecompress};
use liblzma::stream::{Action, Stream};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use crate::codec::deflate::gzip_head;
use crate::codec::xz::is_end;
use crate::codec::{CodecError, Hint};

/// How much is read at a time.
const INPUT_BYTES: usize = 32 * 1024;
/// The longest gzip head: a path of 4 KiB, a comment and an extra field of the same size.
const GZIP_HEAD_BYTES_MAX: usize = 16 * 1024;
/// What liblzma may allocate: a dictionary of 64 MiB (`xz -9`) and its own needs.
const LZMA_MEMORY_MAX: u64 = 80 << 20;
/// The largest window of a Zstandard frame: 128 MiB, `--ultra -22`.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Unpacks one stretch.
pub(crate) trait Unpack {
    /// Writes plain bytes into `out` and says how many; none, for an `out` with room, at the end. Takes packed bytes
    /// from `packed`, a reader over the stretch alone.
    fn pull(&mut self, packed: &mut dyn Read, out: &mut [u8]) -> Result<usize, CodecError>;
}

/// The unpacker for what a container says of a stretch.
pub(crate) fn unpacker(hint: Hint) -> Result<Box<dyn Unpack>, CodecError> {
    let source = Source { bytes: Vec::new(), start: 0, ended: false };
    let lzma = |stream: Result<Stream, liblzma::stream::Error>| {
        let stream = stream.map_err(|_| broken("LZMA memory"))?;
        Ok::<_, CodecError>(Box::new(Lzma { source: source.clone(), stream, ended: false }))
    };
    let inflate =
        |head| Inflate { source: source.clone(), inner: Decompress::new(false), head, ended: false };
    Ok(match hint {
        Hint::Zlib => Box::new(inflate(Head::Zlib)),
        Hint::Gzip => Box::new(inflate(Head::Gzip)),
        Hint::Deflate => Box::new(inflate(Head::None)),
        Hint::Xz(_) => lzma(Stream::new_stream_decoder(LZMA_MEMORY_MAX, 0))?,
        Hint::Lzma => lzma(Stream::new_lzma_decoder(LZMA_MEMORY_MAX))?,
        Hint::Zstd => {
            let mut inner = Decoder::new().map_err(|_| broken("zstd memory"))?;
            inner
                .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))
                .map_err(|_| broken("zstd window"))?;
            Box::new(Zstd { source, inner, between_frames: true })
        }
        Hint::Lz4Block => Box::new(lz::Blocks::new(source, lz::Kind::Lz4Block)),
        Hint::Lz4Frame => Box::new(lz::Blocks::new(source, lz::Kind::Lz4Frame(None))),
        Hint::Lz4Legacy => Box::new(lz::Blocks::new(source, lz::Kind::Lz4Legacy)),
        Hint::Lzo => Box::new(lz::Blocks::new(source, lz::Kind::Lzo)),
    })
}

/// What an unpacker holds at most, in bytes, beside the caller's buffers.
pub(crate) fn memory(hint: Hint, plain_len: u64) -> u64 {
    const INFLATE: u64 = 64 << 10;
    let known = match hint {
        Hint::Zlib | Hint::Gzip | Hint::Deflate => INFLATE,
        Hint::Xz(Some(dictionary)) => u64::from(dictionary).saturating_add(1 << 20),
        Hint::Xz(None) | Hint::Lzma => LZMA_MEMORY_MAX.min(plain_len.saturating_add(1 << 20)),
        Hint::Zstd => (1_u64 << ZSTD_WINDOW_LOG_MAX).min(plain_len).saturating_add(1 << 20),
        Hint::Lz4Block | Hint::Lzo => 2 << 20,
        Hint::Lz4Frame => 10 << 20,
        Hint::Lz4Legacy => 20 << 20,
    };
    known.saturating_add(INPUT_BYTES as u64)
}

fn broken(what: &'static str) -> CodecError {
    CodecError::Malformed { what }
}

/// Packed bytes that have been read and not used.
#[derive(Debug, Clone)]
struct Source {
    bytes: Vec<u8>,
    start: usize,
    ended: bool,
}

impl Source {
    fn waiting(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    fn take(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.bytes.len());
    }

    /// Reads once, behind what waits.
    fn more(&mut self, packed: &mut dyn Read) -> Result<(), CodecError> {
        self.bytes.drain(..self.start);
        self.start = 0;
        let end = self.bytes.len();
        self.bytes.resize(end.saturating_add(INPUT_BYTES), 0);
        let count = loop {
            match packed.read(self.bytes.get_mut(end..).unwrap_or_default()) {
                Err(source) if source.kind() == ErrorKind::Interrupted => {}
                other => break other.map_err(|source| CodecError::Read { source })?,
            }
        };
        self.bytes.truncate(end.saturating_add(count));
        self.ended = count == 0;
        Ok(())
    }

    /// Reads when nothing waits.
    fn refill(&mut self, packed: &mut dyn Read) -> Result<(), CodecError> {
        if self.waiting().is_empty() && !self.ended { self.more(packed) } else { Ok(()) }
    }

    /// Reads until `len` bytes wait, or the stretch ends.
    fn gather(&mut self, packed: &mut dyn Read, len: usize) -> Result<(), CodecError> {
        while self.waiting().len() < len && !self.ended {
            self.more(packed)?;
        }
        Ok(())
    }

    /// Takes exactly some bytes.
    fn array<const N: usize>(&mut self, packed: &mut dyn Read) -> Result<[u8; N], CodecError> {
        self.gather(packed, N)?;
        let bytes = *self.waiting().first_chunk::<N>().ok_or(CodecError::Short { what: "packed stretch" })?;
        self.take(N);
        Ok(bytes)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    None,
    Zlib,
    Gzip,
}

struct Inflate {
    source: Source,
    inner: Decompress,
    /// What is still to be skipped.
    head: Head,
    ended: bool,
}

impl Inflate {
    fn skip_head(&mut self, packed: &mut dyn Read) -> Result<(), CodecError> {
        match self.head {
            Head::None => {}
            Head::Zlib => {
                let [method, flags] = self.source.array(packed)?;
                // RFC 1950 section 2.2: method 8, the sum a multiple of 31, no preset dictionary.
                let sum = u16::from_be_bytes([method, flags]);
                if method & 15 != 8 || sum % 31 != 0 || flags & 0x20 != 0 {
                    return Err(broken("zlib head"));
                }
            }
            Head::Gzip => loop {
                if let Some(head) = gzip_head(self.source.waiting()) {
                    let len = head.len();
                    self.source.take(len);
                    break;
                }
                if self.source.ended || self.source.waiting().len() > GZIP_HEAD_BYTES_MAX {
                    return Err(broken("gzip head"));
                }
                self.source.more(packed)?;
            },
        }
        self.head = Head::None;
        Ok(())
    }
}

impl Unpack for Inflate {
    fn pull(&mut self, packed: &mut dyn Read, out: &mut [u8]) -> Result<usize, CodecError> {
        self.skip_head(packed)?;
        while !self.ended && !out.is_empty() {
            self.source.refill(packed)?;
            let (before_in, before_out) = (self.inner.total_in(), self.inner.total_out());
            let status = self.inner.decompress(self.source.waiting(), out, FlushDecompress::None);
            let status = status.map_err(|_| broken("DEFLATE stream"))?;
            let taken =
                usize::try_from(self.inner.total_in().saturating_sub(before_in)).unwrap_or(usize::MAX);
            let made = usize::try_from(self.inner.total_out().saturating_sub(before_out)).unwrap_or_default();
            self.source.take(taken);
            self.ended = status == flate2::Status::StreamEnd;
            if made > 0 {
                return Ok(made);
            }
            if !self.ended && taken == 0 && self.source.ended {
                return Err(CodecError::Short { what: "DEFLATE stream" });
            }
        }
        Ok(0)
    }
}

struct Lzma {
    source: Source,
    stream: Stream,
    ended: bool,
}

impl Unpack for Lzma {
    fn pull(&mut self, packed: &mut dyn Read, out: &mut [u8]) -> Result<usize, CodecError> {
        while !self.ended && !out.is_empty() {
            self.source.refill(packed)?;
            let action = if self.source.ended { Action::Finish } else { Action::Run };
            let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
            let status =
                self.stream.process(self.source.waiting(), out, action).map_err(|_| broken("LZMA stream"))?;
            let taken =
                usize::try_from(self.stream.total_in().saturating_sub(before_in)).unwrap_or(usize::MAX);
            let made =
                usize::try_from(self.stream.total_out().saturating_sub(before_out)).unwrap_or_default();
            self.source.take(taken);
            self.ended = is_end(status);
            if made > 0 {
                return Ok(made);
            }
            if !self.ended && taken == 0 && self.source.ended {
                return Err(CodecError::Short { what: "LZMA stream" });
            }
        }
        Ok(0)
    }
}

struct Zstd {
    source: Source,
    inner: Decoder<'static>,
    between_frames: bool,
}

impl Unpack for Zstd {
    fn pull(&mut self, packed: &mut dyn Read, out: &mut [u8]) -> Result<usize, CodecError> {
        while !out.is_empty() {
            self.source.refill(packed)?;
            if self.source.waiting().is_empty() && self.between_frames {
                return Ok(0);
            }
            let mut input = InBuffer::around(self.source.waiting());
            let mut output = OutBuffer::around(&mut *out);
            let left = self.inner.run(&mut input, &mut output).map_err(|_| broken("zstd frame"))?;
            let (taken, made) = (input.pos(), output.pos());
            self.source.take(taken);
            self.between_frames = left == 0;
            if made > 0 {
                return Ok(made);
            }
            if taken == 0 && self.source.ended && !self.between_frames {
                return Err(CodecError::Short { what: "zstd frame" });
            }
        }
        Ok(0)
    }
}
