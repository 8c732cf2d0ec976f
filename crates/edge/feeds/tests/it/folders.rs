//! Files and folders: what is read, what is refused, what is passed over.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use warden_feeds::{FeedError, Import, Limits, read_osv_path};
use warden_model::{ByteCount, Timestamp};

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn advisory(id: &str, modified: &str, summary: &str) -> String {
    format!(r#"{{"id": "{id}", "modified": "{modified}", "summary": "{summary}"}}"#)
}

fn read(path: &Path, limits: &Limits) -> Result<Import, FeedError> {
    read_osv_path(path, Timestamp(0), limits)
}

fn shown(import: &Import) -> Vec<String> {
    import.advisories.iter().map(|advisory| format!("{} {}", advisory.id, advisory.summary)).collect()
}

const OLD: &str = "2026-01-01T00:00:00Z";
const NEW: &str = "2026-02-01T00:00:00Z";

#[test]
fn a_folder_is_read_to_its_ends_and_sorted() {
    let lines = format!("{}\n{}\n", advisory("C", OLD, ""), advisory("A", NEW, "newer"));
    let folder = folder(&[
        ("z.json", &advisory("B", OLD, "")),
        ("a/b/a.json", &advisory("A", OLD, "older")),
        ("a/lines.jsonl", &lines),
        ("README.md", "no advisory"),
        ("x.yaml", "id: D"),
    ]);
    let import = read(folder.path(), &Limits::default()).unwrap();
    assert_eq!(shown(&import), ["A newer", "B ", "C "]);
    assert_eq!((import.files, import.refused.len()), (3, 0));
}

#[test]
fn a_refused_file_does_not_stop_the_others() {
    let folder =
        folder(&[("1.json", "{"), ("2.json", &advisory("A", OLD, "")), ("3.json", r#"{"id": "B"}"#)]);
    let import = read(folder.path(), &Limits::default()).unwrap();
    let refused: Vec<_> = import
        .refused
        .iter()
        .map(|(path, error)| format!("{}: {error}", path.file_name().unwrap().to_string_lossy()))
        .collect();
    assert_eq!(shown(&import), ["A "]);
    assert_eq!(refused, ["1.json: line 1, column 1 is no JSON", "3.json: /modified is missing"]);
}

#[test]
fn a_single_file_may_have_any_name() {
    let folder = folder(&[("advisory.txt", &advisory("A", OLD, ""))]);
    let import = read(&folder.path().join("advisory.txt"), &Limits::default()).unwrap();
    assert_eq!(shown(&import), ["A "]);
}

#[test]
fn what_cannot_be_read_or_is_beyond_the_limits_is_refused() {
    let folder = folder(&[("a/b/c.json", "{}"), ("d.json", &advisory("A", OLD, ""))]);
    let check = |limits: Limits, expected: &str| {
        let error = read(folder.path(), &limits).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(Limits { depth: 1, ..Limits::default() }, "lies more than 1 folders deep");
    check(Limits { files: 1, ..Limits::default() }, "there are more than 1 files below");
    let large =
        read(&folder.path().join("d.json"), &Limits { file: ByteCount(5), ..Limits::default() }).unwrap();
    assert_eq!(large.refused[0].1.to_string(), "the file has more than 5 B");
    let nowhere = read(&folder.path().join("nowhere"), &Limits::default());
    assert!(matches!(nowhere, Err(FeedError::Read { .. })));
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    let folder = folder(&[("a.json", &advisory("A", OLD, ""))]);
    std::os::unix::fs::symlink(folder.path(), folder.path().join("circle")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("endless.json")).unwrap();
    let import = read(folder.path(), &Limits::default()).unwrap();
    assert_eq!((import.files, shown(&import)), (1, vec!["A ".to_owned()]));
}

#[test]
fn the_advisories_of_the_corpus_are_read() {
    let root = std::env::var_os("FLEETWARDEN_CORPUS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/corpus"),
        PathBuf::from,
    );
    let mut talk = std::io::stderr();
    if !root.is_dir() {
        return writeln!(talk, "skipped: no corpus").unwrap();
    }
    let import = read(&root.join("firmware/vuln/osv/osv.dev-testdata"), &Limits::default()).unwrap();
    writeln!(
        talk,
        "osv.dev test data: {} of {} files read",
        import.files - import.refused.len(),
        import.files
    )
    .unwrap();
    assert!(import.refused.is_empty(), "{:?}", import.refused);
    assert_eq!((import.files, import.advisories.len()), (26, 26));
}
