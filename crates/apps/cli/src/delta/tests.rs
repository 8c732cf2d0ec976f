//! Patches on small files: made, looked at, applied, and refused without a trace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::in_place::FlashArgs;
use super::{
    ApplyArgs, BenchArgs, DeltaCommand, InfoArgs, MakeArgs, ProfileName, TargetArgs, VerifyArgs, run,
};
use crate::failure::{Exit, Outcome};
use crate::output::{Form, testing::on_paper};
use crate::session::Session;
use crate::settings::Settings;

fn target(profile: ProfileName) -> TargetArgs {
    TargetArgs { profile, memory: None }
}

const TWO_SLOTS: FlashArgs =
    FlashArgs { in_place: false, page: 4096, write: 8, area: None, scratch: 18, copies: None };

const ONE_SLOT: FlashArgs = FlashArgs { in_place: true, ..TWO_SLOTS };

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        let old: Vec<u8> =
            (0..60_000_u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
        let mut new = old.clone();
        new.splice(1000..1010, *b"something else entirely");
        std::fs::write(bench.path("old"), old).unwrap();
        std::fs::write(bench.path("new"), new).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(command: &DeltaCommand) -> (Outcome, String) {
        let (output, out, _) = on_paper(Form::Json);
        let settings = Settings::new(BTreeMap::new(), BTreeMap::new(), Vec::new()).unwrap();
        (run(command, &mut Session { output, settings }), out.text())
    }

    fn make(&self) -> (Outcome, String) {
        self.make_for(ProfileName::Linux, TWO_SLOTS)
    }

    fn make_for(&self, profile: ProfileName, flash: FlashArgs) -> (Outcome, String) {
        let (old, new, output) = (self.path("old"), self.path("new"), self.path("patch"));
        Self::run(&DeltaCommand::Make(MakeArgs { old, new, output, target: target(profile), flash }))
    }

    fn apply(&self, old: &str, patch: &str) -> Outcome {
        let (old, patch, output) = (self.path(old), self.path(patch), Some(self.path("made")));
        Self::run(&DeltaCommand::Apply(ApplyArgs { old, patch, output, in_place: false })).0
    }

    fn apply_in_place(&self, file: &str, patch: &str) -> Outcome {
        let (old, patch) = (self.path(file), self.path(patch));
        Self::run(&DeltaCommand::Apply(ApplyArgs { old, patch, output: None, in_place: true })).0
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn same(a: &Path, b: &Path) -> bool {
    std::fs::read(a).unwrap() == std::fs::read(b).unwrap()
}

#[test]
fn a_patch_makes_the_new_image_from_the_old_one() {
    let bench = Bench::new();
    assert_eq!(bench.make().0, Ok(Exit::Done));
    assert_eq!(bench.apply("old", "patch"), Ok(Exit::Done));
    assert!(same(&bench.path("made"), &bench.path("new")));
    assert_eq!(bench.files(), ["made", "new", "old", "patch"]);
    let (outcome, text) = Bench::run(&DeltaCommand::Info(InfoArgs { patch: bench.path("patch") }));
    assert_eq!(outcome, Ok(Exit::Done));
    let digest = warden_trust::sha256(&std::fs::read(bench.path("new")).unwrap());
    assert!(text.contains(&digest.to_string()), "{text}");
}

#[test]
fn a_patch_can_be_verified_without_keeping_what_it_makes() {
    let bench = Bench::new();
    bench.make().0.unwrap();
    let verify = |old: &str| {
        let (old, patch) = (bench.path(old), bench.path("patch"));
        Bench::run(&DeltaCommand::Verify(VerifyArgs { old, patch })).0
    };
    assert_eq!(verify("old"), Ok(Exit::Done));
    assert_eq!(verify("new").unwrap_err().exit, Exit::Conflict);
    let mut patch = std::fs::read(bench.path("patch")).unwrap();
    *patch.last_mut().unwrap() ^= 0x40;
    std::fs::write(bench.path("patch"), patch).unwrap();
    assert_eq!(verify("old").unwrap_err().exit, Exit::Invalid);
    assert_eq!(bench.files(), ["new", "old", "patch"]);
}

#[test]
fn a_patch_for_a_microcontroller_needs_at_most_64_kib() {
    let bench = Bench::new();
    bench.make_for(ProfileName::Mcu, TWO_SLOTS).0.unwrap();
    let (_, text) = Bench::run(&DeltaCommand::Info(InfoArgs { patch: bench.path("patch") }));
    let header: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(header["profile"], "mcu");
    assert!(header["memory_bytes"].as_u64().unwrap() <= 64 << 10, "{text}");
    assert_eq!(bench.apply("old", "patch"), Ok(Exit::Done));
    assert!(same(&bench.path("made"), &bench.path("new")));
}

#[test]
fn a_patch_in_place_turns_the_file_itself_into_the_new_image() {
    let bench = Bench::new();
    assert_eq!(bench.make_for(ProfileName::Linux, ONE_SLOT).0.unwrap_err().exit, Exit::Usage);
    let narrow = FlashArgs { area: Some(100), ..ONE_SLOT };
    assert_eq!(bench.make_for(ProfileName::Mcu, narrow).0.unwrap_err().exit, Exit::Invalid);
    assert_eq!(bench.make_for(ProfileName::Mcu, ONE_SLOT).0, Ok(Exit::Done));
    let (_, text) = Bench::run(&DeltaCommand::Info(InfoArgs { patch: bench.path("patch") }));
    let header: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&header["profile"], &header["page_bytes"]), (&"in-place".into(), &4096.into()), "{text}");
    assert!(header["memory_bytes"].as_u64().unwrap() <= 64 << 10, "{text}");
    let verify = |old: &str| {
        let (old, patch) = (bench.path(old), bench.path("patch"));
        Bench::run(&DeltaCommand::Verify(VerifyArgs { old, patch })).0
    };
    assert_eq!(verify("old"), Ok(Exit::Done));
    assert_eq!(verify("patch").unwrap_err().exit, Exit::Conflict);
    assert_eq!(bench.apply("old", "patch").unwrap_err().exit, Exit::Invalid, "without --in-place");
    assert_eq!(bench.apply_in_place("old", "new").unwrap_err().exit, Exit::Invalid, "no patch at all");
    assert_eq!(bench.apply_in_place("old", "patch"), Ok(Exit::Done));
    assert!(same(&bench.path("old"), &bench.path("new")));
    assert_eq!(bench.files(), ["new", "old", "patch"]);
}

#[test]
fn nothing_is_left_behind_when_a_patch_is_refused() {
    let bench = Bench::new();
    bench.make().0.unwrap();
    assert_eq!(bench.apply("new", "patch").unwrap_err().exit, Exit::Conflict, "another base");
    assert_eq!(bench.apply("old", "new").unwrap_err().exit, Exit::Invalid, "no patch at all");
    assert_eq!(bench.apply("old", "nowhere").unwrap_err().exit, Exit::NotFound);
    let patch = std::fs::read(bench.path("patch")).unwrap();
    std::fs::write(bench.path("cut"), &patch[..patch.len() - 3]).unwrap();
    assert_eq!(bench.apply("old", "cut").unwrap_err().exit, Exit::Invalid);
    assert_eq!(bench.files(), ["cut", "new", "old", "patch"]);
}

#[test]
fn the_answer_may_be_that_the_full_image_is_smaller() {
    let bench = Bench::new();
    std::fs::write(bench.path("new"), b"tiny").unwrap();
    let (outcome, text) = bench.make();
    assert_eq!(outcome, Ok(Exit::Attention));
    assert!(text.contains("\"patch\": null"), "{text}");
    assert_eq!(bench.files(), ["new", "old"]);
}

#[test]
fn a_benchmark_measures_what_it_made() {
    let bench = Bench::new();
    let (outcome, text) = Bench::run(&DeltaCommand::Bench(BenchArgs {
        old: bench.path("old"),
        new: bench.path("new"),
        target: target(ProfileName::Fast),
    }));
    assert_eq!(outcome, Ok(Exit::Done));
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows[2]["bytes"].as_u64().unwrap() * 10 < rows[0]["bytes"].as_u64().unwrap(), "{text}");
}
