//! Polling, and what the server wants: orders, cancellations.

use warden_model::report::{Cause, ReportPhase};
use warden_model::rollout::Order;
use warden_model::{Seconds, Timestamp};
use warden_wire::ddi::{CancelBase, DeploymentBase};

use super::backoff::Backoff;
use super::input::{ImageTarget, PatchTarget, PollAnswer};
use super::journal::{Closing, Cost, Ending, Made, Patch, Source, Standing, Step, Target, Update};
use super::offer::{Hold, Offer, OfferError};
use super::output::{Channel, Output};
use super::{Asked, Machine};

/// The shortest pause between polls that a server may name: one second keeps a careless server from being flooded.
const PAUSE_SECONDS_MIN: u64 = 1;
/// The longest: a day, hawkBit's own limit.
const PAUSE_SECONDS_MAX: u64 = 86_400;

impl Machine {
    pub(super) fn poll_step(&mut self, now: Timestamp) -> Option<(Asked, Output)> {
        // A moment further away than a pause or a wait can be means that the clock stepped back.
        let farthest = now.plus(Seconds(self.poll_pace.0.max(600)));
        let due = self.poll_at <= now || self.poll_at > farthest;
        due.then_some((Asked::Poll, Output::Poll))
    }

    pub(super) fn poll_failed(&mut self, now: Timestamp) {
        self.polls.fail(now, self.settings.seed);
        self.poll_at = self.polls.until;
    }

    pub(super) fn polled(&mut self, answer: &PollAnswer, now: Timestamp) {
        self.polls = Backoff::CLEAR;
        let named = answer.base.config.polling.seconds().map(Seconds);
        let pace = self.settings.poll.or(named).unwrap_or(self.poll_pace);
        self.poll_pace = Seconds(pace.0.clamp(PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX));
        self.poll_at = now.plus(self.poll_pace);
        if answer.base.links.contains_key("configData") {
            self.at_once.push(Output::SendAttributes);
        }
        // An order that is not offered any more (paused, or taken away) rests; it goes on when it is offered again.
        self.hold = Hold::All;
        if let Some(cancel) = &answer.cancel {
            self.cancel_wanted(cancel);
        }
        if let Some(deployment) = &answer.deployment {
            self.offered(deployment, now);
        }
    }

    fn cancel_wanted(&mut self, cancel: &CancelBase) {
        let Ok(action) = cancel.cancel_action.stop_id.parse::<u64>() else { return };
        let in_work = self.journal.update.as_ref().filter(|update| update.source == Source::Server(action));
        let finished = self
            .journal
            .last
            .as_ref()
            .is_some_and(|last| last.action == action && last.channel == Channel::Deployment);
        let (ending, detail) = match in_work {
            Some(update) if !update.step.before_switch() => {
                (Ending::Rejected, "the new image has booted already")
            }
            Some(_) => {
                self.journal.update = None;
                (Ending::Success, "cancelled before the switch")
            }
            None if finished => (Ending::Rejected, "the order is finished already"),
            None => (Ending::Success, "the order had not been taken"),
        };
        let closing = Closing { action, channel: Channel::Cancel, ending, detail: detail.to_owned() };
        if ending == Ending::Success {
            self.journal.last = Some(closing.clone());
        }
        self.close(closing);
    }

    fn offered(&mut self, deployment: &DeploymentBase, now: Timestamp) {
        let offer = match Offer::read(deployment) {
            Ok(offer) => offer,
            // Nothing can be answered; the server shows in its own list that nobody took the order.
            Err(OfferError::NoAction) => return,
            Err(OfferError::Malformed { action, why }) => {
                return self.refuse_offer(action, self.journal.generation, why, now);
            }
        };
        if let Some(update) = &self.journal.update
            && update.source == Source::Server(offer.action)
        {
            self.hold = offer.hold;
            return;
        }
        // A number alone says little: a server that was restored from a backup gives numbers out again, with a newer
        // generation.
        if let Some(last) = &self.journal.last
            && last.action == offer.action
            && offer.generation <= self.journal.generation
        {
            return match last.channel {
                Channel::Deployment => self.close(last.clone()),
                // It was cancelled, and that was answered: what comes now is a replay.
                Channel::Cancel => {}
            };
        }
        if offer.generation < self.journal.generation {
            let why = format!(
                "the order is older ({}) than one before ({})",
                offer.generation, self.journal.generation
            );
            return self.refuse_offer(offer.action, offer.generation, &why, now);
        }
        self.accept(&offer, now);
    }

    /// Refuses an order without touching the one in work.
    fn refuse_offer(&mut self, action: u64, generation: warden_model::Generation, why: &str, now: Timestamp) {
        let known = self.journal.last.as_ref().is_some_and(|last| last.action == action);
        if !known {
            let in_work = self.journal.update.take();
            self.journal.update = Some(Update {
                source: Source::Server(action),
                order: Order::Install,
                image: self.journal.confirmed.image,
                generation,
                target: None,
                step: Step::Accepted,
                second_try: false,
                reported: None,
                downloaded_bytes: 0,
                cost: Cost::default(),
            });
            self.fail(Cause::NotTrusted, why, now);
            self.journal.update = in_work;
        } else if let Some(again) = self.journal.last.clone() {
            self.close(again);
        }
    }

    fn accept(&mut self, offer: &Offer, now: Timestamp) {
        self.journal.generation = offer.generation;
        self.hold = offer.hold;
        let source = Source::Server(offer.action);
        let update = match self.journal.update.take() {
            // The same image is on its way: what is loaded stays.
            Some(update) if update.image == offer.image && update.order == offer.order => {
                Update { source, generation: offer.generation, ..update }
            }
            _ => self.fresh(source, offer),
        };
        let there_already = offer.image == self.journal.confirmed.image;
        self.journal.update = Some(update);
        self.work = Backoff::CLEAR;
        if there_already {
            return self.finish_where_it_is(now);
        }
        let image = offer.image.short();
        self.word = Some(match offer.order {
            Order::TurnBack => format!("turning back to image {image}"),
            Order::Install | Order::Cancel => format!("installing image {image}"),
        });
    }

    fn fresh(&self, source: Source, offer: &Offer) -> Update {
        // Only an image that was confirmed here once may be gone back to without signed metadata.
        let before = self.journal.other.as_ref().filter(|other| {
            offer.order == Order::TurnBack
                && other.image == offer.image
                && other.standing == Standing::Confirmed
        });
        let target = before.map(|other| Target {
            version: other.version.clone(),
            size_bytes: other.size_bytes,
            release_counter: other.release_counter,
        });
        Update {
            source,
            order: offer.order,
            image: offer.image,
            generation: offer.generation,
            step: if target.is_some() { Step::Verifying { made: Made::Before } } else { Step::Accepted },
            target,
            second_try: false,
            reported: None,
            downloaded_bytes: 0,
            cost: Cost::default(),
        }
    }

    /// Ends an order whose image runs and is confirmed already.
    fn finish_where_it_is(&mut self, now: Timestamp) {
        let (phase, cause) = match self.journal.update.as_ref().map(|update| update.order) {
            Some(Order::TurnBack) => (ReportPhase::RolledBack, Some(Cause::Ordered)),
            Some(Order::Install | Order::Cancel) | None => (ReportPhase::Healthy, None),
        };
        let detail = "the image runs and is confirmed already";
        self.report(Some(phase), cause, detail, now);
        self.end(Ending::Success, detail);
    }

    pub(super) fn ordered_locally(
        &mut self,
        image: &ImageTarget,
        patch: Option<PatchTarget>,
        now: Timestamp,
    ) {
        let patch = patch.map(|p| Patch { digest: p.digest, size_bytes: p.size.0, base: p.base });
        let step = patch.map_or(Step::Writing, |patch| Step::Applying { patch });
        self.journal.update = Some(Update {
            source: Source::Local,
            order: Order::Install,
            image: image.running.image,
            generation: self.journal.generation,
            target: None,
            step: Step::Accepted,
            second_try: false,
            reported: None,
            downloaded_bytes: 0,
            cost: Cost::default(),
        });
        if let Some((cause, why)) = self.refusal(image) {
            return self.fail(cause, &why, now);
        }
        self.set_target(image);
        self.set_step(step);
    }
}

impl Step {
    /// Returns whether the confirmed image still runs, so that the order can be dropped without a reboot.
    pub(super) fn before_switch(&self) -> bool {
        match self {
            Self::Accepted
            | Self::LoadingPatch { .. }
            | Self::Applying { .. }
            | Self::LoadingPieces { .. }
            | Self::Assembling { .. }
            | Self::LoadingImage { .. }
            | Self::Writing
            | Self::Verifying { .. }
            | Self::Arming { .. } => true,
            Self::Trial | Self::Confirming { .. } | Self::Reverting { .. } => false,
        }
    }
}
