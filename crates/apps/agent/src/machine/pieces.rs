//! The way of pieces: an image by its index, for a device that no patch fits.

use warden_model::{ByteCount, Sha256Digest};

use super::input::Signed;
use super::journal::{Index, Indexes, Step, Update};
use super::output::{Output, PiecesOrder};
use super::{Asked, Machine};

/// Returns the indexes by which an image can be fetched on top of another one, if its own is signed.
pub(super) fn indexes(signed: &Signed, wanted: Sha256Digest, running: Sha256Digest) -> Option<Indexes> {
    let of = |image: Sha256Digest| {
        let found = signed.indexes.iter().find(|index| index.image == image)?;
        Some(Index { head: found.head, size_bytes: found.size.0 })
    };
    Some(Indexes { wanted: of(wanted)?, running: of(running) })
}

impl Machine {
    /// Returns what an update by pieces asks for next; `None` when it goes another way.
    pub(super) fn pieces_step(&self, update: &Update) -> Option<(Asked, Output)> {
        let order = |indexes: Indexes| {
            Box::new(PiecesOrder {
                indexes,
                base: self.journal.slot,
                base_size: ByteCount(self.journal.confirmed.size_bytes),
                slot: self.journal.slot.other(),
                image: update.image,
                size: ByteCount(update.target.as_ref().map_or(0, |target| target.size_bytes)),
            })
        };
        match update.step {
            Step::LoadingPieces { indexes, done_bytes } => {
                let (order, offset) = (order(indexes), ByteCount(done_bytes));
                Some((Asked::Download, Output::LoadPieces { order, offset }))
            }
            Step::Assembling { indexes } => Some((Asked::Write, Output::Assemble(order(indexes)))),
            Step::Accepted
            | Step::LoadingPatch { .. }
            | Step::Applying { .. }
            | Step::LoadingImage { .. }
            | Step::Writing
            | Step::Verifying { .. }
            | Step::Arming { .. }
            | Step::Trial
            | Step::Confirming { .. }
            | Step::Reverting { .. } => None,
        }
    }

    /// Loads the whole image instead of pieces.
    pub(super) fn leave_pieces(&mut self, why: &str) {
        self.word = Some(format!("{why}, loading the whole image"));
        self.set_step(Step::LoadingImage { done_bytes: 0 });
    }
}
