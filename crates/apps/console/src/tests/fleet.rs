//! A fleet with one of everything: a rollout that has halted and one that runs, devices that are patched, shielded,
//! exposed, silent and out of support, releases in every state, alerts and rules.

use std::collections::BTreeMap;

use warden_kit::values::{device, digest, product, running};
use warden_model::advisory::Exploitation;
use warden_model::alert::{Alert, AlertKind, Sensor};
use warden_model::case::{Priority, Protection};
use warden_model::device::{Criticality, DataSensitivity, Device, UpdateState};
use warden_model::product::Exposure;
use warden_model::release::{Patch, ReleaseState};
use warden_model::report::Way;
use warden_model::rollout::{Directive, MemberState, Order, RolloutState};
use warden_model::shield::{Shield, ShieldReason, ShieldState};
use warden_model::{ActionId, ByteCount, Generation, RolloutId, Seconds, Stage, Timestamp};
use warden_store::{DirectiveState, LabOutcome, LabRun, Store, StoredDirective, Write};

use super::scans::scans;
use super::seed::{
    advisory, ago, case, component, event, finding, firmware, member, patch_jobs, release, rollout,
};

/// A name that would run a script, were it not escaped; it also breaks out of attributes.
pub(super) const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>\r\n";

const RULESET: &str = "table inet fleetwarden {\n\tset shielded {\n\t\ttype ipv4_addr\n\t\telements = { 10.20.3.41 }\n\t}\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n\t\tip saddr @shielded ip daddr != 10.20.0.2 drop\n\t}\n}\n";
const RULES: &str = "drop tcp any any -> [10.20.3.41] 80 (msg:\"fleetwarden CVE-2024-31083 virtual patch\"; flow:to_server,established; http.uri; content:\"/cgi-bin/\"; sid:9000001; rev:1;)\n";

/// Fills a store; `name` is what products, events and reasons are called.
pub(super) async fn full(store: &Store, now: Timestamp, name: &str) {
    let mut writes = products(now, name);
    writes.extend(devices(now));
    writes.extend(releases(now, name));
    writes.extend(weaknesses(now, name));
    writes.extend(rollouts(now, name));
    writes.extend(shields_and_alerts(now, name));
    writes.extend(scans(now, name));
    // Events come in the order of time; all else has its place already.
    let (mut events, others): (Vec<Write>, Vec<Write>) =
        writes.into_iter().partition(|write| matches!(write, Write::Event(_)));
    events.sort_by_key(|write| match write {
        Write::Event(event) => event.at,
        _ => now,
    });
    store.commit(&others).await.unwrap();
    store.commit(&events).await.unwrap();
}

fn products(now: Timestamp, name: &str) -> Vec<Write> {
    let mut camera = product("cam-x1");
    camera.name = format!("Dock camera X1{name}");
    camera.exposure = Exposure::Open;
    let mut gateway = product("gate-2");
    gateway.name = "Field gateway 2".to_owned();
    let mut meter = product("meter-c");
    meter.name = "Flow meter C".to_owned();
    meter.support_ends = Some(ago(now, 40 * 86_400));
    [camera, gateway, meter].map(Write::Product).to_vec()
}

fn set_up(mut device: Device, now: Timestamp, at: usize) -> Device {
    device.enrolled_at = ago(now, 20 * 86_400);
    device.last_seen = Some(ago(now, i64::try_from(at * 17 % 240).unwrap()));
    device.address = Some(format!("10.20.3.{}", 30 + at).parse().unwrap());
    device.segment = Some(if at.is_multiple_of(2) { "dock" } else { "yard" }.parse().unwrap());
    device.criticality = Criticality::ALL[at % 4];
    device.sensitivity = DataSensitivity::ALL[at % 4];
    device
}

fn devices(now: Timestamp) -> Vec<Write> {
    let mut writes = Vec::new();
    for at in 0..8_usize {
        let mut one = set_up(device(&format!("cam-{at:02}"), "cam-x1"), now, at);
        match at {
            0..=2 => (one.installed, one.confirmed) = (Some(running(2, "1.1")), Some(running(2, "1.1"))),
            3 => one.state = UpdateState::RolledBack,
            4 | 5 => one.state = UpdateState::Updating,
            6 => one.last_seen = Some(ago(now, 9_000)),
            _ => {}
        }
        writes.push(Write::Device(one));
    }
    for at in 8..11_usize {
        let mut one = set_up(device(&format!("gate-{at:02}"), "gate-2"), now, at);
        (one.installed, one.confirmed) = (Some(running(11, "3.0")), Some(running(11, "3.0")));
        writes.push(Write::Device(one));
    }
    let mut meter = set_up(device("meter-41", "meter-c"), now, 11);
    (meter.installed, meter.confirmed) = (Some(running(21, "0.9")), Some(running(21, "0.9")));
    meter.criticality = Criticality::MissionCritical;
    writes.push(Write::Device(meter));
    let mut fresh = device("cam-fresh", "cam-x1");
    (fresh.installed, fresh.confirmed, fresh.last_seen, fresh.state) =
        (None, None, None, UpdateState::Enrolled);
    fresh.enrolled_at = ago(now, 60);
    writes.push(Write::Device(fresh));
    let values = BTreeMap::from([
        ("kernel".to_owned(), "6.6.30".to_owned()),
        ("mac".to_owned(), "02:00:5e:10:00:03".to_owned()),
    ]);
    writes.push(Write::Attributes { device: "cam-03".parse().unwrap(), values });
    writes
}

fn parts(busybox: &str) -> Vec<warden_model::firmware::Component> {
    let mut parts = vec![component("busybox", busybox)];
    let others = [
        "base-files",
        "dropbear-bin",
        "libc6",
        "libssl3",
        "zlib1g",
        "mosquitto",
        "lighttpd",
        "libcurl4",
        "nftables",
    ];
    parts.extend(others.iter().map(|name| component(name, "2.36-9+deb12u7")));
    parts
}

fn releases(now: Timestamp, name: &str) -> Vec<Write> {
    let old = firmware(digest(1), "cam-x1", "1.0", parts("1:1.35.0-4"), ago(now, 20 * 86_400));
    let new = firmware(digest(2), "cam-x1", "1.1", parts("1:1.36.1-9"), ago(now, 5_400));
    let gate = firmware(digest(11), "gate-2", "3.0", parts("1:1.36.1-9"), ago(now, 20 * 86_400));
    let next = firmware(digest(12), "gate-2", "3.1", parts("1:1.36.1-9"), ago(now, 1_800));
    let meter = firmware(digest(21), "meter-c", "0.9", parts("1:1.30.1-6"), ago(now, 300 * 86_400));
    let broken = firmware(digest(22), "meter-c", "0.10", parts("1:1.30.1-6"), ago(now, 90 * 86_400));
    let releases = [
        release(&old, 1, ReleaseState::Signed, "The release key signed version 7 of the targets."),
        release(
            &new,
            2,
            ReleaseState::Signed,
            &format!("The release key signed version 8 of the targets.{name}"),
        ),
        release(&gate, 1, ReleaseState::Signed, "The release key signed version 3 of the targets."),
        release(
            &next,
            2,
            ReleaseState::Proven,
            "3 scenarios passed: upgrade from 3.0, forced health failure, forced boot failure.",
        ),
        release(&meter, 1, ReleaseState::Signed, "The release key signed version 1 of the targets."),
        release(
            &broken,
            2,
            ReleaseState::Rejected,
            "1 of 3 scenarios failed: upgrade from 0.9: phases: expected INSTALLED, BOOTED, HEALTHY; saw INSTALLED, BOOTED, ROLLED_BACK.",
        ),
    ];
    let check = |name: &str, saw: &str, outcome: &str| serde_json::json!({"name": name, "expected": "INSTALLED, BOOTED, HEALTHY", "saw": saw, "outcome": outcome});
    let run = |at: usize, outcome, saw: &str| LabRun {
        release: releases[at].id.clone(),
        scenario: format!("upgrade from {}", releases[at - 1].version),
        outcome,
        detail: serde_json::json!({"why": "1 device runs this version.", "took_seconds": 14, "checks": [check("phases", saw, outcome.word()), check("running", "the new image", "passed")]}),
        at: ago(now, 1_200),
    };
    let runs = [
        run(1, LabOutcome::Passed, "INSTALLED, BOOTED, HEALTHY"),
        run(3, LabOutcome::Passed, "INSTALLED, BOOTED, HEALTHY"),
        run(5, LabOutcome::Failed, "INSTALLED, BOOTED, ROLLED_BACK"),
    ];
    let patch = Patch { base: digest(1), result: digest(2), digest: digest(3), size: ByteCount(412_877) };
    let images = [old, new, gate, next, meter, broken].map(Write::Firmware);
    let mut writes = images.to_vec();
    writes.extend(releases.map(Write::Release));
    writes.extend(runs.map(Write::LabRun));
    writes.push(Write::Patch(patch));
    writes.extend(patch_jobs(now, name).map(Write::PatchJob));
    writes
}

fn weaknesses(now: Timestamp, name: &str) -> Vec<Write> {
    let summary = format!("BusyBox ash: stack overflow when an arithmetic expression is parsed{name}");
    let ash = advisory("CVE-2022-48174", &summary, Exploitation::Active, ago(now, 6_300));
    let awk = advisory(
        "CVE-2023-42366",
        "BusyBox awk: heap overflow in next_token",
        Exploitation::PublicPoc,
        ago(now, 172_800),
    );
    let tar = advisory(
        "CVE-2021-28831",
        "BusyBox gunzip: invalid free on malformed data",
        Exploitation::None,
        ago(now, 700_000),
    );
    let weak = firmware(digest(1), "cam-x1", "1.0", vec![], now);
    let meter = firmware(digest(21), "meter-c", "0.9", vec![], now);
    let (in_cam, in_meter) = (finding(&ash, &weak), finding(&awk, &meter));
    let closed = finding(&tar, &weak);
    let urgent = (Priority::Immediate, Some(ago(now, -250_000)));
    let normal = (Priority::Scheduled, Some(ago(now, -5_000_000)));
    let patched = |seconds| Some((Protection::Patched, ago(now, seconds)));
    let mut writes: Vec<Write> = [&ash, &awk, &tar].map(|one| Write::Advisory(one.clone())).to_vec();
    writes.extend([&in_cam, &in_meter, &closed].map(|one| Write::Finding(one.clone())));
    for at in 0..8 {
        let decision = match at {
            6 => (Priority::OutOfCycle, Some(ago(now, 3_600))),
            _ if at % 4 < 2 => urgent,
            _ => normal,
        };
        let protected = if at < 3 { patched(1_000 - at * 100) } else { None };
        writes.push(Write::Case(case(
            &format!("cam-{at:02}"),
            &in_cam,
            decision,
            protected,
            ago(now, 6_000),
        )));
        writes.push(Write::Case(case(
            &format!("cam-{at:02}"),
            &closed,
            normal,
            patched(600_000),
            ago(now, 690_000),
        )));
    }
    writes.push(Write::Case(case(
        "meter-41",
        &in_meter,
        normal,
        Some((Protection::Shielded, ago(now, 170_000))),
        ago(now, 172_000),
    )));
    writes
}

fn directive(action: u64, device: &str, rollout: &str, now: Timestamp) -> Write {
    Write::Directive(StoredDirective {
        directive: Directive {
            action: ActionId(action),
            rollout: rollout.parse().unwrap(),
            device: device.parse().unwrap(),
            order: Order::Install,
            release: "cam-x1-1.1".parse().unwrap(),
            generation: Generation(1),
        },
        state: DirectiveState::Open,
        created_at: ago(now, 1_500),
        closed_at: None,
        image: digest(2),
        downloaded: ByteCount(if action <= 4 { 412_877 } else { 0 }),
        full: ByteCount(47_382_528),
        way: (action <= 4).then_some(Way::Patch),
        loading_millis: if action <= 4 { 3_200 } else { 0 },
        applying_millis: if action <= 4 { 9_100 } else { 0 },
    })
}

fn rollouts(now: Timestamp, name: &str) -> Vec<Write> {
    let image = firmware(digest(2), "cam-x1", "1.1", vec![], now);
    let new = release(&image, 2, ReleaseState::Signed, "");
    let reason = format!("Phase 2 of 3 (early) runs: 2 of 5 devices are healthy, 5 are needed.{name}");
    let runs = rollout("cam-x1-1.1-a", &new, RolloutState::Running, &reason, ago(now, 1_600));
    let halted = "Phase 1 of 3 (canary) has 1 failed device of 1, and halts at 1 (34 %).";
    let mut stopped = rollout("cam-x1-1.1-trial", &new, RolloutState::Halted, halted, ago(now, 90_000));
    stopped.phase = 0;
    let draft =
        rollout("cam-x1-1.1-b", &new, RolloutState::Draft, "Planned; nobody has started it.", ago(now, 100));
    let id = runs.id.clone();
    let states = [
        MemberState::Healthy,
        MemberState::Healthy,
        MemberState::Healthy,
        MemberState::RolledBack,
        MemberState::Updating,
        MemberState::Booted,
        MemberState::Waiting,
        MemberState::Waiting,
    ];
    let mut writes: Vec<Write> = [runs, stopped.clone(), draft].map(Write::Rollout).to_vec();
    let seconds = [1_400, 900, 850, 700, 200, 30, 1_600, 1_600];
    for (at, (state, since)) in states.into_iter().zip(seconds).enumerate() {
        let (name, action) = (format!("cam-{at:02}"), u64::try_from(at + 1).unwrap());
        let phase = [0, 1, 1, 1, 1, 1, 2, 2][at];
        writes.push(Write::Member {
            rollout: id.clone(),
            member: member(&name, phase, state, ago(now, since), action),
        });
        if at < 6 {
            writes.push(directive(action, &name, id.as_str(), now));
        }
    }
    writes.push(Write::Member {
        rollout: stopped.id,
        member: member("cam-03", 0, MemberState::Failed, ago(now, 89_000), 90),
    });
    let messages = vec![format!("loading the patch from 1.0: 62 %{name}")];
    writes.push(Write::Feedback {
        action: ActionId(5),
        at: ago(now, 190),
        execution: "proceeding".to_owned(),
        finished: "none".to_owned(),
        messages,
    });
    writes.extend(story(now, &id, name));
    writes
}

fn story(now: Timestamp, id: &RolloutId, name: &str) -> Vec<Write> {
    let story = [
        (1_590, Some("cam-00"), "offered", "The rollout started, and cam-00 is in its first phase."),
        (1_450, Some("cam-00"), "INSTALLED", "runs 1.0 from slot a"),
        (1_420, Some("cam-00"), "BOOTED", "runs 1.1 from slot b"),
        (1_400, Some("cam-00"), "HEALTHY", "runs 1.1 from slot b"),
        (1_370, None, "phase started", "Phase 1 (canary) stayed good for 30 s: 1 of 1 healthy, 1 needed."),
        (720, Some("cam-03"), "BOOTED", "runs 1.1 from slot b"),
        (
            700,
            Some("cam-03"),
            "ROLLED_BACK",
            "runs 1.0 from slot a, because of health-check-failed: check 20-camera ended with 1: no frames within 10 s",
        ),
    ];
    let told = story.map(|(seconds, device, what, reason)| {
        Write::Event(event(
            ago(now, seconds),
            Stage::Rollout,
            device,
            Some(id),
            what,
            &format!("{reason}{name}"),
        ))
    });
    let mut writes = told.to_vec();
    writes.push(Write::Event(event(
        ago(now, 6_290),
        Stage::Assess,
        Some("cam-03"),
        None,
        "case opened",
        "CVE-2022-48174 concerns busybox 1:1.35.0-4; scheduled.",
    )));
    writes
}

fn shields_and_alerts(now: Timestamp, name: &str) -> Vec<Write> {
    let shield = |device: &str, reason, state, seconds| Shield {
        id: device.parse().unwrap(),
        device: device.parse().unwrap(),
        reason,
        advisories: vec!["CVE-2023-42366".parse().unwrap()],
        state,
        since: ago(now, seconds),
    };
    let alert = |id: &str, device: &str, kind, sensor, seconds, destination: &str, reason: &str| Alert {
        id: id.parse().unwrap(),
        device: device.parse().unwrap(),
        kind,
        sensor,
        at: ago(now, seconds),
        destination: format!("{destination}{name}"),
        reason: format!("{reason}{name}"),
    };
    let talk = "The device sent 14.2 KiB to 203.0.113.77:4444/tcp; devices of cam-x1 use update.example:443/tcp and 2 others.";
    vec![
        Write::Shield(shield("meter-41", ShieldReason::SupportEnded, ShieldState::Verified, 170_000)),
        Write::Shield(shield("cam-03", ShieldReason::PatchFailed, ShieldState::Refused, 600)),
        Write::Shield(shield("cam-01", ShieldReason::PatchPending, ShieldState::Lifted, 900)),
        Write::Alert(alert(
            "alert-1",
            "cam-07",
            AlertKind::NewDestination,
            Sensor::Zeek,
            2_400,
            "203.0.113.77:4444/tcp",
            talk,
        )),
        Write::Alert(alert(
            "alert-2",
            "cam-03",
            AlertKind::IntrusionRule,
            Sensor::Suricata,
            86_000,
            "cam-03:80/tcp",
            "ET EXPLOIT attempt on a web interface fired twice.",
        )),
        Write::Event(event(
            ago(now, 170_000),
            Stage::Shield,
            Some("meter-41"),
            None,
            "shielded",
            &format!("its product is out of support; the rules passed nftables v1.0.6{name}"),
        )),
        Write::Setting { key: "shield/ruleset".to_owned(), value: format!("{RULESET}{name}").into() },
        Write::Setting { key: "shield/rules".to_owned(), value: format!("{RULES}{name}").into() },
    ]
}

/// Fills a store with more than a page can show, on top of a full one.
pub(super) async fn crowded(store: &Store, now: Timestamp) {
    full(store, now, "").await;
    let image = firmware(
        digest(2),
        "cam-x1",
        "1.1",
        (0..400)
            .map(|n| component(&format!("package-with-a-long-name-{n:03}"), "1:2.36-9+deb12u7~really"))
            .collect(),
        now,
    );
    let weak = firmware(digest(1), "cam-x1", "1.0", vec![], now);
    let ash =
        advisory("CVE-2022-48174", "BusyBox ash: stack overflow", Exploitation::Active, ago(now, 6_300));
    let found = finding(&ash, &weak);
    let id = "cam-x1-1.1-a".parse().unwrap();
    let mut writes = vec![Write::Firmware(image)];
    for at in 0..400_u64 {
        let name = format!("camera-with-a-rather-long-serial-number-{at:06}");
        writes.push(Write::Device(set_up(device(&name, "cam-x1"), now, usize::try_from(at % 200).unwrap())));
        writes.push(Write::Case(case(
            &name,
            &found,
            (Priority::Immediate, Some(now.plus(Seconds(at)))),
            None,
            now,
        )));
        writes.push(Write::Member {
            rollout: "cam-x1-1.1-a".parse().unwrap(),
            member: member(&name, 2, MemberState::Waiting, now, at + 100),
        });
        writes.push(Write::Event(event(
            ago(now, 10),
            Stage::Rollout,
            Some("cam-00"),
            Some(&id),
            "phase started",
            &format!("{at}: {}", "a long reason ".repeat(8)),
        )));
    }
    writes.push(Write::Setting { key: "shield/ruleset".to_owned(), value: RULESET.repeat(1_000).into() });
    store.commit(&writes).await.unwrap();
}
