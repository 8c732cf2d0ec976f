//! What keeps the tree readable: short files with a header, inherited lints, no leftovers, no forgotten files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::house::crates;
use crate::run;

/// Longest source file, in lines (style 3).
const LINES_MAX: usize = 500;
/// Largest file in the tree, in bytes: larger ones belong into a package registry or are made by a build.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// Longest documents, in lines (the map of the house).
const DOCUMENT_LINES_MAX: &[(&str, usize)] = &[("README.md", 150), ("ARCHITECTURE.md", 300), ("fw", 150)];

/// Words that must not stay behind; written in two halves, so that this list does not find itself.
fn leftovers() -> Vec<String> {
    [("FIX", "ME"), ("XX", "X:"), ("dbg", "!("), ("to", "do!("), ("unimpl", "emented!("), ("#[ig", "nore]")]
        .iter()
        .map(|(a, b)| format!("{a}{b}"))
        .collect()
}

/// Checks the tree; an error lists everything that is untidy.
pub(crate) fn run(_: &[String]) -> Result<()> {
    let mut mess = Vec::new();
    let mut files = 0;
    for one in crates()? {
        let manifest = one.path.join("Cargo.toml");
        let text = read(&manifest)?;
        if !text.contains("[lints]\nworkspace = true") {
            mess.push(format!("{}: does not inherit the lints ([lints] workspace = true)", show(&manifest)));
        }
        for folder in ["src", "tests"] {
            for path in rust_files(&one.path.join(folder))? {
                files += 1;
                mess.extend(source_mess(&path, &read(&path)?));
                mess.extend(forgotten(&path, &one.path)?);
            }
        }
    }
    for path in tracked_files()? {
        mess.extend(file_mess(&path)?);
    }
    if mess.is_empty() {
        run::say(&format!("tidy: {files} source files are in order"));
        return Ok(());
    }
    bail!("{} things are untidy:\n  {}", mess.len(), mess.join("\n  "))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

fn show(path: &Path) -> String {
    path.strip_prefix(run::root()).unwrap_or(path).display().to_string()
}

/// Lists the Rust files below a folder, sorted; a folder that is not there has none.
pub(crate) fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn source_mess(path: &Path, text: &str) -> Vec<String> {
    let mut mess = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        mess.push(format!("{}: {lines} lines, more than {LINES_MAX}: split it by what it does", show(path)));
    }
    if !text.starts_with("//!") {
        mess.push(format!(
            "{}: no //! header: say what goes in, what comes out, what it refuses",
            show(path)
        ));
    }
    for (number, line) in text.lines().enumerate() {
        if let Some(word) = leftovers().iter().find(|word| line.contains(word.as_str())) {
            mess.push(format!("{}:{}: {word} was left behind", show(path), number + 1));
        }
    }
    mess
}

/// A file that no `mod` line names is never built, and its tests never run.
fn forgotten(path: &Path, home: &Path) -> Result<Option<String>> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let folder = path.parent().unwrap_or(home);
    let is_root =
        [home.join("src"), home.join("src/bin"), home.join("tests/it")].iter().any(|root| root == folder)
            && (matches!(stem, "lib" | "main") || folder.ends_with("bin"));
    if is_root {
        return Ok(None);
    }
    if folder == home.join("tests") {
        return Ok(Some(format!("{}: one integration-test binary a crate: tests/it/main.rs", show(path))));
    }
    let parents = match stem {
        "mod" => {
            return Ok(Some(format!("{}: a module's file has the module's name, not mod.rs", show(path))));
        }
        _ => [folder.with_extension("rs"), folder.join("lib.rs"), folder.join("main.rs")],
    };
    for parent in parents.iter().filter(|parent| parent.is_file()) {
        let text = read(parent)?;
        let names_it = |line: &str| {
            let line = line.trim().trim_end_matches(';');
            line.strip_prefix("mod ").or_else(|| line.split_once(" mod ").map(|(_, name)| name)) == Some(stem)
        };
        if text.lines().any(names_it) {
            return Ok(None);
        }
    }
    Ok(Some(format!("{}: forgotten: no `mod {stem};` names it", show(path))))
}

/// Lists the files that git keeps; outside a checkout there is nothing to check.
fn tracked_files() -> Result<Vec<PathBuf>> {
    if !run::is_there("git", &["rev-parse", "--git-dir"]) {
        return Ok(Vec::new());
    }
    let text = run::output("git", &["ls-files", "-z"])?;
    Ok(text.split('\0').filter(|name| !name.is_empty()).map(|name| run::root().join(name)).collect())
}

fn file_mess(path: &Path) -> Result<Vec<String>> {
    let mut mess = Vec::new();
    // A file that was deleted but not yet committed is no file.
    let Ok(metadata) = fs::metadata(path) else { return Ok(mess) };
    if metadata.len() > FILE_BYTES_MAX {
        mess.push(format!("{}: {} bytes, more than {FILE_BYTES_MAX}", show(path), metadata.len()));
    }
    if let Some((name, limit)) = DOCUMENT_LINES_MAX.iter().find(|(name, _)| show(path) == *name) {
        let lines = read(path)?.lines().count();
        if lines > *limit {
            mess.push(format!("{name}: {lines} lines, more than {limit}"));
        }
    }
    Ok(mess)
}
