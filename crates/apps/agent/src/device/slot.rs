//! Slots: written in a stream, flushed, read back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};
use warden_delta::{Applied, ApplyError, ApplyLimits};
use warden_model::device::Slot;
use warden_model::{ByteCount, Sha256Digest};

use super::dir::DeviceDir;
use super::pair::sync_dir;
use super::resume;
use crate::machine::{Input, PatchTarget, Verification, WriteFailure};

/// The piece in which slots are read and written: large enough for flash, little memory.
pub(super) const PIECE_BYTES: usize = 64 * 1024;
/// Most memory that a patch may take: half of the smallest Linux device that we serve has it to spare.
pub(super) const PATCH_MEMORY_MAX: ByteCount = ByteCount::mib(32);
/// Most storage that a patch may take beside the slot: an unpacked kernel and initramfs.
pub(super) const PATCH_SCRATCH_MAX: ByteCount = ByteCount::mib(256);

/// Says whether an error means that the disk is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Empties a file that filled the disk: the journal needs room too.
pub fn give_back(path: &Path) {
    if let Err(error) = fresh(path) {
        tracing::warn!("{} cannot be emptied: {error}", path.display());
    }
}

/// Opens a file to write from its start; what was in it is gone.
pub(super) fn fresh(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).write(true).truncate(true).open(path)
}

/// Returns length and digest of a file.
pub fn digest_of(path: &Path) -> anyhow::Result<(ByteCount, Sha256Digest)> {
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

/// Makes a slot durable, reads it back and compares.
pub fn verify(path: &Path, image: Sha256Digest, size: ByteCount) -> Verification {
    match settle(path).and_then(|()| digest_of(path)) {
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

/// Brings the slot and its name to the disk, and lets go of the pages in memory, so that what is read comes from there.
fn settle(path: &Path) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    file.sync_all().with_context(|| format!("flush {}", path.display()))?;
    path.parent().map_or(Ok(()), sync_dir)?;
    // A hint only: a file system that knows no such thing reads from memory.
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).ok();
    Ok(())
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
        Err(error) => {
            if is_full(&error) {
                give_back(slot);
            }
            failed(&error, WriteFailure::Broken, "write the slot")
        }
    }
}

pub(super) fn failed(error: &io::Error, otherwise: WriteFailure, what: &str) -> Input {
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
    let file_of_patch = match open_checked(patch_file, patch) {
        Ok(file) => file,
        Err(detail) => return Input::WriteFailed { failure: WriteFailure::Patch, detail },
    };
    let base = match File::open(dir.slot(base)) {
        Ok(base) => base,
        Err(error) => return failed(&error, WriteFailure::Broken, "open the running slot"),
    };
    let slot_path = dir.slot(slot);
    // What is in it may be from before a cut.
    let file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&slot_path);
    let made = match file {
        Ok(to) => apply_files(dir, base, (&file_of_patch, patch.digest), (&to, slot), size),
        Err(error) => return failed(&error, WriteFailure::Broken, "open the slot"),
    };
    let input = match made {
        Ok(applied) if applied.header.result == image => Input::Written,
        Ok(_) => patch_failed("the patch makes another image than the one that was ordered"),
        Err(ApplyError::WriteResult { source } | ApplyError::Journal { source }) => {
            failed(&source, WriteFailure::Broken, "write the slot")
        }
        Err(error) => patch_failed(&format!("{:#}", anyhow::Error::from(error))),
    };
    if matches!(input, Input::WriteFailed { failure: WriteFailure::NoSpace, .. }) {
        give_back(&slot_path);
    }
    input
}

/// Applies a patch. Long streams are unpacked to a file without a name: whatever stops us, nothing of it is left.
fn apply_files(
    dir: &DeviceDir,
    base: File,
    patch: (&File, Sha256Digest),
    slot: (&File, Slot),
    size: ByteCount,
) -> Result<Applied, ApplyError> {
    let limits =
        ApplyLimits { result_bytes_max: size, memory_max: PATCH_MEMORY_MAX, scratch_max: PATCH_SCRATCH_MAX };
    let place = dir.root().join("scratch");
    let scratch = OpenOptions::new().create(true).read(true).write(true).truncate(true).open(&place);
    let mut scratch = scratch.and_then(|file| fs::remove_file(&place).map(|()| file));
    // Most patches need none: that there is no room for it is told only when one does.
    resume::make(&mut resume::Job { dir, patch, base, slot, limits }, scratch.as_mut().ok())
}

pub(super) fn finish(result: BufWriter<File>) -> Input {
    let flushed =
        result.into_inner().map_err(io::IntoInnerError::into_error).and_then(|slot| slot.sync_all());
    match flushed {
        Ok(()) => Input::Written,
        Err(error) => failed(&error, WriteFailure::Broken, "flush the slot"),
    }
}

pub(super) fn patch_failed(detail: &str) -> Input {
    Input::WriteFailed { failure: WriteFailure::Patch, detail: detail.to_owned() }
}

fn open_checked(file: &Path, patch: &PatchTarget) -> Result<File, String> {
    let says = |error: io::Error| format!("read the patch: {error}");
    let mut file = File::open(file).map_err(says)?;
    let mut hash = Sha256::new();
    let mut reader = (&mut file).take(patch.size.0.saturating_add(1));
    let length = io::copy(&mut reader, &mut Hashing(&mut hash)).map_err(says)?;
    let found = Sha256Digest(hash.finalize().into());
    if (ByteCount(length), found) != (patch.size, patch.digest) {
        return Err("the patch is not the one that was signed".to_owned());
    }
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

#[cfg(test)]
mod tests {
    use super::{verify, write_image};
    use crate::machine::{Input, Verification, WriteFailure};
    use std::fs;
    use std::path::Path;
    use warden_model::{ByteCount, Sha256Digest};

    #[test]
    fn a_full_disk_is_called_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        fs::write(&image, vec![1; 100_000]).unwrap();
        let input = write_image(&image, Path::new("/dev/full"), ByteCount(100_000));
        let Input::WriteFailed { failure, detail } = input else { panic!("{input:?}") };
        assert_eq!(failure, WriteFailure::NoSpace);
        assert!(detail.starts_with("write the slot: No space left"), "{detail}");
    }

    #[test]
    fn a_slot_is_right_to_the_last_byte_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let slot = dir.path().join("a.img");
        fs::write(&slot, b"abc").unwrap();
        // FIPS 180-4, the example "abc".
        let abc: Sha256Digest =
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".parse().unwrap();
        assert_eq!(verify(&slot, abc, ByteCount(3)), Verification::Matches);
        assert_eq!(verify(&slot, abc, ByteCount(4)), Verification::Differs);
        fs::write(&slot, b"abcd").unwrap();
        assert_eq!(verify(&slot, abc, ByteCount(3)), Verification::Differs);
        assert_eq!(verify(&dir.path().join("none"), abc, ByteCount(3)), Verification::Differs);
    }
}
