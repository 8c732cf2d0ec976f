//! Indexes on small files: made, planned with, applied, and refused without a trace.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{ApplyArgs, IndexCommand, MakeArgs, PlanArgs, run};
use crate::failure::{Exit, Outcome};
use crate::output::{Form, testing::on_paper};
use crate::session::Session;
use crate::settings::Settings;

struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let old: Vec<u8> =
            (0..60_000_u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
        let mut new = old.clone();
        new.splice(1000..1010, *b"something else entirely");
        std::fs::write(bench.path("old"), old).unwrap();
        std::fs::write(bench.path("new"), new).unwrap();
        for name in ["old", "new"] {
            let args = MakeArgs { image: bench.path(name), output: bench.path(&format!("{name}.index")) };
            assert_eq!(Self::run(&IndexCommand::Make(args)).0.unwrap(), Exit::Done);
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(command: &IndexCommand) -> (Outcome, String) {
        let (output, out, _) = on_paper(Form::Json);
        let settings = Settings::new(BTreeMap::new(), BTreeMap::new(), Vec::new()).unwrap();
        (run(command, &mut Session { output, settings }), out.text())
    }

    fn plan(&self, own: Option<&str>) -> PlanArgs {
        PlanArgs { old: self.path("old"), index: self.path("new.index"), own: own.map(|own| self.path(own)) }
    }
}

#[test]
fn a_device_fetches_a_few_chunks_and_has_the_image() {
    let bench = Bench::new();
    for own in [Some("old.index"), None] {
        let (outcome, text) = Bench::run(&IndexCommand::Plan(bench.plan(own)));
        assert_eq!(outcome.unwrap(), Exit::Done);
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(told["bytes"].as_u64().unwrap() < 60_000, "{text}");
        let output = bench.path("made");
        let args = ApplyArgs { plan: bench.plan(own), output: output.clone() };
        assert_eq!(Bench::run(&IndexCommand::Apply(args)).0.unwrap(), Exit::Done);
        assert_eq!(std::fs::read(&output).unwrap(), std::fs::read(bench.path("new")).unwrap());
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused_without_a_trace() {
    let bench = Bench::new();
    std::fs::copy(bench.path("old.index/list"), bench.path("new.index/list")).unwrap();
    let args = ApplyArgs { plan: bench.plan(None), output: bench.path("made") };
    let failure = Bench::run(&IndexCommand::Apply(args)).0.unwrap_err();
    assert!(format!("{failure:?}").contains("the list of the index is not the one"), "{failure:?}");
    assert!(!bench.path("made").exists());
}
