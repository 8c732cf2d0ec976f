//! The generated reference: what the code says of itself, checked in so that people can read and compare it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::run;

/// The generated files and the arguments of `fleetwarden` that print them.
const PAGES: &[(&str, &[&str])] = &[
    ("docs/reference/openapi.json", &["reference", "openapi"]),
    ("docs/reference/cli.md", &["reference", "cli"]),
    ("docs/reference/configuration.md", &["reference", "configuration"]),
];

fn generate(arguments: &[&str]) -> Result<String> {
    let mut all = vec!["run", "--quiet", "--locked", "--package", "warden-cli", "--bin", "fleetwarden", "--"];
    all.extend(arguments);
    run::output("cargo", &all)
}

fn path(name: &str) -> PathBuf {
    run::root().join(name)
}

/// Fails when a checked-in page differs from what the code says.
pub(crate) fn check(_: &[String]) -> Result<()> {
    let mut stale = Vec::new();
    for (name, arguments) in PAGES {
        let expected = generate(arguments)?;
        let found = fs::read_to_string(path(name)).unwrap_or_default();
        if found != expected {
            stale.push(*name);
        }
    }
    if stale.is_empty() {
        run::say(&format!("docs: {} generated pages are up to date", PAGES.len()));
        return Ok(());
    }
    bail!("the code has changed, these pages have not: {}\n  hint: ./fw bless", stale.join(", "))
}

/// Writes the generated pages and accepts the snapshots of the tests.
pub(crate) fn bless(_: &[String]) -> Result<()> {
    for (name, arguments) in PAGES {
        let text = generate(arguments)?;
        let path = path(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("write {name}"))?;
        run::say(&format!("wrote {name}"));
    }
    let mut tests = run::command("cargo", &["test", "--quiet", "--locked", "--package", "warden-sim"]);
    run::finish(tests.env("INSTA_UPDATE", "always"))
}
