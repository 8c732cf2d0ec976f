//! What is usual and what is not.

use warden_model::alert::{AlertKind, Sensor};
use warden_model::{DeviceId, ProductId, Seconds, Timestamp};

use super::{Baseline, BaselineError, DESTINATIONS_PER_PRODUCT_MAX, Learned, Phase, rule_alert};
use crate::names::Names;
use crate::observed::{self, Flow, Name, NameSource, Outcome, RuleHit, Transport};

const DAY: i64 = 86_400_000;

fn product() -> ProductId {
    ProductId::new("camera").unwrap()
}

fn device() -> DeviceId {
    DeviceId::new("cam-1").unwrap()
}

fn flow(at: i64, destination: &str, port: u16) -> Flow {
    Flow {
        at: Timestamp(at),
        sensor: Sensor::Zeek,
        source: "10.9.0.7".parse().unwrap(),
        destination: destination.parse().unwrap(),
        port,
        protocol: Transport::Tcp,
        name: None,
        app: None,
        uid: "C1".to_owned(),
    }
}

fn named(at: i64, name: &str, source: NameSource) -> Flow {
    Flow { name: Some(Name { text: name.to_owned(), source }), ..flow(at, "198.51.100.7", 443) }
}

fn watching() -> Baseline {
    let mut baseline = Baseline::default();
    for usual in [flow(0, "192.168.1.1", 80), named(0, "cloud.example", NameSource::Resolved)] {
        assert_eq!(baseline.learn(&product(), &usual), Ok(Learned::New));
        assert_eq!(baseline.learn(&product(), &usual), Ok(Learned::Known));
    }
    baseline.enter(&product(), Phase::Watching, Timestamp(DAY));
    baseline
}

#[test]
fn what_the_product_did_is_usual_and_the_rest_is_not() {
    let baseline = watching();
    let check = |flow: &Flow, alert: bool| {
        assert_eq!(baseline.judge(&product(), &device(), flow).is_some(), alert, "{flow:?}");
    };
    check(&flow(DAY, "192.168.7.7", 80), false);
    check(&named(DAY, "cloud.example", NameSource::Resolved), false);
    check(&flow(DAY, "192.168.1.1", 81), true);
    check(&flow(DAY, "185.244.25.235", 80), true);
    check(&named(DAY, "evil.example", NameSource::Resolved), true);
    // Malware that claims to talk to the cloud does not get past a name that a resolver had given.
    check(&named(DAY, "cloud.example", NameSource::Claimed), true);
}

#[test]
fn an_alert_says_what_was_seen_and_what_is_usual() {
    let seen = Flow { app: Some("irc".to_owned()), ..flow(DAY, "185.244.25.235", 6667) };
    let alert = watching().judge(&product(), &device(), &seen).unwrap();
    assert_eq!(
        (alert.kind, alert.destination.as_str()),
        (AlertKind::NewDestination, "185.244.25.235:6667/tcp")
    );
    assert_eq!(
        alert.reason,
        "cam-1 called 185.244.25.235:6667/tcp (irc); no camera had ever called an internet address without a name on \
         6667/tcp: 2 destinations are usual, watched since 1970-01-02T00:00:00Z"
    );
}

#[test]
fn a_flood_of_flows_is_one_alert_a_day() {
    let baseline = watching();
    let id = |flow: &Flow| baseline.judge(&product(), &device(), flow).unwrap().id;
    let first = id(&flow(DAY, "185.244.25.235", 23));
    assert_eq!(first, id(&flow(DAY + 1_000, "185.244.25.236", 23)));
    assert_ne!(first, id(&flow(DAY, "185.244.25.235", 2323)));
    assert_ne!(first, id(&flow(2 * DAY, "185.244.25.235", 23)));
}

#[test]
fn nothing_is_judged_while_learning_and_nothing_learned_while_watching() {
    let mut baseline = Baseline::default();
    let new = flow(0, "185.244.25.235", 23);
    assert_eq!(baseline.judge(&product(), &device(), &new), None);
    baseline.learn(&product(), &flow(0, "10.0.0.1", 80)).unwrap();
    assert_eq!(baseline.judge(&product(), &device(), &new), None);
    assert!(!baseline.has_learned(&product(), Seconds::days(1), 1, Timestamp(DAY - 1)));
    assert!(!baseline.has_learned(&product(), Seconds::days(1), 2, Timestamp(DAY)));
    assert!(baseline.has_learned(&product(), Seconds::days(1), 1, Timestamp(DAY)));
    baseline.enter(&product(), Phase::Watching, Timestamp(DAY));
    assert_eq!(baseline.learn(&product(), &new), Err(BaselineError::Watching { product: product() }));
    assert!(baseline.judge(&product(), &device(), &new).is_some());
    baseline.allow(&product(), "class/internet:23/tcp".parse().unwrap(), Timestamp(DAY)).unwrap();
    assert_eq!(baseline.judge(&product(), &device(), &new), None);
}

#[test]
fn a_baseline_survives_its_list_form() {
    let baseline = watching();
    assert_eq!(Baseline::from_entries(baseline.phases(), baseline.entries()), baseline);
}

#[test]
fn a_product_without_habits_is_said() {
    let mut baseline = Baseline::default();
    let port = |n: usize| flow(0, "10.0.0.1", u16::try_from(n).unwrap());
    for n in 0..DESTINATIONS_PER_PRODUCT_MAX {
        baseline.learn(&product(), &port(n)).unwrap();
    }
    let full = baseline.learn(&product(), &port(DESTINATIONS_PER_PRODUCT_MAX));
    assert_eq!(full, Err(BaselineError::Full { product: product() }));
}

#[test]
fn a_resolver_answers_for_one_client_and_for_a_day() {
    let mut names = Names::default();
    let mut learn = |at: i64, name: &str| {
        names.learn(&observed::Names {
            at: Timestamp(at),
            client: "10.9.0.7".parse().unwrap(),
            name: name.to_owned(),
            addresses: vec!["198.51.100.7".parse().unwrap()],
        });
    };
    learn(1_000, "cloud.example");
    learn(2_000, "cdn.example");
    let check = |mut flow: Flow, name: Option<(&str, NameSource)>| {
        names.name(&mut flow);
        assert_eq!(flow.name.as_ref().map(|name| (name.text.as_str(), name.source)), name);
    };
    check(flow(3_000, "198.51.100.7", 443), Some(("cdn.example", NameSource::Resolved)));
    check(flow(3_000, "198.51.100.8", 443), None);
    check(flow(2_000 + DAY + 1_000, "198.51.100.7", 443), None);
    check(Flow { source: "10.9.0.8".parse().unwrap(), ..flow(3_000, "198.51.100.7", 443) }, None);
    let (resolved, claimed) = (NameSource::Resolved, NameSource::Claimed);
    check(named(3_000, "cloud.example", claimed), Some(("cloud.example", resolved)));
    check(named(3_000, "other.example", claimed), Some(("cdn.example", resolved)));
    check(named(2_000 + 2 * DAY, "other.example", claimed), Some(("other.example", claimed)));
}

#[test]
fn a_rule_hit_becomes_an_alert() {
    let hit = RuleHit {
        at: Timestamp(DAY),
        sensor: Sensor::Suricata,
        sid: 1_500_400,
        signature: "FW virtual patch".to_owned(),
        severity: 1,
        outcome: Outcome::Blocked,
        source: "198.51.100.1".parse().unwrap(),
        destination: "2001:db8::7".parse().unwrap(),
        port: 80,
        protocol: Transport::Tcp,
        cves: vec!["CVE-2099-0001".to_owned()],
        virtual_patches: vec!["vp-100".to_owned()],
        uid: "7".to_owned(),
    };
    let alert = rule_alert(&hit, &device()).unwrap();
    assert_eq!(
        alert.reason,
        "rule 1500400 \"FW virtual patch\" (severity 1) matched from 198.51.100.1 to [2001:db8::7]:80/tcp, which names \
         CVE-2099-0001, and the packet was dropped"
    );
    assert_eq!(alert.id, rule_alert(&RuleHit { at: Timestamp(DAY + 5), ..hit }, &device()).unwrap().id);
}
