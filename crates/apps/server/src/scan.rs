//! Scan reports into the fleet: read, hosts tied to devices, sightings begun, kept and ended.
//!
//! In: a report in a file. Out: its scan, hosts and sightings in the store, an event, and what changed. Refuses: what the readers
//! refuse, and then keeps nothing. The report is read twice: once to see that it is whole and which hosts it has, once for its items,
//! which go to the store in batches, so that memory does not grow with the report. An import that is cut off can be repeated: the
//! same report twice is one.

mod identities;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::mpsc::{Receiver, sync_channel};

use tokio::task::spawn_blocking;
use warden_assess::hosts::Directory;
use warden_assess::sightings::{Look, advisory_of, ends, merge, sightings_of};
use warden_feeds::scan::{ScanError, ScanLimits, read_scan};
use warden_model::event::Event;
use warden_model::scan::{HostScope, Scan, ScanItem, ScanReport, Sighting, SightingKey, Tie, Unmatched};
use warden_model::{AdvisoryId, DeviceId, IdError, ScanId, Sha256Digest, Stage, Timestamp};
use warden_store::{ScanHost, StoreError, StoredScan, Write};

use crate::context::Shared;

/// How many items go to the store in one transaction: a tenth of a second of work.
const BATCH_ITEMS: usize = 2_000;
/// How many batches may wait for the store; each holds some MiB.
const BATCHES_WAITING_MAX: usize = 2;
/// How many digits of the digest name a scan.
const ID_DIGITS: usize = 16;

/// Why an import failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// The report was refused.
    #[error(transparent)]
    Refused(#[from] ScanError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part of the server failed.
    #[error("read the report")]
    Broken(#[from] tokio::task::JoinError),
    /// The file cannot be read a second time.
    #[error("read the report again")]
    Again(#[from] std::io::Error),
    /// The digest makes no id.
    #[error("name the scan")]
    Id(#[from] IdError),
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Imported {
    pub(crate) scan: Scan,
    pub(crate) matched: u64,
    pub(crate) unmatched: u64,
    pub(crate) opened: u64,
    pub(crate) still_there: u64,
    pub(crate) closed: u64,
}

/// Imports a report; `by` is who sent it.
pub(crate) async fn import(
    context: &Shared,
    file: File,
    digest: Sha256Digest,
    now: Timestamp,
    by: &str,
) -> Result<Imported, ImportError> {
    let mut first = file.try_clone()?;
    let (report, items) = spawn_blocking(move || survey(&mut first)).await??;
    let _deciding = context.deciding.lock().await;
    let mut work = Work::begin(context, report, digest, now).await?;
    work.hosts(&items).await?;
    let (batches, received) = sync_channel(BATCHES_WAITING_MAX);
    let reading = spawn_blocking(move || {
        let mut file = file;
        let mut batch: Vec<ScanItem> = Vec::with_capacity(BATCH_ITEMS);
        let read = read_scan(&mut file, &ScanLimits::default(), &mut |item| {
            batch.push(item);
            if batch.len() >= BATCH_ITEMS {
                // Nobody listens any more when the store has failed; that error is the one that counts.
                batches.send(std::mem::take(&mut batch)).ok();
            }
        });
        batches.send(batch).ok();
        read.map(|_| ())
    });
    let outcome = work.take(received).await;
    reading.await??;
    outcome?;
    work.end(by).await
}

/// Reads the report to its end, and counts the items of each host.
fn survey(file: &mut File) -> Result<(ScanReport, BTreeMap<String, u64>), ScanError> {
    let mut items: BTreeMap<String, u64> = BTreeMap::new();
    let report = read_scan(file, &ScanLimits::default(), &mut |item| match items.get_mut(&item.host) {
        Some(count) => *count += 1,
        None => {
            items.insert(item.host, 1);
        }
    })?;
    Ok((report, items))
}

/// An import on its way.
struct Work<'a> {
    context: &'a Shared,
    now: Timestamp,
    stored: StoredScan,
    report: ScanReport,
    devices: BTreeMap<String, Result<(DeviceId, Tie), Unmatched>>,
    known: BTreeMap<DeviceId, BTreeMap<SightingKey, Sighting>>,
    changed: BTreeSet<SightingKey>,
    opened: u64,
    seen: BTreeSet<SightingKey>,
}

impl<'a> Work<'a> {
    async fn begin(
        context: &'a Shared,
        mut report: ScanReport,
        digest: Sha256Digest,
        now: Timestamp,
    ) -> Result<Self, ImportError> {
        let id: String = digest.to_string().chars().take(ID_DIGITS).collect();
        let id = ScanId::new(id)?;
        let before = context.store.scan(&id).await?;
        let devices = identities::of_fleet(context).await?;
        let directory = Directory::new(&devices);
        // A report from the future would close what has not been looked at yet, and nothing could close what it says.
        let at = report.span.map(|(_, to)| to).filter(|to| *to <= now);
        let imported_at = before.as_ref().map_or(now, |before| before.scan.imported_at);
        let scan = Scan {
            id,
            digest,
            scanner: report.scanner,
            label: std::mem::take(&mut report.label),
            profile: report.profile.clone(),
            at: at.unwrap_or(imported_at),
            imported_at,
            counts: report.counts.clone(),
        };
        let tied = report
            .hosts
            .iter()
            .map(|(name, (host, _))| (name.clone(), directory.device_of(host, report.span)));
        let devices = tied.collect();
        let stored = StoredScan { scan, plugins: report.plugins.clone(), filter: report.filter.clone() };
        Ok(Self {
            context,
            now,
            stored,
            report,
            devices,
            known: BTreeMap::new(),
            changed: BTreeSet::new(),
            opened: 0,
            seen: BTreeSet::new(),
        })
    }

    /// Keeps the scan and its hosts.
    async fn hosts(&self, items: &BTreeMap<String, u64>) -> Result<(), StoreError> {
        let mut writes = vec![Write::Scan(self.stored.clone())];
        let none = items.get("").copied().unwrap_or_default();
        if none > 0 {
            writes.push(Write::ScanHost(self.host("-", None, none, &Err(Unmatched::NoHost))));
        }
        for (name, device) in &self.devices {
            let host =
                self.host(name, self.report.hosts.get(name), items.get(name).copied().unwrap_or(0), device);
            writes.push(Write::ScanHost(host));
        }
        self.context.store.commit(&writes).await
    }

    fn host(
        &self,
        name: &str,
        facts: Option<&(warden_model::scan::ScannedHost, HostScope)>,
        items: u64,
        device: &Result<(DeviceId, Tie), Unmatched>,
    ) -> ScanHost {
        let (host, scope) = facts.cloned().unwrap_or_default();
        let texts = |values: &mut dyn Iterator<Item = String>| values.collect::<Vec<String>>();
        ScanHost {
            scan: self.stored.scan.id.clone(),
            name: name.to_owned(),
            addresses: texts(&mut host.addresses.iter().map(ToString::to_string)),
            macs: texts(&mut host.macs.iter().map(ToString::to_string)),
            names: texts(&mut host.names.into_iter()),
            items,
            device: device.as_ref().ok().cloned(),
            why_not: device.as_ref().err().map(ToString::to_string).unwrap_or_default(),
            scope,
        }
    }

    async fn take(&mut self, batches: Receiver<Vec<ScanItem>>) -> Result<(), ImportError> {
        let mut batches = batches;
        loop {
            let next = spawn_blocking(move || {
                let batch = batches.recv();
                (batches, batch)
            });
            let (back, batch) = next.await?;
            batches = back;
            let Ok(batch) = batch else { return Ok(()) };
            self.batch(&batch).await?;
        }
    }

    /// Begins or renews the sightings of some items.
    async fn batch(&mut self, items: &[ScanItem]) -> Result<(), StoreError> {
        let mut writes = BTreeMap::new();
        for item in items {
            let Some(Ok((device, _))) = self.devices.get(&item.host) else { continue };
            let Some((_, scope)) = self.report.hosts.get(&item.host) else { continue };
            let seen = sightings_of(item, device, &look(&self.stored, scope));
            if seen.is_empty() {
                continue;
            }
            let known = match self.known.entry(device.clone()) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    let known = self.context.store.sightings_of(device).await?;
                    place.insert(known.into_iter().map(|known| (known.key.clone(), known)).collect())
                }
            };
            for sighting in seen {
                let key = sighting.key.clone();
                let before = known.get(&key);
                let was_open = before.is_some_and(|before| before.closed.is_none());
                self.seen.insert(key.clone());
                if let Some(merged) = merge(before, sighting) {
                    if !was_open && merged.closed.is_none() && self.changed.insert(key.clone()) {
                        self.opened += 1;
                    }
                    known.insert(key.clone(), merged.clone());
                    writes.insert(key, merged);
                }
            }
        }
        let advisories = self.advisories(writes.values()).await?;
        let writes: Vec<Write> = advisories
            .into_iter()
            .map(Write::Advisory)
            .chain(writes.into_values().map(Write::Sighting))
            .collect();
        if writes.is_empty() { Ok(()) } else { self.context.store.commit(&writes).await }
    }

    /// Makes advisories for CVE ids that nobody has told of yet.
    async fn advisories<'s>(
        &self,
        sightings: impl Iterator<Item = &'s Sighting>,
    ) -> Result<Vec<warden_model::advisory::Advisory>, StoreError> {
        let mut asked: BTreeSet<AdvisoryId> = BTreeSet::new();
        let mut made = Vec::new();
        for sighting in sightings.filter(|sighting| !sighting.is_doubtful()) {
            let Some(cve) = sighting.cve() else { continue };
            if asked.insert(cve.clone()) && self.context.store.advisory(&cve).await?.is_none() {
                made.push(advisory_of(sighting, cve, self.now));
            }
        }
        Ok(made)
    }

    /// Ends what this scan, or a later one that was imported before, looked for and did not see.
    async fn end(mut self, by: &str) -> Result<Imported, ImportError> {
        let scan = &self.stored.scan;
        let mut closed: BTreeMap<SightingKey, Sighting> = BTreeMap::new();
        let later = self.context.store.scans_after(scan.scanner, scan.at).await?;
        let mut looks: Vec<(StoredScan, DeviceId, HostScope)> = Vec::new();
        for (name, device) in &self.devices {
            let (Ok((device, _)), Some((_, scope))) = (device, self.report.hosts.get(name)) else { continue };
            looks.push((self.stored.clone(), device.clone(), scope.clone()));
        }
        for stored in later {
            for host in self.context.store.scan_hosts(&stored.scan.id).await? {
                let Some((device, _)) = host.device else { continue };
                if looks.iter().any(|(_, known, _)| *known == device) {
                    looks.push((stored.clone(), device, host.scope));
                }
            }
        }
        for (stored, device, scope) in &looks {
            if !self.known.contains_key(device) {
                let known = self.context.store.sightings_of(device).await?;
                let known = known.into_iter().map(|known| (known.key.clone(), known)).collect();
                self.known.insert(device.clone(), known);
            }
            let Some(known) = self.known.get_mut(device) else { continue };
            let look = look(stored, scope);
            for sighting in known.values_mut().filter(|sighting| ends(&look, sighting)) {
                sighting.closed = Some((look.at, look.scan.clone()));
                closed.insert(sighting.key.clone(), sighting.clone());
            }
        }
        let imported = self.imported(&closed);
        let mut writes: Vec<Write> = closed.into_values().map(Write::Sighting).collect();
        writes.push(Write::Event(told(&imported, self.now, by)));
        self.context.store.commit(&writes).await?;
        self.context.wake_all();
        Ok(imported)
    }

    fn imported(&self, closed: &BTreeMap<SightingKey, Sighting>) -> Imported {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let matched = count(self.devices.values().filter(|device| device.is_ok()).count());
        let hosts = count(self.devices.len());
        Imported {
            scan: self.stored.scan.clone(),
            matched,
            unmatched: hosts.saturating_sub(matched),
            opened: self.opened,
            still_there: count(self.seen.len()).saturating_sub(self.opened),
            closed: count(closed.len()),
        }
    }
}

fn look<'a>(stored: &'a StoredScan, scope: &'a HostScope) -> Look<'a> {
    Look {
        scan: &stored.scan.id,
        scanner: stored.scan.scanner,
        at: stored.scan.at,
        profile: stored.scan.profile.as_deref(),
        scope,
        plugins: &stored.plugins,
        filter: &stored.filter,
    }
}

fn told(imported: &Imported, now: Timestamp, by: &str) -> Event {
    let Imported { scan, matched, unmatched, opened, still_there, closed } = imported;
    let hosts = matched.saturating_add(*unmatched);
    let reason = format!(
        "{} of {}: {} items, {matched} of {hosts} hosts are known devices; {opened} weaknesses opened, {still_there} still \
         there, {closed} closed, by {by}",
        scan.scanner, scan.at, scan.counts.items
    );
    let what = "scan imported".to_owned();
    Event { at: now, stage: Stage::Assess, device: None, release: None, rollout: None, what, reason }
}

#[cfg(test)]
mod tests;
