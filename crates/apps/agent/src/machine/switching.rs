//! From the switch to the confirmation, or back. Nothing in here needs the server.

use warden_model::Timestamp;
use warden_model::report::{Cause, ReportPhase};
use warden_model::rollout::Order;

use super::backoff::Backoff;
use super::input::{BootView, Health, Trial};
use super::journal::{Ending, Source, Standing, Step};
use super::offer::Hold;
use super::output::Output;
use super::{Asked, Machine};

impl Machine {
    /// Returns what must be done with the running image before anything else.
    pub(super) fn boot_step(&self) -> Option<(Asked, Output)> {
        if self.boot.running == self.boot.confirmed {
            return None;
        }
        Some(match self.journal.update.as_ref().map(|update| &update.step) {
            Some(Step::Trial) => (Asked::Health, Output::RunHealth),
            Some(Step::Confirming { .. }) => (Asked::Confirm, Output::Confirm),
            // An image on trial that no order explains is left at once.
            Some(_) | None => (Asked::Boot, Output::Revert),
        })
    }

    pub(super) fn started(&mut self, boot: BootView, now: Timestamp) {
        self.boot = boot;
        self.hold = Hold::All;
        self.poll_at = now;
        self.sign_of_life_at = now;
        (self.polls, self.letters, self.work) = (Backoff::CLEAR, Backoff::CLEAR, Backoff::CLEAR);
        if boot.trial == Trial::Exhausted {
            self.at_once.push(Output::ForgetTrial);
        }
        if boot.running != boot.confirmed {
            self.started_on_trial(now);
        } else if boot.confirmed == self.journal.slot {
            self.started_where_it_was(now);
        } else {
            self.started_confirmed_anew(now);
        }
    }

    fn started_on_trial(&mut self, now: Timestamp) {
        let Some(update) = &mut self.journal.update else { return };
        match update.step {
            Step::Arming { .. } | Step::Trial => {
                let told = update.reported == Some(ReportPhase::Booted);
                update.step = Step::Trial;
                if !told {
                    self.report(Some(ReportPhase::Booted), None, "the new image has booted", now);
                }
            }
            // Either the cut came between the decision and the boot control, or this order did not ask for the trial:
            // `boot_step` tells the boot control what to do.
            Step::Confirming { .. }
            | Step::Reverting { .. }
            | Step::Accepted
            | Step::LoadingPatch { .. }
            | Step::Applying { .. }
            | Step::LoadingPieces { .. }
            | Step::Assembling { .. }
            | Step::LoadingImage { .. }
            | Step::Writing
            | Step::Verifying { .. } => {}
        }
    }

    fn started_where_it_was(&mut self, now: Timestamp) {
        let Some(update) = &self.journal.update else { return };
        let gave_up = "the new image did not come up in its tries";
        match (update.step.clone(), self.boot.trial) {
            (Step::Reverting { cause, detail }, _) => self.rolled_back(cause, &detail, now),
            (Step::Arming { .. }, Trial::Exhausted) | (Step::Trial | Step::Confirming { .. }, _) => {
                self.rolled_back(Cause::BootFailed, gave_up, now);
            }
            // The cut came before the boot control was told: the slot is read back once more, then armed.
            (Step::Arming { made }, Trial::None | Trial::Armed { .. }) => {
                self.set_step(Step::Verifying { made });
            }
            (Step::Writing | Step::Applying { .. }, _) if update.source == Source::Local => {
                self.fail(Cause::DownloadFailed, "the device restarted while the slot was written", now);
            }
            (
                Step::Accepted
                | Step::LoadingPatch { .. }
                | Step::Applying { .. }
                | Step::LoadingPieces { .. }
                | Step::Assembling { .. }
                | Step::LoadingImage { .. }
                | Step::Writing
                | Step::Verifying { .. },
                _,
            ) => {}
        }
    }

    /// The boot control confirmed the other slot, and the journal does not know it yet.
    fn started_confirmed_anew(&mut self, now: Timestamp) {
        if let Some(Step::Confirming { detail }) = self.journal.update.as_ref().map(|update| &update.step) {
            let detail = detail.clone();
            return self.healthy(&detail, now);
        }
        self.journal.slot = self.boot.confirmed;
        if let Some(other) = self.journal.other.take() {
            self.journal.other = Some(std::mem::replace(&mut self.journal.confirmed, other));
        }
    }

    pub(super) fn health_finished(&mut self, health: Health, detail: String) {
        let step = match health {
            Health::Passed => Step::Confirming { detail },
            Health::Failed => Step::Reverting { cause: Cause::HealthCheckFailed, detail },
            Health::TimedOut => Step::Reverting { cause: Cause::HealthCheckTimedOut, detail },
        };
        self.set_step(step);
    }

    pub(super) fn confirmed(&mut self, now: Timestamp) {
        let Some(Step::Confirming { detail }) = self.journal.update.as_ref().map(|update| &update.step)
        else {
            return;
        };
        let detail = detail.clone();
        self.boot = BootView { running: self.boot.running, confirmed: self.boot.running, trial: Trial::None };
        self.healthy(&detail, now);
    }

    /// The new image is confirmed: it is the one to fall back to from now on.
    fn healthy(&mut self, detail: &str, now: Timestamp) {
        let Some(update) = &self.journal.update else { return };
        let Some(target) = &update.target else { return };
        let order = update.order;
        let installed = target.installed(update.image, Standing::Confirmed);
        self.journal.slot = self.boot.running;
        self.journal.other = Some(std::mem::replace(&mut self.journal.confirmed, installed));
        let (phase, cause) = match order {
            Order::TurnBack => (ReportPhase::RolledBack, Some(Cause::Ordered)),
            Order::Install | Order::Cancel => (ReportPhase::Healthy, None),
        };
        self.report(Some(phase), cause, detail, now);
        self.end(Ending::Success, detail);
    }

    fn rolled_back(&mut self, cause: Cause, detail: &str, now: Timestamp) {
        self.report(Some(ReportPhase::RolledBack), Some(cause), detail, now);
        self.end(Ending::Failure, detail);
    }
}
