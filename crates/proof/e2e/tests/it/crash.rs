//! The crash test: server and agents are killed at seeded points while releases roll out; nothing may be lost.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use warden_e2e::binaries::Binaries;
use warden_e2e::fleet::{Device, Fate, Profile, wait_for_first_reports};
use warden_e2e::process::run;
use warden_e2e::server::Server;
use warden_kit::image::RootFs;

/// How often each side is killed.
const KILLS: u32 = 50;
/// How often at most while one thing is waited for: so that the kills spread over all that a release goes through.
const KILLS_PER_WAIT: u32 = 9;
/// The seed of the moments at which it happens.
const SEED: u64 = 0x5EED_F1EE_7A11;

/// A small source of chance that is the same each time (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

/// An image of some megabytes that do not compress, so that writing it takes its time.
fn image(version: u32) -> Result<Vec<u8>> {
    let mut chance = Chance(u64::from(version));
    let noise: Vec<u8> = (0..3_000_000).map(|_| u8::try_from(chance.below(256)).unwrap_or(0)).collect();
    let release = format!("ID=demo\nVERSION_ID={version}\n");
    let root = RootFs::new().file("usr/share/noise", 0o644, noise).file("etc/os-release", 0o644, release);
    Ok(root.health_check("10-fine", "true").squashfs()?)
}

/// Tries again while the server is down: what any program does that uses an API.
fn patiently<T>(what: &str, mut call: impl FnMut() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    loop {
        match call() {
            Ok(value) => return Ok(value),
            Err(error) if began.elapsed() > Duration::from_mins(1) => {
                return Err(error.context(what.to_owned()));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The fleet under torture.
struct Torture {
    server: Server,
    devices: Vec<Device>,
    chance: Chance,
    server_kills: u32,
    agent_kills: u32,
}

impl Torture {
    /// Kills somebody, now and then, and goes on.
    fn hit(&mut self) -> Result<()> {
        std::thread::sleep(Duration::from_millis(20 + self.chance.below(350)));
        if self.server_kills < KILLS {
            self.server.crash_and_restart()?;
            self.server_kills += 1;
        }
        for _ in 0..2 {
            if self.agent_kills < KILLS {
                std::thread::sleep(Duration::from_millis(self.chance.below(120)));
                let count = u64::try_from(self.devices.len()).unwrap_or(1);
                let place = usize::try_from(self.chance.below(count)).unwrap_or(0);
                if let Some(device) = self.devices.get_mut(place) {
                    device.power_cut()?;
                    device.power_on()?;
                    self.agent_kills += 1;
                }
            }
        }
        Ok(())
    }

    /// Goes on hitting until something is so.
    fn until(&mut self, what: &str, mut look: impl FnMut(&Server) -> Result<bool>) -> Result<()> {
        let began = Instant::now();
        let (server_limit, agent_limit) =
            (self.server_kills + KILLS_PER_WAIT, self.agent_kills + KILLS_PER_WAIT);
        loop {
            if look(&self.server).unwrap_or(false) {
                return Ok(());
            }
            if began.elapsed() > Duration::from_mins(3) {
                bail!("waited in vain for {what}: {}", self.server.last_words());
            }
            if self.server_kills < server_limit && self.agent_kills < agent_limit {
                self.hit()?;
            } else {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn is_over(&self) -> bool {
        self.server_kills >= KILLS && self.agent_kills >= KILLS
    }

    /// Uploads a release, signs it, rolls it out to everybody; hits all the while.
    fn release(&mut self, version: u32) -> Result<()> {
        let bytes = image(version)?;
        let id = format!("node-{version}");
        let upload = |server: &Server| -> Result<Value> {
            let receipt = server.api.upload(&bytes)?;
            let wish = json!({ "product": "node", "version": version.to_string(), "image": receipt.image });
            server.api.post("/api/v1/releases", &wish)
        };
        patiently("upload", || upload(&self.server))?;
        self.until("the release to be proven", |server| {
            let release = server.api.release(&id)?;
            Ok(release.state == "proven" || release.state == "signed")
        })?;
        let keys = self.server.keys.display().to_string();
        patiently("sign", || run(&mut self.server.cli(&["release", "sign", "--keys", &keys, "--yes"])))?;
        if self.devices.is_empty() {
            return Ok(());
        }
        let wish = json!({ "release": id, "phases": "canary=1, rest; success=100%; error=100%; soak=0s" });
        let rollout = patiently("create the rollout", || self.server.api.post("/api/v1/rollouts", &wish))?;
        let rollout = rollout.get("id").and_then(Value::as_str).context("a rollout without id")?.to_owned();
        patiently("start the rollout", || start(&self.server, &rollout))?;
        self.until("the rollout to finish", |server| Ok(server.api.rollout(&rollout)?.state == "finished"))?;
        let expected = version.to_string();
        let devices = patiently("ask for the devices", || self.server.api.devices())?;
        for device in devices {
            assert_eq!(
                device.confirmed.map(|running| running.version),
                Some(expected.clone()),
                "{}",
                device.id
            );
        }
        Ok(())
    }
}

/// Starts a rollout; that it runs already is fine, because the answer to the first try may have got lost.
fn start(server: &Server, id: &str) -> Result<()> {
    match server.api.post(&format!("/api/v1/rollouts/{id}/start"), &json!({})) {
        Ok(_) => Ok(()),
        Err(error) => match server.api.rollout(id) {
            Ok(rollout) if rollout.state != "draft" => Ok(()),
            Ok(_) | Err(_) => Err(error),
        },
    }
}

fn device_status(agent: &Path, dir: &Path) -> Result<Value> {
    let text = run(Command::new(agent).args(["status", "--json", "--dir"]).arg(dir))?;
    serde_json::from_str(&text).context("read the status of a device")
}

#[test]
fn a_hundred_kills_lose_nothing_and_leave_no_device_on_a_half_written_slot() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let binaries = Binaries::find()?;
    let server = Server::start(&binaries, folder.path())?;
    server.api.put(
        "/api/v1/products/node",
        &json!({
            "id": "node", "name": "Node", "boards": ["node-1"], "exposure": "small",
        }),
    )?;
    let mut torture = Torture {
        server,
        devices: Vec::new(),
        chance: Chance(SEED),
        server_kills: KILLS,
        agent_kills: KILLS,
    };
    torture.release(1)?;
    let factory: PathBuf = folder.path().join("factory.img");
    fs::write(&factory, image(1)?)?;
    for (number, id) in (1_u8..).zip(["node-a", "node-b", "node-c", "node-d"]) {
        let profile = Profile {
            id,
            product: "node",
            board: "node-1",
            criticality: "standard",
            sensitivity: "internal",
            fate: Fate::Healthy,
        };
        torture.devices.push(Device::start(
            &binaries,
            &torture.server,
            folder.path(),
            number,
            profile,
            &factory,
        )?);
    }
    wait_for_first_reports(&torture.server, &mut torture.devices)?;
    let events_before = patiently("count events", || torture.server.api.events_of("node-a"))?.len();

    (torture.server_kills, torture.agent_kills) = (0, 0);
    let mut version = 1;
    while !torture.is_over() {
        version += 1;
        torture.release(version)?;
        assert!(version < 40, "the kills do not come to an end");
    }

    let known: BTreeSet<String> = (1..=version)
        .map(|version| torture.server.api.release(&format!("node-{version}")).map(|release| release.image))
        .collect::<Result<_>>()?;
    for device in &mut torture.devices {
        device.power_cut()?;
        let status = device_status(&binaries.agent, &device.dir)?;
        let text = |key: &str| status.get(key).and_then(Value::as_str).unwrap_or_default();
        let (image, slot) = (text("confirmed_image"), text("confirmed_slot"));
        assert!(known.contains(image), "{} runs something unknown: {status}", device.profile.id);
        let file = device.dir.join("slots").join(format!("{slot}.img"));
        let sum = run(Command::new("sha256sum").arg(&file))?;
        assert!(sum.starts_with(image), "{}: slot {slot} is not what it confirmed: {sum}", device.profile.id);
    }
    // What was told before the first kill is still there after the last.
    let told = torture.server.api.events_of("node-a")?;
    assert!(told.len() > events_before, "events were lost");
    torture.server.stop()
}
