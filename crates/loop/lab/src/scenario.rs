//! Which scenarios a release must pass before it may roll out.
//!
//! In: the release, and what runs in the field. Out: an upgrade from every version in the field, and forced failures
//! from the most common one; or the news that there is nothing to upgrade. Refuses: to leave a version out.

use std::collections::BTreeMap;
use std::fmt;

use warden_model::device::{Running, Slot};
use warden_model::firmware::Version;
use warden_model::release::Release;
use warden_model::{Seconds, Sha256Digest};

/// The slot that a virtual device runs when a scenario starts; the new image goes into the other one.
pub const START_SLOT: Slot = Slot::A;

/// How long an upgrade may take: a virtual device without hardware acceleration boots in 40 seconds or so, and an
/// upgrade is two boots, a patch and the health checks; five minutes leave room for a busy machine.
pub const UPGRADE_TIME_LIMIT: Seconds = Seconds(300);

/// How long a forced failure may take: the new image has several tries to boot or become healthy, each with a time limit
/// of its own, before the device turns back.
pub const FORCED_FAILURE_TIME_LIMIT: Seconds = Seconds(600);

/// A firmware that devices in the field run and have confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldVersion {
    /// The image.
    pub image: Sha256Digest,
    /// Its version.
    pub version: Version,
    /// How many devices run it.
    pub devices: u64,
}

impl FieldVersion {
    /// Returns the firmware without the number of devices.
    pub fn running(&self) -> Running {
        Running { image: self.image, version: self.version.clone() }
    }
}

/// What a scenario does to the virtual device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScenarioKind {
    /// The release is installed as devices will install it.
    Upgrade,
    /// The release boots, and its health check is made to fail.
    ForcedHealthFailure,
    /// The release boots and dies before its health checks, each time.
    ForcedBootFailure,
}

impl ScenarioKind {
    /// All values, in the order in which they run.
    pub const ALL: &'static [Self] = &[Self::Upgrade, Self::ForcedHealthFailure, Self::ForcedBootFailure];

    /// Returns the canonical word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::ForcedHealthFailure => "forced-health-failure",
            Self::ForcedBootFailure => "forced-boot-failure",
        }
    }
}

impl fmt::Display for ScenarioKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One story that a virtual device must live through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Names the scenario within its plan: kind, version and image; fit for a file name.
    pub id: String,
    /// What the virtual device runs and has confirmed at the start, in [`START_SLOT`].
    pub from: FieldVersion,
    /// What it is ordered to install.
    pub to: Running,
    /// What is done to it.
    pub kind: ScenarioKind,
    /// How long it may take.
    pub time_limit: Seconds,
    /// Why it is run, in one sentence.
    pub why: String,
}

/// Why there is nothing to upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nothing {
    /// No device of the product has reported a firmware.
    NoDevices,
    /// All devices run the release already.
    AllRunIt {
        /// How many.
        devices: u64,
    },
}

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevices => f.write_str("no device in the field has reported a firmware to upgrade from"),
            Self::AllRunIt { devices: 1 } => {
                f.write_str("the only device in the field runs the release already")
            }
            Self::AllRunIt { devices } => {
                write!(f, "all {devices} devices in the field run the release already")
            }
        }
    }
}

/// What the lab has to do for a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// These scenarios; never empty.
    Run(Vec<Scenario>),
    /// Nothing: there is no firmware to start from. The first device of a product gets its firmware at the factory; an
    /// upgrade can be proven only once there is something to upgrade.
    NothingInField {
        /// What will run in the field then.
        release: Running,
        /// Why there is nothing to start from.
        nothing: Nothing,
    },
}

/// Plans the scenarios of a release.
///
/// An upgrade from every version in the field comes first, the version with most devices at the front; then the forced
/// failures, from that version. Entries of the same image count as one; entries without devices do not count.
pub fn scenarios(release: &Release, field: &[FieldVersion]) -> Plan {
    let to = Running { image: release.image, version: release.version.clone() };
    let field = most_devices_first(field);
    let (targets, sources): (Vec<_>, Vec<_>) = field.into_iter().partition(|from| from.image == to.image);
    let Some(common) = sources.first() else {
        let nothing = match targets.first() {
            Some(target) => Nothing::AllRunIt { devices: target.devices },
            None => Nothing::NoDevices,
        };
        return Plan::NothingInField { release: to, nothing };
    };
    let upgrades = sources.iter().map(|from| scenario(ScenarioKind::Upgrade, from, &to));
    let failures = [ScenarioKind::ForcedHealthFailure, ScenarioKind::ForcedBootFailure];
    let failures = failures.into_iter().map(|kind| scenario(kind, common, &to));
    Plan::Run(upgrades.chain(failures).collect())
}

fn most_devices_first(field: &[FieldVersion]) -> Vec<FieldVersion> {
    let mut by_image: BTreeMap<Sha256Digest, FieldVersion> = BTreeMap::new();
    for entry in field.iter().filter(|entry| entry.devices > 0) {
        by_image
            .entry(entry.image)
            .and_modify(|known| {
                known.devices = known.devices.saturating_add(entry.devices);
                // One image under two version texts: the plan must not depend on which one came first.
                if entry.version < known.version {
                    known.version = entry.version.clone();
                }
            })
            .or_insert_with(|| entry.clone());
    }
    let mut field: Vec<FieldVersion> = by_image.into_values().collect();
    field.sort_by(|a, b| b.devices.cmp(&a.devices).then_with(|| a.running().cmp(&b.running())));
    field
}

fn scenario(kind: ScenarioKind, from: &FieldVersion, to: &Running) -> Scenario {
    let (old, new) = (&from.version, &to.version);
    let devices = match from.devices {
        1 => "1 device".to_owned(),
        count => format!("{count} devices"),
    };
    let why = match kind {
        ScenarioKind::Upgrade => format!("{old} runs on {devices} that will be offered {new}"),
        ScenarioKind::ForcedHealthFailure => {
            format!(
                "{old} runs on most devices ({devices}): they must come back to it when {new} is not healthy"
            )
        }
        ScenarioKind::ForcedBootFailure => {
            format!(
                "{old} runs on most devices ({devices}): they must come back to it when {new} dies after its start"
            )
        }
    };
    let time_limit = match kind {
        ScenarioKind::Upgrade => UPGRADE_TIME_LIMIT,
        ScenarioKind::ForcedHealthFailure | ScenarioKind::ForcedBootFailure => FORCED_FAILURE_TIME_LIMIT,
    };
    let id = format!("{kind}-from-{old}-{}", from.image.short());
    Scenario { id, from: from.clone(), to: to.clone(), kind, time_limit, why }
}
