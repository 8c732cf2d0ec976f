//! The device itself: what the machine's local outputs do to slots, journal and boot control.
//!
//! In: outputs. Out: inputs. Needs no network: a device boots, proves, confirms and reverts alone.

pub mod boot;
pub mod dir;
pub mod health;
pub mod pair;
pub mod pieces;
pub mod resume;
pub mod slot;
pub mod unpack;

use std::path::PathBuf;

use anyhow::{Context, Result};
use warden_model::device::Slot;
use warden_model::{ByteCount, Sha256Digest};

use self::boot::{BootControl, SlotFiles};
use self::dir::{DeviceDir, Lock};
use self::health::Verdict;
use crate::machine::{Health, Identity, Input, Journal, Machine, PatchTarget, PiecesOrder, Settings};

/// How often a new image may boot before it is given up: two power cuts during its first minutes are bad luck, three
/// boots without a confirmation are a broken image.
pub const TRIES: u8 = 3;

/// Where an image or patch lies that a person brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtHand {
    /// Nobody brought anything.
    Nothing,
    /// This file.
    File(PathBuf),
}

/// What the health checks are to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthMode {
    /// What they find.
    Real,
    /// That they failed: for the lab, which proves that a device turns back.
    Fail,
}

/// A device on slot files.
#[derive(Debug)]
pub struct Device {
    /// Its directory.
    pub dir: DeviceDir,
    /// Who it is.
    pub identity: Identity,
    /// Its boot control.
    pub boot: SlotFiles,
    /// What lies at hand for a local order.
    pub at_hand: AtHand,
    /// What the health checks are to say.
    pub health: HealthMode,
    _lock: Lock,
}

impl Device {
    /// Opens a device that the factory made, and takes its directory for this process.
    pub fn open(dir: DeviceDir) -> Result<Self> {
        let lock = dir.lock()?;
        dir.create()?;
        let identity = dir.load_identity()?;
        let boot = SlotFiles::open(&dir.boot());
        Ok(Self { dir, identity, boot, at_hand: AtHand::Nothing, health: HealthMode::Real, _lock: lock })
    }

    /// Makes the machine that goes on where the journal stands.
    pub fn machine(&self, journal: Journal, poll: Option<warden_model::Seconds>) -> Machine {
        let Identity { device, product, hardware } = self.identity.clone();
        // Any number that differs between devices spreads the fleet: the digest of the name does.
        let seed = device.as_str().bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        Machine::new(Settings { device, product, hardware, tries: TRIES, poll, seed }, journal)
    }

    /// Powers the device on: the boot loader chooses a slot.
    pub fn power_on(&mut self, journal: &Journal) -> Result<Input> {
        let confirmed = (ByteCount(journal.confirmed.size_bytes), journal.confirmed.image);
        let dir = self.dir.clone();
        let is_confirmed =
            move |slot: Slot| slot::digest_of(&dir.slot(slot)).is_ok_and(|found| found == confirmed);
        let boot = self.boot.boot(&is_confirmed).context("boot")?;
        unpack::clear(&self.dir.run_root())?;
        tracing::info!(slot = %boot.running, confirmed = %boot.confirmed, "booted");
        Ok(Input::Started { boot })
    }

    /// Makes the other slot from a patch.
    pub fn apply_patch(
        &self,
        patch: &PatchTarget,
        slots: (Slot, Slot),
        result: (Sha256Digest, ByteCount),
    ) -> Input {
        let staged = match &self.at_hand {
            AtHand::File(file) => file.clone(),
            AtHand::Nothing => self.dir.staged(patch.digest),
        };
        slot::apply_patch(&self.dir, patch, &staged, slots, result)
    }

    /// Makes the other slot from staged pieces and the running slot.
    pub fn assemble(&self, order: &PiecesOrder) -> Input {
        pieces::assemble_slot(&self.dir, order)
    }

    /// Writes the image that lies at hand into a slot.
    pub fn write_image(&self, slot: Slot, size: ByteCount) -> Input {
        match &self.at_hand {
            AtHand::File(path) => slot::write_image(path, &self.dir.slot(slot), size),
            AtHand::Nothing => Input::WriteFailed {
                failure: crate::machine::WriteFailure::Broken,
                detail: "no image lies at hand".to_owned(),
            },
        }
    }

    /// Unpacks the running image and runs its health checks.
    pub fn run_health(&self) -> Result<Input> {
        let running = self.boot.view()?.running;
        let root = self.dir.run_root();
        let verdict = match (self.health, unpack::unpack(&self.dir.slot(running), &root)) {
            (HealthMode::Fail, _) => Verdict {
                health: Health::Failed,
                detail: "the lab ordered the health check to fail".to_owned(),
            },
            (HealthMode::Real, Err(error)) => {
                Verdict { health: Health::Failed, detail: format!("the image cannot be unpacked: {error:#}") }
            }
            (HealthMode::Real, Ok(())) => health::run(&root),
        };
        Ok(Input::HealthFinished { health: verdict.health, detail: verdict.detail })
    }

    /// Confirms the running slot.
    pub fn confirm(&mut self) -> Result<Input> {
        self.boot.confirm()?;
        Ok(Input::Confirmed)
    }
}
