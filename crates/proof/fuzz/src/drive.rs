//! Carries a case out, and says what must never happen.
//!
//! In: a case. Out: how often a patch was applied or made. Refuses, as a panic that the parent sees: a result that is
//! not the promised one, bytes beyond it, more storage than announced; a patch of ours that does not make its image.
//!
//! A changed patch has wrong check values. Errors say which ones would be right, so they are made right, one after the
//! other: that is how a change gets through to packers and to the end.

use std::fmt;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};
use warden_delta::{
    ApplyError, ApplyLimits, Extras, Header, Made, MakeLimits, Place, Profile, Resume, apply,
    apply_resumable, make, read_header,
};
use warden_model::{ByteCount, Sha256Digest};

use crate::mutate::Case;
use crate::patch::Patch;

/// How often a patch is made right at most.
const ROUNDS_MAX: u32 = 24;

/// What the device allows. Larger results would only take longer.
fn limits() -> ApplyLimits {
    ApplyLimits {
        result_bytes_max: ByteCount::mib(4),
        memory_max: ByteCount::mib(32),
        scratch_max: ByteCount::mib(16),
    }
}

/// What came of cases.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Count {
    /// How often a patch was applied or made.
    pub(crate) applied: u64,
    /// How many changed patches made an image in the end, after their check values had been made right.
    pub(crate) accepted: u64,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} patches applied, {} of them changed ones that make an image",
            self.applied, self.accepted
        )
    }
}

/// Carries a case out.
pub(crate) fn run(case: Case, count: &mut Count) {
    match case {
        Case::Raw { old, patch } => {
            count.applied += 1;
            count.accepted += u64::from(applied(&old, &patch, None, Vec::new()).is_ok());
        }
        Case::Sound { old, mut patch, record, slot } => {
            for _ in 0..ROUNDS_MAX {
                count.applied += 1;
                match applied(&old, &patch.write(), record.as_deref(), slot.clone()) {
                    Ok(()) => {
                        count.accepted += 1;
                        return;
                    }
                    Err(error) if make_right(&mut patch, &error) => {}
                    Err(_) => return,
                }
            }
        }
        Case::Make { old, new, profile } => {
            let profile = match profile {
                0 => Profile::Linux,
                1 => Profile::Mcu,
                _ => Profile::Fast,
            };
            count.applied += 1;
            check_made(&old, &new, profile);
        }
    }
}

/// Makes a patch, and applies it.
fn check_made(old: &[u8], new: &[u8], profile: Profile) {
    let made = make(old, new, &MakeLimits { profile, ..MakeLimits::default() });
    assert!(made.is_ok(), "no patch is made: {made:?}");
    let Ok(Made::Patch(patch)) = made else { return };
    let (mut result, mut scratch) = (Vec::new(), Cursor::new(Vec::new()));
    let limits = ApplyLimits::default();
    let extras = Extras { limits: &limits, scratch: Some(&mut scratch), watch: &mut |_| {} };
    let applied = warden_delta::apply_with(&mut Cursor::new(old), &mut &*patch, &mut result, extras);
    assert!(applied.is_ok(), "a patch of ours is refused: {applied:?}");
    assert!(result == new, "a patch of ours makes another image");
}

/// Makes right what an error names; says whether there was something.
fn make_right(patch: &mut Patch, error: &ApplyError) -> bool {
    match error {
        ApplyError::WrongBase { expected, found } if expected != found => patch.base = found.0,
        ApplyError::ResultMismatch { found, .. } => patch.result = found.0,
        ApplyError::Window { window, found, .. } => {
            let index = usize::try_from(*window).unwrap_or(usize::MAX).wrapping_sub(1);
            let Some(window) = patch.windows.get_mut(index) else { return false };
            window.check = Some(found.to_be_bytes());
        }
        ApplyError::Table { what, found, .. } => {
            let place = ["base, unpacked,", "result, unpacked,", "need of storage", "need of memory"];
            let place = place.iter().position(|name| name == what);
            let number = place.and_then(|place| patch.layers.as_mut()?.get_mut(place));
            let Some(number) = number else { return false };
            *number = *found;
        }
        ApplyError::Layers { source: warden_delta::LayerError::NewLength { layer: 0, found, .. } } => {
            if let Some(size) = patch.numbers.get_mut(1) {
                *size = *found;
            }
        }
        _ => return false,
    }
    true
}

/// Applies a patch, and checks what must hold whatever it is.
fn applied(old: &[u8], patch: &[u8], record: Option<&[u8]>, slot: Vec<u8>) -> Result<(), ApplyError> {
    let header = read_header(&mut &*patch).ok();
    let result_size = header.as_ref().map_or(0, |header| header.result_size.0);
    let mut slot = Bounded::new(slot, result_size);
    let scratch_size = header.as_ref().map_or(0, |header| header.scratch.0);
    let mut scratch = Bounded::new(Vec::new(), scratch_size);
    let limits = limits();
    let mut last = 0;
    let mut watch = |written: ByteCount| last = written.0;
    let extras = Extras { limits: &limits, scratch: Some(&mut scratch), watch: &mut watch };
    let outcome = if let Some(record) = record {
        let record = bound(record, patch, header.as_ref());
        let mut journal = |place: &Place| {
            let bytes = place.to_bytes();
            assert!(Place::from_bytes(&bytes) == Some(*place), "a record does not come back");
            Ok(())
        };
        let resume =
            Resume { purpose: b"", record: Some(&record), every: ByteCount::kib(16), journal: &mut journal };
        apply_resumable(&mut Cursor::new(old), &mut &*patch, &mut slot, extras, resume)
    } else {
        warden_delta::apply_with(&mut Cursor::new(old), &mut &*patch, &mut slot, extras)
    };
    assert!(last <= result_size, "told of bytes beyond the result");
    let applied = outcome?;
    let made = slot.bytes.get(..usize::try_from(result_size).unwrap_or(usize::MAX)).unwrap_or(&slot.bytes);
    let digest = Sha256Digest(Sha256::digest(made).into());
    assert!(digest == applied.header.result, "believed a result with another digest");
    // The same once more, without anything around it: no patch depends on what is lent.
    if applied.header.scratch.0 == 0 {
        let mut again = Vec::new();
        let plain = apply(&mut Cursor::new(old), &mut &*patch, &mut again, &limits);
        assert!(record.is_some() || (plain.is_ok() && again == made), "another outcome the second time");
    }
    Ok(())
}

/// Binds a record to a patch, so that it gets through to what it says.
fn bound(record: &[u8], patch: &[u8], header: Option<&Header>) -> Vec<u8> {
    let Some(parts) = header.and_then(|_| Patch::read(patch)) else { return record.to_vec() };
    let windows: usize = parts.windows.iter().map(|window| window.coded.len()).sum();
    let head = patch.get(..patch.len().saturating_sub(windows)).unwrap_or_default();
    let binding = Sha256::digest(Sha256::digest(head));
    let mut record = record.to_vec();
    record.iter_mut().skip(4).zip(binding).take(12).for_each(|(byte, bound)| *byte = bound);
    let check = Sha256::digest(record.get(..56).unwrap_or_default());
    record.iter_mut().skip(56).zip(check).for_each(|(byte, check)| *byte = check);
    record
}

/// Storage that must not be written beyond its announced size.
struct Bounded {
    bytes: Vec<u8>,
    at: usize,
    size: u64,
}

impl Bounded {
    fn new(bytes: Vec<u8>, size: u64) -> Self {
        Self { bytes, at: 0, size }
    }
}

impl Write for Bounded {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let end = self.at + from.len();
        assert!(u64::try_from(end).is_ok_and(|end| end <= self.size), "written beyond the announced size");
        self.bytes.resize(self.bytes.len().max(end), 0);
        if let Some(into) = self.bytes.get_mut(self.at..end) {
            into.copy_from_slice(from);
        }
        self.at = end;
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Bounded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.read(into)?;
        self.at += count;
        Ok(count)
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(at) = to else { return Err(io::Error::other("only from the start")) };
        self.at = usize::try_from(at).unwrap_or(usize::MAX);
        Ok(at)
    }
}
