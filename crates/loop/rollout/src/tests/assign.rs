//! Who belongs to which phase.
//!
//! In: candidates. Out: phases and reasons. Refuses nothing.

use std::collections::BTreeSet;

use warden_model::case::Priority;
use warden_model::device::Criticality as C;
use warden_model::product::{Exposure, Product};
use warden_model::release::{Release, ReleaseState};
use warden_model::rollout::MemberState;
use warden_model::{Generation, HardwareId, ProductId, ReleaseId, RolloutId, Timestamp};

use crate::testing::{candidate, noon, running};
use crate::{
    Candidate, Compatible, LeftOut, NoPhases, Opening, Policy, assign, compatibility, open, parse_phases,
};

fn policy(text: &str) -> Policy {
    Policy::new(parse_phases(text).unwrap(), None)
}

/// Checks the phases, for the candidates in their order and in the reverse order.
fn check(mut candidates: Vec<Candidate>, text: &str, expected: &[&str]) {
    let assignment = assign(&candidates, &policy(text));
    let phases: Vec<String> = (0..policy(text).phases.len())
        .map(|phase| {
            let members = assignment.members.iter().filter(|m| m.phase == phase);
            members.map(|m| m.device.as_str()).collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(phases, expected, "{assignment:#?}");
    candidates.reverse();
    assert_eq!(assign(&candidates, &policy(text)), assignment, "the order of the input does not matter");
}

fn fleet() -> Vec<Candidate> {
    vec![
        candidate("a", C::SafetyCritical, Some(Priority::Immediate), "1.0"),
        candidate("b", C::Low, Some(Priority::Scheduled), "1.0"),
        candidate("c", C::Low, None, "1.0"),
        candidate("d", C::Standard, Some(Priority::Immediate), "0.9"),
        candidate("e", C::MissionCritical, Some(Priority::Scheduled), "1.0"),
        candidate("f", C::Standard, None, "1.0"),
        candidate("g", C::SafetyCritical, None, "0.8"),
    ]
}

#[test]
fn the_canary_has_the_least_at_stake_and_the_rest_goes_by_urgency() {
    check(fleet(), "canary=1,early=25%,rest", &["c", "a d", "e b g f"]);
}

#[test]
fn canaries_come_from_different_versions_but_never_at_the_price_of_safety() {
    check(fleet(), "canary=2,rest", &["c d", "a e b g f"]);
    check(fleet(), "canary=3,rest", &["c d b", "a e g f"]);
    check(fleet(), "canary=6,rest", &["c d b f e g", "a"]);
}

#[test]
fn a_single_phase_goes_by_urgency() {
    check(fleet(), "all=rest", &["a d e b g f c"]);
}

#[test]
fn sizes_count_from_the_whole_fleet_are_rounded_up_and_never_exceed_it() {
    check(fleet(), "canary=1%,most=90%,rest", &["c", "a d e b g f", ""]);
    check(vec![], "canary=1,rest", &["", ""]);
}

#[test]
fn every_member_says_why_it_is_in_its_phase() {
    let assignment = assign(&fleet(), &policy("canary=1,rest"));
    let because: Vec<&str> = assignment.members.iter().take(2).map(|m| m.because.as_str()).collect();
    assert_eq!(
        because,
        [
            "In phase 1 of 2 (canary), because little is at stake on it (criticality low) and it runs 1.0.",
            "In phase 2 of 2 (rest), because its most urgent case is immediate and its criticality is \
             safety-critical.",
        ]
    );
}

#[test]
fn every_device_that_is_left_out_has_its_reason() {
    let mut candidates = fleet();
    candidates[0].compatible = Compatible::AlreadyRuns { running: running("1.1") };
    candidates[1].compatible = Compatible::SupportEnded { ended: noon() };
    candidates.push(candidates[6].clone());
    let assignment = assign(&candidates, &policy("canary=1,second=2"));
    let left_out: Vec<String> =
        assignment.left_out.iter().map(|(device, why)| format!("{device}: {why}")).collect();
    assert_eq!(
        left_out,
        [
            "a: It runs 1.1 already.",
            "b: Support ended at 2026-11-22T12:00:00Z: it must be shielded instead.",
            "f: The phases take only 3 of 5 devices; end them with \"rest\".",
            "g: It was listed twice, and the first entry counts.",
            "g: The phases take only 3 of 5 devices; end them with \"rest\".",
        ]
    );
    assert_eq!(assignment.left_out[3].1, LeftOut::ListedTwice);
}

fn device(change: impl FnOnce(&mut warden_model::device::Device)) -> warden_model::device::Device {
    let mut device = warden_model::device::Device {
        id: crate::testing::id("cam-1"),
        product: ProductId::new("cam").unwrap(),
        hardware: HardwareId::new("rev-b").unwrap(),
        criticality: C::Standard,
        sensitivity: warden_model::device::DataSensitivity::Internal,
        segment: None,
        address: None,
        installed: None,
        confirmed: Some(running("1.0")),
        state: warden_model::device::UpdateState::Idle,
        generation: Generation(0),
        slot: None,
        report_counter: 0,
        enrolled_at: noon(),
        last_seen: None,
    };
    change(&mut device);
    device
}

#[test]
fn compatibility_looks_at_product_board_version_and_support() {
    let check = |device, ends: Option<Timestamp>, confirmed_counter, expected: &str| {
        let product = Product {
            id: ProductId::new("cam").unwrap(),
            name: "Camera".to_owned(),
            boards: BTreeSet::from([HardwareId::new("rev-b").unwrap(), HardwareId::new("rev-c").unwrap()]),
            support_ends: ends,
            exposure: Exposure::Small,
        };
        let release = Release {
            id: ReleaseId::new("cam-1.1").unwrap(),
            product: ProductId::new("cam").unwrap(),
            version: running("1.1").version,
            image: running("1.1").image,
            counter: 5,
            state: ReleaseState::Signed,
            reason: String::new(),
            created_at: noon(),
        };
        let found = compatibility(&device, &product, &release, confirmed_counter, noon());
        assert_eq!(found.to_string(), expected);
    };
    check(device(|_| {}), None, Some(4), "The release fits the device.");
    check(device(|d| d.confirmed = None), None, None, "The release fits the device.");
    let other = device(|d| d.product = ProductId::new("lock").unwrap());
    check(other, None, None, "It is a lock, and the release is for cam.");
    let old_board = device(|d| d.hardware = HardwareId::new("rev-a").unwrap());
    check(old_board, None, None, "Its board is rev-a, and the release runs on rev-b, rev-c.");
    check(device(|d| d.confirmed = Some(running("1.1"))), None, None, "It runs 1.1 already.");
    check(
        device(|d| d.confirmed = Some(running("2.0"))),
        None,
        Some(6),
        "It has confirmed 2.0, which is newer.",
    );
    let ended = "Support ended at 2026-11-22T12:00:00Z: it must be shielded instead.";
    check(device(|_| {}), Some(noon()), None, ended);
}

#[test]
fn a_rollout_opens_as_a_draft_and_counts_on_from_the_newest_generation() {
    let opening = || Opening {
        id: RolloutId::new("ro-1").unwrap(),
        release: ReleaseId::new("cam-1.1").unwrap(),
        newest_generation: Generation(17),
    };
    let assignment = assign(&fleet(), &Policy::canary());
    let (rollout, members) = open(opening(), &assignment, &Policy::canary(), noon()).unwrap();
    assert_eq!(rollout.reason, "Planned for 7 devices in 3 phases.");
    assert_eq!(rollout.generation, Generation(17));
    assert!(members.iter().all(|m| m.state == MemberState::Waiting && m.action.is_none()));
    assert_eq!(open(opening(), &assignment, &Policy::new(vec![], None), noon()), Err(NoPhases));
}

#[test]
fn a_hundred_thousand_devices_are_assigned_and_offered_in_one_go() {
    let candidates: Vec<Candidate> = (0..100_000)
        .map(|n| candidate(&format!("d{n}"), C::ALL[n % 4], None, ["1.0", "0.9", "0.8"][n % 3]))
        .collect();
    let assignment = assign(&candidates, &policy("canary=1,rest"));
    assert_eq!(assignment.members.len(), 100_000);
    let opening = Opening {
        id: RolloutId::new("ro-1").unwrap(),
        release: ReleaseId::new("cam-1.1").unwrap(),
        newest_generation: Generation(0),
    };
    let (rollout, members) = open(opening, &assignment, &policy("all=rest"), noon()).unwrap();
    let mut scene = crate::testing::scene("all=rest", "");
    scene.rollout = rollout;
    scene.members = members;
    for member in &mut scene.members {
        member.phase = 0;
    }
    scene.rollout.state = warden_model::rollout::RolloutState::Running;
    assert_eq!(scene.turn(&mut 0).directives.len(), 100_000);
}
