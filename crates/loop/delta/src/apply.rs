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

use crate::format::{self, HeadProblem, Header, LAYERS_BYTES_MAX, Take};
use crate::layers::{LayerError, Layers, NewSink, OldPlain, Scratch};
use crate::stream::read::{Last, NewBytes, OldBytes, read};

/// The size of the piece in which base and result are copied: large enough for flash, and little memory.
const COPY_BYTES: usize = 64 * 1024;

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
    /// Most storage that unpacking long streams may take, where there is some.
    pub scratch_max: ByteCount,
}

impl Default for ApplyLimits {
    fn default() -> Self {
        Self {
            // No slot of the devices that we know is larger; whoever knows the slot sets the real size.
            result_bytes_max: ByteCount::mib(1024),
            // Half of the smallest Linux device that we serve has this much to spare; our own patches need 5 to 16 MiB.
            memory_max: ByteCount::mib(32),
            // The unpacked kernel and initramfs of a large image.
            scratch_max: ByteCount::mib(512),
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
    #[error("the patch has format version {found}, only version 2 can be read")]
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
    /// The patch needs more storage than allowed.
    #[error("the patch needs {need} of scratch storage, more than the {limit} that are allowed")]
    Scratch {
        /// What it needs.
        need: ByteCount,
        /// The limit.
        limit: ByteCount,
    },
    /// The packed stretches of base or result cannot be handled.
    #[error("go through the layers of the image")]
    Layers {
        /// What is wrong with them.
        source: LayerError,
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

/// Takes the head of a patch from a reader.
struct HeadReader<'a>(&'a mut dyn Read);

impl Take for HeadReader<'_> {
    type Error = ApplyError;

    fn take(&mut self, into: &mut [u8]) -> Result<(), ApplyError> {
        self.0.read_exact(into).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => ApplyError::Truncated,
            _ => ApplyError::ReadPatch { source },
        })
    }
}

impl From<HeadProblem> for ApplyError {
    fn from(problem: HeadProblem) -> Self {
        match problem {
            HeadProblem::Magic => Self::NotAPatch,
            HeadProblem::Version(found) => Self::Version { found },
            HeadProblem::Corrupt(what) => Self::Corrupt { what },
        }
    }
}

/// Reads the header of a patch and nothing else: some 100 bytes.
pub fn read_header(patch: &mut dyn Read) -> Result<Header, ApplyError> {
    format::read_header(&mut HeadReader(patch))
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
    apply_with(base, patch, result, Extras { limits, scratch: None, watch: &mut |_| {} })
}

/// What applying a large patch may use beside its input and output.
pub struct Extras<'a> {
    /// What the patch may cost.
    pub limits: &'a ApplyLimits,
    /// Storage for long streams; patches whose header asks for some are refused without.
    pub scratch: Option<&'a mut dyn Scratch>,
    /// Is told after each window how many bytes of the result have been written and flushed.
    pub watch: &'a mut dyn FnMut(ByteCount),
}

/// Applies a patch with scratch storage, and tells how far it is.
pub fn apply_with(
    base: &mut dyn ReadSeek,
    patch: &mut dyn Read,
    result: &mut dyn Write,
    extras: Extras<'_>,
) -> Result<Applied, ApplyError> {
    let mut head = HeadReader(patch);
    let header = format::read_header(&mut head)?;
    check_limits(&header, extras.limits)?;
    let windows = format::read_windows(&mut head, &header)?;
    let layers = read_layers(&mut head, &header)?;
    check_base(base, &header)?;
    let mut result = Hashed { result, hash: Sha256::new(), written: 0, watch: extras.watch };
    let scratch = extras.scratch.map(|scratch| scratch as &mut dyn Scratch);
    let mut old = Old(OldPlain::new(&layers, base, scratch).map_err(layer_error)?);
    let sink = NewSink::new(&layers, &mut result);
    let mut new = New { sink, plain: (header.layers == 0).then(Sha256::new), expected: header.result };
    read(&header, &windows, patch, &mut old, &mut new)?;
    new.sink.finish().map_err(layer_error)?;
    expect_digest(header.result, result.hash)?;
    result.result.flush().map_err(|source| ApplyError::WriteResult { source })?;
    Ok(Applied { written: header.result_size, header })
}

fn expect_digest(expected: Sha256Digest, hash: Sha256) -> Result<(), ApplyError> {
    let found = Sha256Digest(hash.finalize().into());
    if found != expected {
        return Err(ApplyError::ResultMismatch { expected, found });
    }
    Ok(())
}

struct Old<'a>(OldPlain<'a>);

impl OldBytes for Old<'_> {
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), ApplyError> {
        self.0.read_at(at, into).map_err(layer_error)
    }
}

struct New<'a> {
    sink: NewSink<'a>,
    /// Without layers, the plain bytes are the result: its digest is checked before the last window is written.
    plain: Option<Sha256>,
    expected: Sha256Digest,
}

impl NewBytes for New<'_> {
    fn window(&mut self, plain: &[u8], last: Last) -> Result<(), ApplyError> {
        if let Some(hash) = &mut self.plain {
            hash.update(plain);
            if last == Last::Yes {
                expect_digest(self.expected, hash.clone())?;
            }
        }
        plain.chunks(COPY_BYTES).try_for_each(|piece| self.sink.push(piece)).map_err(layer_error)
    }
}

/// The errors of reading and writing keep their own names; the others are the layers'.
fn layer_error(error: LayerError) -> ApplyError {
    match error {
        LayerError::ReadBase { source, .. } => ApplyError::ReadBase { source },
        LayerError::WriteResult { source, .. } => ApplyError::WriteResult { source },
        source => ApplyError::Layers { source },
    }
}

/// The result on its way: hashed, and counted for whoever watches.
struct Hashed<'a> {
    result: &'a mut dyn Write,
    hash: Sha256,
    written: u64,
    watch: &'a mut dyn FnMut(ByteCount),
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.result.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or(bytes));
        self.written += count as u64;
        (self.watch)(ByteCount(self.written));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.result.flush()
    }
}

/// Reads the table of packed stretches, if there is one.
fn read_layers(head: &mut HeadReader<'_>, header: &Header) -> Result<Layers, ApplyError> {
    let (old_len, new_len) = (header.base_size.0, header.result_size.0);
    if header.layers == 0 {
        return Ok(Layers::new(old_len, new_len));
    }
    let mut coded = vec![0; usize::try_from(header.layers_len).unwrap_or(0)];
    head.take(&mut coded)?;
    let plain = unpack_table(&coded)?;
    let mut rest = plain.as_slice();
    let layers = Layers::read(&mut rest, old_len, new_len).map_err(layer_error)?;
    let says = [
        (layers.old_plain_len(), header.base_plain_size.0),
        (layers.new_plain_len(), header.result_plain_size.0),
        (layers.scratch().0, header.scratch.0),
        (layers.memory().0, header.layers_memory.0),
        (rest.len() as u64, 0),
    ];
    if says.iter().any(|(found, said)| found != said) {
        return Err(ApplyError::Corrupt {
            what: "the table of packed stretches is not what the header says",
        });
    }
    Ok(layers)
}

/// Unpacks the table: one Zstandard frame.
fn unpack_table(coded: &[u8]) -> Result<Vec<u8>, ApplyError> {
    let mut plain = Vec::new();
    let unpack_error = |source| ApplyError::Unpack { source };
    let mut decoder = zstd::stream::read::Decoder::new(coded).map_err(unpack_error)?;
    decoder.window_log_max(LAYERS_BYTES_MAX.ilog2()).map_err(unpack_error)?;
    let limit = LAYERS_BYTES_MAX;
    decoder.take(limit + 1).read_to_end(&mut plain).map_err(unpack_error)?;
    if plain.len() as u64 > limit {
        return Err(ApplyError::Corrupt { what: "the table of packed stretches is too long" });
    }
    Ok(plain)
}

fn check_limits(header: &Header, limits: &ApplyLimits) -> Result<(), ApplyError> {
    if header.result_size > limits.result_bytes_max {
        return Err(ApplyError::ResultTooLarge { size: header.result_size, limit: limits.result_bytes_max });
    }
    let need = header.host_memory();
    if need > limits.memory_max {
        return Err(ApplyError::Memory { need, limit: limits.memory_max });
    }
    if header.scratch > limits.scratch_max {
        return Err(ApplyError::Scratch { need: header.scratch, limit: limits.scratch_max });
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
