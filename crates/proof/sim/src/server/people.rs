//! What people do: products, firmware, releases, signatures, advisories, rollouts and commands.
//!
//! In: what a person says. Out: the changed state, and events. Refuses what does not fit, and says why.

use std::collections::BTreeMap;

use thiserror::Error;
use warden_model::advisory::Advisory;
use warden_model::case::{Case, Priority, Protection};
use warden_model::device::Device;
use warden_model::firmware::{Component, Firmware, Version};
use warden_model::product::Product;
use warden_model::release::{Release, ReleaseState};
use warden_model::rollout::RolloutState;
use warden_model::{
    ByteCount, DeviceId, PerMille, ProductId, ReleaseId, RolloutId, Sha256Digest, Stage, Timestamp,
};
use warden_rollout::{
    Candidate, Command, CommandRefused, Commanded, Compatible, Opening, Policy, Warning, assign, command,
    compatibility, lint, open,
};

use super::{RolloutRecord, Server, State, prepare};
use crate::world::Defect;

/// Something that a person cannot have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PersonError {
    /// There is no such product.
    #[error("there is no product {0}")]
    NoProduct(ProductId),
    /// There is no such release.
    #[error("there is no release {0}")]
    NoRelease(ReleaseId),
    /// There is no such rollout.
    #[error("there is no rollout {0}")]
    NoRollout(RolloutId),
    /// The release cannot be signed.
    #[error("release {release} is {state} and cannot be signed: {reason}")]
    NotProven {
        /// The release.
        release: ReleaseId,
        /// Its state.
        state: ReleaseState,
        /// Why it is in that state.
        reason: String,
    },
    /// Only a signed release may roll out.
    #[error("release {release} is {state}, and only a signed one may roll out: {reason}")]
    NotSigned {
        /// The release.
        release: ReleaseId,
        /// Its state.
        state: ReleaseState,
        /// Why it is in that state.
        reason: String,
    },
    /// The release fits no device.
    #[error("no device would get release {release}: {why}")]
    NobodyGetsIt {
        /// The release.
        release: ReleaseId,
        /// Each device with its reason.
        why: String,
    },
    /// Another rollout has a device.
    #[error("rollout {other} has {device} by now, and is not over; wait until it is over, or roll it back")]
    DeviceIsTaken {
        /// The device.
        device: DeviceId,
        /// The other rollout.
        other: RolloutId,
    },
    /// A name is no id.
    #[error(transparent)]
    Name(#[from] warden_model::IdError),
    /// The policy has no phases.
    #[error(transparent)]
    NoPhases(#[from] warden_rollout::NoPhases),
    /// The command does not fit.
    #[error("{0}; {hint}", hint = .0.hint)]
    Refused(CommandRefused),
}

/// A new release.
#[derive(Debug, Clone)]
pub struct NewRelease {
    /// The product.
    pub product: ProductId,
    /// The version.
    pub version: Version,
    /// The image.
    pub image: Sha256Digest,
    /// Its size.
    pub size: ByteCount,
    /// What is inside.
    pub components: Vec<Component>,
    /// How large patches are.
    pub patch_share: PerMille,
    /// What is wrong with it.
    pub defect: Defect,
}

impl Server {
    /// Adds a firmware that devices leave the factory with: signed, nothing to prove.
    pub fn add_factory_firmware(
        &mut self,
        new: NewRelease,
        now: Timestamp,
    ) -> Result<ReleaseId, PersonError> {
        let id = self.state.add_firmware(new, now)?;
        if let Some(release) = self.state.releases.get_mut(&id) {
            release.state = ReleaseState::Signed;
            "it came with the devices".clone_into(&mut release.reason);
        }
        Ok(id)
    }

    /// Adds a release and prepares it.
    pub fn add_release(&mut self, new: NewRelease, now: Timestamp) -> Result<ReleaseId, PersonError> {
        let (share, defect) = (new.patch_share, new.defect);
        let id = self.state.add_firmware(new, now)?;
        prepare::run(&mut self.state, &id, share, defect, now);
        Ok(id)
    }

    /// Signs a release that the lab has proven.
    pub fn sign(&mut self, id: &ReleaseId, now: Timestamp) -> Result<(), PersonError> {
        let release = self.state.releases.get_mut(id).ok_or_else(|| PersonError::NoRelease(id.clone()))?;
        if release.state != ReleaseState::Proven {
            let (release, state, reason) = (id.clone(), release.state, release.reason.clone());
            return Err(PersonError::NotProven { release, state, reason });
        }
        release.state = ReleaseState::Signed;
        let reason = "the operator's offline key has signed it".to_owned();
        release.reason.clone_from(&reason);
        self.state.say_of_release(id, now, Stage::Rollout, "signed", reason);
        Ok(())
    }

    /// Takes a release back.
    pub fn withdraw(&mut self, id: &ReleaseId, now: Timestamp) -> Result<(), PersonError> {
        let release = self.state.releases.get_mut(id).ok_or_else(|| PersonError::NoRelease(id.clone()))?;
        release.state = ReleaseState::Withdrawn;
        let reason = "a person has taken it back".to_owned();
        release.reason.clone_from(&reason);
        self.state.say_of_release(id, now, Stage::Rollout, "withdrawn", reason);
        Ok(())
    }

    /// Enrols a device.
    pub fn enrol(&mut self, device: Device) {
        self.state.devices.insert(device.id.clone(), device);
    }

    /// Imports an advisory; it replaces an older one of the same name, whose clock goes on.
    pub fn import(&mut self, advisory: Advisory) {
        let known = self.state.advisories.iter().find(|known| known.id == advisory.id);
        let known_at = known.map_or(advisory.known_at, |known| known.known_at);
        self.state.advisories.retain(|known| known.id != advisory.id);
        self.state.advisories.push(Advisory { known_at, ..advisory });
    }

    /// Plans a rollout of a release; returns what looks unwise about it. Mirrors `apps/server/src/api/rollouts/plan.rs`.
    pub fn plan_rollout(
        &mut self,
        release: &ReleaseId,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<(RolloutId, Vec<Warning>), PersonError> {
        let state = &mut self.state;
        let known = state.releases.get(release).ok_or_else(|| PersonError::NoRelease(release.clone()))?;
        if known.state != ReleaseState::Signed {
            let (release, state, reason) = (release.clone(), known.state, known.reason.clone());
            return Err(PersonError::NotSigned { release, state, reason });
        }
        let candidates = state.candidates(known, now);
        let assignment = assign(&candidates, policy);
        if assignment.members.is_empty() {
            let why: Vec<String> =
                assignment.left_out.iter().map(|(device, why)| format!("{device}: {why}")).collect();
            return Err(PersonError::NobodyGetsIt { release: release.clone(), why: why.join(" ") });
        }
        let id = state.rollout_name(release)?;
        let own = state.devices.values().filter(|device| device.product == known.product);
        let newest = own.map(|device| device.generation).max().unwrap_or_default();
        let opening = Opening { id: id.clone(), release: release.clone(), newest_generation: newest };
        let (rollout, members) = open(opening, &assignment, policy, now)?;
        let fleet = u64::try_from(members.len()).unwrap_or(u64::MAX);
        state.rollouts.insert(id.clone(), RolloutRecord { rollout, members, assignment });
        Ok((id, lint(policy, fleet)))
    }

    /// Carries out a command. Mirrors `apps/server/src/api/rollouts/command.rs`.
    pub fn command(
        &mut self,
        id: &RolloutId,
        what: Command,
        by: &str,
        now: Timestamp,
    ) -> Result<Commanded, PersonError> {
        let state = &mut self.state;
        let mut record = state.rollouts.get(id).cloned().ok_or_else(|| PersonError::NoRollout(id.clone()))?;
        let commanded = command(&mut record.rollout, what, by, now).map_err(PersonError::Refused)?;
        // A draft or a rollout that was over gives orders again from now on.
        if matches!(commanded.from, RolloutState::Draft | RolloutState::Finished) {
            let busy = state.devices_in_rollouts();
            for member in &record.members {
                if let Some(other) = busy.get(&member.device).filter(|other| *other != id) {
                    let (device, other) = (member.device.clone(), other.clone());
                    return Err(PersonError::DeviceIsTaken { device, other });
                }
                let generation = state.devices.get(&member.device).map(|device| device.generation);
                record.rollout.generation = record.rollout.generation.max(generation.unwrap_or_default());
            }
        }
        state.rollouts.insert(id.clone(), record);
        Ok(commanded)
    }
}

impl State {
    fn add_firmware(&mut self, new: NewRelease, now: Timestamp) -> Result<ReleaseId, PersonError> {
        let NewRelease { product, version, image, size, components, .. } = new;
        if !self.products.contains_key(&product) {
            return Err(PersonError::NoProduct(product));
        }
        let id = ReleaseId::new(format!("{product}-{version}"))?;
        let own = self.releases.values().filter(|release| release.product == product);
        let counter = own.map(|release| release.counter).max().unwrap_or(0) + 1;
        let release = Release {
            id: id.clone(),
            product: product.clone(),
            version: version.clone(),
            image,
            counter,
            state: ReleaseState::Uploaded,
            reason: "the image is here".to_owned(),
            created_at: now,
        };
        let firmware =
            Firmware { image, product, version, size, added_at: now, components: Some(components) };
        self.releases.insert(id.clone(), release);
        self.firmware.insert(image, firmware);
        // Findings of the new image count at once, for what a release would fix.
        super::assess::run(self, now);
        Ok(id)
    }

    /// Names a rollout after its release, with a number.
    fn rollout_name(&self, release: &ReleaseId) -> Result<RolloutId, PersonError> {
        let same = self.rollouts.values().filter(|record| record.rollout.release == *release).count();
        Ok(RolloutId::new(format!("{release}-r{}", same + 1))?)
    }

    fn candidates(&self, release: &Release, now: Timestamp) -> Vec<Candidate> {
        let taken = self.devices_in_rollouts();
        let candidate = |device: &Device| {
            let product = self.products.get(&device.product)?;
            let confirmed = device.confirmed.as_ref().and_then(|running| self.release_of(&running.image));
            let counter = confirmed.map(|release| release.counter);
            let mut compatible = compatibility(device, product, release, counter, now);
            if let (Compatible::Yes, Some(rollout)) = (&compatible, taken.get(&device.id)) {
                compatible = Compatible::InOtherRollout { rollout: rollout.clone() };
            }
            Some(Candidate {
                device: device.id.clone(),
                criticality: device.criticality,
                priority: self.most_urgent(device, release),
                running: device.confirmed.clone(),
                compatible,
            })
        };
        self.devices
            .values()
            .filter(|device| device.product == release.product)
            .filter_map(candidate)
            .collect()
    }

    fn devices_in_rollouts(&self) -> BTreeMap<DeviceId, RolloutId> {
        let active = self.rollouts.values().filter(|record| super::rollout::is_active(record.rollout.state));
        active
            .flat_map(|record| record.members.iter().map(|m| (m.device.clone(), record.rollout.id.clone())))
            .collect()
    }

    /// Returns the most urgent open case on the device that the release closes.
    fn most_urgent(&self, device: &Device, release: &Release) -> Option<Priority> {
        let open = |case: &&Case| {
            case.device == device.id
                && !matches!(case.protected, Some((Protection::Patched, _)))
                && !self.is_weak(&release.image, &case.finding.advisory)
        };
        self.cases.iter().filter(open).map(|case| case.decision.priority).min()
    }

    /// Returns a product by its name.
    pub fn product(&self, id: &ProductId) -> Result<&Product, PersonError> {
        self.products.get(id).ok_or_else(|| PersonError::NoProduct(id.clone()))
    }
}
