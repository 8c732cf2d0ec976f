//! Facts about hosts and devices.

use warden_model::scan::{ScannedHost, Tie, Unmatched};
use warden_model::{DeviceId, Timestamp};

use super::{DeviceIdentity, Directory, Held};

const DAY: i64 = 86_400_000;

fn device(id: &str, mac: &str, addresses: &[(&str, i64, i64)]) -> DeviceIdentity {
    DeviceIdentity {
        device: DeviceId::new(id).unwrap(),
        macs: mac.parse().ok().into_iter().collect(),
        certificate: format!("spiffe://fleet/device/{id}"),
        serials: [format!("sn-{id}")].into(),
        names: [id.to_owned()].into(),
        addresses: addresses
            .iter()
            .map(|(address, from, to)| Held {
                address: address.parse().unwrap(),
                from: Timestamp(from * DAY),
                to: Timestamp(to * DAY),
            })
            .collect(),
    }
}

/// What a report says: address, hardware address, name, certificate.
fn host(address: &str, mac: &str, name: &str, certificate: &str) -> ScannedHost {
    ScannedHost {
        name: "x".to_owned(),
        addresses: address.parse().ok().into_iter().collect(),
        macs: mac.parse().ok().into_iter().collect(),
        names: (!name.is_empty()).then(|| name.to_owned()).into_iter().collect(),
        certificates: (!certificate.is_empty()).then(|| certificate.to_owned()).into_iter().collect(),
        ..ScannedHost::default()
    }
}

fn fleet() -> Vec<DeviceIdentity> {
    vec![
        device("cam-1", "02:00:00:00:00:01", &[("10.0.0.1", 1, 10), ("10.0.0.9", 10, 20)]),
        device("cam-2", "02:00:00:00:00:02", &[("10.0.0.1", 12, 20)]),
        device("cam-3", "", &[("10.0.0.3", 1, 20)]),
        device("cam-4", "02:00:00:00:00:44", &[]),
        device("cam-5", "02:00:00:00:00:44", &[]),
    ]
}

#[track_caller]
fn check(host: &ScannedHost, day: i64, expected: Result<(&str, Tie), &str>) {
    let fleet = fleet();
    let span = Some((Timestamp(day * DAY), Timestamp(day * DAY + 3_600_000)));
    let found = Directory::new(&fleet).device_of(host, span);
    let told = found.map(|(device, tie)| (device.to_string(), tie)).map_err(|why| why.to_string());
    assert_eq!(
        told.as_ref().map(|(id, tie)| (id.as_str(), *tie)).map_err(String::as_str),
        expected,
        "{host:?}"
    );
}

#[test]
fn the_surest_sign_decides() {
    // The hardware address wins over an address that another device has by now, and over a foreign name.
    check(&host("10.0.0.1", "02:00:00:00:00:01", "cam-3", ""), 15, Ok(("cam-1", Tie::Mac)));
    check(&host("10.0.0.3", "", "", "spiffe://fleet/device/cam-2"), 15, Ok(("cam-2", Tie::Certificate)));
    check(&host("10.0.0.3", "", "cam-1", ""), 15, Ok(("cam-3", Tie::Address)));
    check(&host("10.9.9.9", "", "cam-1", ""), 15, Ok(("cam-1", Tie::Name)));
}

#[test]
fn an_address_is_that_of_who_had_it_then() {
    let at = host("10.0.0.1", "", "", "");
    check(&at, 5, Ok(("cam-1", Tie::Address)));
    check(&at, 15, Ok(("cam-2", Tie::Address)));
    // The last sign of life holds for a day, and no longer.
    check(&at, 0, Err("no device has its hardware address, certificate, address or name"));
    check(&at, 22, Err("no device has its hardware address, certificate, address or name"));
    // Since it was heard of elsewhere, it is no longer there, whoever else may be.
    check(&at, 11, Err("no device has its hardware address, certificate, address or name"));
    let across = ScannedHost { seen: Some((Timestamp(9 * DAY), Timestamp(13 * DAY))), ..at };
    check(&across, 9, Err("nobody had its address during the whole scan; it was that of cam-1, cam-2"));
}

#[test]
fn two_candidates_are_none() {
    check(
        &host("", "02:00:00:00:00:44", "", ""),
        15,
        Err("several devices have its hardware address: cam-4, cam-5"),
    );
    let two =
        ScannedHost { names: ["cam-1".to_owned(), "cam-2".to_owned()].into(), ..ScannedHost::default() };
    check(&two, 15, Err("several devices have its host name: cam-1, cam-2"));
    // Without any time, an address that two devices had at some time says nothing.
    let fleet = fleet();
    let found = Directory::new(&fleet).device_of(&host("10.0.0.1", "", "", ""), None);
    assert!(matches!(found, Err(Unmatched::Several { tie: Tie::Address, .. })), "{found:?}");
    let found = Directory::new(&fleet).device_of(&host("10.0.0.3", "", "", ""), None);
    assert_eq!(found.unwrap().1, Tie::Address);
}

#[test]
fn a_foreign_hardware_address_speaks_against_address_and_name() {
    let stranger = "02:00:00:00:00:99";
    check(
        &host("10.0.0.9", stranger, "", ""),
        15,
        Err("cam-1 has its address at that time, but another hardware address"),
    );
    check(&host("", stranger, "cam-2", ""), 15, Err("cam-2 has its host name, but another hardware address"));
    // A device that tells no hardware address cannot contradict; neither can a group address.
    check(&host("10.0.0.3", stranger, "", ""), 15, Ok(("cam-3", Tie::Address)));
    check(&host("10.0.0.9", "ff:ff:ff:ff:ff:ff", "", ""), 15, Ok(("cam-1", Tie::Address)));
}
