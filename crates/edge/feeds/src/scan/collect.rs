//! What all readers have in common: items go on, hosts and checks are gathered, everything is counted and limited.

use std::collections::{BTreeMap, BTreeSet};

use warden_model::scan::{
    HostScope, PluginScope, PortScope, ScanCounts, ScanFilter, ScanItem, ScanReport, ScannedHost, Scanner,
};
use warden_model::{AdvisoryId, Timestamp};

use super::error::ScanError;
use super::limits::ScanLimits;
use super::text::cut;

/// Gathers a report.
pub(super) struct Collector<'a> {
    /// The limits.
    pub(super) limits: ScanLimits,
    /// What the report says beside its items, as far as it is known.
    pub(super) report: ScanReport,
    each: &'a mut dyn FnMut(ScanItem),
    cves: BTreeSet<AdvisoryId>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(scanner: Scanner, limits: &ScanLimits, each: &'a mut dyn FnMut(ScanItem)) -> Self {
        let report = ScanReport {
            scanner,
            label: String::new(),
            profile: None,
            span: None,
            hosts: BTreeMap::new(),
            plugins: PluginScope::default(),
            filter: ScanFilter::default(),
            counts: ScanCounts::default(),
        };
        Self { limits: *limits, report, each, cves: BTreeSet::new() }
    }

    /// Returns the number of the item that comes next, from 1 on.
    pub(super) fn next_item(&self) -> u64 {
        self.report.counts.items.saturating_add(1)
    }

    /// Cuts a name to what is kept.
    pub(super) fn name(&self, text: &str) -> String {
        cut(text, self.limits.name_chars)
    }

    /// Cuts a text to what is kept.
    pub(super) fn text(&self, text: &str) -> String {
        cut(text, self.limits.text_chars)
    }

    /// Takes an item; its host is noted as one that was looked at.
    pub(super) fn item(&mut self, item: ScanItem) -> Result<(), ScanError> {
        let counts = &mut self.report.counts;
        if counts.items >= self.limits.items {
            return Err(ScanError::over("more items", self.limits.items));
        }
        if item.cves.len() > self.limits.cves {
            return Err(ScanError::over("an item of more CVE ids", self.limits.cves));
        }
        counts.items += 1;
        *counts.severities.entry(item.severity).or_default() += 1;
        counts.cve_mentions += u64::try_from(item.cves.len()).unwrap_or(u64::MAX);
        self.cves.extend(item.cves.iter().cloned());
        self.plugin(&item.plugin)?;
        if !item.host.is_empty() {
            let port = item.port;
            self.scope_of(&item.host)?.ports.named.insert(port);
        }
        (self.each)(item);
        Ok(())
    }

    /// Notes that a check ran.
    pub(super) fn plugin(&mut self, plugin: &str) -> Result<(), ScanError> {
        if self.report.plugins.listed.contains(plugin) {
            return Ok(());
        }
        if self.report.plugins.listed.len() >= self.limits.plugins {
            return Err(ScanError::over("more different checks", self.limits.plugins));
        }
        self.report.plugins.listed.insert(cut(plugin, self.limits.name_chars));
        Ok(())
    }

    /// Notes what the report says of a host.
    pub(super) fn host(&mut self, host: ScannedHost) -> Result<(), ScanError> {
        let name = host.name.clone();
        self.entry(&name)?.0.merge(host);
        Ok(())
    }

    /// Returns how a host was scanned, to be changed.
    pub(super) fn scope_of(&mut self, name: &str) -> Result<&mut HostScope, ScanError> {
        self.entry(name).map(|(_, scope)| scope)
    }

    fn entry(&mut self, name: &str) -> Result<&mut (ScannedHost, HostScope), ScanError> {
        let hosts = &mut self.report.hosts;
        if !hosts.contains_key(name) && hosts.len() >= self.limits.hosts {
            return Err(ScanError::over("more hosts", self.limits.hosts));
        }
        Ok(hosts.entry(name.to_owned()).or_insert_with(|| {
            let host = ScannedHost { name: name.to_owned(), ..ScannedHost::default() };
            let scope = HostScope { complete: false, credentialed: false, ports: PortScope::default() };
            (host, scope)
        }))
    }

    /// Widens the span of the scan so that it holds a moment.
    pub(super) fn widen(&mut self, moments: impl IntoIterator<Item = Timestamp>) {
        for at in moments {
            let (from, to) = self.report.span.unwrap_or((at, at));
            self.report.span = Some((from.min(at), to.max(at)));
        }
    }

    /// Ends the report.
    pub(super) fn end(mut self) -> ScanReport {
        self.report.counts.cves = u64::try_from(self.cves.len()).unwrap_or(u64::MAX);
        self.report.counts.hosts = u64::try_from(self.report.hosts.len()).unwrap_or(u64::MAX);
        self.report
    }
}
