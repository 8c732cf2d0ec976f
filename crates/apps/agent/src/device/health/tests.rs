//! Health checks on small shell scripts: order, time limits, floods of output.

use super::{CHECKS_DIR, Health, OUTPUT_BYTES_MAX, TIMEOUT_DEFAULT, TIMEOUT_MAX, run, timeout_of};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

fn image(checks: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join(CHECKS_DIR);
    fs::create_dir_all(&dir).unwrap();
    for (name, text) in checks {
        write(&dir.join(name), text, 0o755);
    }
    root
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn check(checks: &[(&str, &str)], health: Health, detail: &str) {
    let verdict = run(image(checks).path());
    assert_eq!(verdict.health, health, "{checks:?}: {}", verdict.detail);
    assert!(verdict.detail.contains(detail), "{:?} does not say {detail:?}", verdict.detail);
}

#[test]
fn checks_run_in_the_order_of_their_names_up_to_the_first_failure() {
    check(&[("10-a", "true"), ("20-b", "true")], Health::Passed, "2 health checks passed");
    check(
        &[("20-b", "echo second; exit 3"), ("10-a", "true")],
        Health::Failed,
        "20-b failed (exit status: 3): second",
    );
    check(&[("10-a", "exit 1"), ("20-b", "exit 2")], Health::Failed, "10-a");
    check(&[("10-a", "kill -9 $$")], Health::Failed, "signal: 9");
}

#[test]
fn an_image_without_checks_is_healthy_by_booting_and_says_so() {
    check(&[], Health::Passed, "no health checks of its own");
    let bare = tempfile::tempdir().unwrap();
    assert_eq!(run(bare.path()).health, Health::Passed);
}

#[test]
fn files_that_cannot_be_executed_are_no_checks() {
    let root = image(&[]);
    write(&root.path().join(CHECKS_DIR).join("README"), "exit 1", 0o644);
    assert_eq!(run(root.path()).health, Health::Passed);
}

#[test]
fn a_check_that_hangs_is_killed_with_all_that_it_started() {
    let begun = Instant::now();
    check(
        &[("10-a", "# timeout: 1 s\necho going; sleep 60 & sleep 60")],
        Health::TimedOut,
        "within 1 s: going",
    );
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_check_sees_the_image_and_nothing_is_left_of_it() {
    check(
        &[("10-a", "test \"$PWD\" -ef \"$FLEETWARDEN_ROOT\" && test -d etc || exit 1")],
        Health::Passed,
        "its health check passed",
    );
    let begun = Instant::now();
    check(&[("10-a", "sleep 60 & exit 0")], Health::Passed, "its health check passed");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn endless_output_costs_no_memory() {
    let text = "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; echo end; exit 1";
    let verdict = run(image(&[("10-a", text)]).path());
    assert!(verdict.detail.len() < OUTPUT_BYTES_MAX * 2, "{}", verdict.detail.len());
    assert!(verdict.detail.ends_with("/ end"), "{}", verdict.detail);
}

#[test]
fn a_check_says_how_long_it_takes_within_limits() {
    let cases = [
        ("# timeout: 20 s", Duration::from_secs(20)),
        ("true\n  #timeout:5s", Duration::from_secs(5)),
        ("# timeout: 99999 s", TIMEOUT_MAX),
        ("# timeout: 0 s", Duration::from_secs(1)),
        ("# timeout: soon", TIMEOUT_DEFAULT),
        ("# timeout: -1 s", TIMEOUT_DEFAULT),
        ("true", TIMEOUT_DEFAULT),
    ];
    for (text, expected) in cases {
        let root = image(&[("a", text)]);
        assert_eq!(timeout_of(&root.path().join(CHECKS_DIR).join("a")), expected, "{text:?}");
    }
}
