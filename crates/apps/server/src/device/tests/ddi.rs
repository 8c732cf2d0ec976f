//! Base poll, orders, attributes.

use axum::http::header;
use serde_json::json;
use warden_model::release::ReleaseState;
use warden_model::report::ReportPhase;
use warden_model::rollout::{MaintenanceWindow, MemberState};

use super::{OWN, World};
use crate::clock::now;
use crate::device::hash_of;
use crate::testing::{IMAGE, change_release, change_rollout, report, state_of};
use crate::turn::reports::accept;

#[tokio::test]
async fn the_links_of_a_base_poll_follow_the_order() {
    let world = World::new().await;
    assert_eq!(world.links().await, ["configData"]);
    world.send("PUT", "/configData", &[], r#"{"data":{"a":"b"}}"#).await;
    assert!(world.links().await.is_empty());

    world.turn().await;
    let base = world.get("").await.json(200);
    assert_eq!(base["config"]["polling"]["sleep"], "00:05:00");
    let href = base["_links"]["deploymentBase"]["href"].as_str().unwrap();
    assert_eq!(href, format!("https://fw.example:8443{OWN}/deploymentBase/1?c=1"));

    change_release(&world.context, ReleaseState::Withdrawn).await;
    assert!(world.links().await.is_empty(), "what is withdrawn is offered to nobody from now on");
    assert_eq!(world.get("/deploymentBase/1").await.status, 404);
    world.turn().await;
    assert_eq!(world.links().await, ["cancelAction"]);
    world.feedback("/cancelAction/1", "closed", "success").await;
    assert!(world.links().await.is_empty());
}

#[tokio::test]
async fn what_is_installed_stays_to_be_read() {
    let world = World::offered().await;
    world.send("PUT", "/configData", &[], r#"{"data":{"a":"b"}}"#).await;
    assert_eq!(world.get("/installedBase/1").await.status, 404, "it is still open");
    let done = report("cam-1", (1, 1), Some(ReportPhase::Healthy), None);
    accept(&world.context, &done, now()).await.unwrap();
    assert_eq!(world.links().await, ["installedBase"]);
    let installed = world.get("/installedBase/1?actionHistory=0").await.json(200);
    assert_eq!(installed["id"], "1");
    assert_eq!(installed["deployment"]["chunks"][0]["version"], "1.1");
    assert_eq!(world.get("/deploymentBase/1").await.status, 404);
    assert_eq!(world.get("/installedBase/2").await.status, 404, "the order of another device");
}

#[tokio::test]
async fn an_order_has_the_shape_that_clients_read() {
    let world = World::offered().await;
    let image = hash_of(IMAGE);
    let own = format!("https://fw.example:8443{OWN}");
    let file = format!("{own}/softwaremodules/1/artifacts/{image}.img");
    let hashes = world.context.artifacts.hashes(&image).unwrap();
    let artifact = json!({
        "filename": format!("{image}.img"),
        "hashes": { "sha1": hashes.sha1, "md5": hashes.md5, "sha256": image.to_string() },
        "size": IMAGE.len(),
        "_links": { "download": { "href": file }, "md5sum": { "href": format!("{file}.MD5SUM") } },
    });
    let chunk = json!({
        "part": "os",
        "version": "1.1",
        "name": "cam",
        "artifacts": [artifact],
        "metadata": [
            { "key": "fleetwarden.generation", "value": "1" },
            { "key": "fleetwarden.image", "value": image.to_string() },
            { "key": "fleetwarden.order", "value": "install" },
        ],
    });
    let deployment = json!({ "download": "forced", "update": "forced", "chunks": [chunk] });
    // SWUpdate asks for everything twice.
    for _ in 0..2 {
        let found = world.get("/deploymentBase/1?c=1&actionHistory=10").await.json(200);
        assert_eq!(found, json!({ "id": "1", "deployment": deployment }));
    }
    assert_eq!(world.get("/softwaremodules/1/artifacts").await.json(200), json!([artifact]));
}

#[tokio::test]
async fn a_closed_window_lets_a_device_load_and_not_install() {
    let world = World::offered().await;
    let link = async || world.get("").await.json(200)["_links"]["deploymentBase"]["href"].clone();
    let before = link().await;
    let minute = (now().minute_of_day() + 120) % 1440;
    let window = MaintenanceWindow::new(minute, 60).unwrap();
    change_rollout(&world.context, "r1", |rollout| rollout.window = Some(window)).await;
    let deployment = world.get("/deploymentBase/1").await.json(200)["deployment"].clone();
    assert_eq!(
        (&deployment["download"], &deployment["update"], &deployment["maintenanceWindow"]),
        (&json!("forced"), &json!("skip"), &json!("unavailable"))
    );
    assert_ne!(link().await, before, "clients that compare links notice");
    // SWUpdate (s4) skips, and calls that a success; nothing was installed, and the order stays.
    assert_eq!(world.feedback("/deploymentBase/1", "closed", "success").await, 200);
    assert_eq!(state_of(&world.context, "cam-1").await, MemberState::Offered);
    assert_eq!(world.get("/deploymentBase/1").await.status, 200);
}

#[tokio::test]
async fn the_way_back_needs_no_image_on_the_server() {
    let world = World::offered().await;
    let healthy = report("cam-1", (1, 1), Some(ReportPhase::Healthy), None);
    accept(&world.context, &healthy, now()).await.unwrap();
    world.roll_back().await;
    let base = world.get("").await.json(200);
    let href = base["_links"]["deploymentBase"]["href"].as_str().unwrap();
    let order = world.get(href.split_once("cam-1").unwrap().1).await.json(200);
    let chunk = &order["deployment"]["chunks"][0];
    let before = warden_kit::values::digest(1).to_string();
    assert_eq!(chunk["metadata"][1]["value"], before, "what it ran before");
    assert_eq!(chunk["metadata"][2]["value"], "turn-back");
    assert_eq!(chunk["artifacts"], json!([]));
}

#[tokio::test]
async fn a_client_that_knows_the_answer_gets_304() {
    let world = World::offered().await;
    let first = world.get("").await;
    let tag = first.header(header::ETAG).to_owned();
    let check = async |known: &str, status: u16| {
        let headers = [("host", "fw.example:8443"), ("if-none-match", known)];
        assert_eq!(world.send("GET", "", &headers, "").await.status, status, "{known}");
    };
    check(&tag, 304).await;
    check(&format!("W/{tag}"), 304).await;
    check(&format!("\"other\", {tag}"), 304).await;
    check("\"other\"", 200).await;
    change_release(&world.context, ReleaseState::Withdrawn).await;
    check(&tag, 200).await;
}

#[tokio::test]
async fn answers_come_in_the_form_that_is_asked_for() {
    let world = World::offered().await;
    let check = async |accept: &str, status: u16, media: &str| {
        let reply = world.send("GET", "", &[("accept", accept)], "").await;
        assert_eq!((reply.status, reply.header(header::CONTENT_TYPE)), (status, media), "{accept}");
    };
    check("application/json;charset=UTF-8", 200, "application/json").await;
    check("application/json", 200, "application/json").await;
    check("*/*", 200, "application/hal+json").await;
    check("", 200, "application/hal+json").await;
    check("application/cbor", 406, "").await;
}

#[tokio::test]
async fn what_is_not_there_is_refused_as_hawkbit_does() {
    let world = World::offered().await;
    let check = async |method: &str, rest: &str, status: u16| {
        let reply = world.send(method, rest, &[], "{}").await;
        assert_eq!(reply.status, status, "{method} {rest}");
    };
    for action in ["2", "99", "abc", "-1", "18446744073709551615", "99999999999999999999999999"] {
        check("GET", &format!("/deploymentBase/{action}"), 404).await;
        check("GET", &format!("/cancelAction/{action}"), 404).await;
        check("GET", &format!("/installedBase/{action}"), 404).await;
        check("GET", &format!("/softwaremodules/{action}/artifacts"), 404).await;
        check("POST", &format!("/deploymentBase/{action}/feedback"), 404).await;
        check("POST", &format!("/cancelAction/{action}/feedback"), 404).await;
    }
    check("GET", "/cancelAction/1", 404).await;
    check("POST", "/deploymentBase/1", 405).await;
    check("GET", "/deploymentBase/1/feedback", 405).await;
    check("PUT", "/cancelAction/1", 405).await;
    check("POST", "/configData", 405).await;
    check("DELETE", "", 405).await;
    check("POST", "/deploymentBase/1/feedback", 400).await;
}

#[tokio::test]
async fn attributes_have_their_quota() {
    let world = World::new().await;
    let put = async |media: &str, body: &str| {
        world.send("PUT", "/configData", &[("content-type", media)], body).await.status
    };
    let json = "application/json";
    // What SWUpdate sends at its start, whether it was asked or not.
    let swupdate = r#"{"id":"","time":"20261122T080530","status":{"result":{"finished":"success"},
        "execution":"closed","details":[""]},"data":{"serialNo":"SN0001","hwRevision":"1.0"}}"#;
    assert_eq!(put(json, swupdate).await, 200);
    assert_eq!(put("application/json;charset=UTF-8", r#"{"data":{"more":"x"}}"#).await, 200);
    let known = async || {
        let values = world.context.store.attributes(&"cam-1".parse().unwrap()).await.unwrap();
        values.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(known().await, ["hwRevision", "more", "serialNo"]);
    assert_eq!(put(json, r#"{"mode":"remove","data":{"more":""}}"#).await, 200);
    assert_eq!(put(json, r#"{"mode":"replace","data":{"only":"x"}}"#).await, 200);
    assert_eq!(known().await, ["only"]);
    let long = "x".repeat(129);
    let many = (0..101).map(|n| format!(r#""k{n}":"v""#)).collect::<Vec<_>>().join(",");
    for (body, status) in [
        ("{}".to_owned(), 400),
        (r#"{"data":{}}"#.to_owned(), 400),
        (r#"{"data":{"":"x"}}"#.to_owned(), 400),
        (format!(r#"{{"data":{{"{long}":"x"}}}}"#), 400),
        (format!(r#"{{"data":{{"x":"{long}"}}}}"#), 400),
        (r#"{"mode":"grow","data":{"x":"y"}}"#.to_owned(), 400),
        (r#"{"data":{"x":{"deep":1}}}"#.to_owned(), 400),
        ("[".repeat(100_000), 400),
        (format!(r#"{{"data":{{{many}}}}}"#), 429),
        (" ".repeat(200_000), 413),
    ] {
        assert_eq!(put(json, &body).await, status, "{}", body.chars().take(60).collect::<String>());
    }
    assert_eq!(put("application/hal+json", r#"{"data":{"x":"y"}}"#).await, 415);
    assert_eq!(put("application/cbor", "x").await, 415);
    assert_eq!(known().await, ["only"]);
}
