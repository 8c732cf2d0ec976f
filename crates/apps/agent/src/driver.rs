//! Carries out what the machine asks for, one output after the other.
//!
//! In: a device, a server (or [`Nobody`]), and inputs. Out: when to come back, or that the device must reboot.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use warden_model::report::StateReport;
use warden_model::{ActionId, ByteCount, Sha256Digest, Timestamp};
use warden_wire::ddi::Feedback;

use crate::device::boot::BootControl;
use crate::device::{Device, slot};
use crate::machine::{Channel, Input, LoadFailure, Machine, MetadataFailure, Output, PiecesOrder, Place};

/// Whoever is at the other end.
pub trait Remote {
    /// Polls, and follows the links of the answer.
    fn poll(&mut self) -> Input;
    /// Fetches and verifies the signed metadata, and picks what it says about an image.
    fn metadata(&mut self, device: &Device, image: Sha256Digest) -> Input;
    /// Loads a slice of an artifact.
    fn download(&mut self, device: &Device, slice: &Slice) -> Input;
    /// Loads a slice of what the device lacks of an image; so many bytes of it are there.
    fn pieces(&mut self, device: &Device, order: &PiecesOrder, offset: ByteCount) -> Input;
    /// Sends a state report.
    fn report(&mut self, report: &StateReport) -> Input;
    /// Sends feedback.
    fn feedback(&mut self, action: ActionId, channel: Channel, feedback: &Feedback) -> Input;
    /// Sends the device's attributes.
    fn attributes(&mut self, device: &Device, machine: &Machine);
}

/// What to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The artifact.
    pub digest: Sha256Digest,
    /// Its signed size.
    pub size: ByteCount,
    /// Where it goes.
    pub place: Place,
    /// What is there already.
    pub offset: ByteCount,
}

/// Nobody: for a device that works without its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nobody;

impl Remote for Nobody {
    fn poll(&mut self) -> Input {
        Input::PollFailed
    }

    fn metadata(&mut self, _: &Device, _: Sha256Digest) -> Input {
        Input::MetadataFailed(MetadataFailure::Unreachable)
    }

    fn download(&mut self, _: &Device, slice: &Slice) -> Input {
        let detail = "there is no server".to_owned();
        Input::DownloadFailed { done: slice.offset, failure: LoadFailure::Network, detail }
    }

    fn pieces(&mut self, _: &Device, _: &PiecesOrder, offset: ByteCount) -> Input {
        let detail = "there is no server".to_owned();
        Input::DownloadFailed { done: offset, failure: LoadFailure::Network, detail }
    }

    fn report(&mut self, _: &StateReport) -> Input {
        Input::NotDelivered
    }

    fn feedback(&mut self, _: ActionId, _: Channel, _: &Feedback) -> Input {
        Input::NotDelivered
    }

    fn attributes(&mut self, _: &Device, _: &Machine) {}
}

/// Where a run of the machine came to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// There is nothing to do until then.
    Until(Timestamp),
    /// The boot control is set; the device must reboot now.
    Reboot,
}

enum Next {
    /// No answer is expected.
    Nothing,
    Answer(Input),
    Rest(Rest),
}

/// A machine, its device, and whoever is at the other end.
pub struct Driver {
    /// The machine.
    pub machine: Machine,
    /// The device.
    pub device: Device,
    /// The other end.
    pub remote: Box<dyn Remote>,
    /// The reports that the machine made in this run, whether anybody took them or not.
    pub seen: Vec<StateReport>,
    seen_counter: u64,
}

/// Returns the time.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl Driver {
    /// Puts machine, device and the other end together.
    pub fn new(machine: Machine, device: Device, remote: Box<dyn Remote>) -> Self {
        let seen_counter = machine.journal().report_counter;
        Self { machine, device, remote, seen: Vec::new(), seen_counter }
    }

    /// Goes on with an input until the machine comes to rest.
    pub fn run(&mut self, input: Input) -> Result<Rest> {
        let mut input = input;
        loop {
            let outputs = self.machine.handle(input, now());
            let mut next = Next::Nothing;
            for output in outputs {
                next = self.perform(output)?;
            }
            match next {
                Next::Answer(answer) => input = answer,
                Next::Rest(rest) => return Ok(rest),
                // The machine ends each answer with a question; without one there is nothing to wait for.
                Next::Nothing => return Ok(Rest::Until(now())),
            }
        }
    }

    fn perform(&mut self, output: Output) -> Result<Next> {
        let answer = match output {
            Output::Save(journal) => {
                self.device.dir.save_journal(&journal)?;
                // Told only once it can no longer be forgotten.
                self.note_reports(&journal);
                return Ok(Next::Nothing);
            }
            Output::ForgetTrial => {
                self.device.boot.forget()?;
                return Ok(Next::Nothing);
            }
            Output::SendAttributes => {
                self.remote.attributes(&self.device, &self.machine);
                return Ok(Next::Nothing);
            }
            Output::WaitUntil(until) => return Ok(Next::Rest(Rest::Until(until))),
            Output::ArmAndReboot { slot, tries } => {
                tracing::info!(%slot, tries, "the slot is right: switching");
                self.device.boot.arm(tries)?;
                return Ok(Next::Rest(Rest::Reboot));
            }
            Output::Revert => {
                tracing::warn!("the new image is not good: turning back");
                self.device.boot.revert()?;
                return Ok(Next::Rest(Rest::Reboot));
            }
            Output::Poll => self.remote.poll(),
            Output::FetchMetadata { image } => self.remote.metadata(&self.device, image),
            Output::Download { digest, size, place, offset } => {
                self.remote.download(&self.device, &Slice { digest, size, place, offset })
            }
            Output::ApplyPatch { patch, base, slot, image, size } => {
                tracing::info!(patch = %patch.digest.short(), size = %patch.size, %slot, "applying the patch");
                self.device.apply_patch(&patch, (base, slot), (image, size))
            }
            Output::LoadPieces { order, offset } => self.remote.pieces(&self.device, &order, offset),
            Output::Assemble(order) => {
                tracing::info!(slot = %order.slot, "making the image from pieces and the running slot");
                self.device.assemble(&order)
            }
            Output::WriteImage { slot, size } => self.device.write_image(slot, size),
            Output::VerifySlot { slot, image, size } => {
                self.device.dir.clear_staging(None)?;
                Input::SlotVerified(slot::verify(&self.device.dir.slot(slot), image, size))
            }
            Output::RunHealth => self.device.run_health()?,
            Output::Confirm => self.device.confirm()?,
            Output::Report(report) => self.remote.report(&report),
            Output::Feedback { action, channel, feedback } => {
                self.remote.feedback(action, channel, &feedback)
            }
        };
        Ok(Next::Answer(answer))
    }

    fn note_reports(&mut self, journal: &crate::machine::Journal) {
        use crate::machine::journal::Letter;
        for letter in &journal.outbox {
            let Letter::Report(report) = letter else { continue };
            if report.counter <= self.seen_counter || report.phase.is_none() {
                continue;
            }
            self.seen_counter = report.counter;
            let phase = report.phase.map_or("", warden_model::report::ReportPhase::word);
            let cause = report.cause.map_or("", warden_model::report::Cause::word);
            tracing::info!(phase, cause, version = %report.running.version, detail = report.detail, "state");
            self.seen.push((**report).clone());
        }
    }
}
