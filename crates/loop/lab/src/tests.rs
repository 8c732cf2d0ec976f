//! Plans, judgements and verdicts, as tables.

use warden_model::device::{Running, Slot};
use warden_model::firmware::Version;
use warden_model::release::{Release, ReleaseState};
use warden_model::report::{Cause, ReportPhase};
use warden_model::{ProductId, ReleaseId, Seconds, Sha256Digest, Timestamp};

use crate::{
    FieldVersion, Intact, Nothing, Observation, Outcome, Plan, Scenario, ScenarioKind, ScenarioVerdict,
    judge, scenarios, verdict,
};

fn running(image: u8, version: &str) -> Running {
    Running { image: Sha256Digest([image; 32]), version: Version::new(version).unwrap() }
}

fn in_field(image: u8, version: &str, devices: u64) -> FieldVersion {
    let Running { image, version } = running(image, version);
    FieldVersion { image, version, devices }
}

fn release() -> Release {
    let Running { image, version } = running(0x11, "1.1");
    Release {
        id: ReleaseId::new("camera-1.1").unwrap(),
        product: ProductId::new("camera").unwrap(),
        version,
        image,
        counter: 2,
        state: ReleaseState::Built,
        reason: "patches are built".to_owned(),
        created_at: Timestamp(0),
    }
}

fn planned(field: &[FieldVersion]) -> Vec<Scenario> {
    match scenarios(&release(), field) {
        Plan::Run(scenarios) => scenarios,
        Plan::NothingInField { nothing, .. } => panic!("{nothing}"),
    }
}

fn check_plan(field: &[FieldVersion], expected: &[&str]) {
    let lines: Vec<String> = planned(field).iter().map(|s| format!("{}: {}", s.id, s.why)).collect();
    assert_eq!(lines, expected);
}

#[test]
fn every_version_in_the_field_is_upgraded_and_the_most_common_one_fails_too() {
    check_plan(
        &[in_field(0x09, "0.9", 1), in_field(0x10, "1.0", 40), in_field(0x08, "0.8", 3)],
        &[
            "upgrade-from-1.0-101010101010: 1.0 runs on 40 devices that will be offered 1.1",
            "upgrade-from-0.8-080808080808: 0.8 runs on 3 devices that will be offered 1.1",
            "upgrade-from-0.9-090909090909: 0.9 runs on 1 device that will be offered 1.1",
            "forced-health-failure-from-1.0-101010101010: 1.0 runs on most devices (40 devices): they must come back to \
             it when 1.1 is not healthy",
            "forced-boot-failure-from-1.0-101010101010: 1.0 runs on most devices (40 devices): they must come back to \
             it when 1.1 dies after its start",
        ],
    );
}

fn sources(field: &[FieldVersion]) -> Vec<(String, u64)> {
    planned(field)
        .into_iter()
        .filter(|scenario| scenario.kind == ScenarioKind::Upgrade)
        .map(|scenario| (scenario.from.version.to_string(), scenario.from.devices))
        .collect()
}

#[test]
fn the_field_is_counted_by_image() {
    let check = |field: &[FieldVersion], expected: &[(&str, u64)]| {
        let expected: Vec<(String, u64)> = expected.iter().map(|(v, n)| ((*v).to_owned(), *n)).collect();
        assert_eq!(sources(field), expected);
        let reversed: Vec<FieldVersion> = field.iter().rev().cloned().collect();
        assert_eq!(planned(field), planned(&reversed), "the order of the input has no say");
    };
    check(
        &[in_field(0x10, "1.0", 2), in_field(0x09, "0.9", 3), in_field(0x10, "1.0", 2)],
        &[("1.0", 4), ("0.9", 3)],
    );
    check(&[in_field(0x10, "1.0", 2), in_field(0x10, "1.0-b", 2)], &[("1.0", 4)]);
    check(&[in_field(0x10, "1.0", 2), in_field(0x09, "0.9", 0)], &[("1.0", 2)]);
    check(&[in_field(0x10, "1.0", 2), in_field(0x11, "1.1", 50)], &[("1.0", 2)]);
    check(&[in_field(0x10, "1.0", 5), in_field(0x09, "0.9", 5)], &[("0.9", 5), ("1.0", 5)]);
    // The same version text on another image is another firmware: somebody has built it twice.
    check(&[in_field(0x12, "1.1", 1)], &[("1.1", 1)]);
    check(&[in_field(0x10, "1.0", u64::MAX), in_field(0x10, "1.0", 1)], &[("1.0", u64::MAX)]);
}

#[test]
fn an_empty_field_is_told_as_data_and_passes_with_that_reason() {
    let check = |field: &[FieldVersion], expected: Nothing, reason: &str| {
        let plan = scenarios(&release(), field);
        assert_eq!(plan, Plan::NothingInField { release: running(0x11, "1.1"), nothing: expected });
        let verdict = plan.verdict(&[]);
        assert_eq!((verdict.outcome, verdict.reason.as_str()), (Outcome::Passed, reason));
    };
    let none = "nothing to prove: no device in the field has reported a firmware to upgrade from";
    check(&[], Nothing::NoDevices, none);
    check(&[in_field(0x10, "1.0", 0)], Nothing::NoDevices, none);
    check(
        &[in_field(0x11, "1.1", 7)],
        Nothing::AllRunIt { devices: 7 },
        "nothing to prove: all 7 devices in the field run the release already",
    );
}

fn scenario(kind: ScenarioKind) -> Scenario {
    planned(&[in_field(0x10, "1.0", 5)]).into_iter().find(|scenario| scenario.kind == kind).unwrap()
}

fn good(kind: ScenarioKind) -> Observation {
    let (old, new) = (running(0x10, "1.0"), running(0x11, "1.1"));
    let turned_back = |cause, phases: &[ReportPhase]| Observation {
        phases: phases.to_vec(),
        cause: Some(cause),
        running: old.clone(),
        confirmed: old.clone(),
        slot: Slot::A,
        other_slot_intact: Intact::Yes,
        took: Seconds(20),
        problem: None,
    };
    match kind {
        ScenarioKind::Upgrade => Observation {
            cause: None,
            running: new.clone(),
            confirmed: new,
            slot: Slot::B,
            ..turned_back(
                Cause::Ordered,
                &[ReportPhase::Installed, ReportPhase::Booted, ReportPhase::Healthy],
            )
        },
        ScenarioKind::ForcedHealthFailure => turned_back(
            Cause::HealthCheckFailed,
            &[ReportPhase::Installed, ReportPhase::Booted, ReportPhase::RolledBack],
        ),
        ScenarioKind::ForcedBootFailure => {
            turned_back(Cause::BootFailed, &[ReportPhase::Installed, ReportPhase::RolledBack])
        }
    }
}

/// Judges a good observation with one change; `expected` are the checks that must fail.
fn check_judge(kind: ScenarioKind, change: impl Fn(&mut Observation), expected: &[&str]) {
    let mut observation = good(kind);
    change(&mut observation);
    let ScenarioVerdict { passed, checks } = judge(&scenario(kind), &observation);
    let failed: Vec<&str> =
        checks.iter().filter(|check| check.outcome == Outcome::Failed).map(|check| check.name).collect();
    assert_eq!(failed, expected, "{kind}: {checks:#?}");
    assert_eq!(passed == Outcome::Passed, expected.is_empty());
}

use ScenarioKind::{ForcedBootFailure, ForcedHealthFailure, Upgrade};

use ReportPhase::{Booted, Failed, Healthy, Installed, RolledBack};

#[test]
fn an_upgrade_must_be_installed_booted_and_healthy_in_this_order() {
    let check = |phases: &[ReportPhase], expected: &[&str]| {
        check_judge(ScenarioKind::Upgrade, |seen| seen.phases = phases.to_vec(), expected);
    };
    check(&[Installed, Booted, Healthy], &[]);
    check(&[Installed, Installed, Booted, Healthy, Healthy], &[]);
    check(&[], &["phases"]);
    check(&[Healthy], &["phases"]);
    check(&[Installed, Booted], &["phases"]);
    check(&[Installed, Healthy], &["phases"]);
    check(&[Booted, Installed, Healthy], &["phases"]);
    check(&[Installed, Booted, Healthy, RolledBack], &["phases"]);
    check(&[Failed, Installed, Booted, Healthy], &["phases"]);
    check(&[Installed, Booted, Booted, Installed, Booted, Healthy], &["phases"]);
}

#[test]
fn an_upgrade_must_end_on_the_confirmed_target_with_a_way_back() {
    let check = |change: fn(&mut Observation), expected: &[&str]| {
        check_judge(ScenarioKind::Upgrade, change, expected);
    };
    check(|_| {}, &[]);
    check(|seen| seen.running = running(0x10, "1.0"), &["running image"]);
    check(|seen| seen.running = running(0x11, "1.0"), &["running image"]);
    check(|seen| seen.confirmed = running(0x10, "1.0"), &["confirmed image"]);
    check(|seen| seen.slot = Slot::A, &["slot"]);
    check(|seen| seen.other_slot_intact = Intact::No, &["way back"]);
    check(|seen| seen.other_slot_intact = Intact::Unknown, &["way back"]);
    check(|seen| seen.cause = Some(Cause::Ordered), &["cause"]);
    check(|seen| seen.took = Seconds(300), &[]);
    check(|seen| seen.took = Seconds(301), &["time"]);
}

#[test]
fn a_device_that_did_not_run_has_proven_nothing() {
    for kind in ScenarioKind::ALL {
        check_judge(
            *kind,
            |seen| seen.problem = Some("no room for the slots".to_owned()),
            &["virtual device"],
        );
    }
}

#[test]
fn a_forced_failure_must_end_on_the_old_image_with_its_cause() {
    let health = |change: fn(&mut Observation), expected: &[&str]| {
        check_judge(ScenarioKind::ForcedHealthFailure, change, expected);
    };
    health(|_| {}, &[]);
    health(|seen| seen.cause = Some(Cause::HealthCheckTimedOut), &[]);
    health(|seen| seen.cause = None, &["cause"]);
    health(|seen| seen.cause = Some(Cause::WrongBytes), &["cause"]);
    health(|seen| seen.phases = vec![Installed, Booted, Healthy, RolledBack], &["never healthy"]);
    health(|seen| seen.phases = vec![Installed, Booted, Healthy], &["phases", "never healthy"]);
    health(|seen| seen.phases = vec![Failed], &["phases"]);
    health(|seen| seen.phases = vec![RolledBack], &["phases"]);
    health(|seen| seen.phases = Vec::new(), &["phases"]);
    health(|seen| seen.running = running(0x11, "1.1"), &["running image"]);
    health(|seen| seen.confirmed = running(0x11, "1.1"), &["confirmed image"]);
    health(|seen| seen.slot = Slot::B, &["slot"]);
    health(|seen| seen.other_slot_intact = Intact::No, &[]);
    health(|seen| seen.took = Seconds(601), &["time"]);
    let boot = |change: fn(&mut Observation), expected: &[&str]| {
        check_judge(ScenarioKind::ForcedBootFailure, change, expected);
    };
    boot(|_| {}, &[]);
    boot(|seen| seen.phases = vec![Installed, Booted, Booted, RolledBack], &[]);
    boot(|seen| seen.cause = Some(Cause::HealthCheckFailed), &["cause"]);
}

fn runs(changes: &[(ScenarioKind, Option<&str>)]) -> Vec<(Scenario, ScenarioVerdict)> {
    let run = |(kind, problem): &(ScenarioKind, Option<&str>)| {
        let observation = Observation { problem: problem.map(str::to_owned), ..good(*kind) };
        let scenario = scenario(*kind);
        let verdict = judge(&scenario, &observation);
        (scenario, verdict)
    };
    changes.iter().map(run).collect()
}

#[test]
fn the_verdict_says_why() {
    let check = |changes: &[(ScenarioKind, Option<&str>)], outcome: Outcome, alone: &str, planned: &str| {
        let runs = runs(changes);
        let plan = scenarios(&release(), &[in_field(0x10, "1.0", 5)]);
        assert_eq!(verdict(&runs).reason, alone);
        let verdict = plan.verdict(&runs);
        assert_eq!((verdict.outcome, verdict.reason.as_str()), (outcome, planned));
    };
    let all = "upgraded from 1 version, turned back after 2 forced failures";
    check(
        &[(Upgrade, None), (ForcedHealthFailure, None), (ForcedBootFailure, None)],
        Outcome::Passed,
        all,
        all,
    );
    check(
        &[],
        Outcome::Failed,
        "no scenario has run: nothing is proven",
        "3 of 3 scenarios have not run, first upgrade-from-1.0-101010101010",
    );
    check(
        &[(Upgrade, None), (ForcedBootFailure, None)],
        Outcome::Failed,
        "upgraded from 1 version, turned back after 1 forced failure",
        "1 of 3 scenarios have not run, first forced-health-failure-from-1.0-101010101010",
    );
    let failed = "1 of 2 scenarios failed: upgrade-from-1.0-101010101010 (virtual device: expected it runs, saw no room)";
    check(&[(ForcedHealthFailure, None), (Upgrade, Some("no room"))], Outcome::Failed, failed, failed);
    let again =
        "1 of 4 scenarios failed: upgrade-from-1.0-101010101010 (virtual device: expected it runs, saw lost)";
    let flaky =
        [(Upgrade, Some("lost")), (Upgrade, None), (ForcedHealthFailure, None), (ForcedBootFailure, None)];
    check(&flaky, Outcome::Failed, again, again);
}

#[test]
fn a_failed_verdict_stays_short() {
    let verdict = verdict(&runs(&[(ScenarioKind::Upgrade, Some("lost")); 9]));
    assert_eq!(verdict.outcome, Outcome::Failed);
    assert!(verdict.reason.starts_with("9 of 9 scenarios failed: "));
    assert!(verdict.reason.ends_with("; and 6 more"), "{}", verdict.reason);
}

#[test]
fn checks_read_like_sentences() {
    let mut seen = good(ScenarioKind::ForcedHealthFailure);
    seen.phases = vec![Installed, Booted, Healthy];
    let lines: Vec<String> = judge(&scenario(ScenarioKind::ForcedHealthFailure), &seen)
        .checks
        .iter()
        .map(|check| {
            format!("{} {}: expected {}, saw {}", check.outcome, check.name, check.expected, check.saw)
        })
        .collect();
    let expected = [
        "failed phases: expected INSTALLED first, ROLLED_BACK last, no FAILED, saw INSTALLED → BOOTED → HEALTHY",
        "failed never healthy: expected no HEALTHY, saw INSTALLED → BOOTED → HEALTHY",
        "passed cause: expected health-check-failed or health-check-timed-out, saw health-check-failed",
        "passed running image: expected 1.0 (101010101010), saw 1.0 (101010101010)",
        "passed confirmed image: expected 1.0 (101010101010), saw 1.0 (101010101010)",
        "passed slot: expected a, saw a",
        "passed time: expected at most 10 min, saw 20 s",
    ];
    assert_eq!(lines, expected);
    let many = Observation { phases: [Installed, Booted].repeat(20), ..good(ScenarioKind::Upgrade) };
    let phases = &judge(&scenario(ScenarioKind::Upgrade), &many).checks[0].saw;
    assert!(phases.ends_with("→ 28 more"), "{phases}");
}
