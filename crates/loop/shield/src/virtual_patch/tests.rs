//! Virtual patches as rules, and the advisories that have none.

use std::collections::BTreeSet;

use proptest::prelude::*;
use warden_model::AdvisoryId;
use warden_model::case::Priority;
use warden_model::purl::Purl;

use super::{
    IpsPolicy, KnownPatch, NotCoverable, VirtualPatches, Visibility, Weakness, virtual_patches, weaknesses,
};
use crate::fixture::{case, device, now, policy, product};
use crate::{
    DomainName, HttpPath, Mode, ParameterName, PatchNumber, Protectee, Template, ValueShape, lint, plan,
    rule_file,
};

fn weakness(advisory: &str, component: &str, addresses: &[&str]) -> Weakness {
    Weakness {
        advisory: AdvisoryId::new(advisory).unwrap(),
        component: Purl::new("generic", component, None),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

fn known(number: u32, advisory: &str, template: Template) -> KnownPatch {
    KnownPatch {
        number: PatchNumber::new(number).unwrap(),
        advisories: BTreeSet::from([AdvisoryId::new(advisory).unwrap()]),
        template,
        visibility: Visibility::Plaintext,
    }
}

fn injection() -> Template {
    Template::HttpCommandInjection {
        path: HttpPath::new("/cgi-bin/ping.cgi").unwrap(),
        parameter: ParameterName::new("host").unwrap(),
        shape: ValueShape::HostName,
        value_bytes_max: 253,
    }
}

fn ips(peers: &[&str]) -> IpsPolicy {
    IpsPolicy {
        peers: peers.iter().map(|p| p.parse().unwrap()).collect(),
        mode: Mode::Enforce,
        generation: 3,
    }
}

fn all_templates() -> VirtualPatches {
    let weak = [
        weakness("CVE-2099-0001", "webui", &["10.9.0.7", "2001:db8::7"]),
        weakness("CVE-2099-0002", "vendor-debug", &["10.9.0.7"]),
        weakness("GHSA-xxxx-yyyy-zzzz", "botnet", &["10.9.0.7"]),
        weakness("CVE-2099-0004", "plc", &["10.9.0.9"]),
        weakness("CVE-2099-0005", "dropbear", &["10.9.0.7", "10.9.0.8"]),
        weakness("CVE-2099-0006", "dropbear", &["10.9.0.8"]),
        weakness("CVE-2099-0007", "zlib", &["10.9.0.8"]),
    ];
    let domains = vec![DomainName::new("evil.example").unwrap(), DomainName::new("c2.example.net").unwrap()];
    let known = [
        known(100, "CVE-2099-0001", injection()),
        known(101, "CVE-2099-0002", Template::OpenPort { port: 2323 }),
        known(102, "GHSA-xxxx-yyyy-zzzz", Template::BadDomains { domains }),
        known(103, "CVE-2099-0004", Template::ModbusWrite),
    ];
    virtual_patches(&weak, &known, &ips(&["10.0.0.0/24", "2001:db8:1::/48"]))
}

#[test]
fn each_template_makes_these_rules() {
    let patches = all_templates();
    let uncovered: Vec<String> =
        patches.uncovered.iter().map(|u| format!("# {}: {}", u.advisory, u.why)).collect();
    insta::assert_snapshot!(format!("{}{}", rule_file(&patches.rules).unwrap(), uncovered.join("\n")));
}

#[test]
fn every_generated_rule_passes_the_checker() {
    for rule in all_templates().rules {
        assert_eq!(lint(&rule.text), Ok(()), "{}", rule.text);
    }
}

#[test]
fn what_no_rule_holds_off_is_said() {
    let check = |patch: Option<KnownPatch>, component: &str, devices: u32, why: NotCoverable| {
        let mut weakness = weakness("CVE-2099-0001", component, &[]);
        weakness.addresses =
            (0..devices).map(|i| std::net::Ipv4Addr::from_bits(0x0a00_0000 + i).into()).collect();
        let patches = virtual_patches(&[weakness], patch.as_slice(), &ips(&[]));
        assert_eq!(patches.rules, [], "{why}");
        assert_eq!(patches.uncovered[0].why, why);
    };
    check(None, "zlib", 1, NotCoverable::NoTemplate { component: "zlib".to_owned() });
    check(None, "dropbear", 1025, NotCoverable::TooManyDevices { devices: 1025 });
    let encrypted =
        KnownPatch { visibility: Visibility::Encrypted, ..known(100, "CVE-2099-0001", injection()) };
    check(Some(encrypted), "webui", 1, NotCoverable::Encrypted);
    let empty = known(100, "CVE-2099-0001", Template::BadDomains { domains: Vec::new() });
    check(Some(empty), "webui", 1, NotCoverable::DomainCount { domains: 0 });
}

#[test]
fn a_closed_port_works_on_encrypted_traffic_too() {
    let patch = KnownPatch {
        visibility: Visibility::Encrypted,
        ..known(100, "CVE-2099-0001", Template::OpenPort { port: 23 })
    };
    let weak = [weakness("CVE-2099-0001", "telnet", &["10.9.0.7"])];
    let patches = virtual_patches(&weak, &[patch], &ips(&[]));
    assert!(patches.rules[0].text.starts_with("drop tcp any any -> [10.9.0.7] 23 ("), "{:?}", patches.rules);
}

#[test]
fn a_shadow_rule_only_tells() {
    let policy = IpsPolicy { mode: Mode::Shadow, ..ips(&[]) };
    let patches = virtual_patches(&[weakness("CVE-1", "dropbear", &["10.9.0.7"])], &[], &policy);
    assert!(patches.rules[0].text.starts_with("alert tcp "));
}

#[test]
fn only_shielded_devices_are_named() {
    let product = product("camera", Some("2020-01-01T00:00:00Z"));
    let (seen, lost) = (device("seen", "camera", Some("10.9.0.7")), device("lost", "camera", None));
    let inputs = [&seen, &lost].map(|device| Protectee { device, product: &product, open_cases: Vec::new() });
    let plan = plan(&inputs, &policy(), now());
    let cases = ["seen", "lost"].map(|id| case(id, "CVE-2099-0001", "dropbear", Priority::Scheduled));
    let found = weaknesses(&plan, &[&cases[0], &cases[1]]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].addresses, BTreeSet::from(["10.9.0.7".parse().unwrap()]));
}

#[test]
fn a_number_given_twice_is_found_before_a_sensor_reads_it() {
    let weak = [weakness("CVE-1", "a", &["10.9.0.7"]), weakness("CVE-2", "b", &["10.9.0.7"])];
    let known = [
        known(100, "CVE-1", Template::OpenPort { port: 23 }),
        known(100, "CVE-2", Template::OpenPort { port: 24 }),
    ];
    assert!(rule_file(&virtual_patches(&weak, &known, &ips(&[])).rules).is_err());
}

#[test]
fn rule_numbers_stay_in_their_range() {
    assert!(PatchNumber::new(99).is_none() && PatchNumber::new(PatchNumber::LAST + 1).is_none());
    let last = known(PatchNumber::LAST, "CVE-1", injection());
    let patches = virtual_patches(&[weakness("CVE-1", "a", &["10.9.0.7"])], &[last], &ips(&[]));
    assert_eq!(patches.rules.last().unwrap().sid, crate::SID_LAST);
    assert!(rule_file(&patches.rules).is_ok());
}

proptest! {
    #[test]
    fn no_advisory_or_component_name_breaks_a_rule(
        advisory in "[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", component in ".{0,80}", path in "/[A-Za-z0-9/._~-]{0,199}",
        parameter in "[A-Za-z0-9._-]{1,64}",
    ) {
        let weak = [weakness(&advisory, &component, &["10.9.0.7"])];
        let template = Template::HttpCommandInjection {
            path: HttpPath::new(&path).unwrap(), parameter: ParameterName::new(&parameter).unwrap(),
            shape: ValueShape::Word, value_bytes_max: u16::MAX,
        };
        let patches = virtual_patches(&weak, &[known(100, &advisory, template)], &ips(&[]));
        prop_assert!(rule_file(&patches.rules).is_ok());
        prop_assert_eq!(patches.rules.len(), 4);
    }
}
