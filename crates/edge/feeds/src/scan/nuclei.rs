//! Nuclei, JSON: one object a line (`-j`), or an array of them (`-je`).
//!
//! In: the JSON of version 2 (`templateID`, `matched`) and 3 (`template-id`, `matched-at`). Out: an item for each match; hosts.
//! Refuses: objects without a template, a host or a severity. A match that did not come (`matcher-status: false`) is no item, but
//! says that the template ran on that host.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use warden_model::AdvisoryId;
use warden_model::scan::{Exploit, Port, PortProtocol, ScanItem, ScanSeverity, ScannedHost, Score};

use super::Source;
use super::bytes::{Meter, Text};
use super::collect::Collector;
use super::detect::json_error;
use super::error::ScanError;
use super::text::{address, cves_in, host_name, moment, severity};

/// Reads a report.
pub(super) fn read(source: &mut dyn Source, collector: &mut Collector<'_>) -> Result<(), ScanError> {
    let limits = collector.limits;
    let (text, meter) = Text::new(source, &limits);
    let mut failed = None;
    let mut stream = serde_json::Deserializer::from_reader(text);
    let outcome = loop {
        let mut each = Each { collector, meter: &meter, failed: &mut failed };
        match (Document { each: &mut each }).deserialize(&mut stream) {
            Ok(()) if stream.end().is_ok() => break Ok(()),
            Ok(()) => {}
            Err(error) => break Err(error),
        }
    };
    if let Some(error) = failed {
        return Err(error);
    }
    outcome.map_err(|error| json_error(&error, &meter, &limits))?;
    for (_, scope) in collector.report.hosts.values_mut() {
        scope.complete = true;
    }
    Ok(())
}

/// What is done with each object.
struct Each<'a, 'b> {
    collector: &'a mut Collector<'b>,
    meter: &'a Meter,
    failed: &'a mut Option<ScanError>,
}

impl Each<'_, '_> {
    /// Says whether to go on.
    fn take(&mut self, value: &Value) -> Result<(), ()> {
        self.meter.begin_item();
        take(value, self.collector).map_err(|error| *self.failed = Some(error))
    }
}

/// An object, or an array of objects.
struct Document<'a, 'b, 'c> {
    each: &'a mut Each<'b, 'c>,
}

impl<'de> DeserializeSeed<'de> for Document<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

const REFUSED: &str = "an object was refused";

impl<'de> Visitor<'de> for Document<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, or an array of objects")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let value: Value =
            serde::Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        self.each.take(&value).map_err(|()| serde::de::Error::custom(REFUSED))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element::<Value>()? {
            self.each.take(&value).map_err(|()| serde::de::Error::custom(REFUSED))?;
        }
        Ok(())
    }
}

fn text<'a>(value: &'a Value, names: &[&str]) -> Option<&'a str> {
    let texts = names.iter().filter_map(|name| value.get(name)?.as_str());
    texts.map(str::trim).find(|text| !text.is_empty())
}

/// Reads a text, a list of texts, or nothing.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => text.split(',').map(str::trim).collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(_) | None => Vec::new(),
    }
}

fn take(value: &Value, collector: &mut Collector<'_>) -> Result<(), ScanError> {
    let number = collector.next_item();
    let missing = |what| ScanError::Missing { item: number, what };
    let template =
        text(value, &["template-id", "templateID", "template_id"]).ok_or_else(|| missing("template-id"))?;
    let place = text(value, &["matched-at", "matched", "url", "host"]).unwrap_or_default();
    let (from_place, mut port) = split(place);
    let (from_host, host_port) = split(text(value, &["host"]).unwrap_or(place));
    let ip = text(value, &["ip"]).and_then(address);
    let named = from_host.or(from_place).unwrap_or_default();
    let name = ip.map_or_else(|| named.clone(), |ip| ip.to_string());
    if name.is_empty() {
        return Err(missing("host"));
    }
    if let Some(given) = text(value, &["port"]).and_then(|port| port.parse().ok()) {
        port = given;
    } else if port == 0 {
        port = host_port;
    }
    let host = ScannedHost {
        name: collector.name(&name),
        addresses: ip.into_iter().chain(address(&named)).collect(),
        names: host_name(&named).into_iter().collect(),
        seen: text(value, &["timestamp"]).and_then(moment).map(|at| (at, at)),
        ..ScannedHost::default()
    };
    collector.widen(host.seen.map(|(at, _)| at));
    let port = Port { protocol: PortProtocol::Tcp, number: port };
    if value.get("matcher-status").and_then(Value::as_bool) == Some(false) {
        collector.plugin(template)?;
        collector.scope_of(&host.name)?.ports.named.insert(port);
    } else {
        collector.item(item(value, template, &host, port, collector)?)?;
    }
    collector.host(host)
}

fn item(
    value: &Value,
    template: &str,
    host: &ScannedHost,
    port: Port,
    collector: &Collector<'_>,
) -> Result<ScanItem, ScanError> {
    let info = value.get("info").unwrap_or(&Value::Null);
    let class = info.get("classification").unwrap_or(&Value::Null);
    let number = collector.next_item();
    let word = text(info, &["severity"]).or_else(|| text(value, &["severity"])).unwrap_or("unknown");
    let severity = match word {
        "unknown" => ScanSeverity::Info,
        word => severity(word).ok_or_else(|| {
            ScanError::value(number, "severity", word, "critical, high, medium, low, info or unknown")
        })?,
    };
    let listed = texts(class.get("cve-id")).into_iter().flat_map(cves_in);
    let cves: BTreeSet<AdvisoryId> = listed.chain(cves_in(template)).collect();
    let extracted = texts(value.get("extracted-results")).join("\n");
    let place = text(value, &["matched-at", "matched", "host"]).unwrap_or_default();
    let matcher = text(value, &["matcher-name", "matcher_name"]).unwrap_or_default();
    // A template with several matchers says several things of one place.
    let plugin = if matcher.is_empty() { template.to_owned() } else { format!("{template}:{matcher}") };
    let score = class.get("cvss-score").and_then(|score| score.to_string().parse::<Score>().ok());
    Ok(ScanItem {
        host: host.name.clone(),
        plugin: collector.name(&plugin),
        title: collector.name(text(info, &["name"]).unwrap_or(template)),
        port,
        severity,
        score,
        vector: text(class, &["cvss-metrics"]).map(|vector| collector.name(vector)),
        cves,
        qod: None,
        exploit: Exploit::Unknown,
        dismissed: false,
        text: collector.text(format!("{place} {matcher} {extracted}").trim()),
        solution: collector.text(text(info, &["remediation"]).unwrap_or_default()),
        at: host.seen.map(|(at, _)| at),
    })
}

/// Takes host and port out of `https://host:8443/path`, `host:22`, `[2001:db8::1]:80` and `host`; the port is 0 where none is told.
fn split(place: &str) -> (Option<String>, u16) {
    let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let default = match scheme {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        _ => 0,
    };
    if address(authority).is_some() {
        return (Some(authority.to_owned()), default);
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = port.and_then(|port| port.parse().ok()).unwrap_or(default);
    ((!host.is_empty()).then(|| host.to_owned()), port)
}
