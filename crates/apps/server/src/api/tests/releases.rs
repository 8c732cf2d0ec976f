//! From an upload to a signed release.

use axum::body::Body;
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use warden_keys::FileSigner;
use warden_kit::values::{digest, product};
use warden_model::release::{Patch, ReleaseState};
use warden_model::{ByteCount, ReleaseId, Seconds};
use warden_store::Write;
use warden_trust::repository::{self, FilePin, KeySet, RoleKeys, TargetAbout, TargetEntry, TargetKind};
use warden_trust::{KeyScheme, Signer as _};

use super::{Reply, TOKEN, World, column, text};
use crate::clock::now;
use crate::repository::write_atomically;

const BINARY: &str = "application/octet-stream";

pub(super) async fn upload(world: &World, bytes: &[u8]) -> String {
    let receipt = world.send("POST", "/api/v1/images", BINARY, bytes.to_vec()).await.ok(201);
    text(&receipt, "image").to_owned()
}

/// Makes a release of an image with this content.
pub(super) async fn release(world: &World, version: &str, content: &str) -> Reply {
    let image = upload(world, content.as_bytes()).await;
    world
        .json("POST", "/api/v1/releases", json!({ "product": "cam", "version": version, "image": image }))
        .await
}

pub(super) async fn set_state(world: &World, id: &str, state: ReleaseState) {
    let id: ReleaseId = id.parse().unwrap();
    let mut release = world.context.store.release(&id).await.unwrap().unwrap();
    release.state = state;
    world.write([Write::Release(release)]).await;
}

pub(super) async fn with_product() -> World {
    let world = World::new().await;
    world.write([Write::Product(product("cam"))]).await;
    world
}

#[tokio::test]
async fn an_image_is_kept_under_its_digest() {
    let world = World::new().await;
    // FIPS 180-4, the example "abc".
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for _ in 0..2 {
        let receipt = world.send("POST", "/api/v1/images", BINARY, b"abc".to_vec()).await.ok(201);
        assert_eq!(receipt, json!({ "image": abc, "bytes": 3 }));
    }
    assert!(world.context.artifacts.exists(&abc.parse().unwrap()));
}

fn left_over(world: &World) -> usize {
    std::fs::read_dir(world.folder.path().join("artifacts/new")).unwrap().count()
}

#[tokio::test]
async fn an_image_that_does_not_fit_leaves_nothing_behind() {
    let world = World::with(|config| config.image_bytes_max = ByteCount::kib(64)).await;
    let path = "/api/v1/images";
    let headers = || vec![("authorization", TOKEN.to_owned())];
    let pieces =
        |count: usize| tokio_stream::iter((0..count).map(|_| Ok::<_, std::io::Error>(vec![7_u8; 32 * 1024])));
    // Without a length in the head, the limit is met on the way.
    world.stream("POST", path, headers(), Body::from_stream(pieces(2))).await.ok(201);
    let reply = world.stream("POST", path, headers(), Body::from_stream(pieces(3))).await;
    reply.problem(413, "too-large", "64.0 KiB");
    let mut told = headers();
    told.push(("content-length", "65537".to_owned()));
    world.stream("POST", path, told, Body::empty()).await.problem(413, "too-large", "64.0 KiB");
    let broken = pieces(1).chain(tokio_stream::once(Err(std::io::ErrorKind::ConnectionReset.into())));
    world.stream("POST", path, headers(), Body::from_stream(broken)).await.problem(
        400,
        "invalid",
        "broke off",
    );
    world.send("POST", path, BINARY, Vec::new()).await.problem(400, "invalid", "empty");
    let form = world.send("POST", path, "multipart/form-data; boundary=x", b"--x".to_vec()).await;
    form.problem(400, "invalid", "multipart/form-data");
    assert_eq!(left_over(&world), 0);
    assert_eq!(world.story().await.len(), 1);
}

#[tokio::test]
async fn a_release_is_made_once() {
    let world = with_product().await;
    let made = release(&world, "1.0", "one").await;
    assert_eq!(made.headers["location"], "/api/v1/releases/cam-1.0");
    let made = made.ok(201);
    assert_eq!((text(&made, "id"), text(&made, "state")), ("cam-1.0", "uploaded"));
    assert_eq!((&made["counter"], &made["image_bytes"]), (&json!(1), &json!(3)));
    assert_eq!(release(&world, "1.0", "one").await.ok(200), made, "the same again changes nothing");
    release(&world, "1.0", "two").await.problem(409, "conflict", "version of its own");
    release(&world, "1.1", "one").await.problem(409, "conflict", "is known as cam 1.0");
    assert_eq!(release(&world, "1.1", "two").await.ok(201)["counter"], 2);
    let ids = column(&world.get("/api/v1/releases").await.ok(200), "id");
    assert_eq!(ids.len(), 2);
    let events = world.get("/api/v1/releases/cam-1.0/events").await.ok(200);
    assert_eq!(column(&events, "what"), ["release made"]);
    world.get("/api/v1/releases/tv-1").await.problem(404, "not-found", "no release tv-1");
}

#[tokio::test]
async fn a_release_needs_a_product_an_image_and_a_version() {
    let world = with_product().await;
    let image = upload(&world, b"one").await;
    let there = |product: &str, version: &str, image: &str| json!({ "product": product, "version": version, "image": image });
    for (wish, status, why) in [
        (there("tv", "1.0", &image), 404, "PUT /api/v1/products/tv"),
        (there("cam", "1.0", &digest(9).to_string()), 404, "POST /api/v1/images"),
        (there("cam", "1.0", "abc"), 400, "image: a SHA-256 digest"),
        (there("cam", "a b", &image), 400, "version:"),
        (there("cam", "1+1", &image), 400, "<product>-<version>"),
    ] {
        let kind = if status == 404 { "not-found" } else { "invalid" };
        world.json("POST", "/api/v1/releases", wish).await.problem(status, kind, why);
    }
}

#[tokio::test]
async fn an_sbom_is_there_after_the_analysis() {
    let world = with_product().await;
    let made = release(&world, "1.0", "one").await.ok(201);
    world.get("/api/v1/releases/cam-1.0/sbom").await.problem(404, "not-found", "analysed");
    let sbom = json!({ "bomFormat": "CycloneDX" });
    world
        .write([Write::Setting { key: format!("sbom/{}", text(&made, "image")), value: sbom.clone() }])
        .await;
    let reply = world.get("/api/v1/releases/cam-1.0/sbom").await;
    assert_eq!(reply.headers["content-type"], "application/vnd.cyclonedx+json");
    assert_eq!(reply.ok(200), sbom);
}

#[tokio::test]
async fn a_withdrawn_release_stays_withdrawn() {
    let world = with_product().await;
    release(&world, "1.0", "one").await.ok(201);
    for _ in 0..2 {
        let withdrawn = world.post("/api/v1/releases/cam-1.0/withdraw").await.ok(200);
        assert_eq!(text(&withdrawn, "state"), "withdrawn");
        assert_eq!(text(&withdrawn, "reason"), "withdrawn while it was uploaded, by token admin");
    }
    let events = world.get("/api/v1/releases/cam-1.0/events").await.ok(200);
    assert_eq!(column(&events, "what"), ["release withdrawn", "release made"]);
}

/// Gives the world a root, and returns the offline key.
pub(super) fn offline_key(world: &World) -> FileSigner {
    let dir = world.folder.path();
    let online = FileSigner::open(&dir.join("online.pem")).unwrap();
    let offline = FileSigner::create(&dir.join("offline.pem"), KeyScheme::Ed25519).unwrap();
    let by = |signer: &FileSigner| KeySet { keys: vec![signer.public_key()], threshold: 1 };
    let keys =
        RoleKeys { root: by(&offline), targets: by(&offline), snapshot: by(&online), timestamp: by(&online) };
    let root = repository::root(1, now().plus(Seconds::days(365)), &keys, &[&offline]).unwrap();
    write_atomically(&dir.join("metadata/1.root.json"), &root).unwrap();
    offline
}

/// Signs a draft as the person with the offline key does.
pub(super) fn sign(draft: &Value, key: &FileSigner) -> Vec<u8> {
    let entry = |target: &Value| TargetEntry {
        name: text(target, "name").to_owned(),
        length: ByteCount(target["length"].as_u64().unwrap()),
        sha256: text(target, "sha256").parse().unwrap(),
        about: TargetAbout {
            product: text(target, "product").parse().unwrap(),
            hardware_ids: target["boards"]
                .as_array()
                .unwrap()
                .iter()
                .map(|b| b.as_str().unwrap().parse().unwrap())
                .collect(),
            version: text(target, "version").parse().unwrap(),
            release_counter: target["counter"].as_u64().unwrap(),
            index: target["index"].as_object().map(|index| FilePin {
                length: ByteCount(index["length"].as_u64().unwrap()),
                sha256: index["sha256"].as_str().unwrap().parse().unwrap(),
            }),
            kind: match target["base"].as_str() {
                None => TargetKind::Image,
                Some(base) => TargetKind::Patch {
                    base: base.parse().unwrap(),
                    result: text(target, "result").parse().unwrap(),
                },
            },
        },
    };
    let entries: Vec<TargetEntry> = draft["targets"].as_array().unwrap().iter().map(entry).collect();
    let expires = now().plus(Seconds::days(90));
    repository::targets(draft["version"].as_u64().unwrap(), expires, &entries, &[key]).unwrap()
}

pub(super) async fn put(world: &World, targets: &[u8]) -> Reply {
    world.send("PUT", "/api/v1/metadata/targets", "application/json", targets.to_vec()).await
}

#[tokio::test]
async fn the_offline_key_sets_a_proven_release_free() {
    let world = with_product().await;
    let key = offline_key(&world);
    let draft = "/api/v1/metadata/draft";
    assert_eq!(world.get(draft).await.ok(200), json!({ "version": 1, "targets": [], "releases": [] }));
    let made = release(&world, "1.1", "two").await.ok(201);
    let patch = Patch {
        base: digest(0xab),
        result: text(&made, "image").parse().unwrap(),
        digest: digest(3),
        size: ByteCount(2),
    };
    world.write([Write::Patch(patch)]).await;
    set_state(&world, "cam-1.1", ReleaseState::Proven).await;
    let attention = world.get("/api/v1/status").await.ok(200)["attention"].to_string();
    assert!(attention.contains("Release cam-1.1 is proven; sign it"), "{attention}");

    crate::turn::make_indexes(&world.context, now()).await.unwrap();
    let wanted = world.get(draft).await.ok(200);
    let indexed: Vec<bool> =
        wanted["targets"].as_array().unwrap().iter().map(|target| target["index"].is_object()).collect();
    assert_eq!(indexed, [false, true], "the image has an index, a patch has none");
    let names: Vec<&str> =
        wanted["targets"].as_array().unwrap().iter().map(|target| text(target, "name")).collect();
    assert_eq!(names, ["cam-1.1-from-abababababab.patch", "cam-1.1.img"]);
    assert_eq!(wanted["releases"], json!(["cam-1.1"]));
    let signed = sign(&wanted, &key);
    for releases in [json!(["cam-1.1"]), json!([])] {
        let receipt = put(&world, &signed).await.ok(200);
        assert_eq!((&receipt["version"], &receipt["releases"]), (&json!(1), &releases));
    }
    let release = world.get("/api/v1/releases/cam-1.1").await.ok(200);
    assert_eq!((text(&release, "state"), release["patches"].as_array().map(Vec::len)), ("signed", Some(1)));
    assert_eq!(world.story().await.iter().filter(|line| line.contains("targets published")).count(), 1);
    assert_eq!(world.get("/api/v1/metadata/1.targets.json").await.body, signed);
    world.get("/api/v1/metadata/timestamp.json").await.ok(200);

    let next = world.get(draft).await.ok(200);
    assert_eq!((&next["version"], &next["targets"]), (&json!(2), &wanted["targets"]));
    world.post("/api/v1/releases/cam-1.1/withdraw").await.ok(200);
    assert_eq!(world.get(draft).await.ok(200)["targets"], json!([]), "what was withdrawn is signed no more");
}

#[tokio::test]
async fn targets_that_the_offline_key_has_not_signed_are_refused() {
    let world = with_product().await;
    let empty = json!({ "version": 1, "targets": [] });
    let stranger = FileSigner::create(&world.folder.path().join("stranger.pem"), KeyScheme::Ed25519).unwrap();
    put(&world, &sign(&empty, &stranger)).await.problem(409, "conflict", "fleetwarden setup");
    let key = offline_key(&world);
    put(&world, &sign(&empty, &stranger)).await.problem(400, "invalid", "0 of the 1 signatures");
    put(&world, b"{}").await.problem(400, "invalid", "targets metadata");
    put(&world, &vec![b' '; 3 << 20]).await.problem(413, "too-large", "2.0 MiB");
    put(&world, &sign(&json!({ "version": 2, "targets": [] }), &key)).await.ok(200);
    put(&world, &sign(&empty, &key)).await.problem(409, "conflict", "draft again");
    for name in ["9.root.json", "online.pem", "..%2Fonline.pem"] {
        world.get(&format!("/api/v1/metadata/{name}")).await.problem(404, "not-found", "no metadata file");
    }
}
