//! What an update costs: time to load, time to apply, and how the bytes came; the server hears of it in the next report.
//!
//! In: the question that was open, when it was asked and answered. Out: sums in the journal. Refuses spans that no step
//! takes: the clock was set in between.

use warden_model::Timestamp;
use warden_model::report::Way;

use super::journal::{Made, Step};
use super::{Asked, Journal, Machine};

/// The longest step that is believed, in milliseconds: a slice of a download takes seconds, a patch minutes. A device that
/// learns the time after it has booted jumps by years.
const STEP_MILLIS_MAX: u64 = 3_600_000;

/// Says how the bytes came that filled a slot.
pub(super) fn way(filled: Made) -> Way {
    match filled {
        Made::Whole => Way::Full,
        Made::Patch => Way::Patch,
        Made::Pieces => Way::Index,
        Made::Before => Way::Kept,
    }
}

impl Machine {
    /// Notes what the answer that was just taken cost, and what fills the slot since.
    pub(super) fn note_cost(&mut self, before: &Journal, now: Timestamp) {
        let Some(update) = &mut self.journal.update else { return };
        let took = u64::try_from(now.0.saturating_sub(self.asked_at.0)).unwrap_or(0);
        let took = if took > STEP_MILLIS_MAX { 0 } else { took };
        let loaded_before = before.update.as_ref().map_or(0, |update| update.downloaded_bytes);
        match self.asked {
            // A try that brings nothing is no loading, and not worth a write to the flash.
            Asked::Download if update.downloaded_bytes > loaded_before => {
                update.cost.loading_millis = update.cost.loading_millis.saturating_add(took);
            }
            Asked::Write => update.cost.applying_millis = update.cost.applying_millis.saturating_add(took),
            Asked::Download
            | Asked::Boot
            | Asked::Poll
            | Asked::Metadata
            | Asked::Verify
            | Asked::Health
            | Asked::Confirm
            | Asked::Letter
            | Asked::Word
            | Asked::Time => {}
        }
        update.cost.filled = match &update.step {
            Step::Verifying { made } | Step::Arming { made } => Some(*made),
            Step::Accepted
            | Step::LoadingPatch { .. }
            | Step::Applying { .. }
            | Step::LoadingPieces { .. }
            | Step::Assembling { .. }
            | Step::LoadingImage { .. }
            | Step::Writing => None,
            Step::Trial | Step::Confirming { .. } | Step::Reverting { .. } => update.cost.filled,
        };
    }
}
