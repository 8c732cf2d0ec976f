//! Scan reports, their hosts, what was seen on devices, and the addresses by which hosts are known.

use std::collections::BTreeSet;
use std::net::IpAddr;

use sqlx::SqliteConnection;
use warden_model::scan::{
    HostScope, PluginScope, Port, PortProtocol, PortScope, Scan, ScanCounts, ScanFilter, ScanSeverity,
    Scanner, Score, Sighting, SightingKey, Tie,
};
use warden_model::{DeviceId, ScanId, Timestamp};

use crate::error::StoreError;
use crate::form;
use crate::row::Row;
use crate::sql::{Statement, Upsert};
use crate::store::Store;

/// Most checks that are kept of a scan. A report that lists all 300,000 of its scanner is judged by its profile later.
const PLUGINS_MAX: usize = 5_000;

/// A scan, with what it looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredScan {
    /// The scan.
    pub scan: Scan,
    /// The checks that ran, at most some thousand.
    pub plugins: PluginScope,
    /// What the report leaves out.
    pub filter: ScanFilter,
}

/// A host of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanHost {
    /// The scan.
    pub scan: ScanId,
    /// The name that the report gives it.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Its hardware addresses.
    pub macs: Vec<String>,
    /// Its host names.
    pub names: Vec<String>,
    /// How many items the report has of it.
    pub items: u64,
    /// The device, and by what it was known.
    pub device: Option<(DeviceId, Tie)>,
    /// Why no device was found; empty where one was.
    pub why_not: String,
    /// How it was scanned.
    pub scope: HostScope,
}

/// An address that a device had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressHeld {
    /// The device.
    pub device: DeviceId,
    /// The address.
    pub address: IpAddr,
    /// From when on.
    pub since: Timestamp,
    /// The device's last sign of life there.
    pub until: Timestamp,
}

pub(crate) async fn write(on: &mut SqliteConnection, stored: &StoredScan) -> Result<(), StoreError> {
    let StoredScan { scan, plugins, filter } = stored;
    let pairs = scan.counts.severities.iter().map(|(word, count)| format!("{word} {count}"));
    let severities: Vec<String> = pairs.collect();
    let written: Vec<String> = filter.severities.iter().map(ToString::to_string).collect();
    // A part of the list would say that the rest did not run.
    let is_long = plugins.listed.len() > PLUGINS_MAX;
    let plugins: Vec<String> = if is_long { Vec::new() } else { plugins.listed.iter().cloned().collect() };
    Upsert::into("scans")
        .key("id", scan.id.as_str())
        .set("digest", scan.digest)
        .set("scanner", scan.scanner.word())
        .set("label", scan.label.as_str())
        .set("profile", scan.profile.as_deref())
        .set("at", scan.at)
        .set("imported_at", scan.imported_at)
        .set("items", scan.counts.items)
        .set("severities", form::encode("scans", "severities", &severities)?)
        .set("cve_mentions", scan.counts.cve_mentions)
        .set("cves", scan.counts.cves)
        .set("hosts", scan.counts.hosts)
        .set("plugins", form::encode("scans", "plugins", &plugins)?)
        .set("qod_min", i64::from(filter.qod_min))
        .set("written", form::encode("scans", "written", &written)?)
        .run(on)
        .await
}

pub(crate) async fn write_host(on: &mut SqliteConnection, host: &ScanHost) -> Result<(), StoreError> {
    let ports = &host.scope.ports;
    let ranges: Vec<String> =
        ports.ranges.iter().map(|(protocol, from, to)| format!("{protocol} {from} {to}")).collect();
    let named: Vec<String> =
        ports.named.iter().map(|port| format!("{} {}", port.protocol, port.number)).collect();
    Upsert::into("scan_hosts")
        .key("scan", host.scan.as_str())
        .key("name", host.name.as_str())
        .set("addresses", form::encode("scan_hosts", "addresses", &host.addresses)?)
        .set("macs", form::encode("scan_hosts", "macs", &host.macs)?)
        .set("names", form::encode("scan_hosts", "names", &host.names)?)
        .set("items", host.items)
        .set("device", host.device.as_ref().map(|(device, _)| device.as_str()))
        .set("tie", host.device.as_ref().map(|(_, tie)| tie.word()))
        .set("why_not", host.why_not.as_str())
        .set("complete", i64::from(host.scope.complete))
        .set("credentialed", i64::from(host.scope.credentialed))
        .set("ranges", form::encode("scan_hosts", "ranges", &ranges)?)
        .set("ports", form::encode("scan_hosts", "ports", &named)?)
        .run(on)
        .await
}

pub(crate) async fn write_sighting(on: &mut SqliteConnection, sighting: &Sighting) -> Result<(), StoreError> {
    let SightingKey { device, weakness, port, scanner, plugin } = &sighting.key;
    Upsert::into("sightings")
        .key("device", device.as_str())
        .key("weakness", weakness.as_str())
        .key("port", i64::from(port.number))
        .key("protocol", port.protocol.word())
        .key("scanner", scanner.word())
        .key("plugin", plugin.as_str())
        .set("title", sighting.title.as_str())
        .set("severity", sighting.severity.word())
        .set("score", sighting.score.map(|score| u16::from(score.tenths())))
        .set("vector", sighting.vector.as_deref())
        .set("qod", sighting.qod.map(u16::from))
        .set("exploit", sighting.exploit.word())
        .set("detail", sighting.text.as_str())
        .set("solution", sighting.solution.as_str())
        .set("credentialed", i64::from(sighting.credentialed))
        .set("profile", sighting.profile.as_deref())
        .set("first_seen", sighting.first_seen)
        .set("last_seen", sighting.last_seen)
        .set("scan", sighting.scan.as_str())
        .set("closed_at", sighting.closed.as_ref().map(|(at, _)| *at))
        .set("closed_by", sighting.closed.as_ref().map(|(_, scan)| scan.as_str()))
        .run(on)
        .await
}

/// Reads a list of words separated by blanks, each by its own reader.
fn list<T, C: FromIterator<T>>(
    row: &Row,
    column: &'static str,
    read: impl Fn(&[&str]) -> Option<T>,
) -> Result<C, StoreError> {
    let texts: Vec<String> = row.form(column)?;
    let one = |text: &String| {
        let words: Vec<&str> = text.split(' ').collect();
        read(&words).ok_or_else(|| row.corrupt(column, format!("{text:?} is not understood")))
    };
    texts.iter().map(one).collect()
}

fn read(row: &Row) -> Result<StoredScan, StoreError> {
    let severities = list(row, "severities", |words| match words {
        [word, count] => Some((word.parse::<ScanSeverity>().ok()?, count.parse::<u64>().ok()?)),
        _ => None,
    })?;
    let counts = ScanCounts {
        items: row.unsigned("items")?,
        severities,
        cve_mentions: row.unsigned("cve_mentions")?,
        cves: row.unsigned("cves")?,
        hosts: row.unsigned("hosts")?,
    };
    let scan = Scan {
        id: row.parsed("id")?,
        digest: row.parsed("digest")?,
        scanner: row.parsed("scanner")?,
        label: row.text("label")?,
        profile: row.text_opt("profile")?,
        at: row.time("at")?,
        imported_at: row.time("imported_at")?,
        counts,
    };
    let plugins: Vec<String> = row.form("plugins")?;
    let severities: BTreeSet<ScanSeverity> = list(row, "written", |words| words.first()?.parse().ok())?;
    let filter = ScanFilter { qod_min: row.unsigned("qod_min")?, severities };
    Ok(StoredScan { scan, plugins: PluginScope { listed: plugins.into_iter().collect() }, filter })
}

fn read_host(row: &Row) -> Result<ScanHost, StoreError> {
    let ranges = list(row, "ranges", |words| match words {
        [protocol, from, to] => {
            Some((protocol.parse::<PortProtocol>().ok()?, from.parse::<u16>().ok()?, to.parse::<u16>().ok()?))
        }
        _ => None,
    })?;
    let named = list(row, "ports", |words| match words {
        [protocol, number] => Some(Port { protocol: protocol.parse().ok()?, number: number.parse().ok()? }),
        _ => None,
    })?;
    let device = row.parsed_opt::<DeviceId>("device")?.zip(row.parsed_opt::<Tie>("tie")?);
    Ok(ScanHost {
        scan: row.parsed("scan")?,
        name: row.text("name")?,
        addresses: row.form("addresses")?,
        macs: row.form("macs")?,
        names: row.form("names")?,
        items: row.unsigned("items")?,
        device,
        why_not: row.text("why_not")?,
        scope: HostScope {
            complete: row.unsigned::<u8>("complete")? != 0,
            credentialed: row.unsigned::<u8>("credentialed")? != 0,
            ports: PortScope { ranges, named },
        },
    })
}

fn read_sighting(row: &Row) -> Result<Sighting, StoreError> {
    let score: Option<u8> = row.unsigned_opt("score")?;
    Ok(Sighting {
        key: SightingKey {
            device: row.parsed("device")?,
            weakness: row.text("weakness")?,
            port: Port { protocol: row.parsed("protocol")?, number: row.unsigned("port")? },
            scanner: row.parsed("scanner")?,
            plugin: row.text("plugin")?,
        },
        title: row.text("title")?,
        severity: row.parsed("severity")?,
        score: score.and_then(Score::from_tenths),
        vector: row.text_opt("vector")?,
        qod: row.unsigned_opt("qod")?,
        exploit: row.parsed("exploit")?,
        text: row.text("detail")?,
        solution: row.text("solution")?,
        credentialed: row.unsigned::<u8>("credentialed")? != 0,
        profile: row.text_opt("profile")?,
        first_seen: row.time("first_seen")?,
        last_seen: row.time("last_seen")?,
        scan: row.parsed("scan")?,
        closed: row.time_opt("closed_at")?.zip(row.parsed_opt("closed_by")?),
    })
}

const ORDER: &str = "ORDER BY device, weakness, port, protocol, scanner, plugin";

impl Store {
    /// Returns the scans, the newest first.
    pub async fn scans(&self) -> Result<Vec<Scan>, StoreError> {
        let all =
            Statement::new("scans", "SELECT * FROM scans ORDER BY at DESC, id").read(self.reader(), read);
        Ok(all.await?.into_iter().map(|stored| stored.scan).collect())
    }

    /// Returns a scan.
    pub async fn scan(&self, id: &ScanId) -> Result<Option<StoredScan>, StoreError> {
        Statement::new("scans", "SELECT * FROM scans WHERE id = $1")
            .arg(id.as_str())
            .read_one(self.reader(), read)
            .await
    }

    /// Returns the scans of a scanner after a moment, the oldest first.
    pub async fn scans_after(&self, scanner: Scanner, at: Timestamp) -> Result<Vec<StoredScan>, StoreError> {
        Statement::new("scans", "SELECT * FROM scans WHERE scanner = $1 AND at > $2 ORDER BY at, id")
            .arg(scanner.word())
            .arg(at)
            .read(self.reader(), read)
            .await
    }

    /// Returns the hosts of a scan, by name.
    pub async fn scan_hosts(&self, scan: &ScanId) -> Result<Vec<ScanHost>, StoreError> {
        Statement::new("scan_hosts", "SELECT * FROM scan_hosts WHERE scan = $1 ORDER BY name")
            .arg(scan.as_str())
            .read(self.reader(), read_host)
            .await
    }

    /// Returns the hosts of the newest scan of each scanner profile that are no known device, by name.
    pub async fn unmatched_hosts(&self) -> Result<Vec<ScanHost>, StoreError> {
        let text = "SELECT h.* FROM scan_hosts h JOIN scans s ON s.id = h.scan WHERE h.device IS NULL \
             AND NOT EXISTS (SELECT 1 FROM scan_hosts l JOIN scans t ON t.id = l.scan \
             WHERE l.name = h.name AND t.scanner = s.scanner AND (t.at, t.id) > (s.at, s.id)) \
             ORDER BY h.name, h.scan";
        Statement::new("scan_hosts", text).read(self.reader(), read_host).await
    }

    /// Returns what scanners saw on a device, also what has ended.
    pub async fn sightings_of(&self, device: &DeviceId) -> Result<Vec<Sighting>, StoreError> {
        Statement::new("sightings", &format!("SELECT * FROM sightings WHERE device = $1 {ORDER}"))
            .arg(device.as_str())
            .read(self.reader(), read_sighting)
            .await
    }

    /// Returns what scanners saw on all devices, where it has a CVE id; also what has ended.
    pub async fn cve_sightings(&self) -> Result<Vec<Sighting>, StoreError> {
        let text = format!("SELECT * FROM sightings WHERE weakness LIKE 'CVE-%' {ORDER}");
        Statement::new("sightings", &text).read(self.reader(), read_sighting).await
    }

    /// Returns the addresses that devices had, by device.
    pub async fn addresses_held(&self) -> Result<Vec<AddressHeld>, StoreError> {
        let text = "SELECT a.device, a.address, a.since, max(a.since, coalesce(a.until, h.last_seen, a.since)) AS until \
             FROM device_addresses a LEFT JOIN heartbeats h ON h.device = a.device ORDER BY a.device, a.since";
        let read = |row: &Row| {
            Ok(AddressHeld {
                device: row.parsed("device")?,
                address: row.parsed("address")?,
                since: row.time("since")?,
                until: row.time("until")?,
            })
        };
        Statement::new("device_addresses", text).read(self.reader(), read).await
    }

    /// Returns what devices said of themselves, by device.
    pub async fn all_attributes(
        &self,
    ) -> Result<Vec<(DeviceId, std::collections::BTreeMap<String, String>)>, StoreError> {
        Statement::new("attributes", "SELECT device, vals FROM attributes ORDER BY device")
            .read(self.reader(), |row| Ok((row.parsed("device")?, row.form("vals")?)))
            .await
    }
}
