//! Bad input to a real server, and a real device whose server lies to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use warden_e2e::fleet::{Device, Fate, Profile, wait_for_first_reports};
use warden_e2e::process::{run, wait_for};
use warden_e2e::server::Server;
use warden_keys::FileSigner;
use warden_model::{Seconds, Timestamp};
use warden_trust::repository::{MetaPin, read_targets, snapshot, targets, timestamp};
use warden_trust::{KeyScheme, Role, Signer};

use super::{Desk, FAILED, INVALID, Ran, made};

/// The answer is "look": a release was rejected.
const ATTENTION: i32 = 10;

const GOOD_ADVISORY: &str = r#"{"id":"X-1","modified":"2026-01-01T00:00:00Z","published":"2026-01-01T00:00:00Z",
    "affected":[{"package":{"ecosystem":"Debian","name":"busybox"},"ranges":[{"type":"ECOSYSTEM",
    "events":[{"introduced":"0"},{"fixed":"1.36"}]}]}]}"#;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(0))
}

/// Writes a script that stands for the server on a disk with little room: no file may become larger than 2 or 4 MiB.
fn cramped(desk: &Desk) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = desk.path("fleetwarden-cramped");
    let real = desk.binaries.fleetwarden.display();
    fs::write(&path, format!("#!/bin/sh\ntrap '' XFSZ\nulimit -f 4096 && exec '{real}' \"$@\"\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn product(server: &Server, id: &str) -> Result<()> {
    let body = json!({ "id": id, "name": id, "boards": [format!("{id}-1")], "exposure": "small" });
    server.api.put(&format!("/api/v1/products/{id}"), &body).map(drop)
}

#[test]
fn a_server_takes_nothing_that_is_broken_forged_or_expired() -> Result<()> {
    let mut desk = Desk::new()?;
    let real = desk.binaries.clone();
    desk.binaries.fleetwarden = cramped(&desk)?;
    let mut server = Server::start(&desk.binaries, desk.folder.path())?;
    desk.binaries = real;
    product(&server, "cam")?;
    uploads(&desk, &server).context("uploads")?;
    advisories(&desk, &server).context("advisories")?;
    signatures(&desk, &server).context("signatures")?;
    server.stop()
}

fn uploads(desk: &Desk, server: &Server) -> Result<()> {
    let upload = |file: &str, version: &str| {
        let path = desk.path(file).display().to_string();
        let words = ["release", "upload", &path, "--product", "cam", "--version", version, "--wait"];
        Ran::of(&mut server.cli(&words))
    };
    desk.file("empty", b"")?;
    upload("empty", "0.1")?.refused(INVALID, &["is empty"]);
    desk.file("large", &made::noise(31, 6_000_000))?;
    upload("large", "0.2")?.refused(FAILED, &["does not fit on the server's disk", "free space"]);
    assert_eq!(desk.files("server/artifacts")?.len(), 0, "no part of it is left");

    let image = made::squashfs("good")?;
    let climbing = made::climbing("/absolute")?;
    let cases = [
        ("cut", image.get(..image.len() / 2).unwrap_or_default(), "it ends early"),
        ("bomb", &made::bomb()?, "a compression bomb"),
        ("climbing", &climbing, "climbs out with `..`"),
    ];
    for (name, bytes, cause) in cases {
        desk.file(name, bytes)?;
        let ran = upload(name, name)?;
        assert_eq!(ran.code, Some(ATTENTION), "{}", ran.all());
        assert!(ran.out.contains("rejected") && ran.out.contains(cause), "{}", ran.all());
    }
    desk.file("good", &image)?;
    let ran = upload("good", "1.0")?;
    assert_eq!(ran.code, Some(0), "after all that an honest image is taken: {}", ran.all());
    Ok(())
}

fn advisories(desk: &Desk, server: &Server) -> Result<()> {
    let folder = desk.path("advisories");
    fs::create_dir(&folder)?;
    let cut = GOOD_ADVISORY.get(..100).unwrap_or_default().to_owned();
    let cases = [
        ("cut", cut, "no JSON"),
        ("deep", "[".repeat(100_000), "recursion limit"),
        ("empty", String::new(), "holds no advisory"),
        ("id", GOOD_ADVISORY.replace("X-1", "../../x"), "/id is no advisory id"),
        ("moment", GOOD_ADVISORY.replace("2026-01-01T", "yesterday"), "/modified is no moment"),
        ("range", GOOD_ADVISORY.replace("ECOSYSTEM", "NONSENSE"), "/affected/0/ranges/0/type"),
        ("type", GOOD_ADVISORY.replace(":[{\"package", ":7,\"x\":[{\"package"), "/affected is a number"),
        ("unnamed", "{}".to_owned(), "/id is missing"),
    ];
    for (name, text, _) in &cases {
        fs::write(folder.join(format!("{name}.json")), text)?;
    }
    fs::write(folder.join("good.json"), GOOD_ADVISORY)?;
    let path = folder.display().to_string();
    let ran = Ran::of(&mut server.cli(&["advisory", "import", &path]))?;
    ran.refused(INVALID, &["8 records or files were refused", "cut.json", "1 advisories were taken"]);
    for (name, _, cause) in &cases {
        assert!(ran.out.contains(&format!("{name}.json")) && ran.out.contains(cause), "{}", ran.all());
    }
    assert_eq!(server.api.advisory("X-1")?.id, "X-1", "the good one got in");

    // What never ends is read no further than an advisory may be long.
    let shell = format!("ulimit -v {} && exec \"$0\" \"$@\"", super::MEMORY_KIB_MAX);
    let mut endless = server.cli(&[]);
    let program = endless.get_program().to_owned();
    let environment: Vec<_> =
        endless.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    endless = std::process::Command::new("/bin/sh");
    endless.arg("-c").arg(shell).arg(program).args(["advisory", "import", "/dev/zero"]).envs(environment);
    Ran::of(&mut endless)?.refused(INVALID, &["/dev/zero", "more than 32.0 MiB"]);
    Ok(())
}

fn signatures(desk: &Desk, server: &Server) -> Result<()> {
    let published = desk.files("server/metadata")?;
    let stranger_keys = desk.path("stranger");
    fs::create_dir(&stranger_keys)?;
    let stranger = FileSigner::create(&stranger_keys.join("targets.pem"), KeyScheme::Ed25519)?;
    let sign = |keys: &Path, more: &[&str]| {
        let keys = keys.display().to_string();
        let words = [["release", "sign", "--yes", "--keys", &keys].as_slice(), more].concat();
        Ran::of(&mut server.cli(&words))
    };
    sign(&stranger_keys, &[])?.refused(INVALID, &["0 of the 1 signatures", "the keys that the root lists"]);
    sign(&server.keys, &["--expires", "0s"])?.refused(INVALID, &["expired at", "in the future"]);
    sign(&desk.path("nowhere"), &[])?.refused(FAILED, &["targets.pem", "--keys names"]);

    // The same without our own command line in between.
    let ours = FileSigner::open(&server.keys.join("targets.pem"))?;
    let yesterday = Timestamp(now().0 - 86_400_000);
    let put = |version: u64, until: Timestamp, key: &FileSigner| -> Result<String> {
        let file: Value = serde_json::from_slice(&targets(version, until, &[], &[key as &dyn Signer])?)?;
        let answer = server.api.put("/api/v1/metadata/targets", &file);
        Ok(format!("{:#}", answer.err().context("it was taken")?))
    };
    let tomorrow = now().plus(Seconds::days(1));
    for (answer, words) in [
        (put(2, tomorrow, &stranger)?, "0 of the 1 signatures"),
        (put(2, yesterday, &ours)?, "targets metadata expired at"),
        (put(1, tomorrow, &ours)?, "version 1"),
    ] {
        assert!(answer.contains(": 4") && answer.contains(words) && answer.contains("\"hint\""), "{answer}");
    }
    assert_eq!(desk.files("server/metadata")?, published, "nothing was published");
    assert_eq!(server.api.release("cam-1.0")?.state, "proven", "nothing was set free");
    let ran = sign(&server.keys, &["cam-1.0"])?;
    assert_eq!(ran.code, Some(0), "the right key still can: {}", ran.all());
    Ok(())
}

/// A server that somebody has broken into: the online key is theirs, the offline keys are not.
struct Captured {
    folder: PathBuf,
    online: FileSigner,
}

impl Captured {
    fn open(server: &Server) -> Result<Self> {
        let online = FileSigner::open(&server.data_dir.join("keys/online.pem"))?;
        Ok(Self { folder: server.data_dir.join("metadata"), online })
    }

    /// The newest file of a role, and its version.
    fn newest(&self, role: Role) -> Result<(u64, Vec<u8>)> {
        let end = format!(".{role}.json");
        let names =
            fs::read_dir(&self.folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let version = names.filter_map(|name| name.strip_suffix(&end)?.parse().ok()).max();
        let version = version.with_context(|| format!("no {role} metadata"))?;
        Ok((version, fs::read(self.folder.join(role.file_name(version)))?))
    }

    fn write(&self, role: Role, version: u64, bytes: &[u8]) -> Result<()> {
        Ok(fs::write(self.folder.join(role.file_name(version)), bytes)?)
    }

    /// Serves what was signed, once more, with a signature by another key, and all around it in order.
    fn forge_targets(&self, key: &FileSigner) -> Result<()> {
        let (version, bytes) = self.newest(Role::Targets)?;
        let (forged, until) = (version + 1, now().plus(Seconds::days(1)));
        let bytes = targets(forged, until, &read_targets(&bytes)?.entries, &[key as &dyn Signer])?;
        self.write(Role::Targets, forged, &bytes)?;
        let (before, _) = self.newest(Role::Snapshot)?;
        let bytes =
            snapshot(before + 1, until, &MetaPin::of(forged, &bytes), &[&self.online as &dyn Signer])?;
        self.write(Role::Snapshot, before + 1, &bytes)?;
        self.write_timestamp(until)
    }

    /// Serves a timestamp for the newest snapshot.
    fn write_timestamp(&self, until: Timestamp) -> Result<()> {
        let (version, bytes) = self.newest(Role::Snapshot)?;
        let pin = MetaPin::of(version, &bytes);
        let bytes = timestamp(version, until, &pin, &[&self.online as &dyn Signer])?;
        self.write(Role::Timestamp, version, &bytes)
    }
}

#[test]
fn a_device_believes_the_offline_keys_and_nobody_else() -> Result<()> {
    let desk = Desk::new()?;
    let server = Server::start(&desk.binaries, desk.folder.path())?;
    let sign = || {
        let keys = server.keys.display().to_string();
        run(&mut server.cli(&["release", "sign", "--keys", &keys, "--yes"]))
    };
    let products = ["cam", "gate"];
    for id in products {
        product(&server, id)?;
    }
    publish(&desk, &server, &products, "1.0")?;
    sign()?;
    let mut devices = Vec::new();
    for (number, id) in (1_u8..).zip(products) {
        let profile = Profile {
            id,
            product: id,
            board: if id == "cam" { "cam-1" } else { "gate-1" },
            criticality: "standard",
            sensitivity: "internal",
            fate: Fate::Healthy,
        };
        let image = desk.path(&format!("{id}-1.0"));
        devices.push(Device::start(&desk.binaries, &server, desk.folder.path(), number, profile, &image)?);
    }
    wait_for_first_reports(&server, &mut devices)?;
    publish(&desk, &server, &products, "1.1")?;
    sign()?;

    let captured = Captured::open(&server)?;
    let stranger = FileSigner::create(&desk.path("stranger.pem"), KeyScheme::Ed25519)?;
    // First the file is merely old: it must not count any more, whoever signed it.
    captured.write_timestamp(Timestamp(now().0 - 1000))?;
    stays(&server, "gate", "timestamp metadata expired at")?;
    captured.forge_targets(&stranger)?;
    stays(&server, "cam", "targets metadata: 0 of the 1 signatures")?;
    for device in &mut devices {
        assert!(device.is_running(), "{}: {}", device.profile.id, device.last_words());
        device.power_cut()?;
        desk.is_as_before(&device.dir.display().to_string())?;
        let slot = fs::metadata(device.second_slot()).map_or(0, |metadata| metadata.len());
        assert_eq!(slot, 0, "{} has written its other slot", device.profile.id);
    }
    Ok(())
}

fn publish(desk: &Desk, server: &Server, products: &[&str], version: &str) -> Result<()> {
    for id in products {
        let image = made::squashfs(&format!("{id} {version}"))?;
        desk.file(&format!("{id}-{version}"), &image)?;
        let receipt = server.api.upload(&image)?;
        let wish = json!({ "product": id, "version": version, "image": receipt.image });
        server.api.post("/api/v1/releases", &wish)?;
    }
    for id in products {
        wait_for(&format!("{id} {version} to be proven"), Duration::from_secs(30), || {
            let release = server.api.release(&format!("{id}-{version}"))?;
            anyhow::ensure!(release.state != "rejected", "{}", release.reason);
            Ok((release.state == "proven").then_some(()))
        })?;
    }
    Ok(())
}

/// Rolls 1.1 out to the device of a product: it must refuse, say why, and run on with 1.0.
fn stays(server: &Server, device: &str, why: &str) -> Result<()> {
    let wish =
        json!({ "release": format!("{device}-1.1"), "phases": "rest; success=100%; error=100%; soak=0s" });
    let rollout = server.api.post("/api/v1/rollouts", &wish)?;
    let id = rollout.get("id").and_then(Value::as_str).context("a rollout without id")?;
    server.api.post(&format!("/api/v1/rollouts/{id}/start"), &json!({}))?;
    let told = wait_for(&format!("{device} to refuse"), Duration::from_secs(30), || {
        let events = server.api.events_of(device)?;
        Ok(events.into_iter().find(|event| event.what == "FAILED"))
    })?;
    assert!(told.reason.contains("not-trusted") && told.reason.contains(why), "{told:?}");
    let known = server.api.device(device)?;
    let confirmed = known.confirmed.map(|running| running.version);
    assert_eq!((known.state.as_str(), confirmed.as_deref()), ("failed", Some("1.0")), "{device}");
    Ok(())
}
