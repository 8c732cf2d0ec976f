//! Products, devices, pages, filters, enrolment, login links.

use serde_json::json;
use warden_kit::values::{device, product};
use warden_model::device::Criticality;
use warden_model::{DeviceId, Seconds};
use warden_store::{LinkUse, Write};

use super::{Sent, World, column, text};
use crate::clock::now;
use crate::device::hash_of;

async fn fleet(count: usize) -> World {
    let world = World::new().await;
    let devices = (0..count).map(|n| Write::Device(device(&format!("cam-{n:02}"), "cam")));
    world.write(std::iter::once(Write::Product(product("cam"))).chain(devices)).await;
    world
}

#[tokio::test]
async fn a_product_is_made_changed_and_read() {
    let world = World::new().await;
    let wish = json!({ "id": "cam", "name": "Camera", "boards": ["b2", "b1"], "exposure": "open" });
    let made = world.json("PUT", "/api/v1/products/cam", wish.clone()).await.ok(201);
    assert_eq!(made["boards"], json!(["b1", "b2"]));
    world.json("PUT", "/api/v1/products/cam", wish.clone()).await.ok(200);
    assert_eq!(world.story().await.len(), 1, "the same again is no news");
    let mut ended = wish.clone();
    ended["support_ends"] = json!("2026-01-01T00:00:00Z");
    world.json("PUT", "/api/v1/products/cam", ended).await.ok(200);
    let read = world.get("/api/v1/products/cam").await.ok(200);
    assert_eq!(text(&read, "support_ends"), "2026-01-01T00:00:00Z");
    assert_eq!(column(&world.get("/api/v1/products").await.ok(200), "id"), ["cam"]);
    world.get("/api/v1/products/tv").await.problem(404, "not-found", "no product tv");
    for (field, value, why) in [
        ("id", json!("tv"), "path names cam"),
        ("exposure", json!("wide"), "exposure:"),
        ("boards", json!([]), "boards:"),
        ("boards", json!(["a b"]), "boards:"),
        ("name", json!(""), "name:"),
        ("support_ends", json!("soon"), "support_ends:"),
        ("name", json!(7), "name: invalid type"),
    ] {
        let mut wrong = wish.clone();
        wrong[field] = value;
        world.json("PUT", "/api/v1/products/cam", wrong).await.problem(400, "invalid", why);
    }
}

#[tokio::test]
async fn bodies_that_do_not_parse_say_where() {
    let world = fleet(1).await;
    let path = "/api/v1/devices/cam-00";
    let cases: [(&str, &str, &str); 4] = [
        ("application/json", "{", "EOF"),
        ("application/json", r#"{"colour":"red"}"#, "unknown field `colour`"),
        ("application/json", r#"{"segment":7}"#, "segment: invalid type: integer `7`"),
        ("text/plain", "{}", "application/json"),
    ];
    for (media, body, why) in cases {
        world.send("PATCH", path, media, body.into()).await.problem(400, "invalid", why);
    }
    let large = format!("{{\"segment\":\"{}\"}}", "s".repeat(70_000));
    world.send("PATCH", path, "application/json", large.into()).await.problem(413, "too-large", "64.0 KiB");
    world.get("/api/v1/devices/a%20b").await.problem(400, "invalid", "device id holds ' '");
}

#[tokio::test]
async fn a_profile_is_changed_in_parts() {
    let world = fleet(1).await;
    let path = "/api/v1/devices/cam-00";
    let change = json!({ "criticality": "safety-critical", "segment": "ward-3" });
    let changed = world.json("PATCH", path, change.clone()).await.ok(200);
    assert_eq!((text(&changed, "criticality"), text(&changed, "segment")), ("safety-critical", "ward-3"));
    assert_eq!(text(&changed, "sensitivity"), "internal");
    world.json("PATCH", path, change).await.ok(200);
    assert_eq!(
        column(&world.get(&format!("{path}/events")).await.ok(200), "reason"),
        ["criticality from standard to safety-critical, segment from none to ward-3, by token admin"]
    );
    world.json("PATCH", path, json!({ "criticality": "high" })).await.problem(400, "invalid", "criticality:");
    world.json("PATCH", "/api/v1/devices/tv", json!({})).await.problem(404, "not-found", "no device tv");
    let id: DeviceId = "cam-00".parse().unwrap();
    let values = [("os".to_owned(), "linux".to_owned())].into();
    world.write([Write::Attributes { device: id, values }]).await;
    assert_eq!(world.get(&format!("{path}/attributes")).await.ok(200), json!({ "os": "linux" }));
    assert_eq!(column(&world.get(&format!("{path}/cases")).await.ok(200), "id"), [""; 0]);
}

#[tokio::test]
async fn lists_come_in_pages_that_meet() {
    let world = fleet(5).await;
    for (list, field) in [("devices", "id"), ("products", "id")] {
        if list == "products" {
            world.write(["a", "b", "d", "e"].map(|id| Write::Product(product(id)))).await;
        }
        let (mut seen, mut path) = (Vec::new(), format!("/api/v1/{list}?limit=2"));
        loop {
            let page = world.get(&path).await.ok(200);
            seen.extend(column(&page, field));
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/api/v1/{list}?limit=2&after={next}");
        }
        let all = column(&world.get(&format!("/api/v1/{list}")).await.ok(200), field);
        assert_eq!((seen.len(), &seen), (5, &all));
    }
    let foreign = world.get("/api/v1/products?limit=1").await.ok(200);
    let foreign = text(&foreign, "next").to_owned();
    for (query, why) in [
        ("limit=0", "1 to 500 rows"),
        ("limit=501", "1 to 500 rows"),
        ("limit=x", "invalid digit"),
        ("after=x", "cursor was not made"),
        (&format!("after={foreign}"), "list of products"),
        ("filtre=product:cam", "unknown field `filtre`"),
    ] {
        world.get(&format!("/api/v1/devices?{query}")).await.problem(400, "invalid", why);
    }
    world.get("/api/v1/releases?filter=id:a").await.problem(400, "invalid", "unknown field `filter`");
}

#[tokio::test]
async fn filters_choose_and_say_what_they_do_not_understand() {
    let world = fleet(3).await;
    let mut critical = device("cam-09", "cam");
    critical.criticality = Criticality::SafetyCritical;
    world.write([Write::Device(critical)]).await;
    let found = world.get("/api/v1/devices?filter=criticality:%3Estandard%20product:cam").await.ok(200);
    assert_eq!(column(&found, "id"), ["cam-09"]);
    for list in ["devices", "cases", "alerts"] {
        let reply = world.get(&format!("/api/v1/{list}?filter=colour:red")).await;
        reply.problem(400, "invalid", "\"colour:red\" (character 1 of the filter)");
    }
}

#[tokio::test]
async fn an_enrolment_token_is_shown_once_and_kept_as_a_hash() {
    let world = fleet(0).await;
    let wish = json!({
        "product": "cam", "hardware": "board-1", "criticality": "standard", "sensitivity": "internal",
        "uses": 2, "lifetime_seconds": 3600,
    });
    let path = "/api/v1/enrolment-tokens";
    let made = world.json("POST", path, wish.clone()).await.ok(201);
    assert_eq!(text(&made, "ca_fingerprint"), world.context.authority.fingerprint().to_string());
    let hash = hash_of(text(&made, "token").as_bytes());
    let grant = world.context.store.enrol(&hash, now(), |_| Vec::new()).await.unwrap();
    assert_eq!((grant.uses_left, grant.product.as_str()), (1, "cam"));
    assert!(!world.story().await.concat().contains(text(&made, "token")));
    for (field, value, code, why) in [
        ("product", json!("tv"), 404, "PUT /api/v1/products/tv"),
        ("hardware", json!("board-2"), 400, "cam runs on board-1"),
        ("uses", json!(0), 400, "uses:"),
        ("uses", json!(100_001), 400, "uses:"),
        ("lifetime_seconds", json!(59), 400, "lifetime_seconds:"),
        ("lifetime_seconds", json!(2_592_001), 400, "lifetime_seconds:"),
        ("sensitivity", json!("secret"), 400, "sensitivity:"),
    ] {
        let mut wrong = wish.clone();
        wrong[field] = value;
        let kind = if code == 404 { "not-found" } else { "invalid" };
        world.json("POST", path, wrong).await.problem(code, kind, why);
    }
}

#[tokio::test]
async fn a_login_link_is_good_once_and_for_a_quarter_of_an_hour() {
    let world = World::new().await;
    let link = world.post("/api/v1/login-links").await.ok(201);
    let secret = text(&link, "url").strip_prefix("/login?token=").unwrap();
    let hash = hash_of(secret.as_bytes());
    let store = &world.context.store;
    assert_eq!(store.use_login_link(&hash, now().plus(Seconds(901))).await.unwrap(), LinkUse::Expired);
    assert_eq!(store.use_login_link(&hash, now()).await.unwrap(), LinkUse::Accepted);
    assert_eq!(store.use_login_link(&hash, now()).await.unwrap(), LinkUse::UsedUp);
}

#[tokio::test]
async fn the_status_counts_and_says_what_needs_a_person() {
    let world = fleet(2).await;
    let status = world.get("/api/v1/status").await.ok(200);
    assert_eq!(
        (status["devices"].as_u64(), status["attention"].as_array().map(Vec::len)),
        (Some(2), Some(0))
    );
}

#[tokio::test]
async fn rules_are_text_and_absent_until_the_turn_writes_them() {
    let world = World::new().await;
    world.get("/api/v1/shields/rules").await.problem(404, "not-found", "no rules");
    world
        .write([Write::Setting { key: "shield/ruleset".to_owned(), value: "table inet fw {}\n".into() }])
        .await;
    let reply = world.get("/api/v1/shields/ruleset").await;
    assert_eq!((reply.status, reply.body.as_slice()), (200, b"table inet fw {}\n".as_slice()));
    assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8");
    for list in ["shields", "alerts", "cases", "events", "advisories", "rollouts"] {
        world.get(&format!("/api/v1/{list}")).await.ok(200);
    }
}

#[tokio::test]
async fn events_are_told_as_they_happen() {
    use axum::http::{Request, header};
    use hyper::service::Service as _;
    use tokio_stream::StreamExt as _;

    let world = World::new().await;
    let request = Request::get("/api/v1/events/stream").header(header::AUTHORIZATION, super::TOKEN);
    let response = world.service.call(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    world
        .raw(
            "POST",
            "/api/v1/login-links",
            Sent { headers: vec![("authorization", super::TOKEN.to_owned())], ..Sent::default() },
        )
        .await
        .ok(201);
    let message = stream.next().await.unwrap().unwrap();
    let message = std::str::from_utf8(&message).unwrap();
    let event: serde_json::Value =
        serde_json::from_str(message.strip_prefix("data: ").unwrap().trim_end()).unwrap();
    assert_eq!(text(&event, "what"), "login link made");
}
