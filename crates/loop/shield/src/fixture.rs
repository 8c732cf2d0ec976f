//! Devices, products and cases for the tests of this crate.

use std::collections::BTreeSet;

use warden_model::case::{Case, Decision, Finding, Priority};
use warden_model::device::{Criticality, DataSensitivity, Device, UpdateState};
use warden_model::product::{Exposure, Product};
use warden_model::purl::Purl;
use warden_model::{
    AdvisoryId, CaseId, DeviceId, Generation, HardwareId, ProductId, ReleaseId, Sha256Digest, Timestamp,
};

use crate::{ShieldPolicy, UpdateServer};

pub(crate) fn now() -> Timestamp {
    "2026-11-22T08:00:00Z".parse().unwrap()
}

pub(crate) fn policy() -> ShieldPolicy {
    let address = "10.0.0.1".parse().unwrap();
    let mut policy = ShieldPolicy::new(UpdateServer { address, ports: BTreeSet::from([8443]) });
    policy.resolvers = vec!["10.0.0.2".parse().unwrap()];
    policy.time_servers = vec!["2001:db8::123".parse().unwrap()];
    policy
}

pub(crate) fn product(id: &str, support_ends: Option<&str>) -> Product {
    Product {
        id: ProductId::new(id).unwrap(),
        name: id.to_owned(),
        boards: BTreeSet::from([HardwareId::new("rev-a").unwrap()]),
        support_ends: support_ends.map(|end| end.parse().unwrap()),
        exposure: Exposure::Open,
    }
}

pub(crate) fn device(id: &str, product: &str, address: Option<&str>) -> Device {
    Device {
        id: DeviceId::new(id).unwrap(),
        product: ProductId::new(product).unwrap(),
        hardware: HardwareId::new("rev-a").unwrap(),
        criticality: Criticality::Standard,
        sensitivity: DataSensitivity::Internal,
        segment: None,
        address: address.map(|address| address.parse().unwrap()),
        installed: None,
        confirmed: None,
        state: UpdateState::Idle,
        generation: Generation(0),
        slot: None,
        report_counter: 0,
        enrolled_at: now(),
        last_seen: None,
    }
}

pub(crate) fn case(device: &str, advisory: &str, component: &str, priority: Priority) -> Case {
    let deadline = "2026-11-25T08:00:00Z".parse().unwrap();
    Case {
        id: CaseId::new(format!("{device}.{advisory}")).unwrap(),
        device: DeviceId::new(device).unwrap(),
        finding: Finding {
            image: Sha256Digest([7; 32]),
            product: ProductId::new("camera").unwrap(),
            advisory: AdvisoryId::new(advisory).unwrap(),
            component: Purl::new("generic", component, Some("1.0")),
            path: "/bin/x".to_owned(),
            reason: "1.0 is before 1.1".to_owned(),
            fixed_in: None,
        },
        decision: Decision {
            priority,
            deadline: (priority != Priority::Defer).then_some(deadline),
            rule: "row-1".to_owned(),
            factors: Vec::new(),
        },
        opened_at: now(),
        protected: None,
    }
}

pub(crate) fn release() -> ReleaseId {
    ReleaseId::new("camera-1.1").unwrap()
}
