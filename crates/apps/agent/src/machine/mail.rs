//! Reports and feedback: kept in order until the server has taken them.

use warden_model::report::{Cause, ReportPhase, StateReport};
use warden_model::{ActionId, ByteCount, Timestamp};
use warden_wire::ddi::{Execution, Feedback, Finished};
use warden_wire::report::DETAIL_CHARS_MAX;

use super::backoff::Backoff;
use super::cost::way;
use super::journal::{Closing, Ending, Letter, Source};
use super::output::{Channel, Output};
use super::{Asked, LETTERS_MAX, Machine, SIGN_OF_LIFE};

impl Machine {
    pub(super) fn mail_step(&mut self, now: Timestamp) -> Option<(Asked, Output)> {
        if !self.letters.open(now) {
            return None;
        }
        match self.journal.outbox.first() {
            Some(Letter::Report(report)) => return Some((Asked::Letter, Output::Report(report.clone()))),
            Some(Letter::Close(closing)) => return Some((Asked::Letter, closing.output())),
            None => {}
        }
        let word = self.word.take()?;
        let Some(Source::Server(action)) = self.journal.update.as_ref().map(|update| update.source) else {
            return None;
        };
        let feedback = Feedback::new(Execution::Proceeding, Finished::None, &word);
        let (action, channel) = (ActionId(action), Channel::Deployment);
        Some((Asked::Word, Output::Feedback { action, channel, feedback }))
    }

    pub(super) fn delivered(&mut self) {
        self.letters = Backoff::CLEAR;
        if self.asked == Asked::Letter && !self.journal.outbox.is_empty() {
            self.journal.outbox.remove(0);
        }
    }

    pub(super) fn not_delivered(&mut self, now: Timestamp) {
        self.letters.fail(now, self.settings.seed);
    }

    /// Makes a plain sign of life when one is due; an older one that was not sent yet gives way to it.
    pub(super) fn sign_of_life(&mut self, now: Timestamp) {
        let due = self.sign_of_life_at <= now || self.sign_of_life_at > now.plus(SIGN_OF_LIFE);
        if !due {
            return;
        }
        if self.journal.update.is_none() {
            let plain = |letter: &Letter| matches!(letter, Letter::Report(report) if report.phase.is_none());
            self.journal.outbox.retain(|letter| !plain(letter));
            self.report(None, None, "", now);
        }
    }

    /// Makes a report about the order in work, or a plain one.
    pub(super) fn report(
        &mut self,
        phase: Option<ReportPhase>,
        cause: Option<Cause>,
        detail: &str,
        now: Timestamp,
    ) {
        // Any report is a sign of life.
        self.sign_of_life_at = now.plus(SIGN_OF_LIFE);
        let journal = &mut self.journal;
        journal.report_counter = journal.report_counter.saturating_add(1);
        let confirmed = journal.confirmed.running();
        let update = journal.update.as_mut();
        let cost = update.as_ref().map(|update| update.cost).unwrap_or_default();
        let on_trial = self.boot.running != journal.slot;
        let running = match update.as_ref().and_then(|update| Some((update.image, update.target.as_ref()?))) {
            Some((image, target)) if on_trial => {
                warden_model::device::Running { image, version: target.version.clone() }
            }
            _ => confirmed.clone(),
        };
        let report = StateReport {
            device: self.settings.device.clone(),
            counter: journal.report_counter,
            at: now,
            running,
            slot: self.boot.running,
            confirmed,
            action: update.as_ref().and_then(|update| update.source.action()),
            generation: update.as_ref().map_or(journal.generation, |update| update.generation),
            phase,
            cause,
            detail: detail.chars().take(DETAIL_CHARS_MAX).collect(),
            downloaded: ByteCount(update.as_ref().map_or(0, |update| update.downloaded_bytes)),
            full: ByteCount(
                update
                    .as_ref()
                    .and_then(|update| update.target.as_ref())
                    .map_or(0, |target| target.size_bytes),
            ),
            way: cost.filled.map(way),
            loading_millis: cost.loading_millis,
            applying_millis: cost.applying_millis,
        };
        if let Some(update) = update {
            update.reported = phase;
        }
        self.put(Letter::Report(Box::new(report)));
    }

    /// Ends the order in work before the switch.
    pub(super) fn fail(&mut self, cause: Cause, detail: &str, now: Timestamp) {
        self.report(Some(ReportPhase::Failed), Some(cause), detail, now);
        self.end(Ending::Failure, detail);
    }

    /// Closes the order in work and forgets it.
    pub(super) fn end(&mut self, ending: Ending, detail: &str) {
        let Some(update) = self.journal.update.take() else { return };
        self.word = None;
        self.work = Backoff::CLEAR;
        if let Source::Server(action) = update.source {
            let detail = detail.chars().take(DETAIL_CHARS_MAX).collect();
            self.close(Closing { action, channel: Channel::Deployment, ending, detail });
        }
    }

    /// Answers an order for good; the same answer never waits twice.
    pub(super) fn close(&mut self, closing: Closing) {
        if closing.channel == Channel::Deployment {
            self.journal.last = Some(closing.clone());
        }
        let waits = self.journal.outbox.iter().any(|letter| *letter == Letter::Close(closing.clone()));
        if !waits {
            self.put(Letter::Close(closing));
        }
    }

    fn put(&mut self, letter: Letter) {
        let outbox = &mut self.journal.outbox;
        if outbox.len() >= LETTERS_MAX {
            // The oldest report goes first: what closes an order is worth more.
            let oldest = outbox.iter().position(|letter| matches!(letter, Letter::Report(_))).unwrap_or(0);
            outbox.remove(oldest);
        }
        outbox.push(letter);
    }
}

impl Closing {
    fn output(&self) -> Output {
        let (execution, finished) = match self.ending {
            Ending::Success => (Execution::Closed, Finished::Success),
            Ending::Failure => (Execution::Closed, Finished::Failure),
            Ending::Rejected => (Execution::Rejected, Finished::None),
        };
        let feedback = Feedback::new(execution, finished, &self.detail);
        Output::Feedback { action: ActionId(self.action), channel: self.channel, feedback }
    }
}
