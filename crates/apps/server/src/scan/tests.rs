//! Reports become sightings, sightings become cases, and a rescan closes them.

use std::io::Write as _;

use tempfile::TempDir;
use warden_kit::values::{device, product};
use warden_model::scan::Sighting;
use warden_model::{DeviceId, Timestamp};
use warden_store::{Store, Write};

use super::{ImportError, Imported, import};
use crate::clock::now;
use crate::context::Shared;
use crate::device::hash_of;
use crate::testing::context_over;
use crate::turn::{Memory, turn};

/// A server with the devices `cam-1` at 10.0.0.1 and `cam-2` at 10.0.0.2 since long ago.
struct World {
    context: Shared,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let context = context_over(folder.path(), Store::in_memory().await.unwrap(), |_| {});
        let mut writes = vec![Write::Product(product("cam"))];
        for (name, address) in [("cam-1", "10.0.0.1"), ("cam-2", "10.0.0.2")] {
            let mut device = device(name, "cam");
            (device.address, device.last_seen) = (address.parse().ok(), Some(Timestamp(1_000)));
            writes.push(Write::Device(device.clone()));
            device.last_seen = Some(now());
            writes.push(Write::Device(device));
        }
        context.store.commit(&writes).await.unwrap();
        Self { context, _folder: folder }
    }

    async fn import(&self, report: &str) -> Result<Imported, ImportError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(report.as_bytes()).unwrap();
        import(&self.context, file, hash_of(report.as_bytes()), now(), "a test").await
    }

    /// Imports, and returns what was opened, is still there, was closed; and how many hosts are known.
    async fn counts(&self, report: &str) -> (u64, u64, u64, u64) {
        let done = self.import(report).await.unwrap();
        (done.opened, done.still_there, done.closed, done.matched)
    }

    /// Turns the loop, and returns the cases as `id protection`.
    async fn cases(&self) -> Vec<String> {
        turn(&self.context, &mut Memory::default()).await;
        let mut cases: Vec<String> = self
            .context
            .store
            .all_cases()
            .await
            .unwrap()
            .iter()
            .map(|case| {
                let protected = case.protected.map_or("exposed", |(how, _)| how.word());
                format!("{} {protected}", case.id)
            })
            .collect();
        cases.sort();
        cases
    }

    async fn sightings(&self, device: &str) -> Vec<Sighting> {
        self.context.store.sightings_of(&DeviceId::new(device).unwrap()).await.unwrap()
    }
}

/// A Nessus report that ends `minutes` after midnight and ran the plugins 1 and 2 on ports 1 to 1024; `items` are
/// (host, plugin, port, severity, CVE).
fn nessus(minutes: i64, hosts: &[&str], items: &[(&str, u32, u16, u8, &str)]) -> String {
    let seconds = 1_700_000_000 + minutes * 60;
    let mut text = "<?xml version=\"1.0\"?><NessusClientData_v2><Policy><Preferences><ServerPreferences>\
        <preference><name>plugin_set</name><value>1;2;</value></preference>\
        <preference><name>port_range</name><value>1-1024</value></preference>\
        </ServerPreferences></Preferences></Policy><Report name=\"weekly\">"
        .to_owned();
    for host in hosts {
        let end = format!("<tag name=\"HOST_END_TIMESTAMP\">{seconds}</tag>");
        let start = format!("<ReportHost name=\"{host}\"><HostProperties>{end}</HostProperties>");
        text.push_str(&start);
        for (_, plugin, port, severity, cve) in items.iter().filter(|(at, ..)| at == host) {
            let item = format!(
                "<ReportItem port=\"{port}\" protocol=\"tcp\" severity=\"{severity}\" pluginID=\"{plugin}\" \
                 pluginName=\"weakness {plugin}\"><cve>{cve}</cve><plugin_output>seen</plugin_output></ReportItem>"
            );
            text.push_str(&item);
        }
        text.push_str("</ReportHost>");
    }
    text + "</Report></NessusClientData_v2>"
}

const BOTH: [&str; 2] = ["10.0.0.1", "10.0.0.2"];

#[tokio::test]
async fn a_report_twice_is_one_and_a_rescan_closes_its_cases() {
    let world = World::new().await;
    let found = [
        ("10.0.0.1", 1, 443, 3, "CVE-2014-3566"),
        ("10.0.0.2", 1, 443, 3, "CVE-2014-3566"),
        ("10.0.0.2", 2, 80, 2, ""),
        ("10.0.0.2", 2, 81, 0, ""),
    ];
    let first = nessus(0, &BOTH, &found);
    assert_eq!(world.counts(&first).await, (3, 0, 0, 2));
    assert_eq!(world.counts(&first).await, (0, 3, 0, 2));
    assert_eq!(world.context.store.scans().await.unwrap().len(), 1);
    assert_eq!(world.cases().await, ["CVE-2014-3566:cam-1 exposed", "CVE-2014-3566:cam-2 exposed"]);
    assert_eq!(world.sightings("cam-2").await.len(), 2);
    // Only one host is scanned again: the other one keeps its case.
    assert_eq!(world.counts(&nessus(60, &BOTH[..1], &[])).await, (0, 0, 1, 1));
    assert_eq!(world.cases().await, ["CVE-2014-3566:cam-1 patched", "CVE-2014-3566:cam-2 exposed"]);
    // It comes back.
    assert_eq!(world.counts(&nessus(120, &BOTH[..1], &found[..1])).await, (1, 0, 0, 1));
    assert_eq!(world.cases().await, ["CVE-2014-3566:cam-1 exposed", "CVE-2014-3566:cam-2 exposed"]);
}

#[tokio::test]
async fn an_older_report_that_comes_later_opens_nothing_that_is_closed() {
    let world = World::new().await;
    let found = [("10.0.0.1", 1, 443, 3, "CVE-2014-3566")];
    assert_eq!(world.counts(&nessus(60, &BOTH, &[])).await, (0, 0, 0, 2));
    // The newer scan has looked for it already.
    assert_eq!(world.counts(&nessus(0, &BOTH, &found)).await, (1, 0, 1, 2));
    assert_eq!(world.cases().await, [""; 0]);
    let known = world.sightings("cam-1").await;
    assert_eq!(
        known.first().and_then(|known| known.closed.as_ref()).map(|(at, _)| at.0),
        Some(1_700_003_600_000)
    );
}

#[tokio::test]
async fn a_host_that_nobody_knows_stays_unmatched_with_its_reason() {
    let world = World::new().await;
    let report = nessus(0, &["10.9.9.9", "10.0.0.1"], &[("10.9.9.9", 1, 443, 4, "CVE-2014-3566")]);
    assert_eq!(world.counts(&report).await, (0, 0, 0, 1));
    let hosts = world.context.store.unmatched_hosts().await.unwrap();
    let told: Vec<(&str, &str, u64)> =
        hosts.iter().map(|host| (host.name.as_str(), host.why_not.as_str(), host.items)).collect();
    assert_eq!(told, [("10.9.9.9", "no device has its hardware address, certificate, address or name", 1)]);
    assert_eq!(world.cases().await, [""; 0]);
}

#[tokio::test]
async fn a_refused_report_leaves_nothing() {
    let world = World::new().await;
    let whole = nessus(0, &BOTH, &[("10.0.0.1", 1, 443, 3, "CVE-2014-3566")]);
    let cut = whole.split_at(whole.len() - 30).0;
    assert!(matches!(world.import(cut).await, Err(ImportError::Refused(_))));
    assert_eq!(world.context.store.scans().await.unwrap(), []);
    assert_eq!(world.sightings("cam-1").await, []);
}
