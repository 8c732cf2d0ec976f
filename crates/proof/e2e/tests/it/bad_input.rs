//! Bad input, given to the real binaries as a person would give it: each is refused with its cause and a way on, soon,
//! in bounded memory, and nothing is left behind.

mod made;
mod served;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;
use warden_e2e::binaries::Binaries;
use warden_e2e::process::run;

/// Most address space for a command that meets a bomb: a debug binary maps some 120 MiB before it does anything.
const MEMORY_KIB_MAX: u32 = 320 * 1024;
/// Exit codes are a promise: `fleetwarden` says what kind of failure it was, the agent only that there was one.
const FAILED: i32 = 1;
const NOT_FOUND: i32 = 3;
const CONFLICT: i32 = 5;
const INVALID: i32 = 6;

/// How a command ended.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(command: &mut Command) -> Result<Self> {
        let output = command.output().with_context(|| format!("start {command:?}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ran = Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) };
        for word in ["panicked", "RUST_BACKTRACE", "unwrap", "memory allocation"] {
            assert!(!ran.all().contains(word), "{command:?}: {}", ran.all());
        }
        Ok(ran)
    }

    fn all(&self) -> String {
        format!("code {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.out, self.err)
    }

    /// Checks a refusal as people see it: an exit code, the cause, and a hint, all on standard error.
    fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.all());
        for word in words.iter().chain(&["error: ", "\nhint: "]) {
            assert!(self.err.contains(word), "{word:?} is missing: {}", self.all());
        }
    }
}

/// A folder with files, and the real binaries.
struct Desk {
    folder: tempfile::TempDir,
    binaries: Binaries,
}

impl Desk {
    fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()?, binaries: Binaries::find()? })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        Ok(fs::write(self.path(name), bytes)?)
    }

    /// The names of all files below a folder that have bytes in them.
    fn files(&self, below: &str) -> Result<BTreeSet<String>> {
        let (mut names, mut folders) = (BTreeSet::new(), vec![self.path(below)]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if fs::metadata(&path)?.len() > 0 {
                    names.insert(path.strip_prefix(self.folder.path())?.display().to_string());
                }
            }
        }
        Ok(names)
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    fn fleetwarden(&self, arguments: &[&str]) -> Result<Ran> {
        Ran::of(&mut self.command(&self.binaries.fleetwarden, arguments))
    }

    fn agent(&self, arguments: &[&str]) -> Result<Ran> {
        Ran::of(&mut self.command(&self.binaries.agent, arguments))
    }

    /// Runs a program behind some lines of shell; `$0` and on are the program and its arguments.
    fn behind(&self, shell: &str, program: &Path, arguments: &[&str]) -> Result<Ran> {
        let program = program.display().to_string();
        let all: Vec<&str> = ["-c", shell, &program].into_iter().chain(arguments.iter().copied()).collect();
        Ran::of(&mut self.command(Path::new("/bin/sh"), &all))
    }

    /// Runs a program that gets little memory.
    fn bounded(&self, arguments: &[&str]) -> Result<Ran> {
        let shell = format!("ulimit -v {MEMORY_KIB_MAX} && exec \"$0\" \"$@\"");
        self.behind(&shell, &self.binaries.fleetwarden, arguments)
    }

    /// Makes a device that runs a file of this desk.
    fn device(&self, dir: &str, image: &str) -> Result<()> {
        let names = ["--version", "1.0", "--product", "cam", "--hardware", "b1", "--device", "d1"];
        let first = ["factory", "--dir", dir, "--image", image];
        let made = self.agent(&[first.as_slice(), &names].concat())?;
        assert_eq!(made.code, Some(0), "{}", made.all());
        Ok(())
    }

    /// Checks that a device runs what it ran before, and that nothing waits in its other slot.
    fn is_as_before(&self, dir: &str) -> Result<()> {
        let status = self.agent(&["status", "--json", "--dir", dir])?;
        let status: Value = serde_json::from_str(&status.out)?;
        let is = |key: &str| status.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        assert_eq!((is("confirmed_version"), is("confirmed_slot")), ("1.0".to_owned(), "a".to_owned()));
        assert_eq!((is("trial"), is("update")), ("nothing on trial".to_owned(), String::new()), "{status}");
        Ok(())
    }
}

#[expect(clippy::print_stderr, reason = "a test that leaves something out says so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

#[test]
fn broken_images_are_refused_with_their_cause() -> Result<()> {
    let desk = Desk::new()?;
    let (image, archive) = (made::squashfs("good")?, made::tar(&[("a", made::Entry::File(&[7; 3000]))])?);
    let stream = zstd::encode_all(archive.as_slice(), 3)?;
    let part = |bytes: &[u8], length: usize| bytes.get(..length).unwrap_or_default().to_vec();
    let mut wrong_sum = zstd::encode_all(made::noise(1, 4000).as_slice(), 3)?;
    wrong_sum.splice(8..16, [0xff; 8]);
    let cases = [
        ("empty", Vec::new(), "the image is empty"),
        ("noise", made::noise(3, 5000), "none found"),
        ("cut.squashfs", part(&image, image.len() / 2), "it ends early"),
        ("head.squashfs", part(&image, 50), "of a format that is not known"),
        ("rootless.squashfs", made::rootless_squashfs()?, "a block cannot be unpacked"),
        ("cut.tar", part(&archive, 700), "tar: it ends early"),
        ("cut.tar.zst", part(&stream, stream.len() / 2), "ends early"),
        ("corrupt.zst", wrong_sum, "corrupt.zst: the image is"),
    ];
    for (name, bytes, cause) in &cases {
        desk.file(name, bytes)?;
        desk.fleetwarden(&["inspect", name, "--sbom", "sbom.json"])?.refused(INVALID, &[name, cause]);
    }
    fs::create_dir(desk.path("folder"))?;
    desk.fleetwarden(&["inspect", "folder"])?.refused(INVALID, &["open folder", "not a folder"]);
    desk.fleetwarden(&["inspect", "none"])?.refused(NOT_FOUND, &["open none", "check the path"]);
    assert!(!desk.path("sbom.json").exists(), "no bill of materials of what was refused");

    let ran = desk.fleetwarden(&["--json", "inspect", "cut.squashfs"])?;
    let error: Value = serde_json::from_str(&ran.err).with_context(|| ran.all())?;
    assert_eq!((ran.code, ran.out.as_str()), (Some(INVALID), ""));
    assert_eq!(error.pointer("/error/code"), Some(&Value::from("invalid")));
    assert!(error.pointer("/error/hint").is_some_and(Value::is_string), "{error}");
    Ok(())
}

#[test]
fn a_bomb_of_one_to_a_million_stops_in_bounded_memory() -> Result<()> {
    let desk = Desk::new()?;
    desk.file("bomb.zst", &made::bomb()?)?;
    desk.bounded(&["inspect", "bomb.zst"])?.refused(INVALID, &["a compression bomb", "ratio_max"]);

    // Nobody has to look before a device is given the image; then the device finds out, and turns back.
    desk.file("v1", b"version 1.0")?;
    desk.device("device", "v1")?;
    turns_back(&desk, "bomb.zst", "a compression bomb")?;
    let unpacked = desk.files("device/run")?;
    assert!(unpacked.is_empty(), "{unpacked:?}");
    Ok(())
}

/// Installs an image and boots: the device must run what it ran before.
fn turns_back(desk: &Desk, image: &str, cause: &str) -> Result<()> {
    let installed = desk.agent(&["install", "--dir", "device", "--version", "1.1", "--image", image])?;
    assert_eq!(installed.code, Some(0), "{}", installed.all());
    let limit = format!("ulimit -v {MEMORY_KIB_MAX} && exec \"$0\" \"$@\"");
    let booted = desk.behind(&limit, &desk.binaries.agent, &["boot", "--dir", "device"])?;
    let seen: Value = serde_json::from_str(&booted.out).with_context(|| booted.all())?;
    assert_eq!(seen.get("phases"), Some(&serde_json::json!(["BOOTED", "ROLLED_BACK"])), "{seen}");
    assert!(seen.to_string().contains(cause), "{seen}");
    desk.is_as_before("device")
}

#[test]
fn paths_that_lead_out_of_an_archive_lead_nowhere() -> Result<()> {
    let desk = Desk::new()?;
    fs::create_dir(desk.path("inner"))?;
    let victim = desk.path("absolute").display().to_string();
    desk.file("inner/hostile.tar", &made::climbing(&victim)?)?;
    let before = desk.files("")?;

    let ran = desk.fleetwarden(&["inspect", "inner/hostile.tar"])?;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    for why in ["climbs out with `..`", "the path is absolute", "leads out of the image", "is no directory"] {
        assert!(ran.out.contains(why), "{why:?} is missing: {}", ran.all());
    }
    assert!(ran.err.contains("4 entries were left out"), "{}", ran.all());
    assert_eq!(desk.files("")?, before, "looking writes nothing");

    desk.file("v1", b"version 1.0")?;
    desk.device("device", "v1")?;
    turns_back(&desk, "inner/hostile.tar", "climbs out")?;
    let stray =
        |name: &String| name.contains("climbed") || name.contains("absolute") || name.contains("through");
    assert!(!desk.files("")?.iter().any(stray), "{:?}", desk.files("")?);
    Ok(())
}

#[test]
fn patches_that_do_not_fit_change_nothing() -> Result<()> {
    let desk = Desk::new()?;
    let old = made::noise(11, 200_000);
    let mut new = old.clone();
    new.splice(1000..1100, *b"something else");
    for (name, bytes) in [("old", &old), ("new", &new), ("other", &made::noise(12, 200_000))] {
        desk.file(name, bytes)?;
    }
    run(&mut desk.command(&desk.binaries.fleetwarden, &["delta", "make", "old", "new", "-o", "good"]))?;
    let good = fs::read(desk.path("good"))?;
    let mut corrupt = good.clone();
    corrupt.iter_mut().rev().skip(20).take(4).for_each(|byte| *byte ^= 0x55);
    let cut = |length: usize| good.get(..length).unwrap_or_default().to_vec();
    desk.file("cut", &cut(good.len() - 5))?;
    desk.file("head", &cut(50))?;
    desk.file("corrupt", &corrupt)?;
    desk.file("longer", &[good.as_slice(), b"more"].concat())?;
    desk.file("out", b"what was there before")?;
    desk.device("device", "old")?;
    desk.device("stranger", "other")?;
    let cases = [
        ("old", "cut", INVALID, "it was cut"),
        ("old", "head", INVALID, "it was cut"),
        ("old", "corrupt", INVALID, "the patch is corrupt"),
        ("old", "longer", INVALID, "bytes after its end"),
        ("old", "new", INVALID, "this is no patch"),
        ("other", "good", CONFLICT, "the base is not the one"),
        ("old", "none", NOT_FOUND, "read none"),
    ];
    let before = desk.files("")?;
    for (base, patch, code, cause) in cases {
        let applied = desk.fleetwarden(&["delta", "apply", base, patch, "-o", "out"])?;
        applied.refused(code, &[patch, cause]);
        assert_eq!(fs::read(desk.path("out"))?, b"what was there before", "{patch}");
        assert_eq!(desk.files("")?, before, "{patch} left something behind");
    }
    for (base, patch, _, cause) in cases.into_iter().filter(|case| case.1 != "none") {
        let dir = if base == "old" { "device" } else { "stranger" };
        let ran = desk.agent(&["install", "--dir", dir, "--version", "1.1", "--patch", patch])?;
        ran.refused(FAILED, &[cause]);
        desk.is_as_before(dir)?;
        let armed = ran.out.is_empty() || ran.out.contains("\"armed\":false");
        assert!(
            armed && ran.out.is_empty() != ran.out.contains("\"cause\":\"wrong-bytes\""),
            "{}",
            ran.all()
        );
    }
    Ok(())
}

/// Stands in for a full disk where no file system may be mounted: files end at 64 blocks of 512 or 1,024 bytes.
/// The signal that comes with it is ignored, so that writing fails as it does on a full disk.
const SMALL_FILES: &str = "trap '' XFSZ; ulimit -f 64 && exec \"$0\" \"$@\"";

/// Runs a program on a file system of 300 KiB and then lists what it left there; 99 says that none may be mounted.
const SMALL_DISK: &str = "mount -t tmpfs -o size=300k tmpfs disk || exit 99
    test ! -d device || cp -r device/. disk || exit 98
    \"$0\" \"$@\"; code=$?
    find disk -type f -size +0 | sed 's/^/left: /' >&2
    exit $code";

#[test]
fn a_full_disk_is_said_to_be_one() -> Result<()> {
    let desk = Desk::new()?;
    let old = made::noise(21, 200_000);
    let new = [old.as_slice(), &made::noise(22, 200_000)].concat();
    desk.file("old", &old)?;
    desk.file("new", &new)?;
    run(&mut desk.command(&desk.binaries.fleetwarden, &["delta", "make", "old", "new", "-o", "patch"]))?;
    let apply = |to| ["delta", "apply", "old", "patch", "-o", to];
    let install = |dir| ["install", "--dir", dir, "--version", "1.1", "--image", "new"];
    let full = ["make room on the disk"];

    let before = desk.files("")?;
    let ran = desk.behind(SMALL_FILES, &desk.binaries.fleetwarden, &apply("made"))?;
    ran.refused(FAILED, &[full.as_slice(), &["write made"]].concat());
    assert_eq!(desk.files("")?, before);
    desk.device("device", "old")?;
    desk.behind(SMALL_FILES, &desk.binaries.agent, &install("device"))?.refused(FAILED, &full);
    desk.is_as_before("device")?;
    assert_eq!(fs::metadata(desk.path("device/slots/b.img"))?.len(), 0, "the slot gives its room back");

    fs::create_dir(desk.path("disk"))?;
    let mounted = |program: &Path, arguments: &[&str]| {
        let all = ["-m", "/bin/sh", "-c", SMALL_DISK, &program.display().to_string()];
        Ran::of(&mut desk.command(Path::new("unshare"), &[all.as_slice(), arguments].concat()))
    };
    let ran = mounted(&desk.binaries.fleetwarden, &apply("disk/made")).ok();
    let Some(ran) = ran.filter(|ran| !ran.err.contains("unshare:") && ran.code != Some(99)) else {
        skipped("a really full disk: only root may mount a small one; a limit on file sizes stood in for it");
        return Ok(());
    };
    ran.refused(FAILED, &[full.as_slice(), &["write disk/made", "No space left"]].concat());
    assert!(!ran.err.contains("made.") && !ran.err.contains(".part"), "{}", ran.all());
    let ran = mounted(&desk.binaries.agent, &install("disk"))?;
    ran.refused(FAILED, &[full.as_slice(), &["No space left"]].concat());
    assert!(
        ran.out.contains("\"cause\":\"no-space\"") && ran.out.contains("\"armed\":false"),
        "{}",
        ran.all()
    );
    assert!(ran.err.contains("left: disk/slots/a.img") && !ran.err.contains("b.img"), "{}", ran.all());
    Ok(())
}
