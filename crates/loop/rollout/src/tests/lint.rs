//! What the linter says about policies.
//!
//! In: policies. Out: warnings as people read them. Refuses nothing.

use warden_model::Seconds;

use crate::{Policy, lint, parse_phases, parse_window};

fn check(policy: &Policy, fleet: u64, expected: &[&str]) {
    let warnings: Vec<String> = lint(policy, fleet).iter().map(ToString::to_string).collect();
    assert_eq!(warnings, expected, "{policy:?}");
}

fn policy(text: &str) -> Policy {
    Policy::new(parse_phases(text).unwrap(), None)
}

#[test]
fn the_careful_preset_has_nothing_to_warn_about() {
    check(&Policy::canary(), 12, &[]);
    check(&Policy::canary(), 100_000, &[]);
    check(&Policy::canary(), 1, &["Phase early gets no device in this fleet."]);
}

#[test]
fn everything_at_once_is_named_as_what_it_is() {
    check(
        &Policy::at_once(),
        12,
        &["The first phase, all, takes 12 of 12 devices (100 %): a bad release breaks them all at once."],
    );
    check(&Policy::at_once(), 1, &[]);
}

#[test]
fn thresholds_that_protect_nobody_are_named() {
    check(
        &policy("a=4,rest; success=0%; error=100%; soak=0"),
        12,
        &[
            "Phase a halts only when all its 4 devices have failed.",
            "Phase a needs no success beyond one healthy device before the next one starts.",
            "Phase a has no soak time: a crash after a minute is seen too late.",
            "Phase rest halts only when all its 8 devices have failed.",
            "Phase rest needs no success beyond one healthy device before the next one starts.",
        ],
    );
    check(
        &policy("a=1,b=25,rest; success=100%"),
        40,
        &["Phase b needs 100 % of 25 devices healthy: one that dies half-way holds up all others."],
    );
}

#[test]
fn phases_that_miss_devices_are_named() {
    check(&policy("a=1,b=2"), 12, &["The phases leave out 9 of 12 devices; end them with \"rest\"."]);
    check(&Policy::new(vec![], None), 12, &["The policy has no phase and reaches no device."]);
}

#[test]
fn times_that_devices_cannot_keep_are_named() {
    check(
        &Policy::canary().within(parse_window("22:00-22:10").unwrap()).with_order_timeout(Seconds(5)),
        12,
        &[
            "The maintenance window is 10 min long: devices that ask less often than that miss it.",
            "The order timeout is 5 s: a device on a slow link counts as unreachable.",
        ],
    );
}
