//! Counts what an analysis uses up, and the reader that stops at the limits.
//!
//! In: readers of untrusted length. Out: readers that fail with a [`LimitReached`] one byte behind the limit. Refuses
//! to hand out more than the limits allow, whatever the layers below claim.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use warden_model::ByteCount;

use crate::limits::{LimitReached, Limits};

/// Bytes that may come out of anything before the ratio is looked at: an empty file system of some MiB packs into
/// almost nothing, and 32 MiB hurt nobody.
const RATIO_FREE_BYTES: u64 = 32 << 20;

/// What is left of the limits. Shared by all layers of one image.
pub(crate) struct Budget {
    /// The limits.
    pub(crate) limits: Limits,
    image_bytes: u64,
    unpacked: Cell<u64>,
    entries: Cell<u64>,
    held: Cell<u64>,
    reached: Cell<Option<LimitReached>>,
}

impl Budget {
    pub(crate) fn new(limits: &Limits, image_bytes: u64) -> Result<Self, LimitReached> {
        if image_bytes > limits.image_bytes_max.0 {
            return Err(LimitReached::ImageBytes(limits.image_bytes_max));
        }
        let zero = || Cell::new(0);
        let limits = limits.clone();
        Ok(Self {
            limits,
            image_bytes,
            unpacked: zero(),
            entries: zero(),
            held: zero(),
            reached: Cell::new(None),
        })
    }

    /// Remembers that a limit was reached: libraries between us and our own reader may wrap the error beyond
    /// recognition.
    fn refuse(&self, limit: LimitReached) -> LimitReached {
        self.reached.set(Some(limit));
        limit
    }

    /// Returns the limit that was reached since the last call.
    pub(crate) fn take_reached(&self) -> Option<LimitReached> {
        self.reached.take()
    }

    pub(crate) fn unpacked(&self) -> u64 {
        self.unpacked.get()
    }

    /// Charges bytes that came out of some layer.
    pub(crate) fn charge(&self, bytes: u64) -> Result<(), LimitReached> {
        let unpacked = self.unpacked.get().saturating_add(bytes);
        self.unpacked.set(unpacked);
        if unpacked > self.limits.unpacked_bytes_max.0 {
            return Err(self.refuse(LimitReached::UnpackedBytes(self.limits.unpacked_bytes_max)));
        }
        let ratio_max = self.limits.ratio_max;
        if unpacked > RATIO_FREE_BYTES && unpacked > self.image_bytes.saturating_mul(ratio_max) {
            let image = ByteCount(self.image_bytes);
            return Err(self.refuse(LimitReached::ImageRatio { image, ratio_max }));
        }
        Ok(())
    }

    /// Charges one entry of an archive or file system.
    pub(crate) fn charge_entry(&self) -> Result<(), LimitReached> {
        self.entries.set(self.entries.get().saturating_add(1));
        if self.entries.get() > self.limits.files_max {
            return Err(self.refuse(LimitReached::Files(self.limits.files_max)));
        }
        Ok(())
    }

    /// Refuses a walk of one container that takes too many steps.
    pub(crate) fn check_steps(&self, steps: u64) -> Result<(), LimitReached> {
        if steps > self.limits.steps_max {
            return Err(self.refuse(LimitReached::Steps(self.limits.steps_max)));
        }
        Ok(())
    }

    /// Charges memory in which a nested image is held.
    pub(crate) fn hold(&self, bytes: u64) -> Result<(), LimitReached> {
        self.held.set(self.held.get().saturating_add(bytes));
        if self.held.get() > self.limits.file_bytes_max.0 {
            return Err(self.refuse(LimitReached::FileBytes(self.limits.file_bytes_max)));
        }
        Ok(())
    }

    pub(crate) fn let_go(&self, bytes: u64) {
        self.held.set(self.held.get().saturating_sub(bytes));
    }
}

/// A reader with a cap: it fails one byte behind it.
pub(crate) struct Capped<'b, R> {
    inner: R,
    budget: &'b Budget,
    handed_out: u64,
    cap: Cap,
}

/// What a [`Capped`] reader is measured against, besides the budget.
pub(crate) enum Cap {
    /// One file: at most `file_bytes_max`.
    File,
    /// A decompressed stream: at most `ratio_max` times the packed bytes, which the cell counts.
    Stream(Rc<Cell<u64>>),
}

impl<'b, R: Read> Capped<'b, R> {
    pub(crate) fn new(inner: R, budget: &'b Budget, cap: Cap) -> Self {
        Self { inner, budget, handed_out: 0, cap }
    }

    fn check(&self) -> Result<(), LimitReached> {
        let limits = &self.budget.limits;
        match &self.cap {
            Cap::File if self.handed_out > limits.file_bytes_max.0 => {
                Err(self.budget.refuse(LimitReached::FileBytes(limits.file_bytes_max)))
            }
            Cap::Stream(packed)
                if self.handed_out > RATIO_FREE_BYTES
                    && self.handed_out > packed.get().saturating_mul(limits.ratio_max) =>
            {
                let packed = ByteCount(packed.get());
                let ratio_max = limits.ratio_max;
                Err(self.budget.refuse(LimitReached::StreamRatio { packed, ratio_max }))
            }
            Cap::File | Cap::Stream(_) => Ok(()),
        }
    }
}

impl<R: Read> Read for Capped<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.budget.limits.unpacked_bytes_max.0.min(match self.cap {
            Cap::File => self.budget.limits.file_bytes_max.0,
            Cap::Stream(_) => u64::MAX,
        });
        let wanted = usize::try_from(most.saturating_sub(self.handed_out).saturating_add(1))
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let Some(buffer) = buffer.get_mut(..wanted) else { return Ok(0) };
        let count = self.inner.read(buffer)?;
        let bytes = u64::try_from(count).unwrap_or(u64::MAX);
        self.handed_out = self.handed_out.saturating_add(bytes);
        self.check().map_err(io::Error::other)?;
        self.budget.charge(bytes).map_err(io::Error::other)?;
        Ok(count)
    }
}

/// A reader that counts into a shared cell.
pub(crate) struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Counted<R> {
    pub(crate) fn new(inner: R) -> (Self, Rc<Cell<u64>>) {
        let count = Rc::new(Cell::new(0));
        (Self { inner, count: Rc::clone(&count) }, count)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.set(self.count.get().saturating_add(u64::try_from(count).unwrap_or(u64::MAX)));
        Ok(count)
    }
}

/// Reads until the buffer is full or the reader ends; returns how much came.
pub(crate) fn read_up_to(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads the first bytes, at most `most`.
pub(crate) fn read_head(reader: &mut dyn Read, most: usize) -> io::Result<Vec<u8>> {
    let mut head = vec![0; most];
    let count = read_up_to(reader, &mut head)?;
    head.truncate(count);
    Ok(head)
}
