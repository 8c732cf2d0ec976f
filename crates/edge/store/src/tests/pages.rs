//! Pages meet each row once, also while rows come and go.

use std::collections::BTreeSet;

use warden_wire::filter::Filter;
use warden_wire::page::{Page, PageRequest};

use super::build::{self, Seed};
use super::{NOW, run, store_with};
use crate::{EventScope, Store, StoreError, Write};

async fn fleet(devices: u64) -> Store {
    let product = build::product(Seed(0));
    let release = build::release(Seed(0), &product.id);
    let mut writes = vec![
        Write::Rollout(build::rollout(Seed(0), &release.id)),
        Write::Release(release),
        Write::Product(product),
    ];
    for seed in (0..devices).map(|number| Seed(number * 2)) {
        writes.extend(rows(seed));
    }
    store_with(&writes).await
}

fn rows(seed: Seed) -> Vec<Write> {
    let product = build::product(Seed(0)).id;
    let device = build::device(seed, &product);
    let release = build::release(Seed(0), &product);
    vec![
        Write::Event(build::event(seed, &device.id, &build::rollout(Seed(0), &release.id))),
        Write::Alert(build::alert(seed, &device.id)),
        Write::Case(build::case(seed, &device)),
        Write::Advisory(build::advisory(seed)),
        Write::Device(device),
    ]
}

/// Reads all pages and writes new rows after each.
async fn walk<T>(store: &Store, list: impl AsyncFn(PageRequest) -> Page<T>) -> Vec<T> {
    let (mut after, mut seen, mut number) = (None, Vec::new(), 1);
    loop {
        let page = list(PageRequest::new(4, after).unwrap()).await;
        assert!(page.items.len() <= 4);
        seen.extend(page.items);
        after = page.next;
        if after.is_none() {
            return seen;
        }
        store.commit(&rows(Seed(number))).await.unwrap();
        number += 2;
    }
}

fn check_once(mut seen: Vec<String>, old: u64, name: impl Fn(u64) -> String) {
    let unique: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(unique.len(), seen.len(), "no row twice");
    seen.sort();
    for number in (0..old).map(|number| number * 2) {
        assert!(unique.contains(&name(number)), "{} is missing", name(number));
    }
}

#[test]
fn each_row_is_met_once_while_rows_are_added() {
    run(async {
        let store = fleet(18).await;
        let all = Filter::everything();
        let devices = walk(&store, async |page| store.devices(&all, &page).await.unwrap()).await;
        assert!(devices.is_sorted_by_key(|device| device.id.clone()));
        let ids = devices.iter().map(|device| device.id.to_string()).collect();
        check_once(ids, 18, |number| format!("device-{number:03}"));

        let cases = walk(&store, async |page| store.cases(&all, &page).await.unwrap()).await;
        assert!(cases.is_sorted_by_key(|case| {
            let deadline = case.decision.deadline;
            (case.decision.priority, deadline.is_none(), deadline, case.id.clone())
        }));
        let ids = cases.iter().map(|case| case.id.to_string()).collect();
        check_once(ids, 18, |number| format!("case-{number:03}"));

        let alerts = walk(&store, async |page| store.alerts(&all, &page).await.unwrap()).await;
        assert!(alerts.is_sorted_by_key(|alert| std::cmp::Reverse((alert.at, alert.id.clone()))));
        let ids = alerts.iter().map(|alert| alert.id.to_string()).collect();
        check_once(ids, 18, |number| format!("alert-{number:03}"));
    });
}

#[test]
fn new_events_do_not_shift_the_older_pages() {
    run(async {
        let store = fleet(18).await;
        let first = store.events(&EventScope::All, &PageRequest::new(1, None).unwrap()).await.unwrap();
        let events = walk(&store, async |page| store.events(&EventScope::All, &page).await.unwrap()).await;
        assert_eq!(events.len(), 18, "what came later stands before the first page");
        assert_eq!(events.first(), first.items.first());
        let device = build::device_id("device-004");
        let scope = EventScope::Device(device.clone());
        let of_device = store.events(&scope, &PageRequest::default()).await.unwrap().items;
        let expected: Vec<_> = events.iter().filter(|event| event.device.as_ref() == Some(&device)).collect();
        assert_eq!(of_device.iter().collect::<Vec<_>>(), expected);
        let rollout = events.iter().find_map(|event| event.rollout.clone()).unwrap();
        let release = events.iter().find_map(|event| event.release.clone()).unwrap();
        for scope in [EventScope::Rollout(rollout), EventScope::Release(release)] {
            assert!(!store.events(&scope, &PageRequest::default()).await.unwrap().items.is_empty());
        }
    });
}

#[test]
fn a_cursor_of_another_list_is_refused() {
    run(async {
        let store = fleet(3).await;
        let filter = Filter::parse("", NOW).unwrap();
        let page = store.devices(&filter, &PageRequest::new(1, None).unwrap()).await.unwrap();
        let request = PageRequest::new(1, page.next).unwrap();
        let error = store.cases(&filter, &request).await.unwrap_err();
        assert!(matches!(error, StoreError::Page(_)), "{error}");
        assert!(error.hint().is_some());
    });
}
