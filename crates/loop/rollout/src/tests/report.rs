//! Reports and where they move a member.
//!
//! In: a state and a report. Out: the next state, or why not. Refuses nothing.

use warden_model::report::{Cause, ReportPhase as P, StateReport};
use warden_model::rollout::{Member, MemberState as S};
use warden_model::{ActionId, Seconds};

use crate::testing::{id, noon, report};
use crate::{Ignored, ReportOutcome, on_progress, on_report};

fn member(state: S) -> Member {
    Member { device: id("cam-1"), phase: 0, state, since: noon(), action: Some(ActionId(7)) }
}

fn check(state: S, reported: P, expected: S) {
    let mut member = member(state);
    let later = noon().plus(Seconds(5));
    let outcome = on_report(&mut member, &report("cam-1", Some(7), Some(reported)), later);
    assert_eq!(member.state, expected, "{state} and {reported}: {outcome}");
    assert_eq!(member.since, if state == expected { noon() } else { later }, "the server's clock counts");
    assert_eq!(matches!(outcome, ReportOutcome::Moved { .. }), state != expected, "{outcome}");
    // The same report again is harmless.
    let before = member.clone();
    let again = on_report(&mut member, &report("cam-1", Some(7), Some(reported)), later.plus(Seconds(5)));
    assert_eq!(member, before);
    assert!(matches!(again, ReportOutcome::Ignored(_)), "{again}");
}

#[test]
fn a_device_moves_forward_and_may_skip() {
    check(S::Offered, P::Installed, S::Installed);
    check(S::Updating, P::Healthy, S::Healthy);
    check(S::Installed, P::Booted, S::Booted);
    check(S::Booted, P::Healthy, S::Healthy);
    check(S::Updating, P::Failed, S::Failed);
    check(S::Booted, P::RolledBack, S::RolledBack);
    check(S::Healthy, P::RolledBack, S::RolledBack);
}

#[test]
fn late_reports_change_nothing() {
    check(S::Healthy, P::Booted, S::Healthy);
    check(S::Healthy, P::Failed, S::Healthy);
    check(S::Booted, P::Installed, S::Booted);
    check(S::RolledBack, P::Healthy, S::RolledBack);
    check(S::Failed, P::Installed, S::Failed);
    check(S::Reverted, P::Healthy, S::Reverted);
    check(S::Waiting, P::Healthy, S::Waiting);
}

#[test]
fn a_device_that_was_ordered_back_is_done_when_it_says_so() {
    check(S::Reverting, P::RolledBack, S::Reverted);
    check(S::Reverting, P::Failed, S::Failed);
    check(S::Reverting, P::Booted, S::Reverting);
}

#[test]
fn a_device_whose_way_back_fails_has_not_gone_back() {
    for (cause, expected) in [
        (Some(Cause::Ordered), S::Reverted),
        (None, S::Reverted),
        (Some(Cause::HealthCheckFailed), S::Failed),
        (Some(Cause::BootFailed), S::Failed),
    ] {
        let mut member = member(S::Reverting);
        let said = StateReport { cause, ..report("cam-1", Some(7), Some(P::RolledBack)) };
        on_report(&mut member, &said, noon());
        assert_eq!(member.state, expected, "{cause:?}");
    }
}

#[test]
fn a_device_that_acted_before_the_cancel_reached_it_is_believed() {
    check(S::Cancelled, P::Installed, S::Installed);
    check(S::Cancelled, P::Healthy, S::Healthy);
    check(S::Cancelled, P::RolledBack, S::RolledBack);
    check(S::Cancelled, P::Failed, S::Cancelled);
}

#[test]
fn reports_about_other_things_are_ignored_with_a_reason() {
    let ignored = |report, expected: Ignored, text: &str| {
        let mut member = member(S::Offered);
        let outcome = on_report(&mut member, &report, noon());
        assert_eq!(outcome.to_string(), text);
        assert_eq!(outcome, ReportOutcome::Ignored(expected));
        assert_eq!(member.state, S::Offered);
    };
    ignored(report("cam-1", None, None), Ignored::SignOfLife, "The report is about no order.");
    ignored(
        report("cam-2", Some(7), Some(P::Healthy)),
        Ignored::OtherDevice { reported: id("cam-2") },
        "The report comes from cam-2, another device.",
    );
    ignored(
        report("cam-1", Some(6), Some(P::Healthy)),
        Ignored::OtherOrder { reported: ActionId(6), has: Some(ActionId(7)) },
        "The report is about order 6, and the device has order 7.",
    );
}

#[test]
fn progress_breaks_the_silence() {
    let mut slow = member(S::Offered);
    on_progress(&mut slow, ActionId(7), noon().plus(Seconds(10)));
    assert_eq!((slow.state, slow.since), (S::Updating, noon().plus(Seconds(10))));
    on_progress(&mut slow, ActionId(7), noon().plus(Seconds(20)));
    assert_eq!((slow.state, slow.since), (S::Updating, noon().plus(Seconds(20))));
    on_progress(&mut slow, ActionId(6), noon().plus(Seconds(30)));
    assert_eq!(slow.since, noon().plus(Seconds(20)), "another order says nothing");
    let mut healthy = member(S::Healthy);
    on_progress(&mut healthy, ActionId(7), noon().plus(Seconds(10)));
    assert_eq!(healthy, member(S::Healthy));
}
