//! Each key of the filter language means what it says.

use warden_model::advisory::Advisory;
use warden_model::alert::Alert;
use warden_model::case::{Case, Priority, Protection};
use warden_model::device::{Criticality, DataSensitivity, Device, Running, UpdateState};
use warden_model::firmware::Version;
use warden_model::product::Product;
use warden_model::shield::{Shield, ShieldState};
use warden_model::{AdvisoryId, AlertId, CaseId, HardwareId, Seconds, SegmentId, Timestamp};
use warden_wire::filter::Filter;
use warden_wire::page::PageRequest;

use super::build::{self, Seed};
use super::{NOW, run, store_with};
use crate::{Store, Write};

fn device(id: &str, product: &Product, version: u64, seen_ago: Option<Seconds>) -> Device {
    let running = Running {
        image: build::digest(1000 + version),
        version: Version::new(format!("1.{version}")).unwrap(),
    };
    let ago = |age: Seconds| Timestamp(NOW.0 - i64::try_from(age.0 * 1000).unwrap());
    Device {
        id: build::device_id(id),
        hardware: HardwareId::new("b1").unwrap(),
        criticality: Criticality::Standard,
        sensitivity: DataSensitivity::Internal,
        segment: None,
        address: None,
        installed: None,
        confirmed: Some(running),
        state: UpdateState::Idle,
        enrolled_at: ago(Seconds::days(30)),
        last_seen: seen_ago.map(ago),
        ..build::device(Seed(0), &product.id)
    }
}

fn case(id: &str, device: &Device, advisory: &Advisory, priority: Priority) -> Case {
    let mut case = build::case(Seed(1), device);
    case.id = CaseId::new(id).unwrap();
    case.finding.advisory = advisory.id.clone();
    case.decision.priority = priority;
    case.protected = None;
    case
}

fn advisory(id: &str, alias: &str) -> Advisory {
    Advisory {
        id: AdvisoryId::new(id).unwrap(),
        aliases: vec![AdvisoryId::new(alias).unwrap()],
        ..build::advisory(Seed(0))
    }
}

/// Three devices that differ in everything.
async fn fleet() -> Store {
    let mut cameras = build::product(Seed(1));
    cameras.name = "Front Door 100%".to_owned();
    let mut pumps = build::product(Seed(2));
    pumps.name = "Pump".to_owned();
    let mut cam = device("cam", &cameras, 1, Some(Seconds(60)));
    cam.criticality = Criticality::Low;
    cam.segment = Some(SegmentId::new("lobby").unwrap());
    let mut gate = device("gate", &cameras, 2, Some(Seconds::days(8)));
    gate.state = UpdateState::RolledBack;
    gate.hardware = HardwareId::new("b2").unwrap();
    let mut pump = device("pump", &pumps, 1, None);
    pump.criticality = Criticality::SafetyCritical;
    pump.sensitivity = DataSensitivity::Restricted;
    let (first, second) = (advisory("DSA-1", "CVE-1"), advisory("DSA-2", "CVE-2"));
    let patched = Case {
        protected: Some((Protection::Patched, NOW)),
        ..case("case-3", &gate, &first, Priority::Scheduled)
    };
    let cases = [
        case("case-1", &pump, &first, Priority::Immediate),
        case("case-2", &pump, &second, Priority::Defer),
        patched,
    ];
    let release = build::release(Seed(1), &cameras.id);
    let rollout = build::rollout(Seed(1), &release.id);
    let shield = Shield { state: ShieldState::Verified, ..build::shield(Seed(1), &pump.id) };
    let lifted = Shield { state: ShieldState::Lifted, ..build::shield(Seed(2), &cam.id) };
    let alert = Alert { id: AlertId::new("alert-1").unwrap(), ..build::alert(Seed(1), &cam.id) };
    let member = build::member(Seed(1), &gate.id);
    let mut writes = vec![
        Write::Product(cameras),
        Write::Product(pumps),
        Write::Advisory(first),
        Write::Advisory(second),
        Write::Member { rollout: rollout.id.clone(), member },
        Write::Release(release),
        Write::Rollout(rollout),
        Write::Shield(shield),
        Write::Shield(lifted),
        Write::Alert(alert),
    ];
    writes.extend([cam, gate, pump].map(Write::Device));
    writes.extend(cases.map(Write::Case));
    store_with(&writes).await
}

#[test]
fn devices_are_found_by_every_key() {
    async fn check(store: &Store, text: &str, expected: &[&str]) {
        let filter = Filter::parse(text, NOW).unwrap();
        let page = store.devices(&filter, &PageRequest::default()).await.unwrap();
        let ids: Vec<&str> = page.items.iter().map(|device| device.id.as_str()).collect();
        assert_eq!(ids, expected, "{text:?}");
        assert_eq!(store.device_count(&filter).await.unwrap(), expected.len() as u64, "{text:?}");
    }
    run(async {
        let store = &fleet().await;
        check(store, "", &["cam", "gate", "pump"]).await;
        check(store, "id:cam,pump", &["cam", "pump"]).await;
        check(store, "-id:cam", &["gate", "pump"]).await;
        check(store, "product:product-1", &["cam", "gate"]).await;
        check(store, "hardware:b2", &["gate"]).await;
        check(store, "criticality:low", &["cam"]).await;
        check(store, "criticality:>standard", &["pump"]).await;
        check(store, "criticality:<standard", &["cam"]).await;
        check(store, "criticality:>safety-critical", &[]).await;
        check(store, "-criticality:>safety-critical", &["cam", "gate", "pump"]).await;
        check(store, "sensitivity:>internal", &["pump"]).await;
        check(store, "segment:lobby", &["cam"]).await;
        check(store, "-segment:lobby", &["gate", "pump"]).await;
        check(store, "version:1.2", &["gate"]).await;
        check(store, "state:rolled-back,failed", &["gate"]).await;
        check(store, "seen:<5m", &["cam"]).await;
        check(store, "seen:>7d", &["gate", "pump"]).await;
        check(store, "seen:>7d seen:<10d", &["gate"]).await;
        check(store, "shielded:yes", &["pump"]).await;
        check(store, "shielded:no", &["cam", "gate"]).await;
        check(store, "shielded:no,yes", &["cam", "gate", "pump"]).await;
        check(store, "release:release-1", &["cam", "pump"]).await;
        check(store, "-release:release-1", &["gate"]).await;
        check(store, "rollout:rollout-1", &["gate"]).await;
        check(store, "front", &["cam", "gate"]).await;
        check(store, "\"door 100%\" -GATE", &["cam"]).await;
        check(store, "\"%\"", &["cam", "gate"]).await;
        check(store, "\"'; DROP TABLE devices; --\"", &[]).await;
    });
}

#[test]
fn devices_are_found_by_their_cases() {
    async fn check(store: &Store, text: &str, expected: &[&str]) {
        let filter = Filter::parse(text, NOW).unwrap();
        let page = store.devices(&filter, &PageRequest::default()).await.unwrap();
        let ids: Vec<&str> = page.items.iter().map(|device| device.id.as_str()).collect();
        assert_eq!(ids, expected, "{text:?}");
    }
    run(async {
        let store = &fleet().await;
        check(store, "cve:DSA-1", &["gate", "pump"]).await;
        check(store, "advisory:CVE-1", &["gate", "pump"]).await;
        check(store, "-cve:CVE-1", &["cam"]).await;
        check(store, "cve:CVE-1 protected:no", &["pump"]).await;
        check(store, "cve:CVE-1 protected:yes", &["gate"]).await;
        check(store, "cve:CVE-1 -protected:yes", &["pump"]).await;
        check(store, "protected:no", &["pump"]).await;
        check(store, "protected:yes", &["cam", "gate"]).await;
        check(store, "priority:immediate", &["pump"]).await;
        check(store, "priority:<immediate", &["gate", "pump"]).await;
        // One case must be both: the pump's immediate case is about another advisory.
        check(store, "priority:immediate cve:CVE-2", &[]).await;
        check(store, "priority:defer cve:CVE-2", &["pump"]).await;
    });
}

#[test]
fn cases_and_alerts_are_found_by_their_device_too() {
    async fn check(store: &Store, text: &str, cases: &[&str], alerts: usize) {
        let filter = Filter::parse(text, NOW).unwrap();
        let page = store.cases(&filter, &PageRequest::default()).await.unwrap();
        let ids: Vec<&str> = page.items.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(ids, cases, "{text:?}");
        assert_eq!(store.case_count(&filter).await.unwrap(), cases.len() as u64, "{text:?}");
        let found = store.alerts(&filter, &PageRequest::default()).await.unwrap().items.len();
        assert_eq!(found, alerts, "{text:?}");
    }
    run(async {
        let store = &fleet().await;
        check(store, "", &["case-1", "case-3", "case-2"], 1).await;
        check(store, "id:case-3", &["case-3"], 0).await;
        check(store, "id:alert-1", &[], 1).await;
        check(store, "protected:no", &["case-1", "case-2"], 0).await;
        check(store, "protected:yes", &["case-3"], 1).await;
        check(store, "priority:>scheduled", &["case-1"], 0).await;
        check(store, "-priority:>scheduled", &["case-3", "case-2"], 1).await;
        check(store, "cve:CVE-1 -cve:CVE-2", &["case-1", "case-3"], 0).await;
        check(store, "criticality:safety-critical", &["case-1", "case-2"], 0).await;
        check(store, "product:product-1 seen:>1s", &["case-3"], 1).await;
        check(store, "gate", &["case-3"], 0).await;
        check(store, "host-1.example", &[], 1).await;
        check(store, "shielded:yes", &["case-1", "case-2"], 0).await;
    });
}

#[test]
fn the_largest_filter_is_still_a_query() {
    async fn check(store: &Store, text: &str) {
        let filter = Filter::parse(text, NOW).unwrap();
        let page = PageRequest::default();
        store.devices(&filter, &page).await.unwrap();
        store.cases(&filter, &page).await.unwrap();
        store.alerts(&filter, &page).await.unwrap();
    }
    run(async {
        let store = &fleet().await;
        let letters = || ('a'..='z').flat_map(|one| ('a'..='m').map(move |two| format!("{one}{two}")));
        check(store, &format!("cve:{}", letters().collect::<Vec<_>>().join(","))).await;
        check(store, &format!("-id:{}", letters().collect::<Vec<_>>().join(","))).await;
        for term in ["cve:a", "-cve:a", "shielded:no", "protected:no", "rollout:a", "-release:a", "x"] {
            check(store, &[term; 32].join(" ")).await;
        }
    });
}
