//! Which devices are concerned, and how soon: findings become cases.
//!
//! In: the fleet (products, devices, firmware, advisories, findings, shields), the cases known so far, and `now`. Out: all
//! cases as they stand now, ranked. Refuses: to call a device patched without proof. Only the firmware that a device
//! itself confirmed counts, and only once that firmware has been analysed.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use warden_model::advisory::Advisory;
use warden_model::case::{Case, Finding, Priority, Protection};
use warden_model::device::{Criticality, DataSensitivity, Device};
use warden_model::firmware::Firmware;
use warden_model::id::ID_BYTES_MAX;
use warden_model::product::{Exposure, Product};
use warden_model::shield::{Shield, ShieldState};
use warden_model::{AdvisoryId, CaseId, DeviceId, IdError, ProductId, Sha256Digest, Timestamp};

use crate::decide::{DeviceFacts, Mitigation, decide};

/// Everything that cases follow from.
#[derive(Debug, Clone, Copy)]
pub struct Fleet<'a> {
    /// The products; a device of an unknown product counts as open to everybody.
    pub products: &'a [Product],
    /// The devices.
    pub devices: &'a [Device],
    /// The firmware images, analysed or not.
    pub firmware: &'a [Firmware],
    /// The advisories.
    pub advisories: &'a [Advisory],
    /// The findings of all images, as [`crate::findings`] returns them.
    pub findings: &'a [Finding],
    /// The shields; only verified ones count.
    pub shields: &'a [Shield],
}

/// Returns the cases as they stand at `now`.
///
/// `known` are the cases of the turn before. A case keeps its id and the moment when it was opened, from which its
/// deadline counts; its decision is made anew, because advisories, devices and shields change. A case is protected once
/// the device's confirmed and analysed firmware is free of the weakness, or while a verified shield covers it. A case
/// whose advisory was withdrawn, or whose device is gone, is left out.
///
/// Ranked: exposed devices first, then by priority, deadline, criticality, data sensitivity and id.
pub fn cases(fleet: &Fleet<'_>, known: &[Case], now: Timestamp) -> Vec<Case> {
    let view = View::new(fleet, known);
    let mut ranked: Vec<(Rank, Case)> = fleet
        .devices
        .iter()
        .flat_map(|device| {
            view.cases_of(device, now).into_iter().map(move |case| (Rank::of(&case, device), case))
        })
        .collect();
    ranked.sort_by(|(a, _), (b, _)| a.cmp(b));
    ranked.into_iter().map(|(_, case)| case).collect()
}

/// Returns the id of the case of an advisory on a device: `<advisory>:<device>`.
///
/// Where that is longer than an id may be, its end is replaced by `:` and 16 digits of the SHA-256 of the whole, so that two
/// long names never share a case.
pub fn case_id(advisory: &AdvisoryId, device: &DeviceId) -> Result<CaseId, IdError> {
    const DIGEST_CHARS: usize = 16;
    let whole = format!("{advisory}:{device}");
    if whole.len() <= ID_BYTES_MAX {
        return CaseId::new(whole);
    }
    let digest = Sha256Digest(Sha256::digest(whole.as_bytes()).into()).to_string();
    let start = whole.chars().take(ID_BYTES_MAX - DIGEST_CHARS - 1);
    CaseId::new(start.chain([':']).chain(digest.chars().take(DIGEST_CHARS)).collect::<String>())
}

/// What cases are ranked by, the most urgent first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_protected: bool,
    priority: Priority,
    deadline: Timestamp,
    criticality: Criticality,
    sensitivity: DataSensitivity,
    id: CaseId,
}

impl Rank {
    fn of(case: &Case, device: &Device) -> Self {
        Self {
            is_protected: case.protected.is_some(),
            priority: case.decision.priority,
            deadline: case.decision.deadline.unwrap_or(Timestamp(i64::MAX)),
            criticality: device.criticality,
            sensitivity: device.sensitivity,
            id: case.id.clone(),
        }
    }
}

/// The fleet, ready to be looked up.
struct View<'a> {
    exposures: BTreeMap<&'a ProductId, Exposure>,
    advisories: BTreeMap<&'a AdvisoryId, &'a Advisory>,
    findings: BTreeMap<Sha256Digest, BTreeMap<&'a AdvisoryId, &'a Finding>>,
    analysed: BTreeSet<Sha256Digest>,
    shielded: BTreeMap<(&'a DeviceId, &'a AdvisoryId), Timestamp>,
    known: BTreeMap<&'a DeviceId, BTreeMap<&'a AdvisoryId, &'a Case>>,
}

impl<'a> View<'a> {
    fn new(fleet: &Fleet<'a>, known: &'a [Case]) -> Self {
        let mut view = Self {
            exposures: fleet.products.iter().map(|product| (&product.id, product.exposure)).collect(),
            advisories: BTreeMap::new(),
            findings: BTreeMap::new(),
            analysed: BTreeSet::new(),
            shielded: BTreeMap::new(),
            known: BTreeMap::new(),
        };
        let in_force = fleet.advisories.iter().filter(|advisory| advisory.withdrawn.is_none());
        view.advisories.extend(in_force.map(|advisory| (&advisory.id, advisory)));
        let analysed = fleet.firmware.iter().filter(|firmware| firmware.components.is_some());
        view.analysed.extend(analysed.map(|firmware| firmware.image));
        for finding in fleet.findings {
            // Of several components with the same weakness the first one stands for all: one weakness, one case.
            view.findings.entry(finding.image).or_default().entry(&finding.advisory).or_insert(finding);
        }
        for shield in fleet.shields.iter().filter(|shield| shield.state == ShieldState::Verified) {
            for advisory in &shield.advisories {
                let since = view.shielded.entry((&shield.device, advisory)).or_insert(shield.since);
                *since = shield.since.min(*since);
            }
        }
        for case in known {
            view.known.entry(&case.device).or_default().insert(&case.finding.advisory, case);
        }
        view
    }

    fn cases_of(&self, device: &Device, now: Timestamp) -> Vec<Case> {
        let image = device.confirmed.as_ref().map(|running| running.image);
        let open = image.and_then(|image| self.findings.get(&image));
        let is_analysed = image.is_some_and(|image| self.analysed.contains(&image));
        let known = self.known.get(&device.id);
        let mut cases = Vec::new();
        for (id, finding) in open.into_iter().flatten() {
            let Some(advisory) = self.advisories.get(id) else { continue };
            let earlier = known.and_then(|known| known.get(id)).copied();
            cases.extend(self.exposed(device, advisory, finding, earlier, now));
        }
        for (id, earlier) in known.into_iter().flatten() {
            let is_open = open.is_some_and(|open| open.contains_key(id));
            if !is_open && self.advisories.contains_key(id) {
                cases.push(if is_analysed { patched(earlier, now) } else { (*earlier).clone() });
            }
        }
        cases
    }

    /// A case of a device that runs the weakness; covered by a shield, or not.
    fn exposed(
        &self,
        device: &Device,
        advisory: &Advisory,
        finding: &Finding,
        earlier: Option<&Case>,
        now: Timestamp,
    ) -> Option<Case> {
        let shielded = self.shielded.get(&(&device.id, &advisory.id)).copied();
        let facts = DeviceFacts {
            criticality: device.criticality,
            sensitivity: device.sensitivity,
            exposure: self.exposures.get(&device.product).copied().unwrap_or(Exposure::Open),
            mitigation: if shielded.is_some() { Mitigation::Verified } else { Mitigation::None },
        };
        let opened_at = earlier.map_or(now, |case| case.opened_at);
        Some(Case {
            // Only an advisory id that is no id could fail here, and its type refuses those.
            id: case_id(&advisory.id, &device.id).ok()?,
            device: device.id.clone(),
            finding: finding.clone(),
            decision: decide(advisory, &facts, opened_at),
            opened_at,
            protected: shielded.map(|since| (Protection::Shielded, since)),
        })
    }
}

/// The device runs an analysed firmware without the weakness: protected from now on, or from when it was first protected
/// without a break.
fn patched(earlier: &Case, now: Timestamp) -> Case {
    let since = match earlier.protected {
        // A shield that held until the fix ran: the device has been protected since the shield stood.
        Some((Protection::Patched | Protection::Shielded, since)) => since,
        None => now,
    };
    Case { protected: Some((Protection::Patched, since)), ..earlier.clone() }
}

#[cfg(test)]
mod tests;
