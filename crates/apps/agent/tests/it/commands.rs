//! The real binary without a server: factory, install, boot, and the way back.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::image::image;

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        let image = bench.file("v1.img", &image(1, "test -f etc/marker"));
        let made = bench.ok(&[
            "factory",
            "--image",
            image.to_str().unwrap(),
            "--version",
            "1.0",
            "--product",
            "camera",
            "--hardware",
            "board-a",
            "--device",
            "cam-01",
            "--release-counter",
            "5",
        ]);
        assert_eq!(made["slot"], "a");
        bench
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn device(&self) -> PathBuf {
        self.dir.path().join("device")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_fleetwarden-agent"))
            .args(arguments)
            .arg("--dir")
            .arg(self.device())
            .output()
            .unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn install(&self, kind: &str, path: &Path) -> Value {
        self.ok(&["install", kind, path.to_str().unwrap(), "--version", "1.1"])
    }
}

fn check(observation: &Value, phases: &[&str], cause: Option<&str>, version: &str, slot: &str) {
    assert_eq!(observation["phases"], serde_json::json!(phases), "{observation}");
    assert_eq!(observation["cause"].as_str(), cause, "{observation}");
    for what in ["running", "confirmed"] {
        assert_eq!(observation[what]["version"], version, "{observation}");
    }
    assert_eq!(observation["slot"], slot);
    assert_eq!(observation["running_slot_intact"], true);
    assert_eq!(observation["other_slot_intact"], true);
}

#[test]
fn an_image_is_installed_booted_proven_and_confirmed() {
    let bench = Bench::new();
    let new = bench.file("v2.img", &image(2, "echo fine"));
    let installed = bench.install("--image", &new);
    check(&installed, &["INSTALLED"], None, "1.0", "a");
    assert_eq!(installed["armed"], true);
    check(&bench.ok(&["boot"]), &["BOOTED", "HEALTHY"], None, "1.1", "b");
    check(&bench.ok(&["boot"]), &[], None, "1.1", "b");
    assert_eq!(bench.ok(&["status", "--json"])["reports_waiting"], 4);
    let text = bench.run(&["status"]).stdout;
    assert!(String::from_utf8(text).unwrap().contains("confirmed  1.1 in slot b"));
}

#[test]
fn a_patch_is_installed_too() {
    let bench = Bench::new();
    let (old, new) = (image(1, "test -f etc/marker"), image(2, "true"));
    let made = warden_delta::make(&old, &new, &warden_delta::MakeLimits::default()).unwrap();
    let warden_delta::Made::Patch(patch) = made else { panic!("a patch is smaller") };
    assert!(patch.len() < new.len() / 10);
    let installed = bench.install("--patch", &bench.file("p.patch", &patch));
    check(&installed, &["INSTALLED"], None, "1.0", "a");
    check(&bench.ok(&["boot"]), &["BOOTED", "HEALTHY"], None, "1.1", "b");
}

#[test]
fn an_image_that_is_not_healthy_or_does_not_come_up_is_left() {
    for (check_text, flags, phases, cause) in [
        ("echo no; exit 1", &["boot"][..], &["BOOTED", "ROLLED_BACK"][..], "health-check-failed"),
        ("true", &["boot", "--fail-health"], &["BOOTED", "ROLLED_BACK"], "health-check-failed"),
        ("true", &["boot", "--fail-boot"], &["ROLLED_BACK"], "boot-failed"),
    ] {
        let bench = Bench::new();
        let new = bench.file("v2.img", &image(2, check_text));
        bench.install("--image", &new);
        let seen = bench.ok(flags);
        check(&seen, phases, Some(cause), "1.0", "a");
        assert_eq!(seen["other"]["version"], "1.1");
        check(&bench.ok(&["boot"]), &[], None, "1.0", "a");
    }
}

#[test]
fn what_cannot_be_installed_is_refused_and_nothing_changes() {
    let bench = Bench::new();
    let new = bench.file("v2.img", &image(2, "true"));
    let old = bench.run(&[
        "install",
        "--image",
        new.to_str().unwrap(),
        "--version",
        "0.9",
        "--release-counter",
        "4",
    ]);
    assert_eq!(old.status.code(), Some(1));
    let seen: Value = serde_json::from_slice(&old.stdout).unwrap();
    check(&seen, &["FAILED"], Some("older-release"), "1.0", "a");
    let foreign =
        warden_delta::make(&image(3, "false"), &image(2, "true"), &warden_delta::MakeLimits::default());
    let warden_delta::Made::Patch(foreign) = foreign.unwrap() else { panic!("a patch is smaller") };
    let foreign = bench.file("p.patch", &foreign);
    let output = bench.run(&["install", "--patch", foreign.to_str().unwrap(), "--version", "1.1"]);
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    check(&seen, &["FAILED"], Some("wrong-bytes"), "1.0", "a");
    check(&bench.ok(&["boot"]), &[], None, "1.0", "a");
}

#[test]
fn mistakes_have_a_cause_a_hint_and_an_exit_code() {
    let bench = Bench::new();
    for (arguments, code, says) in [
        (&["install", "--version", "1"][..], 2, "--image"),
        (&["install", "--image", "/nowhere", "--version", "1.1"], 1, "/nowhere"),
        (
            &[
                "factory",
                "--image",
                "/x",
                "--version",
                "1",
                "--product",
                "p",
                "--hardware",
                "h",
                "--device",
                "d",
            ],
            1,
            "hint",
        ),
        (
            &["enrol", "--server", "https://localhost:1", "--token", "t", "--ca-fingerprint", "ab"],
            2,
            "64 hex",
        ),
        (&["nonsense"], 2, "Usage"),
    ] {
        let output = bench.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
        assert_eq!(output.stdout, b"");
    }
    let nobody =
        Command::new(env!("CARGO_BIN_EXE_fleetwarden-agent")).args(["boot", "--dir", "/nowhere"]).output();
    let stderr = String::from_utf8(nobody.unwrap().stderr).unwrap();
    assert!(stderr.contains("factory"), "{stderr}");
}

/// Starts the daemon, reads its log up to a line that says `word`, and kills it as a power cut would.
fn run_until(bench: &Bench, word: &str) {
    let mut agent = Command::new(env!("CARGO_BIN_EXE_fleetwarden-agent"))
        .args(["run", "--dir"])
        .arg(bench.device())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(agent.stderr.take().unwrap()).lines();
    let seen: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.contains(word)).collect();
    agent.kill().unwrap();
    assert!(!agent.wait().unwrap().success(), "{word:?} never came: {seen:#?}");
}

#[test]
fn the_daemon_proves_confirms_and_turns_back_without_a_server() {
    let bench = Bench::new();
    bench.install("--image", &bench.file("v2.img", &image(2, "true")));
    run_until(&bench, "HEALTHY");
    check(&bench.ok(&["boot"]), &[], None, "1.1", "b");
    bench.install("--image", &bench.file("v3.img", &image(3, "exit 1")));
    // Through its own reboot: the report comes from the image before.
    run_until(&bench, "ROLLED_BACK");
    check(&bench.ok(&["boot"]), &[], None, "1.1", "b");
}

#[test]
fn two_agents_never_share_a_device() {
    let bench = Bench::new();
    let held = warden_agent::device::dir::DeviceDir::new(&bench.device()).lock().unwrap();
    let output = bench.run(&["boot"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("another agent runs"));
    drop(held);
    bench.ok(&["boot"]);
}
