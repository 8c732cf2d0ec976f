//! Answers to "why is this device not updated?".
//!
//! In: scenes. Out: sentences. Refuses nothing.

use warden_model::rollout::{MaintenanceWindow, RolloutState};

use crate::explain;
use crate::testing::{Scene, id, scene};

fn check(scene: &Scene, device: &str, expected: &str) {
    assert_eq!(explain(&id(device), &scene.situation()), expected);
}

const POLICY: &str = "canary=1,early=25%,rest; success=100%; error=34%; soak=30s";

#[test]
fn a_device_waits_for_its_phase_its_window_or_a_person() {
    check(
        &scene(POLICY, "O|...|.."),
        "d5",
        "d5 waits for phase 3 of 3 (rest), and phase 1 of 3 (canary) runs. In phase 1 of 3 (canary), 0 of 1 needed devices \
         are healthy; 1 device has still to report.",
    );
    check(
        &scene(POLICY, ".|..."),
        "d1",
        "d1 gets its order now. Its turn has come in phase 1 of 3 (canary).",
    );
    let closed = |s: &mut Scene| s.rollout.window = Some(MaintenanceWindow::new(13 * 60, 60).unwrap());
    check(
        &scene(POLICY, ".|...").with(closed),
        "d1",
        "d1 has no order yet. The maintenance window opens at 2026-11-22T13:00:00Z, and 1 device waits for it.",
    );
    check(
        &scene(POLICY, ".|...").with(|s| s.rollout.state = RolloutState::Halted),
        "d1",
        "d1 has no order yet. The rollout halted: a person must resume it or roll it back. Started.",
    );
    check(
        &scene(POLICY, "V|.").with(|s| s.rollout.state = RolloutState::RolledBack),
        "d2",
        "d2 is not updated: rollout ro-1 went back before its turn. Started.",
    );
}

#[test]
fn a_device_with_an_order_is_at_work_or_silent() {
    check(
        &scene(POLICY, "O|.").later(90),
        "d1",
        "d1 has had order 1 for 1 min 30 s, since 2026-11-22T12:00:00Z, and has not answered.",
    );
    check(
        &scene(POLICY, "O|.").later(3_600),
        "d1",
        "d1 has had order 1 for 1 h, since 2026-11-22T12:00:00Z, and has not answered; silent for at least 10 min, it \
         counts as unreachable and holds nobody up.",
    );
    check(
        &scene(POLICY, "I|.").later(3_600),
        "d1",
        "d1 installed the release 1 h ago, and must boot it; silent for at least 10 min, it still counts.",
    );
}

#[test]
fn a_device_that_is_done_says_how() {
    check(
        &scene(POLICY, "H|."),
        "d1",
        "d1 is updated: it has reported HEALTHY on cam-1.1 since 2026-11-22T12:00:00Z.",
    );
    check(
        &scene(POLICY, "R|."),
        "d1",
        "d1 is not updated: it turned back by itself at 2026-11-22T12:00:00Z. Its state report names the cause.",
    );
    check(
        &scene(POLICY, "H|."),
        "lock-9",
        "lock-9 is not in rollout ro-1: the release did not fit it when the rollout was planned, or it came later.",
    );
}
