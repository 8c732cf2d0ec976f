//! Scans, their hosts, sightings, and where devices were.

use std::collections::BTreeSet;

use warden_model::scan::{
    Exploit, HostScope, PluginScope, Port, PortProtocol, PortScope, Scan, ScanCounts, ScanFilter,
    ScanSeverity, Scanner, Sighting, SightingKey, Tie,
};
use warden_model::{DeviceId, ScanId, Timestamp};

use super::build::{self, Seed};
use super::{NOW, run, store_with};
use crate::{ScanHost, Store, StoredScan, Write};

fn scan(id: &str, at: i64) -> StoredScan {
    StoredScan {
        scan: Scan {
            id: ScanId::new(id).unwrap(),
            digest: build::digest(7),
            scanner: Scanner::Nmap,
            label: "a 'label' with \" and \n".to_owned(),
            profile: (at > 1).then(|| "nmap -p 1".to_owned()),
            at: Timestamp(at),
            imported_at: NOW,
            counts: ScanCounts {
                items: 3,
                severities: [(ScanSeverity::High, 1), (ScanSeverity::Info, 2)].into(),
                cve_mentions: 5,
                cves: 4,
                hosts: 1,
            },
        },
        plugins: PluginScope { listed: ["a b".to_owned(), "ü".to_owned()].into() },
        filter: ScanFilter { qod_min: 70, severities: [ScanSeverity::High].into() },
    }
}

fn host(scan: &str, name: &str, device: Option<&DeviceId>) -> ScanHost {
    ScanHost {
        scan: ScanId::new(scan).unwrap(),
        name: name.to_owned(),
        addresses: vec!["10.0.0.7".to_owned()],
        macs: vec!["02:00:00:00:00:01".to_owned()],
        names: vec!["cam.example".to_owned()],
        items: 3,
        device: device.map(|device| (device.clone(), Tie::Certificate)),
        why_not: if device.is_some() { String::new() } else { "nobody".to_owned() },
        scope: HostScope {
            complete: true,
            credentialed: false,
            ports: PortScope {
                ranges: [(PortProtocol::Tcp, 1, 1024)].into(),
                named: [Port { protocol: PortProtocol::Udp, number: 53 }, Port::HOST].into(),
            },
        },
    }
}

fn sighting(device: &DeviceId, weakness: &str, scan: &str) -> Sighting {
    let scan = ScanId::new(scan).unwrap();
    Sighting {
        key: SightingKey {
            device: device.clone(),
            weakness: weakness.to_owned(),
            port: Port { protocol: PortProtocol::Tcp, number: 443 },
            scanner: Scanner::Nmap,
            plugin: "ssl-poodle".to_owned(),
        },
        title: "SSL POODLE".to_owned(),
        severity: ScanSeverity::High,
        score: "7.5".parse().ok(),
        vector: None,
        qod: Some(99),
        exploit: Exploit::Known,
        text: "TLS_RSA".to_owned(),
        solution: String::new(),
        credentialed: true,
        profile: None,
        first_seen: Timestamp(1),
        last_seen: Timestamp(2),
        scan: scan.clone(),
        closed: (weakness == "p1").then_some((Timestamp(3), scan)),
    }
}

async fn fleet() -> (Store, DeviceId) {
    let product = build::product(Seed(1));
    let device = build::device(Seed(1), &product.id);
    let id = device.id.clone();
    (store_with(&[Write::Product(product), Write::Device(device)]).await, id)
}

#[test]
fn what_was_scanned_comes_back_as_it_was() {
    run(async {
        let (store, device) = fleet().await;
        let (old, new) = (scan("s1", 1), scan("s2", 2));
        let hosts = [host("s1", "a", Some(&device)), host("s1", "b", None), host("s2", "c", None)];
        let sightings = [sighting(&device, "CVE-2014-3566", "s1"), sighting(&device, "p1", "s2")];
        let mut writes = vec![Write::Scan(old.clone()), Write::Scan(new.clone())];
        writes.extend(hosts.iter().cloned().map(Write::ScanHost));
        writes.extend(sightings.iter().cloned().map(Write::Sighting));
        for _ in 0..2 {
            store.commit(&writes).await.unwrap();
        }
        assert_eq!(store.scans().await.unwrap(), [new.scan.clone(), old.scan.clone()]);
        assert_eq!(store.scan(&old.scan.id).await.unwrap(), Some(old.clone()));
        assert_eq!(store.scans_after(Scanner::Nmap, Timestamp(1)).await.unwrap(), [new]);
        assert_eq!(store.scans_after(Scanner::Nessus, Timestamp(0)).await.unwrap(), []);
        assert_eq!(store.scan_hosts(&old.scan.id).await.unwrap(), hosts[..2]);
        assert_eq!(store.sightings_of(&device).await.unwrap(), sightings);
        assert_eq!(store.cve_sightings().await.unwrap(), sightings[..1]);
        let names: Vec<String> =
            store.unmatched_hosts().await.unwrap().into_iter().map(|host| host.name).collect();
        assert_eq!(names, ["b", "c"]);
        // The newest scan that names the host decides: now it is known.
        store.commit(&[Write::ScanHost(host("s2", "b", Some(&device)))]).await.unwrap();
        let names: Vec<String> =
            store.unmatched_hosts().await.unwrap().into_iter().map(|host| host.name).collect();
        assert_eq!(names, ["c"]);
    });
}

#[test]
fn a_device_s_way_from_address_to_address_is_kept() {
    run(async {
        let product = build::product(Seed(1));
        let mut device = build::device(Seed(1), &product.id);
        (device.address, device.last_seen) = (None, None);
        let store = store_with(&[Write::Product(product), Write::Device(device.clone())]).await;
        for (address, at) in
            [("10.0.0.1", 10), ("10.0.0.1", 20), ("10.0.0.2", 30), ("10.0.0.2", 40), ("10.0.0.1", 50)]
        {
            (device.address, device.last_seen) = (address.parse().ok(), Some(Timestamp(at)));
            store.commit(&[Write::Device(device.clone())]).await.unwrap();
        }
        let told = store.addresses_held().await.unwrap();
        let told: Vec<(String, i64, i64)> =
            told.iter().map(|held| (held.address.to_string(), held.since.0, held.until.0)).collect();
        let expected = [("10.0.0.1", 10, 20), ("10.0.0.2", 30, 40), ("10.0.0.1", 50, 50)];
        assert_eq!(told, expected.map(|(address, since, until)| (address.to_owned(), since, until)));
        for at in 0..200_i64 {
            (device.address, device.last_seen) =
                (format!("10.0.1.{}", at % 2).parse().ok(), Some(Timestamp(100 + at)));
            store.commit(&[Write::Device(device.clone())]).await.unwrap();
        }
        let kept: BTreeSet<i64> =
            store.addresses_held().await.unwrap().iter().map(|held| held.since.0).collect();
        assert_eq!((kept.len(), kept.first()), (64, Some(&236)));
    });
}
