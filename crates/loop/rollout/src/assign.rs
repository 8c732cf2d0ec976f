//! Assignment: which device belongs to which phase, and why.
//!
//! In: candidates and a policy. Out: members with their phase, in the order in which they will be offered the release,
//! and the devices that are left out, each with its reason. Refuses nothing; the same input in any order gives the same
//! output.
//!
//! The first of several phases is the canary: it takes the devices with the least at stake, from as many different
//! versions as possible, so that an update path that breaks is met early and cheaply. All later phases take the most
//! urgent devices first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use warden_model::case::Priority;
use warden_model::device::{Criticality, Device, Running};
use warden_model::product::{Product, Support};
use warden_model::release::Release;
use warden_model::{DeviceId, HardwareId, ProductId, RolloutId, Timestamp};

use crate::plan::count;
use crate::policy::{Policy, phase_counts};
use crate::reason::{PhaseName, devices};

/// Whether a release may go to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compatible {
    /// It may.
    Yes,
    /// The release does not run on the device's board.
    WrongBoard {
        /// The device's board.
        board: HardwareId,
        /// The boards that the release runs on.
        supported: BTreeSet<HardwareId>,
    },
    /// The release is for another product.
    OtherProduct {
        /// The device's product.
        product: ProductId,
        /// The product that the release is for.
        release_for: ProductId,
    },
    /// The device has confirmed this very release.
    AlreadyRuns {
        /// What it runs.
        running: Running,
    },
    /// The device has confirmed a newer release, and never goes back below it.
    RunsNewer {
        /// What it runs.
        running: Running,
    },
    /// The product gets no updates any more.
    SupportEnded {
        /// When support ended.
        ended: Timestamp,
    },
    /// Another rollout that is not over has the device.
    InOtherRollout {
        /// The other rollout.
        rollout: RolloutId,
    },
}

impl fmt::Display for Compatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => write!(f, "The release fits the device."),
            Self::WrongBoard { board, supported } => {
                let supported: Vec<&str> = supported.iter().map(HardwareId::as_str).collect();
                write!(f, "Its board is {board}, and the release runs on {}.", supported.join(", "))
            }
            Self::OtherProduct { product, release_for } => {
                write!(f, "It is a {product}, and the release is for {release_for}.")
            }
            Self::AlreadyRuns { running } => write!(f, "It runs {} already.", running.version),
            Self::RunsNewer { running } => write!(f, "It has confirmed {}, which is newer.", running.version),
            Self::SupportEnded { ended } => {
                write!(f, "Support ended at {ended}: it must be shielded instead.")
            }
            Self::InOtherRollout { rollout } => write!(f, "Rollout {rollout} has it, and is not over."),
        }
    }
}

/// Says whether a release may go to a device.
///
/// `confirmed_counter` is the counter of the release that the device has confirmed, where that release is known.
pub fn compatibility(
    device: &Device,
    product: &Product,
    release: &Release,
    confirmed_counter: Option<u64>,
    now: Timestamp,
) -> Compatible {
    if device.product != release.product {
        let (product, release_for) = (device.product.clone(), release.product.clone());
        return Compatible::OtherProduct { product, release_for };
    }
    if !product.boards.contains(&device.hardware) {
        return Compatible::WrongBoard { board: device.hardware.clone(), supported: product.boards.clone() };
    }
    if let Some(running) = &device.confirmed {
        if running.image == release.image {
            return Compatible::AlreadyRuns { running: running.clone() };
        }
        if confirmed_counter.is_some_and(|confirmed| confirmed > release.counter) {
            return Compatible::RunsNewer { running: running.clone() };
        }
    }
    match (product.support(now), product.support_ends) {
        (Support::Ended, Some(ended)) => Compatible::SupportEnded { ended },
        (Support::Ended | Support::Supported, _) => Compatible::Yes,
    }
}

/// A device that a rollout may be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The device.
    pub device: DeviceId,
    /// What breaks when it breaks.
    pub criticality: Criticality,
    /// The most urgent open case that the release closes on it.
    pub priority: Option<Priority>,
    /// What it has confirmed; absent while it has never reported.
    pub running: Option<Running>,
    /// Whether the release may go to it.
    pub compatible: Compatible,
}

/// A device in its phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The device.
    pub device: DeviceId,
    /// The index of its phase, from 0.
    pub phase: usize,
    /// Why it is in this phase, in one sentence.
    pub because: String,
}

/// Why a device is left out of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOut {
    /// The release may not go to it.
    Incompatible(Compatible),
    /// The phases together do not take all devices.
    PhasesFull {
        /// How many devices the phases take.
        taken: u64,
        /// How many devices there are.
        fleet: u64,
    },
    /// It was listed twice; the first entry counts.
    ListedTwice,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incompatible(compatible) => compatible.fmt(f),
            Self::PhasesFull { taken, fleet } => {
                write!(f, "The phases take only {taken} of {}; end them with \"rest\".", devices(*fleet))
            }
            Self::ListedTwice => write!(f, "It was listed twice, and the first entry counts."),
        }
    }
}

/// Who belongs to which phase, and who is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assignment {
    /// The members, phase by phase, in the order in which they will be offered the release.
    pub members: Vec<Assigned>,
    /// The devices that are left out, by id.
    pub left_out: Vec<(DeviceId, LeftOut)>,
}

/// Puts each candidate into a phase, or leaves it out with a reason.
pub fn assign(candidates: &[Candidate], policy: &Policy) -> Assignment {
    let mut assignment = Assignment::default();
    let mut fitting: BTreeMap<&DeviceId, &Candidate> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for candidate in candidates {
        if !seen.insert(&candidate.device) {
            assignment.left_out.push((candidate.device.clone(), LeftOut::ListedTwice));
        } else if candidate.compatible == Compatible::Yes {
            fitting.insert(&candidate.device, candidate);
        } else {
            let why = LeftOut::Incompatible(candidate.compatible.clone());
            assignment.left_out.push((candidate.device.clone(), why));
        }
    }
    let fleet = count(fitting.len());
    let (counts, left) = phase_counts(&policy.phases, fleet);
    let mut remaining: Vec<&Candidate> = fitting.into_values().collect();
    for (index, (phase, size)) in policy.phases.iter().zip(counts).enumerate() {
        let name = PhaseName { index, count: policy.phases.len(), name: phase.name.clone() };
        let canary = index == 0 && policy.phases.len() > 1;
        remaining = if canary { by_least_at_stake(remaining) } else { by_urgency(remaining) };
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(remaining.len());
        let rest = remaining.split_off(size);
        assignment.members.extend(remaining.into_iter().map(|candidate| Assigned {
            device: candidate.device.clone(),
            phase: index,
            because: because(candidate, &name, canary),
        }));
        remaining = rest;
    }
    let full = LeftOut::PhasesFull { taken: fleet - left, fleet };
    assignment
        .left_out
        .extend(remaining.into_iter().map(|candidate| (candidate.device.clone(), full.clone())));
    assignment.left_out.sort_by(|(a, _), (b, _)| a.cmp(b));
    assignment
}

/// Sorts so that the first devices are the best canaries.
///
/// Safety-critical devices come last whatever they run: no version is worth a person's safety. Else devices are dealt out like
/// cards: first the one with the least at stake of each version, then the second of each version, and so on.
fn by_least_at_stake(mut candidates: Vec<&Candidate>) -> Vec<&Candidate> {
    candidates.sort_by_key(|candidate| at_stake(candidate));
    let mut dealt: BTreeMap<(bool, Option<&Running>), u64> = BTreeMap::new();
    let mut keyed: Vec<_> = candidates
        .into_iter()
        .map(|candidate| {
            let is_safety = candidate.criticality == Criticality::SafetyCritical;
            let round = dealt.entry((is_safety, candidate.running.as_ref())).or_default();
            *round += 1;
            ((is_safety, *round, at_stake(candidate)), candidate)
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Sorts so that the most urgent device comes first: by priority, then by criticality, then by id.
fn by_urgency(mut candidates: Vec<&Candidate>) -> Vec<&Candidate> {
    candidates.sort_by_key(|candidate| {
        (candidate.priority.is_none(), candidate.priority, candidate.criticality, &candidate.device)
    });
    candidates
}

/// Criticality, priority and id, the least severe first.
type AtStake<'a> = (Reverse<Criticality>, Reverse<(bool, Option<Priority>)>, &'a DeviceId);

/// Orders devices from the least to the most at stake; `Criticality` and `Priority` name the most severe first.
fn at_stake(candidate: &Candidate) -> AtStake<'_> {
    let priority = (candidate.priority.is_none(), candidate.priority);
    (Reverse(candidate.criticality), Reverse(priority), &candidate.device)
}

fn because(candidate: &Candidate, phase: &PhaseName, canary: bool) -> String {
    let criticality = candidate.criticality;
    if canary {
        let runs = candidate.running.as_ref().map_or_else(
            || "has not reported a version".to_owned(),
            |running| format!("runs {}", running.version),
        );
        return format!(
            "In {phase}, because little is at stake on it (criticality {criticality}) and it {runs}."
        );
    }
    let case = candidate.priority.map_or_else(
        || "the release closes no open case on it".to_owned(),
        |priority| format!("its most urgent case is {priority}"),
    );
    format!("In {phase}, because {case} and its criticality is {criticality}.")
}
