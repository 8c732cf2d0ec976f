//! The real binary against a real mutual-TLS server on loopback, with signed metadata and cut connections.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use warden_agent::device::Device;
use warden_agent::device::dir::DeviceDir;
use warden_agent::driver::{Driver, Rest};
use warden_agent::machine::Input;
use warden_agent::server::Server;
use warden_agent::server::enrol::{Enrolled, Request, enrol};
use warden_model::report::{Cause, ReportPhase as Phase};
use warden_model::{ByteCount, Seconds, Sha256Digest};
use warden_trust::repository::{TargetAbout, TargetEntry, TargetKind};
use warden_trust::{TrustDomain, sha256};

use crate::image::image;
use crate::loopback::{Loopback, TOKEN};

pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) server: Loopback,
    pub(crate) old: Vec<u8>,
}

pub(crate) fn entry(name: &str, bytes: &[u8], kind: TargetKind) -> TargetEntry {
    TargetEntry {
        name: name.to_owned(),
        length: ByteCount(bytes.len() as u64),
        sha256: sha256(bytes),
        about: TargetAbout {
            product: "camera".parse().unwrap(),
            hardware_ids: BTreeSet::from(["board-a".parse().unwrap()]),
            version: "1.1".parse().unwrap(),
            release_counter: 2,
            kind,
            index: None,
        },
    }
}

impl Bench {
    /// Makes a device that is enrolled at a server which signed the image, and patches to it.
    fn new(new: &[u8], patches: &[(Sha256Digest, &[u8])]) -> Self {
        Self::with(image(1, "true"), new, patches)
    }

    /// The same, with another image to start from, and patches that start there.
    pub(crate) fn from(old: Vec<u8>, new: &[u8], patches: &[&[u8]]) -> Self {
        let base = sha256(&old);
        let patches: Vec<(Sha256Digest, &[u8])> = patches.iter().map(|patch| (base, *patch)).collect();
        Self::with(old, new, &patches)
    }

    fn with(old: Vec<u8>, new: &[u8], patches: &[(Sha256Digest, &[u8])]) -> Self {
        let mut entries = vec![entry("new.img", new, TargetKind::Image)];
        for (base, patch) in patches {
            entries.push(entry("new.patch", patch, TargetKind::Patch { base: *base, result: sha256(new) }));
        }
        let files: Vec<&[u8]> = patches.iter().map(|(_, patch)| *patch).collect();
        Self::from_signed(old, new, &entries, &files)
    }

    /// Makes a device that is enrolled at a server which signed these targets, has the image and these other files, and
    /// orders the image.
    pub(crate) fn signed(new: &[u8], entries: &[TargetEntry], files: &[&[u8]]) -> Self {
        Self::from_signed(image(1, "true"), new, entries, files)
    }

    fn from_signed(old: Vec<u8>, new: &[u8], entries: &[TargetEntry], files: &[&[u8]]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Loopback::start(dir.path());
        let root = server.publish(dir.path(), entries);
        let (root_file, image_file) = (dir.path().join("root.json"), dir.path().join("old.img"));
        fs::write(&root_file, root).unwrap();
        fs::write(&image_file, &old).unwrap();
        let made = Command::new(env!("CARGO_BIN_EXE_fleetwarden-agent"))
            .args([
                "factory",
                "--version",
                "1.0",
                "--product",
                "camera",
                "--hardware",
                "board-a",
                "--device",
                "cam-01",
            ])
            .arg("--image")
            .arg(image_file)
            .arg("--root")
            .arg(root_file)
            .arg("--dir")
            .arg(dir.path().join("device"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let bench = Self { dir, server, old };
        bench.enrol(bench.server.authority.fingerprint(), TOKEN).unwrap();
        let mut state = bench.server.state.lock().unwrap();
        state.files.insert(sha256(new).to_string(), new.to_vec());
        for file in files {
            state.files.insert(sha256(file).to_string(), file.to_vec());
        }
        state.deployment = Some(deployment(sha256(new)));
        drop(state);
        bench
    }

    pub(crate) fn device_dir(&self) -> DeviceDir {
        DeviceDir::new(&self.dir.path().join("device"))
    }

    fn enrol(&self, ca_fingerprint: Sha256Digest, token: &str) -> anyhow::Result<Enrolled> {
        let trust_domain = TrustDomain::new("fleet.local").unwrap();
        let request = Request { server: &self.server.url, trust_domain, ca_fingerprint, token };
        enrol(&self.device_dir(), &"cam-01".parse().unwrap(), &request)
    }

    /// Runs the device through its reboots until the server has its last word.
    pub(crate) fn run(&self) {
        let mut input: Option<Input> = None;
        let mut driver: Option<Driver> = None;
        for _ in 0..200 {
            let mut running = driver.take().unwrap_or_else(|| self.power_on(&mut input));
            let rest = running.run(input.take().unwrap()).unwrap();
            match rest {
                Rest::Reboot => drop(running),
                Rest::Until(until) => {
                    if !self.server.state.lock().unwrap().closed.is_empty() {
                        return;
                    }
                    let left = u64::try_from(until.0 - warden_agent::driver::now().0).unwrap_or(0);
                    std::thread::park_timeout(std::time::Duration::from_millis(left.min(2_000)));
                    input = Some(Input::Tick);
                    driver = Some(running);
                }
            }
        }
        panic!("the device did not finish");
    }

    pub(crate) fn power_on(&self, input: &mut Option<Input>) -> Driver {
        let mut device = Device::open(self.device_dir()).unwrap();
        let journal = device.dir.load_journal().unwrap();
        *input = Some(device.power_on(&journal).unwrap());
        let machine = device.machine(journal, Some(Seconds(1)));
        let server = Server::new(&Enrolled::load(&device.dir).unwrap(), &device).unwrap();
        Driver::new(machine, device, Box::new(server))
    }

    pub(crate) fn phases(&self) -> Vec<Phase> {
        self.server.state.lock().unwrap().reports.iter().filter_map(|report| report.phase).collect()
    }

    /// Returns what the agents of this device wrote to their log, where there is one.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn slot(&self, name: &str) -> Vec<u8> {
        let path: PathBuf = Path::new(self.dir.path()).join("device/slots").join(name);
        fs::read(path).unwrap()
    }
}

fn deployment(image: Sha256Digest) -> Vec<u8> {
    let entry = |key: &str, value: &str| serde_json::json!({ "key": key, "value": value });
    let metadata = [
        entry("fleetwarden.image", &image.to_string()),
        entry("fleetwarden.order", "install"),
        entry("fleetwarden.generation", "3"),
    ];
    let chunk = serde_json::json!({ "part": "os", "version": "1.1", "name": "fw", "artifacts": [], "metadata": metadata });
    let deployment = serde_json::json!({ "download": "forced", "update": "forced", "chunks": [chunk] });
    serde_json::json!({ "id": "10", "deployment": deployment }).to_string().into_bytes()
}

#[test]
fn a_whole_image_comes_through_a_connection_that_breaks_twice() {
    let new = image(2, "true");
    let bench = Bench::new(&new, &[]);
    bench.server.state.lock().unwrap().cuts = vec![400_000, 1_200_000];
    bench.run();
    assert_eq!(bench.phases(), [Phase::Installed, Phase::Booted, Phase::Healthy]);
    assert_eq!((bench.slot("a.img"), bench.slot("b.img")), (bench.old.clone(), new.clone()));
    let state = bench.server.state.lock().unwrap();
    let last = state.reports.last().unwrap();
    assert_eq!((last.running.version.as_str(), last.downloaded), ("1.1", ByteCount(new.len() as u64)));
    assert!(state.closed[0].contains("success"), "{:?}", state.closed);
    let loads = state.requests.iter().filter(|request| request.contains("/artifacts/")).count();
    assert_eq!(loads, 3, "one load, two resumed");
}

#[test]
fn a_signed_patch_saves_the_way_and_a_wrong_one_costs_nothing_but_bytes() {
    let (old, new) = (image(1, "true"), image(2, "true"));
    let made = warden_delta::make(&old, &new, &warden_delta::MakeLimits::default()).unwrap();
    let warden_delta::Made::Patch(good) = made else { panic!("a patch is smaller") };
    let bench = Bench::new(&new, &[(sha256(&old), &good)]);
    bench.run();
    assert_eq!(bench.phases(), [Phase::Installed, Phase::Booted, Phase::Healthy]);
    assert_eq!(bench.slot("b.img"), new);
    assert_eq!(bench.server.state.lock().unwrap().reports.last().unwrap().downloaded.0, good.len() as u64);

    let mut wrong = good;
    let middle = wrong.len() / 2;
    wrong[middle] ^= 1;
    let bench = Bench::new(&new, &[(sha256(&old), &wrong)]);
    bench.run();
    assert_eq!(bench.phases(), [Phase::Installed, Phase::Booted, Phase::Healthy]);
    assert_eq!(bench.slot("b.img"), new);
}

#[test]
fn an_unhealthy_image_ends_with_the_device_as_it_was() {
    let bench = Bench::new(&image(2, "echo the lens is stuck; exit 7"), &[]);
    bench.run();
    assert_eq!(bench.phases(), [Phase::Installed, Phase::Booted, Phase::RolledBack]);
    let state = bench.server.state.lock().unwrap();
    let last = state.reports.iter().rev().find(|report| report.phase.is_some()).unwrap();
    assert_eq!(last.cause, Some(Cause::HealthCheckFailed));
    assert!(last.detail.contains("the lens is stuck"), "{}", last.detail);
    assert_eq!((last.running.version.as_str(), state.closed[0].contains("failure")), ("1.0", true));
}

#[test]
fn bytes_that_nobody_signed_and_metadata_that_was_forged_are_refused() {
    let new = image(2, "true");
    let bench = Bench::new(&new, &[]);
    let mut forged = new.clone();
    forged[1_000_000] ^= 1;
    bench.server.state.lock().unwrap().files.insert(sha256(&new).to_string(), forged);
    bench.run();
    assert_eq!(bench.phases(), [Phase::Failed]);
    assert_eq!(bench.server.state.lock().unwrap().reports.last().unwrap().cause, Some(Cause::WrongBytes));

    let bench = Bench::new(&new, &[]);
    let mut state = bench.server.state.lock().unwrap();
    let targets = state.files.get_mut("1.targets.json").unwrap();
    let text = String::from_utf8(targets.clone()).unwrap().replace("\"camera\"", "\"camerb\"");
    *targets = text.into_bytes();
    drop(state);
    bench.run();
    assert_eq!(bench.phases(), [Phase::Failed]);
    assert_eq!(bench.server.state.lock().unwrap().reports.last().unwrap().cause, Some(Cause::NotTrusted));
}

#[test]
fn enrolment_believes_only_the_pinned_authority_and_a_certificate_renews_itself() {
    let bench = Bench::new(&image(2, "true"), &[]);
    let error = bench.enrol(sha256(b"another"), TOKEN).unwrap_err();
    assert!(format!("{error:#}").contains("fingerprint"), "{error:#}");
    let error = bench.enrol(bench.server.authority.fingerprint(), "stolen").unwrap_err();
    assert!(format!("{error:#}").contains("token is not known"), "{error:#}");
    let before = Enrolled::load(&bench.device_dir()).unwrap();
    let renew_in = before.renew_at().unwrap().since(warden_agent::driver::now());
    assert!(renew_in > Seconds::days(3) && renew_in < Seconds::days(5), "{renew_in}");
    let mut renewed = before.clone();
    renewed.renew(&"cam-01".parse().unwrap()).unwrap();
    assert_ne!(renewed.chain(), before.chain());
    assert_eq!(Enrolled::load(&bench.device_dir()).unwrap(), renewed);
}
