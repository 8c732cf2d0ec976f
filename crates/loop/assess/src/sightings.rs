//! What scanners saw on devices, over time: sightings begin, last and end, and those with a CVE id become cases.
//!
//! In: items of a report that were tied to a device, the sightings known so far, and what each scan looked at. Out: the sightings
//! as they stand now, and the cases that follow from them. Refuses: to end a sighting that a scan did not look for, and to open a
//! case for what a scanner only suspects.

use std::collections::BTreeMap;

use warden_model::advisory::{Advisory, Exploitation};
use warden_model::case::{Case, Finding, Protection};
use warden_model::device::Device;
use warden_model::product::Exposure;
use warden_model::purl::Purl;
use warden_model::scan::{
    Exploit, HostScope, PluginScope, ScanFilter, ScanItem, ScanSeverity, Scanner, Sighting, SightingKey,
};
use warden_model::shield::ShieldState;
use warden_model::{AdvisoryId, DeviceId, ScanId, Sha256Digest, Timestamp};

use crate::cases::{Fleet, case_id};
use crate::cvss::Metrics;
use crate::decide::{DeviceFacts, Mitigation, decide};

/// The type of the package URL that stands for a scanner's check, in the place of a component: `pkg:scanner/nmap/ssl-poodle`.
pub const SCANNER_PURL: &str = "scanner";

/// Longest text of a check that a case tells, in characters: one line.
const REASON_CHARS_MAX: usize = 160;

/// Longest name of a check in a package URL, in characters.
const CHECK_CHARS_MAX: usize = 120;

/// One scan's look at one device.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The scan.
    pub scan: &'a ScanId,
    /// Who scanned.
    pub scanner: Scanner,
    /// When the look ended.
    pub at: Timestamp,
    /// What names the scanner's settings.
    pub profile: Option<&'a str>,
    /// How the device was scanned.
    pub scope: &'a HostScope,
    /// The checks that ran.
    pub plugins: &'a PluginScope,
    /// What the report leaves out.
    pub filter: &'a ScanFilter,
}

/// Returns the sightings that an item comes to: one for each CVE id, else one for the check. What a person has dismissed, and
/// what is only worth knowing, is none.
pub fn sightings_of(item: &ScanItem, device: &DeviceId, look: &Look<'_>) -> Vec<Sighting> {
    if item.dismissed || (item.severity == ScanSeverity::Info && item.cves.is_empty()) {
        return Vec::new();
    }
    let sighting = |weakness: String| Sighting {
        key: SightingKey {
            device: device.clone(),
            weakness,
            port: item.port,
            scanner: look.scanner,
            plugin: item.plugin.clone(),
        },
        title: item.title.clone(),
        severity: item.severity,
        score: item.score,
        vector: item.vector.clone(),
        qod: item.qod,
        exploit: item.exploit,
        text: item.text.clone(),
        solution: item.solution.clone(),
        credentialed: look.scope.credentialed,
        profile: look.profile.map(str::to_owned),
        first_seen: look.at,
        last_seen: look.at,
        scan: look.scan.clone(),
        closed: None,
    };
    if item.cves.is_empty() {
        return vec![sighting(item.plugin.clone())];
    }
    item.cves.iter().map(|cve| sighting(cve.to_string())).collect()
}

/// Returns a sighting as it stands after it was seen (again); nothing where nothing changes. The same report twice changes
/// nothing, and an older report never takes back what a newer one says.
pub fn merge(known: Option<&Sighting>, seen: Sighting) -> Option<Sighting> {
    let Some(known) = known else { return Some(seen) };
    let first_seen = known.first_seen.min(seen.first_seen);
    // Two items of one report with the same key: the more severe one stands for both.
    let weight = |sighting: &Sighting| (sighting.score, std::cmp::Reverse(sighting.severity));
    let is_newer = seen.last_seen > known.last_seen
        || (seen.last_seen == known.last_seen && weight(&seen) > weight(known));
    let closed = known.closed.clone().filter(|(at, _)| *at > seen.last_seen);
    let merged = if is_newer {
        Sighting { first_seen, closed, ..seen }
    } else {
        Sighting { first_seen, ..known.clone() }
    };
    (merged != *known).then_some(merged)
}

/// Says whether a look ends a sighting that it did not see: only where it looked later, came to its end, and asked the same
/// question at the same place with at least the same rights.
pub fn ends(look: &Look<'_>, sighting: &Sighting) -> bool {
    let same_profile = look.profile.is_some() && look.profile == sighting.profile.as_deref();
    let told_ports = look.scanner == Scanner::Nmap || !look.scope.ports.ranges.is_empty();
    let at_place = look.scope.ports.holds(sighting.key.port) || (same_profile && !told_ports);
    let asked = look.plugins.listed.contains(&sighting.key.plugin) || same_profile;
    let would_tell = sighting.qod.unwrap_or(100) >= look.filter.qod_min
        && look.filter.severities.contains(&sighting.severity);
    sighting.closed.is_none()
        && sighting.key.scanner == look.scanner
        && sighting.last_seen < look.at
        && sighting.scan != *look.scan
        && look.scope.complete
        && (look.scope.credentialed || !sighting.credentialed)
        && at_place
        && asked
        && would_tell
}

/// Makes the advisory of a CVE that only a scanner has told of. Any real advisory is newer, and takes its place.
pub fn advisory_of(sighting: &Sighting, id: AdvisoryId, now: Timestamp) -> Advisory {
    let vector = sighting.vector.as_ref().filter(|vector| vector.parse::<Metrics>().is_ok());
    Advisory {
        id,
        aliases: Vec::new(),
        summary: format!("{} (as {} says; no advisory was imported)", sighting.title, sighting.key.scanner),
        published: sighting.first_seen,
        modified: Timestamp(0),
        withdrawn: None,
        cvss: vector.cloned(),
        exploitation: match sighting.exploit {
            Exploit::Known => Exploitation::PublicPoc,
            Exploit::Unknown => Exploitation::None,
        },
        automatable: None,
        technical_impact: None,
        in_kev: false,
        epss: None,
        affected: Vec::new(),
        known_at: now,
    }
}

/// Says whether a case stands on what a scanner saw, and not on what is inside the firmware.
pub fn is_from_scanner(finding: &Finding) -> bool {
    finding.component.kind == SCANNER_PURL
}

/// Returns the cases together with those that sightings open, keep open and close.
///
/// `cases` are those that the firmware gives ([`crate::cases`](fn@crate::cases)), `known` those of the turn before. A case that the firmware opens
/// stays as it is. A case that only a scanner opens is closed by a scan that looked again; what is inside the firmware says
/// nothing of it. A case that the firmware would close stays open while a scanner still sees the weakness.
pub fn with_sightings(
    fleet: &Fleet<'_>,
    cases: Vec<Case>,
    known: &[Case],
    sightings: &[Sighting],
) -> Vec<Case> {
    let view = View::new(fleet, known);
    let mut by_weakness: BTreeMap<(&DeviceId, &AdvisoryId), Vec<&Sighting>> = BTreeMap::new();
    for sighting in sightings.iter().filter(|sighting| !sighting.is_doubtful()) {
        let advisory = sighting.cve().and_then(|cve| view.advisories.get(&cve).copied());
        if let Some(advisory) = advisory {
            by_weakness.entry((&sighting.key.device, &advisory.id)).or_default().push(sighting);
        }
    }
    let mut all: BTreeMap<(DeviceId, AdvisoryId), Case> =
        cases.into_iter().map(|case| ((case.device.clone(), case.finding.advisory.clone()), case)).collect();
    for ((device, advisory), sightings) in by_weakness {
        let key = (device.clone(), advisory.clone());
        let present = all.remove(&key);
        if let Some(case) = view.case(device, advisory, present, &sightings) {
            all.insert(key, case);
        }
    }
    all.into_values().collect()
}

/// The fleet, ready to be looked up.
struct View<'a> {
    advisories: BTreeMap<AdvisoryId, &'a Advisory>,
    devices: BTreeMap<&'a DeviceId, &'a Device>,
    fleet: Fleet<'a>,
    known: BTreeMap<(&'a DeviceId, &'a AdvisoryId), &'a Case>,
}

impl<'a> View<'a> {
    fn new(fleet: &Fleet<'a>, known: &'a [Case]) -> Self {
        let mut advisories: BTreeMap<AdvisoryId, &Advisory> = BTreeMap::new();
        let in_force = || fleet.advisories.iter().filter(|advisory| advisory.withdrawn.is_none());
        for advisory in in_force() {
            advisories.extend(advisory.aliases.iter().map(|alias| (alias.clone(), advisory)));
        }
        // An advisory of that very name goes before one that has it as an alias.
        advisories.extend(in_force().map(|advisory| (advisory.id.clone(), advisory)));
        Self {
            advisories,
            devices: fleet.devices.iter().map(|device| (&device.id, device)).collect(),
            fleet: *fleet,
            known: known.iter().map(|case| ((&case.device, &case.finding.advisory), case)).collect(),
        }
    }

    fn case(
        &self,
        device: &DeviceId,
        advisory: &AdvisoryId,
        present: Option<Case>,
        sightings: &[&Sighting],
    ) -> Option<Case> {
        let is_open_by_firmware = present.as_ref().is_some_and(|case| {
            !is_from_scanner(&case.finding) && !matches!(case.protected, Some((Protection::Patched, _)))
        });
        if is_open_by_firmware {
            return present;
        }
        let open = sightings.iter().filter(|sighting| sighting.closed.is_none());
        match open.min_by_key(|sighting| (sighting.severity, &sighting.key)) {
            Some(sighting) => self.open(device, advisory, present.as_ref(), sighting).or(present),
            None => present.map(|case| self.closed(case, sightings)),
        }
    }

    fn open(
        &self,
        device: &DeviceId,
        advisory: &AdvisoryId,
        present: Option<&Case>,
        sighting: &Sighting,
    ) -> Option<Case> {
        let device = *self.devices.get(device)?;
        let advisory = *self.advisories.get(advisory)?;
        let shielded = self.shielded(&device.id, &advisory.id);
        let product = self.fleet.products.iter().find(|product| product.id == device.product);
        let facts = DeviceFacts {
            criticality: device.criticality,
            sensitivity: device.sensitivity,
            exposure: product.map_or(Exposure::Open, |product| product.exposure),
            mitigation: if shielded.is_some() { Mitigation::Verified } else { Mitigation::None },
        };
        let opened_at = present.map_or(sighting.first_seen, |case| case.opened_at);
        Some(Case {
            id: case_id(&advisory.id, &device.id).ok()?,
            device: device.id.clone(),
            finding: finding(device, advisory, sighting),
            decision: decide(advisory, &facts, opened_at),
            opened_at,
            protected: shielded.map(|since| (Protection::Shielded, since)),
        })
    }

    fn shielded(&self, device: &DeviceId, advisory: &AdvisoryId) -> Option<Timestamp> {
        let shields = self.fleet.shields.iter().filter(|shield| shield.state == ShieldState::Verified);
        let covering =
            shields.filter(|shield| shield.device == *device && shield.advisories.contains(advisory));
        covering.map(|shield| shield.since).min()
    }

    /// No scanner sees it any more: protected since the last look, or since before, where a shield held until then.
    fn closed(&self, case: Case, sightings: &[&Sighting]) -> Case {
        if !is_from_scanner(&case.finding) {
            return case;
        }
        let known = self.known.get(&(&case.device, &case.finding.advisory));
        let looked =
            sightings.iter().filter_map(|sighting| sighting.closed.as_ref()).map(|(at, _)| *at).max();
        let since = known.and_then(|known| known.protected).map(|(_, since)| since).or(looked);
        let protected = since.map(|since| (Protection::Patched, since));
        Case { protected: protected.or(case.protected), ..case }
    }
}

/// Tells what a scanner saw in the form of a finding: the check stands in the place of the component.
fn finding(device: &Device, advisory: &Advisory, sighting: &Sighting) -> Finding {
    let SightingKey { scanner, plugin, port, .. } = &sighting.key;
    // However it is written in a package URL, it stays below the length that is read back.
    let check: String = plugin.chars().take(CHECK_CHARS_MAX).collect();
    let sure = sighting.qod.map_or_else(String::new, |qod| format!(", {qod} % sure"));
    let text: String = sighting.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text: String = text.chars().take(REASON_CHARS_MAX).collect();
    let said = if text.is_empty() { String::new() } else { format!(": {text}") };
    Finding {
        // A device that has confirmed nothing yet runs an image that nobody knows.
        image: device.confirmed.as_ref().map_or(Sha256Digest([0; 32]), |running| running.image),
        product: device.product.clone(),
        advisory: advisory.id.clone(),
        component: Purl::new(SCANNER_PURL, &check, None).in_namespace(scanner.word()),
        path: port.to_string(),
        reason: format!("{scanner} saw it at {port} ({plugin}{sure}) on {}{said}", sighting.last_seen),
        fixed_in: None,
    }
}

#[cfg(test)]
mod tests;
