//! What is written is read back, and writing it again changes nothing.

use std::collections::BTreeMap;

use warden_model::report::Way;
use warden_model::{ActionId, ByteCount, Timestamp};
use warden_wire::filter::Filter;
use warden_wire::page::PageRequest;

use super::build::{self, Seed};
use super::{NOW, run, store_with};
use crate::{EventScope, Store, StoreError, UpdateCost, Write};

/// Enough that each word and each absence comes up.
const SEEDS: u64 = 24;

struct Fleet {
    product: warden_model::product::Product,
    device: warden_model::device::Device,
    advisory: warden_model::advisory::Advisory,
    release: warden_model::release::Release,
    rollout: warden_model::rollout::Rollout,
}

impl Fleet {
    fn new(number: u64) -> Self {
        let seed = Seed(number);
        let product = build::product(seed);
        let release = build::release(seed, &product.id);
        Self {
            device: build::device(seed, &product.id),
            advisory: build::advisory(seed),
            rollout: build::rollout(seed, &release.id),
            product,
            release,
        }
    }

    /// Children before their parents: the order in a transaction is free.
    fn writes(&self) -> Vec<Write> {
        vec![
            Write::Rollout(self.rollout.clone()),
            Write::Release(self.release.clone()),
            Write::Advisory(self.advisory.clone()),
            Write::Device(self.device.clone()),
            Write::Product(self.product.clone()),
        ]
    }
}

async fn check_fleet(store: &Store, fleet: &Fleet) {
    let Fleet { product, device, advisory, release, rollout } = fleet;
    assert_eq!(store.product(&product.id).await.unwrap().as_ref(), Some(product));
    assert_eq!(store.device(&device.id).await.unwrap().as_ref(), Some(device));
    assert_eq!(store.devices_of(&product.id).await.unwrap(), vec![device.clone()]);
    let field: Vec<_> = device.confirmed.iter().map(|running| (running.clone(), 1)).collect();
    assert_eq!(store.field_versions(&product.id).await.unwrap(), field);
    assert_eq!(store.advisory(&advisory.id).await.unwrap().as_ref(), Some(advisory));
    for alias in &advisory.aliases {
        assert_eq!(store.advisory(alias).await.unwrap().as_ref(), Some(advisory), "by alias");
    }
    assert_eq!(store.release(&release.id).await.unwrap().as_ref(), Some(release));
    assert_eq!(store.releases_of(&product.id).await.unwrap(), vec![release.clone()]);
    assert_eq!(store.rollout(&rollout.id).await.unwrap().as_ref(), Some(rollout));
}

#[test]
fn products_devices_advisories_releases_and_rollouts_survive() {
    run(async {
        let store = store_with(&[]).await;
        for seed in 0..SEEDS {
            let fleet = Fleet::new(seed);
            store.commit(&fleet.writes()).await.unwrap();
            check_fleet(&store, &fleet).await;
            store.commit(&fleet.writes()).await.unwrap();
            check_fleet(&store, &fleet).await;
        }
        assert_eq!(store.products().await.unwrap().len(), 24);
        assert_eq!(store.advisories().await.unwrap().len(), 24);
        assert_eq!(store.releases().await.unwrap().len(), 24);
        assert_eq!(store.rollouts().await.unwrap().len(), 24);
        let active = store.active_rollouts().await.unwrap();
        assert!(!active.is_empty() && active.len() < 24);
    });
}

#[test]
fn firmware_patches_findings_and_cases_survive() {
    run(async {
        let fleet = Fleet::new(1);
        let store = store_with(&fleet.writes()).await;
        let product = &fleet.product.id;
        for seed in (0..SEEDS).map(Seed) {
            let firmware = build::firmware(seed, product);
            let (finding, patch) = (build::finding(seed, product), build::patch(seed));
            let case = build::case(seed, &fleet.device);
            let writes = [
                Write::Advisory(build::advisory(seed)),
                Write::Firmware(firmware.clone()),
                Write::Patch(patch.clone()),
                Write::RemoveFindings { image: firmware.image },
                Write::Finding(finding.clone()),
                Write::Case(case.clone()),
            ];
            store.commit(&writes).await.unwrap();
            store.commit(&writes).await.unwrap();
            assert_eq!(store.firmware(&firmware.image).await.unwrap(), Some(firmware.clone()));
            assert_eq!(store.patch(&patch.base, &patch.result).await.unwrap(), Some(patch));
            assert_eq!(store.findings(&firmware.image).await.unwrap(), vec![finding.clone()]);
            assert_eq!(store.findings_of_advisory(&finding.advisory).await.unwrap(), vec![finding.clone()]);
            assert_eq!(store.cases_of_advisory(&finding.advisory).await.unwrap(), [case]);
            store.commit(&[Write::RemoveFindings { image: firmware.image }]).await.unwrap();
            assert_eq!(store.findings(&firmware.image).await.unwrap(), []);
        }
        assert_eq!(store.firmwares_of(product).await.unwrap().len(), 24);
        assert_eq!(store.patches_to(&build::digest(77)).await.unwrap().len(), 24);
        assert_eq!(store.cases_of_device(&fleet.device.id).await.unwrap().len(), 24);
        let open = store.open_cases().await.unwrap();
        assert!(!open.is_empty() && open.iter().all(|case| case.protected.is_none()));
    });
}

#[test]
fn members_orders_and_answers_survive() {
    run(async {
        let fleet = Fleet::new(1);
        let store = store_with(&fleet.writes()).await;
        for seed in (0..SEEDS).map(Seed) {
            let device = build::device(seed, &fleet.product.id);
            let member = build::member(seed, &device.id);
            let order = build::directive(seed, &fleet.rollout, &device.id);
            let (action, cost) = (order.directive.action, ByteCount(seed.0));
            let writes = [
                Write::Device(device.clone()),
                Write::Member { rollout: fleet.rollout.id.clone(), member: member.clone() },
                Write::Directive(order.clone()),
                Write::Feedback {
                    action,
                    at: NOW,
                    execution: "proceeding".to_owned(),
                    finished: "none".to_owned(),
                    messages: vec!["writing \"slot\" b".to_owned()],
                },
            ];
            store.commit(&writes).await.unwrap();
            store.commit(&writes).await.unwrap();
            assert_eq!(store.directive(action).await.unwrap(), Some(order.clone()));
            let rollouts = store.rollouts_of_device(&device.id).await.unwrap();
            assert_eq!(rollouts, [(fleet.rollout.clone(), member)]);
            let answers = store.feedback(action).await.unwrap();
            assert_eq!(answers.len(), 1, "the same answer twice is one answer");
            assert_eq!(answers[0].messages, ["writing \"slot\" b"]);
            let cost = UpdateCost {
                downloaded: cost,
                full: cost,
                way: Some(Way::Patch),
                loading_millis: seed.0,
                applying_millis: 2 * seed.0,
            };
            store.commit(&[Write::ReportCost { action, cost }]).await.unwrap();
            let is_open = order.state != crate::DirectiveState::Closed;
            let costly = crate::StoredDirective {
                downloaded: cost.downloaded,
                full: cost.full,
                way: cost.way,
                loading_millis: cost.loading_millis,
                applying_millis: cost.applying_millis,
                ..order
            };
            let open = store.open_directive(&device.id).await.unwrap();
            assert_eq!(open, is_open.then_some(costly));
        }
        assert_eq!(store.members(&fleet.rollout.id).await.unwrap().len(), 24);
        assert_eq!(store.directives_of(&fleet.rollout.id).await.unwrap().len(), 24);
        let unknown = Write::ReportCost { action: ActionId(999), cost: UpdateCost::default() };
        assert!(matches!(store.commit(&[unknown]).await, Err(StoreError::MissingParent)));
    });
}

#[test]
fn alerts_shields_events_lab_runs_attributes_and_settings_survive() {
    run(async {
        let fleet = Fleet::new(1);
        let store = store_with(&fleet.writes()).await;
        let (device, mut news) = (&fleet.device.id, store.subscribe());
        for seed in (0..SEEDS).map(Seed) {
            let (alert, shield) = (build::alert(seed, device), build::shield(seed, device));
            let event = build::event(seed, device, &fleet.rollout);
            let run = build::lab_run(seed, &fleet.release.id);
            let values = BTreeMap::from([(format!("key {}", seed.0), "värde".to_owned())]);
            let setting = serde_json::json!({"offset": seed.0, "list": [1, "two"]});
            let writes = [
                Write::Alert(alert.clone()),
                Write::Shield(shield.clone()),
                Write::Event(event.clone()),
                Write::LabRun(run.clone()),
                Write::Attributes { device: device.clone(), values: values.clone() },
                Write::Setting { key: format!("tail/{}", seed.0), value: setting.clone() },
            ];
            store.commit(&writes).await.unwrap();
            store.commit(&writes).await.unwrap();
            assert_eq!(store.alert(&alert.id).await.unwrap(), Some(alert));
            assert_eq!(store.shield(&shield.id).await.unwrap(), Some(shield));
            let newest = store.events(&EventScope::All, &PageRequest::default()).await.unwrap();
            assert_eq!(newest.items.first(), Some(&event));
            assert_eq!(news.try_recv().unwrap(), event);
            assert!(news.try_recv().is_err(), "the same event twice is one event");
            assert!(store.lab_runs(&fleet.release.id).await.unwrap().contains(&run));
            assert_eq!(store.attributes(device).await.unwrap(), values);
            assert_eq!(store.setting(&format!("tail/{}", seed.0)).await.unwrap(), Some(setting));
        }
        assert_eq!(store.alerts_of(device).await.unwrap().len(), 24);
        assert_eq!(store.shields().await.unwrap().len(), 24);
        assert_eq!(store.settings("tail/").await.unwrap().len(), 24);
        assert_eq!(store.settings("tai%").await.unwrap(), []);
        let shield = store.shield_of(device).await.unwrap().unwrap();
        assert_eq!(shield.state, warden_model::shield::ShieldState::Verified);
    });
}

#[test]
fn a_value_without_its_parent_is_refused_and_nothing_of_it_stays() {
    run(async {
        let store = store_with(&[]).await;
        let fleet = Fleet::new(1);
        let orphan = [Write::Advisory(fleet.advisory.clone()), Write::Device(fleet.device.clone())];
        assert!(matches!(store.commit(&orphan).await, Err(StoreError::MissingParent)));
        assert_eq!(store.advisory(&fleet.advisory.id).await.unwrap(), None);
        store.commit(&fleet.writes()).await.unwrap();
        check_fleet(&store, &fleet).await;
    });
}

#[test]
fn an_unknown_word_is_named_with_its_place() {
    async fn check(store: &Store, change: &'static str, expected: &str) {
        sqlx::query(change).execute(store.writer()).await.unwrap();
        let fleet = Fleet::new(1);
        let device = store.device(&fleet.device.id).await.err();
        let rollout = store.rollout(&fleet.rollout.id).await.err();
        let error = device.or(rollout).unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
    run(async {
        let store = store_with(&Fleet::new(1).writes()).await;
        let place = "devices.state of row \"device-001\"";
        check(&store, "UPDATE devices SET state = 'flying'", place).await;
        let place = "devices.report_counter of row \"device-001\"";
        check(&store, "UPDATE devices SET state = 'idle', report_counter = -1", place).await;
        sqlx::query("UPDATE devices SET report_counter = 1").execute(store.writer()).await.unwrap();
        let place = "rollouts.phases of row \"rollout-1\"";
        check(&store, "UPDATE rollouts SET phases = '{\"v\":2,\"d\":{}}'", place).await;
        check(&store, "UPDATE rollouts SET phases = 'x'", place).await;
    });
}

#[test]
fn a_number_that_no_column_holds_is_refused() {
    run(async {
        let mut fleet = Fleet::new(1);
        fleet.device.report_counter = u64::MAX;
        let store = store_with(&[]).await;
        assert!(matches!(store.commit(&fleet.writes()).await, Err(StoreError::Unfit { .. })));
    });
}

#[test]
fn a_device_written_back_keeps_the_newer_sign_of_life() {
    run(async {
        let mut fleet = Fleet::new(1);
        fleet.device.last_seen = Some(NOW);
        let store = store_with(&fleet.writes()).await;
        let mut stale = fleet.device.clone();
        stale.last_seen = Some(Timestamp(NOW.0 - 1));
        stale.address = None;
        store.commit(&[Write::Device(stale)]).await.unwrap();
        assert_eq!(store.device(&fleet.device.id).await.unwrap(), Some(fleet.device));
    });
}

#[test]
fn numbers_only_ever_grow() {
    run(async {
        let fleet = Fleet::new(7);
        let store = store_with(&fleet.writes()).await;
        assert_eq!(store.next_release_counter(&fleet.product.id).await.unwrap(), 9, "8 is taken");
        assert_eq!(store.next_release_counter(&fleet.product.id).await.unwrap(), 10);
        let mut later = fleet.release.clone();
        later.id = warden_model::ReleaseId::new("later").unwrap();
        later.counter = 50;
        store.commit(&[Write::Release(later)]).await.unwrap();
        assert_eq!(store.next_release_counter(&fleet.product.id).await.unwrap(), 51);
        assert_eq!(store.reserve_action_ids(1).await.unwrap(), ActionId(1));
        assert_eq!(store.reserve_action_ids(3).await.unwrap(), ActionId(2));
        assert_eq!(store.reserve_action_ids(1).await.unwrap(), ActionId(5));
    });
}

#[test]
fn the_fleet_is_counted() {
    run(async {
        let fleet = Fleet::new(1);
        let store = store_with(&fleet.writes()).await;
        assert_eq!(store.counts(NOW).await.unwrap().devices, 1);
        for seed in (0..SEEDS).map(Seed) {
            let device = build::device(seed, &fleet.product.id);
            let (case, shield) = (build::case(seed, &device), build::shield(seed, &device.id));
            let advisory = Write::Advisory(build::advisory(seed));
            let writes = [Write::Device(device), Write::Case(case), Write::Shield(shield), advisory];
            store.commit(&writes).await.unwrap();
        }
        let counts = store.counts(Timestamp(0)).await.unwrap();
        let count = async |text| store.device_count(&Filter::parse(text, NOW).unwrap()).await.unwrap();
        assert_eq!(counts.devices, 24);
        assert_eq!(counts.by_state.values().sum::<u64>(), 24);
        assert_eq!(counts.exposed, count("protected:no").await);
        assert_eq!(counts.shielded, count("shielded:yes").await);
        assert_eq!(counts.open_cases.values().sum::<u64>(), counts.exposed);
        assert!(counts.online > 0 && counts.online < 24);
        assert_eq!(store.counts(NOW).await.unwrap().online, 0);
    });
}
