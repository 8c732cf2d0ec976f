//! How soon a weakness on a device must be closed, and why.
//!
//! In: the advisory, what depends on the device and how reachable it is, and the moment when the case opens. Out: a
//! priority, a deadline, the official row that says so, and every input with its reason. Refuses nothing: what the
//! advisory does not say has a documented default.
//!
//! Two official tables are asked, and the stricter counts: the deployer table of SSVC, which knows what depends on the
//! device, and the timelines of CISA's Binding Operational Directive 26-04, which knows how much an attacker gets.

use warden_model::advisory::{Advisory, Automatable, Exploitation, TechnicalImpact};
use warden_model::case::{Decision, Factor, Priority};
use warden_model::device::{Criticality, DataSensitivity};
use warden_model::product::Exposure;
use warden_model::{PerMille, Seconds, Timestamp};

use crate::cvss::Metrics;
use crate::ssvc::{self, HumanImpact, InKev, MissionImpact, PubliclyExposed, SafetyImpact};

/// Time to act on an immediate case: as long as CISA's BOD 26-04 grants for what is exploited and exposed.
pub const IMMEDIATE: Seconds = Seconds::hours(72);
/// Time to act on an out-of-cycle case: before the next regular update; two weeks in BOD 26-04.
pub const OUT_OF_CYCLE: Seconds = Seconds::days(14);
/// Time to act on a scheduled case: with the next regular update; fleets that update every month or two reach it.
pub const SCHEDULED: Seconds = Seconds::days(60);

/// From this EPSS probability on, a weakness counts as one with a public exploit: of the weaknesses that CISA knows to be
/// exploited, 77 of 100 have at least this much.
const EPSS_OF_POC: u16 = 100;

/// Whether something already stands between the weakness and an attacker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mitigation {
    /// Nothing that has been verified.
    None,
    /// The device is isolated and virtually patched, and that was verified.
    Verified,
}

/// What a decision must know of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceFacts {
    /// What breaks when it breaks.
    pub criticality: Criticality,
    /// What leaks when it leaks.
    pub sensitivity: DataSensitivity,
    /// How reachable it is.
    pub exposure: Exposure,
    /// What already stands in the way.
    pub mitigation: Mitigation,
}

/// Decides how soon the weakness on the device must be closed; `now` is the moment when the case opens, from which the
/// deadline counts.
pub fn decide(advisory: &Advisory, device: &DeviceFacts, now: Timestamp) -> Decision {
    let metrics = advisory.cvss.as_deref().and_then(|vector| vector.parse::<Metrics>().ok());
    let (exploitation, exploitation_factor) = exploitation(advisory, metrics.as_ref());
    let (automatable, automatable_factor) = automatable(advisory, metrics.as_ref());
    let (exposure, exposure_factor) = exposure(*device);
    let (impact, impact_factors) = human_impact(*device);
    let (technical, technical_factor) = technical_impact(advisory, metrics.as_ref());
    let (kev, kev_factor) = in_kev(advisory);
    let deployer = ssvc::deployer(exploitation, exposure, automatable, impact);
    let exposed = if exposure == Exposure::Open { PubliclyExposed::Yes } else { PubliclyExposed::No };
    let (timeline, bod_row) = ssvc::bod_26_04(kev, exposed, automatable, technical);
    let deployer_rule = format!("{}/row-{}", ssvc::DEPLOYER, deployer.row);
    let bod_rule = format!("{}/row-{bod_row}", ssvc::BOD_26_04);
    let mut factors = vec![exploitation_factor, exposure_factor, automatable_factor];
    factors.extend(impact_factors);
    factors.extend([technical_factor, kev_factor]);
    factors.push(factor(
        "ssvc deployer",
        &deployer.priority,
        format!("{deployer_rule} of the SSVC says so."),
    ));
    factors.push(factor("bod 26-04 timeline", &timeline, format!("{bod_rule} of CISA says so.")));
    // The most urgent priority is the smallest; where both agree, the table that knows the device gives the reason.
    let (priority, rule) = if timeline.priority() < deployer.priority {
        (timeline.priority(), bod_rule)
    } else {
        (deployer.priority, deployer_rule)
    };
    Decision { priority, deadline: time_to_act(priority).map(|time| now.plus(time)), rule, factors }
}

/// Returns how long a case of this priority may stay open; absent when it may wait for ever.
pub fn time_to_act(priority: Priority) -> Option<Seconds> {
    match priority {
        Priority::Immediate => Some(IMMEDIATE),
        Priority::OutOfCycle => Some(OUT_OF_CYCLE),
        Priority::Scheduled => Some(SCHEDULED),
        Priority::Defer => None,
    }
}

fn factor(name: &'static str, value: &impl ToString, because: String) -> Factor {
    Factor { name, value: value.to_string(), because }
}

/// The worst of what the advisory, CISA's catalogue, the vector, and the prediction of exploits say.
fn exploitation(advisory: &Advisory, metrics: Option<&Metrics>) -> (Exploitation, Factor) {
    let id = &advisory.id;
    let is_likely = advisory.epss.is_some_and(|epss| epss.get() >= EPSS_OF_POC);
    let said = [
        (advisory.exploitation, format!("The advisory {id} says so.")),
        (
            if advisory.in_kev { Exploitation::Active } else { Exploitation::None },
            format!("{id} is in CISA's catalogue of known exploited vulnerabilities."),
        ),
        (
            metrics.map_or(Exploitation::None, Metrics::exploitation),
            format!("Metric E of the CVSS vector of {id} says so."),
        ),
        (
            if is_likely { Exploitation::PublicPoc } else { Exploitation::None },
            format!(
                "EPSS gives {id} {} for being exploited within 30 days; from 10 % on an exploit is taken for granted.",
                advisory.epss.unwrap_or(PerMille::ZERO)
            ),
        ),
    ];
    let mut worst = (Exploitation::None, format!("Nothing is known of an exploit for {id}."));
    for (value, because) in said {
        if value > worst.0 {
            worst = (value, because);
        }
    }
    let (value, because) = worst;
    (value, factor("exploitation", &value, because))
}

fn in_kev(advisory: &Advisory) -> (InKev, Factor) {
    let (value, word, because) = if advisory.in_kev {
        (
            InKev::Yes,
            "yes",
            format!("{} is in CISA's catalogue of known exploited vulnerabilities.", advisory.id),
        )
    } else {
        (InKev::No, "no", format!("Nothing says that {} is in CISA's catalogue.", advisory.id))
    };
    (value, factor("in kev", &word, because))
}

/// What the advisory says; else what follows from its vector; else partial: nothing speaks for more.
fn technical_impact(advisory: &Advisory, metrics: Option<&Metrics>) -> (TechnicalImpact, Factor) {
    let (value, because) = match (advisory.technical_impact, metrics) {
        (Some(told), _) => (told, format!("The advisory {} says so.", advisory.id)),
        (None, Some(metrics)) => {
            let value = metrics.technical_impact();
            let because = match value {
                TechnicalImpact::Total => {
                    "By the CVSS vector confidentiality, integrity and availability are all lost."
                }
                TechnicalImpact::Partial => {
                    "By the CVSS vector some confidentiality, integrity or availability is left."
                }
            };
            (value, because.to_owned())
        }
        (None, None) => {
            (TechnicalImpact::Partial, format!("Neither {} nor a CVSS vector says more.", advisory.id))
        }
    };
    (value, factor("technical impact", &value, because))
}

/// What the advisory says; else what follows from its vector; else no: nothing speaks for it.
fn automatable(advisory: &Advisory, metrics: Option<&Metrics>) -> (Automatable, Factor) {
    let (value, because) = match (advisory.automatable, metrics) {
        (Some(told), _) => (told, format!("The advisory {} says so.", advisory.id)),
        (None, Some(metrics)) => {
            let value = metrics.automatable();
            let because = match value {
                Automatable::Yes => {
                    "The CVSS vector needs no effort, no rights and no victim's help over the network."
                }
                Automatable::No => {
                    "The CVSS vector needs effort, rights, a victim's help, or a place near the device."
                }
            };
            (value, because.to_owned())
        }
        (None, None) => (Automatable::No, format!("Neither {} nor a CVSS vector says more.", advisory.id)),
    };
    (value, factor("automatable", &value, because))
}

/// The exposure of the product, a step lower behind a verified mitigation (SSVC, "System Exposure": effective
/// mitigations count).
fn exposure(device: DeviceFacts) -> (Exposure, Factor) {
    let place = device.exposure;
    let (value, because) = match (device.mitigation, place) {
        (Mitigation::None, _) => (place, "The product's devices stand in such a place.".to_owned()),
        (Mitigation::Verified, Exposure::Open) => (Exposure::Controlled, lowered(place)),
        (Mitigation::Verified, Exposure::Controlled | Exposure::Small) => (Exposure::Small, lowered(place)),
    };
    (value, factor("system exposure", &value, because))
}

fn lowered(place: Exposure) -> String {
    match place {
        Exposure::Small => "It is small already, and the shield of the device was verified.".to_owned(),
        Exposure::Controlled | Exposure::Open => {
            format!("It is {place}, a step lower because the shield of the device was verified.")
        }
    }
}

/// Human impact from safety and mission impact; mission impact is the worse of what the device does and what it knows.
fn human_impact(device: DeviceFacts) -> (HumanImpact, [Factor; 3]) {
    let safety = safety_of(device.criticality);
    let by_work = mission_of_criticality(device.criticality);
    let by_data = mission_of_sensitivity(device.sensitivity);
    let mission = by_work.max(by_data);
    let impact = ssvc::human_impact(safety, mission);
    let mission_because = if by_data > by_work {
        format!("The device's data is {}, which weighs more than its work.", device.sensitivity)
    } else {
        format!("The device is of criticality {}.", device.criticality)
    };
    let factors = [
        factor(
            "human impact",
            &impact,
            format!("Safety impact {safety} and mission impact {mission} make it so."),
        ),
        factor("safety impact", &safety, format!("The device is of criticality {}.", device.criticality)),
        factor("mission impact", &mission, mission_because),
    ];
    (impact, factors)
}

fn safety_of(criticality: Criticality) -> SafetyImpact {
    match criticality {
        Criticality::SafetyCritical => SafetyImpact::Critical,
        Criticality::MissionCritical => SafetyImpact::Marginal,
        Criticality::Standard | Criticality::Low => SafetyImpact::Negligible,
    }
}

/// A safety-critical device is never less urgent than a mission-critical one: what hurts people stops the mission too.
fn mission_of_criticality(criticality: Criticality) -> MissionImpact {
    match criticality {
        Criticality::SafetyCritical | Criticality::MissionCritical => MissionImpact::MissionFailure,
        Criticality::Standard => MissionImpact::MefSupportCrippled,
        Criticality::Low => MissionImpact::Degraded,
    }
}

fn mission_of_sensitivity(sensitivity: DataSensitivity) -> MissionImpact {
    match sensitivity {
        DataSensitivity::Restricted => MissionImpact::MefFailure,
        DataSensitivity::Confidential => MissionImpact::MefSupportCrippled,
        DataSensitivity::Internal | DataSensitivity::Public => MissionImpact::Degraded,
    }
}
