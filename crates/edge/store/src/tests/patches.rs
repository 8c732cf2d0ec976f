//! Patches: how far they are built, and what they saved.

use std::collections::BTreeMap;

use warden_model::release::PatchState;
use warden_model::report::Way;
use warden_model::rollout::Order;
use warden_model::savings::Savings;
use warden_model::{ByteCount, ReleaseId, RolloutId};

use super::build::{self, Seed, digest};
use super::{run, store_with};
use crate::{SavingsOf, Store, UpdateCost, Write};

const SEEDS: u64 = 24;

#[test]
fn where_a_patch_stands_survives_and_goes() {
    run(async {
        let product = build::product(Seed(1));
        let store = store_with(&[Write::Product(product.clone())]).await;
        let jobs: Vec<_> = (0..SEEDS).map(|seed| build::patch_job(Seed(seed), &product.id)).collect();
        for job in &jobs {
            store.commit(&[Write::PatchJob(job.clone())]).await.unwrap();
            store.commit(&[Write::PatchJob(job.clone())]).await.unwrap();
            assert_eq!(store.patch_job(&job.base, &job.result).await.unwrap().as_ref(), Some(job));
        }
        let to = store.patch_jobs_to(&digest(77)).await.unwrap();
        assert_eq!(to.len(), jobs.len());
        assert!(to.windows(2).all(|pair| pair[0].devices >= pair[1].devices), "most devices first");
        assert_eq!(store.patch_jobs_of(&product.id).await.unwrap().len(), jobs.len());
        let counts = store.patch_counts().await.unwrap();
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), SEEDS);
        for (state, count) in counts {
            assert_eq!(store.patch_jobs_in(state).await.unwrap().len() as u64, count, "{state}");
        }
        let gone = &jobs[3];
        let patch = build::patch(Seed(3));
        store.commit(&[Write::Patch(patch.clone())]).await.unwrap();
        assert_eq!(store.patches_with(&patch.digest).await.unwrap(), 1);
        store.commit(&[Write::RemovePatch { base: gone.base, result: gone.result }]).await.unwrap();
        assert_eq!(store.patch_job(&gone.base, &gone.result).await.unwrap(), None);
        assert_eq!(store.patch(&gone.base, &gone.result).await.unwrap(), None);
        assert_eq!(store.patches_with(&patch.digest).await.unwrap(), 0);
        let other = &jobs[4];
        store.commit(&[Write::RemovePatchJob { base: other.base, result: other.result }]).await.unwrap();
        assert_eq!(store.patch_jobs_to(&digest(77)).await.unwrap().len(), jobs.len() - 2);
        assert!(PatchState::Built.is_settled() && !PatchState::Building.is_settled());
    });
}

/// A rollout whose orders cost what is given, one device each.
async fn fleet(costs: &[(Order, Option<UpdateCost>)]) -> (Store, ReleaseId, RolloutId) {
    let product = build::product(Seed(1));
    let release = build::release(Seed(1), &product.id);
    let rollout = build::rollout(Seed(1), &release.id);
    let mut writes = vec![Write::Product(product.clone()), Write::Release(release.clone())];
    writes.push(Write::Rollout(rollout.clone()));
    for (seed, (order, cost)) in (0..).map(Seed).zip(costs) {
        let device = build::device(seed, &product.id);
        let mut directive = build::directive(seed, &rollout, &device.id);
        directive.directive.order = *order;
        (directive.way, directive.downloaded) = (None, ByteCount(0));
        let action = directive.directive.action;
        writes.extend([Write::Device(device), Write::Directive(directive)]);
        writes.extend(cost.map(|cost| Write::ReportCost { action, cost }));
    }
    (store_with(&writes).await, release.id, rollout.id)
}

fn cost(way: Option<Way>, downloaded: u64, loading_millis: u64) -> UpdateCost {
    UpdateCost {
        downloaded: ByteCount(downloaded),
        full: ByteCount(10_000),
        way,
        loading_millis,
        applying_millis: 5,
    }
}

#[test]
fn savings_are_the_sum_of_what_devices_said() {
    run(async {
        let (store, release, rollout) = fleet(&[
            (Order::Install, Some(cost(Some(Way::Patch), 1_000, 2_000))),
            // Too little and too quick to say how fast the line is.
            (Order::Install, Some(cost(Some(Way::Patch), 1_000, 10))),
            (Order::Install, Some(cost(Some(Way::Full), 10_000, 20_000))),
            (Order::Install, Some(cost(None, 500, 0))),
            (Order::Install, Some(cost(None, 0, 0))),
            (Order::Install, None),
            (Order::TurnBack, Some(cost(Some(Way::Kept), 0, 0))),
        ])
        .await;
        let expected = Savings {
            ways: BTreeMap::from([(Way::Patch, 2), (Way::Full, 1)]),
            updates: 4,
            loaded: ByteCount(12_500),
            full: ByteCount(40_000),
            loading_millis: 22_010,
            applying_millis: 20,
            saved_millis: 18_000,
            measured: 2,
        };
        assert_eq!(expected.saved(), ByteCount(27_500));
        for of in [SavingsOf::Fleet, SavingsOf::Release(release), SavingsOf::Rollout(rollout)] {
            assert_eq!(store.savings(&of).await.unwrap(), expected, "{of:?}");
        }
        let nobody = SavingsOf::Release("nobody-1".parse().unwrap());
        assert_eq!(store.savings(&nobody).await.unwrap(), Savings::default());
    });
}

#[test]
fn time_saved_needs_a_measured_rate_and_has_a_limit() {
    let check = |downloaded, loading_millis, expected: Option<u64>| {
        let full = ByteCount(4 << 30);
        let cost =
            UpdateCost { downloaded: ByteCount(downloaded), full, loading_millis, ..UpdateCost::default() };
        assert_eq!(cost.saved_millis(), expected, "{downloaded} bytes in {loading_millis} ms");
    };
    check(0, 5_000, None);
    check(4_000, 999, None);
    check(1 << 20, 0, None);
    check(1 << 20, 10, Some(40_950));
    check(2 << 30, 1_000_000, Some(1_000_000));
    check(8 << 30, 1_000_000, Some(0));
    check(1, u64::MAX, Some(7 * 86_400_000));
}
