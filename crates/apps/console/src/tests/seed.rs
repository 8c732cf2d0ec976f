//! Values for the fleet of the tests, as a server keeps them; times count back from the present moment.

use warden_kit::values::digest;
use warden_model::advisory::{Advisory, Affected, Exploitation, VersionRange};
use warden_model::case::{Case, Decision, Factor, Finding, Priority, Protection};
use warden_model::event::Event;
use warden_model::firmware::{Component, Evidence, Firmware, Method};
use warden_model::purl::Purl;
use warden_model::release::{PatchJob, PatchState, PatchStep, Release, ReleaseState};
use warden_model::rollout::{Member, MemberState, Phase, PhaseSize, Rollout, RolloutState};
use warden_model::{
    ActionId, ByteCount, Generation, PerMille, RolloutId, Seconds, Sha256Digest, Stage, Timestamp,
};

/// A moment before the present one.
pub(super) fn ago(now: Timestamp, seconds: i64) -> Timestamp {
    Timestamp(now.0 - seconds * 1000)
}

pub(super) fn busybox(version: &str) -> Purl {
    Purl::new("deb", "busybox", Some(version)).in_namespace("debian")
}

pub(super) fn component(name: &str, version: &str) -> Component {
    Component {
        name: name.to_owned(),
        version: version.to_owned(),
        purl: Purl::new("deb", name, Some(version)).in_namespace("debian"),
        cpe: None,
        evidence: vec![Evidence {
            path: "/var/lib/dpkg/status".to_owned(),
            method: Method::PackageDatabase,
            detail: format!("Package: {name}, Version: {version}"),
        }],
    }
}

pub(super) fn firmware(
    image: Sha256Digest,
    product: &str,
    version: &str,
    components: Vec<Component>,
    at: Timestamp,
) -> Firmware {
    Firmware {
        image,
        product: product.parse().unwrap(),
        version: version.parse().unwrap(),
        size: ByteCount(47_382_528),
        added_at: at,
        components: Some(components),
    }
}

pub(super) fn release(firmware: &Firmware, counter: u64, state: ReleaseState, reason: &str) -> Release {
    Release {
        id: format!("{}-{}", firmware.product, firmware.version).parse().unwrap(),
        product: firmware.product.clone(),
        version: firmware.version.clone(),
        image: firmware.image,
        counter,
        state,
        reason: reason.to_owned(),
        created_at: firmware.added_at,
    }
}

pub(super) fn advisory(id: &str, summary: &str, exploitation: Exploitation, known_at: Timestamp) -> Advisory {
    let range = VersionRange {
        introduced: "0".to_owned(),
        fixed: Some("1:1.36.1-9".to_owned()),
        last_affected: None,
    };
    let affected = Affected {
        package: Purl::new("deb", "busybox", None).in_namespace("debian"),
        ranges: vec![range],
        versions: vec![],
    };
    Advisory {
        id: id.parse().unwrap(),
        aliases: vec!["DSA-5500-1".parse().unwrap()],
        summary: summary.to_owned(),
        published: ago(known_at, 86_400),
        modified: known_at,
        withdrawn: None,
        cvss: Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".to_owned()),
        exploitation,
        automatable: None,
        technical_impact: None,
        in_kev: false,
        epss: None,
        affected: vec![affected],
        known_at,
    }
}

pub(super) fn finding(advisory: &Advisory, firmware: &Firmware) -> Finding {
    Finding {
        image: firmware.image,
        product: firmware.product.clone(),
        advisory: advisory.id.clone(),
        component: busybox("1:1.35.0-4"),
        path: "/bin/busybox".to_owned(),
        reason: "Version 1:1.35.0-4 lies before 1:1.36.1-9, the first one that is not affected.".to_owned(),
        fixed_in: Some("1:1.36.1-9".to_owned()),
    }
}

pub(super) fn case(
    device: &str,
    finding: &Finding,
    (priority, deadline): (Priority, Option<Timestamp>),
    protected: Option<(Protection, Timestamp)>,
    opened_at: Timestamp,
) -> Case {
    let factor = |name, value: &str, because: &str| Factor {
        name,
        value: value.to_owned(),
        because: because.to_owned(),
    };
    Case {
        id: format!("{}.{device}", finding.advisory).parse().unwrap(),
        device: device.parse().unwrap(),
        finding: finding.clone(),
        decision: Decision {
            priority,
            deadline,
            rule: "ssvc-deployer-1.0.0/row-71".to_owned(),
            factors: vec![
                factor("exploitation", "active", "The advisory says so."),
                factor("system exposure", "open", "The product's devices stand in such a place."),
                factor(
                    "automatable",
                    "yes",
                    "The CVSS vector needs no effort, no rights and no victim's help over the network.",
                ),
                factor(
                    "human impact",
                    "very high",
                    "Safety impact critical and mission impact mission failure make it so.",
                ),
            ],
        },
        opened_at,
        protected,
    }
}

pub(super) fn phase(name: &str, size: PhaseSize, soak: u64) -> Phase {
    Phase {
        name: name.to_owned(),
        size,
        success_threshold: PerMille::new(900).unwrap(),
        error_threshold: PerMille::new(340).unwrap(),
        soak: Seconds(soak),
    }
}

pub(super) fn rollout(
    id: &str,
    release: &Release,
    state: RolloutState,
    reason: &str,
    at: Timestamp,
) -> Rollout {
    Rollout {
        id: id.parse().unwrap(),
        release: release.id.clone(),
        phases: vec![
            phase("canary", PhaseSize::Count(1), 30),
            phase("early", PhaseSize::Share(PerMille::new(250).unwrap()), 3_600),
            phase("rest", PhaseSize::Rest, 0),
        ],
        window: None,
        state,
        reason: reason.to_owned(),
        phase: 1,
        good_since: None,
        failures_accepted_until: None,
        generation: Generation(3),
        created_at: at,
    }
}

pub(super) fn member(
    device: &str,
    phase: usize,
    state: MemberState,
    since: Timestamp,
    action: u64,
) -> Member {
    Member { device: device.parse().unwrap(), phase, state, since, action: Some(ActionId(action)) }
}

pub(super) fn event(
    at: Timestamp,
    stage: Stage,
    device: Option<&str>,
    rollout: Option<&RolloutId>,
    what: &str,
    reason: &str,
) -> Event {
    Event {
        at,
        stage,
        device: device.map(|id| id.parse().unwrap()),
        release: None,
        rollout: rollout.cloned(),
        what: what.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Patches to camera 1.1 in all the ways in which they can stand.
pub(super) fn patch_jobs(now: Timestamp, name: &str) -> impl Iterator<Item = PatchJob> {
    let missing = format!("the image that these devices run is not among the artifacts{name}");
    let states = [
        (1, "1.0", 5, PatchState::Built, "403.2 KiB instead of 45.1 MiB (0.8 %)".to_owned()),
        (31, "0.9", 3, PatchState::Building, "it is being built".to_owned()),
        (32, "0.8", 2, PatchState::Waiting, "attempt 1 of 3 failed: the disk is full".to_owned()),
        (33, "0.7", 1, PatchState::NoBase, missing),
    ];
    states.into_iter().map(move |(base, version, devices, state, reason)| PatchJob {
        base: digest(base),
        base_version: version.parse().unwrap(),
        result: digest(2),
        product: "cam-x1".parse().unwrap(),
        devices,
        state,
        step: (state == PatchState::Building).then_some(PatchStep::Matching),
        attempts: 1,
        reason,
        wanted_at: ago(now, 5_400),
        started_at: Some(ago(now, 5_300)),
        ended_at: (state == PatchState::Built).then_some(ago(now, 5_239)),
        again_at: (state == PatchState::Waiting).then_some(ago(now, -300)),
        unused_since: None,
    })
}
