//! Tables of wishes, orders and decisions.

use warden_kit::values::{START, digest, product, running};
use warden_model::release::{PatchJob, PatchState, Release, ReleaseState};
use warden_model::{PerMille, Seconds, Timestamp};

use super::{Coverage, Field, Readiness, failed, in_order, readiness, wants};
use crate::config::PatchConfig;
use crate::testing::release;

fn at(minutes: u64) -> Timestamp {
    START.plus(Seconds(minutes * 60))
}

fn release_of(number: u8, state: ReleaseState) -> Release {
    let made = release(&format!("cam-1.{number}"), &product("cam"), digest(number), u64::from(number));
    Release { state, ..made }
}

fn job(base: u8, devices: u64, state: PatchState) -> PatchJob {
    PatchJob {
        base: digest(base),
        base_version: format!("1.{base}").parse().unwrap(),
        result: digest(9),
        product: "cam".parse().unwrap(),
        devices,
        state,
        step: None,
        attempts: 0,
        reason: String::new(),
        wanted_at: START,
        started_at: None,
        ended_at: None,
        again_at: None,
        unused_since: None,
    }
}

fn field(counts: &[(u8, u64)]) -> Vec<(warden_model::device::Running, u64)> {
    counts.iter().map(|(number, count)| (running(*number, &format!("1.{number}")), *count)).collect()
}

#[test]
fn patches_are_wanted_from_older_versions_to_what_devices_will_get() {
    use ReleaseState::{Analysed, Rejected, Signed, Uploaded, Withdrawn};
    let check =
        |releases: &[(u8, ReleaseState)], active: &[u8], field: &Field, expected: &[(u8, u8, u64)]| {
            let releases: Vec<_> =
                releases.iter().map(|(number, state)| release_of(*number, *state)).collect();
            let active = active.iter().map(|number| format!("cam-1.{number}").parse().unwrap()).collect();
            let wanted: Vec<_> = wants(&releases, &active, field)
                .into_iter()
                .map(|want| (want.base.image.0[0], want.result.0[0], want.devices))
                .collect();
            assert_eq!(wanted, expected, "{releases:?}");
        };
    let fleet = field(&[(2, 70), (1, 20), (7, 10)]);
    // 7 is no release of ours: its devices may still be led back among the others.
    check(&[(3, Analysed)], &[], &fleet, &[(1, 3, 20), (2, 3, 70), (7, 3, 10)]);
    check(&[(3, Uploaded), (4, Rejected), (5, Withdrawn)], &[], &fleet, &[]);
    // Of the signed ones only the newest, and what a rollout brings out; never to an older one.
    let signed = [(1, Signed), (2, Signed), (3, Signed)];
    check(&signed, &[], &fleet, &[(1, 3, 20), (2, 3, 70), (7, 3, 10)]);
    check(&signed, &[2], &fleet, &[(1, 2, 20), (7, 2, 10), (1, 3, 20), (2, 3, 70), (7, 3, 10)]);
    check(&signed, &[1], &field(&[(2, 70)]), &[(2, 3, 70)]);
    let twice = vec![(running(1, "1.1"), 3), (running(1, "1.1-again"), 4)];
    check(&signed, &[], &twice, &[(1, 3, 7)]);
}

#[test]
fn most_devices_come_first_and_the_longest_wait_decides_a_tie() {
    let mut jobs = vec![
        job(1, 5, PatchState::Waiting),
        job(2, 70, PatchState::Waiting),
        job(3, 5, PatchState::Waiting),
        job(4, 900, PatchState::Built),
        job(5, 800, PatchState::Waiting),
    ];
    jobs[0].wanted_at = at(1);
    jobs[4].again_at = Some(at(10));
    let order = |now| in_order(jobs.clone(), now).iter().map(|job| job.base.0[0]).collect::<Vec<_>>();
    assert_eq!(order(at(9)), [2, 3, 1]);
    assert_eq!(order(at(10)), [5, 2, 3, 1], "what failed has its turn again");
}

#[test]
fn a_failure_is_tried_three_times_with_growing_pauses() {
    let attempt = |attempts| {
        failed(PatchJob { attempts, ..job(1, 5, PatchState::Building) }, "the disk is full", START)
    };
    assert_eq!((attempt(1).state, attempt(1).again_at), (PatchState::Waiting, Some(at(10))));
    assert_eq!(attempt(1).reason, "attempt 1 of 3 failed: the disk is full");
    assert_eq!(attempt(2).again_at, Some(at(20)));
    assert_eq!((attempt(3).state, attempt(3).again_at), (PatchState::Failed, None));
    assert_eq!(attempt(3).reason, "it could not be built in 3 attempts; the last one: the disk is full");
}

#[test]
fn a_release_waits_for_most_devices_and_not_for_ever() {
    let fleet = field(&[(2, 70), (1, 20), (3, 4), (9, 6)]);
    let check = |jobs: &[PatchJob], minutes: u64, goes: bool, words: &str| {
        let config = PatchConfig { cover: PerMille::new(800).unwrap(), ..PatchConfig::default() };
        let (went, why) = match readiness(jobs, &fleet, &config, at(minutes)) {
            Readiness::Goes(why) => (true, why),
            Readiness::Waits(why) => (false, why),
        };
        assert_eq!((went, why.contains(words)), (goes, true), "{why}");
    };
    let (wait, built) = (PatchState::Waiting, PatchState::Built);
    check(
        &[job(2, 70, wait), job(1, 20, wait)],
        0,
        false,
        "ready for 10 of 100 devices (10 %); it goes on at 80 %",
    );
    check(&[job(2, 70, built), job(1, 20, wait)], 0, true, "80 % is enough");
    check(&[job(2, 70, PatchState::Building), job(1, 20, built)], 0, false, "30 of 100");
    check(&[job(2, 70, PatchState::Building), job(1, 20, built)], 30, true, "after 30 min");
    check(&[job(2, 70, built), job(1, 20, PatchState::NoBase)], 0, true, "all patches are ready");
    // Nobody waits for what has failed once, nor for what nobody runs.
    let failing = PatchJob { again_at: Some(at(10)), ..job(2, 70, wait) };
    check(&[failing, job(5, 0, wait)], 0, true, "all patches are ready");
    check(&[], 0, true, "all patches are ready");
    let off = PatchConfig { builds: 0, ..PatchConfig::default() };
    let off = readiness(&[job(2, 70, wait)], &fleet, &off, START);
    assert!(matches!(off, Readiness::Goes(why) if why.contains("switched off")));
    let nobody = Coverage::of(&[], &[]);
    assert_eq!((nobody.devices, nobody.share()), (0, PerMille::ALL));
}
