//! Power: boots, reboots and cuts.

use warden_agent::machine::{Input, Journal, Machine, Output, Place, Trial};
use warden_model::{DeviceId, Timestamp};

use super::World;
use crate::agenda::{Happening, later};
use crate::device::{Power, SimDevice};
use crate::rules;

/// From power-on to the boot loader, in milliseconds.
const LOADER_MILLIS: u64 = 1_500;
/// From the boot loader to the agent, in milliseconds.
const BOOT_MILLIS: u64 = 15_000;
/// After so long a watchdog resets a device that hangs at boot, in milliseconds.
const WATCHDOG_MILLIS: u64 = 60_000;
/// How long a device is off after a cut, in milliseconds, when nothing else is said.
const OFF_MILLIS: u64 = 60_000;

impl World {
    /// Starts a new life of the device at a moment.
    pub(super) fn power_on_at(&mut self, id: &DeviceId, at: Timestamp) {
        let Some(device) = self.devices.get_mut(id) else { return };
        device.stop();
        let life = device.life;
        self.agenda.at(later(at, LOADER_MILLIS), Happening::PowerOn { device: id.clone(), life });
    }

    /// The boot loader chooses a slot.
    pub(super) fn boots(&mut self, id: &DeviceId) {
        let Some(device) = self.devices.get_mut(id) else { return };
        device.power = Power::On;
        let exhausted_before = device.flash.trial == Trial::Exhausted;
        let view = device.flash.power_on();
        let broken = rules::at_boot(device, &self.images);
        let facts = device.flash.image(view.running).and_then(|image| self.images.get(&image));
        let version = facts.map_or_else(|| "an unknown image".to_owned(), |facts| facts.version.to_string());
        let hangs = facts.is_some_and(|facts| device.faults.boot_fails_on.contains(&facts.version));
        let slot = view.running;
        match view.trial {
            Trial::Armed { tries_left } => {
                let more = match tries_left {
                    0 => "its last try".to_owned(),
                    1 => "with one more try".to_owned(),
                    more => format!("with {more} more tries"),
                };
                let what = format!("boots {version} from slot {slot} on trial, {more}");
                self.log.world(self.now, id, what);
            }
            Trial::Exhausted if !exhausted_before => {
                let what = format!("boots {version} from slot {slot}: the trial has used up its tries");
                self.log.world(self.now, id, what);
            }
            Trial::None | Trial::Exhausted => {}
        }
        let Some(device) = self.devices.get_mut(id) else { return };
        let life = device.life;
        if hangs {
            self.log.world(self.now, id, format!("{version} hangs at boot; the watchdog resets the device"));
            let at = later(self.now, WATCHDOG_MILLIS);
            self.power_on_at(id, at);
        } else {
            if self.chance.happens(device.faults.cuts) {
                let at = later(self.now, self.chance.between(0, BOOT_MILLIS));
                self.agenda.at(at, Happening::PowerCut { device: id.clone(), life });
            }
            self.agenda.at(later(self.now, BOOT_MILLIS), Happening::Up { device: id.clone(), life });
        }
        self.note_broken(broken);
    }

    /// The agent starts with the journal that was saved last.
    pub(super) fn is_up(&mut self, id: &DeviceId) {
        let Some(device) = self.devices.get_mut(id) else { return };
        let boot = device.flash.view();
        if let Some(image) = device.flash.image(boot.running) {
            device.truth.booted.insert(image);
        }
        // Through its JSON, as on a real device: what does not survive that, does not survive a power cut.
        match Journal::read(&device.flash.journal.write()) {
            Ok(journal) => {
                device.machine = Some(Machine::new(device.settings.clone(), journal));
                self.feed(id, Input::Started { boot });
            }
            Err(error) => self.note_broken(vec![format!("{id}: the saved journal cannot be read: {error}")]),
        }
    }

    /// The power goes, whatever the device is doing.
    pub(super) fn cut(&mut self, id: &DeviceId) {
        let now = self.now;
        let Some(device) = self.devices.get_mut(id) else { return };
        device.truth.cuts += 1;
        let mut what = "the power goes".to_owned();
        if let Some(busy) = device.busy.take() {
            if let Some(writes) = busy.writes {
                let reached = writes.from + busy.share_of(writes.to.saturating_sub(writes.from), now);
                device.flash.grow(writes.place, reached);
                if let Place::Slot(slot) = writes.place {
                    let size = device.flash.slot(slot).map_or(0, |content| content.size);
                    let share = warden_model::PerMille::of(reached, size);
                    what = format!("the power goes when {share} of slot {slot} are written");
                }
                if self.chance.happens(device.faults.torn) {
                    device.flash.damage(writes.place);
                    what.push_str(", and a piece that counted as written is torn");
                }
            } else if self.chance.draw().is_multiple_of(2) {
                // A save to flash is atomic: it has happened, or it has not.
                device.apply(&busy.output);
            }
        }
        let life_is_over = device.faults.dies;
        let off = device.faults.off.map_or(OFF_MILLIS, |(shortest, longest)| {
            self.chance.between(shortest.0.saturating_mul(1000), longest.0.saturating_mul(1000))
        });
        if life_is_over {
            what.push_str(", for good");
        }
        self.log.world(now, id, what);
        self.power_on_at(id, later(now, off));
        let Some(device) = self.devices.get_mut(id) else { return };
        device.power = Power::Off;
        if life_is_over {
            device.power = Power::Gone;
            device.life += 1;
        }
    }

    /// Cuts the power of a device now.
    pub fn cut_now(&mut self, id: &DeviceId) {
        self.cut(id);
        self.hold_device_rules(id);
    }

    /// The device restarts itself.
    pub(super) fn reboots(&mut self, id: &DeviceId) {
        self.power_on_at(id, self.now);
    }
}

impl SimDevice {
    /// Ends the present life: what was planned for it is void.
    fn stop(&mut self) {
        self.life += 1;
        self.machine = None;
        self.todo.clear();
        self.busy = None;
    }

    /// Carries out an output that is atomic on flash.
    pub(super) fn apply(&mut self, output: &Output) {
        match output {
            Output::Save(journal) => self.flash.journal = (**journal).clone(),
            Output::ForgetTrial => self.flash.forget(),
            Output::ArmAndReboot { tries, .. } => self.flash.arm(*tries),
            Output::Confirm => self.flash.confirm(),
            Output::Revert => self.flash.revert(),
            Output::SendAttributes
            | Output::Poll
            | Output::FetchMetadata { .. }
            | Output::Download { .. }
            | Output::ApplyPatch { .. }
            | Output::LoadPieces { .. }
            | Output::Assemble(_)
            | Output::WriteImage { .. }
            | Output::VerifySlot { .. }
            | Output::RunHealth
            | Output::Report(_)
            | Output::Feedback { .. }
            | Output::WaitUntil(_) => {}
        }
    }
}
