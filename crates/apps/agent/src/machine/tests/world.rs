//! A world of values for the machine: flash, boot loader, server, and a power cut wherever a test wants one.
//!
//! The flash knows whole images and torn ones. The world panics when a torn slot boots or is armed: that is the
//! invariant that every test holds on the way.

use std::collections::BTreeMap;

use crate::machine::*;
use warden_model::device::{Running, Slot};
use warden_model::report::{Cause, ReportPhase, StateReport};
use warden_model::rollout::Order;
use warden_model::{ActionId, ByteCount, Sha256Digest, Timestamp};
use warden_wire::ddi;

pub(super) const OLD: Sha256Digest = Sha256Digest([1; 32]);
pub(super) const NEW: Sha256Digest = Sha256Digest([2; 32]);
pub(super) const PATCH: Sha256Digest = Sha256Digest([3; 32]);
pub(super) const SIZE: u64 = 1_000;
const SLICE: u64 = 400;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Whole(Sha256Digest),
    Torn,
}

/// What the server offers.
#[derive(Debug, Clone)]
pub(super) struct Offered {
    pub action: u64,
    pub order: Order,
    pub image: Sha256Digest,
    pub generation: u64,
    pub update: ddi::Handling,
}

impl Offered {
    pub(super) fn install(action: u64, image: Sha256Digest) -> Self {
        Self { action, order: Order::Install, image, generation: action, update: ddi::Handling::Forced }
    }

    fn wire(&self) -> ddi::DeploymentBase {
        let entry = |key: &str, value: String| ddi::Metadata { key: key.to_owned(), value };
        let metadata = vec![
            entry(ddi::META_IMAGE, self.image.to_string()),
            entry(ddi::META_ORDER, self.order.to_string()),
            entry(ddi::META_GENERATION, self.generation.to_string()),
        ];
        let chunk = ddi::Chunk {
            part: "os".into(),
            version: "1".into(),
            name: "fw".into(),
            artifacts: vec![],
            metadata,
        };
        ddi::DeploymentBase {
            id: self.action.to_string(),
            deployment: ddi::Deployment {
                download: ddi::Handling::Forced,
                update: self.update,
                maintenance_window: None,
                chunks: vec![chunk],
            },
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct World {
    pub now: Timestamp,
    /// How long a slice of a download takes, and applying a patch.
    pub pace_millis: i64,
    pub slots: BTreeMap<Slot, Content>,
    pub confirmed: Slot,
    pub running: Slot,
    pub trial: Trial,
    pub saved: Journal,
    pub offered: Option<Offered>,
    pub cancel: Option<u64>,
    pub signed: Signed,
    pub metadata_fails: Option<MetadataFailure>,
    pub health: Health,
    pub online: bool,
    /// Bytes that a patch makes: the right image, or torn.
    pub patch_works: bool,
    /// How often the whole image arrives torn.
    pub bad_loads: u32,
    pub load_fails: Vec<LoadFailure>,
    pub reports: Vec<StateReport>,
    pub closed: Vec<(u64, Channel, ddi::Execution, ddi::Finished)>,
    pub words: Vec<String>,
    pub loaded: Vec<(Sha256Digest, u64)>,
    pub done: usize,
    /// After how many outputs the power goes; each only once.
    pub cuts: Vec<usize>,
}

pub(super) fn image_target(image: Sha256Digest, release_counter: u64) -> ImageTarget {
    ImageTarget {
        running: Running { image, version: format!("{}.0", image.0[0]).parse().unwrap() },
        size: ByteCount(SIZE),
        product: "camera".parse().unwrap(),
        hardware: vec!["board-a".parse().unwrap()],
        release_counter,
    }
}

pub(super) fn patch_target() -> PatchTarget {
    PatchTarget { digest: PATCH, size: ByteCount(100), base: OLD }
}

/// What the way of pieces takes, in all.
pub(super) const PIECES: ByteCount = ByteCount(700);

pub(super) fn index_target(image: Sha256Digest) -> IndexTarget {
    let Sha256Digest(mut head) = image;
    head[31] ^= 0xff;
    IndexTarget { image, head: Sha256Digest(head), size: ByteCount(200) }
}

fn settings() -> Settings {
    Settings {
        device: "cam-01".parse().unwrap(),
        product: "camera".parse().unwrap(),
        hardware: "board-a".parse().unwrap(),
        tries: 3,
        poll: None,
        seed: 7,
    }
}

impl World {
    pub(super) fn new() -> Self {
        let confirmed = Installed {
            image: OLD,
            version: "1.0".parse().unwrap(),
            size_bytes: SIZE,
            release_counter: 5,
            standing: Standing::Confirmed,
        };
        Self {
            now: Timestamp(1_000_000),
            pace_millis: 0,
            slots: BTreeMap::from([(Slot::A, Content::Whole(OLD)), (Slot::B, Content::Torn)]),
            confirmed: Slot::A,
            running: Slot::A,
            trial: Trial::None,
            saved: Journal::first(Slot::A, confirmed),
            offered: Some(Offered::install(10, NEW)),
            cancel: None,
            signed: Signed { image: Some(image_target(NEW, 6)), patches: vec![], indexes: vec![] },
            metadata_fails: None,
            health: Health::Passed,
            online: true,
            patch_works: true,
            bad_loads: 0,
            load_fails: vec![],
            reports: vec![],
            closed: vec![],
            words: vec![],
            loaded: vec![],
            done: 0,
            cuts: vec![],
        }
    }

    pub(super) fn machine(&self) -> Machine {
        // Through its JSON, as on a device.
        let journal = Journal::read(&self.saved.write()).unwrap();
        assert_eq!(journal, self.saved);
        Machine::new(settings(), journal)
    }

    /// The boot loader.
    pub(super) fn power_on(&mut self) -> Input {
        self.running = match self.trial {
            Trial::Armed { tries_left: 0 } => {
                self.trial = Trial::Exhausted;
                self.confirmed
            }
            Trial::Armed { tries_left } => {
                self.trial = Trial::Armed { tries_left: tries_left - 1 };
                self.confirmed.other()
            }
            Trial::None | Trial::Exhausted => self.confirmed,
        };
        assert_ne!(self.slots[&self.running], Content::Torn, "a torn slot boots");
        Input::Started {
            boot: BootView { running: self.running, confirmed: self.confirmed, trial: self.trial },
        }
    }

    /// Runs until the machine has nothing to do but wait for a poll that brings nothing new.
    pub(super) fn run(&mut self) {
        self.run_for(2_000);
    }

    /// Runs for so many outputs at most; ends earlier when nothing is left to do.
    pub(super) fn run_for(&mut self, steps: usize) {
        let mut machine = self.machine();
        let mut input = self.power_on();
        let mut idle = 0;
        for _ in 0..steps {
            let outputs = machine.handle(input, self.now);
            let mut next = None;
            for output in outputs {
                if matches!(output, Output::WaitUntil(_)) {
                    idle += 1;
                } else if !matches!(output, Output::Poll) {
                    idle = 0;
                }
                match self.perform(output) {
                    Flow::Goes => {}
                    Flow::Answers(answer) => next = Some(answer),
                    Flow::Reboots => {
                        machine = self.machine();
                        next = Some(self.power_on());
                        break;
                    }
                }
            }
            input = next.expect("each answer ends with a question");
            if idle > 40 {
                return;
            }
        }
    }

    fn perform(&mut self, output: Output) -> Flow {
        self.done += 1;
        if let Some(index) = self.cuts.iter().position(|cut| *cut == self.done) {
            self.cuts.remove(index);
            self.cut_during(&output);
            return Flow::Reboots;
        }
        match output {
            Output::Save(journal) => self.saved = *journal,
            Output::ForgetTrial => self.trial = Trial::None,
            Output::SendAttributes => {}
            Output::WaitUntil(until) => {
                assert!(until > self.now, "time must move");
                self.now = until;
                return Flow::Answers(Input::Tick);
            }
            Output::Poll => return Flow::Answers(self.polled()),
            Output::FetchMetadata { .. } => return Flow::Answers(self.metadata()),
            Output::Download { digest, size, place, offset } => {
                return Flow::Answers(self.download(digest, size, place, offset));
            }
            Output::ApplyPatch { slot, image, base, patch, .. } => {
                self.now = Timestamp(self.now.0 + self.pace_millis);
                assert_eq!(self.slots[&base], Content::Whole(patch.base));
                let made = if self.patch_works { Content::Whole(image) } else { Content::Torn };
                self.slots.insert(slot, made);
                return Flow::Answers(if self.patch_works {
                    Input::Written
                } else {
                    Input::WriteFailed { failure: WriteFailure::Patch, detail: "unfit".into() }
                });
            }
            Output::LoadPieces { order, offset } => return Flow::Answers(self.load_pieces(&order, offset)),
            Output::Assemble(order) => return Flow::Answers(self.assemble(&order)),
            Output::WriteImage { slot, .. } => {
                self.slots.insert(slot, Content::Whole(NEW));
                return Flow::Answers(Input::Written);
            }
            Output::VerifySlot { slot, image, .. } => {
                let matches = self.slots[&slot] == Content::Whole(image);
                let verification = if matches { Verification::Matches } else { Verification::Differs };
                return Flow::Answers(Input::SlotVerified(verification));
            }
            Output::ArmAndReboot { slot, tries } => {
                assert_eq!(slot, self.confirmed.other());
                assert_ne!(self.slots[&slot], Content::Torn, "a torn slot is armed");
                self.trial = Trial::Armed { tries_left: tries };
                return Flow::Reboots;
            }
            Output::RunHealth => {
                return Flow::Answers(Input::HealthFinished {
                    health: self.health,
                    detail: "checked".into(),
                });
            }
            Output::Confirm => {
                (self.confirmed, self.trial) = (self.running, Trial::None);
                return Flow::Answers(Input::Confirmed);
            }
            Output::Revert => {
                self.trial = Trial::None;
                return Flow::Reboots;
            }
            Output::Report(report) => return Flow::Answers(self.take_report(*report)),
            Output::Feedback { action, channel, feedback } => {
                return Flow::Answers(self.take_feedback(action, channel, &feedback));
            }
        }
        Flow::Goes
    }

    fn load_pieces(&mut self, order: &PiecesOrder, offset: ByteCount) -> Input {
        // What is done is told before that all is: only so is it counted.
        if offset == PIECES {
            return Input::DownloadFinished;
        }
        match self.download(order.indexes.wanted.head, PIECES, Place::Staging, offset) {
            Input::DownloadFinished => Input::DownloadProgress { done: PIECES },
            other => other,
        }
    }

    fn assemble(&mut self, order: &PiecesOrder) -> Input {
        assert_eq!(self.slots[&order.base], Content::Whole(OLD));
        let made = if self.patch_works { Content::Whole(order.image) } else { Content::Torn };
        self.slots.insert(order.slot, made);
        if self.patch_works {
            Input::Written
        } else {
            Input::WriteFailed { failure: WriteFailure::Patch, detail: "unfit".into() }
        }
    }

    /// The power goes in the middle: what was being written is torn.
    fn cut_during(&mut self, output: &Output) {
        if let Output::Download { place: Place::Slot(slot), .. }
        | Output::ApplyPatch { slot, .. }
        | Output::WriteImage { slot, .. } = output
        {
            self.slots.insert(*slot, Content::Torn);
        }
        if let Output::Assemble(order) = output {
            self.slots.insert(order.slot, Content::Torn);
        }
    }

    fn metadata(&self) -> Input {
        match (&self.metadata_fails, self.online) {
            (Some(failure), _) => Input::MetadataFailed(failure.clone()),
            (None, false) => Input::MetadataFailed(MetadataFailure::Unreachable),
            (None, true) => Input::MetadataFetched(self.signed.clone()),
        }
    }

    fn polled(&self) -> Input {
        if !self.online {
            return Input::PollFailed;
        }
        let config = ddi::Config { polling: ddi::Polling::every(60) };
        let base = ddi::Base { config, links: BTreeMap::new() };
        let cancel = self.cancel.map(|action| ddi::CancelBase {
            id: action.to_string(),
            cancel_action: ddi::CancelAction { stop_id: action.to_string() },
        });
        let deployment = self.offered.as_ref().filter(|_| cancel.is_none()).map(Offered::wire);
        Input::Polled(Box::new(PollAnswer { base, deployment, cancel }))
    }

    fn download(&mut self, digest: Sha256Digest, size: ByteCount, place: Place, offset: ByteCount) -> Input {
        if let Place::Slot(slot) = place {
            self.slots.insert(slot, Content::Torn);
        }
        self.loaded.push((digest, offset.0));
        self.now = Timestamp(self.now.0 + self.pace_millis);
        let broken = self.load_fails.pop().or((!self.online).then_some(LoadFailure::Network));
        if let Some(failure) = broken {
            return Input::DownloadFailed { done: offset, failure, detail: "broken".into() };
        }
        let done = (offset.0 + SLICE).min(size.0);
        if done < size.0 {
            return Input::DownloadProgress { done: ByteCount(done) };
        }
        if let Place::Slot(slot) = place {
            let good = self.bad_loads == 0;
            self.bad_loads = self.bad_loads.saturating_sub(1);
            self.slots.insert(slot, if good { Content::Whole(digest) } else { Content::Torn });
        }
        Input::DownloadFinished
    }

    fn take_report(&mut self, report: StateReport) -> Input {
        if !self.online {
            return Input::NotDelivered;
        }
        if let Some(last) = self.reports.last() {
            assert!(report.counter >= last.counter, "report counters never go back");
        }
        self.reports.push(report);
        Input::Delivered
    }

    fn take_feedback(&mut self, action: ActionId, channel: Channel, feedback: &ddi::Feedback) -> Input {
        if !self.online {
            return Input::NotDelivered;
        }
        let status = &feedback.status;
        if status.execution == ddi::Execution::Proceeding {
            self.words.extend(status.details.clone());
            return Input::Delivered;
        }
        self.closed.push((action.0, channel, status.execution, status.result.finished));
        match channel {
            // As the server does: a closed order is not offered any more.
            Channel::Deployment => {
                self.offered = self.offered.take().filter(|offer| offer.action != action.0);
            }
            Channel::Cancel => {
                self.cancel = None;
                let cancelled = status.execution == ddi::Execution::Closed;
                self.offered = self.offered.take().filter(|offer| !cancelled || offer.action != action.0);
            }
        }
        Input::Delivered
    }

    /// Returns the phases that the server saw, each once.
    pub(super) fn phases(&self) -> Vec<ReportPhase> {
        let mut phases: Vec<ReportPhase> = self.reports.iter().filter_map(|report| report.phase).collect();
        phases.dedup();
        phases
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        self.reports.iter().rev().find_map(|report| report.cause)
    }
}

enum Flow {
    Goes,
    Answers(Input),
    Reboots,
}
