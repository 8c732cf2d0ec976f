//! Decisions as people read them: a table, and one decision in full.

use std::fmt::Write as _;

use warden_assess::{DeviceFacts, Mitigation, decide};
use warden_model::advisory::{Advisory, Automatable, Exploitation, TechnicalImpact};
use warden_model::case::Decision;
use warden_model::device::{Criticality, DataSensitivity};
use warden_model::product::Exposure;
use warden_model::{AdvisoryId, PerMille, Timestamp};

fn advisory(exploitation: Exploitation, automatable: Option<Automatable>, cvss: Option<&str>) -> Advisory {
    let now = Timestamp(0);
    Advisory {
        id: AdvisoryId::new("CVE-2022-48174").unwrap(),
        aliases: vec![],
        summary: String::new(),
        published: now,
        modified: now,
        withdrawn: None,
        cvss: cvss.map(str::to_owned),
        exploitation,
        automatable,
        technical_impact: None,
        in_kev: false,
        epss: None,
        affected: vec![],
        known_at: now,
    }
}

fn device(criticality: Criticality, exposure: Exposure, mitigation: Mitigation) -> DeviceFacts {
    DeviceFacts { criticality, sensitivity: DataSensitivity::Internal, exposure, mitigation }
}

fn now() -> Timestamp {
    "2026-11-22T08:00:00Z".parse().unwrap()
}

fn shown(decision: &Decision) -> String {
    let deadline = decision.deadline.map_or("never".to_owned(), |at| at.to_string());
    format!("{:<12} {deadline:<20} {}", decision.priority, decision.rule)
}

#[test]
fn priorities_by_criticality_exposure_and_exploitation() {
    let mut table = String::new();
    for exploitation in Exploitation::ALL {
        for exposure in Exposure::ALL {
            for criticality in Criticality::ALL {
                let advisory = advisory(*exploitation, Some(Automatable::Yes), None);
                let decision = decide(&advisory, &device(*criticality, *exposure, Mitigation::None), now());
                writeln!(table, "{exploitation:<10} {exposure:<10} {criticality:<16} {}", shown(&decision))
                    .unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn data_sensitivity_raises_what_the_work_of_the_device_does_not() {
    let advisory = advisory(Exploitation::Active, Some(Automatable::No), None);
    let mut table = String::new();
    for sensitivity in DataSensitivity::ALL {
        let facts = DeviceFacts {
            sensitivity: *sensitivity,
            ..device(Criticality::Low, Exposure::Open, Mitigation::None)
        };
        writeln!(table, "{sensitivity:<12} {}", shown(&decide(&advisory, &facts, now()))).unwrap();
    }
    insta::assert_snapshot!(table, @r"
    restricted   out-of-cycle 2026-12-06T08:00:00Z ssvc-deployer-1.0.0/row-65
    confidential scheduled    2027-01-21T08:00:00Z ssvc-deployer-1.0.0/row-64
    internal     scheduled    2027-01-21T08:00:00Z ssvc-deployer-1.0.0/row-64
    public       scheduled    2027-01-21T08:00:00Z ssvc-deployer-1.0.0/row-64
    ");
}

fn factors(advisory: &Advisory, facts: DeviceFacts) -> String {
    let decision = decide(advisory, &facts, now());
    let lines = decision.factors.iter().map(|f| format!("{}: {} - {}", f.name, f.value, f.because));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_factor_says_why() {
    let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P";
    let advisory_with_vector = advisory(Exploitation::None, None, Some(vector));
    let shielded = device(Criticality::SafetyCritical, Exposure::Open, Mitigation::Verified);
    insta::assert_snapshot!(factors(&advisory_with_vector, shielded), @r"
    exploitation: public-poc - Metric E of the CVSS vector of CVE-2022-48174 says so.
    system exposure: controlled - It is open, a step lower because the shield of the device was verified.
    automatable: yes - The CVSS vector needs no effort, no rights and no victim's help over the network.
    human impact: very high - Safety impact critical and mission impact mission failure make it so.
    safety impact: critical - The device is of criticality safety-critical.
    mission impact: mission failure - The device is of criticality safety-critical.
    technical impact: total - By the CVSS vector confidentiality, integrity and availability are all lost.
    in kev: no - Nothing says that CVE-2022-48174 is in CISA's catalogue.
    ssvc deployer: out-of-cycle - ssvc-deployer-1.0.0/row-39 of the SSVC says so.
    bod 26-04 timeline: 60 days - cisa-bod-26-04-1.0.0/row-10 of CISA says so.
    ");
    let bare = advisory(Exploitation::None, None, None);
    let local = DeviceFacts {
        sensitivity: DataSensitivity::Restricted,
        ..device(Criticality::Low, Exposure::Small, Mitigation::None)
    };
    insta::assert_snapshot!(factors(&bare, local), @r"
    exploitation: none - Nothing is known of an exploit for CVE-2022-48174.
    system exposure: small - The product's devices stand in such a place.
    automatable: no - Neither CVE-2022-48174 nor a CVSS vector says more.
    human impact: medium - Safety impact negligible and mission impact mef failure make it so.
    safety impact: negligible - The device is of criticality low.
    mission impact: mef failure - The device's data is restricted, which weighs more than its work.
    technical impact: partial - Neither CVE-2022-48174 nor a CVSS vector says more.
    in kev: no - Nothing says that CVE-2022-48174 is in CISA's catalogue.
    ssvc deployer: defer - ssvc-deployer-1.0.0/row-1 of the SSVC says so.
    bod 26-04 timeline: fix on system upgrade - cisa-bod-26-04-1.0.0/row-0 of CISA says so.
    ");
}

#[test]
fn the_stricter_of_both_tables_counts() {
    let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    let decide = |advisory: &Advisory, exposure, mitigation| {
        decide(advisory, &device(Criticality::Low, exposure, mitigation), now()).rule
    };
    let plain = advisory(Exploitation::None, None, Some(vector));
    let known = Advisory { in_kev: true, ..plain.clone() };
    let likely = Advisory { epss: Some(PerMille::new(100).unwrap()), ..plain.clone() };
    let partial = Advisory { technical_impact: Some(TechnicalImpact::Partial), ..known.clone() };
    let rules = [
        decide(&plain, Exposure::Open, Mitigation::None),
        decide(&plain, Exposure::Open, Mitigation::Verified),
        decide(&known, Exposure::Open, Mitigation::None),
        decide(&known, Exposure::Small, Mitigation::None),
        decide(&partial, Exposure::Small, Mitigation::None),
        decide(&likely, Exposure::Controlled, Mitigation::None),
    ];
    insta::assert_snapshot!(rules.join("\n"), @r"
    cisa-bod-26-04-1.0.0/row-14
    ssvc-deployer-1.0.0/row-12
    cisa-bod-26-04-1.0.0/row-15
    cisa-bod-26-04-1.0.0/row-13
    cisa-bod-26-04-1.0.0/row-6
    ssvc-deployer-1.0.0/row-36
    ");
}
