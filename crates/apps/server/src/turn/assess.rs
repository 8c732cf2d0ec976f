//! Assess: advisories meet firmware, findings meet devices, each case gets its deadline, and its end.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use warden_assess::sightings::{is_from_scanner, with_sightings};
use warden_assess::{Fleet, cases, findings};
use warden_model::case::{Case, Finding, Protection};
use warden_model::event::Event;
use warden_model::{CaseId, Sha256Digest, Stage, Timestamp};
use warden_store::Write;

use crate::context::Shared;

/// Brings findings and cases up to date with firmware, advisories, devices and shields; writes only what has changed.
pub(super) async fn run(context: &Shared, now: Timestamp) -> Result<()> {
    let _deciding = context.deciding.lock().await;
    let store = &context.store;
    let products = store.products().await?;
    let advisories = store.advisories().await?;
    let firmware = store.firmwares().await?;
    let shields = store.shields().await?;
    let devices = store.all_devices().await?;
    let known = store.all_cases().await?;
    let sightings = store.cve_sightings().await?;
    let mut present: BTreeMap<Sha256Digest, Vec<Finding>> = BTreeMap::new();
    for finding in store.all_findings().await? {
        present.entry(finding.image).or_default().push(finding);
    }
    let mut writes = Vec::new();
    let mut all: Vec<Finding> = Vec::new();
    for one in &firmware {
        let wanted = findings(one, &advisories);
        if present.remove(&one.image).unwrap_or_default() != wanted {
            writes.push(Write::RemoveFindings { image: one.image });
            writes.extend(wanted.iter().cloned().map(Write::Finding));
        }
        all.extend(wanted);
    }
    let fleet = Fleet {
        products: &products,
        devices: &devices,
        firmware: &firmware,
        advisories: &advisories,
        findings: &all,
        shields: &shields,
    };
    let before: BTreeMap<&CaseId, &Case> = known.iter().map(|case| (&case.id, case)).collect();
    let by_firmware = cases(&fleet, &known, now);
    for case in with_sightings(&fleet, by_firmware, &known, &sightings) {
        let old = before.get(&case.id).copied();
        if old == Some(&case) {
            continue;
        }
        writes.extend(change(old, &case, now).map(Write::Event));
        writes.push(Write::Case(case));
    }
    if writes.is_empty() {
        return Ok(());
    }
    store.commit(&writes).await.context("keep findings and cases")
}

/// Says what has happened to a case; nothing when it is not worth a line in the device's timeline.
fn change(old: Option<&Case>, case: &Case, now: Timestamp) -> Option<Event> {
    let (what, reason) = match (old, case.protected) {
        (None, None) => ("case opened", opened(case)),
        (_, Some((how, _))) if old.and_then(|old| old.protected) != case.protected => {
            let how = match how {
                Protection::Patched if is_from_scanner(&case.finding) => {
                    "a scan looked again, and saw it no more"
                }
                Protection::Patched => "it runs a firmware without the weakness, by its own report",
                Protection::Shielded => "it is shielded",
            };
            ("protected", format!("{}: {how}", case.finding.advisory))
        }
        (Some(old), None) if old.protected.is_some() => ("exposed again", opened(case)),
        (Some(_), None) | (_, Some(_)) => return None,
    };
    Some(Event {
        at: now,
        stage: Stage::Assess,
        device: Some(case.device.clone()),
        release: None,
        rollout: None,
        what: what.to_owned(),
        reason,
    })
}

fn opened(case: &Case) -> String {
    let until = case.decision.deadline.map_or_else(String::new, |deadline| format!(" until {deadline}"));
    let reason = case.finding.reason.trim_end_matches('.');
    format!("{}: {reason} ({}{until})", case.finding.advisory, case.decision.priority)
}
