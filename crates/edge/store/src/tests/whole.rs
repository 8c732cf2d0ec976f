//! What is read for the whole fleet at once says the same as what is read piece by piece; listeners are let go.

use warden_model::release::ReleaseState;
use warden_model::rollout::{MemberState, Order, Rollout, RolloutState};
use warden_model::{ActionId, DeviceId};

use super::build::{self, Seed};
use super::{run, store_with};
use crate::{DirectiveState, Store, Write};

async fn fleet() -> (Store, Vec<DeviceId>, Rollout) {
    let product = build::product(Seed(1));
    let release = build::release(Seed(1), &product.id);
    let rollout = build::rollout(Seed(1), &release.id);
    let mut writes = vec![Write::Product(product.clone()), Write::Release(release)];
    writes.push(Write::Rollout(rollout.clone()));
    let mut devices = Vec::new();
    for seed in (0..6).map(Seed) {
        let device = build::device(seed, &product.id);
        devices.push(device.id.clone());
        writes.push(Write::Advisory(build::advisory(seed)));
        writes.push(Write::Finding(build::finding(seed, &product.id)));
        writes.push(Write::Case(build::case(seed, &device)));
        let member = build::member(seed, &device.id);
        writes.push(Write::Member { rollout: rollout.id.clone(), member });
        writes.push(Write::Device(device));
    }
    (store_with(&writes).await, devices, rollout)
}

#[test]
fn the_whole_is_the_sum_of_its_parts() {
    run(async {
        let (store, devices, rollout) = fleet().await;
        assert_eq!(store.advisory_count().await.unwrap(), 6);
        let all = store.all_devices().await.unwrap();
        assert_eq!(all, store.devices_of(&build::product(Seed(1)).id).await.unwrap());
        let mut cases = Vec::new();
        for device in &devices {
            cases.extend(store.cases_of_device(device).await.unwrap());
        }
        let mut whole = store.all_cases().await.unwrap();
        whole.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(whole, cases);
        let mut findings = Vec::new();
        for seed in 0..6 {
            findings.extend(store.findings(&build::digest(1000 + seed)).await.unwrap());
        }
        assert_eq!(store.all_findings().await.unwrap(), findings);
        let members = store.members(&rollout.id).await.unwrap();
        assert_eq!(store.all_members().await.unwrap(), [(rollout.clone(), members.clone())]);
        for member in members {
            assert_eq!(store.member(&rollout.id, &member.device).await.unwrap(), Some(member));
        }
        assert_eq!(store.member(&rollout.id, &build::device_id("nobody")).await.unwrap(), None);
    });
}

#[test]
fn only_open_installs_of_a_withdrawn_release_after_the_end_are_orphans() {
    use {DirectiveState as D, MemberState as M, Order as O, ReleaseState as R, RolloutState as S};
    let check = |release_state, rollout_state, member_state, order, state, orphan: bool| {
        run(async {
            let (store, devices, rollout) = fleet().await;
            let mut release = store.release(&rollout.release).await.unwrap().unwrap();
            release.state = release_state;
            let rollout = Rollout { state: rollout_state, ..rollout };
            let mut stored = build::directive(Seed(9), &rollout, &devices[0]);
            (stored.directive.order, stored.state) = (order, state);
            let mut member = build::member(Seed(1), &devices[0]);
            (member.state, member.action) = (member_state, Some(ActionId(9)));
            let writes = [
                Write::Release(release),
                Write::Rollout(rollout.clone()),
                Write::Directive(stored.clone()),
                Write::Member { rollout: rollout.id, member },
            ];
            store.commit(&writes).await.unwrap();
            let expected: Vec<_> = orphan.then_some(stored).into_iter().collect();
            assert_eq!(store.orphaned_directives().await.unwrap(), expected, "{writes:?}");
        });
    };
    check(R::Withdrawn, S::Finished, M::Offered, O::Install, D::Open, true);
    check(R::Signed, S::Finished, M::Offered, O::Install, D::Open, false);
    check(R::Withdrawn, S::Running, M::Offered, O::Install, D::Open, false);
    check(R::Withdrawn, S::Finished, M::Booted, O::Install, D::Open, false);
    check(R::Withdrawn, S::Finished, M::Offered, O::TurnBack, D::Open, false);
    check(R::Withdrawn, S::Finished, M::Offered, O::Install, D::Cancelling, false);
}

#[test]
fn a_straggler_makes_its_rollout_come_up_again() {
    run(async {
        let (store, devices, rollout) = fleet().await;
        let rollout = Rollout { state: RolloutState::RolledBack, ..rollout };
        let member = |state| {
            let devices = devices.iter();
            let rollout = rollout.id.clone();
            devices.map(move |device| {
                let member = warden_model::rollout::Member { state, ..build::member(Seed(1), device) };
                Write::Member { rollout: rollout.clone(), member }
            })
        };
        store.commit(&[Write::Rollout(rollout.clone())]).await.unwrap();
        for state in [MemberState::Cancelled, MemberState::Reverted, MemberState::Reverting] {
            store.commit(&member(state).collect::<Vec<_>>()).await.unwrap();
            assert_eq!(store.rollouts_with_stragglers().await.unwrap(), [], "{state}");
        }
        for state in [MemberState::Installed, MemberState::Booted, MemberState::Healthy] {
            store.commit(&member(state).take(1).collect::<Vec<_>>()).await.unwrap();
            let found = store.rollouts_with_stragglers().await.unwrap();
            assert_eq!(found, std::slice::from_ref(&rollout), "{state}");
        }
    });
}

#[test]
fn the_newest_finished_order_to_an_image_is_found() {
    run(async {
        let (store, devices, rollout) = fleet().await;
        for (action, image, state) in [(1, 5, "closed"), (2, 5, "closed"), (3, 5, "open"), (4, 6, "closed")] {
            let mut stored = build::directive(Seed(action), &rollout, &devices[0]);
            (stored.image, stored.state) = (build::digest(image), state.parse().unwrap());
            store.commit(&[Write::Directive(stored)]).await.unwrap();
        }
        let found = async |image| {
            let found = store.finished_directive(&devices[0], &build::digest(image)).await.unwrap();
            found.map(|stored| stored.directive.action.0)
        };
        assert_eq!((found(5).await, found(6).await, found(7).await), (Some(2), Some(4), None));
    });
}

#[test]
fn who_listens_is_let_go_at_the_end() {
    run(async {
        let (store, devices, rollout) = fleet().await;
        let mut listener = store.subscribe();
        let event = build::event(Seed(1), &devices[0], &rollout);
        store.commit(&[Write::Event(event.clone())]).await.unwrap();
        store.end_events();
        assert_eq!(listener.recv().await, Ok(event), "what was told is not lost");
        assert_eq!(listener.recv().await, Err(tokio::sync::broadcast::error::RecvError::Closed));
        assert!(store.subscribe().recv().await.is_err());
        let later = build::event(Seed(2), &devices[0], &rollout);
        store.commit(&[Write::Event(later)]).await.unwrap();
        assert_eq!(store.feedback_count(ActionId(1)).await.unwrap(), 0);
    });
}
