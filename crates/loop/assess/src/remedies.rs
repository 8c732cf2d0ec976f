//! What helps most: which release closes which cases.
//!
//! In: the fleet, its cases and the releases. Out: remedies, the one that takes away the most risk first. Refuses: releases
//! that were rejected or withdrawn, images that have not been analysed, and a way back to an older release.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use warden_model::case::{Case, Finding, Priority, Protection};
use warden_model::device::Device;
use warden_model::release::{Release, ReleaseState};
use warden_model::{AdvisoryId, CaseId, DeviceId, ReleaseId, Sha256Digest};

use crate::cases::Fleet;

/// What a release would close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// The release.
    pub release: ReleaseId,
    /// The cases that it closes; sorted, never empty.
    pub cases: Vec<CaseId>,
    /// The devices that these cases are on.
    pub devices: BTreeSet<DeviceId>,
    /// How many of the cases have each priority; priorities without a case are left out.
    pub closes: BTreeMap<Priority, u64>,
    /// The weaknesses that the release brings to these devices and that they do not have now; sorted.
    pub brings: BTreeSet<AdvisoryId>,
    /// What it closes, in one sentence.
    pub reason: String,
}

/// Returns the releases that close at least one case, ranked by the risk that they take away: by the number of
/// immediate cases, then of out-of-cycle, scheduled and deferred ones, then by how few weaknesses they bring, then by id.
///
/// A case that is only shielded can still be closed: a shield bridges the time until the patch.
pub fn remedies(fleet: &Fleet<'_>, cases: &[Case], releases: &[Release]) -> Vec<Remedy> {
    let analysed: BTreeSet<_> =
        fleet.firmware.iter().filter(|f| f.components.is_some()).map(|f| f.image).collect();
    let weak = weaknesses(fleet.findings);
    let counters: BTreeMap<_, _> =
        releases.iter().map(|release| ((&release.product, release.image), release.counter)).collect();
    let devices: BTreeMap<_, _> = fleet.devices.iter().map(|device| (&device.id, device)).collect();
    let is_open = |case: &&Case| !matches!(case.protected, Some((Protection::Patched, _)));
    let open: Vec<(&Case, &Device)> = cases
        .iter()
        .filter(is_open)
        .filter_map(|case| devices.get(&case.device).map(|device| (case, *device)))
        .collect();
    let mut remedies: Vec<Remedy> = releases
        .iter()
        .filter(|release| may_be_used(release) && analysed.contains(&release.image))
        .filter_map(|release| {
            let goes_forward = |device: &Device| {
                let running = device.confirmed.as_ref().map(|running| (&device.product, running.image));
                let counter = running.and_then(|running| counters.get(&running));
                device.product == release.product && counter.is_none_or(|counter| *counter < release.counter)
            };
            remedy(release, &weak, open.iter().copied().filter(|(_, device)| goes_forward(device)))
        })
        .collect();
    remedies.sort_by_key(rank);
    remedies
}

/// The advisories that apply to an image.
type Weaknesses<'a> = BTreeMap<Sha256Digest, BTreeSet<&'a AdvisoryId>>;

fn weaknesses(findings: &[Finding]) -> Weaknesses<'_> {
    let mut weak: Weaknesses<'_> = BTreeMap::new();
    for finding in findings {
        weak.entry(finding.image).or_default().insert(&finding.advisory);
    }
    weak
}

fn may_be_used(release: &Release) -> bool {
    match release.state {
        ReleaseState::Uploaded
        | ReleaseState::Analysed
        | ReleaseState::Built
        | ReleaseState::Proven
        | ReleaseState::Signed => true,
        ReleaseState::Rejected | ReleaseState::Withdrawn => false,
    }
}

fn remedy<'a>(
    release: &Release,
    weak: &Weaknesses<'_>,
    open: impl Iterator<Item = (&'a Case, &'a Device)>,
) -> Option<Remedy> {
    let none = BTreeSet::new();
    let still_weak = weak.get(&release.image).unwrap_or(&none);
    let mut remedy = Remedy {
        release: release.id.clone(),
        cases: Vec::new(),
        devices: BTreeSet::new(),
        closes: BTreeMap::new(),
        brings: BTreeSet::new(),
        reason: String::new(),
    };
    for (case, device) in open.filter(|(case, _)| !still_weak.contains(&case.finding.advisory)) {
        remedy.cases.push(case.id.clone());
        remedy.devices.insert(device.id.clone());
        *remedy.closes.entry(case.decision.priority).or_default() += 1;
        let has_now = device.confirmed.as_ref().and_then(|running| weak.get(&running.image)).unwrap_or(&none);
        remedy.brings.extend(still_weak.difference(has_now).map(|id| (*id).clone()));
    }
    remedy.cases.sort();
    remedy.reason = sentence(release, &remedy);
    (!remedy.cases.is_empty()).then_some(remedy)
}

fn sentence(release: &Release, remedy: &Remedy) -> String {
    let parts: Vec<String> =
        remedy.closes.iter().map(|(priority, number)| format!("{number} {priority}")).collect();
    let brings = match remedy.brings.len() {
        0 => String::new(),
        number => format!("; it brings {}", count(number, "new weakness", "new weaknesses")),
    };
    format!(
        "release {} closes {} on {} ({}){brings}.",
        release.version,
        count(remedy.cases.len(), "case", "cases"),
        count(remedy.devices.len(), "device", "devices"),
        parts.join(", ")
    )
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Priorities from the most urgent on; a larger number of closed cases comes first.
fn rank(remedy: &Remedy) -> (Vec<Reverse<u64>>, usize, ReleaseId) {
    let number = |priority| Reverse(remedy.closes.get(priority).copied().unwrap_or(0));
    (Priority::ALL.iter().map(number).collect(), remedy.brings.len(), remedy.release.clone())
}
