//! Scan reports: what was imported, which devices their hosts are, what was seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warden_model::scan::{Scan, Sighting};

/// A scan report that was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScanBody {
    /// Names it.
    pub id: String,
    /// The SHA-256 digest of the report.
    pub digest: String,
    /// `nessus`, `openvas`, `nmap`, `nuclei` or `sarif`.
    pub scanner: String,
    /// What people called it.
    pub label: String,
    /// When the scan ended.
    pub at: String,
    /// When it was first imported.
    pub imported_at: String,
    /// How many items it holds.
    pub items: u64,
    /// How many items it holds of each severity, by the scanner's own words.
    pub severities: BTreeMap<String, u64>,
    /// How many different CVE ids it names.
    pub cves: u64,
    /// How many hosts it names.
    pub hosts: u64,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScanReceipt {
    /// The scan.
    pub scan: ScanBody,
    /// How many of its hosts are known devices.
    pub matched: u64,
    /// How many are not; `/scans/{id}/hosts` says why.
    pub unmatched: u64,
    /// Weaknesses that were not known on their device, or were closed.
    pub opened: u64,
    /// Weaknesses that were known and are still there.
    pub still_there: u64,
    /// Weaknesses that the scan looked for again and did not see any more.
    pub closed: u64,
}

/// A host of a scan report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScanHostBody {
    /// The scan.
    pub scan: String,
    /// The name that the report gives it.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Its hardware addresses.
    pub macs: Vec<String>,
    /// Its host names.
    pub names: Vec<String>,
    /// How many items the report has of it.
    pub items: u64,
    /// The device that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// By what it was known, else why no device was found.
    pub because: String,
    /// Whether the scan of this host came to its end; else it closes nothing.
    pub complete: bool,
}

/// A weakness that a scanner saw on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SightingBody {
    /// The device.
    pub device: String,
    /// The CVE id, else the scanner's check.
    pub weakness: String,
    /// Where: `443/tcp`, or `host/…` for the device as a whole.
    pub port: String,
    /// Who saw it.
    pub scanner: String,
    /// The check that said it.
    pub plugin: String,
    /// What it is called.
    pub title: String,
    /// `critical`, `high`, `medium`, `low` or `info`, by the scanner's own words.
    pub severity: String,
    /// The CVSS base score that the scanner tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// The quality of detection in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qod: Option<u8>,
    /// Whether the scanner only suspects it (quality of detection below 70 %): it opens no case.
    pub doubtful: bool,
    /// What the scanner saw.
    pub text: String,
    /// What the scanner says that helps.
    pub solution: String,
    /// When it was first seen.
    pub first_seen: String,
    /// When it was last seen.
    pub last_seen: String,
    /// The scan that saw it last.
    pub scan: String,
    /// When a scan looked again and did not see it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<String>,
    /// The scan that looked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<String>,
}

impl From<&Scan> for ScanBody {
    fn from(scan: &Scan) -> Self {
        let counts = &scan.counts;
        Self {
            id: scan.id.to_string(),
            digest: scan.digest.to_string(),
            scanner: scan.scanner.to_string(),
            label: scan.label.clone(),
            at: scan.at.to_string(),
            imported_at: scan.imported_at.to_string(),
            items: counts.items,
            severities: counts.severities.iter().map(|(word, count)| (word.to_string(), *count)).collect(),
            cves: counts.cves,
            hosts: counts.hosts,
        }
    }
}

impl From<&Sighting> for SightingBody {
    fn from(sighting: &Sighting) -> Self {
        let key = &sighting.key;
        Self {
            device: key.device.to_string(),
            weakness: key.weakness.clone(),
            port: key.port.to_string(),
            scanner: key.scanner.to_string(),
            plugin: key.plugin.clone(),
            title: sighting.title.clone(),
            severity: sighting.severity.to_string(),
            score: sighting.score.map(|score| score.to_string()),
            qod: sighting.qod,
            doubtful: sighting.is_doubtful(),
            text: sighting.text.clone(),
            solution: sighting.solution.clone(),
            first_seen: sighting.first_seen.to_string(),
            last_seen: sighting.last_seen.to_string(),
            scan: sighting.scan.to_string(),
            closed_at: sighting.closed.as_ref().map(|(at, _)| at.to_string()),
            closed_by: sighting.closed.as_ref().map(|(_, scan)| scan.to_string()),
        }
    }
}
