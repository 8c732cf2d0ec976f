//! Urgency: the most urgent case that a release closes, for each device.

use std::collections::{BTreeMap, BTreeSet};

use warden_assess::sightings::is_from_scanner;
use warden_assess::{Fleet, remedies};
use warden_model::case::{Case, Priority};
use warden_model::device::Device;
use warden_model::release::Release;
use warden_model::{CaseId, DeviceId};
use warden_store::StoreError;

use crate::context::Shared;

/// Returns the most urgent case that the release closes on each of the devices; devices without such a case are left out.
pub(super) async fn urgency(
    context: &Shared,
    release: &Release,
    devices: &[Device],
) -> Result<BTreeMap<DeviceId, Priority>, StoreError> {
    let store = &context.store;
    let firmware = store.firmwares_of(&release.product).await?;
    let releases = store.releases_of(&release.product).await?;
    let mut findings = Vec::new();
    for image in &firmware {
        findings.extend(store.findings(&image.image).await?);
    }
    let mut cases: Vec<Case> = Vec::new();
    for device in devices {
        // Whether a release closes what only a scanner saw, a scan will tell.
        let known = store.cases_of_device(&device.id).await?;
        cases.extend(known.into_iter().filter(|case| !is_from_scanner(&case.finding)));
    }
    let fleet = Fleet {
        products: &[],
        devices,
        firmware: &firmware,
        advisories: &[],
        findings: &findings,
        shields: &[],
    };
    let remedy = remedies(&fleet, &cases, &releases).into_iter().find(|remedy| remedy.release == release.id);
    let closed: BTreeSet<CaseId> =
        remedy.map(|remedy| remedy.cases.into_iter().collect()).unwrap_or_default();
    let mut urgency: BTreeMap<DeviceId, Priority> = BTreeMap::new();
    for case in cases.iter().filter(|case| closed.contains(&case.id)) {
        let priority = case.decision.priority;
        // The most urgent priority is the smallest one.
        urgency
            .entry(case.device.clone())
            .and_modify(|known| *known = priority.min(*known))
            .or_insert(priority);
    }
    Ok(urgency)
}
