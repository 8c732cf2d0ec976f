//! How much of a scan report is read: it comes from outside.

use warden_model::ByteCount;

/// Limits of a report. The defaults hold a scan of a whole site; memory grows with hosts and checks, not with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimits {
    /// Largest report. A Nessus scan of 4,000 hosts with full texts has about 1 GiB.
    pub report: ByteCount,
    /// Largest single item, with its texts. The largest plugin outputs (lists of all software) have some MiB.
    pub item: ByteCount,
    /// Most items in a report.
    pub items: u64,
    /// Most hosts in a report: a /16 network. Each takes about 1 KiB of memory.
    pub hosts: usize,
    /// Deepest nesting of XML elements; real reports stay below 12.
    pub depth: usize,
    /// Most XML elements in one item: the script `vulners` writes five for each of some thousand entries.
    pub nodes: usize,
    /// Most attributes of one XML element; real ones have a dozen.
    pub attributes: usize,
    /// Most columns of a CSV; the widest export has 60.
    pub columns: usize,
    /// Most CVE ids of one item; a monthly update of an operating system names some hundred.
    pub cves: usize,
    /// Most different checks: scanners have some 300,000.
    pub plugins: usize,
    /// Longest text that is kept of an item, in characters; a longer one is cut, because it is for people only.
    pub text_chars: usize,
    /// Longest name of a host, check or title, in characters; a longer one is cut.
    pub name_chars: usize,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self {
            report: ByteCount::mib(2048),
            item: ByteCount::mib(16),
            items: 5_000_000,
            hosts: 65_536,
            depth: 64,
            nodes: 200_000,
            attributes: 256,
            columns: 512,
            cves: 5_000,
            plugins: 500_000,
            text_chars: 2_000,
            name_chars: 200,
        }
    }
}
