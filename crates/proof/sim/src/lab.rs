//! A virtual device of the lab: the real machine on virtual flash, without a server, one scenario.
//!
//! In: a scenario, and what it is about. Out: what was seen. Refuses: to run for ever; a device that does not come to rest
//! is a problem that the observation names.

use warden_agent::machine::{
    Health, ImageTarget, Input, Journal, Machine, Output, PatchTarget, Settings, Trial, Verification,
    journal::Letter,
};
use warden_lab::{Intact, Observation, START_SLOT, Scenario, ScenarioKind};
use warden_model::device::Running;
use warden_model::release::{Patch, Release};
use warden_model::report::{Cause, ReportPhase};
use warden_model::{ByteCount, DeviceId, HardwareId, ProductId, Seconds, Sha256Digest, Timestamp};

use crate::agenda::later;
use crate::device::{FactoryImage, Faults, local_millis};
use crate::flash::{Content, Flash};
use crate::world::Defect;

/// Most inputs of one scenario: an upgrade takes about thirty.
const INPUTS_MAX: usize = 400;
/// One boot of a virtual device, in milliseconds.
const BOOT_MILLIS: u64 = 15_000;

/// What a scenario is about.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The product.
    pub product: ProductId,
    /// The board.
    pub board: HardwareId,
    /// What the device runs.
    pub from: Release,
    /// The size of that image.
    pub from_size: ByteCount,
    /// What it installs.
    pub to: Release,
    /// The size of that image.
    pub to_size: ByteCount,
    /// The patch between the two.
    pub patch: Option<Patch>,
    /// What is wrong with the new image.
    pub defect: Defect,
}

struct Bench<'a> {
    scenario: &'a Scenario,
    subject: &'a Subject,
    flash: Flash,
    now: Timestamp,
    ordered: bool,
    reports: Vec<(u64, ReportPhase, Option<Cause>)>,
}

enum Next {
    Goes,
    Answer(Input),
    Reboot,
    Rest,
}

/// Lives through a scenario.
pub fn live(scenario: &Scenario, subject: &Subject, now: Timestamp) -> Observation {
    let factory = FactoryImage {
        image: subject.from.image,
        version: subject.from.version.clone(),
        size: subject.from_size,
        release_counter: subject.from.counter,
    };
    let flash = factory.flash();
    let mut bench = Bench { scenario, subject, flash, now, ordered: false, reports: Vec::new() };
    let problem = bench.run().err();
    let running = bench.flash.image(bench.flash.running);
    let confirmed = bench.flash.image(bench.flash.confirmed);
    let other = bench.flash.image(bench.flash.running.other());
    Observation {
        phases: bench.reports.iter().map(|(_, phase, _)| *phase).collect(),
        cause: bench.reports.last().and_then(|(_, _, cause)| *cause),
        running: bench.named(running),
        confirmed: bench.named(confirmed),
        slot: bench.flash.running,
        other_slot_intact: if other.is_some() { Intact::Yes } else { Intact::No },
        took: bench.now.since(now),
        problem,
    }
}

/// Says that a scenario could not even start: the image to upgrade from is not there.
pub fn not_possible(scenario: &Scenario) -> Observation {
    let from = scenario.from.running();
    Observation {
        phases: Vec::new(),
        cause: None,
        running: from.clone(),
        confirmed: from,
        slot: START_SLOT,
        other_slot_intact: Intact::Unknown,
        took: Seconds(0),
        problem: Some(format!("the image of {} is not among the artifacts", scenario.from.version)),
    }
}

impl Bench<'_> {
    fn run(&mut self) -> Result<(), String> {
        let mut machine = self.machine()?;
        let mut input = self.boot();
        for _ in 0..INPUTS_MAX {
            let mut next = Next::Goes;
            for output in machine.handle(input.clone(), self.now) {
                next = self.perform(&output);
                if matches!(next, Next::Reboot) {
                    break;
                }
            }
            input = match next {
                Next::Answer(answer) => answer,
                Next::Reboot => {
                    machine = self.machine()?;
                    self.boot()
                }
                Next::Rest if !std::mem::replace(&mut self.ordered, true) => self.order(),
                Next::Rest => return Ok(()),
                Next::Goes => return Err("the virtual device asked for nothing".to_owned()),
            };
        }
        Err(format!("the virtual device did not come to rest within {INPUTS_MAX} inputs"))
    }

    fn machine(&self) -> Result<Machine, String> {
        let settings = Settings {
            device: DeviceId::new("lab").map_err(|error| error.to_string())?,
            product: self.subject.product.clone(),
            hardware: self.subject.board.clone(),
            tries: 3,
            poll: None,
            seed: 0,
        };
        let journal = Journal::read(&self.flash.journal.write()).map_err(|error| error.to_string())?;
        Ok(Machine::new(settings, journal))
    }

    /// Boots, as often as it takes until something comes up.
    fn boot(&mut self) -> Input {
        loop {
            self.now = later(self.now, BOOT_MILLIS);
            let boot = self.flash.power_on();
            let on_trial = boot.running != boot.confirmed;
            if !(on_trial && self.scenario.kind == ScenarioKind::ForcedBootFailure) {
                return Input::Started { boot };
            }
            debug_assert!(boot.trial != Trial::None, "what is on trial has tries, and they end");
        }
    }

    fn order(&mut self) -> Input {
        let Subject { to, to_size, product, board, patch, .. } = self.subject;
        let image = ImageTarget {
            running: Running { image: to.image, version: to.version.clone() },
            size: *to_size,
            product: product.clone(),
            hardware: vec![board.clone()],
            release_counter: to.counter,
        };
        let patch = patch.as_ref().map(|patch| {
            self.flash.stage(Content::whole(patch.digest, patch.size.0));
            PatchTarget { digest: patch.digest, size: patch.size, base: patch.base }
        });
        Input::LocalOrder { image, patch }
    }

    fn perform(&mut self, output: &Output) -> Next {
        if !matches!(output, Output::WaitUntil(_) | Output::Poll | Output::Report(_)) {
            self.now = later(self.now, local_millis(output, &Faults::default(), None));
        }
        match output {
            Output::Save(journal) => {
                self.note(journal);
                self.flash.journal = (**journal).clone();
                Next::Goes
            }
            Output::ForgetTrial => {
                self.flash.forget();
                Next::Goes
            }
            Output::SendAttributes => Next::Goes,
            Output::ApplyPatch { slot, image, size, .. } => {
                self.write(*slot, *image, *size);
                Next::Answer(Input::Written)
            }
            Output::WriteImage { slot, size } => {
                self.write(*slot, self.subject.to.image, *size);
                Next::Answer(Input::Written)
            }
            Output::VerifySlot { slot, image, .. } => {
                let right = self.flash.image(*slot) == Some(*image);
                let verification = if right { Verification::Matches } else { Verification::Differs };
                Next::Answer(Input::SlotVerified(verification))
            }
            Output::ArmAndReboot { tries, .. } => {
                self.flash.arm(*tries);
                Next::Reboot
            }
            Output::Revert => {
                self.flash.revert();
                Next::Reboot
            }
            Output::Confirm => {
                self.flash.confirm();
                Next::Answer(Input::Confirmed)
            }
            Output::RunHealth => Next::Answer(self.health()),
            // Orders at hand need nothing from a server: only a machine at rest asks for those.
            Output::WaitUntil(_)
            | Output::FetchMetadata { .. }
            | Output::Download { .. }
            | Output::LoadPieces { .. }
            | Output::Assemble(_) => Next::Rest,
            // There is no server in the lab.
            Output::Poll => Next::Answer(Input::PollFailed),
            Output::Report(_) | Output::Feedback { .. } => Next::Answer(Input::NotDelivered),
        }
    }

    fn write(&mut self, slot: warden_model::device::Slot, image: Sha256Digest, size: ByteCount) {
        let place = warden_agent::machine::Place::Slot(slot);
        self.flash.begin(place, image, size.0, 0);
        self.flash.grow(place, size.0);
    }

    fn health(&self) -> Input {
        let forced = self.scenario.kind == ScenarioKind::ForcedHealthFailure;
        let broken = self.subject.defect == Defect::UnhealthyEverywhere;
        let (health, detail) = if forced || broken {
            (Health::Failed, "10-service ended with 1")
        } else {
            (Health::Passed, "2 of 2 checks passed")
        };
        Input::HealthFinished { health, detail: detail.to_owned() }
    }

    fn note(&mut self, journal: &Journal) {
        for letter in &journal.outbox {
            let Letter::Report(report) = letter else { continue };
            let Some(phase) = report.phase else { continue };
            if self.reports.last().is_none_or(|(counter, _, _)| *counter < report.counter) {
                self.reports.push((report.counter, phase, report.cause));
            }
        }
    }

    fn named(&self, image: Option<Sha256Digest>) -> Running {
        let Subject { from, to, .. } = self.subject;
        match image {
            Some(image) if image == to.image => Running { image, version: to.version.clone() },
            // A slot without a complete image has the digest of nothing, which no check takes for right.
            other => {
                let image = other.unwrap_or(Sha256Digest([0; 32]));
                Running { image, version: from.version.clone() }
            }
        }
    }
}
