//! Shield: devices that run no fix get a firewall policy. Mirrors `apps/server/src/turn/shield.rs`; only `nft` itself is
//! not here, so that a ruleset counts as verified once it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use warden_model::case::{Case, Protection};
use warden_model::device::Device;
use warden_model::release::{Release, ReleaseState};
use warden_model::rollout::MemberState;
use warden_model::shield::{Shield, ShieldState};
use warden_model::{DeviceId, ShieldId, Stage, Timestamp};
use warden_shield::{
    Fix, OpenCase, Planned, Protectee, ShieldPlan, ShieldPolicy, UpdateServer, plan, ruleset,
};

use super::State;

/// The address of the virtual server.
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// The port of its device protocol.
const PORT: u16 = 8443;

/// Plans who is shielded, and keeps the shields.
pub(super) fn run(state: &mut State, now: Timestamp) {
    let plan = shield_plan(state, now);
    let wanted: BTreeSet<DeviceId> =
        plan.shields.iter().map(|planned| planned.shield.device.clone()).collect();
    let gone: Vec<DeviceId> = state
        .shields
        .values()
        .filter(|shield| shield.state != ShieldState::Lifted && !wanted.contains(&shield.device))
        .map(|shield| shield.device.clone())
        .collect();
    for device in gone {
        if let Some(shield) = state.shields.get_mut(&device) {
            (shield.state, shield.since) = (ShieldState::Lifted, now);
        }
        let reason = "nothing is left to shield the device from".to_owned();
        state.say_of(&device, now, Stage::Shield, "shield lifted", reason);
    }
    let lines = ruleset(&plan).lines().count();
    for planned in &plan.shields {
        keep(state, planned, lines, now);
    }
}

fn keep(state: &mut State, planned: &Planned, lines: usize, now: Timestamp) {
    let device = &planned.shield.device;
    let found = state.shields.get(device);
    let stands = found.is_some_and(|shield| {
        shield.state == ShieldState::Verified
            && shield.reason == planned.shield.reason
            && shield.advisories == planned.shield.advisories
    });
    let Ok(id) = ShieldId::new(device.as_str()) else { return };
    if stands {
        return;
    }
    let since =
        found.filter(|shield| shield.state == ShieldState::Verified).map_or(now, |shield| shield.since);
    let shield = Shield {
        id,
        device: device.clone(),
        reason: planned.shield.reason,
        advisories: planned.shield.advisories.clone(),
        state: ShieldState::Verified,
        since,
    };
    let reason = format!("{}; the ruleset of {lines} lines is written", planned.because);
    state.shields.insert(device.clone(), shield);
    state.say_of(device, now, Stage::Shield, "shielded", reason);
}

/// Plans who is shielded, as things stand.
pub fn shield_plan(state: &State, now: Timestamp) -> ShieldPlan {
    let policy = ShieldPolicy::new(UpdateServer { address: SERVER, ports: BTreeSet::from([PORT]) });
    let mut open: BTreeMap<&DeviceId, Vec<OpenCase<'_>>> = BTreeMap::new();
    for case in state.cases.iter().filter(|case| is_unpatched(case)) {
        let Some(device) = state.devices.get(&case.device) else { continue };
        open.entry(&case.device).or_default().push(OpenCase { case, fix: fix(state, device, case) });
    }
    let inputs: Vec<Protectee<'_>> = state
        .devices
        .values()
        .filter_map(|device| {
            let product = state.products.get(&device.product)?;
            Some(Protectee { device, product, open_cases: open.remove(&device.id).unwrap_or_default() })
        })
        .collect();
    plan(&inputs, &policy, now)
}

fn is_unpatched(case: &Case) -> bool {
    !matches!(case.protected, Some((Protection::Patched, _)))
}

/// Says whether a fix for a case exists, and where it is.
fn fix(state: &State, device: &Device, case: &Case) -> Fix {
    let counter = state.release_of(&case.finding.image).map_or(0, |release| release.counter);
    let helps = |release: &&Release| {
        release.product == device.product
            && release.counter > counter
            && !matches!(
                release.state,
                ReleaseState::Rejected | ReleaseState::Withdrawn | ReleaseState::Uploaded
            )
            && !state.is_weak(&release.image, &case.finding.advisory)
    };
    let Some(release) = state.releases.values().filter(helps).max_by_key(|release| release.counter) else {
        return Fix::Nowhere;
    };
    let id = release.id.clone();
    let rollouts = state.rollouts.values().filter(|record| record.rollout.release == id);
    let own = rollouts.flat_map(|record| &record.members).filter(|member| member.device == device.id);
    match own.map(|member| member.state).next_back() {
        Some(MemberState::RolledBack | MemberState::Failed | MemberState::Reverted) => Fix::Failed(id),
        Some(
            MemberState::Waiting
            | MemberState::Offered
            | MemberState::Updating
            | MemberState::Installed
            | MemberState::Booted
            | MemberState::Healthy
            | MemberState::Reverting,
        ) => Fix::OnItsWay(id),
        Some(MemberState::Cancelled) | None => Fix::Released(id),
    }
}
