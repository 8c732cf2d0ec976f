//! Commands of people, in every state.
//!
//! In: a state and a command. Out: the next state, or the refusal with its hint. Refuses nothing.

use warden_model::rollout::RolloutState as S;

use crate::testing::{noon, scene};
use crate::{Command as C, command};

/// Checks one command in all states: the states that it works in, and where it leads.
fn check(what: C, works_in: &[S], to: S) {
    for state in S::ALL {
        let mut rollout = scene("all=rest", "H").rollout;
        rollout.state = *state;
        let before = rollout.clone();
        match command(&mut rollout, what, "anna", noon()) {
            Ok(done) => {
                assert!(works_in.contains(state), "{what} works in {state}");
                assert_eq!((done.from, done.to, rollout.state), (*state, to, to));
                assert_eq!(rollout.reason, done.reason);
                assert_eq!(rollout.generation, before.generation, "a command orders nothing");
            }
            Err(refused) => {
                assert!(!works_in.contains(state), "{refused}");
                assert_eq!(rollout, before);
                assert!(!refused.why.is_empty() && !refused.hint.is_empty());
            }
        }
    }
}

#[test]
fn each_command_has_its_states() {
    check(C::Start, &[S::Draft], S::Running);
    check(C::Pause, &[S::Running], S::Paused);
    check(C::Halt, &[S::Running, S::Paused], S::Halted);
    check(C::Resume, &[S::Paused, S::Halted], S::Running);
    check(C::RollBack, &[S::Running, S::Paused, S::Halted, S::Finished], S::RollingBack);
}

#[test]
fn resuming_a_halted_rollout_accepts_the_failures_and_resuming_a_paused_one_does_not() {
    let resume = |state| {
        let mut rollout = scene("all=rest", "R").rollout;
        rollout.state = state;
        let done = command(&mut rollout, C::Resume, "anna\n", noon()).unwrap();
        (rollout.failures_accepted_until, done.reason)
    };
    assert_eq!(
        resume(S::Halted),
        (
            Some(noon()),
            "The rollout was resumed by anna at 2026-11-22T12:00:00Z, and the failures so far are accepted."
                .to_owned()
        )
    );
    assert_eq!(
        resume(S::Paused),
        (None, "The rollout was resumed by anna at 2026-11-22T12:00:00Z.".to_owned())
    );
}

#[test]
fn a_refusal_names_state_cause_and_next_step() {
    let mut rollout = scene("all=rest", "H").rollout;
    rollout.state = S::Finished;
    let refused = command(&mut rollout, C::Resume, "anna", noon()).unwrap_err();
    assert_eq!(refused.to_string(), "cannot resume a rollout that is finished: it is over");
    assert_eq!(refused.hint, "make a new rollout");
}
