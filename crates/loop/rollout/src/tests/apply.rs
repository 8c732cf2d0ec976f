//! Applying steps: once, twice, and out of date.
//!
//! In: scenes and their plans. Out: changed scenes and orders. Refuses nothing.

use warden_model::rollout::{Directive, MemberState, Order, RolloutState};
use warden_model::{ActionId, Generation};

use crate::testing::{Scene, id, noon, scene};
use crate::{Step, TurnBackReason, apply_step};

/// Applies every step of the scene's plan twice; the second time must change and order nothing.
fn check(mut scene: Scene, orders: &[(&str, Order)]) -> (Scene, Vec<Directive>) {
    let mut actions = 100;
    let mut next = || {
        actions += 1;
        ActionId(actions)
    };
    let now = scene.now;
    let mut all = Vec::new();
    for step in scene.plan().steps {
        let directives = apply_step(&mut scene.rollout, &mut scene.members, &step, now, &mut next);
        let before = scene.clone();
        assert_eq!(apply_step(&mut scene.rollout, &mut scene.members, &step, now, &mut next), [], "{step}");
        assert_eq!(scene, before, "{step}");
        all.extend(directives);
    }
    let given: Vec<(&str, Order)> = all.iter().map(|d| (d.device.as_str(), d.order)).collect();
    assert_eq!(given, orders);
    (scene, all)
}

#[test]
fn an_offer_is_an_order_with_a_new_action_and_the_next_generation() {
    let (scene, directives) =
        check(scene("all=rest", ".."), &[("d1", Order::Install), ("d2", Order::Install)]);
    let ages: Vec<(ActionId, Generation)> = directives.iter().map(|d| (d.action, d.generation)).collect();
    assert_eq!(ages, [(ActionId(101), Generation(41)), (ActionId(102), Generation(42))]);
    assert_eq!(scene.rollout.generation, Generation(42));
    assert!(scene.members.iter().all(|m| m.state == MemberState::Offered));
    assert_eq!(scene.members[0].action, Some(ActionId(101)));
}

#[test]
fn marks_advances_halts_and_ends_are_idempotent() {
    let (good, _) = check(scene("a=1,rest", "H|."), &[]);
    assert_eq!(good.rollout.good_since, Some(noon()));
    let (next, _) = check(good.later(3_600), &[]);
    assert_eq!((next.rollout.phase, next.rollout.good_since), (1, None));
    let (halted, _) = check(scene("a=1,rest", "R|."), &[]);
    assert_eq!(halted.rollout.state, RolloutState::Halted);
    assert!(halted.rollout.reason.contains("1 of 1 device (100 %) failed"), "{}", halted.rollout.reason);
    let (finished, _) = check(scene("all=rest; soak=0", "H"), &[]);
    assert_eq!(finished.rollout.state, RolloutState::Finished);
}

#[test]
fn a_cancel_has_its_own_action_and_the_member_keeps_the_one_that_is_taken_back() {
    let back = scene("all=rest", "OHC").with(|s| s.rollout.state = RolloutState::RollingBack);
    let (scene, directives) = check(back, &[("d1", Order::Cancel), ("d2", Order::TurnBack)]);
    assert_eq!(directives[0].action, ActionId(101));
    let members: Vec<_> = scene.members.iter().map(|m| (m.state, m.action.map(|a| a.0))).collect();
    assert_eq!(
        members,
        [
            (MemberState::Cancelled, Some(1)),
            (MemberState::Reverting, Some(102)),
            (MemberState::Cancelled, Some(3))
        ]
    );
}

#[test]
fn steps_that_are_out_of_date_or_about_strangers_change_nothing() {
    let mut scene = scene("a=1,b=1,rest", "O|.|.");
    let before = scene.clone();
    let turn_back = |device| Step::TurnBack { device: id(device), reason: TurnBackReason::Straggler };
    let mut steps = vec![turn_back("d1"), turn_back("stranger")];
    steps.extend(scene.plan().steps);
    let early = crate::testing::scene("all=rest", "...").plan().steps;
    steps.extend(early);
    let late = crate::testing::scene("a=1,b=1,rest; soak=0", "H|H|.").plan().steps;
    steps.extend(late.into_iter().filter(|step| matches!(step, Step::Advance { .. })));
    for step in steps {
        let mut next = || panic!("{step} must not order anything");
        let now = scene.now;
        assert_eq!(apply_step(&mut scene.rollout, &mut scene.members, &step, now, &mut next), []);
        assert_eq!(scene, before, "{step}");
    }
}
