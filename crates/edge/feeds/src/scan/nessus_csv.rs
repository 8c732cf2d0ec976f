//! Nessus and Tenable's other products, CSV: the columns of all of them mean the same under several names.
//!
//! In: the CSV. Out: an item for each record; Nessus writes one for each CVE id. Refuses: records without a plugin, a host or a
//! severity that is known.

use std::collections::BTreeSet;

use warden_model::AdvisoryId;
use warden_model::scan::{Exploit, Mac, Port, ScanItem, ScannedHost, Score};

use super::Source;
use super::bytes::Text;
use super::collect::Collector;
use super::csv::{Record, Records};
use super::error::ScanError;
use super::text::{address, cves_in, host_name, loose_moment, protocol, severity};

const PLUGIN: &[&str] = &["plugin id", "plugin", "definition.id", "plugin.id"];
const TITLE: &[&str] = &["name", "plugin name", "definition.name", "plugin.name"];
const HOST: &[&str] = &[
    "host",
    "ip address",
    "asset.display_ipv4_address",
    "asset.ipv4_addresses",
    "asset.display_ipv6_address",
    "asset.name",
    "asset.host_name",
    "asset.display_fqdn",
    "asset.id",
    "dns name",
    "fqdn",
];
const ADDRESSES: &[&str] = &[
    "ip address",
    "host",
    "asset.display_ipv4_address",
    "asset.ipv4_addresses",
    "asset.display_ipv6_address",
];
const NAMES: &[&str] = &["dns name", "fqdn", "host", "asset.display_fqdn", "asset.host_name", "asset.name"];
const MACS: &[&str] = &["mac address", "asset.display_mac_address", "asset.mac_addresses"];
const RISK: &[&str] = &["risk", "severity", "definition.severity", "risk factor"];
const SCORE: &[&str] = &[
    "cvss v4.0 base score",
    "cvss v3.0 base score",
    "cvss v3 base score",
    "cvss3 base score",
    "cvssv3",
    "definition.cvss3.base_score",
    "cvss v2.0 base score",
    "cvss v2 base score",
    "cvss base score",
    "cvss",
    "definition.cvss2.base_score",
];
const VECTOR: &[&str] = &[
    "cvss v3 vector",
    "cvss3 vector",
    "definition.cvss3.base_vector",
    "cvss v2 vector",
    "cvss vector",
    "definition.cvss2.base_vector",
];
const CVES: &[&str] = &["cve", "definition.cve"];
const TEXT: &[&str] =
    &["plugin output", "plugin text", "output", "synopsis", "definition.synopsis", "description"];
const SOLUTION: &[&str] = &["solution", "steps to remediate", "definition.solution"];
const EXPLOIT: &[&str] = &["exploit?", "exploit available", "definition.exploitability_ease"];
const START: &[&str] = &["host start", "first observed"];
const END: &[&str] = &["host end", "last observed", "last found", "last_seen"];

/// Reads a report.
pub(super) fn read(source: &mut dyn Source, collector: &mut Collector<'_>) -> Result<(), ScanError> {
    let (text, meter) = Text::new(source, &collector.limits);
    let mut records = Records::new(text, meter, &collector.limits)?;
    while let Some(record) = records.record()? {
        let item = item(&record, collector)?;
        let host = host(&item.host, &record, collector);
        collector.widen(item.at);
        collector.item(item)?;
        collector.host(host)?;
    }
    // A CSV does not say whether a host was done with, nor which plugins ran: it names what it found, and so it can only
    // close what the same plugins saw elsewhere.
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
    let word = need(RISK, "risk")?;
    let severity = severity(word)
        .ok_or_else(|| ScanError::value(number, "risk", word, "Critical, High, Medium, Low or None"))?;
    let port = record.first(&["port"]).unwrap_or("0");
    let port = port.parse().map_err(|_| ScanError::value(number, "port", port, "0 to 65535"))?;
    let cves: BTreeSet<AdvisoryId> = record.first(CVES).into_iter().flat_map(cves_in).collect();
    let exploit = record.first(EXPLOIT).map(str::to_ascii_lowercase).unwrap_or_default();
    Ok(ScanItem {
        host: collector.name(need(HOST, "host")?),
        plugin: collector.name(need(PLUGIN, "plugin id")?),
        title: collector.name(record.first(TITLE).unwrap_or_default()),
        port: Port { protocol: protocol(record.first(&["protocol"]).unwrap_or_default()), number: port },
        severity,
        score: record.first(SCORE).and_then(|score| score.parse::<Score>().ok()),
        vector: record.first(VECTOR).map(|vector| collector.name(vector)),
        cves,
        qod: None,
        exploit: if matches!(exploit.as_str(), "yes" | "true" | "available" | "exploits are available") {
            Exploit::Known
        } else {
            Exploit::Unknown
        },
        dismissed: false,
        text: collector.text(record.first(TEXT).unwrap_or_default()),
        solution: collector.text(record.first(SOLUTION).unwrap_or_default()),
        at: record.first(END).and_then(loose_moment).map(|(_, to)| to),
    })
}

fn host(name: &str, record: &Record<'_>, collector: &Collector<'_>) -> ScannedHost {
    let each = |names: &[&'static str]| -> Vec<String> {
        let fields = names.iter().filter_map(|name| record.first(&[name]));
        let parts = fields.flat_map(|field| field.split([',', ' ', '\n']));
        parts.filter(|part| !part.is_empty()).take(collector.limits.attributes).map(str::to_owned).collect()
    };
    let span = match (record.first(START).and_then(loose_moment), record.first(END).and_then(loose_moment)) {
        (Some((from, _)), Some((_, to))) => Some((from, to)),
        (Some(span), None) | (None, Some(span)) => Some(span),
        (None, None) => None,
    };
    ScannedHost {
        name: name.to_owned(),
        addresses: each(ADDRESSES).iter().filter_map(|text| address(text)).collect(),
        macs: each(MACS).iter().filter_map(|text| text.parse::<Mac>().ok()).collect(),
        names: each(NAMES).iter().filter_map(|text| host_name(text)).collect(),
        os: record.first(&["os", "asset.operating_systems"]).map(|os| collector.name(os)),
        seen: span,
        ..ScannedHost::default()
    }
}
