//! A server without listeners, for tests.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Mutex, Notify};
use warden_keys::{CertificateAuthority, FileSigner};
use warden_kit::values::{START, device, product, running};
use warden_model::device::{Running, Slot};
use warden_model::firmware::Firmware;
use warden_model::product::Product;
use warden_model::release::{Release, ReleaseState};
use warden_model::report::{Cause, ReportPhase, StateReport};
use warden_model::rollout::{Member, MemberState, Phase, PhaseSize, Rollout, RolloutState};
use warden_model::{ActionId, ByteCount, Generation, PerMille, Seconds, Sha256Digest};
use warden_store::{Artifacts, Heartbeats, Store, Write};
use warden_trust::{KeyScheme, TrustDomain};

use crate::clock::now;
use crate::config::Config;
use crate::context::{Context, Shared};
use crate::device::hash_of;
use crate::patches::Patches;
use crate::repository::Repository;

/// Opens a server's state over a folder, as often as wanted; what is not there yet is made.
pub(crate) fn context_over(dir: &Path, store: Store, change: impl FnOnce(&mut Config)) -> Shared {
    let mut config = Config::new(dir.to_owned());
    change(&mut config);
    std::fs::create_dir_all(dir.join("metadata")).unwrap();
    let (key, ca) = (dir.join("online.pem"), dir.join("ca"));
    let signer = FileSigner::open(&key).or_else(|_| FileSigner::create(&key, KeyScheme::Ed25519)).unwrap();
    let authority = CertificateAuthority::open(&ca)
        .or_else(|_| CertificateAuthority::create(&ca, "test", now()))
        .unwrap();
    Arc::new(Context {
        artifacts: Artifacts::open_limited(&dir.join("artifacts"), config.image_bytes_max).unwrap(),
        heartbeats: Arc::new(Heartbeats::start(store.clone())),
        repository: Repository::open(dir.join("metadata"), signer),
        authority,
        trust_domain: TrustDomain::new("fleet.test".to_owned()).unwrap(),
        deciding: Mutex::new(()),
        wake: Notify::new(),
        wake_preparation: Notify::new(),
        patches: Patches::default(),
        store,
        config,
    })
}

/// The content of the image that the fleet is updated to.
pub(crate) const IMAGE: &[u8] = b"the image of version 1.1, which is not very long";

/// A server over a folder with product `cam`, the signed release `cam-1.1` of [`IMAGE`], these devices, which run image
/// 1 in version 1.0, and the running rollout `r1`, which has not offered anything yet.
pub(crate) async fn fleet_over(dir: &Path, store: Store, devices: &[&str]) -> Shared {
    let context = context_over(dir, store, |_| {});
    let mut file = context.artifacts.create().unwrap();
    file.write(IMAGE).unwrap();
    let image = file.finish().unwrap();
    let product = product("cam");
    let release = release("cam-1.1", &product, image.digest, 2);
    let mut writes = vec![
        Write::Firmware(Firmware {
            image: image.digest,
            product: product.id.clone(),
            version: "1.1".parse().unwrap(),
            size: image.size,
            added_at: START,
            components: None,
        }),
        Write::Product(product),
        Write::Rollout(rollout("r1", &release)),
        Write::Release(release),
    ];
    for name in devices {
        writes.push(Write::Device(device(name, "cam")));
        writes.push(member("r1", name));
    }
    context.store.commit(&writes).await.unwrap();
    context
}

pub(crate) fn release(id: &str, product: &Product, image: Sha256Digest, counter: u64) -> Release {
    Release {
        id: id.parse().unwrap(),
        product: product.id.clone(),
        version: "1.1".parse().unwrap(),
        image,
        counter,
        state: ReleaseState::Signed,
        reason: String::new(),
        created_at: START,
    }
}

/// Returns a running rollout of one phase for all, that halts when half of them have failed.
pub(crate) fn rollout(id: &str, release: &Release) -> Rollout {
    Rollout {
        id: id.parse().unwrap(),
        release: release.id.clone(),
        phases: vec![Phase {
            name: "all".to_owned(),
            size: PhaseSize::Rest,
            success_threshold: PerMille::new(1000).unwrap(),
            error_threshold: PerMille::new(500).unwrap(),
            soak: Seconds(0),
        }],
        window: None,
        state: RolloutState::Running,
        reason: "started".to_owned(),
        phase: 0,
        good_since: None,
        failures_accepted_until: None,
        generation: Generation(0),
        created_at: START,
    }
}

pub(crate) fn member(rollout: &str, device: &str) -> Write {
    let member = Member {
        device: device.parse().unwrap(),
        phase: 0,
        state: MemberState::Waiting,
        since: START,
        action: None,
    };
    Write::Member { rollout: rollout.parse().unwrap(), member }
}

/// Returns what a device reports about an order: it runs the new image from INSTALLED to HEALTHY, else the old one.
pub(crate) fn report(
    device: &str,
    (counter, action): (u64, u64),
    phase: Option<ReportPhase>,
    cause: Option<Cause>,
) -> StateReport {
    let old = running(1, "1.0");
    let new = Running { image: hash_of(IMAGE), version: "1.1".parse().unwrap() };
    let confirmed = if phase == Some(ReportPhase::Healthy) { new.clone() } else { old.clone() };
    let on_trial = matches!(phase, Some(ReportPhase::Booted | ReportPhase::Healthy));
    StateReport {
        device: device.parse().unwrap(),
        counter,
        at: START,
        running: if on_trial { new } else { old },
        slot: Slot::B,
        confirmed,
        action: (action > 0).then_some(ActionId(action)),
        generation: Generation(1),
        phase,
        cause,
        detail: String::new(),
        downloaded: ByteCount(5),
        full: ByteCount(0),
        way: None,
        loading_millis: 0,
        applying_millis: 0,
    }
}

/// Changes a rollout in the store.
pub(crate) async fn change_rollout(context: &Shared, id: &str, change: impl FnOnce(&mut Rollout)) {
    let mut rollout = context.store.rollout(&id.parse().unwrap()).await.unwrap().unwrap();
    change(&mut rollout);
    context.store.commit(&[Write::Rollout(rollout)]).await.unwrap();
}

/// Changes the state of release `cam-1.1`.
pub(crate) async fn change_release(context: &Shared, state: ReleaseState) {
    let mut release = context.store.release(&"cam-1.1".parse().unwrap()).await.unwrap().unwrap();
    release.state = state;
    context.store.commit(&[Write::Release(release)]).await.unwrap();
}

/// Returns where a device stands in `r1`.
pub(crate) async fn state_of(context: &Shared, device: &str) -> MemberState {
    let member = context.store.member(&"r1".parse().unwrap(), &device.parse().unwrap()).await;
    member.unwrap().unwrap().state
}
