//! Signs of life are written in batches, and the newest counts.

use std::net::IpAddr;
use std::time::Duration;

use warden_model::{DeviceId, Seconds, Timestamp};

use super::build::{self, Seed};
use super::{NOW, run, store_with};
use crate::{HeartbeatPolicy, Heartbeats, Store, Write};

/// Never by time: the tests say when.
const BY_HAND: HeartbeatPolicy = HeartbeatPolicy { every: Duration::MAX, devices: usize::MAX };

async fn fleet(devices: u64) -> (Store, Vec<DeviceId>) {
    let product = build::product(Seed(1));
    let devices: Vec<_> = (0..devices)
        .map(|number| {
            let mut device = build::device(Seed(number), &product.id);
            (device.last_seen, device.address) = (None, None);
            device
        })
        .collect();
    let ids = devices.iter().map(|device| device.id.clone()).collect();
    let mut writes = vec![Write::Product(product)];
    writes.extend(devices.into_iter().map(Write::Device));
    (store_with(&writes).await, ids)
}

async fn last_seen(store: &Store, device: &DeviceId) -> (Option<Timestamp>, Option<IpAddr>) {
    let device = store.device(device).await.unwrap().unwrap();
    (device.last_seen, device.address)
}

#[test]
fn a_thousand_devices_are_one_statement() {
    run(async {
        let (store, ids) = fleet(3).await;
        let beats = Heartbeats::start_with(store.clone(), BY_HAND);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        for round in 0..1000 {
            beats.beat(&ids[0], Some(address), NOW.plus(Seconds(round)));
        }
        for number in 0..1500 {
            beats.beat(&build::device_id(&format!("stranger-{number}")), None, NOW);
        }
        assert_eq!(beats.flush().await.unwrap(), 2, "1501 devices");
        assert_eq!(beats.flush().await.unwrap(), 0);
        assert_eq!(last_seen(&store, &ids[0]).await, (Some(NOW.plus(Seconds(999))), Some(address)));
        assert_eq!(last_seen(&store, &ids[1]).await, (None, None));
    });
}

#[test]
fn an_older_beat_takes_nothing_back_and_an_address_stays() {
    run(async {
        let (store, ids) = fleet(1).await;
        let beats = Heartbeats::start_with(store.clone(), BY_HAND);
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        beats.beat(&ids[0], Some(address), NOW);
        beats.beat(&ids[0], None, Timestamp(NOW.0 - 1));
        beats.flush().await.unwrap();
        beats.beat(&ids[0], None, Timestamp(NOW.0 - 1));
        beats.flush().await.unwrap();
        assert_eq!(last_seen(&store, &ids[0]).await, (Some(NOW), Some(address)));
        beats.beat(&ids[0], None, NOW.plus(Seconds(1)));
        beats.flush().await.unwrap();
        assert_eq!(last_seen(&store, &ids[0]).await, (Some(NOW.plus(Seconds(1))), Some(address)));
    });
}

#[test]
fn closing_writes_what_waits() {
    run(async {
        let (store, ids) = fleet(2).await;
        let beats = Heartbeats::start_with(store.clone(), BY_HAND);
        beats.beat(&ids[1], None, NOW);
        beats.close().await.unwrap();
        assert_eq!(last_seen(&store, &ids[1]).await.0, Some(NOW));
    });
}

#[test]
fn enough_devices_are_written_without_waiting_for_the_clock() {
    run(async {
        let (store, ids) = fleet(2).await;
        let beats = Heartbeats::start_with(store.clone(), HeartbeatPolicy { devices: 2, ..BY_HAND });
        beats.beat(&ids[0], None, NOW);
        beats.beat(&ids[1], None, NOW);
        let written = async {
            while last_seen(&store, &ids[1]).await.0.is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), written).await.unwrap();
    });
}

#[test]
fn a_failed_write_is_tried_again() {
    run(async {
        let (store, ids) = fleet(1).await;
        let beats = Heartbeats::start_with(store.clone(), BY_HAND);
        beats.beat(&ids[0], None, NOW);
        sqlx::query("ALTER TABLE heartbeats RENAME TO away").execute(store.writer()).await.unwrap();
        assert!(beats.flush().await.is_err());
        sqlx::query("ALTER TABLE away RENAME TO heartbeats").execute(store.writer()).await.unwrap();
        assert_eq!(beats.flush().await.unwrap(), 1);
        assert_eq!(last_seen(&store, &ids[0]).await.0, Some(NOW));
    });
}
