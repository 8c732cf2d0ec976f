//! The device's update as a state machine without input and output.
//!
//! In: an [`Input`] and the moment when it happened. Out: [`Output`]s: at most a few that need no answer (the journal
//! first), then exactly one that is answered by the next input. Refuses: older orders and releases, images that nobody
//! signed or that are for another board, and, by never asking for it, a switch to a slot that was not read back and
//! found right since this machine started.
//!
//! What must survive a power cut is in the [`Journal`]; everything else (waits, what the server allows at present) is
//! found out again. There is no clock, no file and no chance in here: the simulator drives the same code.

mod backoff;
mod cost;
mod form;
pub mod input;
pub mod journal;
mod loading;
mod mail;
mod offer;
pub mod output;
mod pieces;
mod polling;
mod switching;

use warden_model::{DeviceId, HardwareId, ProductId, Seconds, Timestamp};

use self::backoff::Backoff;
pub use self::input::{
    BootView, Health, ImageTarget, IndexTarget, Input, LoadFailure, MetadataFailure, PatchTarget, PollAnswer,
    Signed, Trial, Verification, WriteFailure,
};
pub use self::journal::{Identity, Installed, Journal, JournalError, Standing, Step, Update};
use self::offer::Hold;
pub use self::output::{Channel, Output, PiecesOrder, Place};

/// Most letters that are kept for the server. One update makes five; a device that is cut off for so many updates
/// that 64 are not enough has lost its oldest ones, not its newest.
pub const LETTERS_MAX: usize = 64;
/// Failures in a row, without a single new byte, after which an update is given up. With the waits between them that
/// is about two hours: longer than a server's restart, shorter than a maintenance window.
pub const FAILURES_MAX: u32 = 30;
/// Pause between polls until the server has named one: hawkBit's default, five minutes.
pub const POLL_DEFAULT: Seconds = Seconds(300);
/// Pause between two plain signs of life: they tell the server what runs when nothing else does.
pub const SIGN_OF_LIFE: Seconds = Seconds(3_600);

/// What a machine must know about its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The device.
    pub device: DeviceId,
    /// Its product: images for others are refused.
    pub product: ProductId,
    /// Its board: images for others are refused.
    pub hardware: HardwareId,
    /// How often a new image may boot before it is given up; only boots that are not confirmed count.
    pub tries: u8,
    /// Pause between polls, when it is not for the server to say.
    pub poll: Option<Seconds>,
    /// Spreads the waits of a fleet: any number that differs between devices.
    pub seed: u64,
}

/// The output that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Boot,
    Poll,
    Metadata,
    Download,
    Write,
    Verify,
    Health,
    Confirm,
    Letter,
    Word,
    Time,
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Machine {
    settings: Settings,
    journal: Journal,
    boot: BootView,
    asked: Asked,
    /// When it was asked.
    asked_at: Timestamp,
    /// Outputs without an answer, to be carried out before the next question.
    at_once: Vec<Output>,
    poll_at: Timestamp,
    poll_pace: Seconds,
    polls: Backoff,
    letters: Backoff,
    work: Backoff,
    /// What the server lets the device do with its order at present.
    hold: Hold,
    /// A message of progress; nobody needs it, so it is sent once and never kept.
    word: Option<String>,
    sign_of_life_at: Timestamp,
}

impl Machine {
    /// Makes a machine from what was saved last; its first input must be [`Input::Started`].
    pub fn new(settings: Settings, journal: Journal) -> Self {
        let slot = journal.slot;
        let poll_pace = settings.poll.unwrap_or(POLL_DEFAULT);
        Self {
            settings,
            journal,
            boot: BootView { running: slot, confirmed: slot, trial: Trial::None },
            asked: Asked::Boot,
            asked_at: Timestamp(i64::MAX),
            at_once: Vec::new(),
            poll_at: Timestamp(i64::MIN),
            poll_pace,
            polls: Backoff::CLEAR,
            letters: Backoff::CLEAR,
            work: Backoff::CLEAR,
            hold: Hold::All,
            word: None,
            sign_of_life_at: Timestamp(i64::MIN),
        }
    }

    /// Returns what would survive a power cut once it is saved.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Returns what the boot control said last.
    pub fn boot(&self) -> BootView {
        self.boot
    }

    /// Takes what happened and says what to do. An input that answers no open question changes nothing and asks nothing.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        if !self.expects(&input) {
            return Vec::new();
        }
        let before = self.journal.clone();
        self.take(input, now);
        self.note_cost(&before, now);
        let (asked, question) = self.next(now);
        (self.asked, self.asked_at) = (asked, now);
        let mut outputs = Vec::new();
        if self.journal != before {
            outputs.push(Output::Save(Box::new(self.journal.clone())));
        }
        outputs.append(&mut self.at_once);
        outputs.push(question);
        outputs
    }

    fn expects(&self, input: &Input) -> bool {
        let answered = match input {
            Input::Started { .. } => Asked::Boot,
            Input::LocalOrder { .. } | Input::Tick => Asked::Time,
            Input::Polled(_) | Input::PollFailed => Asked::Poll,
            Input::MetadataFetched(_) | Input::MetadataFailed(_) => Asked::Metadata,
            Input::DownloadProgress { .. } | Input::DownloadFinished | Input::DownloadFailed { .. } => {
                Asked::Download
            }
            Input::Written | Input::WriteFailed { .. } => Asked::Write,
            Input::SlotVerified(_) => Asked::Verify,
            Input::HealthFinished { .. } => Asked::Health,
            Input::Confirmed => Asked::Confirm,
            Input::Delivered | Input::NotDelivered => {
                return matches!(self.asked, Asked::Letter | Asked::Word);
            }
        };
        answered == self.asked
    }

    fn take(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Started { boot } => self.started(boot, now),
            Input::LocalOrder { image, patch } => self.ordered_locally(&image, patch, now),
            Input::Polled(answer) => self.polled(&answer, now),
            Input::PollFailed => self.poll_failed(now),
            Input::MetadataFetched(signed) => self.metadata_fetched(&signed, now),
            Input::MetadataFailed(failure) => self.metadata_failed(failure, now),
            Input::DownloadProgress { done } => self.loaded(done),
            Input::DownloadFinished => self.download_finished(),
            Input::DownloadFailed { done, failure, detail } => {
                self.download_failed(done, failure, &detail, now);
            }
            Input::Written => self.written(),
            Input::WriteFailed { failure, detail } => self.write_failed(failure, &detail, now),
            Input::SlotVerified(verification) => self.slot_verified(verification, now),
            Input::HealthFinished { health, detail } => self.health_finished(health, detail),
            Input::Confirmed => self.confirmed(now),
            Input::Delivered => self.delivered(),
            Input::NotDelivered => self.not_delivered(now),
            Input::Tick => {}
        }
    }

    /// Chooses the next question: first what needs nobody else, then the server's mail, then its orders, then work.
    fn next(&mut self, now: Timestamp) -> (Asked, Output) {
        if let Some(step) = self.boot_step() {
            return step;
        }
        self.sign_of_life(now);
        if let Some(step) = self.mail_step(now) {
            return step;
        }
        if let Some(step) = self.poll_step(now) {
            return step;
        }
        if let Some(step) = self.work_step(now) {
            return step;
        }
        (Asked::Time, Output::WaitUntil(self.wake_at(now)))
    }

    /// Returns the next moment when there may be something to do.
    fn wake_at(&self, now: Timestamp) -> Timestamp {
        let letters = (!self.journal.outbox.is_empty()).then_some(self.letters.until);
        let work = self.may_work().then_some(self.work.until);
        let moments = [Some(self.poll_at), Some(self.sign_of_life_at), letters, work];
        // Whatever is due already could not be done now; waiting a millisecond at least keeps time moving.
        moments
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
            .unwrap_or(Timestamp(now.0.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests;
