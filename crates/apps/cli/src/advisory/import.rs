//! Importing advisories: each file is read here first, so that a refusal names the file and the place in it.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use warden_feeds::{FeedError, Limits, read_osv};
use warden_wire::rest::ImportReceipt;

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome, chain};
use crate::output::{Page, Table};
use crate::session::{Session, now};

/// Most bytes that go to the server at once: some thousand advisories, a second on a slow line.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What an import did.
#[derive(Debug, Default)]
struct Import {
    files: usize,
    accepted: Vec<String>,
    new: u64,
    refused: Vec<Refused>,
}

/// A file that was not taken.
#[derive(Debug)]
struct Refused {
    path: PathBuf,
    why: String,
    hint: Option<String>,
}

/// Imports files and folders. Exit code 6 says that a file was refused; all others were taken.
pub(super) fn import(paths: &[PathBuf], session: &mut Session) -> Outcome {
    let client = session.client()?;
    let limits = Limits::default();
    let mut files = Vec::new();
    for path in paths {
        collect(path, 0, &limits, &mut files)?;
    }
    let mut import = Import { files: files.len(), ..Import::default() };
    let mut batch = Batch::default();
    for path in files {
        match read(&path, &limits) {
            Ok(advisories) => {
                for advisory in advisories {
                    batch.push(&path, advisory);
                }
                if batch.bytes > BATCH_BYTES_MAX {
                    std::mem::take(&mut batch).send(&client, &mut import)?;
                }
            }
            Err(refused) => import.refused.push(refused),
        }
    }
    batch.send(&client, &mut import)?;
    show(&import, session)
}

/// Lists the files of a path. Links are not followed: a folder of advisories has none, and a link could lead in a circle.
fn collect(path: &Path, depth: usize, limits: &Limits, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error| Failure::file("read", path, &error);
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if depth > limits.depth {
        let error = FeedError::TooDeep { path: path.to_owned(), max: limits.depth };
        return Err(Failure::new(Exit::Invalid, error.to_string()).hint(error.hint()));
    }
    let entries: Result<Vec<_>, _> = fs::read_dir(path).map_err(failed)?.collect();
    let mut entries = entries.map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(failed)?;
        let is_feed = entry.path().extension().is_some_and(|end| end == "json" || end == "jsonl");
        if kind.is_dir() {
            collect(&entry.path(), depth + 1, limits, files)?;
        } else if kind.is_file() && is_feed {
            if files.len() >= limits.files {
                let error = FeedError::TooManyFiles { path: path.to_owned(), max: limits.files };
                return Err(Failure::new(Exit::Invalid, error.to_string()).hint(error.hint()));
            }
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Reads a file as the server will, and returns the records as they stand in it.
fn read(path: &Path, limits: &Limits) -> Result<Vec<Value>, Refused> {
    let refuse =
        |why: String, hint: &str| Refused { path: path.to_owned(), why, hint: Some(hint.to_owned()) };
    // One byte more than is allowed is enough to refuse: a file may grow, and a device never ends.
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limits.file.0.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| refuse(error.to_string(), "check that the file may be read"))?;
    read_osv(&bytes, now(), limits).map_err(|error| refuse(chain(&error), error.hint()))?;
    let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(&bytes).into_iter().collect();
    let values =
        values.map_err(|error| refuse(error.to_string(), "export the advisory again as OSV JSON"))?;
    let flat = values.into_iter().flat_map(|value| match value {
        Value::Array(records) => records,
        one => vec![one],
    });
    Ok(flat.collect())
}

/// Advisories that go to the server together.
#[derive(Debug, Default)]
struct Batch {
    records: Vec<(PathBuf, Value)>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, path: &Path, record: Value) {
        self.bytes = self.bytes.saturating_add(record.to_string().len());
        self.records.push((path.to_owned(), record));
    }

    /// Sends all at once; where the server refuses something, one by one, so that the rest gets in and the refusal has a
    /// name.
    fn send(self, client: &Client, import: &mut Import) -> Result<(), Failure> {
        if self.records.is_empty() {
            return Ok(());
        }
        let all: Vec<&Value> = self.records.iter().map(|(_, record)| record).collect();
        match client.post::<_, ImportReceipt>("/advisories", &all) {
            Ok(receipt) => import.take(receipt),
            Err(failure) if failure.exit == Exit::Invalid => {
                for (path, record) in self.records {
                    match client.post::<_, ImportReceipt>("/advisories", &record) {
                        Ok(receipt) => import.take(receipt),
                        Err(failure) if failure.exit == Exit::Invalid => {
                            import.refused.push(Refused { path, why: failure.message, hint: failure.hint });
                        }
                        Err(failure) => return Err(failure),
                    }
                }
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }
}

impl Import {
    fn take(&mut self, receipt: ImportReceipt) {
        self.accepted.extend(receipt.accepted);
        self.new = self.new.saturating_add(receipt.new);
    }
}

impl Import {
    /// What standard error says when not everything was taken: the first refusal stands for all.
    fn refusal(&self, first: &Refused) -> Failure {
        let what = match self.refused.len() {
            1 => "1 record or file was refused".to_owned(),
            count => format!("{count} records or files were refused, the first"),
        };
        let message = format!(
            "{what}: {}: {}; {} advisories were taken",
            first.path.display(),
            first.why,
            self.accepted.len()
        );
        let failure = Failure::new(Exit::Invalid, message);
        match &first.hint {
            Some(hint) => failure.hint(hint.clone()),
            None => failure,
        }
    }
}

fn show(import: &Import, session: &mut Session) -> Outcome {
    let refused: Vec<Value> = import
        .refused
        .iter()
        .map(|refused| json!({ "path": refused.path, "reason": refused.why, "hint": refused.hint }))
        .collect();
    let all =
        json!({ "files": import.files, "accepted": import.accepted, "new": import.new, "refused": refused });
    session.output.show(&all, |_| {
        let mut table = Table::new(["file", "why", "hint"]);
        for refused in &import.refused {
            table.push([
                &refused.path.display().to_string(),
                &refused.why,
                refused.hint.as_deref().unwrap_or("-"),
            ]);
        }
        Page::new()
            .field("files", import.files.to_string())
            .field("taken", import.accepted.len().to_string())
            .field("new", import.new.to_string())
            .field("refused", import.refused.len().to_string())
            .section("refused", table)
    })?;
    match import.refused.first() {
        None => Ok(Exit::Done),
        Some(first) => Err(import.refusal(first)),
    }
}

#[cfg(test)]
mod tests {
    use super::{collect, read};
    use crate::failure::Exit;
    use warden_feeds::Limits;

    const GOOD: &str = r#"{"id":"X-1","modified":"2026-01-01T00:00:00Z","published":"2026-01-01T00:00:00Z",
        "affected":[{"package":{"ecosystem":"Debian","name":"busybox"},"ranges":[{"type":"ECOSYSTEM",
        "events":[{"introduced":"0"},{"fixed":"1.36"}]}]}]}"#;

    #[test]
    fn records_are_read_here_before_they_are_sent() {
        let folder = tempfile::tempdir().unwrap();
        let check = |text: &str, expected: Option<usize>| {
            let path = folder.path().join("x.json");
            std::fs::write(&path, text).unwrap();
            let read = read(&path, &Limits::default());
            assert_eq!(read.as_ref().ok().map(Vec::len), expected, "{text}: {read:?}");
        };
        check(GOOD, Some(1));
        check(&format!("[{GOOD},{GOOD}]"), Some(2));
        check("{\"id\":\"X-1\"", None);
        check("{\"id\":\"../x\"}", None);
        check("", None);
    }

    #[test]
    fn folders_are_walked_in_order_and_other_files_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.json", "a.jsonl", "notes.txt"] {
            std::fs::write(folder.path().join(name), GOOD).unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("circle.json")).unwrap();
        let mut files = Vec::new();
        collect(folder.path(), 0, &Limits::default(), &mut files).unwrap();
        let names: Vec<_> = files.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.jsonl", "b.json"]);
        let failure = collect(&folder.path().join("none"), 0, &Limits::default(), &mut files).unwrap_err();
        assert_eq!(failure.exit, Exit::NotFound);
    }
}
