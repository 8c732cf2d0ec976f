//! Cases, time to protected and remedies: the life of a case from the advisory to the proof.

use std::collections::BTreeSet;

use warden_model::advisory::{Advisory, Affected, Exploitation, VersionRange};
use warden_model::case::Case;
use warden_model::device::{Criticality, DataSensitivity, Device, Running, UpdateState};
use warden_model::firmware::{Component, Firmware, Version};
use warden_model::product::{Exposure, Product};
use warden_model::purl::Purl;
use warden_model::release::{Release, ReleaseState};
use warden_model::shield::{Shield, ShieldReason, ShieldState};
use warden_model::{
    AdvisoryId, ByteCount, CaseId, DeviceId, Generation, HardwareId, ProductId, ReleaseId, Seconds,
    Sha256Digest, ShieldId, Timestamp,
};

use super::{Fleet, case_id, cases};
use crate::{Progress, findings, remedies, time_to_protected};

const OLD: Sha256Digest = Sha256Digest([1; 32]);
const NEW: Sha256Digest = Sha256Digest([2; 32]);
const UNKNOWN: Sha256Digest = Sha256Digest([3; 32]);
const KNOWN_AT: Timestamp = Timestamp(0);

fn at(seconds: u64) -> Timestamp {
    KNOWN_AT.plus(Seconds(seconds))
}

/// A small fleet that a test may change: three devices on the weak image.
struct World {
    products: Vec<Product>,
    devices: Vec<Device>,
    firmware: Vec<Firmware>,
    advisories: Vec<Advisory>,
    shields: Vec<Shield>,
    known: Vec<Case>,
}

fn device(name: &str, criticality: Criticality) -> Device {
    Device {
        id: DeviceId::new(name).unwrap(),
        product: ProductId::new("cam").unwrap(),
        hardware: HardwareId::new("v1").unwrap(),
        criticality,
        sensitivity: DataSensitivity::Internal,
        segment: None,
        address: None,
        installed: None,
        confirmed: Some(Running { image: OLD, version: Version::new("1.0").unwrap() }),
        state: UpdateState::Idle,
        generation: Generation(0),
        slot: None,
        report_counter: 0,
        enrolled_at: KNOWN_AT,
        last_seen: None,
    }
}

fn firmware(image: Sha256Digest, version: &str, busybox: Option<&str>) -> Firmware {
    let component = |version: &str| Component {
        name: "busybox".to_owned(),
        version: version.to_owned(),
        purl: Purl::new("generic", "busybox", Some(version)),
        cpe: None,
        evidence: vec![],
    };
    Firmware {
        image,
        product: ProductId::new("cam").unwrap(),
        version: Version::new(version).unwrap(),
        size: ByteCount(1),
        added_at: KNOWN_AT,
        components: busybox.map(|version| vec![component(version)]),
    }
}

fn advisory(id: &str, introduced: &str, fixed: &str) -> Advisory {
    let range = VersionRange {
        introduced: introduced.to_owned(),
        fixed: Some(fixed.to_owned()),
        last_affected: None,
    };
    Advisory {
        id: AdvisoryId::new(id).unwrap(),
        aliases: vec![],
        summary: String::new(),
        published: KNOWN_AT,
        modified: KNOWN_AT,
        withdrawn: None,
        cvss: Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:N".to_owned()),
        exploitation: Exploitation::Active,
        automatable: None,
        technical_impact: None,
        in_kev: false,
        epss: None,
        affected: vec![Affected {
            package: Purl::new("generic", "busybox", None),
            ranges: vec![range],
            versions: vec![],
        }],
        known_at: KNOWN_AT,
    }
}

fn release(id: &str, image: Sha256Digest, counter: u64) -> Release {
    Release {
        id: ReleaseId::new(id).unwrap(),
        product: ProductId::new("cam").unwrap(),
        version: Version::new(id).unwrap(),
        image,
        counter,
        state: ReleaseState::Analysed,
        reason: String::new(),
        created_at: KNOWN_AT,
    }
}

impl World {
    fn new() -> Self {
        let product = Product {
            id: ProductId::new("cam").unwrap(),
            name: "Camera".to_owned(),
            boards: BTreeSet::new(),
            support_ends: None,
            exposure: Exposure::Open,
        };
        Self {
            products: vec![product],
            devices: vec![
                device("lamp", Criticality::Low),
                device("pump", Criticality::SafetyCritical),
                device("gate", Criticality::MissionCritical),
            ],
            firmware: vec![
                firmware(OLD, "1.0", Some("1.35.0")),
                firmware(NEW, "1.1", Some("1.36.1")),
                firmware(UNKNOWN, "1.2", None),
            ],
            advisories: vec![advisory("CVE-1", "0", "1.36.1")],
            shields: vec![],
            known: vec![],
        }
    }

    /// Takes a turn, and returns each case as `device priority protection`, in rank order.
    fn turn(&mut self, now: Timestamp) -> Vec<String> {
        let findings: Vec<_> = self.firmware.iter().flat_map(|f| findings(f, &self.advisories)).collect();
        let fleet = Fleet {
            products: &self.products,
            devices: &self.devices,
            firmware: &self.firmware,
            advisories: &self.advisories,
            findings: &findings,
            shields: &self.shields,
        };
        self.known = cases(&fleet, &self.known, now);
        let protection = |case: &Case| {
            case.protected
                .map_or("exposed".to_owned(), |(how, since)| format!("{how} since {}", since.0 / 1000))
        };
        self.known.iter().map(|c| format!("{} {} {}", c.device, c.decision.priority, protection(c))).collect()
    }

    fn run(&mut self, device: &str, image: Sha256Digest) {
        let device = self.devices.iter_mut().find(|d| d.id.as_str() == device).unwrap();
        device.confirmed = Some(Running { image, version: Version::new("x").unwrap() });
    }

    fn shield(&mut self, device: &str, state: ShieldState, since: Timestamp) {
        self.shields = vec![Shield {
            id: ShieldId::new("s").unwrap(),
            device: DeviceId::new(device).unwrap(),
            reason: ShieldReason::PatchPending,
            advisories: vec![AdvisoryId::new("CVE-1").unwrap()],
            state,
            since,
        }];
    }

    fn remedies(&self, releases: &[Release]) -> Vec<String> {
        let findings: Vec<_> = self.firmware.iter().flat_map(|f| findings(f, &self.advisories)).collect();
        let fleet = Fleet {
            products: &self.products,
            devices: &self.devices,
            firmware: &self.firmware,
            advisories: &self.advisories,
            findings: &findings,
            shields: &self.shields,
        };
        remedies(&fleet, &self.known, releases).into_iter().map(|remedy| remedy.reason).collect()
    }
}

#[test]
fn devices_that_run_the_weakness_are_ranked_by_urgency() {
    let mut world = World::new();
    assert_eq!(
        world.turn(at(10)),
        ["pump immediate exposed", "gate immediate exposed", "lamp out-of-cycle exposed"]
    );
    assert_eq!(world.known[0].id.as_str(), "CVE-1:pump");
    assert_eq!(world.known[0].decision.deadline, Some(at(10).plus(Seconds::hours(72))));
}

#[test]
fn a_case_keeps_its_deadline_from_turn_to_turn() {
    let mut world = World::new();
    world.turn(at(10));
    world.turn(at(9_999));
    assert!(world.known.iter().all(|case| case.opened_at == at(10)));
    assert_eq!(world.known[0].decision.deadline, Some(at(10).plus(Seconds::hours(72))));
}

#[test]
fn only_a_confirmed_and_analysed_firmware_proves_a_patch() {
    let mut world = World::new();
    world.turn(at(10));
    world.run("pump", UNKNOWN);
    assert_eq!(world.turn(at(20))[0], "pump immediate exposed", "nobody knows what is inside");
    world.run("pump", NEW);
    assert_eq!(world.turn(at(30))[2], "pump immediate patched since 30");
    assert_eq!(world.turn(at(40))[2], "pump immediate patched since 30");
    world.run("pump", OLD);
    assert_eq!(world.turn(at(50))[0], "pump immediate exposed", "it turned back");
    for device in &mut world.devices {
        device.confirmed = None;
    }
    world.known.clear();
    assert!(world.turn(at(60)).is_empty(), "a device that confirmed nothing has no case");
}

#[test]
fn a_verified_shield_protects_and_lowers_the_urgency() {
    let mut world = World::new();
    world.shield("pump", ShieldState::Planned, at(15));
    assert_eq!(world.turn(at(20))[0], "pump immediate exposed");
    world.shield("pump", ShieldState::Verified, at(25));
    assert_eq!(world.turn(at(30))[2], "pump out-of-cycle shielded since 25");
    world.shield("pump", ShieldState::Lifted, at(35));
    assert_eq!(world.turn(at(40))[0], "pump immediate exposed", "the credit ends with the shield");
}

#[test]
fn a_withdrawn_advisory_closes_its_cases() {
    let mut world = World::new();
    world.turn(at(10));
    world.advisories[0].withdrawn = Some(at(15));
    assert!(world.turn(at(20)).is_empty());
}

#[test]
fn a_device_of_an_unknown_product_counts_as_open() {
    let mut world = World::new();
    world.products.clear();
    assert_eq!(world.turn(at(10))[0], "pump immediate exposed");
}

#[test]
fn time_to_protected_runs_until_the_last_device_is_safe() {
    let mut world = World::new();
    world.turn(at(10));
    let measure = |world: &World, now| {
        let result = time_to_protected(&world.advisories[0], &world.known, now);
        (
            result.affected,
            result.patched,
            result.shielded,
            result.protected,
            result.elapsed.0,
            result.progress,
        )
    };
    assert_eq!(measure(&world, at(100)), (3, 0, 0, 0, 100, Progress::Exposed));
    world.run("pump", NEW);
    world.shield("lamp", ShieldState::Verified, at(150));
    world.turn(at(200));
    assert_eq!(measure(&world, at(300)), (3, 1, 1, 2, 300, Progress::Exposed));
    world.run("gate", NEW);
    world.turn(at(400));
    assert_eq!(measure(&world, at(900)), (3, 2, 1, 3, 400, Progress::Done));
    world.known.clear();
    assert_eq!(measure(&world, at(900)), (0, 0, 0, 0, 0, Progress::NobodyAffected));
}

#[test]
fn remedies_are_ranked_by_the_risk_that_they_take_away() {
    let mut world = World::new();
    let better = Sha256Digest([4; 32]);
    world.firmware.push(firmware(better, "1.3", Some("1.37.0")));
    world.advisories.push(advisory("CVE-2", "1.36.1", "1.37.0"));
    world.turn(at(10));
    let mut releases = vec![
        release("1.0", OLD, 1),
        release("1.1", NEW, 2),
        release("1.2", UNKNOWN, 3),
        release("1.3", better, 4),
    ];
    assert_eq!(
        world.remedies(&releases),
        [
            "release 1.3 closes 3 cases on 3 devices (2 immediate, 1 out-of-cycle).",
            "release 1.1 closes 3 cases on 3 devices (2 immediate, 1 out-of-cycle); it brings 1 new weakness.",
        ]
    );
    releases[3].state = ReleaseState::Withdrawn;
    world.run("pump", NEW);
    world.turn(at(20));
    assert_eq!(
        world.remedies(&releases),
        ["release 1.1 closes 2 cases on 2 devices (1 immediate, 1 out-of-cycle); it brings 1 new weakness."],
        "a release is no remedy for those who run it, and never a way back"
    );
}

#[test]
fn long_names_never_share_a_case() {
    let advisory = AdvisoryId::new("CVE-2022-48174").unwrap();
    let id = |device: &str| case_id(&advisory, &DeviceId::new(device).unwrap()).unwrap();
    let long = "x".repeat(60);
    let (a, b): (CaseId, CaseId) = (id(&format!("{long}a")), id(&format!("{long}b")));
    assert_eq!(id("cam-01").as_str(), "CVE-2022-48174:cam-01");
    assert_eq!(a.as_str().len(), 64);
    assert!(a.as_str().starts_with("CVE-2022-48174:xxx"));
    assert_ne!(a, b);
    assert_eq!(a, id(&format!("{long}a")), "the same names make the same id");
}
