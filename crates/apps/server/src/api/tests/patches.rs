//! How far patches are built, who has signed them, and what they saved.

use serde_json::{Value, json};
use warden_kit::values::{START, device, digest, product};
use warden_model::device::Running;
use warden_model::release::{Patch, PatchJob, PatchState, PatchStep, ReleaseState};
use warden_model::report::Way;
use warden_model::rollout::{Directive, Order};
use warden_model::{ActionId, ByteCount, Generation, Seconds, Sha256Digest};
use warden_store::{DirectiveState, StoredDirective, UpdateCost, Write};

use super::releases::{offline_key, put, release, set_state, sign, with_product};
use super::{World, text};
use crate::clock::now;
use crate::patches::refresh;

fn job(base: u8, result: Sha256Digest, devices: u64, state: PatchState) -> PatchJob {
    PatchJob {
        base: digest(base),
        base_version: format!("0.{base}").parse().unwrap(),
        result,
        product: "cam".parse().unwrap(),
        devices,
        state,
        step: (state == PatchState::Building).then_some(PatchStep::Matching),
        attempts: 1,
        reason: "so it is".to_owned(),
        wanted_at: START,
        started_at: Some(START),
        ended_at: Some(START.plus(Seconds(3))),
        again_at: None,
        unused_since: None,
    }
}

/// A release whose patch from 0.1 is built, with a device that runs 0.1.
async fn with_patch() -> (World, Sha256Digest, Patch) {
    let world = with_product().await;
    let made = release(&world, "1.1", "two").await.ok(201);
    let image: Sha256Digest = text(&made, "image").parse().unwrap();
    let mut file = world.context.artifacts.create().unwrap();
    file.write(b"patch").unwrap();
    let stored = file.finish().unwrap();
    let patch = Patch { base: digest(1), result: image, digest: stored.digest, size: stored.size };
    let mut one = device("cam-1", "cam");
    one.confirmed = Some(Running { image: digest(1), version: "0.1".parse().unwrap() });
    let built = job(1, image, 1, PatchState::Built);
    world.write([Write::Patch(patch.clone()), Write::PatchJob(built), Write::Device(one)]).await;
    (world, image, patch)
}

#[tokio::test]
async fn the_patches_of_a_release_say_where_they_stand() {
    let (world, image, patch) = with_patch().await;
    let building = job(2, image, 7, PatchState::Building);
    world.write([Write::PatchJob(building), Write::PatchJob(job(3, image, 0, PatchState::NoBase))]).await;
    let all = world.get("/api/v1/releases/cam-1.1/patches").await.ok(200);
    assert_eq!((&all["devices"], &all["ready_devices"], &all["open"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(all["full_bytes"], 3);
    let items = all["items"].as_array().unwrap();
    let versions: Vec<&str> = items.iter().map(|item| text(item, "version")).collect();
    assert_eq!(versions, ["0.2", "0.1", "0.3"], "most devices first");
    let of = |item: &Value, names: [&str; 3]| names.map(|name| item[name].clone());
    let building = of(&items[0], ["state", "step", "step_number"]);
    assert_eq!(building, [json!("building"), json!("matching"), json!(3)]);
    assert_eq!((&items[0]["steps"], items[0].get("made_millis")), (&json!(5), None));
    assert_eq!(of(&items[1], ["bytes", "made_millis", "signed"]), [json!(5), json!(3_000), json!(false)]);
    assert_eq!(text(&items[1], "digest"), patch.digest.to_string());
    assert_eq!(
        of(&items[2], ["state", "reason", "signed"]),
        [json!("no-base"), json!("so it is"), json!(false)]
    );
    world.get("/api/v1/releases/tv-1/patches").await.problem(404, "not-found", "no release tv-1");
}

#[tokio::test]
async fn a_patch_that_came_late_waits_for_the_next_signature_and_one_that_is_dropped_for_the_one_without_it()
{
    let (world, image, patch) = with_patch().await;
    let key = offline_key(&world);
    let late = Patch { base: digest(2), digest: digest(0x22), ..patch.clone() };
    set_state(&world, "cam-1.1", ReleaseState::Proven).await;
    put(&world, &sign(&world.get("/api/v1/metadata/draft").await.ok(200), &key)).await.ok(200);
    let attention = async || world.get("/api/v1/status").await.ok(200)["attention"].to_string();
    let draft = async || {
        let draft = world.get("/api/v1/metadata/draft").await.ok(200);
        let names: Vec<_> =
            draft["targets"].as_array().unwrap().iter().map(|one| text(one, "name").to_owned()).collect();
        (draft, names)
    };
    let (early, image_name) = ("cam-1.1-from-010101010101.patch", "cam-1.1.img");
    assert_eq!(draft().await.1, [early, image_name]);
    assert!(!attention().await.contains("nobody has signed"));

    world.write([Write::Patch(late), Write::PatchJob(job(2, image, 4, PatchState::Built))]).await;
    assert!(
        attention().await.contains("nobody has signed: 1; 4 devices load the full image"),
        "{}",
        attention().await
    );
    let (wanted, names) = draft().await;
    assert_eq!(names, [early, "cam-1.1-from-020202020202.patch", image_name]);
    assert_eq!(wanted["releases"], json!([]));
    put(&world, &sign(&wanted, &key)).await.ok(200);
    assert!(!attention().await.contains("nobody has signed"));

    // Nobody runs 0.1 any more: the next draft is without it, and only after that its file goes.
    let mut moved = device("cam-1", "cam");
    moved.confirmed = Some(Running { image, version: "1.1".parse().unwrap() });
    let dropped = PatchJob { devices: 0, ..job(1, image, 0, PatchState::Dropped) };
    world.write([Write::Device(moved), Write::PatchJob(dropped)]).await;
    let product = "cam".parse().unwrap();
    refresh(&world.context, &product, now()).await.unwrap();
    assert!(world.context.artifacts.exists(&patch.digest), "it is listed");
    let (wanted, names) = draft().await;
    assert_eq!(names, ["cam-1.1-from-020202020202.patch", image_name]);
    put(&world, &sign(&wanted, &key)).await.ok(200);
    refresh(&world.context, &product, now()).await.unwrap();
    assert!(!world.context.artifacts.exists(&patch.digest));
    assert_eq!(world.context.store.patch(&patch.base, &patch.result).await.unwrap(), None);
}

#[tokio::test]
async fn savings_are_told_by_release_rollout_fleet_and_for_prometheus() {
    let world = World::new().await;
    let product = product("cam");
    let made = crate::testing::release("cam-1.1", &product, digest(2), 2);
    let rollout = crate::testing::rollout("r1", &made);
    let order = StoredDirective {
        directive: Directive {
            action: ActionId(1),
            rollout: rollout.id.clone(),
            device: "cam-1".parse().unwrap(),
            order: Order::Install,
            release: made.id.clone(),
            generation: Generation(1),
        },
        state: DirectiveState::Closed,
        created_at: START,
        closed_at: Some(START),
        image: digest(2),
        downloaded: ByteCount(0),
        full: ByteCount(0),
        way: None,
        loading_millis: 0,
        applying_millis: 0,
    };
    world
        .write([
            Write::Product(product),
            Write::Device(device("cam-1", "cam")),
            Write::Release(made),
            Write::Rollout(rollout),
            crate::testing::member("r1", "cam-1"),
            Write::Directive(order),
        ])
        .await;
    let paths = ["/api/v1/status", "/api/v1/releases/cam-1.1", "/api/v1/rollouts/r1"];
    for path in paths {
        assert_eq!(world.get(path).await.ok(200).get("savings"), None, "{path}");
    }
    let cost = UpdateCost {
        downloaded: ByteCount(1_000),
        full: ByteCount(10_000),
        way: Some(Way::Patch),
        loading_millis: 2_000,
        applying_millis: 1_500,
    };
    world.write([Write::ReportCost { action: ActionId(1), cost }]).await;
    let summary = "saved 8.7 KiB of 9.7 KiB (90 %) in 1 update, and 18 s of loading at the measured rates";
    for path in paths {
        let savings = &world.get(path).await.ok(200)["savings"];
        assert_eq!((text(savings, "summary"), &savings["by_patch"]), (summary, &json!(1)), "{path}");
    }
    let member = &world.get("/api/v1/rollouts/r1").await.ok(200)["members"][0];
    assert_eq!((text(member, "way"), &member["loading_millis"]), ("patch", &json!(2_000)));
    let reply = world.get("/api/v1/metrics").await;
    assert_eq!(reply.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let metrics = String::from_utf8(reply.body).unwrap();
    for line in [
        "# TYPE fleetwarden_delta_bytes_saved_total counter",
        "fleetwarden_delta_bytes_saved_total 9000",
        "fleetwarden_delta_updates_total{way=\"patch\"} 1",
        "fleetwarden_delta_loading_seconds_saved_total 18.000",
        "fleetwarden_delta_patches{state=\"built\"} 0",
        "fleetwarden_delta_patches_dropped_total 0",
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line} is not in\n{metrics}");
    }
}
