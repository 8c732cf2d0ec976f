//! Enrolment: tokens, names, lost answers, renewal.

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use warden_keys::DeviceKey;
use warden_model::device::{Criticality, DataSensitivity, UpdateState};
use warden_model::{Seconds, Timestamp};
use warden_store::{EnrolmentGrant, Write};
use warden_trust::TrustDomain;
use warden_trust::est::{from_base64, read_certs_only, to_base64};
use warden_trust::identity::device_of_certificate;

use super::{Reply, World};
use crate::clock::now;
use crate::device::hash_of;

async fn token(world: &World, secret: &str, uses_left: u64, expires: Timestamp) {
    let grant = EnrolmentGrant {
        product: "cam".parse().unwrap(),
        hardware: "board-1".parse().unwrap(),
        criticality: Criticality::Standard,
        sensitivity: DataSensitivity::Internal,
        segment: None,
        uses_left,
        expires,
    };
    world.context.store.create_enrolment(&hash_of(secret.as_bytes()), &grant).await.unwrap();
}

async fn uses_left(world: &World, secret: &str) -> u64 {
    world.context.store.enrolment(&hash_of(secret.as_bytes()), now()).await.unwrap().uses_left
}

fn key(world: &World, name: &str) -> DeviceKey {
    DeviceKey::load_or_create(&world.folder.path().join(name)).unwrap()
}

fn csr(world: &World, key: &DeviceKey, name: &str) -> String {
    to_base64(&key.csr(&name.parse().unwrap(), &world.context.trust_domain).unwrap())
}

async fn enrol(world: &World, token: &str, body: String) -> Reply {
    let basic = format!("Basic {}", STANDARD.encode(format!("enrol:{token}")));
    let request = Request::post("/.well-known/est/simpleenroll").header("authorization", basic);
    world.send_as(None, request.body(Body::from(body)).unwrap()).await
}

#[track_caller]
fn name_in(world: &World, reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let certificates = read_certs_only(&from_base64(&reply.body).unwrap()).unwrap();
    device_of_certificate(&certificates[0], &world.context.trust_domain).unwrap().0.to_string()
}

#[tokio::test]
async fn a_token_enrols_as_many_devices_as_it_says() {
    let world = World::new().await;
    let later = now().plus(Seconds(60));
    token(&world, "one", 1, later).await;
    token(&world, "late", 1, Timestamp(1)).await;
    let own = key(&world, "a.pem");
    assert_eq!(enrol(&world, "nobody-made-it", csr(&world, &own, "new-1")).await.status, 401);
    assert_eq!(enrol(&world, "late", csr(&world, &own, "new-1")).await.status, 401);
    // Who holds no token learns nothing about names, and a mistaken name costs no use.
    assert_eq!(enrol(&world, "nobody-made-it", csr(&world, &own, "cam-1")).await.status, 401);
    assert_eq!(enrol(&world, "one", csr(&world, &own, "cam-1")).await.status, 409);
    assert_eq!(name_in(&world, &enrol(&world, "one", csr(&world, &own, "new-1")).await), "new-1");
    assert_eq!(enrol(&world, "one", csr(&world, &own, "new-2")).await.status, 401);
    let without = Request::post("/.well-known/est/simpleenroll").body(Body::empty()).unwrap();
    let without = world.send_as(None, without).await;
    assert_eq!((without.status, without.headers.contains_key("www-authenticate")), (401, true));
}

#[tokio::test]
async fn a_device_whose_answer_got_lost_asks_again() {
    let world = World::new().await;
    let later = now().plus(Seconds(60));
    token(&world, "one", 1, later).await;
    let (own, other) = (key(&world, "a.pem"), key(&world, "b.pem"));
    for _ in 0..2 {
        assert_eq!(name_in(&world, &enrol(&world, "one", csr(&world, &own, "new-1")).await), "new-1");
    }
    // Another key, or another token: somebody else.
    assert_eq!(enrol(&world, "one", csr(&world, &other, "new-1")).await.status, 401);
    token(&world, "two", 5, later).await;
    assert_eq!(enrol(&world, "two", csr(&world, &own, "new-1")).await.status, 409);
    assert_eq!(enrol(&world, "two", csr(&world, &other, "new-1")).await.status, 409);
    // Once it has reported it has a certificate, and renews that.
    let mut device = world.context.store.device(&"new-1".parse().unwrap()).await.unwrap().unwrap();
    device.state = UpdateState::Idle;
    world.context.store.commit(&[Write::Device(device)]).await.unwrap();
    assert_eq!(enrol(&world, "one", csr(&world, &own, "new-1")).await.status, 401);
}

#[tokio::test]
async fn of_two_that_want_one_name_one_gets_it() {
    let world = World::new().await;
    token(&world, "group", 10, now().plus(Seconds(60))).await;
    let (a, b) = (key(&world, "a.pem"), key(&world, "b.pem"));
    let (one, other) = tokio::join!(
        enrol(&world, "group", csr(&world, &a, "new-1")),
        enrol(&world, "group", csr(&world, &b, "new-1"))
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(uses_left(&world, "group").await, 9);
}

#[tokio::test]
async fn hostile_requests_cost_no_use() {
    let world = World::new().await;
    token(&world, "one", 1, now().plus(Seconds(60))).await;
    let own = key(&world, "a.pem");
    let elsewhere = TrustDomain::new("fleet.elsewhere").unwrap();
    let mut broken = own.csr(&"new-1".parse().unwrap(), &world.context.trust_domain).unwrap();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let foreign = own.csr(&"new-1".parse().unwrap(), &elsewhere).unwrap();
    for body in [
        String::new(),
        "no base64 !".to_owned(),
        to_base64(b"no request"),
        to_base64(&broken),
        to_base64(&foreign),
        "A".repeat(120_000),
    ] {
        assert_eq!(enrol(&world, "one", body).await.status, 400);
    }
    assert_eq!(enrol(&world, "one", "A".repeat(200_000)).await.status, 413);
    assert_eq!(uses_left(&world, "one").await, 1);
}

#[tokio::test]
async fn a_device_renews_its_own_name_and_no_other() {
    let world = World::new().await;
    let new = key(&world, "new.pem");
    let own = world.context.trust_domain.clone();
    let renew = async |peer: Option<&str>, name: &str| {
        let request = Request::post("/.well-known/est/simplereenroll");
        let request = request.body(Body::from(csr(&world, &new, name))).unwrap();
        let nobody = crate::Peer { address: super::address(), certificate: None };
        let peer = peer.map_or(nobody, |peer| world.peer(peer, &own));
        world.send_as(Some(peer), request).await
    };
    assert_eq!(name_in(&world, &renew(Some("cam-1"), "cam-1").await), "cam-1");
    assert_eq!(renew(Some("cam-1"), "cam-2").await.status, 403);
    assert_eq!(renew(None, "cam-1").await.status, 401);
    assert_eq!(renew(Some("cam-9"), "cam-9").await.status, 401, "not enrolled any more");
}

#[tokio::test]
async fn anybody_may_read_the_authority() {
    let world = World::new().await;
    let request = Request::get("/.well-known/est/cacerts").body(Body::empty()).unwrap();
    let reply = world.send_as(None, request).await;
    let expected = world.context.authority.certificate_der().as_ref().to_vec();
    assert_eq!(read_certs_only(&from_base64(&reply.body).unwrap()).unwrap(), [expected]);
}
