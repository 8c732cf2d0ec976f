//! The dependency tree stays lean and free: a limit on its size, allowed licences, banned crates.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run;

/// Most packages in Cargo.lock, our own included. Each costs build time on every machine and trust in its makers; raise
/// it only together with a decision in docs/adr.
const PACKAGES_MAX: usize = 355;

/// Checks the tree; an error lists everything that is wrong.
pub(crate) fn run(_: &[String]) -> Result<()> {
    let lock = fs::read_to_string(run::root().join("Cargo.lock")).context("read Cargo.lock")?;
    let packages = lock.lines().filter(|line| *line == "[[package]]").count();
    if packages > PACKAGES_MAX {
        bail!(
            "Cargo.lock has {packages} packages, more than {PACKAGES_MAX}.\n  hint: `cargo tree -d` shows doubles, \
             `cargo tree -e features -i NAME` shows who wants what;\n  turn default features off, or argue for a \
             larger limit in docs/adr"
        );
    }
    let rules = fs::read_to_string(run::root().join("deny.toml")).context("read deny.toml")?;
    let banned = quoted_after(&rules, "crate = ");
    let allowed: BTreeSet<String> = licences(&rules);
    let text = run::output("cargo", &["metadata", "--format-version", "1", "--locked"])?;
    let metadata: Value = serde_json::from_str(&text).context("read what cargo metadata printed")?;
    let list =
        metadata.get("packages").and_then(Value::as_array).context("cargo metadata lists no packages")?;
    let mut breaks = Vec::new();
    for package in list {
        let name = package.get("name").and_then(Value::as_str).unwrap_or_default();
        let licence = package.get("license").and_then(Value::as_str).unwrap_or_default();
        if banned.iter().any(|crate_name| crate_name == name) {
            breaks.push(format!("{name} is banned (deny.toml says why)"));
        }
        if !is_allowed(licence, &allowed) {
            breaks.push(format!("{name}: licence {licence:?} is not among those allowed in deny.toml"));
        }
    }
    if breaks.is_empty() {
        run::say(&format!("deps: {packages} packages of at most {PACKAGES_MAX}, licences and bans kept"));
        return Ok(());
    }
    bail!("{} dependencies do not fit:\n  {}", breaks.len(), breaks.join("\n  "))
}

/// Collects the quoted word behind each `key` in the text.
fn quoted_after(text: &str, key: &str) -> Vec<String> {
    text.split(key).skip(1).filter_map(|rest| rest.split('"').nth(1)).map(str::to_owned).collect()
}

fn licences(rules: &str) -> BTreeSet<String> {
    let list = rules.split("allow = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Reads an SPDX expression: each part that is joined by AND needs one alternative that is allowed. The old `/` means OR.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    !plain.trim().is_empty()
        && plain.split(" AND ").all(|part| part.split(" OR ").any(|licence| allowed.contains(licence.trim())))
}

#[cfg(test)]
mod tests {
    use super::{is_allowed, licences};

    #[test]
    fn every_part_needs_an_allowed_alternative() {
        let allowed = licences(r#"allow = ["MIT", "Apache-2.0", "ISC"]"#);
        let check = |expression: &str, expected: bool| {
            assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
        };
        check("MIT OR GPL-2.0", true);
        check("MIT/GPL-2.0", true);
        check("Apache-2.0 AND ISC", true);
        check("MIT AND GPL-2.0", false);
        check("GPL-3.0", false);
        check("", false);
    }
}
