//! A slot that is made from a patch, and goes on after a cut where it was.
//!
//! In: base, patch, slot, and the record from before a cut, if there is one. Out: the slot, and a record each time
//! [`RECORD_EVERY`] more of it is durable. Refuses nothing of its own: a record that does not fit means a start at the
//! beginning, and so does a resumed run that fails.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use warden_delta::{Applied, ApplyError, ApplyLimits, Extras, PLACE_BYTES, Place, Resume, Scratch, Start};
use warden_model::device::Slot;
use warden_model::{ByteCount, Sha256Digest};

use super::dir::DeviceDir;
use super::pair::Pair;
use super::slot::PIECE_BYTES;

/// After how much more of the slot there is a new record: what a cut can cost the flash, as with downloads.
pub const RECORD_EVERY: ByteCount = ByteCount::mib(1);

/// A slot behind a buffer: what packers hand out is small.
struct SlotFile(BufWriter<File>);

impl Read for SlotFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.flush()?;
        self.0.get_mut().read(into)
    }
}

impl Write for SlotFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for SlotFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// What is to be made.
pub(super) struct Job<'a> {
    /// The device.
    pub(super) dir: &'a DeviceDir,
    /// The patch, found to be the signed one.
    pub(super) patch: (&'a File, Sha256Digest),
    /// The running slot.
    pub(super) base: File,
    /// The slot to make, open to read and write.
    pub(super) slot: (&'a File, Slot),
    /// What it may cost.
    pub(super) limits: ApplyLimits,
}

/// Makes the slot, from where it stands or from the beginning, and brings it to the disk.
pub(super) fn make(job: &mut Job<'_>, scratch: Option<&mut File>) -> Result<Applied, ApplyError> {
    let records = job.dir.patch_records();
    let record = records.load().unwrap_or_else(|error| {
        tracing::warn!("the record of the patch cannot be read, starting from its beginning: {error:#}");
        None
    });
    let mut scratch = scratch;
    if let Some(record) = record {
        match run(job, Some(&record), &records, scratch.as_deref_mut()) {
            Ok(applied) => return Ok(applied),
            // A full disk stays full, and a disk that fails does not get better.
            Err(error @ (ApplyError::WriteResult { .. } | ApplyError::Journal { .. })) => return Err(error),
            Err(error) => {
                let error = anyhow::Error::from(error);
                tracing::warn!("going on after the cut failed, starting from the beginning: {error:#}");
            }
        }
    }
    run(job, None, &records, scratch)
}

fn run(
    job: &mut Job<'_>,
    record: Option<&[u8]>,
    records: &Pair,
    scratch: Option<&mut File>,
) -> Result<Applied, ApplyError> {
    let (mut patch, patch_digest) = (job.patch.0, job.patch.1);
    let (file, slot) = job.slot;
    let handle = || file.try_clone().map_err(|source| ApplyError::WriteResult { source });
    let mut result = SlotFile(BufWriter::with_capacity(PIECE_BYTES, handle()?));
    let mut journal = |place: &Place| {
        file.sync_data()?;
        records.save(&place.to_bytes()).map_err(|error| {
            let kind = error.downcast_ref().map_or(io::ErrorKind::Other, io::Error::kind);
            io::Error::new(kind, error)
        })
    };
    patch.seek(SeekFrom::Start(0)).map_err(|source| ApplyError::ReadPatch { source })?;
    let purpose = [&patch_digest.0[..], slot.to_string().as_bytes()].concat();
    let resume = Resume { purpose: &purpose, record, every: RECORD_EVERY, journal: &mut journal };
    let scratch = scratch.map(|file| file as &mut dyn Scratch);
    let extras = Extras { limits: &job.limits, scratch, watch: &mut |_| {} };
    let applied = warden_delta::apply_resumable(
        &mut job.base,
        &mut BufReader::new(patch),
        &mut result,
        extras,
        resume,
    )?;
    match applied.start {
        Start::Resumed(there) => {
            tracing::info!(%there, of = %applied.written, "the slot went on from before the cut");
        }
        Start::Beginning(anew) => {
            tracing::debug!(why = anew.reason(), "the slot is made from its beginning");
        }
    }
    // What the slot held before may have been longer.
    let ended = file.set_len(applied.written.0).and_then(|()| file.sync_all());
    ended.map_err(|source| ApplyError::WriteResult { source })?;
    Ok(applied)
}

impl DeviceDir {
    /// Returns the records of how far the patch in work is.
    fn patch_records(&self) -> Pair {
        Pair::new(&self.root().join("journal"), "patch", PLACE_BYTES as u64)
    }
}

#[cfg(test)]
mod tests;
