//! Secrets are good as often and as long as they should be.

use warden_model::device::{Criticality, DataSensitivity};
use warden_model::{HardwareId, Seconds, SegmentId};

use super::build::{self, Seed};
use super::{NOW, run, store_with};
use crate::{ApiToken, EnrolmentGrant, EnrolmentRefused, LinkUse, SessionState, Store, StoreError, Write};

fn grant(uses_left: u64) -> EnrolmentGrant {
    EnrolmentGrant {
        product: build::product(Seed(1)).id,
        hardware: HardwareId::new("b1").unwrap(),
        criticality: Criticality::MissionCritical,
        sensitivity: DataSensitivity::Confidential,
        segment: Some(SegmentId::new("lab").unwrap()),
        uses_left,
        expires: NOW.plus(Seconds(60)),
    }
}

#[test]
fn a_login_link_is_good_once() {
    run(async {
        let store = store_with(&[]).await;
        let (link, late) = (build::digest(1), build::digest(2));
        store.create_login_link(&link, NOW.plus(Seconds(60))).await.unwrap();
        store.create_login_link(&late, NOW).await.unwrap();
        assert_eq!(store.use_login_link(&link, NOW).await.unwrap(), LinkUse::Accepted);
        assert_eq!(store.use_login_link(&link, NOW).await.unwrap(), LinkUse::UsedUp);
        assert_eq!(store.use_login_link(&late, NOW).await.unwrap(), LinkUse::Expired);
        assert_eq!(store.use_login_link(&build::digest(3), NOW).await.unwrap(), LinkUse::Unknown);
        assert_eq!(store.remove_expired(NOW).await.unwrap(), 1);
        assert_eq!(store.use_login_link(&late, NOW).await.unwrap(), LinkUse::Unknown);
    });
}

#[test]
fn a_session_ends() {
    run(async {
        let store = store_with(&[]).await;
        let (session, until) = (build::digest(1), NOW.plus(Seconds(60)));
        store.create_session(&session, until).await.unwrap();
        assert_eq!(store.session(&session, NOW).await.unwrap(), SessionState::Live { until });
        assert_eq!(store.session(&session, until).await.unwrap(), SessionState::Gone);
        store.delete_session(&session).await.unwrap();
        assert_eq!(store.session(&session, NOW).await.unwrap(), SessionState::Gone);
    });
}

#[test]
fn a_token_for_programs_can_be_taken_back() {
    run(async {
        let store = store_with(&[]).await;
        let (id, name) = ("t1".to_owned(), "ci".to_owned());
        let token = ApiToken { id, hash: build::digest(1), name, expires: Some(NOW) };
        store.create_token(&token).await.unwrap();
        assert_eq!(store.token("t1").await.unwrap(), Some(token.clone()));
        assert_eq!(store.tokens().await.unwrap(), [token]);
        store.delete_token("t1").await.unwrap();
        assert_eq!(store.token("t1").await.unwrap(), None);
    });
}

#[test]
fn an_enrolment_token_counts_its_uses() {
    run(async {
        let store = store_with(&[Write::Product(build::product(Seed(1)))]).await;
        let token = build::digest(1);
        store.create_enrolment(&token, &grant(2)).await.unwrap();
        assert_eq!(store.enrol(&token, NOW, |_| Vec::new()).await.unwrap(), grant(1));
        let late = store.enrol(&token, NOW.plus(Seconds(60)), |_| Vec::new()).await;
        assert!(matches!(late, Err(EnrolmentRefused::Expired)));
        assert_eq!(store.enrol(&token, NOW, |_| Vec::new()).await.unwrap(), grant(0));
        assert!(matches!(store.enrol(&token, NOW, |_| Vec::new()).await, Err(EnrolmentRefused::UsedUp)));
        let unknown = store.enrol(&build::digest(2), NOW, |_| Vec::new()).await;
        assert!(matches!(unknown, Err(EnrolmentRefused::Unknown)));
        let stranger = EnrolmentGrant { product: build::product_id("nobody"), ..grant(1) };
        let refused = store.create_enrolment(&token, &stranger).await;
        assert!(matches!(refused, Err(StoreError::MissingParent)), "{refused:?}");
    });
}

async fn race(store: Store) -> usize {
    store.commit(&[Write::Product(build::product(Seed(1)))]).await.unwrap();
    let token = build::digest(1);
    store.create_enrolment(&token, &grant(1)).await.unwrap();
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.enrol(&token, NOW, |_| Vec::new()).await })
        })
        .collect();
    let mut accepted = 0;
    for one in tries {
        match one.await.unwrap() {
            Ok(_) => accepted += 1,
            Err(error) => assert!(matches!(error, EnrolmentRefused::UsedUp), "{error:?}"),
        }
    }
    accepted
}

#[test]
fn of_twenty_at_the_same_time_one_enrols() {
    run(async {
        assert_eq!(race(Store::in_memory().await.unwrap()).await, 1);
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(race(Store::open(dir.path()).await.unwrap()).await, 1);
    });
}

#[test]
fn a_device_and_the_use_of_its_token_are_kept_together() {
    run(async {
        let store = store_with(&[Write::Product(build::product(Seed(1)))]).await;
        let token = build::digest(1);
        store.create_enrolment(&token, &grant(1)).await.unwrap();
        let stranger = build::device(Seed(1), &build::product_id("nobody"));
        let refused = store.enrol(&token, NOW, |_| vec![Write::Device(stranger)]).await;
        assert!(matches!(refused, Err(EnrolmentRefused::Store(StoreError::MissingParent))), "{refused:?}");
        assert_eq!(store.enrolment(&token, NOW).await.unwrap(), grant(1), "the use is not lost");
        let device = build::device(Seed(1), &build::product(Seed(1)).id);
        store.enrol(&token, NOW, |_| vec![Write::Device(device.clone())]).await.unwrap();
        assert!(store.device(&device.id).await.unwrap().is_some());
        assert!(matches!(store.enrolment(&token, NOW).await, Err(EnrolmentRefused::UsedUp)));
    });
}
