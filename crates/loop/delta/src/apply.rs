//! Applies a patch: base and patch in, result out, in one pass and bounded memory.
//!
//! In: the base by random access, the patch as a stream, limits. Out: the result, written from front to back. Refuses:
//! a base that is not the one in the header (before anything is written), every record that leaves base or result, a
//! patch that ends early or goes on too long, needs above the limits, and a result with another digest than promised.
//!
//! After an error the bytes already written are worth nothing: the caller throws them away, and never boots them. After a
//! cut they are worth something: [`apply_resumable`] goes on from a record of 64 bytes.

mod place;
mod result;

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};
use thiserror::Error;
use warden_model::{ByteCount, Sha256Digest};

use crate::format::{self, HeadProblem, Header, LAYERS_BYTES_MAX, Take, WindowHead};
use crate::layers::{LayerError, Layers, OldPlain, Scratch};
use crate::stream::read::{OldBytes, read};

use self::place::bind;
pub(crate) use self::place::start_of;
pub use self::place::{Anew, PLACE_BYTES, Place};
pub use self::result::ResultFile;
use self::result::{Journaling, NewImage, Written, look_back};

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
    /// Where it started.
    pub start: Start,
}

/// Where applying started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the beginning.
    Beginning(Anew),
    /// Behind what was there from before a cut: so many bytes.
    Resumed(ByteCount),
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
    /// A window is another one than promised; nothing of it was written.
    #[error(
        "window {window} of the patch is not what its check value promises ({expected:016x} expected, {found:016x} found)"
    )]
    Window {
        /// Which one, from 1.
        window: u32,
        /// The start of the digest that the head of the patch promises.
        expected: u64,
        /// The start of the digest of its plain bytes.
        found: u64,
    },
    /// The table of packed stretches adds up to something else than the header says.
    #[error("the packed stretches add up to a {what} of {found}, the header of the patch says {said}")]
    Table {
        /// What adds up otherwise.
        what: &'static str,
        /// What the header says.
        said: u64,
        /// What the table adds up to.
        found: u64,
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
    /// What was written before a cut could not be read back.
    #[error("read back what was written of the result before")]
    ReadResult {
        /// What the reader said.
        source: io::Error,
    },
    /// What was written before a cut is not what the patch makes.
    #[error("what was written before the cut is not what the patch makes: start again without a record")]
    Diverged,
    /// The record of how far the result is could not be kept.
    #[error("record how far the result is")]
    Journal {
        /// What the journal said.
        source: io::Error,
    },
}

/// Takes the head of a patch from a reader, and keeps its digest.
struct HeadReader<'a> {
    patch: &'a mut dyn Read,
    hash: Sha256,
}

impl<'a> HeadReader<'a> {
    fn new(patch: &'a mut dyn Read) -> Self {
        Self { patch, hash: Sha256::new() }
    }
}

impl Take for HeadReader<'_> {
    type Error = ApplyError;

    fn take(&mut self, into: &mut [u8]) -> Result<(), ApplyError> {
        self.patch.read_exact(into).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => ApplyError::Truncated,
            _ => ApplyError::ReadPatch { source },
        })?;
        self.hash.update(into);
        Ok(())
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
    format::read_header(&mut HeadReader::new(patch))
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
    let opened = Opened::read(patch, extras.limits)?;
    check_base(base, &opened.header)?;
    let written = Written::new(result, extras.watch);
    opened.make(base, patch, extras.scratch, written, (None, None))?;
    Ok(opened.applied(Start::Beginning(Anew::NoRecord)))
}

/// Keeps a record.
pub type Record<'a> = &'a mut dyn FnMut(&Place) -> io::Result<()>;

/// What applying needs to go on after a cut.
pub struct Resume<'a> {
    /// What patch and which slot it is about, for instance the patch's digest and the slot's name: a record that was made
    /// for another purpose is not used.
    pub purpose: &'a [u8],
    /// The last record, if there is one; anything may be in it.
    pub record: Option<&'a [u8]>,
    /// After how much more of the result there is a new record.
    pub every: ByteCount,
    /// Makes durable what was written (all of it has been flushed), and then the record.
    pub journal: Record<'a>,
}

/// Applies a patch to a slot that may hold a part of the result from before a cut; the patch comes from its start again.
///
/// What is there by the record is read back, and not written again. The digest of the base is not taken again then: the
/// record was made after it was found right, and every window is checked. A record that does not fit in any way means a
/// start at the beginning, never another image: the digest of the result covers what was read back.
///
/// After an error of a resumed run other than one of storage, the caller tries once more without a record.
pub fn apply_resumable(
    base: &mut dyn ReadSeek,
    patch: &mut dyn Read,
    slot: &mut dyn ResultFile,
    extras: Extras<'_>,
    resume: Resume<'_>,
) -> Result<Applied, ApplyError> {
    let opened = Opened::read(patch, extras.limits)?;
    let Resume { purpose, record, every, journal } = resume;
    let binding = bind(&opened.digest, purpose);
    let found = look_back(slot, record, binding, (&opened.header, &opened.layers))?;
    let (start, place, written) = match found {
        Ok(found) => {
            let (start, place) = (Start::Resumed(found.place.durable()), found.place);
            (start, Some(place), Written::behind(slot, found, extras.watch))
        }
        Err(anew) => {
            check_base(base, &opened.header)?;
            (Start::Beginning(anew), None, Written::new(slot, extras.watch))
        }
    };
    let journaling = Journaling::new((every, journal), binding, place.as_ref());
    opened.make(base, patch, extras.scratch, written, (place, Some(journaling)))?;
    Ok(opened.applied(start))
}

/// A patch whose head was read.
struct Opened {
    header: Header,
    windows: Vec<WindowHead>,
    layers: Layers,
    /// The digest of all that stands in front of the windows.
    digest: [u8; 32],
}

impl Opened {
    fn read(patch: &mut dyn Read, limits: &ApplyLimits) -> Result<Self, ApplyError> {
        let mut head = HeadReader::new(patch);
        let header = format::read_header(&mut head)?;
        check_limits(&header, limits)?;
        let windows = format::read_windows(&mut head, &header)?;
        let layers = read_layers(&mut head, &header)?;
        Ok(Self { header, windows, layers, digest: head.hash.finalize().into() })
    }

    fn make(
        &self,
        base: &mut dyn ReadSeek,
        patch: &mut dyn Read,
        scratch: Option<&mut dyn Scratch>,
        mut written: Written<'_>,
        (place, journaling): (Option<Place>, Option<Journaling<'_>>),
    ) -> Result<(), ApplyError> {
        let scratch = scratch.map(|scratch| scratch as &mut dyn Scratch);
        let mut old = Old(OldPlain::new(&self.layers, base, scratch).map_err(layer_error)?);
        let mut new = NewImage::new(&self.header, &self.layers, &mut written, place.as_ref(), journaling);
        read(&self.header, &self.windows, patch, &mut old, &mut new)?;
        new.finish()
    }

    fn applied(self, start: Start) -> Applied {
        Applied { written: self.header.result_size, header: self.header, start }
    }
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

/// The errors of reading and writing keep their own names; the others are the layers'.
fn layer_error(error: LayerError) -> ApplyError {
    match error {
        LayerError::ReadBase { source, .. } => ApplyError::ReadBase { source },
        LayerError::WriteResult { source, .. } => ApplyError::WriteResult { source },
        source => ApplyError::Layers { source },
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
        ("base, unpacked,", layers.old_plain_len(), header.base_plain_size.0),
        ("result, unpacked,", layers.new_plain_len(), header.result_plain_size.0),
        ("need of storage", layers.scratch().0, header.scratch.0),
        ("need of memory", layers.memory().0, header.layers_memory.0),
        ("rest", rest.len() as u64, 0),
    ];
    if let Some((what, found, said)) = says.into_iter().find(|(_, found, said)| found != said) {
        return Err(ApplyError::Table { what, said, found });
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
