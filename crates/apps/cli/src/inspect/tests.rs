//! Looks into small images: what is in them, what is weak, and what is refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Parser as _;
use serde_json::Value;

use super::{InspectArgs, run};
use crate::failure::{Exit, Outcome};
use crate::output::{Form, testing::on_paper};
use crate::session::Session;
use crate::settings::Settings;

const STATUS: &str =
    "Package: busybox\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.35.0-4\n\n";
const ADVISORY: &str = r#"{"id":"X-1","modified":"2026-01-01T00:00:00Z","published":"2026-01-01T00:00:00Z",
    "affected":[{"package":{"ecosystem":"Debian","name":"busybox"},"ranges":[{"type":"ECOSYSTEM",
    "events":[{"introduced":"0"},{"fixed":"1:1.36.0-1"}]}]}]}"#;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    args: InspectArgs,
}

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    /// Lays out an image (a tar archive of one file) and an advisory.
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(desk.path("image.tar"), tar("var/lib/dpkg/status", STATUS.as_bytes())).unwrap();
        std::fs::write(desk.path("x.json"), ADVISORY).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn inspect(&self, form: Form, image: &str, more: &[&str]) -> (Outcome, String, String) {
        let (output, out, err) = on_paper(form);
        let settings = Settings::new(BTreeMap::new(), BTreeMap::new(), Vec::new()).unwrap();
        let mut words = vec!["inspect".to_owned(), self.path(image).display().to_string()];
        words.extend(more.iter().map(|word| word.replace('@', &self.path("").display().to_string())));
        let args = Line::parse_from(words).args;
        (run(&args, &mut Session { output, settings }), out.text(), err.text())
    }
}

/// Makes a tar archive (POSIX ustar) of one file.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut head = [0_u8; 512];
    head[..name.len()].copy_from_slice(name.as_bytes());
    head[100..107].copy_from_slice(b"0000644");
    head[108..115].copy_from_slice(b"0000000");
    head[116..123].copy_from_slice(b"0000000");
    head[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    head[136..147].copy_from_slice(b"00000000000");
    head[156] = b'0';
    head[257..265].copy_from_slice(b"ustar\x0000");
    head[148..156].copy_from_slice(b"        ");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut archive = head.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

#[test]
fn components_come_with_their_evidence() {
    let desk = Desk::new();
    let (outcome, out, err) = desk.inspect(Form::Human, "image.tar", &[]);
    assert_eq!(outcome, Ok(Exit::Done), "{err}");
    assert!(
        out.contains("busybox") && out.contains("package-database") && out.contains("var/lib/dpkg/status"),
        "{out}"
    );
    assert!(err.contains("--advisories"), "{err}");
}

#[test]
fn weaknesses_end_with_ten() {
    let desk = Desk::new();
    let (outcome, out, _) = desk.inspect(Form::Json, "image.tar", &["--advisories", "@x.json"]);
    assert_eq!(outcome, Ok(Exit::Attention));
    let all: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(all["weaknesses"]["findings"][0]["advisory"], "X-1", "{out}");
    assert_eq!(all["weaknesses"]["advisories"], 1);
}

#[test]
fn the_bill_of_materials_is_written_whole() {
    let desk = Desk::new();
    let (outcome, _, _) =
        desk.inspect(Form::Human, "image.tar", &["--sbom", "@image.cdx.json", "--product", "cam"]);
    assert_eq!(outcome, Ok(Exit::Done));
    let sbom: Value = serde_json::from_slice(&std::fs::read(desk.path("image.cdx.json")).unwrap()).unwrap();
    assert_eq!(
        (&sbom["specVersion"], &sbom["metadata"]["component"]["name"]),
        (&"1.6".into(), &"cam".into())
    );
}

#[test]
fn what_is_no_image_is_refused_with_a_hint() {
    let desk = Desk::new();
    std::fs::write(desk.path("text"), "this is no image, only a text of some length").unwrap();
    std::fs::write(desk.path("empty"), "").unwrap();
    let check = |image: &str, more: &[&str], exit: Exit| {
        let failure = desk.inspect(Form::Human, image, more).0.unwrap_err();
        assert_eq!(failure.exit, exit, "{image}: {failure}");
        assert!(failure.hint.is_some(), "{image}: {failure}");
    };
    check("text", &[], Exit::Invalid);
    check("empty", &[], Exit::Invalid);
    check("none", &[], Exit::NotFound);
    check("image.tar", &["--advisories", "@none"], Exit::NotFound);
}

#[test]
fn matching_proves_itself() {
    assert_eq!(super::weakness::check_matching(), Ok(()));
}
