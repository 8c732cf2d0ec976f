//! Facts about sightings: they end only where somebody looked again, and become cases only when the scanner is sure.

use std::collections::BTreeSet;

use warden_model::advisory::{Advisory, Exploitation};
use warden_model::case::Case;
use warden_model::device::{Criticality, DataSensitivity, Device, Running, UpdateState};
use warden_model::firmware::{Firmware, Version};
use warden_model::scan::{
    Exploit, HostScope, PluginScope, Port, PortProtocol, PortScope, ScanFilter, ScanItem, ScanSeverity,
    Scanner, Sighting,
};
use warden_model::shield::{Shield, ShieldReason, ShieldState};
use warden_model::{
    AdvisoryId, ByteCount, DeviceId, Generation, HardwareId, ProductId, ScanId, Sha256Digest, ShieldId,
    Timestamp,
};

use super::{Look, advisory_of, ends, is_from_scanner, merge, sightings_of, with_sightings};
use crate::cases::{Fleet, cases};

const HTTPS: Port = Port { protocol: PortProtocol::Tcp, number: 443 };

fn item(cves: &[&str]) -> ScanItem {
    ScanItem {
        host: "h".to_owned(),
        plugin: "p1".to_owned(),
        title: "old TLS".to_owned(),
        port: HTTPS,
        severity: ScanSeverity::High,
        score: "7.5".parse().ok(),
        vector: None,
        cves: cves.iter().map(|cve| AdvisoryId::new(*cve).unwrap()).collect(),
        qod: None,
        exploit: Exploit::Unknown,
        dismissed: false,
        text: "SSLv3 is offered".to_owned(),
        solution: String::new(),
        at: None,
    }
}

/// A look that a test may change.
struct Scanned {
    scan: ScanId,
    scanner: Scanner,
    at: i64,
    profile: Option<&'static str>,
    scope: HostScope,
    plugins: PluginScope,
    filter: ScanFilter,
}

impl Scanned {
    fn at(at: i64) -> Self {
        Self {
            scan: ScanId::new(format!("s{at}")).unwrap(),
            scanner: Scanner::Nessus,
            at,
            profile: None,
            scope: HostScope {
                complete: true,
                credentialed: false,
                ports: PortScope { ranges: [(PortProtocol::Tcp, 1, 1024)].into(), named: BTreeSet::new() },
            },
            plugins: PluginScope { listed: ["p1".to_owned()].into() },
            filter: ScanFilter::default(),
        }
    }

    fn look(&self) -> Look<'_> {
        Look {
            scan: &self.scan,
            scanner: self.scanner,
            at: Timestamp(self.at),
            profile: self.profile,
            scope: &self.scope,
            plugins: &self.plugins,
            filter: &self.filter,
        }
    }

    fn saw(&self, item: &ScanItem) -> Sighting {
        sightings_of(item, &DeviceId::new("cam-1").unwrap(), &self.look()).remove(0)
    }
}

#[test]
fn each_cve_is_a_sighting_and_news_without_weakness_are_none() {
    let scan = Scanned::at(10);
    let count = |item: ScanItem| sightings_of(&item, &DeviceId::new("cam-1").unwrap(), &scan.look()).len();
    assert_eq!(count(item(&["CVE-2014-3566", "CVE-2015-0204"])), 2);
    assert_eq!(count(item(&[])), 1);
    assert_eq!(count(ScanItem { severity: ScanSeverity::Info, ..item(&[]) }), 0);
    assert_eq!(count(ScanItem { dismissed: true, ..item(&["CVE-2014-3566"]) }), 0);
}

#[test]
fn a_scan_ends_only_what_it_looked_for() {
    let seen = Scanned::at(10).saw(&item(&["CVE-2014-3566"]));
    let check = |expected: bool, why: &str, change: &dyn Fn(&mut Scanned)| {
        let mut scan = Scanned::at(20);
        change(&mut scan);
        assert_eq!(ends(&scan.look(), &seen), expected, "{why}");
    };
    check(true, "it asked again", &|_| {});
    check(false, "an older report", &|scan| scan.at = 9);
    check(false, "another scanner", &|scan| scan.scanner = Scanner::OpenVas);
    check(false, "it was stopped", &|scan| scan.scope.complete = false);
    check(false, "another port", &|scan| scan.scope.ports.ranges = [(PortProtocol::Tcp, 1, 80)].into());
    check(true, "the port is named", &|scan| {
        scan.scope.ports = PortScope { ranges: BTreeSet::new(), named: [HTTPS].into() };
    });
    check(false, "another check", &|scan| scan.plugins.listed = ["p2".to_owned()].into());
    check(false, "only the critical ones were written", &|scan| {
        scan.filter.severities = [ScanSeverity::Critical].into();
    });
    let doubtful = Sighting { qod: Some(30), ..seen.clone() };
    let mut sure_only = Scanned::at(20);
    sure_only.filter.qod_min = 70;
    assert!(ends(&sure_only.look(), &seen) && !ends(&sure_only.look(), &doubtful));
    let inside = Sighting { credentialed: true, ..seen.clone() };
    let mut logged_in = Scanned::at(20);
    logged_in.scope.credentialed = true;
    assert!(!ends(&Scanned::at(20).look(), &inside) && ends(&logged_in.look(), &inside));
}

#[test]
fn the_same_settings_look_for_the_same_but_a_silent_port_is_no_answer() {
    let mut first = Scanned::at(10);
    first.profile = Some("task 1");
    let seen = first.saw(&item(&["CVE-2014-3566"]));
    let mut again = Scanned::at(20);
    (again.profile, again.scope.ports, again.plugins) =
        (Some("task 1"), PortScope::default(), PluginScope::default());
    assert!(ends(&again.look(), &seen));
    again.profile = Some("task 2");
    assert!(!ends(&again.look(), &seen));
    let mut nmap = Scanned::at(10);
    (nmap.scanner, nmap.profile) = (Scanner::Nmap, Some("nmap -p 443 cam-1"));
    let seen = nmap.saw(&item(&["CVE-2014-3566"]));
    let mut silent = Scanned::at(20);
    (silent.scanner, silent.profile, silent.scope.ports) =
        (Scanner::Nmap, nmap.profile, PortScope::default());
    assert!(!ends(&silent.look(), &seen));
    silent.scope.ports.named.insert(HTTPS);
    assert!(ends(&silent.look(), &seen));
}

#[test]
fn the_same_report_twice_changes_nothing() {
    let first = Scanned::at(10).saw(&item(&["CVE-2014-3566"]));
    assert_eq!(merge(None, first.clone()).as_ref(), Some(&first));
    assert_eq!(merge(Some(&first), first.clone()), None);
    let milder = Sighting { score: "2.0".parse().ok(), ..first.clone() };
    assert_eq!(merge(Some(&first), milder.clone()), None);
    assert_eq!(merge(Some(&milder), first.clone()).map(|seen| seen.score), Some(first.score));
    let later = Scanned::at(20).saw(&item(&["CVE-2014-3566"]));
    let both = merge(Some(&first), later.clone()).unwrap();
    assert_eq!((both.first_seen, both.last_seen), (Timestamp(10), Timestamp(20)));
    // An older report tells when it began, and takes nothing back.
    let both = merge(Some(&later), first.clone()).unwrap();
    assert_eq!(
        (both.first_seen, both.last_seen, both.scan),
        (Timestamp(10), Timestamp(20), later.scan.clone())
    );
    let closed = Sighting { closed: Some((Timestamp(15), ScanId::new("s15").unwrap())), ..first.clone() };
    assert_eq!(merge(Some(&closed), first), None);
    assert_eq!(merge(Some(&closed), later).unwrap().closed, None);
}

/// A fleet of one device, whose firmware was analysed and has none of it.
struct World {
    device: Device,
    firmware: Firmware,
    advisories: Vec<Advisory>,
    shields: Vec<Shield>,
    known: Vec<Case>,
}

impl World {
    fn new() -> Self {
        let image = Sha256Digest([1; 32]);
        let version = Version::new("1.0").unwrap();
        let product = ProductId::new("cam").unwrap();
        let device = Device {
            id: DeviceId::new("cam-1").unwrap(),
            product: product.clone(),
            hardware: HardwareId::new("v1").unwrap(),
            criticality: Criticality::Standard,
            sensitivity: DataSensitivity::Internal,
            segment: None,
            address: None,
            installed: None,
            confirmed: Some(Running { image, version: version.clone() }),
            slot: None,
            state: UpdateState::Idle,
            generation: Generation(0),
            report_counter: 0,
            enrolled_at: Timestamp(0),
            last_seen: None,
        };
        let firmware = Firmware {
            image,
            product,
            version,
            size: ByteCount(1),
            added_at: Timestamp(0),
            components: Some(Vec::new()),
        };
        let sighting = Scanned::at(10).saw(&item(&["CVE-2014-3566"]));
        let advisory = advisory_of(&sighting, AdvisoryId::new("CVE-2014-3566").unwrap(), Timestamp(11));
        Self { device, firmware, advisories: vec![advisory], shields: Vec::new(), known: Vec::new() }
    }

    /// Turns once, and returns the only case as `protection since`.
    fn turn(&mut self, sightings: &[Sighting], now: i64) -> String {
        let fleet = Fleet {
            products: &[],
            devices: std::slice::from_ref(&self.device),
            firmware: std::slice::from_ref(&self.firmware),
            advisories: &self.advisories,
            findings: &[],
            shields: &self.shields,
        };
        let by_firmware = cases(&fleet, &self.known, Timestamp(now));
        let all = with_sightings(&fleet, by_firmware, &self.known, sightings);
        assert!(all.len() <= 1 && all.iter().all(|case| is_from_scanner(&case.finding)), "{all:?}");
        self.known = all;
        let Some(case) = self.known.first() else { return "no case".to_owned() };
        assert_eq!(case.opened_at, Timestamp(10));
        match case.protected {
            None => "exposed".to_owned(),
            Some((how, since)) => format!("{how} since {}", since.0),
        }
    }
}

#[test]
fn a_scanner_s_case_lives_until_a_scan_looks_again() {
    let mut world = World::new();
    assert_eq!(world.turn(&[], 5), "no case");
    let open = Scanned::at(10).saw(&item(&["CVE-2014-3566"]));
    let suspected = Sighting { qod: Some(30), ..open.clone() };
    assert_eq!(world.turn(&[suspected], 12), "no case");
    for now in [12, 13, 14] {
        // What is inside the firmware says nothing of it, turn after turn.
        assert_eq!(world.turn(std::slice::from_ref(&open), now), "exposed");
    }
    let reason = &world.known[0].finding.reason;
    assert!(reason.starts_with("nessus saw it at 443/tcp (p1) on 1970-01-01T00:00:00"), "{reason}");
    assert_eq!(world.known[0].finding.component.to_string(), "pkg:scanner/nessus/p1");
    world.shields.push(Shield {
        id: ShieldId::new("x").unwrap(),
        device: world.device.id.clone(),
        reason: ShieldReason::ALL[0],
        advisories: vec![world.advisories[0].id.clone()],
        state: ShieldState::Verified,
        since: Timestamp(15),
    });
    assert_eq!(world.turn(std::slice::from_ref(&open), 16), "shielded since 15");
    world.shields.clear();
    assert_eq!(world.turn(std::slice::from_ref(&open), 17), "exposed");
    let closed = Sighting { closed: Some((Timestamp(20), ScanId::new("s20").unwrap())), ..open.clone() };
    for now in [21, 22] {
        assert_eq!(world.turn(std::slice::from_ref(&closed), now), "patched since 20");
    }
    assert_eq!(world.turn(&[open], 30), "exposed");
}

#[test]
fn what_only_a_scanner_tells_is_an_advisory_until_a_real_one_comes() {
    let seen = Sighting {
        vector: Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".to_owned()),
        exploit: Exploit::Known,
        ..Scanned::at(10).saw(&item(&["CVE-2014-3566"]))
    };
    let advisory = advisory_of(&seen, AdvisoryId::new("CVE-2014-3566").unwrap(), Timestamp(11));
    assert_eq!((advisory.modified, advisory.exploitation), (Timestamp(0), Exploitation::PublicPoc));
    assert!(advisory.cvss.is_some() && advisory.affected.is_empty());
    let old = Sighting { vector: Some("CVSS2#AV:N/AC:M".to_owned()), ..seen };
    assert_eq!(advisory_of(&old, AdvisoryId::new("CVE-2014-3566").unwrap(), Timestamp(11)).cvss, None);
}
