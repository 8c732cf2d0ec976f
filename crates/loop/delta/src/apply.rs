//! Applies a patch: base and patch in, result out, in one pass and bounded memory.
//!
//! In: the base by random access, the patch as a stream, limits. Out: the result, written from front to back. Refuses:
//! a base that is not the one in the header (before anything is written), every record that leaves base or result, a
//! patch that ends early or goes on too long, needs above the limits, and a result with another digest than promised.
//!
//! After an error the bytes already written are worth nothing: the caller throws them away, and never boots them.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};
use thiserror::Error;
use warden_model::{ByteCount, Sha256Digest};

use crate::format::{HEADER_BYTES, Header, HeaderProblem, Number, Progress, RecordHead, unzigzag};
use crate::unpack::{Unpacker, read_exactly};

/// The size of the piece in which base and result are copied: large enough for flash, and little memory.
const COPY_BYTES: usize = 64 * 1024;

/// What applying needs besides the window: the copy buffers (three times 64 KiB), and the tables and two blocks of the
/// Zstandard decoder (below 512 KiB; RFC 8878 section 3.1.1.2.4 caps a block at 128 KiB).
const FIXED_MEMORY: ByteCount = ByteCount::mib(1);

/// A base: something to read from anywhere.
pub trait ReadSeek: Read + Seek {}

impl<T: Read + Seek + ?Sized> ReadSeek for T {}

/// What a patch may cost the device that applies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyLimits {
    /// Largest result: the size of the slot, where there is one.
    pub result_bytes_max: ByteCount,
    /// Most memory that applying may take.
    pub memory_max: ByteCount,
}

impl Default for ApplyLimits {
    fn default() -> Self {
        Self {
            // No slot of the devices that we know is larger; whoever knows the slot sets the real size.
            result_bytes_max: ByteCount::mib(1024),
            // Half of the smallest Linux device that we serve has this much to spare; our own patches need 9 MiB.
            memory_max: ByteCount::mib(32),
        }
    }
}

/// What came of applying a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The header of the patch.
    pub header: Header,
    /// How much was written: always the size that the header says.
    pub written: ByteCount,
}

/// Why a patch could not be applied.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The bytes are no patch at all.
    #[error("this is no patch: it does not start with FWDELTA")]
    NotAPatch,
    /// The patch has another format.
    #[error("the patch has format version {found}, only version 1 can be read")]
    Version {
        /// Its version.
        found: u8,
    },
    /// The patch was made for another base.
    #[error(
        "the base is not the one that the patch was made for (SHA-256 expected {expected}, found {found})"
    )]
    WrongBase {
        /// The digest in the header.
        expected: Sha256Digest,
        /// The digest of the base, over as many bytes as the header says, or all that there are.
        found: Sha256Digest,
    },
    /// The patch makes more than allowed.
    #[error("the patch makes an image of {size}, more than the {limit} that are allowed")]
    ResultTooLarge {
        /// The size in the header.
        size: ByteCount,
        /// The limit.
        limit: ByteCount,
    },
    /// The patch needs more memory than allowed.
    #[error("the patch needs {need} of memory, more than the {limit} that are allowed")]
    Memory {
        /// What it needs.
        need: ByteCount,
        /// The limit.
        limit: ByteCount,
    },
    /// The patch ends early.
    #[error("the patch ends too early: it was cut")]
    Truncated,
    /// The patch breaks its own format.
    #[error("the patch is corrupt: {what}")]
    Corrupt {
        /// What is wrong.
        what: &'static str,
    },
    /// The compressed part cannot be unpacked, or wants more memory than the header says.
    #[error("unpack the patch")]
    Unpack {
        /// What the decoder said.
        source: io::Error,
    },
    /// Something follows the patch.
    #[error("the patch has bytes after its end")]
    TrailingBytes,
    /// The result is not the promised one.
    #[error("the patch made another image than promised (SHA-256 expected {expected}, found {found})")]
    ResultMismatch {
        /// The digest in the header.
        expected: Sha256Digest,
        /// The digest of what was written.
        found: Sha256Digest,
    },
    /// The patch could not be read.
    #[error("read the patch")]
    ReadPatch {
        /// What the reader said.
        source: io::Error,
    },
    /// The base could not be read.
    #[error("read the base")]
    ReadBase {
        /// What the reader said.
        source: io::Error,
    },
    /// The result could not be written.
    #[error("write the result")]
    WriteResult {
        /// What the writer said.
        source: io::Error,
    },
}

/// Reads the header of a patch and nothing else: 96 bytes.
pub fn read_header(patch: &mut dyn Read) -> Result<Header, ApplyError> {
    let mut bytes = [0; HEADER_BYTES];
    read_exactly(patch, &mut bytes)?;
    Header::from_bytes(&bytes).map_err(|problem| match problem {
        HeaderProblem::Magic => ApplyError::NotAPatch,
        HeaderProblem::Version(found) => ApplyError::Version { found },
        HeaderProblem::Reserved => ApplyError::Corrupt { what: "a reserved byte of the header is set" },
        HeaderProblem::Window(_) => ApplyError::Corrupt { what: "the header names a window that cannot be" },
    })
}

/// Applies a patch and writes the result.
///
/// The base may be longer than the header says (a slot is larger than its image); the rest of it is never read.
pub fn apply(
    base: &mut dyn ReadSeek,
    patch: &mut dyn Read,
    result: &mut dyn Write,
    limits: &ApplyLimits,
) -> Result<Applied, ApplyError> {
    let header = read_header(patch)?;
    check_limits(&header, limits)?;
    check_base(base, &header)?;
    let unpacker = Unpacker::new(patch, header.window_memory.0.max(1).ilog2())?;
    let mut run = Run {
        base,
        base_position: 0,
        unpacker,
        result,
        result_left: header.result_size.0,
        hash: Sha256::new(),
        piece: vec![0; COPY_BYTES],
        base_piece: vec![0; COPY_BYTES],
    };
    while run.result_left > 0 {
        run.record(&header)?;
    }
    run.unpacker.expect_end()?;
    let found = Sha256Digest(run.hash.finalize().into());
    if found != header.result {
        return Err(ApplyError::ResultMismatch { expected: header.result, found });
    }
    result.flush().map_err(|source| ApplyError::WriteResult { source })?;
    Ok(Applied { written: header.result_size, header })
}

fn check_limits(header: &Header, limits: &ApplyLimits) -> Result<(), ApplyError> {
    if header.result_size > limits.result_bytes_max {
        return Err(ApplyError::ResultTooLarge { size: header.result_size, limit: limits.result_bytes_max });
    }
    let need = ByteCount(header.window_memory.0.saturating_add(FIXED_MEMORY.0));
    if need > limits.memory_max {
        return Err(ApplyError::Memory { need, limit: limits.memory_max });
    }
    Ok(())
}

fn check_base(base: &mut dyn ReadSeek, header: &Header) -> Result<(), ApplyError> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; COPY_BYTES];
    let mut left = header.base_size.0;
    base.seek(SeekFrom::Start(0)).map_err(|source| ApplyError::ReadBase { source })?;
    while left > 0 {
        let wanted = piece.get_mut(..piece_len(left)).unwrap_or_default();
        match base.read(wanted) {
            // A base that is too short is another base: its digest will say so.
            Ok(0) => break,
            Ok(count) => {
                hash.update(wanted.get(..count).unwrap_or_default());
                left = left.saturating_sub(count as u64);
            }
            Err(source) if source.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(ApplyError::ReadBase { source }),
        }
    }
    let found = Sha256Digest(hash.finalize().into());
    if left > 0 || found != header.base {
        return Err(ApplyError::WrongBase { expected: header.base, found });
    }
    Ok(())
}

/// Returns the length of the next piece of `left` bytes.
fn piece_len(left: u64) -> usize {
    usize::try_from(left).unwrap_or(COPY_BYTES).min(COPY_BYTES)
}

struct Run<'a> {
    base: &'a mut dyn ReadSeek,
    base_position: u64,
    unpacker: Unpacker<'a>,
    result: &'a mut dyn Write,
    result_left: u64,
    hash: Sha256,
    piece: Vec<u8>,
    base_piece: Vec<u8>,
}

impl Run<'_> {
    fn record(&mut self, header: &Header) -> Result<(), ApplyError> {
        let head = self.head()?;
        let made = head.add.checked_add(head.extra).filter(|made| *made <= self.result_left);
        let Some(made) = made else {
            return Err(ApplyError::Corrupt { what: "a record makes more than the result holds" });
        };
        if made == 0 {
            return Err(ApplyError::Corrupt { what: "a record makes nothing" });
        }
        let start = self.base_position.checked_add_signed(head.seek);
        let end =
            start.and_then(|start| start.checked_add(head.add)).filter(|end| *end <= header.base_size.0);
        let (Some(start), Some(end)) = (start, end) else {
            return Err(ApplyError::Corrupt { what: "a record copies from outside the base" });
        };
        self.add(start, head.add)?;
        self.base_position = end;
        self.extra(head.extra)
    }

    fn head(&mut self) -> Result<RecordHead, ApplyError> {
        let seek = unzigzag(self.number()?);
        Ok(RecordHead { seek, add: self.number()?, extra: self.number()? })
    }

    fn number(&mut self) -> Result<u64, ApplyError> {
        let mut number = Number::default();
        loop {
            let mut byte = [0];
            self.unpacker.read_exact(&mut byte)?;
            match number.push(byte[0]) {
                Progress::More => {}
                Progress::Done(value) => return Ok(value),
                Progress::Refused => return Err(ApplyError::Corrupt { what: "a number is misspelled" }),
            }
        }
    }

    /// Writes base bytes plus differences.
    fn add(&mut self, start: u64, mut left: u64) -> Result<(), ApplyError> {
        if left > 0 {
            self.base.seek(SeekFrom::Start(start)).map_err(|source| ApplyError::ReadBase { source })?;
        }
        while left > 0 {
            let len = piece_len(left);
            let piece = self.piece.get_mut(..len).unwrap_or_default();
            let base_piece = self.base_piece.get_mut(..len).unwrap_or_default();
            self.unpacker.read_exact(piece)?;
            self.base.read_exact(base_piece).map_err(|source| ApplyError::ReadBase { source })?;
            piece.iter_mut().zip(&*base_piece).for_each(|(byte, base)| *byte = byte.wrapping_add(*base));
            self.write(len)?;
            left -= len as u64;
        }
        Ok(())
    }

    /// Writes bytes as they are.
    fn extra(&mut self, mut left: u64) -> Result<(), ApplyError> {
        while left > 0 {
            let len = piece_len(left);
            self.unpacker.read_exact(self.piece.get_mut(..len).unwrap_or_default())?;
            self.write(len)?;
            left -= len as u64;
        }
        Ok(())
    }

    /// Writes the first `len` bytes of the piece.
    fn write(&mut self, len: usize) -> Result<(), ApplyError> {
        let piece = self.piece.get(..len).unwrap_or_default();
        self.hash.update(piece);
        self.result.write_all(piece).map_err(|source| ApplyError::WriteResult { source })?;
        self.result_left = self.result_left.saturating_sub(len as u64);
        Ok(())
    }
}
