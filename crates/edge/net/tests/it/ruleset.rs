//! Rulesets of `warden-shield`, taken by the real `nft`.

use std::collections::BTreeSet;
use std::io::Write;

use warden_model::device::{Criticality, DataSensitivity, Device, UpdateState};
use warden_model::product::{Exposure, Product};
use warden_model::{DeviceId, Generation, HardwareId, ProductId, Timestamp};
use warden_net::{NftError, NftLimits, check_ruleset, rehearse_ruleset};
use warden_shield::{
    Allowed, Class, Direction, Protectee, Protocol, ShieldPlan, ShieldPolicy, UpdateServer, plan, ruleset,
};

fn device(index: u32) -> Device {
    let address = match index % 3 {
        0 => format!("2001:db8::{index:x}").parse().unwrap(),
        _ => std::net::Ipv4Addr::from_bits(0x0a00_0000 + index).into(),
    };
    Device {
        id: DeviceId::new(format!("cam:{index}")).unwrap(),
        product: ProductId::new("cam").unwrap(),
        hardware: HardwareId::new("rev-a").unwrap(),
        criticality: Criticality::Standard,
        sensitivity: DataSensitivity::Internal,
        segment: None,
        address: Some(address),
        installed: None,
        confirmed: None,
        state: UpdateState::Idle,
        generation: Generation(0),
        slot: None,
        report_counter: 0,
        enrolled_at: Timestamp(0),
        last_seen: None,
    }
}

fn plan_of(devices: u32) -> ShieldPlan {
    let product = Product {
        id: ProductId::new("cam").unwrap(),
        name: "Camera".to_owned(),
        boards: BTreeSet::new(),
        support_ends: Some(Timestamp(0)),
        exposure: Exposure::Open,
    };
    let address = "198.51.100.1".parse().unwrap();
    let mut policy = ShieldPolicy::new(UpdateServer { address, ports: BTreeSet::from([8443]) });
    policy.resolvers = vec!["198.51.100.2".parse().unwrap(), "2001:db8:1::2".parse().unwrap()];
    policy.time_servers = vec!["198.51.100.2".parse().unwrap()];
    // Prefixes that lie in each other, all addresses, and a comment that would like to be more.
    for (direction, peer) in [
        (Direction::ToDevice, "192.0.2.0/24"),
        (Direction::ToDevice, "192.0.2.128/25"),
        (Direction::ToDevice, "192.0.2.200"),
        (Direction::FromDevice, "0.0.0.0/0"),
        (Direction::FromDevice, "10.0.0.0/8"),
        (Direction::FromDevice, "::/0"),
    ] {
        let why = "a\" } \n ; drop \\ # ü".repeat(20);
        let peer = peer.parse().unwrap();
        let allowed = Allowed { direction, peer, protocol: Protocol::Udp, port: 5683, why };
        policy.allow(Class::SUPPORT_ENDED, allowed).unwrap();
    }
    let devices: Vec<Device> = (1..=devices).map(device).collect();
    let inputs: Vec<Protectee<'_>> = devices
        .iter()
        .map(|device| Protectee { device, product: &product, open_cases: Vec::new() })
        .collect();
    plan(&inputs, &policy, Timestamp(0))
}

/// Says loudly that a test could not run, and why; anything but a missing tool or right is a failure.
fn unless_skipped<T>(outcome: Result<T, NftError>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(error @ (NftError::Missing { .. } | NftError::NotPermitted { .. })) => {
            drop(writeln!(std::io::stderr(), "skipped: {error}"));
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn nft_accepts_what_the_shield_writes() {
    for devices in [0, 1, 3, 1_000] {
        let text = ruleset(&plan_of(devices));
        if let Some(checked) = unless_skipped(check_ruleset(&text, NftLimits::default())) {
            assert!(checked.nft_version.starts_with(|c: char| c.is_ascii_digit()), "{checked:?}");
        }
    }
}

#[test]
fn the_kernel_takes_it_in_a_rehearsal() {
    for devices in [0, 3, 1_000] {
        unless_skipped(rehearse_ruleset(&ruleset(&plan_of(devices)), NftLimits::default()));
    }
}

#[test]
fn a_second_load_replaces_the_first() {
    let (first, second) = (ruleset(&plan_of(6)), ruleset(&plan_of(3)));
    unless_skipped(rehearse_ruleset(&format!("{first}\n{second}"), NftLimits::default()));
}

#[test]
fn a_faulty_ruleset_is_refused_with_its_line() {
    let faulty = "table inet x {\n\tchain c {\n\t\tfoo bar\n\t}\n}\n";
    for outcome in
        [check_ruleset(faulty, NftLimits::default()), rehearse_ruleset(faulty, NftLimits::default())]
    {
        match outcome {
            Err(NftError::Refused { line, message }) => {
                assert!(line == 3 && !message.is_empty(), "{line} {message}");
            }
            other => assert!(unless_skipped(other).is_none(), "nft took a faulty ruleset"),
        }
    }
    let limits = NftLimits { ruleset_bytes_max: 10, ..NftLimits::default() };
    if let Err(error) = check_ruleset(faulty, limits) {
        assert!(matches!(error, NftError::TooLarge { .. } | NftError::Missing { .. }), "{error}");
    }
}
