//! Preparing releases: analyse, delta, lab. Mirrors `apps/server/src/turn/{analyse,delta,lab}.rs`; the components and the
//! size of the patch are told by the story, because the simulator has names instead of bytes.

use std::collections::BTreeMap;

use warden_lab::{FieldVersion, Outcome, Plan, Scenario, ScenarioVerdict, judge, scenarios};
use warden_model::release::{Patch, Release, ReleaseState};
use warden_model::{ByteCount, PerMille, ReleaseId, Stage, Timestamp};

use super::State;
use crate::chance::digest_of;
use crate::lab::{self, Subject};
use crate::world::Defect;

/// Leads a release from uploaded to proven, or rejects it; each step says why.
pub(super) fn run(state: &mut State, id: &ReleaseId, patch_share: PerMille, defect: Defect, now: Timestamp) {
    analyse(state, id, now);
    delta(state, id, patch_share, now);
    prove(state, id, defect, now);
}

fn advance(state: &mut State, id: &ReleaseId, to: ReleaseState, reason: &str) {
    if let Some(release) = state.releases.get_mut(id) {
        release.state = to;
        reason.clone_into(&mut release.reason);
    }
}

fn analyse(state: &mut State, id: &ReleaseId, now: Timestamp) {
    let image = state.releases.get(id).map(|release| release.image);
    let components = image.and_then(|image| state.firmware.get(&image)?.components.as_ref());
    let names: Vec<String> = components
        .into_iter()
        .flatten()
        .map(|component| format!("{} {}", component.name, component.version))
        .collect();
    let reason = format!("holds {}", names.join(", "));
    advance(state, id, ReleaseState::Analysed, &reason);
    state.say_of_release(id, now, Stage::Analyse, "analysed", reason);
}

fn delta(state: &mut State, id: &ReleaseId, share: PerMille, now: Timestamp) {
    let Some(release) = state.releases.get(id).cloned() else { return };
    let full = state.firmware.get(&release.image).map_or(ByteCount(0), |firmware| firmware.size);
    let mut said = Vec::new();
    for base in field(state, &release).into_iter().filter(|base| base.image != release.image) {
        if share == PerMille::ALL {
            said.push(format!(
                "from {}: full image of {full}, because the patch would not be smaller",
                base.version
            ));
            continue;
        }
        let size = ByteCount(share.of_count_rounded_up(full.0));
        let digest = digest_of(&format!("patch/{}/{}", base.image, release.image));
        said.push(format!("from {}: {size} instead of {full} ({share})", base.version));
        state.patches.push(Patch { base: base.image, result: release.image, digest, size });
    }
    let reason = if said.is_empty() {
        "no other version is in the field, so there is nothing to patch from".to_owned()
    } else {
        said.join("; ")
    };
    advance(state, id, ReleaseState::Built, &reason);
    state.say_of_release(id, now, Stage::Delta, "patches built", reason);
}

/// Returns the versions that devices have confirmed, with how many run them.
fn field(state: &State, release: &Release) -> Vec<FieldVersion> {
    let mut versions = BTreeMap::new();
    let devices = state.devices.values().filter(|device| device.product == release.product);
    for running in devices.filter_map(|device| device.confirmed.clone()) {
        *versions.entry(running).or_insert(0_u64) += 1;
    }
    let field = versions.into_iter();
    field
        .map(|(running, devices)| FieldVersion { image: running.image, version: running.version, devices })
        .collect()
}

fn prove(state: &mut State, id: &ReleaseId, defect: Defect, now: Timestamp) {
    let Some(release) = state.releases.get(id).cloned() else { return };
    let plan = scenarios(&release, &field(state, &release));
    let mut runs: Vec<(Scenario, ScenarioVerdict)> = Vec::new();
    if let Plan::Run(planned) = &plan {
        for scenario in planned {
            let seen = subject(state, &release, scenario, defect)
                .map_or_else(|| lab::not_possible(scenario), |subject| lab::live(scenario, &subject, now));
            runs.push((scenario.clone(), judge(scenario, &seen)));
        }
    }
    let verdict = plan.verdict(&runs);
    let (to, what) = match verdict.outcome {
        Outcome::Passed => (ReleaseState::Proven, "proven"),
        Outcome::Failed => (ReleaseState::Rejected, "rejected"),
    };
    advance(state, id, to, &verdict.reason);
    state.say_of_release(id, now, Stage::Lab, what, verdict.reason);
}

fn subject(state: &State, release: &Release, scenario: &Scenario, defect: Defect) -> Option<Subject> {
    let from = state.release_of(&scenario.from.image)?;
    let product = state.products.get(&release.product)?;
    let patch = state.patches.iter().find(|p| p.base == from.image && p.result == release.image);
    Some(Subject {
        product: release.product.clone(),
        board: product.boards.first()?.clone(),
        from: from.clone(),
        from_size: state.firmware.get(&from.image)?.size,
        to: release.clone(),
        to_size: state.firmware.get(&release.image)?.size,
        patch: patch.cloned(),
        defect,
    })
}
