//! Advisories in, and how far the fleet is protected against them.

use serde_json::{Value, json};
use warden_kit::values::{device, digest, product};
use warden_model::case::{Case, Decision, Finding, Priority, Protection};
use warden_model::{Seconds, Timestamp};
use warden_store::Write;

use super::{World, column, text};
use crate::clock::now;

fn osv(id: &str, modified: &str) -> Value {
    json!({
        "id": id, "modified": modified, "summary": "a weakness",
        "affected": [{
            "package": { "ecosystem": "Debian:12", "name": "busybox" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "1.36" }] }],
        }],
    })
}

const PATH: &str = "/api/v1/advisories";

#[tokio::test]
async fn an_import_can_be_repeated_and_keeps_the_first_moment() {
    let world = World::new().await;
    let lines =
        format!("{}\n{}\n", osv("CVE-1", "2026-01-02T00:00:00Z"), osv("CVE-2", "2026-01-02T00:00:00Z"));
    let receipt = world.send("POST", PATH, "application/x-ndjson", lines.clone().into()).await.ok(200);
    assert_eq!(receipt, json!({ "accepted": ["CVE-1", "CVE-2"], "new": 2 }));
    let first = world.get("/api/v1/advisories/CVE-1").await.ok(200);
    let receipt = world.send("POST", PATH, "application/x-ndjson", lines.into()).await.ok(200);
    assert_eq!(receipt["new"], 0);
    let again = world.get("/api/v1/advisories/CVE-1").await.ok(200);
    assert_eq!(text(&first, "known_at"), text(&again, "known_at"));
    let older = world.json("POST", PATH, osv("CVE-1", "2026-01-01T00:00:00Z")).await.ok(200);
    assert_eq!(older, json!({ "accepted": [], "new": 0 }));
    assert_eq!(column(&world.get(PATH).await.ok(200), "id"), ["CVE-1", "CVE-2"]);
    let story = world.story().await;
    assert_eq!(story[1], "assess: advisories imported (2 read, 2 of them new: CVE-1, CVE-2, by token admin)");
}

#[tokio::test]
async fn what_is_no_advisory_is_refused_whole() {
    let world = World::new().await;
    let good = osv("CVE-1", "2026-01-02T00:00:00Z");
    for (body, why) in [
        (String::new(), "holds no advisory"),
        ("id: CVE-1".to_owned(), "line 1, column 1 is no JSON"),
        (format!("{good}\n{{\"id\":\"CVE-2\"}}"), "record 2: /modified is missing"),
        ("[]".to_owned(), "holds no advisory"),
    ] {
        world.send("POST", PATH, "application/json", body.into()).await.problem(400, "invalid", why);
    }
    assert_eq!(column(&world.get(PATH).await.ok(200), "id"), [""; 0]);
    world.get("/api/v1/advisories/CVE-9").await.problem(404, "not-found", "no advisory CVE-9");
}

fn case(device: &str, protected: Option<(Protection, Timestamp)>, at: Timestamp) -> Write {
    Write::Case(Case {
        id: format!("CVE-1:{device}").parse().unwrap(),
        device: device.parse().unwrap(),
        finding: Finding {
            image: digest(1),
            product: "cam".parse().unwrap(),
            advisory: "CVE-1".parse().unwrap(),
            component: "pkg:deb/debian/busybox@1.35".parse().unwrap(),
            path: "/bin/busybox".to_owned(),
            reason: "1.35 is below 1.36".to_owned(),
            fixed_in: None,
        },
        decision: Decision {
            priority: Priority::Immediate,
            deadline: None,
            rule: "row-1".to_owned(),
            factors: Vec::new(),
        },
        opened_at: at,
        protected,
    })
}

#[tokio::test]
async fn time_to_protected_runs_until_the_last_device() {
    let world = World::new().await;
    world.json("POST", PATH, osv("CVE-1", "2026-01-02T00:00:00Z")).await.ok(200);
    let nobody = world.get("/api/v1/advisories/CVE-1").await.ok(200);
    assert_eq!(text(&nobody["protected"], "state"), "nobody-affected");
    let at = now();
    let devices = ["a", "b"].map(|id| Write::Device(device(id, "cam")));
    world.write(std::iter::once(Write::Product(product("cam"))).chain(devices)).await;
    world.write([case("a", Some((Protection::Patched, at)), at), case("b", None, at)]).await;
    let open = world.get("/api/v1/advisories/CVE-1").await.ok(200);
    let protected = &open["protected"];
    assert_eq!(
        (text(protected, "state"), &protected["affected"], &protected["patched"]),
        ("open", &json!(2), &json!(1))
    );
    let found = world.get("/api/v1/cases?filter=protected:no").await.ok(200);
    assert_eq!(column(&found, "device"), ["b"]);
    let status = world.get("/api/v1/status").await.ok(200);
    assert_eq!(status["exposed"], 1);
    assert!(status["attention"][0].as_str().unwrap().starts_with("Immediate cases"), "{status}");
    world.write([case("b", Some((Protection::Shielded, at.plus(Seconds(90)))), at)]).await;
    let done = world.get("/api/v1/advisories/CVE-1").await.ok(200);
    assert_eq!((text(&done["protected"], "state"), &done["protected"]["shielded"]), ("done", &json!(1)));
    assert!(done["protected"]["elapsed_seconds"].as_u64().unwrap() >= 90);
}
