//! Firmware images made on the spot from real binaries of this machine.
//!
//! In: the agent's binary, what apt can still download, what is installed. Out: for each product an image 1.0 with a
//! component that a shipped advisory names, and an image 1.1 without it. Refuses nothing: where the distribution offers
//! no older package, a component of the demo's own takes its part, and the demo says so.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use warden_kit::image::RootFs;

/// A package of the distribution, unpacked.
struct Package {
    version: String,
    status: String,
    root: PathBuf,
}

/// What the two versions of the firmware are made of.
pub struct Parts {
    shared: RootFs,
    old: RootFs,
    new: RootFs,
    /// One line for people: what 1.0 has and 1.1 has not.
    pub story: String,
    /// The shipped advisory that names the difference.
    pub advisory: &'static str,
}

const OPENSSL_ADVISORY: &str = include_str!("../advisories/FLEETWARDEN-DEMO-2026-1.json");
const SHELL_ADVISORY: &str = include_str!("../advisories/FLEETWARDEN-DEMO-2026-2.json");
/// The first version of Debian that the advisory does not name; see the advisory itself.
const FIXED: &str = "3.0.22-1~deb12u1";

/// Gathers the parts; `packages` keeps downloaded packages for the next run.
pub fn gather(agent: &Path, packages: &Path) -> Result<Parts> {
    let shared = shared(agent, packages)?;
    if let Some((old, new)) = openssl_pair(packages) {
        let story = format!(
            "1.0 has Debian's OpenSSL {}, which the advisory names; 1.1 has {}",
            old.version, new.version
        );
        let (old, new) = (with_package(RootFs::new(), &old)?, with_package(RootFs::new(), &new)?);
        return Ok(Parts { shared, old, new, story, advisory: OPENSSL_ADVISORY });
    }
    let shell = fs::read(busybox()?).context("read BusyBox")?;
    let status = "Package: demo-shell\nVersion: 1.0-1\nArchitecture: all\nStatus: install user installed\n";
    let old =
        RootFs::new().file("usr/sbin/demo-shell", 0o755, shell).file("usr/lib/opkg/status", 0o644, status);
    let story = "no older OpenSSL can be had here, so 1.0 carries a maintenance shell of the demo's own, and 1.1 does not";
    Ok(Parts { shared, old, new: RootFs::new(), story: story.to_owned(), advisory: SHELL_ADVISORY })
}

impl Parts {
    /// Builds the image of a product in version 1.0.
    pub fn old_image(&self, product: &str) -> Result<Vec<u8>> {
        let health = "\"$FLEETWARDEN_ROOT/bin/busybox\" true";
        let root = self.shared.clone().merge(self.old.clone()).health_check("10-shell", health);
        identity(root, product, "1.0").squashfs().context("write the image 1.0")
    }

    /// Builds the image of a product in version 1.1. Its health checks look at more than those of 1.0: they also want
    /// the device's sensor to work.
    pub fn new_image(&self, product: &str) -> Result<Vec<u8>> {
        let root = self.shared.clone().merge(self.new.clone());
        let root = root.health_check("10-shell", "\"$FLEETWARDEN_ROOT/bin/busybox\" true").health_check(
            "20-sensor",
            "# timeout: 5 s\n[ \"${DEMO_SENSOR:-works}\" = works ] || { echo 'the sensor does not answer' >&2; exit 1; }",
        );
        identity(root, product, "1.1").squashfs().context("write the image 1.1")
    }
}

fn identity(root: RootFs, product: &str, version: &str) -> RootFs {
    let release = format!(
        "ID=debian\nNAME=\"{product}\"\nVERSION_ID=\"12\"\nIMAGE_ID={product}\nIMAGE_VERSION={version}\n"
    );
    root.file("etc/os-release", 0o644, release).file("etc/hostname", 0o644, format!("{product}\n"))
}

fn shared(agent: &Path, packages: &Path) -> Result<RootFs> {
    let stripped = packages.join("fleetwarden-agent.stripped");
    fs::create_dir_all(packages).with_context(|| format!("make {}", packages.display()))?;
    fs::copy(agent, &stripped).with_context(|| format!("copy {}", agent.display()))?;
    fs::set_permissions(&stripped, fs::Permissions::from_mode(0o755))?;
    // Without debug information the image has the size that a product's would have; without `strip` it is larger.
    quiet(Command::new("strip").arg(&stripped));
    let agent = fs::read(&stripped).context("read the agent")?;
    let busybox = fs::read(busybox()?).context("read BusyBox")?;
    let mut root = RootFs::new()
        .file("usr/bin/fleetwarden-agent", 0o755, agent)
        .file("bin/busybox", 0o755, busybox)
        .link("bin/sh", "busybox");
    for library in ["libc.so.6", "libgcc_s.so.1", "libm.so.6"] {
        let path = Path::new("/lib/x86_64-linux-gnu").join(library);
        if let Ok(bytes) = fs::read(&path) {
            root = root.file(&format!("lib/x86_64-linux-gnu/{library}"), 0o755, bytes);
        }
    }
    Ok(root)
}

fn busybox() -> Result<PathBuf> {
    let places = ["/bin/busybox", "/usr/bin/busybox", "/bin/true", "/usr/bin/true"];
    let found = places.iter().map(PathBuf::from).find(|path| path.exists());
    found.context("neither BusyBox nor `true` is installed\nhint: apt-get install busybox-static")
}

/// Finds an OpenSSL that the advisory names and one that it does not, both as packages of this machine's Debian.
fn openssl_pair(packages: &Path) -> Option<(Package, Package)> {
    let text = output(Command::new("apt-cache").args(["madison", "libssl3"]))?;
    let mut versions: Vec<String> =
        text.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned())).collect();
    versions.dedup();
    let is_fixed = |version: &&String| compare(version, "ge", FIXED);
    let new = versions.iter().find(is_fixed)?;
    let old = versions.iter().rev().find(|version| !is_fixed(version))?;
    Some((fetch(packages, old)?, fetch(packages, new)?))
}

fn compare(a: &str, relation: &str, b: &str) -> bool {
    quiet(Command::new("dpkg").args(["--compare-versions", a, relation, b]))
}

/// Downloads `libssl3` in a version with apt, once, and unpacks it.
fn fetch(packages: &Path, version: &str) -> Option<Package> {
    let folder = packages.join(format!("libssl3-{}", version.replace([':', '/'], "_")));
    let root = folder.join("root");
    if !root.is_dir() {
        fs::create_dir_all(&folder).ok()?;
        let wish = format!("libssl3={version}");
        if !quiet(Command::new("apt-get").args(["download", &wish]).current_dir(&folder)) {
            return None;
        }
        let archive = fs::read_dir(&folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
        let archive = archive.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "deb"))?;
        let unpacked = folder.join("unpacking");
        if !quiet(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&unpacked)) {
            return None;
        }
        let control = output(Command::new("dpkg-deb").arg("-f").arg(&archive))?;
        fs::write(folder.join("control"), control).ok()?;
        fs::rename(&unpacked, &root).ok()?;
    }
    let control = fs::read_to_string(folder.join("control")).ok()?;
    // What dpkg writes into its database when it installs the package.
    let status = format!("{}\nStatus: install ok installed\n", control.trim_end());
    Some(Package { version: version.to_owned(), status, root })
}

fn with_package(mut root: RootFs, package: &Package) -> Result<RootFs> {
    let mut folders = vec![package.root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry?.path();
            let name = path.strip_prefix(&package.root)?.display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() && !name.starts_with("usr/share") {
                let mode = u16::try_from(fs::metadata(&path)?.permissions().mode() & 0o777).unwrap_or(0o644);
                root = root.file(&name, mode, fs::read(&path)?);
            }
        }
    }
    Ok(root.file("var/lib/dpkg/status", 0o644, package.status.clone()))
}

/// Runs a helper whose failure only means that we go another way.
fn quiet(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}
