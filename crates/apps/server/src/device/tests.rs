//! The device protocol as devices see it: requests in, answers out, over a store in memory and a folder of its own.

mod ddi;
mod est;
mod feedback;
mod files;
mod index;
mod reports;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tempfile::TempDir;
use warden_keys::DeviceKey;
use warden_model::rollout::RolloutState;
use warden_model::{DeviceId, Seconds};
use warden_store::Store;
use warden_trust::TrustDomain;
use warden_trust::identity::check_csr;

use crate::clock::now;
use crate::context::Shared;
use crate::listen::Peer;
use crate::testing::{change_rollout, fleet_over};
use crate::turn::run_rollouts;

const OWN: &str = "/DEFAULT/controller/v1/cam-1";

struct World {
    context: Shared,
    folder: TempDir,
    key: DeviceKey,
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl World {
    /// A fleet of `cam-1` and `cam-2`.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_memory().await.unwrap();
        let context = fleet_over(folder.path(), store, &["cam-1", "cam-2"]).await;
        let key = DeviceKey::load_or_create(&folder.path().join("device.pem")).unwrap();
        Self { context, folder, key }
    }

    /// The same, and each device has its order: `cam-1` order 1, `cam-2` order 2.
    async fn offered() -> Self {
        let world = Self::new().await;
        world.turn().await;
        world
    }

    async fn turn(&self) {
        run_rollouts(&self.context, now()).await.unwrap();
    }

    async fn roll_back(&self) {
        change_rollout(&self.context, "r1", |rollout| rollout.state = RolloutState::RollingBack).await;
        self.turn().await;
    }

    /// Connects as a device whose certificate is of this fleet's authority.
    fn peer(&self, name: &str, domain: &TrustDomain) -> Peer {
        let device: DeviceId = name.parse().unwrap();
        let csr = check_csr(&self.key.csr(&device, domain).unwrap()).unwrap();
        let issued = self.context.authority.issue_device(&csr, &device, domain, now(), Seconds::days(1));
        Peer { address: address(), certificate: Some(Arc::from(issued.unwrap().as_ref())) }
    }

    async fn send_as(&self, peer: Option<Peer>, request: Request<Body>) -> Reply {
        let mut router = super::router(&self.context);
        if let Some(peer) = peer {
            router = router.layer(Extension(peer));
        }
        let response = TowerToHyperService::new(router).call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 24).await.unwrap().to_vec();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends a request as `cam-1`; the path begins after the device's own.
    async fn send(&self, method: &str, rest: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("{OWN}{rest}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer = self.peer("cam-1", &self.context.trust_domain);
        self.send_as(Some(peer), request.body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn get(&self, rest: &str) -> Reply {
        self.send("GET", rest, &[("host", "fw.example:8443")], "").await
    }

    /// Sends feedback as SWUpdate does.
    async fn feedback(&self, rest: &str, execution: &str, finished: &str) -> u16 {
        let body = format!(
            r#"{{"id":1,"time":"20261122T080530","status":{{"result":{{"progress":{{"cnt":1,"of":0}},
                "finished":"{finished}"}},"execution":"{execution}","details":["{execution} {finished}"]}}}}"#
        );
        let json = [("content-type", "application/json")];
        self.send("POST", &format!("{rest}/feedback"), &json, &body).await.status
    }

    /// Returns the names of the links of a base poll that hawkBit knows.
    async fn links(&self) -> Vec<String> {
        let base = self.get("").await.json(200);
        let links = base["_links"].as_object().unwrap();
        links.keys().filter(|name| !name.starts_with("fleetwarden")).cloned().collect()
    }
}

impl Reply {
    #[track_caller]
    fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn address() -> SocketAddr {
    "192.0.2.7:4711".parse().unwrap()
}

#[tokio::test]
async fn a_device_is_whom_its_certificate_names() {
    let world = World::new().await;
    let own = world.context.trust_domain.clone();
    let other = TrustDomain::new("fleet.elsewhere").unwrap();
    let nobody = Peer { address: address(), certificate: None };
    let garbage = Peer { address: address(), certificate: Some(Arc::from([1_u8, 2, 3].as_slice())) };
    let check = async |peer: Option<Peer>, path: &str, status: u16| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let reply = world.send_as(peer, request).await;
        assert_eq!(reply.status, status, "{path}");
        if status == 401 {
            assert!(reply.body.is_empty(), "hawkBit's refusal is empty");
        }
    };
    check(Some(world.peer("cam-1", &own)), OWN, 200).await;
    check(Some(world.peer("cam-1", &own)), "/default/controller/v1/cam-1", 200).await;
    check(Some(world.peer("cam-2", &own)), OWN, 401).await;
    check(Some(world.peer("cam-1", &own)), "/DEFAULT/controller/v1/cam-2", 401).await;
    check(Some(world.peer("cam-1", &own)), "/DEFAULT/controller/v1/cam-2/deploymentBase/1", 401).await;
    check(Some(world.peer("cam-1", &other)), OWN, 401).await;
    // Its certificate is good, and it is not enrolled (any more).
    check(Some(world.peer("cam-9", &own)), "/DEFAULT/controller/v1/cam-9", 401).await;
    check(Some(nobody), OWN, 401).await;
    check(Some(garbage), OWN, 401).await;
    check(None, OWN, 401).await;
    check(Some(world.peer("cam-1", &own)), "/a%2Fb/controller/v1/cam-1", 401).await;
    check(Some(world.peer("cam-1", &own)), "/DEFAULT/controller/v1/..%2Fcam-1", 401).await;
}

#[tokio::test]
async fn only_a_device_that_is_let_in_gives_a_sign_of_life() {
    let world = World::new().await;
    let seen = async |name: &str| {
        world.context.heartbeats.flush().await.unwrap();
        world.context.store.device(&name.parse().unwrap()).await.unwrap().unwrap().address
    };
    let other = world.peer("cam-2", &world.context.trust_domain);
    world.send_as(Some(other), Request::get(OWN).body(Body::empty()).unwrap()).await;
    assert_eq!(seen("cam-1").await, None);
    assert_eq!(seen("cam-2").await, None);
    world.get("").await.json(200);
    assert_eq!(seen("cam-1").await, Some(address().ip()));
}
