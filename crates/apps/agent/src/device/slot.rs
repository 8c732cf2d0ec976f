//! Slots: written in a stream, flushed, read back.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use warden_delta::{ApplyError, ApplyLimits};
use warden_model::device::Slot;
use warden_model::{ByteCount, Sha256Digest};

use super::dir::DeviceDir;
use crate::machine::{Input, PatchTarget, Verification, WriteFailure};

/// The piece in which slots are read and written: large enough for flash, little memory.
const PIECE_BYTES: usize = 64 * 1024;
/// Most memory that a patch may take: half of the smallest Linux device that we serve has it to spare.
const PATCH_MEMORY_MAX: ByteCount = ByteCount::mib(32);

/// Says whether an error means that the disk is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Opens a file to write from its start; what was in it is gone.
fn fresh(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).write(true).truncate(true).open(path)
}

/// Returns length and digest of a file.
pub fn digest_of(path: &Path) -> Result<(ByteCount, Sha256Digest)> {
    let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut length = 0_u64;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = file.read(&mut piece).with_context(|| format!("read {}", path.display()))?;
        if count == 0 {
            return Ok((ByteCount(length), Sha256Digest(hash.finalize().into())));
        }
        hash.update(piece.get(..count).unwrap_or_default());
        length = length.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

/// Reads a slot back and compares.
pub fn verify(path: &Path, image: Sha256Digest, size: ByteCount) -> Verification {
    match digest_of(path) {
        Ok(found) if found == (size, image) => Verification::Matches,
        Ok((length, found)) => {
            tracing::warn!(slot = %path.display(), %length, %found, expected = %image, "the slot is not what was signed");
            Verification::Differs
        }
        Err(error) => {
            tracing::warn!("the slot cannot be read: {error:#}");
            Verification::Differs
        }
    }
}

/// Copies an image that lies at hand into a slot.
pub fn write_image(source: &Path, slot: &Path, size: ByteCount) -> Input {
    let copied = File::open(source).and_then(|source| {
        let mut to = fresh(slot)?;
        io::copy(&mut source.take(size.0), &mut to)?;
        to.sync_all()
    });
    match copied {
        Ok(()) => Input::Written,
        Err(error) => failed(&error, WriteFailure::Broken, "write the slot"),
    }
}

fn failed(error: &io::Error, otherwise: WriteFailure, what: &str) -> Input {
    let failure = if is_full(error) { WriteFailure::NoSpace } else { otherwise };
    Input::WriteFailed { failure, detail: format!("{what}: {error}") }
}

/// Checks a patch against its signed digest and then applies it, both on the same open file: nothing of it is parsed
/// before, and nobody can change it between.
pub fn apply_patch(
    dir: &DeviceDir,
    patch: &PatchTarget,
    patch_file: &Path,
    (base, slot): (Slot, Slot),
    (image, size): (Sha256Digest, ByteCount),
) -> Input {
    let mut file = match open_checked(patch_file, patch) {
        Ok(file) => file,
        Err(detail) => return Input::WriteFailed { failure: WriteFailure::Patch, detail },
    };
    let base = match File::open(dir.slot(base)) {
        Ok(base) => base,
        Err(error) => return failed(&error, WriteFailure::Broken, "open the running slot"),
    };
    let slot = match fresh(&dir.slot(slot)) {
        Ok(slot) => slot,
        Err(error) => return failed(&error, WriteFailure::Broken, "open the slot"),
    };
    let limits = ApplyLimits { result_bytes_max: size, memory_max: PATCH_MEMORY_MAX };
    let mut result = BufWriter::with_capacity(PIECE_BYTES, slot);
    match warden_delta::apply(&mut BufReader::new(base), &mut BufReader::new(&mut file), &mut result, &limits)
    {
        Ok(applied) if applied.header.result == image => finish(result),
        Ok(_) => patch_failed("the patch makes another image than the one that was ordered"),
        Err(ApplyError::WriteResult { source }) => failed(&source, WriteFailure::Broken, "write the slot"),
        Err(error) => patch_failed(&format!("{:#}", anyhow::Error::from(error))),
    }
}

fn finish(result: BufWriter<File>) -> Input {
    let flushed =
        result.into_inner().map_err(io::IntoInnerError::into_error).and_then(|slot| slot.sync_all());
    match flushed {
        Ok(()) => Input::Written,
        Err(error) => failed(&error, WriteFailure::Broken, "flush the slot"),
    }
}

fn patch_failed(detail: &str) -> Input {
    Input::WriteFailed { failure: WriteFailure::Patch, detail: detail.to_owned() }
}

fn open_checked(file: &Path, patch: &PatchTarget) -> Result<File, String> {
    use std::io::{Seek, SeekFrom};
    let says = |error: io::Error| format!("read the patch: {error}");
    let mut file = File::open(file).map_err(says)?;
    let mut hash = Sha256::new();
    let mut reader = (&mut file).take(patch.size.0.saturating_add(1));
    let length = io::copy(&mut reader, &mut Hashing(&mut hash)).map_err(says)?;
    let found = Sha256Digest(hash.finalize().into());
    if (ByteCount(length), found) != (patch.size, patch.digest) {
        return Err("the patch is not the one that was signed".to_owned());
    }
    file.seek(SeekFrom::Start(0)).map_err(says)?;
    Ok(file)
}

struct Hashing<'a>(&'a mut Sha256);

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
