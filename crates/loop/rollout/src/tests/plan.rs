//! Situations and the plan that each of them gives.
//!
//! In: one scene a case. Out: the plan as people read it, line by line. Refuses nothing.

use warden_model::Seconds;
use warden_model::release::ReleaseState;
use warden_model::rollout::{MaintenanceWindow, RolloutState};

use crate::testing::{Scene, id, noon, scene};

const POLICY: &str = "canary=1,early=25%,rest; success=100%; error=34%; soak=30s";

fn check(scene: &Scene, expected: &[&str]) {
    let plan = scene.plan().to_string();
    let lines: Vec<&str> = plan.lines().collect();
    assert_eq!(lines, expected, "{:#?}", scene.members);
}

fn closed(scene: &mut Scene) {
    scene.rollout.window = Some(MaintenanceWindow::new(13 * 60, 60).unwrap());
}

#[test]
fn a_draft_waits_for_a_person() {
    check(
        &scene(POLICY, ".|...").with(|s| s.rollout.state = RolloutState::Draft),
        &["wait: The rollout is a draft: a person must start it."],
    );
}

#[test]
fn only_the_running_phase_is_offered() {
    check(
        &scene(POLICY, ".|...|........"),
        &[
            "offer d1: Its turn has come in phase 1 of 3 (canary).",
            "wait until 2026-11-22T12:10:00Z: In phase 1 of 3 (canary), 0 of 1 needed devices are healthy; 1 device has still \
             to report.",
        ],
    );
}

#[test]
fn a_good_phase_soaks_and_then_the_next_one_starts() {
    let soaking = "In phase 1 of 3 (canary), everything has been good since 2026-11-22T12:00:00Z and must stay so for \
                   30 s.";
    check(
        &scene(POLICY, "H|...|........"),
        &[
            "mark good since 2026-11-22T12:00:00Z: In phase 1 of 3 (canary), 1 of 1 device is healthy, and 1 (100 %) \
             must be.",
            &format!("wait until 2026-11-22T12:00:30Z: {soaking}"),
        ],
    );
    let good = scene(POLICY, "H|...|........").with(|s| s.rollout.good_since = Some(noon()));
    check(&good.clone().later(29), &[&format!("wait until 2026-11-22T12:00:30Z: {soaking}")]);
    check(
        &good.later(31),
        &[
            "advance to phase 2: In phase 1 of 3 (canary), 1 of 1 device stayed healthy for 31 s, and 1 (100 %) must \
           be.",
        ],
    );
}

#[test]
fn a_device_that_turns_back_while_soaking_stops_the_soak_clock() {
    check(
        &scene("a=4,rest; success=100%; error=100%; soak=30s", "HHUR|.")
            .with(|s| s.rollout.good_since = Some(noon())),
        &[
            "not good any more: In phase 1 of 2 (a), 2 of 3 devices are healthy, and 3 (100 %) must be.",
            "wait until 2026-11-22T12:10:00Z: In phase 1 of 2 (a), 2 of 3 needed devices are healthy; 1 device has still to \
             report.",
        ],
    );
}

#[test]
fn one_failure_of_three_is_below_34_per_cent_and_two_are_not() {
    check(
        &scene(POLICY, "H|HHR|........").with(|s| s.rollout.good_since = Some(noon())).later(30),
        &[
            "advance to phase 3: In phase 2 of 3 (early), 2 of 2 devices stayed healthy for 30 s, and 2 (100 %) must be.",
        ],
    );
    check(
        &scene(POLICY, "H|HFR|........"),
        &["halt: In phase 2 of 3 (early), 2 of 3 devices (66.6 %) failed, and the limit is 2 (34 %)."],
    );
}

#[test]
fn a_phase_never_halts_below_one_failed_device_and_at_1_per_cent_one_is_enough() {
    let policy = "canary=1,early=25%,rest; success=100%; error=1%; soak=30s";
    check(
        &scene(policy, "H|HHH|OOOOOOOO"),
        &[
            "wait until 2026-11-22T12:10:00Z: In phase 3 of 3 (rest), 0 of 8 needed devices are healthy; 8 devices have still to \
           report.",
        ],
    );
    check(
        &scene(policy, "H|HHH|OOOOOOOR"),
        &["halt: In phase 3 of 3 (rest), 1 of 8 devices (12.5 %) failed, and the limit is 1 (1 %)."],
    );
    check(
        &scene("all=rest; error=0%", "OO"),
        &[
            "wait until 2026-11-22T12:10:00Z: In phase 1 of 1 (all), 0 of 2 needed devices are healthy; 2 devices have still to \
           report.",
        ],
    );
}

#[test]
fn a_late_failure_in_an_earlier_phase_still_halts() {
    check(
        &scene(POLICY, "R|HHH|OOOOOOOO"),
        &["halt: In phase 1 of 3 (canary), 1 of 1 device (100 %) failed, and the limit is 1 (34 %)."],
    );
}

#[test]
fn accepted_failures_do_not_halt_again_but_new_ones_do() {
    let accepted = |fleet: &str| {
        scene(POLICY, fleet).with(|s| s.rollout.failures_accepted_until = Some(noon())).later(60).with(|s| {
            for member in s.members.iter_mut().skip(1) {
                member.since = noon().plus(Seconds(50));
            }
        })
    };
    check(
        &accepted("R|...|...."),
        &[
            "advance to phase 2: In phase 1 of 3 (canary), a person accepted 1 device that failed, and nobody else is \
           left.",
        ],
    );
    check(
        &accepted("R|RRO|...."),
        &["halt: In phase 2 of 3 (early), 2 of 3 devices (66.6 %) failed, and the limit is 2 (34 %)."],
    );
    let mut lost = scene("a=3,rest; error=67%", "RRF|.").later(60);
    lost.rollout.failures_accepted_until = Some(noon());
    lost.members[2].since = noon().plus(Seconds(50));
    check(&lost, &["halt: In phase 1 of 2 (a), no device is left that can succeed, and 1 failed last."]);
}

#[test]
fn silent_devices_without_the_release_hold_nobody_up_and_those_with_it_do() {
    let old = |s: &mut Scene| s.rollout.good_since = Some(noon());
    check(
        &scene(POLICY, "H|HHO|........").with(old).later(600),
        &[
            "advance to phase 3: In phase 2 of 3 (early), 2 of 2 devices stayed healthy for 10 min, and 2 (100 %) must \
           be.",
        ],
    );
    check(
        &scene(POLICY, "H|HHI|........").later(600),
        &[
            "wait: In phase 2 of 3 (early), 2 of 3 needed devices are healthy; 1 device has still to report, 1 of them silent \
           since the release was installed.",
        ],
    );
    check(
        &scene(POLICY, "O|...|........").later(600),
        &[
            "wait: In phase 1 of 3 (canary), 0 of 1 needed devices are healthy; 1 device has still to report, 1 of them \
           unreachable.",
        ],
    );
}

#[test]
fn the_window_holds_back_all_but_the_urgent() {
    check(
        &scene(POLICY, "H|...|........").with(closed).with(|s| {
            s.rollout.phase = 1;
            s.urgent = [id("d3"), id("d9")].into();
        }),
        &[
            "offer d3: Its turn has come in phase 2 of 3 (early), and an immediate case does not wait for the window \
             at 2026-11-22T13:00:00Z.",
            "wait until 2026-11-22T12:10:00Z: In phase 2 of 3 (early), 0 of 3 needed devices are healthy; 1 device has still \
             to report.",
            "wait until 2026-11-22T13:00:00Z: The maintenance window opens at 2026-11-22T13:00:00Z, and 2 devices wait \
             for it.",
        ],
    );
}

#[test]
fn a_device_that_missed_the_window_in_an_earlier_phase_is_not_forgotten() {
    let fleet = scene("a=2,rest; success=50%; error=50%; soak=0", "H.|H");
    check(
        &fleet.clone().with(closed),
        &[
            "mark good since 2026-11-22T12:00:00Z: In phase 2 of 2 (rest), 1 of 1 device is healthy, and 1 (50 %) must \
             be.",
            "wait until 2026-11-22T13:00:00Z: The maintenance window opens at 2026-11-22T13:00:00Z, and 1 device waits \
             for it.",
        ],
    );
    check(
        &fleet,
        &[
            "offer d2: Its turn has come in phase 1 of 2 (a).",
            "mark good since 2026-11-22T12:00:00Z: In phase 2 of 2 (rest), 1 of 1 device is healthy, and 1 (50 %) must \
             be.",
            "wait until 2026-11-22T12:10:00Z: In phase 1 of 2 (a), 1 of 1 needed devices are healthy; 1 device has still to \
             report.",
        ],
    );
}

#[test]
fn the_end_waits_for_devices_at_work_but_not_for_the_silent() {
    let policy = "a=1,rest; success=50%; error=50%; soak=0";
    let good = |s: &mut Scene| s.rollout.good_since = Some(noon());
    check(
        &scene(policy, "H|HHOR").with(good),
        &[
            "wait until 2026-11-22T12:10:00Z: In phase 2 of 2 (rest), 2 of 2 needed devices are healthy; 1 device has still to \
           report.",
        ],
    );
    check(
        &scene(policy, "H|HHOR").with(good).later(600),
        &["finish as finished: All phases are done: 3 of 5 devices healthy, 1 failed, 1 without an answer."],
    );
}

#[test]
fn an_empty_phase_is_passed_by() {
    check(
        &scene("a=1,b=1,rest", "H").with(|s| s.rollout.phase = 1),
        &["advance to phase 3: There is no device in phase 2 of 3 (b)."],
    );
}

#[test]
fn a_release_that_is_not_signed_waits_and_one_that_is_withdrawn_halts() {
    check(
        &scene(POLICY, ".|...").with(|s| s.release_state = ReleaseState::Proven),
        &["wait: The release is proven, and must be signed first."],
    );
    let withdrawn = |s: &mut Scene| s.release_state = ReleaseState::Withdrawn;
    check(
        &scene(POLICY, "H|OU.").with(withdrawn),
        &[
            "cancel d2: The release is withdrawn: nobody may install it any more.",
            "cancel d3: The release is withdrawn: nobody may install it any more.",
            "halt: The release is withdrawn: nobody may install it any more.",
        ],
    );
    check(
        &scene(POLICY, "H|O..").with(withdrawn).with(|s| s.rollout.state = RolloutState::Paused),
        &[
            "cancel d2: The release is withdrawn: nobody may install it any more.",
            "wait: The rollout is paused: a person must resume it. Started.",
        ],
    );
}

#[test]
fn a_held_rollout_offers_nothing() {
    check(
        &scene(POLICY, ".|...").with(|s| s.rollout.state = RolloutState::Halted),
        &["wait: The rollout halted: a person must resume it or roll it back. Started."],
    );
}

#[test]
fn a_rollback_cancels_turns_back_and_waits_for_all() {
    let back = |s: &mut Scene| s.rollout.state = RolloutState::RollingBack;
    check(
        &scene(POLICY, "H|IBO|UR..").with(back),
        &[
            "cancel d4: The fleet goes back before the device acted. Started.",
            "cancel d5: The fleet goes back before the device acted. Started.",
            "turn back d1: The fleet goes back. Started.",
            "turn back d2: The fleet goes back. Started.",
            "turn back d3: The fleet goes back. Started.",
            "wait: Ordered back, 3 devices have still to report.",
        ],
    );
    check(
        &scene(POLICY, "V|Vv").with(back).later(600),
        &["wait: Ordered back, 1 device has still to report, 1 of them unreachable."],
    );
    check(
        &scene(POLICY, "V|VFR|C.").with(back),
        &[
            "finish as rolled-back: The fleet has gone back: 2 on order, 1 by themselves before, 1 failed, 2 never \
           touched.",
        ],
    );
}

#[test]
fn a_straggler_is_turned_back_even_after_the_rollback_ended() {
    check(
        &scene(POLICY, "V|VI").with(|s| s.rollout.state = RolloutState::RolledBack),
        &[
            "turn back d3: The fleet has gone back, and this device installed the release late.",
            "wait: Ordered back, 1 device has still to report.",
        ],
    );
    check(&scene(POLICY, "H").with(|s| s.rollout.state = RolloutState::Finished), &[]);
}
