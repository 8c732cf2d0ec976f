//! Shield: devices that run no fix get a firewall policy and virtual patches, checked by the real `nft`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result};
use tracing::{info, warn};
use warden_model::case::Case;
use warden_model::device::Device;
use warden_model::event::Event;
use warden_model::product::Product;
use warden_model::release::{Release, ReleaseState};
use warden_model::rollout::{Member, MemberState, RolloutState};
use warden_model::shield::{Shield, ShieldState};
use warden_model::{DeviceId, ReleaseId, ShieldId, Stage, Timestamp};
use warden_shield::{
    Fix, IpsPolicy, Mode, OpenCase, Planned, Protectee, ShieldPlan, ShieldPolicy, UpdateServer, plan,
    rule_file, ruleset, virtual_patches, weaknesses,
};
use warden_store::Write;

use crate::context::Shared;

/// The key under which the ruleset is kept.
pub(crate) const RULESET: &str = "shield/ruleset";
/// The key under which the intrusion-prevention rules are kept.
pub(crate) const RULES: &str = "shield/rules";

/// What the plan is made from.
struct Fleet {
    products: Vec<Product>,
    devices: Vec<Device>,
    cases: Vec<Case>,
    releases: Vec<Release>,
    members: BTreeMap<DeviceId, Vec<(ReleaseId, Member)>>,
    weak: BTreeSet<(warden_model::Sha256Digest, warden_model::AdvisoryId)>,
}

/// Plans who is shielded, checks the rules, and keeps both.
pub(super) async fn run(context: &Shared, now: Timestamp) -> Result<()> {
    let _deciding = context.deciding.lock().await;
    let fleet = gather(context).await?;
    let plan = planned(context, &fleet, now);
    let present = context.store.shields().await?;
    let text = ruleset(&plan);
    let kept = context.store.setting(RULESET).await?;
    let same_rules = kept.as_ref().and_then(|value| value.as_str()) == Some(text.as_str());
    let settled = present.iter().all(|shield| shield.state != ShieldState::Planned);
    let mut writes = lifted(&present, &plan, now);
    let same_shields = plan.shields.iter().all(|planned| stands(&present, planned));
    if same_rules && settled && same_shields && writes.is_empty() {
        return Ok(());
    }
    let checked = check(text.clone()).await;
    if let Err(why) = &checked {
        warn!(why, "the shield's ruleset was refused");
    }
    for planned in &plan.shields {
        writes.extend(shield_writes(&present, planned, &checked, now)?);
    }
    writes.push(Write::Setting { key: RULESET.to_owned(), value: text.into() });
    writes.push(Write::Setting { key: RULES.to_owned(), value: rules(&plan, &fleet.cases)?.into() });
    context.store.commit(&writes).await.context("keep the shields")
}

async fn gather(context: &Shared) -> Result<Fleet> {
    let store = &context.store;
    let mut members: BTreeMap<DeviceId, Vec<(ReleaseId, Member)>> = BTreeMap::new();
    for (rollout, own) in store.all_members().await? {
        // A draft that nobody has started brings nobody anything.
        if rollout.state == RolloutState::Draft {
            continue;
        }
        for member in own {
            members.entry(member.device.clone()).or_default().push((rollout.release.clone(), member));
        }
    }
    let findings = store.all_findings().await?;
    Ok(Fleet {
        products: store.products().await?,
        devices: store.all_devices().await?,
        cases: store.all_cases().await?,
        releases: store.releases().await?,
        members,
        weak: findings.into_iter().map(|finding| (finding.image, finding.advisory)).collect(),
    })
}

fn planned(context: &Shared, fleet: &Fleet, now: Timestamp) -> ShieldPlan {
    let device_address = context.config.device_address;
    let address = match device_address.ip() {
        // Listening everywhere names no address; the public name may be one.
        any if any.is_unspecified() => {
            context.config.public_host.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
        }
        address => address,
    };
    let mut policy =
        ShieldPolicy::new(UpdateServer { address, ports: BTreeSet::from([device_address.port()]) });
    policy.loopback = context.config.loopback_devices;
    let products: BTreeMap<_, _> = fleet.products.iter().map(|product| (&product.id, product)).collect();
    let mut unpatched: BTreeMap<&DeviceId, Vec<&Case>> = BTreeMap::new();
    for case in fleet.cases.iter().filter(|case| is_unpatched(case)) {
        unpatched.entry(&case.device).or_default().push(case);
    }
    let inputs: Vec<Protectee<'_>> = fleet
        .devices
        .iter()
        .filter_map(|device| {
            let own = unpatched.remove(&device.id).unwrap_or_default().into_iter();
            let open_cases = own.map(|case| OpenCase { case, fix: fix(fleet, device, case) }).collect();
            Some(Protectee { device, product: products.get(&device.product)?, open_cases })
        })
        .collect();
    plan(&inputs, &policy, now)
}

fn is_unpatched(case: &Case) -> bool {
    !matches!(case.protected, Some((warden_model::case::Protection::Patched, _)))
}

/// Says whether a fix for a case exists, and where it is.
fn fix(fleet: &Fleet, device: &Device, case: &Case) -> Fix {
    let running = fleet.releases.iter().find(|release| release.image == case.finding.image);
    let counter = running.map_or(0, |release| release.counter);
    let helps = |release: &&Release| {
        release.product == device.product
            && release.counter > counter
            && !matches!(release.state, ReleaseState::Rejected | ReleaseState::Withdrawn)
            && release.state != ReleaseState::Uploaded
            && !fleet.weak.contains(&(release.image, case.finding.advisory.clone()))
    };
    let Some(release) = fleet.releases.iter().filter(helps).max_by_key(|release| release.counter) else {
        return Fix::Nowhere;
    };
    let id = release.id.clone();
    // The newest rollout counts: a second try is on its way, whatever became of the first.
    let mut own = fleet.members.get(&device.id).into_iter().flatten();
    let state = own.find(|(release, _)| *release == id).map(|(_, member)| member.state);
    match state {
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

fn stands(present: &[Shield], planned: &Planned) -> bool {
    let found = present.iter().find(|shield| shield.device == planned.shield.device);
    found.is_some_and(|shield| {
        shield.state == ShieldState::Verified
            && shield.reason == planned.shield.reason
            && shield.advisories == planned.shield.advisories
    })
}

fn lifted(present: &[Shield], plan: &ShieldPlan, now: Timestamp) -> Vec<Write> {
    let wanted: BTreeSet<&DeviceId> = plan.shields.iter().map(|planned| &planned.shield.device).collect();
    let gone = present
        .iter()
        .filter(|shield| shield.state != ShieldState::Lifted && !wanted.contains(&shield.device));
    gone.flat_map(|shield| {
        let lifted = Shield { state: ShieldState::Lifted, since: now, ..shield.clone() };
        let reason = "nothing is left to shield the device from".to_owned();
        [Write::Shield(lifted), Write::Event(event(&shield.device, "shield lifted", reason, now))]
    })
    .collect()
}

async fn check(text: String) -> Result<String, String> {
    let result = tokio::task::spawn_blocking(move || {
        warden_net::check_ruleset(&text, warden_net::NftLimits::default())
    })
    .await;
    match result {
        Ok(Ok(checked)) => Ok(checked.nft_version),
        Ok(Err(error)) => Err(crate::problem::chain(&error)),
        Err(error) => Err(format!("the check did not end: {error}")),
    }
}

fn shield_writes(
    present: &[Shield],
    planned: &Planned,
    checked: &Result<String, String>,
    now: Timestamp,
) -> Result<Vec<Write>> {
    let device = &planned.shield.device;
    let found = present.iter().find(|shield| shield.device == *device);
    let (state, what, reason) = match checked {
        Ok(version) => {
            (ShieldState::Verified, "shielded", format!("{}; the rules passed {version}", planned.because))
        }
        Err(why) => (ShieldState::Refused, "shield refused", format!("{}, but {why}", planned.because)),
    };
    let shield = Shield {
        id: match found {
            Some(found) => found.id.clone(),
            None => ShieldId::new(device.as_str()).context("name the shield")?,
        },
        device: device.clone(),
        reason: planned.shield.reason,
        advisories: planned.shield.advisories.clone(),
        state,
        since: match found {
            Some(found) if found.state == state => found.since,
            Some(_) | None => now,
        },
    };
    if found == Some(&shield) {
        return Ok(Vec::new());
    }
    info!(device = %device, state = %state, because = planned.because, "shield planned");
    Ok(vec![Write::Shield(shield), Write::Event(event(device, what, reason, now))])
}

fn event(device: &DeviceId, what: &str, reason: String, now: Timestamp) -> Event {
    let (release, rollout) = (None, None);
    Event {
        at: now,
        stage: Stage::Shield,
        device: Some(device.clone()),
        release,
        rollout,
        what: what.to_owned(),
        reason,
    }
}

/// Writes the intrusion-prevention rules; what they cannot hold off is said in comments at the end of the file.
fn rules(plan: &ShieldPlan, cases: &[Case]) -> Result<String> {
    let open: Vec<&Case> = cases.iter().filter(|case| is_unpatched(case)).collect();
    let policy = IpsPolicy { peers: Vec::new(), mode: Mode::Enforce, generation: 1 };
    let patches = virtual_patches(&weaknesses(plan, &open), &[], &policy);
    let mut text = rule_file(&patches.rules).context("write the intrusion-prevention rules")?;
    for uncovered in &patches.uncovered {
        text.extend(["# ", uncovered.advisory.as_str(), ": ", &uncovered.why.to_string(), "\n"]);
    }
    Ok(text)
}
