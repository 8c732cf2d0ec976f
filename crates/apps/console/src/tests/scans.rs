//! A scan of the fleet: a host that nobody knows, and a weakness that a scanner only suspects.

use warden_kit::values::digest;
use warden_model::scan::{
    Exploit, HostScope, PluginScope, Port, PortProtocol, Scan, ScanCounts, ScanFilter, ScanSeverity, Scanner,
    Sighting, SightingKey,
};
use warden_model::{ScanId, Timestamp};
use warden_store::{ScanHost, StoredScan, Write};

use super::seed::ago;

pub(super) fn scans(now: Timestamp, name: &str) -> Vec<Write> {
    let id = ScanId::new("3f0c7a9d51e2b846").unwrap();
    let scan = Scan {
        id: id.clone(),
        digest: digest(99),
        scanner: Scanner::OpenVas,
        label: format!("weekly{name}"),
        profile: None,
        at: ago(now, 3_600),
        imported_at: ago(now, 3_000),
        counts: ScanCounts {
            items: 44,
            severities: [(ScanSeverity::High, 2), (ScanSeverity::Info, 42)].into(),
            cve_mentions: 3,
            cves: 3,
            hosts: 2,
        },
    };
    let host = ScanHost {
        scan: id.clone(),
        name: format!("10.20.9.9{name}"),
        addresses: vec!["10.20.9.9".to_owned()],
        macs: vec!["02:00:00:00:00:09".to_owned()],
        names: vec![format!("printer{name}")],
        items: 7,
        device: None,
        why_not: format!("no device has its hardware address, certificate, address or name{name}"),
        scope: HostScope::default(),
    };
    let sighting = Sighting {
        key: SightingKey {
            device: "cam-03".parse().unwrap(),
            weakness: "CVE-2022-48174".to_owned(),
            port: Port { protocol: PortProtocol::Tcp, number: 23 },
            scanner: Scanner::OpenVas,
            plugin: format!("1.3.6.1{name}"),
        },
        title: format!("BusyBox shell{name}"),
        severity: ScanSeverity::High,
        score: "9.8".parse().ok(),
        vector: None,
        qod: Some(30),
        exploit: Exploit::Unknown,
        text: format!("BusyBox 1.35{name}"),
        solution: String::new(),
        credentialed: false,
        profile: None,
        first_seen: ago(now, 7_200),
        last_seen: ago(now, 3_600),
        scan: id,
        closed: None,
    };
    let stored = StoredScan { scan, plugins: PluginScope::default(), filter: ScanFilter::default() };
    vec![Write::Scan(stored), Write::ScanHost(host), Write::Sighting(sighting)]
}
