//! A rollout told from its first turn to its last.
//!
//! In: a fleet of twelve with one device that fails its health check. Out: the steps of each turn. Refuses nothing.

use std::fmt::Write as _;

use warden_model::Seconds;
use warden_model::report::ReportPhase;
use warden_model::rollout::{MemberState, RolloutState};

use crate::testing::{Scene, report, scene};
use crate::{Command, command, on_report};

/// Lets every device with an order report, and returns the steps of the turns until nothing moves any more.
fn play(mut scene: Scene, failing: &str) -> (Scene, String) {
    let (mut story, mut actions) = (String::new(), 0);
    for _ in 0..20 {
        let turn = scene.turn(&mut actions);
        for step in &turn.steps {
            writeln!(story, "{step}").unwrap();
        }
        scene.now = turn.look_again_at.unwrap_or(scene.now).min(scene.now.plus(Seconds(30)));
        for member in &mut scene.members {
            let done = match member.state {
                MemberState::Offered if member.device.as_str() == failing => ReportPhase::RolledBack,
                MemberState::Offered => ReportPhase::Healthy,
                MemberState::Reverting => ReportPhase::RolledBack,
                _ => continue,
            };
            let report = report(member.device.as_str(), member.action.map(|a| a.0), Some(done));
            on_report(member, &report, scene.now);
        }
        let over = matches!(
            scene.rollout.state,
            RolloutState::Finished | RolloutState::Halted | RolloutState::RolledBack
        );
        if over {
            break;
        }
    }
    (scene, story)
}

fn fleet_of_twelve(error: &str) -> Scene {
    scene(&format!("canary=1,early=25%,rest; success=100%; error={error}; soak=30s"), ".|...|........")
}

#[test]
fn a_fleet_of_twelve_with_one_failing_device_ends_at_34_per_cent() {
    for failing in ["d3", "d9"] {
        let (scene, story) = play(fleet_of_twelve("34%"), failing);
        assert_eq!(scene.rollout.state, RolloutState::Finished, "{story}");
        assert_eq!(
            scene.rollout.reason,
            "All phases are done: 11 of 12 devices healthy, 1 failed, 0 without an answer."
        );
    }
}

#[test]
fn the_same_fleet_halts_at_1_per_cent_and_goes_back_when_a_person_says_so() {
    let (mut scene, story) = play(fleet_of_twelve("1%"), "d9");
    assert_eq!(scene.rollout.state, RolloutState::Halted, "{story}");
    assert_eq!(
        scene.rollout.reason,
        "In phase 3 of 3 (rest), 1 of 8 devices (12.5 %) failed, and the limit is 1 (1 %)."
    );
    command(&mut scene.rollout, Command::RollBack, "anna", scene.now).unwrap();
    let (scene, story) = play(scene, "d9");
    assert_eq!(scene.rollout.state, RolloutState::RolledBack, "{story}");
    assert_eq!(
        scene.rollout.reason,
        "The fleet has gone back: 11 on order, 1 by themselves before, 0 failed, 0 never touched."
    );
}

#[test]
fn a_halted_rollout_that_a_person_resumes_ends() {
    let (mut scene, _) = play(fleet_of_twelve("1%"), "d3");
    assert_eq!((scene.rollout.state, scene.rollout.phase), (RolloutState::Halted, 1));
    command(&mut scene.rollout, Command::Resume, "anna", scene.now).unwrap();
    let (scene, story) = play(scene, "d3");
    assert_eq!(scene.rollout.state, RolloutState::Finished, "{story}");
}

#[test]
fn a_whole_story_reads_well() {
    let (_, story) = play(scene("canary=1,rest; success=100%; error=34%; soak=30s", ".|.."), "none");
    let expected = "\
offer d1: Its turn has come in phase 1 of 2 (canary).
wait until 2026-11-22T12:10:00Z: In phase 1 of 2 (canary), 0 of 1 needed devices are healthy; 1 device has still to report.
mark good since 2026-11-22T12:00:30Z: In phase 1 of 2 (canary), 1 of 1 device is healthy, and 1 (100 %) must be.
wait until 2026-11-22T12:01:00Z: In phase 1 of 2 (canary), everything has been good since 2026-11-22T12:00:30Z and must stay so for 30 s.
advance to phase 2: In phase 1 of 2 (canary), 1 of 1 device stayed healthy for 30 s, and 1 (100 %) must be.
offer d2: Its turn has come in phase 2 of 2 (rest).
offer d3: Its turn has come in phase 2 of 2 (rest).
wait until 2026-11-22T12:11:00Z: In phase 2 of 2 (rest), 0 of 2 needed devices are healthy; 2 devices have still to report.
mark good since 2026-11-22T12:01:30Z: In phase 2 of 2 (rest), 2 of 2 devices are healthy, and 2 (100 %) must be.
wait until 2026-11-22T12:02:00Z: In phase 2 of 2 (rest), everything has been good since 2026-11-22T12:01:30Z and must stay so for 30 s.
finish as finished: All phases are done: 3 of 3 devices healthy, 0 failed, 0 without an answer.
";
    assert_eq!(story, expected);
}
