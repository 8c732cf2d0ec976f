//! The dependency rules of the house: who may use whom. Each message says which rule was broken and what to do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::house::{Crate, Dependency, Zone, crates};
use crate::run;
use crate::tidy::rust_files;

/// Heavy dependencies and the folders that may hold them (house rule 6).
const QUARANTINE: &[(&str, &[&str])] = &[
    ("sqlx", &["crates/edge/store"]),
    ("axum", &["crates/apps/server", "crates/apps/console", "crates/apps/cli"]),
    ("hyper", &["crates/apps/server"]),
    ("maud", &["crates/apps/console"]),
    ("rcgen", &["crates/edge/keys"]),
    ("sigstore-tuf", &["crates/base/trust"]),
    ("backhand", &["crates/loop/analyse", "crates/proof/kit"]),
];

/// The stages of the loop, as the names of their crates in code.
const STAGES: &[&str] = &[
    "warden_analyse",
    "warden_assess",
    "warden_delta",
    "warden_lab",
    "warden_rollout",
    "warden_shield",
    "warden_watch",
];

/// Checks the rules; an error lists every break.
pub(crate) fn run(_: &[String]) -> Result<()> {
    let house = crates()?;
    let mut breaks = Vec::new();
    for one in &house {
        breaks.extend(name_breaks(one));
        breaks.extend(zone_breaks(one, &house));
        breaks.extend(quarantine_breaks(one));
        breaks.extend(meeting_breaks(one)?);
    }
    if breaks.is_empty() {
        run::say(&format!("layers: {} crates keep the rules", house.len()));
        return Ok(());
    }
    bail!("{} rules of the house are broken:\n  {}", breaks.len(), breaks.join("\n  "))
}

fn name_breaks(one: &Crate) -> Vec<String> {
    let last = one.folder.rsplit('/').next().unwrap_or_default();
    let expected = if one.zone == Zone::Xtask { "xtask".to_owned() } else { format!("warden-{last}") };
    let mut breaks = Vec::new();
    if one.name != expected {
        breaks.push(format!("{}: the package is named {}, not {expected} (rule 3)", one.folder, one.name));
    }
    let binaries_may_be: &[&str] = match one.folder.as_str() {
        "crates/apps/cli" => &["fleetwarden"],
        "crates/apps/agent" => &["fleetwarden-agent"],
        "crates/proof/e2e" => &["warden-demo"],
        "crates/proof/fuzz" => &["warden-fuzz"],
        "xtask" => &["xtask"],
        _ => &[],
    };
    for binary in one.binaries.iter().filter(|binary| !binaries_may_be.contains(&binary.as_str())) {
        breaks.push(format!(
            "{}: has a binary {binary}; allowed here: {binaries_may_be:?} (rule 3)",
            one.folder
        ));
    }
    breaks
}

/// Says whether a crate of one zone may use a crate of another (house rule 1, and 2 for the stages).
fn may_use(user: &Crate, dependency: &Dependency, target: &Crate) -> bool {
    match target.zone {
        // The kit of builders is for the tests of every zone; it ships nowhere.
        Zone::Proof => {
            user.zone == Zone::Proof || (dependency.only_for_tests && target.folder == "crates/proof/kit")
        }
        Zone::Base => user.zone != Zone::Xtask,
        Zone::Loop => matches!(user.zone, Zone::Edge | Zone::Apps | Zone::Proof),
        Zone::Edge => matches!(user.zone, Zone::Apps | Zone::Proof),
        Zone::Apps => user.zone == Zone::Proof || user.folder == "crates/apps/cli",
        Zone::Xtask => false,
    }
}

fn zone_breaks(one: &Crate, house: &[Crate]) -> Vec<String> {
    let uses = one.dependencies.iter().filter_map(|dependency| {
        house.iter().find(|other| other.name == dependency.name).map(|other| (dependency, other))
    });
    uses.filter(|(dependency, other)| !may_use(one, dependency, other))
        .map(|(_, other)| match (one.zone, other.zone) {
            (Zone::Loop, Zone::Loop) => format!(
                "{}: uses {}: stages never call each other, they meet in apps/server/src/turn.rs (rule 2)",
                one.folder, other.folder
            ),
            _ => format!("{}: uses {}, which its zone may not (rule 1)", one.folder, other.folder),
        })
        .collect()
}

fn quarantine_breaks(one: &Crate) -> Vec<String> {
    let mut breaks = Vec::new();
    for dependency in one.dependencies.iter().filter(|dependency| !dependency.only_for_tests) {
        let rule = QUARANTINE.iter().find(|(name, _)| *name == dependency.name);
        if let Some((name, folders)) = rule
            && !folders.contains(&one.folder.as_str())
        {
            breaks.push(format!(
                "{}: uses {name}, which lives in {} alone (rule 6)",
                one.folder,
                folders.join(", ")
            ));
        }
        if dependency.name == "anyhow" && matches!(one.zone, Zone::Base | Zone::Loop | Zone::Edge) {
            breaks.push(format!("{}: uses anyhow; libraries have error enums (style 8)", one.folder));
        }
    }
    breaks
}

/// Stages meet in the server's `turn.rs` (and its folder `turn/`) and in `proof`, nowhere else (rule 2).
fn meeting_breaks(one: &Crate) -> Result<Vec<String>> {
    if one.zone != Zone::Apps {
        return Ok(Vec::new());
    }
    let turn = run::root().join("crates/apps/server/src");
    let may_meet = |path: &Path| path == turn.join("turn.rs") || path.starts_with(turn.join("turn"));
    let mut breaks = Vec::new();
    for path in rust_files(&one.path.join("src"))?.iter().filter(|path| !may_meet(path)) {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let stages: BTreeSet<&str> =
            STAGES.iter().copied().filter(|stage| text.contains(&format!("{stage}::"))).collect();
        if stages.len() > 1 {
            let shown = path.strip_prefix(run::root()).unwrap_or(path).display().to_string();
            breaks.push(format!(
                "{shown}: {stages:?} meet here; stages meet in apps/server/src/turn.rs (rule 2)"
            ));
        }
    }
    Ok(breaks)
}
