//! The demo's story with real processes, checked on the API, and then seen through a browser.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use warden_e2e::binaries::Binaries;
use warden_e2e::browser::{self, Browser};
use warden_e2e::fleet::Fate;
use warden_e2e::process::run;
use warden_e2e::story::{Script, Story, rows, verdict};
use warden_e2e::talk::{Audience, Talk};

#[test]
fn the_loop_turns_once_for_real() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("story");
    let packages = std::env::temp_dir().join("fleetwarden-e2e-packages");
    let script = Script { dir, packages, firmware: None };
    let mut story = Story::tell(&Binaries::find()?, &script, Talk::new(Audience::Test))?;

    let rows = rows(&story)?;
    let (table, all_is_well) = verdict(&rows);
    assert!(all_is_well, "not every device ended as it should:\n{table}");
    assert_eq!(rows.len(), 12);
    device_stories(&story)?;
    savings(&story)?;
    let pictures = pictures();
    if browser::is_installed() {
        seen_in_a_browser(&story, folder.path(), &pictures)?;
    } else {
        skipped("no browser");
    }
    story.server.stop().context("stop the server cleanly")?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a test that leaves something out says so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// Where the screenshots go: where a person can find them after the test.
fn pictures() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.ancestors().nth(3).map_or_else(std::env::temp_dir, Path::to_path_buf).join("screenshots")
}

/// What each special device must have said, in its own signed reports.
fn device_stories(story: &Story) -> Result<()> {
    for device in &story.devices {
        let events = story.server.api.events_of(device.profile.id)?;
        let said = |what: &str| events.iter().any(|event| event.what == what);
        match device.profile.fate {
            Fate::Healthy | Fate::KilledWhileWriting => {
                assert!(
                    said("INSTALLED") && said("BOOTED") && said("HEALTHY"),
                    "{}: {events:?}",
                    device.profile.id
                );
            }
            Fate::BadNetwork => {
                assert!(said("HEALTHY"), "{}: {events:?}", device.profile.id);
                assert!(device.proxy.cuts() > 0, "its network was never cut");
            }
            Fate::BrokenSensor => {
                assert!(said("ROLLED_BACK") && !said("HEALTHY"), "{}: {events:?}", device.profile.id);
                let cause =
                    events.iter().find(|event| event.what == "ROLLED_BACK").map(|event| event.reason.clone());
                assert!(cause.unwrap_or_default().contains("the sensor does not answer"));
            }
            Fate::OutOfSupport => {
                assert!(said("shielded") && !said("INSTALLED"), "{}: {events:?}", device.profile.id);
            }
        }
    }
    let ruleset = story.server.api.text("/api/v1/shields/ruleset")?;
    assert!(ruleset.contains("table inet fleetwarden") && ruleset.contains("127.0.1.11"), "{ruleset}");
    Ok(())
}

/// Patches were built in the background, checked, signed, and loaded instead of full images.
fn savings(story: &Story) -> Result<()> {
    for (product, devices) in [("gateway", 5), ("camera", 4)] {
        let patches = story.server.api.text(&format!("/api/v1/releases/{product}-1.1/patches"))?;
        assert!(patches.contains("\"state\":\"built\"") && patches.contains("\"signed\":true"), "{patches}");
        let savings =
            story.server.api.release(&format!("{product}-1.1"))?.savings.context("nothing was loaded")?;
        assert!(savings.by_patch >= devices, "{product}: {savings:?}");
        assert!(savings.saved_bytes > savings.loaded_bytes, "{product}: {savings:?}");
    }
    let metrics = story.server.api.text("/api/v1/metrics")?;
    assert!(metrics.contains("fleetwarden_delta_updates_total{way=\"patch\"}"), "{metrics}");
    Ok(())
}

/// Login by the one-time link, devices, one device, the rollout, and a look at every other page.
fn seen_in_a_browser(story: &Story, dir: &Path, pictures: &Path) -> Result<()> {
    std::fs::create_dir_all(pictures)?;
    let link = run(&mut story.server.cli(&["login"]))?;
    let base = format!("https://localhost:{}", story.server.console.port());
    let window = Browser::open(dir, 1280, 900)?;
    window.go(&format!("{base}/devices"))?;
    assert!(
        window.text("body")?.contains("fleetwarden login"),
        "without a session, a page says how to get one"
    );
    window.go(link.trim())?;
    assert_eq!(window.address()?, format!("{base}/"), "the link leads to the first page");
    let shot = |name: &str| window.screenshot(&pictures.join(format!("{name}.png")));
    shot("now")?;

    window.go(&format!("{base}/devices"))?;
    assert!(window.text("main")?.contains("gateway-1"));
    shot("devices")?;
    window.click("a[href='/devices/camera-3']")?;
    let device = window.text("main")?;
    assert!(device.contains("ROLLED_BACK") && device.contains("sensor"), "{device}");
    shot("device")?;

    window.go(&format!("{base}/rollouts"))?;
    window.click("main a[href^='/rollouts/']")?;
    let rollout = window.text("main")?;
    assert!(rollout.contains("finished"), "{rollout}");
    shot("rollout")?;

    for page in ["risk", "releases", "rollouts", "shields", "alerts"] {
        window.go(&format!("{base}/{page}"))?;
        assert!(!window.text("main")?.trim().is_empty(), "{page} is empty");
        shot(page)?;
    }
    window.go(&format!("{base}/releases/camera-1.1"))?;
    shot("release")?;
    window.go(&format!("{base}/risk/{}", story.advisory))?;
    shot("advisory")?;
    window.resize(390, 844)?;
    window.go(&base)?;
    shot("now-narrow")?;
    let wider = window.script("return document.documentElement.scrollWidth > window.innerWidth")?;
    assert_eq!(wider, serde_json::Value::Bool(false), "the page is wider than a telephone");
    Ok(())
}
