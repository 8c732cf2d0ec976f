//! Who is shielded, who is not, and why.
//!
//! In: devices with their products and open cases, the policy, `now`. Out: a plan; each shield and each refusal with its
//! reason. Refuses: nothing; a device that needs a shield and cannot have one is said as data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use warden_model::case::{Case, Priority, Protection};
use warden_model::device::{Device, UpdateState};
use warden_model::product::{Product, Support};
use warden_model::shield::ShieldReason;
use warden_model::{AdvisoryId, DeviceId, ReleaseId, Timestamp};

use crate::policy::{Allowed, Class, Loopback, ShieldPolicy};

/// How far the fix of one case has come for one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// No release has it.
    Nowhere,
    /// A release has it; no rollout brings it to this device yet.
    Released(ReleaseId),
    /// A rollout is bringing it to this device.
    OnItsWay(ReleaseId),
    /// The device got it and turned back, or could not install it.
    Failed(ReleaseId),
}

/// A case that is not closed by a patch, with the state of its fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCase<'a> {
    /// The case.
    pub case: &'a Case,
    /// How far its fix has come.
    pub fix: Fix,
}

/// A device that may need protection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protectee<'a> {
    /// The device.
    pub device: &'a Device,
    /// Its product.
    pub product: &'a Product,
    /// Its cases; those that a patch has closed are ignored.
    pub open_cases: Vec<OpenCase<'a>>,
}

/// A shield around one device, before it has an id and a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceShield {
    /// The device.
    pub device: DeviceId,
    /// Its address, in canonical form.
    pub address: IpAddr,
    /// Its rights.
    pub class: Class,
    /// Why it is shielded: the gravest reason.
    pub reason: ShieldReason,
    /// The weaknesses that the shield covers; sorted.
    pub advisories: Vec<AdvisoryId>,
}

/// A shield and the sentence that says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The shield.
    pub shield: DeviceShield,
    /// Why, in one sentence.
    pub because: String,
}

/// Why a device has no shield.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkipReason {
    /// It has no open case, and its product is supported.
    NoOpenCase,
    /// All its cases may wait.
    MayWait,
    /// A fix is released and within its deadline.
    FixReleased(ReleaseId),
    /// A fix is being rolled out and within its deadline.
    FixOnItsWay(ReleaseId),
    /// It needs a shield, and nobody knows its address.
    NoAddress,
    /// It needs a shield, and no rule can hold its address.
    UnusableAddress {
        /// The address.
        address: IpAddr,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl SkipReason {
    /// Says whether the device needs a shield that it does not have.
    pub fn leaves_exposed(&self) -> bool {
        match self {
            Self::NoAddress | Self::UnusableAddress { .. } => true,
            Self::NoOpenCase | Self::MayWait | Self::FixReleased(_) | Self::FixOnItsWay(_) => false,
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOpenCase => f.write_str("it has no open case and its product gets updates"),
            Self::MayWait => f.write_str("all its open cases may wait"),
            Self::FixReleased(release) => {
                write!(f, "release {release} holds the fix and the deadline has not passed")
            }
            Self::FixOnItsWay(release) => {
                write!(f, "release {release} is on its way to it and within its deadline")
            }
            Self::NoAddress => f.write_str(
                "it needs a shield, but its address is not known; it must report or be seen first",
            ),
            Self::UnusableAddress { address, why } => {
                write!(f, "it needs a shield, but its last known address {address} {why}")
            }
        }
    }
}

/// A device without a shield, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The device.
    pub device: DeviceId,
    /// Why.
    pub reason: SkipReason,
}

/// Who is shielded, how, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShieldPlan {
    /// The shields, in the order of their devices.
    pub shields: Vec<Planned>,
    /// The other devices, in order.
    pub skipped: Vec<Skipped>,
    /// What the classes that occur may do.
    pub allowed: BTreeMap<Class, Vec<Allowed>>,
}

/// Decides who is shielded at `now`.
pub fn plan(inputs: &[Protectee<'_>], policy: &ShieldPolicy, now: Timestamp) -> ShieldPlan {
    let mut inputs: Vec<&Protectee<'_>> = inputs.iter().collect();
    inputs.sort_by_key(|input| &input.device.id);
    let mut result = ShieldPlan::default();
    for input in &inputs {
        match judge(input, policy, now) {
            Ok(planned) => result.shields.push(planned),
            Err(reason) => result.skipped.push(Skipped { device: input.device.id.clone(), reason }),
        }
    }
    name_neighbours(&mut result.shields, &inputs);
    for planned in &result.shields {
        let class = planned.shield.class;
        result.allowed.entry(class).or_insert_with(|| policy.allowed(class));
    }
    result
}

fn judge(input: &Protectee<'_>, policy: &ShieldPolicy, now: Timestamp) -> Result<Planned, SkipReason> {
    let open: Vec<&OpenCase<'_>> = input.open_cases.iter().filter(|open| is_open(open.case)).collect();
    let (reason, because) = need(input, &open, now)?;
    let address = usable_address(input.device, policy.loopback)?;
    let advisories: BTreeSet<AdvisoryId> =
        open.iter().map(|open| open.case.finding.advisory.clone()).collect();
    let class = policy.class_of(&input.product.id, reason);
    let advisories = advisories.into_iter().collect();
    let shield = DeviceShield { device: input.device.id.clone(), address, class, reason, advisories };
    Ok(Planned { shield, because })
}

/// A case stays open behind a shield: the shield is what holds it, and must not fall because it stands.
fn is_open(case: &Case) -> bool {
    !matches!(case.protected, Some((Protection::Patched, _)))
}

fn is_shielded(case: &Case) -> bool {
    matches!(case.protected, Some((Protection::Shielded, _)))
}

/// Returns the gravest reason for a shield with its sentence, or why none is needed.
fn need(
    input: &Protectee<'_>,
    open: &[&OpenCase<'_>],
    now: Timestamp,
) -> Result<(ShieldReason, String), SkipReason> {
    if let (Support::Ended, Some(end)) = (input.product.support(now), input.product.support_ends) {
        let cases = match open.len() {
            0 => "no weakness is known yet".to_owned(),
            1 => "1 case is open".to_owned(),
            count => format!("{count} cases are open"),
        };
        let because =
            format!("support of {} ended at {end}: no update will ever come; {cases}", input.product.id);
        return Ok((ShieldReason::SupportEnded, because));
    }
    let pressing: Vec<&&OpenCase<'_>> =
        open.iter().filter(|open| open.case.decision.priority != Priority::Defer).collect();
    let reasons = pressing.iter().filter_map(|open| reason_of(open, input.device, now));
    // `PatchFailed` stands behind `PatchPending` in the model's order: the greatest is the gravest.
    if let Some(gravest) = reasons.max_by_key(|(reason, _)| *reason) {
        return Ok(gravest);
    }
    let waits = pressing.iter().find_map(|open| match &open.fix {
        Fix::OnItsWay(release) => Some(SkipReason::FixOnItsWay(release.clone())),
        Fix::Released(release) => Some(SkipReason::FixReleased(release.clone())),
        Fix::Nowhere | Fix::Failed(_) => None,
    });
    Err(waits.unwrap_or(if open.is_empty() { SkipReason::NoOpenCase } else { SkipReason::MayWait }))
}

fn reason_of(open: &OpenCase<'_>, device: &Device, now: Timestamp) -> Option<(ShieldReason, String)> {
    let advisory = &open.case.finding.advisory;
    let turned_back = matches!(device.state, UpdateState::RolledBack | UpdateState::Failed);
    match (&open.fix, open.case.decision.deadline) {
        (Fix::Nowhere, _) => {
            Some((ShieldReason::PatchPending, format!("no release holds a fix for {advisory} yet")))
        }
        (Fix::Failed(release), _) => Some((
            ShieldReason::PatchFailed,
            format!("release {release} would fix {advisory}, but the device could not take it"),
        )),
        (Fix::Released(release), _) if turned_back => Some((
            ShieldReason::PatchFailed,
            format!(
                "release {release} holds the fix for {advisory}, but the last update failed ({})",
                device.state
            ),
        )),
        (Fix::Released(release) | Fix::OnItsWay(release), Some(deadline)) if deadline <= now => Some((
            ShieldReason::PatchPending,
            format!("{advisory} was due at {deadline} and release {release} has not reached the device"),
        )),
        // A shield that stands is not taken away before the device runs the fix: it would be exposed once more.
        (Fix::Released(release) | Fix::OnItsWay(release), _) if is_shielded(open.case) => Some((
            ShieldReason::PatchPending,
            format!(
                "release {release} holds the fix for {advisory}; the shield stays until the device runs it"
            ),
        )),
        (Fix::Released(_) | Fix::OnItsWay(_), _) => None,
    }
}

fn usable_address(device: &Device, loopback: Loopback) -> Result<IpAddr, SkipReason> {
    let address = device.address.ok_or(SkipReason::NoAddress)?.to_canonical();
    let broadcast = match address {
        IpAddr::V4(v4) => v4.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    let why = if address.is_unspecified() {
        "means no address at all"
    } else if address.is_multicast() || broadcast {
        "belongs to a group, not to a device"
    } else if address.is_loopback() && loopback == Loopback::Refuse {
        "never crosses a gateway"
    } else {
        return Ok(address);
    };
    Err(SkipReason::UnusableAddress { address, why })
}

/// Devices behind one address (a gateway that translates, a lease that has moved on) share one shield: the class of the
/// gravest reason, and everybody is told who stands behind it.
fn name_neighbours(shields: &mut [Planned], inputs: &[&Protectee<'_>]) {
    let mut behind: BTreeMap<IpAddr, Vec<&DeviceId>> = BTreeMap::new();
    for input in inputs {
        if let Some(address) = input.device.address {
            behind.entry(address.to_canonical()).or_default().push(&input.device.id);
        }
    }
    let mut gravest: BTreeMap<IpAddr, (u8, Class)> = BTreeMap::new();
    for Planned { shield, .. } in shields.iter() {
        let candidate = (gravity(shield.reason), shield.class);
        gravest.entry(shield.address).and_modify(|best| *best = candidate.min(*best)).or_insert(candidate);
    }
    for Planned { shield, because } in shields {
        let neighbours: Vec<&str> = behind
            .get(&shield.address)
            .into_iter()
            .flatten()
            .filter(|id| **id != &shield.device)
            .map(|id| id.as_str())
            .collect();
        if neighbours.is_empty() {
            continue;
        }
        if let Some((_, class)) = gravest.get(&shield.address) {
            shield.class = *class;
        }
        because.push_str("; behind the same address, and so the same shield: ");
        because.push_str(&neighbours.join(", "));
    }
}

fn gravity(reason: ShieldReason) -> u8 {
    match reason {
        ShieldReason::SupportEnded => 0,
        ShieldReason::PatchFailed => 1,
        ShieldReason::PatchPending => 2,
    }
}

/// Tells a plan in sentences, one a device: the shielded ones, those left exposed, then the rest.
pub fn explain(plan: &ShieldPlan) -> Vec<String> {
    let shielded = plan.shields.iter().map(|Planned { shield, because }| {
        let family = if shield.address.is_ipv4() { "IPv6" } else { "IPv4" };
        let rights = plan.allowed.get(&shield.class).map_or(0, Vec::len);
        format!(
            "{} is shielded at {} ({}): {because}. It keeps {rights} allowed flows; an {family} address, should it have \
             one, is not known and not covered.",
            shield.device, shield.address, shield.reason,
        )
    });
    let tell = |skipped: &Skipped| format!("{} is not shielded: {}.", skipped.device, skipped.reason);
    let exposed = plan.skipped.iter().filter(|skipped| skipped.reason.leaves_exposed()).map(tell);
    let rest = plan.skipped.iter().filter(|skipped| !skipped.reason.leaves_exposed()).map(tell);
    shielded.chain(exposed).chain(rest).collect()
}

#[cfg(test)]
mod tests;
