//! Builds domain values from a seed: every word, and absent and present parts, come up within a few seeds.

use std::net::IpAddr;

use warden_model::advisory::{Advisory, Affected, Automatable, Exploitation, TechnicalImpact, VersionRange};
use warden_model::alert::{Alert, AlertKind, Sensor};
use warden_model::case::{Case, Decision, Factor, Finding, Priority, Protection};
use warden_model::device::{Criticality, DataSensitivity, Device, Running, Slot, UpdateState};
use warden_model::event::Event;
use warden_model::firmware::{Component, Evidence, Firmware, Method, Version};
use warden_model::product::{Exposure, Product};
use warden_model::purl::Purl;
use warden_model::release::{Patch, PatchJob, PatchState, PatchStep, Release, ReleaseState};
use warden_model::report::Way;
use warden_model::rollout::{
    Directive, MaintenanceWindow, Member, MemberState, Order, Phase, PhaseSize, Rollout, RolloutState,
};
use warden_model::shield::{Shield, ShieldReason, ShieldState};
use warden_model::{
    ActionId, AdvisoryId, AlertId, ByteCount, CaseId, DeviceId, Generation, HardwareId, PerMille, ProductId,
    ReleaseId, RolloutId, Seconds, SegmentId, Sha256Digest, ShieldId, Stage, Timestamp,
};

use super::NOW;
use crate::{DirectiveState, LabOutcome, LabRun, StoredDirective};

/// A number from which everything else follows.
#[derive(Clone, Copy)]
pub(super) struct Seed(pub(super) u64);

impl Seed {
    /// Mixes the seed with the name of a field, so that fields vary on their own.
    fn mix(self, field: &str) -> u64 {
        let start = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xcbf2_9ce4_8422_2325;
        let mixed =
            field.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        mixed ^ (mixed >> 29)
    }

    fn pick<T: Copy>(self, field: &str, all: &[T]) -> T {
        all[usize::try_from(self.mix(field) % all.len() as u64).unwrap()]
    }

    fn maybe<T>(self, field: &str, value: T) -> Option<T> {
        (!self.mix(field).is_multiple_of(3)).then_some(value)
    }

    fn time(self, field: &str) -> Timestamp {
        Timestamp(NOW.0 - i64::try_from(self.mix(field) % 10_000_000_000).unwrap())
    }

    fn text(self, field: &str) -> String {
        let hard = [
            "plain",
            "two words",
            "quote ' and \" and \\",
            "é ü 漢字 🚀",
            "{\"v\":9}",
            "% _ ;--",
            "line\nline",
        ];
        format!("{} {}", self.pick(field, &hard), self.0)
    }
}

pub(super) fn digest(number: u64) -> Sha256Digest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Sha256Digest(bytes)
}

pub(super) fn product_id(text: &str) -> ProductId {
    ProductId::new(text).unwrap()
}

pub(super) fn device_id(text: &str) -> DeviceId {
    DeviceId::new(text).unwrap()
}

pub(super) fn running(seed: Seed, field: &str) -> Running {
    Running {
        image: digest(seed.mix(field) % 4),
        version: Version::new(format!("1.{}", seed.mix(field) % 4)).unwrap(),
    }
}

pub(super) fn product(seed: Seed) -> Product {
    Product {
        id: product_id(&format!("product-{}", seed.0)),
        name: seed.text("name"),
        boards: (0..seed.mix("boards") % 4).map(|n| HardwareId::new(format!("board-{n}")).unwrap()).collect(),
        support_ends: seed.maybe("ends", seed.time("ends")),
        exposure: seed.pick("exposure", Exposure::ALL),
    }
}

pub(super) fn device(seed: Seed, product: &ProductId) -> Device {
    let address: [&str; 2] = ["192.0.2.7", "2001:db8::7"];
    let address: IpAddr = seed.pick("address", &address).parse().unwrap();
    Device {
        id: device_id(&format!("device-{:03}", seed.0)),
        product: product.clone(),
        hardware: HardwareId::new("board-1").unwrap(),
        criticality: seed.pick("criticality", Criticality::ALL),
        sensitivity: seed.pick("sensitivity", DataSensitivity::ALL),
        segment: seed.maybe("segment", SegmentId::new("segment-1").unwrap()),
        address: seed.maybe("address", address),
        installed: seed.maybe("installed", running(seed, "installed")),
        confirmed: seed.maybe("confirmed", running(seed, "confirmed")),
        slot: seed.maybe("slot", seed.pick("slot", Slot::ALL)),
        state: seed.pick("state", UpdateState::ALL),
        generation: Generation(seed.mix("generation") % 100),
        report_counter: seed.mix("counter") % 100,
        enrolled_at: seed.time("enrolled"),
        last_seen: seed.maybe("seen", seed.time("seen")),
    }
}

pub(super) fn purl(seed: Seed) -> Purl {
    Purl::new("deb", &format!("part-{}", seed.0), Some("1:2.3+b~1")).in_namespace("debian")
}

pub(super) fn firmware(seed: Seed, product: &ProductId) -> Firmware {
    let evidence = |n: u64| Evidence {
        path: format!("/lib/{n}"),
        method: seed.pick("m", Method::ALL),
        detail: seed.text("d"),
    };
    let component = |n: u64| Component {
        name: seed.text("component"),
        version: format!("1.{n}"),
        purl: purl(Seed(n)),
        cpe: seed.maybe("cpe", "cpe:2.3:a:x:y:1:*:*:*:*:*:*:*".to_owned()),
        evidence: (0..=n).map(evidence).collect(),
    };
    Firmware {
        image: digest(1000 + seed.0),
        product: product.clone(),
        version: Version::new(format!("2.{}", seed.0)).unwrap(),
        size: ByteCount(seed.mix("size") % (1 << 40)),
        added_at: seed.time("added"),
        components: seed.maybe("components", (0..seed.mix("count") % 3).map(component).collect()),
    }
}

pub(super) fn patch(seed: Seed) -> Patch {
    Patch { base: digest(seed.0), result: digest(77), digest: digest(seed.mix("d")), size: ByteCount(seed.0) }
}

pub(super) fn patch_job(seed: Seed, product: &ProductId) -> PatchJob {
    PatchJob {
        base: digest(seed.0),
        base_version: Version::new(format!("1.{}", seed.0)).unwrap(),
        result: digest(77),
        product: product.clone(),
        devices: seed.mix("devices") % 5,
        state: seed.pick("state", PatchState::ALL),
        step: seed.maybe("step", seed.pick("step", PatchStep::ALL)),
        attempts: u32::try_from(seed.mix("attempts") % 4).unwrap(),
        reason: seed.text("reason"),
        wanted_at: seed.time("wanted"),
        started_at: seed.maybe("started", seed.time("started")),
        ended_at: seed.maybe("ended", seed.time("ended")),
        again_at: seed.maybe("again", seed.time("again")),
        unused_since: seed.maybe("unused", seed.time("unused")),
    }
}

pub(super) fn advisory_id(seed: Seed) -> AdvisoryId {
    AdvisoryId::new(format!("CVE-2026-{}", 1000 + seed.0)).unwrap()
}

pub(super) fn advisory(seed: Seed) -> Advisory {
    let alias = |n: u64| AdvisoryId::new(format!("DSA-{}-{n}", 5000 + seed.0)).unwrap();
    let range = VersionRange {
        introduced: "0".to_owned(),
        fixed: seed.maybe("fixed", "1.2".to_owned()),
        last_affected: seed.maybe("last", "1.1".to_owned()),
    };
    let affected =
        Affected { package: purl(seed), ranges: vec![range], versions: vec![seed.text("version")] };
    Advisory {
        id: advisory_id(seed),
        aliases: (0..seed.mix("aliases") % 3).map(alias).collect(),
        summary: seed.text("summary"),
        published: seed.time("published"),
        modified: seed.time("modified"),
        withdrawn: seed.maybe("withdrawn", seed.time("withdrawn")),
        cvss: seed.maybe("cvss", "CVSS:3.1/AV:N".to_owned()),
        exploitation: seed.pick("exploitation", Exploitation::ALL),
        automatable: seed.maybe("automatable", seed.pick("automatable", Automatable::ALL)),
        technical_impact: seed.maybe("impact", seed.pick("technical impact", TechnicalImpact::ALL)),
        in_kev: seed.mix("kev") % 2 == 1,
        epss: seed.maybe("epss", PerMille::of(seed.mix("share") % 1001, 1000)),
        affected: seed.maybe("affected", affected).into_iter().collect(),
        known_at: seed.time("known"),
    }
}

pub(super) fn finding(seed: Seed, product: &ProductId) -> Finding {
    Finding {
        image: digest(1000 + seed.0),
        product: product.clone(),
        advisory: advisory_id(seed),
        component: purl(seed),
        path: seed.text("path"),
        reason: seed.text("reason"),
        fixed_in: seed.maybe("fixed", "1.2".to_owned()),
    }
}

pub(super) fn case(seed: Seed, device: &Device) -> Case {
    let factor = |name| Factor { name, value: seed.text("value"), because: seed.text("because") };
    let factors = [factor("exploitation"), factor("system exposure"), factor("human impact")];
    Case {
        id: CaseId::new(format!("case-{:03}", seed.0)).unwrap(),
        device: device.id.clone(),
        finding: finding(seed, &device.product),
        decision: Decision {
            priority: seed.pick("priority", Priority::ALL),
            deadline: seed.maybe("deadline", seed.time("deadline")),
            rule: "ssvc-deployer-1.0.0/row-71".to_owned(),
            factors: factors.into_iter().take(usize::try_from(seed.mix("factors") % 4).unwrap()).collect(),
        },
        opened_at: seed.time("opened"),
        protected: seed.maybe("protected", (seed.pick("how", Protection::ALL), seed.time("protected"))),
    }
}

pub(super) fn release(seed: Seed, product: &ProductId) -> Release {
    Release {
        id: ReleaseId::new(format!("release-{}", seed.0)).unwrap(),
        product: product.clone(),
        version: Version::new(format!("2.{}", seed.0)).unwrap(),
        image: digest(1000 + seed.0),
        counter: seed.0 + 1,
        state: seed.pick("state", ReleaseState::ALL),
        reason: seed.text("reason"),
        created_at: seed.time("created"),
    }
}

pub(super) fn lab_run(seed: Seed, release: &ReleaseId) -> LabRun {
    LabRun {
        release: release.clone(),
        scenario: seed.text("scenario"),
        outcome: seed.pick("outcome", LabOutcome::ALL),
        detail: serde_json::json!({"steps": [seed.text("step"), seed.0], "more": null}),
        at: seed.time("at"),
    }
}

pub(super) fn rollout(seed: Seed, release: &ReleaseId) -> Rollout {
    let share = |field| PerMille::new(seed.mix(field) % 1001).unwrap();
    let sizes =
        [PhaseSize::Share(share("size")), PhaseSize::Count(seed.mix("count") % 1000), PhaseSize::Rest];
    let phase = |size: &PhaseSize| Phase {
        name: seed.text("phase"),
        size: *size,
        success_threshold: share("success"),
        error_threshold: share("error"),
        soak: Seconds(seed.mix("soak") % 1_000_000),
    };
    let start = u16::try_from(seed.mix("start") % 1440).unwrap();
    Rollout {
        id: RolloutId::new(format!("rollout-{}", seed.0)).unwrap(),
        release: release.clone(),
        phases: sizes.iter().map(phase).collect(),
        window: seed.maybe("window", MaintenanceWindow::new(start, 90).unwrap()),
        state: seed.pick("state", RolloutState::ALL),
        reason: seed.text("reason"),
        phase: usize::try_from(seed.mix("phase") % 3).unwrap(),
        good_since: seed.maybe("good", seed.time("good")),
        failures_accepted_until: seed.maybe("accepted", seed.time("accepted")),
        generation: Generation(seed.mix("generation") % 100),
        created_at: seed.time("created"),
    }
}

pub(super) fn member(seed: Seed, device: &DeviceId) -> Member {
    Member {
        device: device.clone(),
        phase: usize::try_from(seed.mix("phase") % 3).unwrap(),
        state: seed.pick("state", MemberState::ALL),
        since: seed.time("since"),
        action: seed.maybe("action", ActionId(seed.mix("action") % 1000)),
    }
}

pub(super) fn directive(seed: Seed, rollout: &Rollout, device: &DeviceId) -> StoredDirective {
    StoredDirective {
        directive: Directive {
            action: ActionId(seed.0),
            rollout: rollout.id.clone(),
            device: device.clone(),
            order: seed.pick("order", Order::ALL),
            release: rollout.release.clone(),
            generation: Generation(seed.mix("generation") % 100),
        },
        state: seed.pick("state", DirectiveState::ALL),
        created_at: seed.time("created"),
        closed_at: seed.maybe("closed", seed.time("closed")),
        image: digest(seed.0),
        downloaded: ByteCount(seed.mix("downloaded") % (1 << 40)),
        full: ByteCount(seed.mix("full") % (1 << 40)),
        way: seed.maybe("way", seed.pick("way", Way::ALL)),
        loading_millis: seed.mix("loading") % 1_000_000,
        applying_millis: seed.mix("applying") % 1_000_000,
    }
}

pub(super) fn alert(seed: Seed, device: &DeviceId) -> Alert {
    Alert {
        id: AlertId::new(format!("alert-{:03}", seed.0)).unwrap(),
        device: device.clone(),
        kind: seed.pick("kind", AlertKind::ALL),
        sensor: seed.pick("sensor", Sensor::ALL),
        at: seed.time("at"),
        destination: format!("host-{}.example:443/tcp", seed.0),
        reason: seed.text("reason"),
    }
}

pub(super) fn shield(seed: Seed, device: &DeviceId) -> Shield {
    Shield {
        id: ShieldId::new(format!("shield-{}", seed.0)).unwrap(),
        device: device.clone(),
        reason: seed.pick("reason", ShieldReason::ALL),
        advisories: (0..seed.mix("advisories") % 3).map(|n| advisory_id(Seed(n))).collect(),
        state: seed.pick("state", ShieldState::ALL),
        since: seed.time("since"),
    }
}

pub(super) fn event(seed: Seed, device: &DeviceId, rollout: &Rollout) -> Event {
    Event {
        at: seed.time("at"),
        stage: seed.pick("stage", Stage::ALL),
        device: seed.maybe("device", device.clone()),
        release: seed.maybe("release", rollout.release.clone()),
        rollout: seed.maybe("rollout", rollout.id.clone()),
        what: seed.text("what"),
        reason: seed.text("reason"),
    }
}
