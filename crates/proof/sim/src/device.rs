//! A virtual device: the real machine, and the flash, link and faults around it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use warden_agent::machine::{Installed, Journal, Machine, Output, Place, Settings, Standing};
use warden_model::device::Slot;
use warden_model::firmware::Version;
use warden_model::{ByteCount, PerMille, Seconds, Sha256Digest, Timestamp};
use warden_wire::ddi::DeploymentBase;

use crate::agenda::Life;
use crate::flash::{Content, Flash};
use crate::link::Link;

/// How fast a slot is written and a patch applied, in bytes a second: cheap flash of a small device.
const WRITE_BYTES_PER_SECOND: u64 = 1024 * 1024;
/// How fast a slot is read back and hashed, in bytes a second.
const READ_BYTES_PER_SECOND: u64 = 8 * 1024 * 1024;
/// How long a save to flash takes, in milliseconds.
const SAVE_MILLIS: u64 = 20;
/// How long health checks take, in milliseconds.
const HEALTH_MILLIS: u64 = 8_000;
/// How long a hanging health check takes until its time limit ends it, in milliseconds.
const HEALTH_LIMIT_MILLIS: u64 = 60_000;

/// What goes wrong on a device.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Versions whose health checks fail here.
    pub health_fails_on: BTreeSet<Version>,
    /// Versions whose health checks hang here.
    pub health_hangs_on: BTreeSet<Version>,
    /// Versions that hang at boot here.
    pub boot_fails_on: BTreeSet<Version>,
    /// How often a health check fails without a reason.
    pub health_flaky: PerMille,
    /// How often the power goes while an output is carried out.
    pub cuts: PerMille,
    /// The power goes once, when so much of a slot is written.
    pub cut_at_write: Option<PerMille>,
    /// How often a cut in the middle of a write tears a piece that counted as written.
    pub torn: PerMille,
    /// How long the device stays without power after a cut.
    pub off: Option<(Seconds, Seconds)>,
    /// The next cut is the last: the device never comes back.
    pub dies: bool,
}

/// What really happened on the device, whatever it says.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// Images that have started here.
    pub booted: BTreeSet<Sha256Digest>,
    /// Images whose health checks have passed here.
    pub proven: BTreeSet<Sha256Digest>,
    /// How often the power went.
    pub cuts: u64,
}

/// What the device is doing.
#[derive(Debug, Clone)]
pub struct Busy {
    /// The output that is carried out.
    pub output: Output,
    /// Since when.
    pub began: Timestamp,
    /// Until when.
    pub ends: Timestamp,
    /// The bytes that are written meanwhile: from where to where.
    pub writes: Option<Writes>,
}

/// A write that is under way.
#[derive(Debug, Clone, Copy)]
pub struct Writes {
    /// Where.
    pub place: Place,
    /// From which byte.
    pub from: u64,
    /// To which byte.
    pub to: u64,
}

/// Whether a device has power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It has.
    On,
    /// It will have again.
    Off,
    /// It never will.
    Gone,
}

/// Whether the server offers an order to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It does.
    Order,
    /// It does not.
    Nothing,
}

/// A virtual device.
#[derive(Debug, Clone)]
pub struct SimDevice {
    /// What its machine knows.
    pub settings: Settings,
    /// The machine; absent while the device is off or boots.
    pub machine: Option<Machine>,
    /// What survives a power cut.
    pub flash: Flash,
    /// The way to the server.
    pub link: Link,
    /// What goes wrong.
    pub faults: Faults,
    /// What really happened.
    pub truth: Truth,
    /// The present life.
    pub life: Life,
    /// Whether it has power.
    pub power: Power,
    /// Outputs that are not carried out yet.
    pub todo: VecDeque<Output>,
    /// The output that is carried out.
    pub busy: Option<Busy>,
    /// The orders that passed over the link, by action: what a cache on the way could serve again.
    pub passed: BTreeMap<u64, DeploymentBase>,
    /// What a cache on the way will serve instead of the next answer.
    pub replay: Option<DeploymentBase>,
}

/// A firmware as it comes from the factory.
#[derive(Debug, Clone)]
pub struct FactoryImage {
    /// The image.
    pub image: Sha256Digest,
    /// Its version.
    pub version: Version,
    /// Its size.
    pub size: ByteCount,
    /// Its release counter.
    pub release_counter: u64,
}

impl FactoryImage {
    /// Makes the flash of a device that left the factory with this image.
    pub fn flash(&self) -> Flash {
        let installed = Installed {
            image: self.image,
            version: self.version.clone(),
            size_bytes: self.size.0,
            release_counter: self.release_counter,
            standing: Standing::Confirmed,
        };
        let content = Content::whole(self.image, self.size.0);
        Flash::factory(Slot::A, content, Journal::first(Slot::A, installed))
    }
}

impl SimDevice {
    /// Makes a device as it comes from the factory, without power.
    pub fn new(settings: Settings, factory: &FactoryImage) -> Self {
        let known = BTreeSet::from([factory.image]);
        Self {
            settings,
            machine: None,
            flash: factory.flash(),
            link: Link::default(),
            faults: Faults::default(),
            truth: Truth { booted: known.clone(), proven: known, cuts: 0 },
            life: 0,
            power: Power::Off,
            todo: VecDeque::new(),
            busy: None,
            passed: BTreeMap::new(),
            replay: None,
        }
    }

    /// Says whether the device has nothing left to say, and nothing to do: an order that is offered it will take with its next
    /// poll, one that nobody offers any more rests for as long as that is so.
    pub fn is_at_rest(&self, offered: Offered) -> bool {
        match (self.power, &self.machine, offered) {
            (Power::Gone, _, _) => true,
            (Power::On, Some(machine), Offered::Nothing) => machine.journal().outbox.is_empty(),
            (Power::On, _, Offered::Order) | (Power::On, None, _) | (Power::Off, _, _) => false,
        }
    }
}

/// Returns how long an output takes that needs nobody else, in milliseconds.
pub fn local_millis(output: &Output, faults: &Faults, version: Option<&Version>) -> u64 {
    match output {
        Output::ApplyPatch { size, .. } | Output::WriteImage { size, .. } => {
            millis_for(size.0, WRITE_BYTES_PER_SECOND)
        }
        Output::VerifySlot { size, .. } => millis_for(size.0, READ_BYTES_PER_SECOND),
        Output::RunHealth if version.is_some_and(|version| faults.health_hangs_on.contains(version)) => {
            HEALTH_LIMIT_MILLIS
        }
        Output::RunHealth => HEALTH_MILLIS,
        Output::Save(_)
        | Output::ForgetTrial
        | Output::Confirm
        | Output::ArmAndReboot { .. }
        | Output::Revert
        | Output::SendAttributes
        | Output::Poll
        | Output::FetchMetadata { .. }
        | Output::Download { .. }
        | Output::LoadPieces { .. }
        | Output::Assemble(_)
        | Output::Report(_)
        | Output::Feedback { .. }
        | Output::WaitUntil(_) => SAVE_MILLIS,
    }
}

/// Returns how long so many bytes take, in milliseconds; at least one.
pub fn millis_for(bytes: u64, bytes_per_second: u64) -> u64 {
    (bytes.saturating_mul(1000) / bytes_per_second.max(1)).max(1)
}
