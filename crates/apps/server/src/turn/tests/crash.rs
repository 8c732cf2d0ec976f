//! A server that is killed at any moment and started again ends where one ends that was not.

use std::future::Future;
use std::path::Path;
use std::task::Poll;

use warden_kit::image::RootFs;
use warden_kit::values::{START, device, product};
use warden_model::firmware::Firmware;
use warden_model::release::ReleaseState;
use warden_model::report::ReportPhase;
use warden_model::rollout::RolloutState;
use warden_store::{Store, Write};

use super::{at, events};
use crate::context::Shared;
use crate::patches::work_off;
use crate::testing::{change_rollout, context_over, fleet_over, release, report};
use crate::turn::reports::accept;
use crate::turn::{Memory, prepare, turn};

/// Drops the work after so many steps, as a kill does; says whether it had ended before.
async fn killed_after(steps: usize, work: impl Future<Output = ()>) -> bool {
    let mut left = steps;
    let mut work = Box::pin(work);
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        work.as_mut().poll(context).map(|()| true)
    })
    .await
}

async fn reopen(dir: &Path) -> Shared {
    context_over(dir, Store::open(dir).await.unwrap(), |_| {})
}

/// All that a turn decides, without the moments.
async fn state(context: &Shared) -> Vec<String> {
    let mut lines = events(context).await;
    for (rollout, members) in context.store.all_members().await.unwrap() {
        lines.push(format!("{} {} generation {}", rollout.id, rollout.state, rollout.generation));
        lines.extend(members.iter().map(|member| format!("{} {}", member.device, member.state)));
        for stored in context.store.directives_of(&rollout.id).await.unwrap() {
            let directive = &stored.directive;
            lines.push(format!("{} {} {}", directive.device, directive.order, stored.state));
        }
    }
    for release in context.store.releases().await.unwrap() {
        lines.push(format!("{} {}: {}", release.id, release.state, release.reason));
    }
    lines
}

/// One healthy device, one that is ordered back before it has begun: offers, cancellations and turns back.
async fn story(dir: &Path, steps: usize) -> (Vec<String>, bool) {
    let store = Store::open(dir).await.unwrap();
    let mut context = fleet_over(dir, store, &["cam-1", "cam-2"]).await;
    let mut never_killed = true;
    for part in 0..3 {
        match part {
            1 => {
                let healthy =
                    report("cam-1", (1, order_of(&context, "cam-1").await), Some(ReportPhase::Healthy), None);
                accept(&context, &healthy, at(1)).await.unwrap();
            }
            2 => {
                let back =
                    |rollout: &mut warden_model::rollout::Rollout| rollout.state = RolloutState::RollingBack;
                change_rollout(&context, "r1", back).await;
            }
            _ => {}
        }
        never_killed &= killed_after(steps, turn(&context, &mut Memory::default())).await;
        drop(context);
        context = reopen(dir).await;
        turn(&context, &mut Memory::default()).await;
    }
    (state(&context).await, never_killed)
}

async fn order_of(context: &Shared, device: &str) -> u64 {
    let orders = context.store.directives_of_device(&device.parse().unwrap()).await.unwrap();
    assert_eq!(orders.len(), 1, "nothing is ordered twice");
    orders[0].directive.action.0
}

#[tokio::test]
async fn a_turn_that_is_killed_anywhere_is_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let (expected, never_killed) = story(folder.path(), usize::MAX).await;
    assert!(never_killed);
    assert!(expected.contains(&"cam-1 turn-back open".to_owned()), "{expected:#?}");
    assert!(expected.contains(&"cam-2 install cancelling".to_owned()), "{expected:#?}");
    for steps in [1, 2, 3, 5, 8, 12, 17, 23, 30, 40] {
        let folder = tempfile::tempdir().unwrap();
        let (found, never_killed) = story(folder.path(), steps).await;
        assert!(steps > 5 || !never_killed, "so early it cannot have ended");
        assert_eq!(found, expected, "killed after {steps} steps");
    }
}

/// Prepares releases as long as the worker that builds patches has something for it.
async fn prepared(context: &Shared) {
    prepare(context).await;
    work_off(context).await;
    prepare(context).await;
}

/// A release is uploaded, analysed, and its patch built; without an agent the lab waits.
async fn preparation(dir: &Path, steps: usize) -> Vec<String> {
    let context = context_over(dir, Store::open(dir).await.unwrap(), |_| {});
    let mut writes = vec![Write::Product(product("cam"))];
    let mut images = Vec::new();
    for version in ["1.0", "1.1"] {
        let image = RootFs::new().file("etc/version", 0o644, version.as_bytes());
        let mut file = context.artifacts.create().unwrap();
        file.write(&image.squashfs().unwrap()).unwrap();
        let stored = file.finish().unwrap();
        images.push(stored.digest);
        writes.push(Write::Firmware(Firmware {
            image: stored.digest,
            product: "cam".parse().unwrap(),
            version: version.parse().unwrap(),
            size: stored.size,
            added_at: START,
            components: None,
        }));
    }
    let mut uploaded = release("cam-1.1", &product("cam"), images[1], 2);
    uploaded.state = ReleaseState::Uploaded;
    let mut cam = device("cam-1", "cam");
    cam.confirmed.as_mut().unwrap().image = images[0];
    writes.extend([Write::Release(uploaded), Write::Device(cam)]);
    context.store.commit(&writes).await.unwrap();
    killed_after(steps, prepared(&context)).await;
    drop(context);
    let context = reopen(dir).await;
    prepared(&context).await;
    assert_eq!(context.store.patches_to(&images[1]).await.unwrap().len(), 1, "whole, and once");
    let release = context.store.release(&"cam-1.1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(release.state, ReleaseState::Built);
    let sbom = context.store.setting(&format!("sbom/{}", release.image)).await.unwrap();
    assert!(sbom.is_some());
    // What a killed writer left behind is swept when the artifacts are opened again.
    assert_eq!(std::fs::read_dir(dir.join("artifacts/new")).unwrap().count(), 0);
    state(&context).await
}

#[tokio::test]
async fn a_preparation_that_is_killed_anywhere_is_done_once() {
    let folder = tempfile::tempdir().unwrap();
    let expected = preparation(folder.path(), usize::MAX).await;
    for steps in [1, 2, 3, 4, 6, 9, 13, 20, 30, 45] {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(preparation(folder.path(), steps).await, expected, "killed after {steps} steps");
    }
}
