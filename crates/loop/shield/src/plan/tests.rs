//! Who is shielded, as a table of facts.

use warden_model::Timestamp;
use warden_model::case::{Case, Priority, Protection};
use warden_model::device::{Device, UpdateState};
use warden_model::shield::ShieldReason;

use super::{Fix, OpenCase, Protectee, ShieldPlan, SkipReason, explain, plan};
use crate::Class;
use crate::fixture::{case, device, now, policy, product, release};
use crate::policy::Loopback;

fn plan_one(
    device: &Device,
    support_ends: Option<&str>,
    cases: &[(&Case, Fix)],
    now: Timestamp,
) -> ShieldPlan {
    let product = product("camera", support_ends);
    let open_cases = cases.iter().map(|(case, fix)| OpenCase { case, fix: fix.clone() }).collect();
    plan(&[Protectee { device, product: &product, open_cases }], &policy(), now)
}

fn check_case(priority: Priority, fix: Fix, expected: &Result<ShieldReason, SkipReason>) {
    let case = case("cam-1", "CVE-2099-0001", "busybox", priority);
    let device = device("cam-1", "camera", Some("10.9.0.7"));
    let plan = plan_one(&device, None, &[(&case, fix)], now());
    let shield = plan.shields.first().map(|planned| planned.shield.reason);
    let skip = plan.skipped.first().map(|skipped| skipped.reason.clone());
    assert_eq!(&shield.ok_or_else(|| skip.unwrap()), expected);
}

#[test]
fn a_case_is_shielded_while_no_fix_can_reach_the_device() {
    check_case(Priority::Immediate, Fix::Nowhere, &Ok(ShieldReason::PatchPending));
    check_case(Priority::Scheduled, Fix::Nowhere, &Ok(ShieldReason::PatchPending));
    check_case(Priority::Scheduled, Fix::Failed(release()), &Ok(ShieldReason::PatchFailed));
    check_case(Priority::Immediate, Fix::OnItsWay(release()), &Err(SkipReason::FixOnItsWay(release())));
    check_case(Priority::Immediate, Fix::Released(release()), &Err(SkipReason::FixReleased(release())));
    check_case(Priority::Defer, Fix::Nowhere, &Err(SkipReason::MayWait));
}

#[test]
fn a_fix_that_is_late_does_not_count() {
    let case = case("cam-1", "CVE-2099-0001", "busybox", Priority::Immediate);
    let device = device("cam-1", "camera", Some("10.9.0.7"));
    let late: Timestamp = "2026-11-25T08:00:00Z".parse().unwrap();
    let plan = plan_one(&device, None, &[(&case, Fix::OnItsWay(release()))], late);
    assert_eq!(plan.shields[0].shield.reason, ShieldReason::PatchPending);
    assert!(
        plan.shields[0].because.contains("was due at 2026-11-25T08:00:00Z"),
        "{}",
        plan.shields[0].because
    );
}

#[test]
fn a_device_that_turned_back_is_shielded_until_the_next_try() {
    let case = case("cam-1", "CVE-2099-0001", "busybox", Priority::Scheduled);
    let mut device = device("cam-1", "camera", Some("10.9.0.7"));
    device.state = UpdateState::RolledBack;
    let plan = plan_one(&device, None, &[(&case, Fix::Released(release()))], now());
    assert_eq!(plan.shields[0].shield.reason, ShieldReason::PatchFailed);
}

#[test]
fn the_end_of_support_outweighs_all_and_needs_no_case() {
    let device = device("cam-1", "camera", Some("::ffff:10.9.0.7"));
    let plan = plan_one(&device, Some("2026-11-22T08:00:00Z"), &[], now());
    let shield = &plan.shields[0].shield;
    assert_eq!((shield.reason, shield.class), (ShieldReason::SupportEnded, Class::SUPPORT_ENDED));
    assert_eq!(shield.address.to_string(), "10.9.0.7");
    let before = plan_one(&device, Some("2026-11-22T08:00:01Z"), &[], now());
    assert_eq!(before.skipped[0].reason, SkipReason::NoOpenCase);
}

#[test]
fn a_standing_shield_does_not_argue_itself_away() {
    let mut case = case("cam-1", "CVE-2099-0001", "busybox", Priority::Immediate);
    let device = device("cam-1", "camera", Some("10.9.0.7"));
    case.protected = Some((Protection::Shielded, now()));
    assert_eq!(plan_one(&device, None, &[(&case, Fix::Nowhere)], now()).shields.len(), 1);
    case.protected = Some((Protection::Patched, now()));
    assert_eq!(plan_one(&device, None, &[(&case, Fix::Nowhere)], now()).shields.len(), 0);
}

#[test]
fn a_device_that_cannot_be_shielded_is_said() {
    let check = |address: Option<&str>, exposed: bool| {
        let device = device("cam-1", "camera", address);
        let plan = plan_one(&device, Some("2020-01-01T00:00:00Z"), &[], now());
        let skipped = plan.skipped.first().is_some_and(|skipped| skipped.reason.leaves_exposed());
        assert_eq!(skipped, exposed, "{address:?}");
    };
    check(None, true);
    for address in ["0.0.0.0", "::", "224.0.0.251", "ff02::1", "255.255.255.255", "127.0.0.1", "::1"] {
        check(Some(address), true);
    }
    check(Some("10.9.0.7"), false);
    check(Some("2001:db8::7"), false);
}

#[test]
fn a_drill_may_use_loopback_addresses() {
    let (device, product) =
        (device("cam-1", "camera", Some("127.0.0.1")), product("camera", Some("2020-01-01T00:00:00Z")));
    let mut policy = policy();
    policy.loopback = Loopback::WriteForDrill;
    let inputs = [Protectee { device: &device, product: &product, open_cases: Vec::new() }];
    assert_eq!(plan(&inputs, &policy, now()).shields.len(), 1);
}

#[test]
fn neighbours_behind_one_address_share_the_gravest_class() {
    let (old, new) = (product("old", Some("2020-01-01T00:00:00Z")), product("new", None));
    let (a, b) = (device("a", "new", Some("10.9.0.7")), device("b", "old", Some("10.9.0.7")));
    let case = case("a", "CVE-2099-0001", "busybox", Priority::Immediate);
    let open_cases = vec![OpenCase { case: &case, fix: Fix::Nowhere }];
    let inputs = [
        Protectee { device: &b, product: &old, open_cases: Vec::new() },
        Protectee { device: &a, product: &new, open_cases },
    ];
    let plan = plan(&inputs, &policy(), now());
    let classes: Vec<Class> = plan.shields.iter().map(|planned| planned.shield.class).collect();
    assert_eq!(classes, [Class::SUPPORT_ENDED, Class::SUPPORT_ENDED]);
    assert!(plan.shields[0].because.ends_with("behind the same address, and so the same shield: b"));
    assert_eq!(plan.allowed.len(), 1);
}

#[test]
fn a_plan_can_be_told() {
    let (old, new) = (product("old-cam", Some("2026-01-01T00:00:00Z")), product("new-cam", None));
    let (a, b, c) = (
        device("a", "old-cam", Some("10.9.0.7")),
        device("b", "old-cam", None),
        device("c", "new-cam", Some("2001:db8::7")),
    );
    let inputs = [
        Protectee { device: &a, product: &old, open_cases: Vec::new() },
        Protectee { device: &c, product: &new, open_cases: Vec::new() },
        Protectee { device: &b, product: &old, open_cases: Vec::new() },
    ];
    insta::assert_snapshot!(explain(&plan(&inputs, &policy(), now())).join("\n"));
}
