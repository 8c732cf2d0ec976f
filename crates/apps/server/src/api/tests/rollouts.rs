//! Rollouts: plans, drafts, commands, reasons.

use serde_json::{Value, json};
use warden_kit::values::{device, digest, product, running};
use warden_model::device::{Criticality, Device};
use warden_model::release::{Patch, ReleaseState};
use warden_model::{ByteCount, Generation};
use warden_store::Write;

use super::releases::{release, set_state};
use super::{World, column, text};

/// A world with release `cam-1.1` in a state, its patch from image 1, and these devices.
async fn fleet(state: ReleaseState, devices: impl IntoIterator<Item = Device>) -> World {
    let world = World::new().await;
    world.write([Write::Product(product("cam"))]).await;
    let made = release(&world, "1.1", "a new image").await.ok(201);
    let image = text(&made, "image").parse().unwrap();
    set_state(&world, "cam-1.1", state).await;
    let patch = Patch { base: digest(1), result: image, digest: digest(8), size: ByteCount(4) };
    world.write([Write::Patch(patch)]).await;
    world.write(devices.into_iter().map(Write::Device)).await;
    world
}

fn three() -> Vec<Device> {
    let mut critical = device("a", "cam");
    critical.criticality = Criticality::SafetyCritical;
    critical.generation = Generation(7);
    let mut other = device("c", "cam");
    other.confirmed = Some(running(2, "0.9"));
    vec![critical, device("b", "cam"), other]
}

fn wish() -> Value {
    json!({ "release": "cam-1.1", "phases": "canary=1, rest; soak=30s" })
}

async fn draft(world: &World) -> String {
    let made = world.json("POST", "/api/v1/rollouts", wish()).await.ok(201);
    text(&made, "id").to_owned()
}

#[tokio::test]
async fn a_plan_tells_who_when_why_and_at_what_cost() {
    let mut wrong_board = device("d", "cam");
    wrong_board.hardware = "board-9".parse().unwrap();
    let world = fleet(ReleaseState::Proven, three().into_iter().chain([wrong_board])).await;
    let plan = world.json("POST", "/api/v1/rollouts/plan", wish()).await.ok(200);
    let devices = plan["devices"].as_array().unwrap();
    let line =
        |device: &Value| format!("{} {} {}", text(device, "device"), text(device, "phase"), device["bytes"]);
    // The image has 11 bytes, its patch from 1.0 has 4; there is none from 0.9.
    assert_eq!(devices.iter().map(line).collect::<Vec<_>>(), ["b canary 4", "a rest 4", "c rest 11"]);
    assert!(text(&devices[0], "reason").contains("little is at stake"), "{plan}");
    assert_eq!((&plan["bytes"], &plan["full_bytes"]), (&json!(19), &json!(33)));
    assert_eq!(
        plan["left_out"],
        json!([{ "device": "d", "reason": "Its board is board-9, and the release runs on board-1." }])
    );
    assert_eq!(plan["warnings"][0], "The release is proven, and must be signed before it may roll out.");
    assert_eq!(column(&world.get("/api/v1/rollouts").await.ok(200), "id"), [""; 0], "a plan changes nothing");

    let mut only = wish();
    only["filter"] = json!("criticality:safety-critical");
    let plan = world.json("POST", "/api/v1/rollouts/plan", only).await.ok(200);
    assert_eq!(plan["devices"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_wish_that_does_not_fit_is_refused_with_its_field() {
    let world = fleet(ReleaseState::Signed, three()).await;
    for (field, value, status, why) in [
        ("phases", "canary=0, rest", 400, "phases:"),
        ("window", "22:00", 400, "window:"),
        ("filter", "colour:red", 400, "colour:red"),
        ("release", "a b", 400, "release:"),
        ("release", "cam-9", 404, "no release cam-9"),
    ] {
        for path in ["/api/v1/rollouts/plan", "/api/v1/rollouts"] {
            let mut wrong = wish();
            wrong[field] = json!(value);
            let kind = if status == 404 { "not-found" } else { "invalid" };
            world.json("POST", path, wrong).await.problem(status, kind, why);
        }
    }
    let mut nobody = wish();
    nobody["filter"] = json!("id:nobody");
    world.json("POST", "/api/v1/rollouts", nobody).await.problem(409, "conflict", "no device would get");
}

#[tokio::test]
async fn only_a_signed_release_may_roll_out() {
    for (state, why) in [
        (ReleaseState::Uploaded, "wait until the lab"),
        (ReleaseState::Proven, "/api/v1/metadata/draft"),
        (ReleaseState::Rejected, "upload a release that passes"),
        (ReleaseState::Withdrawn, "make a new release"),
    ] {
        let world = fleet(state, three()).await;
        world.json("POST", "/api/v1/rollouts", wish()).await.problem(409, "conflict", why);
    }
}

#[tokio::test]
async fn a_draft_counts_on_from_the_newest_order_of_its_devices() {
    let world = fleet(ReleaseState::Signed, three()).await;
    let made = world.json("POST", "/api/v1/rollouts", wish()).await;
    assert_eq!(made.headers["location"], "/api/v1/rollouts/cam-1.1-r1");
    let made = made.ok(201);
    assert_eq!((text(&made, "state"), &made["generation"]), ("draft", &json!(7)));
    let waiting = |phase: &Value| (phase["devices"].clone(), phase["waiting"].clone());
    let phases: Vec<_> = made["phases"].as_array().unwrap().iter().map(waiting).collect();
    assert_eq!(phases, [(json!(1), json!(1)), (json!(2), json!(2))]);
    assert_eq!(made["members"].as_array().unwrap().len(), 3);
    assert_eq!(draft(&world).await, "cam-1.1-r2");
    let list = world.get("/api/v1/rollouts").await.ok(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    assert!(list["items"][0].get("members").is_none(), "{list}");
}

#[tokio::test]
async fn commands_follow_the_state_and_leave_their_reason() {
    let world = fleet(ReleaseState::Signed, three()).await;
    let id = draft(&world).await;
    let path = |command: &str| format!("/api/v1/rollouts/{id}/{command}");
    for command in ["pause", "resume", "halt"] {
        world.post(&path(command)).await.problem(409, "conflict", "start it");
    }
    world.post(&path("roll-back")).await.problem(409, "conflict", "no device has its release");
    for (command, state) in [
        ("start", "running"),
        ("pause", "paused"),
        ("resume", "running"),
        ("halt", "halted"),
        ("roll-back", "rolling-back"),
    ] {
        let rollout = world.post(&path(command)).await.ok(200);
        assert_eq!(text(&rollout, "state"), state);
        assert!(text(&rollout, "reason").contains("by token admin"), "{rollout}");
    }
    world.post(&path("start")).await.problem(409, "conflict", "runs to its end");
    let events = world.get(&path("events")).await.ok(200);
    assert_eq!(
        column(&events, "what"),
        [
            "rollout ordered back",
            "rollout halted",
            "rollout resumed",
            "rollout paused",
            "rollout started",
            "rollout planned"
        ]
    );
    world.post("/api/v1/rollouts/nothing/start").await.problem(404, "not-found", "no rollout nothing");
}

#[tokio::test]
async fn a_device_is_in_one_rollout_at_a_time() {
    let world = fleet(ReleaseState::Signed, three()).await;
    let (first, second) = (draft(&world).await, draft(&world).await);
    world.post(&format!("/api/v1/rollouts/{first}/start")).await.ok(200);
    world.post(&format!("/api/v1/rollouts/{second}/start")).await.problem(409, "conflict", &first);
    let plan = world.json("POST", "/api/v1/rollouts/plan", wish()).await.ok(200);
    assert_eq!(plan["devices"], json!([]));
    assert_eq!(text(&plan["left_out"][0], "reason"), "Rollout cam-1.1-r1 has it, and is not over.");
}

#[tokio::test]
async fn a_draft_that_lay_for_long_starts_with_a_generation_that_devices_believe() {
    let world = fleet(ReleaseState::Signed, three()).await;
    let id = draft(&world).await;
    let mut later = device("b", "cam");
    later.generation = Generation(40);
    world.write([Write::Device(later)]).await;
    let started = world.post(&format!("/api/v1/rollouts/{id}/start")).await.ok(200);
    assert_eq!(started["generation"], 40);
}

#[tokio::test]
async fn why_is_answered_for_each_device() {
    let world = fleet(ReleaseState::Signed, three()).await;
    let id = draft(&world).await;
    let why = async |device: &str| world.get(&format!("/api/v1/rollouts/{id}/devices/{device}/why")).await;
    let reason = why("a").await.ok(200);
    assert!(text(&reason, "reason").contains("a person must start it"), "{reason}");
    world.write([Write::Device(device("late", "cam"))]).await;
    assert!(text(&why("late").await.ok(200), "reason").contains("it came later"));
    why("nobody").await.problem(404, "not-found", "no device nobody");
}
