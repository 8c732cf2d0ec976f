//! Assess: advisories meet firmware, findings meet devices, each case gets its deadline, and its end.
//! Mirrors `apps/server/src/turn/assess.rs`.

use std::collections::BTreeMap;

use warden_assess::{Fleet, cases, findings};
use warden_model::advisory::Advisory;
use warden_model::case::{Case, Protection};
use warden_model::device::Device;
use warden_model::firmware::Firmware;
use warden_model::product::Product;
use warden_model::shield::Shield;
use warden_model::{CaseId, Stage, Timestamp};

use super::State;

/// Brings findings and cases up to date.
pub(super) fn run(state: &mut State, now: Timestamp) {
    let products: Vec<Product> = state.products.values().cloned().collect();
    let devices: Vec<Device> = state.devices.values().cloned().collect();
    let firmware: Vec<Firmware> = state.firmware.values().cloned().collect();
    let shields: Vec<Shield> = state.shields.values().cloned().collect();
    let advisories: &[Advisory] = &state.advisories;
    let all: Vec<_> = firmware.iter().flat_map(|one| findings(one, advisories)).collect();
    let fleet = Fleet {
        products: &products,
        devices: &devices,
        firmware: &firmware,
        advisories,
        findings: &all,
        shields: &shields,
    };
    let ranked = cases(&fleet, &state.cases, now);
    let before: BTreeMap<CaseId, Case> =
        state.cases.iter().map(|case| (case.id.clone(), case.clone())).collect();
    for case in &ranked {
        if let Some((what, reason)) = change(before.get(&case.id), case) {
            state.say_of(&case.device, now, Stage::Assess, what, reason);
        }
    }
    (state.cases, state.findings) = (ranked, all);
}

fn change(old: Option<&Case>, case: &Case) -> Option<(&'static str, String)> {
    match (old, case.protected) {
        (None, None) => Some(("case opened", opened(case))),
        (_, Some((how, _))) if old.and_then(|old| old.protected) != case.protected => {
            let how = match how {
                Protection::Patched => "it runs a firmware without the weakness, by its own report",
                Protection::Shielded => "it is shielded",
            };
            Some(("protected", format!("{}: {how}", case.finding.advisory)))
        }
        (Some(old), None) if old.protected.is_some() => Some(("exposed again", opened(case))),
        (Some(_), None) | (_, Some(_)) => None,
    }
}

fn opened(case: &Case) -> String {
    let until = case.decision.deadline.map_or_else(String::new, |deadline| format!(" until {deadline}"));
    format!("{}: {} ({}{until})", case.finding.advisory, case.finding.reason, case.decision.priority)
}
