//! What clients in the field say, and how much of it is believed.

use warden_kit::values::{START, running};
use warden_model::device::UpdateState;
use warden_model::report::ReportPhase;
use warden_model::rollout::{Member, MemberState, RolloutState};
use warden_model::{ActionId, Timestamp};
use warden_store::{DirectiveState, Write};

use super::World;
use crate::clock::now;
use crate::testing::{change_rollout, report, state_of};
use crate::turn::reports::accept;

const ORDER: &str = "/deploymentBase/1";
const CANCEL: &str = "/cancelAction/1";

async fn order(world: &World) -> DirectiveState {
    world.context.store.directive(ActionId(1)).await.unwrap().unwrap().state
}

async fn device(world: &World) -> UpdateState {
    world.context.store.device(&"cam-1".parse().unwrap()).await.unwrap().unwrap().state
}

async fn healthy(world: &World) {
    let report = report("cam-1", (1, 1), Some(ReportPhase::Healthy), None);
    accept(&world.context, &report, now()).await.unwrap();
}

#[tokio::test]
async fn success_without_a_signed_report_is_no_success() {
    let world = World::offered().await;
    // SWUpdate (s1, s2) and rauc-hawkbit-updater both end like this; RAUC even before any reboot.
    for _ in 0..3 {
        assert_eq!(world.feedback(ORDER, "proceeding", "none").await, 200);
    }
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Updating);
    assert_eq!(world.feedback(ORDER, "closed", "success").await, 200);
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Installed);
    let found = world.context.store.device(&"cam-1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(found.confirmed, Some(running(1, "1.0")), "nothing is confirmed");
    // SWUpdate (s9) sends one more for the closed order: it must not reopen.
    assert_eq!(world.feedback(ORDER, "proceeding", "none").await, 410);
    assert_eq!(world.feedback(ORDER, "closed", "failure").await, 410);
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Installed);
    world.turn().await;
    let rollout = world.context.store.rollout(&"r1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((rollout.state, rollout.good_since), (RolloutState::Running, None));
    // The signed report after the reboot is.
    healthy(&world).await;
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Healthy);
}

#[tokio::test]
async fn failure_is_believed_at_once() {
    let world = World::offered().await;
    assert_eq!(world.feedback(ORDER, "proceeding", "none").await, 200);
    assert_eq!(world.feedback(ORDER, "closed", "failure").await, 200);
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Failed);
    assert_eq!((order(&world).await, device(&world).await), (DirectiveState::Closed, UpdateState::Failed));
    world.turn().await;
    let rollout = world.context.store.rollout(&"r1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(rollout.state, RolloutState::Halted, "half of the fleet has failed");
}

#[tokio::test]
async fn words_in_between_change_nothing_but_the_silence() {
    let world = World::offered().await;
    for word in ["proceeding", "scheduled", "resumed", "download", "downloaded", "rejected", "canceled"] {
        assert_eq!(world.feedback(ORDER, word, "none").await, 200, "{word}");
        assert_eq!(order(&world).await, DirectiveState::Open, "{word}");
    }
    let (rollout, device) = ("r1".parse().unwrap(), "cam-1".parse().unwrap());
    let member = async || world.context.store.member(&rollout, &device).await.unwrap().unwrap();
    let silent = Member { since: START, ..member().await };
    let silent = Write::Member { rollout: rollout.clone(), member: silent };
    world.context.store.commit(&[silent]).await.unwrap();
    world.feedback(ORDER, "proceeding", "none").await;
    assert!(member().await.since > START, "a slow network is no silent device");
}

#[tokio::test]
async fn an_order_keeps_a_thousand_words_and_always_its_end() {
    let world = World::offered().await;
    let entry = |n: i64| Write::Feedback {
        action: ActionId(1),
        at: Timestamp(n),
        execution: "proceeding".to_owned(),
        finished: "none".to_owned(),
        messages: Vec::new(),
    };
    world.context.store.commit(&(0..999).map(entry).collect::<Vec<_>>()).await.unwrap();
    // SWUpdate sends its log: too many lines, too long, which never fails; they are cut.
    let line = format!("\"{}\",", "y".repeat(600)).repeat(60);
    let long = format!(
        r#"{{"status":{{"result":{{"finished":"none"}},"execution":"proceeding","details":[{line}"x"]}}}}"#
    );
    assert_eq!(world.send("POST", "/deploymentBase/1/feedback", &[], &long).await.status, 200);
    let kept = world.context.store.feedback(ActionId(1)).await.unwrap().pop().unwrap().messages;
    assert_eq!((kept.len(), kept[0].len()), (50, 512));
    assert_eq!(world.feedback(ORDER, "download", "none").await, 429);
    assert_eq!(world.feedback(ORDER, "closed", "success").await, 200);
    assert_eq!(order(&world).await, DirectiveState::Closed);
}

#[tokio::test]
async fn what_cannot_be_read_is_400_and_other_media_415() {
    let world = World::offered().await;
    let path = "/deploymentBase/1/feedback";
    for body in [
        "",
        "{}",
        "null",
        r#"{"status":{"execution":"closed"}}"#,
        r#"{"status":{"execution":"flying","result":{"finished":"none"}}}"#,
        r#"{"status":{"execution":"closed","result":{"finished":"maybe"}}}"#,
    ] {
        assert_eq!(world.send("POST", path, &[], body).await.status, 400, "{body}");
    }
    let good = r#"{"status":{"execution":"proceeding","result":{"finished":"none"}}}"#;
    assert_eq!(world.send("POST", path, &[("content-type", "text/plain")], good).await.status, 415);
    assert_eq!(world.send("POST", path, &[], good).await.status, 200);
}

#[tokio::test]
async fn an_order_is_taken_back_by_its_own_number() {
    let world = World::offered().await;
    assert_eq!(world.feedback(CANCEL, "closed", "success").await, 405);
    world.roll_back().await;
    assert_eq!(order(&world).await, DirectiveState::Cancelling);
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Cancelled);
    let cancel = world.get("/cancelAction/1").await.json(200);
    assert_eq!(cancel, serde_json::json!({ "id": "1", "cancelAction": { "stopId": "1" } }));
    assert_eq!(world.get("/deploymentBase/1").await.status, 404);
    // "canceled" is not an acceptance (hawkbit#952); SWUpdate (s7) still sends its log on the other channel.
    for word in ["canceled", "proceeding", "scheduled"] {
        assert_eq!(world.feedback(CANCEL, word, "none").await, 200);
        assert_eq!(order(&world).await, DirectiveState::Cancelling, "{word}");
    }
    assert_eq!(world.feedback(ORDER, "proceeding", "none").await, 200);
    assert_eq!(device(&world).await, UpdateState::Updating);
    assert_eq!(world.feedback(CANCEL, "closed", "success").await, 200);
    assert_eq!((order(&world).await, device(&world).await), (DirectiveState::Closed, UpdateState::Idle));
    assert_eq!(world.feedback(CANCEL, "closed", "success").await, 410);
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Cancelled);
}

#[tokio::test]
async fn a_refused_cancellation_lets_the_order_stand() {
    for (execution, finished) in [("rejected", "none"), ("closed", "failure")] {
        let world = World::offered().await;
        world.roll_back().await;
        assert_eq!(world.feedback(CANCEL, execution, finished).await, 200);
        assert_eq!(order(&world).await, DirectiveState::Open, "{execution}");
        assert_eq!(world.get("/deploymentBase/1").await.status, 200);
        assert_eq!(world.feedback(CANCEL, "closed", "success").await, 405);
        // The client goes on: it has the release now, and the rollout, although it is over, orders it back.
        assert_eq!(world.feedback(ORDER, "closed", "success").await, 200);
        assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Installed);
        world.turn().await;
        assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Reverting);
    }
}

#[tokio::test]
async fn a_client_that_cannot_go_back_has_failed_and_one_that_says_it_did_has_proven_nothing() {
    for (finished, state) in [("failure", MemberState::Failed), ("success", MemberState::Reverting)] {
        let world = World::offered().await;
        healthy(&world).await;
        world.roll_back().await;
        let back = world.context.store.open_directive(&"cam-1".parse().unwrap()).await.unwrap().unwrap();
        let path = format!("/deploymentBase/{}", back.directive.action);
        assert_eq!(world.feedback(&path, "closed", finished).await, 200);
        assert_eq!(state_of(&world.context, "cam-1").await, state);
    }
}

#[tokio::test]
async fn feedback_does_not_undo_what_a_turn_decides_at_the_same_time() {
    let world = World::offered().await;
    change_rollout(&world.context, "r1", |rollout| rollout.state = RolloutState::RollingBack).await;
    let (status, ()) = tokio::join!(world.feedback(ORDER, "proceeding", "none"), world.turn());
    assert_eq!(status, 200);
    assert_eq!(order(&world).await, DirectiveState::Cancelling);
}
