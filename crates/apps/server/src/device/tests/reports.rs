//! Signed state reports: who may say what, and how often.

use serde_json::Value;
use warden_keys::DeviceKey;
use warden_model::report::{Cause, ReportPhase, StateReport};
use warden_model::rollout::MemberState;
use warden_model::{ActionId, ByteCount};
use warden_store::DirectiveState;
use warden_trust::envelope;
use warden_wire::report::{PAYLOAD_TYPE, write};

use super::World;
use crate::testing::{report, state_of};

fn sealed(report: &StateReport, key: &DeviceKey) -> String {
    let envelope = envelope::seal(PAYLOAD_TYPE, &write(report), key).unwrap();
    serde_json::to_string(&envelope).unwrap()
}

async fn send(world: &World, report: &StateReport) -> u16 {
    world.send("POST", "/fleetwarden/state", &[], &sealed(report, &world.key)).await.status
}

#[tokio::test]
async fn a_device_goes_its_way_report_by_report() {
    let world = World::offered().await;
    for (counter, phase, state) in [
        (1, ReportPhase::Installed, MemberState::Installed),
        (2, ReportPhase::Booted, MemberState::Booted),
        (3, ReportPhase::Healthy, MemberState::Healthy),
    ] {
        let report = report("cam-1", (counter, 1), Some(phase), None);
        assert_eq!(send(&world, &report).await, 200);
        assert_eq!(state_of(&world.context, "cam-1").await, state);
        assert_eq!(send(&world, &report).await, 200, "its answer got lost");
    }
    let order = world.context.store.directive(ActionId(1)).await.unwrap().unwrap();
    assert_eq!((order.state, order.downloaded), (DirectiveState::Closed, ByteCount(5)));
    assert_ne!(order.full, ByteCount(0), "a device that knows no size does not make it nothing");
    let replay = report("cam-1", (2, 1), Some(ReportPhase::RolledBack), Some(Cause::HealthCheckFailed));
    assert_eq!(send(&world, &replay).await, 409);
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Healthy);
}

#[tokio::test]
async fn a_failed_order_is_over_and_late_words_change_nothing() {
    let world = World::offered().await;
    let failed = report("cam-1", (1, 1), Some(ReportPhase::Failed), Some(Cause::NoSpace));
    assert_eq!(send(&world, &failed).await, 200);
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Failed);
    assert_eq!(world.feedback("/deploymentBase/1", "closed", "failure").await, 410);
    for (counter, action, phase) in
        [(2, 1, ReportPhase::Installed), (3, 2, ReportPhase::Healthy), (4, 77, ReportPhase::Healthy)]
    {
        assert_eq!(send(&world, &report("cam-1", (counter, action), Some(phase), None)).await, 200);
        assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Failed, "order {action}");
        assert_eq!(state_of(&world.context, "cam-2").await, MemberState::Offered, "order {action}");
    }
    assert!(!world.links().await.contains(&"deploymentBase".to_owned()));
}

#[tokio::test]
async fn what_cannot_be_believed_is_refused() {
    let world = World::offered().await;
    let healthy = report("cam-1", (1, 1), Some(ReportPhase::Healthy), None);
    let stranger = DeviceKey::load_or_create(&world.folder.path().join("stranger.pem")).unwrap();
    let other = report("cam-2", (1, 2), Some(ReportPhase::Healthy), None);
    let huge = StateReport { counter: u64::MAX, ..healthy.clone() };
    let action = StateReport { action: Some(ActionId(u64::MAX)), ..healthy.clone() };
    let bytes = StateReport { downloaded: ByteCount(u64::MAX), ..healthy.clone() };
    let mut forged: Value = serde_json::from_str(&sealed(&healthy, &world.key)).unwrap();
    let changed: Value = serde_json::from_str(&sealed(&other, &world.key)).unwrap();
    forged["payload"] = changed["payload"].clone();
    let wrong_type = envelope::seal("text/plain", &write(&healthy), &world.key).unwrap();
    for (name, body) in [
        ("another key", sealed(&healthy, &stranger)),
        ("another device", sealed(&other, &world.key)),
        ("another payload", forged.to_string()),
        ("another type", serde_json::to_string(&wrong_type).unwrap()),
        ("a number beyond all", sealed(&huge, &world.key)),
        ("an order beyond all", sealed(&action, &world.key)),
        ("bytes beyond all", sealed(&bytes, &world.key)),
        ("no envelope", "{}".to_owned()),
        ("no JSON", "\u{0}".to_owned()),
    ] {
        let reply = world.send("POST", "/fleetwarden/state", &[], &body).await;
        assert_eq!(reply.status, 400, "{name}: {}", String::from_utf8_lossy(&reply.body));
    }
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Offered);
    assert_eq!(state_of(&world.context, "cam-2").await, MemberState::Offered);
    assert_eq!(send(&world, &healthy).await, 200);
}
