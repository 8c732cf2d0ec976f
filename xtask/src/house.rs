//! The house as cargo sees it: its crates, their zones, their dependencies.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run;

/// What a crate may touch; the first folder below `crates`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Words and promises.
    Base,
    /// The stages.
    Loop,
    /// Where bytes leave the process.
    Edge,
    /// Wiring.
    Apps,
    /// Never shipped.
    Proof,
    /// Automation.
    Xtask,
}

/// A dependency of a crate.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// The name of the package.
    pub name: String,
    /// Whether it is there for tests only.
    pub only_for_tests: bool,
}

/// A crate of the house.
#[derive(Debug)]
pub(crate) struct Crate {
    /// The name of the package.
    pub name: String,
    /// The folder, from the top of the tree.
    pub folder: String,
    /// The folder, absolute.
    pub path: PathBuf,
    /// Its zone.
    pub zone: Zone,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
    /// The names of its binaries.
    pub binaries: Vec<String>,
}

/// Asks cargo for the crates of the house, sorted by folder.
pub(crate) fn crates() -> Result<Vec<Crate>> {
    let text = run::output("cargo", &["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: Value = serde_json::from_str(&text).context("read what cargo metadata printed")?;
    let packages =
        metadata.get("packages").and_then(Value::as_array).context("cargo metadata lists no packages")?;
    let mut crates = packages.iter().map(read_crate).collect::<Result<Vec<_>>>()?;
    crates.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(crates)
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value.get(key).and_then(Value::as_str).with_context(|| format!("cargo metadata: no {key}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn read_crate(package: &Value) -> Result<Crate> {
    let name = text(package, "name")?.to_owned();
    let manifest = PathBuf::from(text(package, "manifest_path")?);
    let path = manifest.parent().context("a manifest without a folder")?.to_path_buf();
    let folder =
        path.strip_prefix(run::root()).context("a crate outside of the house")?.display().to_string();
    let zone = zone_of(&folder).with_context(|| format!("{folder}: belongs to no zone"))?;
    let dependencies = list(package, "dependencies")
        .iter()
        .map(|dependency| {
            let only_for_tests = dependency.get("kind").and_then(Value::as_str) == Some("dev");
            Ok(Dependency { name: text(dependency, "name")?.to_owned(), only_for_tests })
        })
        .collect::<Result<_>>()?;
    let is_binary = |target: &&Value| list(target, "kind").iter().any(|kind| kind == "bin");
    let binaries = list(package, "targets").iter().filter(is_binary);
    let binaries = binaries.map(|target| text(target, "name").map(str::to_owned)).collect::<Result<_>>()?;
    Ok(Crate { name, folder, path, zone, dependencies, binaries })
}

fn zone_of(folder: &str) -> Option<Zone> {
    if folder == "xtask" {
        return Some(Zone::Xtask);
    }
    match folder.strip_prefix("crates/")?.split_once('/')?.0 {
        "base" => Some(Zone::Base),
        "loop" => Some(Zone::Loop),
        "edge" => Some(Zone::Edge),
        "apps" => Some(Zone::Apps),
        "proof" => Some(Zone::Proof),
        _ => None,
    }
}
