//! Scan reports: what a vulnerability scanner saw on the hosts of a network, and what it looked at.
//!
//! In: nothing but values. Out: hosts as a report names them, items (one thing that a scanner says of one host), the scope
//! that a report covers, and sightings (an item that was tied to a device). Refuses: ports, scores and addresses that cannot
//! be.

mod host;
mod mac;
mod scope;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::words::words;
use crate::{AdvisoryId, DeviceId, ScanId, Sha256Digest, Timestamp};

pub use host::{ScannedHost, Tie, Unmatched};
pub use mac::{Mac, MacError};
pub use scope::{HostScope, PluginScope, PortScope, ScanFilter};

/// Quality of detection below which a scanner only suspects: Greenbone's own threshold, in per cent.
pub const QOD_SURE: u8 = 70;

words! {
    /// Who made a report. A report closes only what a scanner of the same kind has seen.
    pub enum Scanner: "scanner" {
        /// Nessus and Tenable's other products.
        Nessus = "nessus",
        /// OpenVAS, by Greenbone's management protocol or its exports.
        OpenVas = "openvas",
        /// Nmap with its scripts.
        Nmap = "nmap",
        /// Nuclei.
        Nuclei = "nuclei",
        /// Any analyser that writes SARIF.
        Sarif = "sarif",
    }
}

words! {
    /// How severe the scanner says something is; the most severe first. Our own decision stands beside it, in the case.
    pub enum ScanSeverity: "severity" {
        /// The scanner's worst.
        Critical = "critical",
        /// High.
        High = "high",
        /// Medium.
        Medium = "medium",
        /// Low.
        Low = "low",
        /// Worth knowing, no weakness.
        Info = "info",
    }
}

words! {
    /// What a port belongs to.
    pub enum PortProtocol: "protocol" {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// SCTP.
        Sctp = "sctp",
        /// ICMP, which has no ports.
        Icmp = "icmp",
        /// Another one, or none in particular.
        Ip = "ip",
    }
}

/// A place on a host: `443/tcp`; the number 0 means the host as a whole (`host/tcp`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// The protocol.
    pub protocol: PortProtocol,
    /// The number; 0 means the host as a whole.
    pub number: u16,
}

impl Port {
    /// The host as a whole.
    pub const HOST: Self = Self { protocol: PortProtocol::Ip, number: 0 };
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => f.pad(&format!("host/{}", self.protocol)),
            number => f.pad(&format!("{number}/{}", self.protocol)),
        }
    }
}

/// A CVSS base score as a scanner tells it, in tenths: 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(u8);

/// A text that is no CVSS score.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no CVSS score from 0.0 to 10.0")]
pub struct ScoreError(pub String);

impl Score {
    /// Checks and makes a score from tenths.
    pub fn from_tenths(tenths: u8) -> Option<Self> {
        (tenths <= 100).then_some(Self(tenths))
    }

    /// Returns the tenths.
    pub fn tenths(self) -> u8 {
        self.0
    }

    /// Returns the word of CVSS 3.1 §5 for it: 9.0 and more is critical, 7.0 high, 4.0 medium, 0.1 low.
    pub fn severity(self) -> ScanSeverity {
        match self.0 {
            90.. => ScanSeverity::Critical,
            70..90 => ScanSeverity::High,
            40..70 => ScanSeverity::Medium,
            1..40 => ScanSeverity::Low,
            0 => ScanSeverity::Info,
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}", self.0 / 10, self.0 % 10))
    }
}

impl FromStr for Score {
    type Err = ScoreError;

    /// Reads `7`, `7.5` and `7.53`; further digits are cut.
    fn from_str(text: &str) -> Result<Self, ScoreError> {
        let error = || ScoreError(text.chars().take(32).collect());
        let (whole, rest) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
        if !(whole.bytes().chain(rest.bytes()).all(|byte| byte.is_ascii_digit()) && rest.len() <= 16) {
            return Err(error());
        }
        let whole: u8 = whole.parse().map_err(|_| error())?;
        let tenth = rest.bytes().next().map_or(0, |digit| digit - b'0');
        let tenths = whole.checked_mul(10).and_then(|tenths| tenths.checked_add(tenth)).ok_or_else(error)?;
        Self::from_tenths(tenths).ok_or_else(error)
    }
}

words! {
    /// Whether a way to exploit it is known to the scanner.
    pub enum Exploit: "exploit" {
        /// The scanner knows none.
        Unknown = "unknown",
        /// The scanner knows one.
        Known = "known",
    }
}

/// One thing that a scanner says of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanItem {
    /// The host, by the name that [`ScannedHost::name`] has in the same report; empty where the report has no hosts.
    pub host: String,
    /// The check that said it: a plugin's number, an OID, a script, a template, a rule.
    pub plugin: String,
    /// What it is called.
    pub title: String,
    /// Where on the host.
    pub port: Port,
    /// How severe, by the scanner's own words.
    pub severity: ScanSeverity,
    /// The CVSS base score, where the scanner tells one.
    pub score: Option<Score>,
    /// The CVSS vector, where the scanner tells one.
    pub vector: Option<String>,
    /// The CVE ids.
    pub cves: BTreeSet<AdvisoryId>,
    /// The quality of detection in per cent, where the scanner tells it.
    pub qod: Option<u8>,
    /// Whether the scanner knows a way to exploit it.
    pub exploit: Exploit,
    /// Whether a person has said that it is none: overridden as false positive, suppressed.
    pub dismissed: bool,
    /// What the scanner saw, cut to a limit.
    pub text: String,
    /// What the scanner says that helps, cut to a limit.
    pub solution: String,
    /// When it was seen, where the item itself says so.
    pub at: Option<Timestamp>,
}

/// How much a report holds, counted as it stands there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScanCounts {
    /// Items.
    pub items: u64,
    /// Items of each severity; severities without an item are left out.
    pub severities: BTreeMap<ScanSeverity, u64>,
    /// CVE ids, counted once an item.
    pub cve_mentions: u64,
    /// Different CVE ids.
    pub cves: u64,
    /// Hosts.
    pub hosts: u64,
}

/// What a report says beside its items; known once it has been read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanReport {
    /// Who made it.
    pub scanner: Scanner,
    /// What people called it.
    pub label: String,
    /// What names the scanner's settings: two scans with the same profile look for the same on the same ports.
    pub profile: Option<String>,
    /// When the scan began and ended, where the report says so.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The hosts that were looked at, by name.
    pub hosts: BTreeMap<String, (ScannedHost, HostScope)>,
    /// The checks that ran.
    pub plugins: PluginScope,
    /// What the scanner left out of the report.
    pub filter: ScanFilter,
    /// How much it holds.
    pub counts: ScanCounts,
}

/// A scan report that was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Names it.
    pub id: ScanId,
    /// The digest of the report.
    pub digest: Sha256Digest,
    /// Who made it.
    pub scanner: Scanner,
    /// What people called it.
    pub label: String,
    /// What names the scanner's settings.
    pub profile: Option<String>,
    /// When the scan ended; when it was imported, where the report says nothing.
    pub at: Timestamp,
    /// When it was first imported.
    pub imported_at: Timestamp,
    /// How much it holds.
    pub counts: ScanCounts,
}

/// A weakness that a scanner saw on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// What it is, where, and who saw it.
    pub key: SightingKey,
    /// What it is called.
    pub title: String,
    /// How severe, by the scanner's own words.
    pub severity: ScanSeverity,
    /// The CVSS base score, where the scanner tells one.
    pub score: Option<Score>,
    /// The CVSS vector, where the scanner tells one.
    pub vector: Option<String>,
    /// The quality of detection in per cent, where the scanner tells it.
    pub qod: Option<u8>,
    /// Whether the scanner knows a way to exploit it.
    pub exploit: Exploit,
    /// What the scanner saw.
    pub text: String,
    /// What the scanner says that helps.
    pub solution: String,
    /// Whether the scanner was logged in on the device.
    pub credentialed: bool,
    /// What names the scanner's settings.
    pub profile: Option<String>,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// The scan that saw it last.
    pub scan: ScanId,
    /// When a later scan looked again and did not see it any more, and which one.
    pub closed: Option<(Timestamp, ScanId)>,
}

/// What makes a sighting the same one in the next scan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SightingKey {
    /// The device.
    pub device: DeviceId,
    /// The CVE id, else the plugin.
    pub weakness: String,
    /// Where on the device.
    pub port: Port,
    /// Who saw it.
    pub scanner: Scanner,
    /// The check that said it.
    pub plugin: String,
}

impl Sighting {
    /// Returns the CVE id, where the weakness has one.
    pub fn cve(&self) -> Option<AdvisoryId> {
        let is_cve = self.key.weakness.starts_with("CVE-");
        is_cve.then(|| AdvisoryId::new(self.key.weakness.clone()).ok()).flatten()
    }

    /// Says whether the scanner only suspects it: its quality of detection is below [`QOD_SURE`].
    pub fn is_doubtful(&self) -> bool {
        self.qod.is_some_and(|qod| qod < QOD_SURE)
    }
}

#[cfg(test)]
mod tests;
