//! Root file systems out of packages, and images out of root file systems; always the same bytes from the same packages.
//!
//! In: which of the served versions to take. Out: a folder; an image of it. Refuses: packages that are not served.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::fetch::{Depot, Live, Suite, compare_versions, find, quiet, text_of, write};
use super::pairs::{Image, read_rootfs};
use crate::run::finish;

/// The time of everything that has none of its own: 2023-11-14 22:13:20 UTC.
const TIME_SECONDS: &str = "1700000000";
/// The same, as debugfs wants it.
const TIME_DEBUGFS: &str = "20231114221320";
/// Any fixed identity does; a random one would make every image another.
const UUID: &str = "0fb1c9a2-5d1e-4c60-b6a7-222222222222";
const HASH_SEED: &str = "8f3c1c3e-6e0a-4d0e-9d0a-111111111111";
/// Room for the packages of `rootfs.txt` (about 80 MB) with a third to spare, as a real slot has.
const EXT4_MEBIBYTES: u64 = 112;
/// The first inode of ext4 that is not reserved.
const EXT4_FIRST_INODE: u64 = 11;

/// Returns the root file system with one choice of versions; unpacks it when it is not there.
pub(crate) fn root(depot: &mut Depot, home: &Path, choice: &str) -> Result<PathBuf> {
    let text = include_str!("../../bench/rootfs.txt");
    let place = home.join(choice);
    let made_from = home.join(format!("{choice}.list"));
    if fs::read_to_string(&made_from).is_ok_and(|list| list == text) {
        return Ok(place);
    }
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("remove {}", place.display()))?;
    }
    fs::create_dir_all(&place).with_context(|| format!("make {}", place.display()))?;
    let rootfs = read_rootfs(text);
    let names: Vec<&str> = rootfs.packages.iter().map(String::as_str).collect();
    let live = depot.live("arm64", &names)?;
    let mut wanted = Vec::new();
    for package in &rootfs.packages {
        let versions: Vec<&Live> = live.iter().filter(|live| live.package == *package).collect();
        let version = choose(&versions, choice).with_context(|| format!("{package}: not served"))?;
        wanted.push((package.clone(), version));
    }
    for archive in depot.debs("arm64", &wanted)? {
        finish(quiet("dpkg-deb").arg("-x").arg(&archive).arg(&place))?;
    }
    for pattern in &rootfs.removed {
        for path in find(&place, pattern)? {
            finish(quiet("rm").arg("-rf").arg(&path))?;
        }
    }
    // Removing changes the times of folders; the times of files come from the packages.
    let touch = ["-type", "d", "-exec", "touch", "--date", "@1700000000", "{}", "+"];
    finish(quiet("find").arg(&place).args(touch))?;
    write(&made_from, text)?;
    Ok(place)
}

/// Chooses among the served versions of a package, oldest first.
fn choose(versions: &[&Live], choice: &str) -> Option<String> {
    let of = |suite| versions.iter().rfind(|live| live.suite == suite).copied();
    let main = of(Suite::Main);
    let chosen = match choice {
        "oldest" => versions.first().copied(),
        "newest" => versions.last().copied(),
        "security" => of(Suite::Security)
            .filter(|security| {
                main.is_none_or(|main| {
                    compare_versions(&security.version, &main.version) == Ordering::Greater
                })
            })
            .or(main),
        _ => main,
    };
    chosen.map(|live| live.version.clone())
}

/// Packs a root file system into an image.
pub(crate) fn pack(root: &Path, image: Image, target: &Path) -> Result<()> {
    if target.exists() {
        fs::remove_file(target).with_context(|| format!("remove {}", target.display()))?;
    }
    match image {
        Image::Squashfs(packing) => {
            let mut command = tool("mksquashfs")?;
            command.arg(root).arg(target).args(["-comp", packing, "-noappend", "-all-root", "-no-progress"]);
            finish(command.args(["-quiet", "-mkfs-time", TIME_SECONDS]))
        }
        Image::Erofs => {
            let mut command = tool("mkfs.erofs")?;
            command.args(["-zlz4hc", "-T", TIME_SECONDS, "-U", UUID, "--all-root", "--quiet"]);
            finish(command.arg(target).arg(root))
        }
        Image::Tar => {
            let mut command = tool("tar")?;
            command.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu", "-cf"]);
            finish(command.arg(target).arg("-C").arg(root).arg("."))
        }
        Image::Ext4 => ext4(root, target),
    }
}

fn ext4(root: &Path, target: &Path) -> Result<()> {
    let file = fs::File::create(target).with_context(|| format!("make {}", target.display()))?;
    file.set_len(EXT4_MEBIBYTES << 20).with_context(|| format!("size {}", target.display()))?;
    let options = format!("lazy_itable_init=0,hash_seed={HASH_SEED},root_owner=0:0");
    let mut command = tool("mkfs.ext4")?;
    command.args(["-q", "-F", "-b", "4096", "-m", "0", "-O", "^has_journal,^resize_inode", "-E", &options]);
    command.args(["-U", UUID, "-L", "rootfs", "-d"]).arg(root).arg(target);
    finish(command.env("E2FSPROGS_FAKE_TIME", TIME_SECONDS))?;
    // What mkfs takes from the folder's times of access and of change says when it was unpacked: away with it.
    let head = text_of(tool("dumpe2fs")?.arg("-h").arg(target))?;
    let number = |name: &str| -> Result<u64> {
        let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|value| value.trim().parse().ok()).with_context(|| format!("dumpe2fs: no {name}"))
    };
    let last = number("Inode count")? - number("Free inodes")?;
    let mut orders = String::new();
    for inode in std::iter::once(2).chain(EXT4_FIRST_INODE..=last) {
        for time in ["atime", "ctime", "crtime"] {
            writeln!(orders, "sif <{inode}> {time} {TIME_DEBUGFS}")?;
            writeln!(orders, "sif <{inode}> {time}_extra 0")?;
        }
    }
    let script = target.with_extension("debugfs");
    write(&script, orders)?;
    let mut command = tool("debugfs")?;
    command.env("E2FSPROGS_FAKE_TIME", TIME_SECONDS).args(["-w", "-f"]).arg(&script).arg(target);
    text_of(&mut command)?;
    fs::remove_file(&script).with_context(|| format!("remove {}", script.display()))
}

/// Tools of the administrator do not always lie on the path of a user.
fn tool(name: &str) -> Result<Command> {
    for folder in ["/usr/bin", "/usr/sbin", "/bin", "/sbin"] {
        let path = Path::new(folder).join(name);
        if path.exists() {
            return Ok(quiet(&path.display().to_string()));
        }
    }
    bail!("{name} is not there (hint: apt-get install squashfs-tools erofs-utils e2fsprogs)")
}

/// Overwrites the BTF sections of a kernel with zeros; returns how many there were.
///
/// BTF begins with its magic number, a version, flags and the length of its header; then offset and length of the
/// types and of the strings (Documentation/bpf/btf.rst, section 2).
pub(crate) fn zero_btf(image: &mut [u8]) -> usize {
    const START: &[u8] = &[0x9f, 0xeb, 1, 0, 24, 0, 0, 0];
    /// The split BTF of tests and modules is far smaller than that of a kernel.
    const TYPES_BYTES_MIN: u32 = 100_000;
    let mut number = 0;
    let mut at = 0;
    while let Some(found) = image.get(at..).and_then(|rest| position(rest, START)) {
        at += found;
        let field = |index: usize| -> Option<u32> {
            let from = at + START.len() + 4 * index;
            Some(u32::from_le_bytes(image.get(from..from + 4)?.try_into().ok()?))
        };
        let end = match (field(0), field(1), field(2), field(3)) {
            (Some(0), Some(types), Some(strings_at), Some(strings))
                if types >= TYPES_BYTES_MIN && strings_at >= types =>
            {
                usize::try_from(u64::from(strings_at) + u64::from(strings))
                    .ok()
                    .map(|length| at + 24 + length)
            }
            _ => None,
        };
        if let Some(section) = end.and_then(|end| image.get_mut(at..end)) {
            section.fill(0);
            number += 1;
        }
        at += START.len();
    }
    number
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests;
