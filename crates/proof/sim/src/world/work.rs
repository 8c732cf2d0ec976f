//! Work: the machine's outputs, one after the other, each with the time that it takes.

use warden_agent::machine::{
    Health, Input, LoadFailure, Output, PatchTarget, Place, Verification, WriteFailure,
};
use warden_model::{ByteCount, DeviceId, Sha256Digest};

use super::{Defect, World};
use crate::agenda::{Happening, later};
use crate::device::{Busy, SimDevice, Writes, local_millis, millis_for};
use crate::link::Request;
use crate::rules;

/// The largest slice of a download that is answered at once, as the real agent has it in order of magnitude.
const SLICE_BYTES_MAX: u64 = 512 * 1024;
/// How long a download waits for a server that does not answer, in milliseconds.
const NO_ANSWER_MILLIS: u64 = 10_000;

impl World {
    /// Tells the machine what happened, and starts with what it wants.
    pub(super) fn feed(&mut self, id: &DeviceId, input: Input) {
        let now = self.now;
        let Some(device) = self.devices.get_mut(id) else { return };
        device.busy = None;
        let Some(machine) = &mut device.machine else { return };
        let outputs = machine.handle(input, now);
        if outputs.is_empty() {
            self.note_broken(vec![format!("{id}: the machine asks for nothing")]);
            return;
        }
        device.todo = outputs.into();
        self.begin_next(id);
    }

    /// Starts the next output.
    pub(super) fn begin_next(&mut self, id: &DeviceId) {
        let Some(device) = self.devices.get_mut(id) else { return };
        let Some(output) = device.todo.pop_front() else { return };
        match output {
            Output::Poll => self.ask(id, output, Request::Poll),
            Output::FetchMetadata { image } => self.ask(id, output, Request::Metadata { image }),
            Output::Report(ref report) => {
                let request = Request::Report(report.clone());
                self.ask(id, output, request);
            }
            Output::Feedback { action, channel, ref feedback } => {
                let request = Request::Feedback { action, channel, feedback: feedback.clone() };
                self.ask(id, output, request);
            }
            Output::SendAttributes => {
                self.send(id, Request::Attributes, None);
                self.begin_next(id);
            }
            Output::WaitUntil(until) => {
                let millis = u64::try_from(until.0.saturating_sub(self.now.0)).unwrap_or(1).max(1);
                self.start(id, output, millis, None);
            }
            Output::Download { digest, size, place, offset } => {
                self.begin_download(id, output, (digest, size.0), place, offset.0);
            }
            Output::ApplyPatch { ref patch, base, slot, image, size } => {
                let fits = device.flash.image(base) == Some(patch.base) && device.has_staged(patch);
                let writes = fits.then(|| {
                    let from = device.flash.begin_patched(slot, image, size.0);
                    Writes { place: Place::Slot(slot), from, to: size.0 }
                });
                let millis = local_millis(&output, &device.faults, None);
                self.start(id, output, millis, writes);
            }
            Output::Save(_)
            | Output::ForgetTrial
            | Output::LoadPieces { .. }
            | Output::Assemble(_)
            | Output::WriteImage { .. }
            | Output::VerifySlot { .. }
            | Output::ArmAndReboot { .. }
            | Output::RunHealth
            | Output::Confirm
            | Output::Revert => {
                let running = device.flash.image(device.flash.running);
                let facts = running.and_then(|image| self.images.get(&image));
                let millis = local_millis(&output, &device.faults, facts.map(|facts| &facts.version));
                self.start(id, output, millis, None);
            }
        }
    }

    /// Notes what the device is doing, and plans its end; perhaps the power goes before that.
    pub(super) fn start(&mut self, id: &DeviceId, output: Output, millis: u64, writes: Option<Writes>) {
        let now = self.now;
        let ends = later(now, millis);
        let Some(device) = self.devices.get_mut(id) else { return };
        let life = device.life;
        let waits_for_answer = matches!(
            output,
            Output::Poll | Output::FetchMetadata { .. } | Output::Report(_) | Output::Feedback { .. }
        );
        let by_place = device.cut_within(writes).map(|share| millis.saturating_mul(share) / 1000);
        let by_chance = self.chance.happens(device.faults.cuts).then(|| self.chance.between(0, millis));
        if let Some(after) = by_place.or(by_chance) {
            self.agenda.at(later(now, after), Happening::PowerCut { device: id.clone(), life });
        }
        device.busy = Some(Busy { output, began: now, ends, writes });
        if !waits_for_answer {
            self.agenda.at(ends, Happening::Done { device: id.clone(), life });
        }
    }

    fn begin_download(
        &mut self,
        id: &DeviceId,
        output: Output,
        (digest, size): (Sha256Digest, u64),
        place: Place,
        offset: u64,
    ) {
        let reachable = self.reachable(id) && self.server.state.offers_artifact(&digest);
        let Some(device) = self.devices.get_mut(id) else { return };
        device.flash.begin(place, digest, size, offset);
        let bytes = device.link.carries(size.saturating_sub(offset).min(SLICE_BYTES_MAX));
        let speed = device.link.bytes_per_second;
        let millis = 2 * device.link.latency_millis + millis_for(bytes, speed);
        if reachable {
            let writes = Writes { place, from: offset, to: offset + bytes };
            self.start(id, output, millis, Some(writes));
        } else {
            self.start(id, output, NO_ANSWER_MILLIS, None);
        }
    }

    /// An output is carried out.
    pub(super) fn done(&mut self, id: &DeviceId) {
        let Some(device) = self.devices.get_mut(id) else { return };
        let Some(busy) = device.busy.take() else { return };
        if matches!(busy.output, Output::Save(_)) {
            return self.saved(id, &busy.output);
        }
        device.apply(&busy.output);
        match &busy.output {
            Output::Save(_) | Output::ForgetTrial => self.begin_next(id),
            Output::ArmAndReboot { .. } | Output::Revert => self.reboots(id),
            Output::Confirm => self.feed(id, Input::Confirmed),
            Output::WaitUntil(_) => self.feed(id, Input::Tick),
            Output::RunHealth => self.health_ends(id),
            Output::Download { offset, size, .. } => self.download_ends(id, &busy, (offset.0, size.0)),
            Output::ApplyPatch { .. } => {
                let input = if let Some(writes) = busy.writes {
                    device.flash.grow(writes.place, writes.to);
                    Input::Written
                } else {
                    let detail =
                        "the staged patch is not what was signed, or does not fit its base".to_owned();
                    Input::WriteFailed { failure: WriteFailure::Patch, detail }
                };
                self.feed(id, input);
            }
            // Nobody signs indexes here: an update by pieces is one that ends with the whole image.
            Output::LoadPieces { offset, .. } => {
                let (done, detail) = (*offset, "there is no index".to_owned());
                self.feed(id, Input::DownloadFailed { done, failure: LoadFailure::NotWorth, detail });
            }
            Output::Assemble(_) => {
                let detail = "no pieces are staged".to_owned();
                self.feed(id, Input::WriteFailed { failure: WriteFailure::Patch, detail });
            }
            Output::WriteImage { .. } => {
                let detail = "no image lies at hand".to_owned();
                self.feed(id, Input::WriteFailed { failure: WriteFailure::Broken, detail });
            }
            Output::VerifySlot { slot, image, size } => {
                device.flash.clear_staging();
                let content = device.flash.slot(*slot);
                let right = content
                    .is_some_and(|content| content.complete() == Some(*image) && content.size == size.0);
                let verification = if right { Verification::Matches } else { Verification::Differs };
                self.feed(id, Input::SlotVerified(verification));
            }
            // Those are answered by the server.
            Output::Poll
            | Output::FetchMetadata { .. }
            | Output::Report(_)
            | Output::Feedback { .. }
            | Output::SendAttributes => {}
        }
    }

    /// The journal is durable, and has not gone back.
    fn saved(&mut self, id: &DeviceId, output: &Output) {
        let Some(device) = self.devices.get_mut(id) else { return };
        let before = device.flash.journal.clone();
        device.apply(output);
        let broken = rules::after_save(device, &before, &self.server);
        self.note_broken(broken);
        self.begin_next(id);
    }

    fn download_ends(&mut self, id: &DeviceId, busy: &Busy, (offset, size): (u64, u64)) {
        let reachable = self.reachable(id);
        let Some(device) = self.devices.get_mut(id) else { return };
        let failed = |done: u64, detail: &str| Input::DownloadFailed {
            done: ByteCount(done),
            failure: LoadFailure::Network,
            detail: detail.to_owned(),
        };
        let Some(writes) = busy.writes else {
            return self.feed(id, failed(offset, "the server does not answer"));
        };
        if !reachable {
            // The line went somewhere in the middle.
            let reached = writes.from + (writes.to - writes.from) / 2;
            device.flash.grow(writes.place, reached);
            device.link.broke();
            return self.feed(id, failed(reached, "the connection broke off"));
        }
        device.flash.grow(writes.place, writes.to);
        device.link.carry(writes.to - writes.from);
        let broke = writes.to < size && device.link.carries(1) == 0;
        let input = if broke {
            device.link.broke();
            failed(writes.to, "the connection broke off")
        } else if writes.to >= size {
            Input::DownloadFinished
        } else {
            Input::DownloadProgress { done: ByteCount(writes.to) }
        };
        self.feed(id, input);
    }

    fn health_ends(&mut self, id: &DeviceId) {
        let Some(device) = self.devices.get_mut(id) else { return };
        let Some(image) = device.flash.image(device.flash.running) else { return };
        let Some(facts) = self.images.get(&image) else { return };
        let faults = &device.faults;
        let (health, detail) = if faults.health_hangs_on.contains(&facts.version) {
            (Health::TimedOut, "10-service did not end within 60 s")
        } else if faults.health_fails_on.contains(&facts.version) || facts.defect != Defect::None {
            (Health::Failed, "10-service ended with 1: cannot reach the field bus")
        } else if self.chance.happens(faults.health_flaky) {
            (Health::Failed, "20-network ended with 1: no address")
        } else {
            device.truth.proven.insert(image);
            (Health::Passed, "2 of 2 checks passed")
        };
        self.feed(id, Input::HealthFinished { health, detail: detail.to_owned() });
    }
}

impl SimDevice {
    fn has_staged(&self, patch: &PatchTarget) -> bool {
        self.flash.staged().and_then(crate::flash::Content::complete) == Some(patch.digest)
    }

    /// Says at which thousandth of a write the planned cut comes, when it comes within it; it comes only once.
    fn cut_within(&mut self, writes: Option<Writes>) -> Option<u64> {
        let (share, writes) = (self.faults.cut_at_write?, writes?);
        let Place::Slot(slot) = writes.place else { return None };
        let size = self.flash.slot(slot).map_or(0, |content| content.size);
        let at = size.saturating_mul(u64::from(share.get())) / 1000;
        if !(writes.from..writes.to).contains(&at) {
            return None;
        }
        self.faults.cut_at_write = None;
        Some((at - writes.from).saturating_mul(1000) / (writes.to - writes.from).max(1))
    }
}
