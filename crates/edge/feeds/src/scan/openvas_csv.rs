//! OpenVAS, CSV: what Greenbone's report format "CSV Results" exports, with and without quality of detection and EPSS.
//!
//! In: the CSV. Out: an item for each record. Refuses: records without a host, a check or a severity that is known.

use warden_model::scan::{Exploit, Port, ScanItem, ScanSeverity, ScannedHost, Score};

use super::Source;
use super::bytes::Text;
use super::collect::Collector;
use super::csv::{Record, Records};
use super::error::ScanError;
use super::text::{address, cves_in, host_name, moment, protocol, severity};

/// What Greenbone's own filter leaves out of an export, where nobody says otherwise: quality of detection below 70 %, and logs.
const QOD_EXPORTED: u8 = 70;

/// Reads a report.
pub(super) fn read(source: &mut dyn Source, collector: &mut Collector<'_>) -> Result<(), ScanError> {
    let (text, meter) = Text::new(source, &collector.limits);
    let mut records = Records::new(text, meter, &collector.limits)?;
    collector.report.filter.qod_min = QOD_EXPORTED;
    collector.report.filter.severities.remove(&ScanSeverity::Info);
    while let Some(record) = records.record()? {
        let item = item(&record, collector)?;
        let mut host = ScannedHost { name: item.host.clone(), ..ScannedHost::default() };
        host.addresses.extend(record.first(&["ip"]).and_then(address));
        host.names.extend(record.first(&["hostname"]).and_then(host_name));
        host.seen = item.at.map(|at| (at, at));
        collector.widen(item.at);
        if let (None, Some(task)) = (&collector.report.profile, record.first(&["task id"])) {
            collector.report.profile = Some(format!("task {}", collector.name(task)));
            collector.report.label = collector.name(record.first(&["task name"]).unwrap_or_default());
        }
        collector.item(item)?;
        collector.host(host)?;
    }
    for (_, scope) in collector.report.hosts.values_mut() {
        scope.complete = true;
    }
    Ok(())
}

fn item(record: &Record<'_>, collector: &Collector<'_>) -> Result<ScanItem, ScanError> {
    let number = collector.next_item();
    let need = |names: &[&str], what: &'static str| {
        record.first(names).ok_or(ScanError::Missing { item: number, what })
    };
    let score = record.first(&["cvss"]).and_then(|score| score.parse::<Score>().ok());
    let severity = match record.first(&["severity"]) {
        Some(word) => severity(word).ok_or_else(|| {
            ScanError::value(number, "severity", word, "Critical, High, Medium, Low or Log")
        })?,
        None => score.map(Score::severity).ok_or(ScanError::Missing { item: number, what: "severity" })?,
    };
    let place = record.first(&["port"]).unwrap_or("0");
    let place = place.parse().map_err(|_| ScanError::value(number, "port", place, "0 to 65535"))?;
    Ok(ScanItem {
        host: collector.name(need(&["ip", "hostname"], "host")?),
        plugin: collector.name(need(&["nvt oid", "nvt name"], "check (NVT OID)")?),
        title: collector.name(record.first(&["nvt name"]).unwrap_or_default()),
        port: Port {
            protocol: protocol(record.first(&["port protocol"]).unwrap_or_default()),
            number: place,
        },
        severity,
        score,
        vector: None,
        cves: record.first(&["cves"]).into_iter().flat_map(cves_in).collect(),
        qod: record.first(&["qod"]).and_then(|qod| qod.parse().ok()),
        exploit: Exploit::Unknown,
        dismissed: false,
        text: collector.text(record.first(&["specific result", "summary"]).unwrap_or_default()),
        solution: collector.text(record.first(&["solution"]).unwrap_or_default()),
        at: record.first(&["timestamp"]).and_then(moment),
    })
}
