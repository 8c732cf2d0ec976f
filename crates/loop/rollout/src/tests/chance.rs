//! Fleets by chance: whatever devices report, in whatever order, the promises hold.
//!
//! In: phases, thresholds, windows and reports from a seed. Out: nothing. Refuses: an offer beyond the phase, a second
//! offer, an advance without success and soak, a generation that does not grow, a rollout that hangs.

use std::collections::BTreeSet;

use proptest::prelude::*;
use warden_model::report::ReportPhase;
use warden_model::rollout::{Directive, MaintenanceWindow, MemberState, Order, RolloutState};
use warden_model::{Generation, Seconds};

use crate::testing::{Scene, report, scene};
use crate::{AdvanceReason, Command, Step, Turn, apply_step, command, on_progress, on_report, tallies};

/// What happens at a device or to the rollout between two turns.
#[derive(Debug, Clone)]
enum Happening {
    Report { device: usize, phase: ReportPhase, stale: bool },
    Progress { device: usize },
    Time { seconds: u64 },
    Command(Command),
}

fn happening() -> impl Strategy<Value = Happening> {
    let phase = prop::sample::select(ReportPhase::ALL);
    let commands = [Command::Pause, Command::Resume, Command::Halt, Command::RollBack];
    prop_oneof![
        12 => (0..16_usize, phase, prop::bool::weighted(0.1))
            .prop_map(|(device, phase, stale)| Happening::Report { device, phase, stale }),
        2 => (0..16_usize).prop_map(|device| Happening::Progress { device }),
        6 => (1..900_u64).prop_map(|seconds| Happening::Time { seconds }),
        1 => prop::sample::select(commands.to_vec()).prop_map(Happening::Command),
        1 => Just(Happening::Command(Command::Resume)),
    ]
}

fn fleet() -> impl Strategy<Value = Scene> {
    let window = prop::option::of((0..1440_u16, 1..=1440_u16));
    let sizes = prop::collection::vec(0..6_usize, 1..4);
    (sizes, 0..=100_u64, 0..=100_u64, 0..120_u64, window, any::<u16>()).prop_map(
        |(sizes, success, error, soak, window, urgent)| {
            let names: Vec<String> = (1..=sizes.len()).map(|n| format!("p{n}=1")).collect();
            let policy = format!("{}; success={success}%; error={error}%; soak={soak}s", names.join(","));
            let fleet: Vec<String> = sizes.iter().map(|size| ".".repeat(*size)).collect();
            let mut scene = scene(&policy, &fleet.join("|"));
            scene.rollout.window =
                window.map(|(start, length)| MaintenanceWindow::new(start, length).unwrap());
            let chosen = scene.members.iter().enumerate().filter(|(n, _)| urgent >> n & 1 == 1);
            scene.urgent = chosen.map(|(_, member)| member.device.clone()).collect::<BTreeSet<_>>();
            scene
        },
    )
}

fn happen(scene: &mut Scene, happening: &Happening) {
    match happening {
        Happening::Report { device, phase, stale } => {
            let Some(member) = scene.members.get_mut(*device) else { return };
            let action =
                member.action.map(|action| if *stale { action.0.saturating_sub(1) } else { action.0 });
            let report = report(member.device.as_str(), action, Some(*phase));
            on_report(member, &report, scene.now);
        }
        Happening::Progress { device } => {
            let Some(member) = scene.members.get_mut(*device) else { return };
            if let Some(action) = member.action {
                on_progress(member, action, scene.now);
            }
        }
        Happening::Time { seconds } => scene.now = scene.now.plus(Seconds(*seconds)),
        Happening::Command(what) => {
            // A refusal is as good as a success here: both must leave a rollout that goes on.
            command(&mut scene.rollout, *what, "chance", scene.now).ok();
        }
    }
}

/// Takes one turn and checks all that must hold for it.
fn checked_turn(scene: &mut Scene, actions: &mut u64, installs: &mut BTreeSet<String>) -> Turn {
    check_plan(scene);
    let generation = scene.rollout.generation;
    let turn = scene.turn(actions);
    check_orders(&turn.directives, generation, installs);
    for step in &turn.steps {
        assert!(!step.why().is_empty());
    }
    for member in &scene.members {
        assert!(member.state == MemberState::Waiting || member.phase <= scene.rollout.phase, "{member:?}");
    }
    let moves_on = matches!(scene.rollout.state, RolloutState::Finished | RolloutState::RolledBack);
    let ends = turn.steps.last().is_some_and(|step| matches!(step, Step::Wait { .. }));
    assert!(moves_on || ends, "a rollout that is not over says what it waits for: {:?}", turn.steps);
    let before = scene.clone();
    let again = scene.turn(actions);
    assert_eq!((&*scene, again.directives), (&before, vec![]), "the same turn again does nothing");
    turn
}

/// Checks the plan itself, and that each of its steps works only once.
fn check_plan(scene: &Scene) {
    let plan = scene.plan();
    let tallies = tallies(&scene.situation());
    let mut copy = scene.clone();
    for step in &plan.steps {
        if let Step::Advance { reason: AdvanceReason::Good { .. }, to } = step {
            let (tally, phase) = (&tallies[to - 1], &scene.rollout.phases[to - 1]);
            assert!(tally.healthy >= tally.needed(phase) && tally.healthy > 0, "{step}");
            let since = scene.rollout.good_since.unwrap_or(scene.now);
            assert!(scene.now.since(since) >= phase.soak, "{step}");
        }
        let mut next = || warden_model::ActionId(1_000_000);
        let now = scene.now;
        apply_step(&mut copy.rollout, &mut copy.members, step, now, &mut next);
        let once = copy.clone();
        assert_eq!(apply_step(&mut copy.rollout, &mut copy.members, step, now, &mut next), [], "{step}");
        assert_eq!(copy, once, "{step}");
    }
}

fn check_orders(directives: &[Directive], mut newest: Generation, installs: &mut BTreeSet<String>) {
    for directive in directives {
        assert!(directive.generation > newest, "generations grow");
        newest = directive.generation;
        if directive.order == Order::Install {
            assert!(installs.insert(directive.device.to_string()), "{} was offered twice", directive.device);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_promises_hold(mut scene in fleet(), happenings in prop::collection::vec(happening(), 0..60)) {
        let (mut actions, mut installs) = (0, BTreeSet::new());
        for happening in &happenings {
            checked_turn(&mut scene, &mut actions, &mut installs);
            happen(&mut scene, happening);
        }
    }

    #[test]
    fn a_fleet_that_answers_always_comes_to_an_end(mut scene in fleet(), failing in any::<u16>()) {
        let (mut actions, mut installs) = (0, BTreeSet::new());
        for _ in 0..40 {
            let turn = checked_turn(&mut scene, &mut actions, &mut installs);
            if matches!(scene.rollout.state, RolloutState::Finished | RolloutState::Halted) {
                return Ok(());
            }
            for n in 0..scene.members.len() {
                if scene.members[n].state == MemberState::Offered {
                    let fails = failing >> n & 1 == 1;
                    let phase = if fails { ReportPhase::RolledBack } else { ReportPhase::Healthy };
                    happen(&mut scene, &Happening::Report { device: n, phase, stale: false });
                }
            }
            scene.now = scene.now.max(turn.look_again_at.unwrap_or(scene.now)).plus(Seconds(1));
        }
        prop_assert!(false, "no end after 40 turns: {:?}", scene);
    }
}
