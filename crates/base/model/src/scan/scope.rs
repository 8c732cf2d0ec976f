//! What a scan looked at: only inside of this may it close what an earlier one saw.

use std::collections::BTreeSet;

use super::{Port, PortProtocol, ScanSeverity};

/// The ports of a host that a scan has an answer for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortScope {
    /// Ranges, both ends included.
    pub ranges: BTreeSet<(PortProtocol, u16, u16)>,
    /// Single ports that the report names.
    pub named: BTreeSet<Port>,
}

impl PortScope {
    /// Says whether the scan has an answer for a port. The host as a whole was always looked at.
    pub fn holds(&self, port: Port) -> bool {
        let in_range = |(protocol, from, to): &(PortProtocol, u16, u16)| {
            *protocol == port.protocol && (*from..=*to).contains(&port.number)
        };
        port.number == 0 || self.named.contains(&port) || self.ranges.iter().any(in_range)
    }
}

/// How a host was scanned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostScope {
    /// Whether the scan of this host came to its end, without an error.
    pub complete: bool,
    /// Whether the scanner was logged in on the host.
    pub credentialed: bool,
    /// The ports that were looked at.
    pub ports: PortScope,
}

/// The checks that ran.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PluginScope {
    /// Those that the report lists, in its settings or because they said something.
    pub listed: BTreeSet<String>,
}

/// What the scanner left out when it wrote the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanFilter {
    /// The least quality of detection, in per cent.
    pub qod_min: u8,
    /// The severities that were written.
    pub severities: BTreeSet<ScanSeverity>,
}

impl Default for ScanFilter {
    fn default() -> Self {
        Self { qod_min: 0, severities: ScanSeverity::ALL.iter().copied().collect() }
    }
}
