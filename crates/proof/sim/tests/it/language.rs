//! The story language refuses what it does not understand, and names the line.

use warden_sim::story::{LINES_MAX, tell};

const SCENE: &str = "product gateway board gw-rev-a\nfirmware gateway 1.0 holds openssl=3.0.20\n";

fn check(text: &str, expected: &str) {
    let error = tell(&format!("{SCENE}{text}"), 1).1.unwrap_err().to_string();
    assert_eq!(error, expected);
}

#[test]
fn wrong_commands_are_refused_with_their_line() {
    check("dance", "line 3: dance: \"dance\" is no command");
    check("run", "line 3: run: a span of time is missing");
    check("run 5min fast", "line 3: run 5min fast: \"fast\" is not understood here");
    check("show rollout", "line 3: show rollout: there is no rollout yet");
    check(
        "device gw-1 product gateway runs 2.0",
        "line 3: device gw-1 product gateway runs 2.0: there is no firmware 2.0 for gateway",
    );
    check("sign gateway-9", "line 3: sign gateway-9: there is no release gateway-9");
    check("fault gw-9 dies", "line 3: fault gw-9 dies: there is no device gw-9");
    check("show \"cases", "line 3: show \"cases: a quote does not end");
}

#[test]
fn an_expectation_that_does_not_hold_ends_the_story() {
    check(
        "device gw-1 product gateway runs 1.0\nrun 5min\nexpect gw-1 runs 1.1\nshow cases",
        "line 5: expect gw-1 runs 1.1: expected gw-1 runs 1.1, saw gw-1 runs 1.0",
    );
}

#[test]
fn a_story_has_a_length_that_people_can_read() {
    let error = tell(&"\n".repeat(LINES_MAX + 1), 1).1.unwrap_err();
    assert!(error.to_string().contains("more than the 500"), "{error}");
}
