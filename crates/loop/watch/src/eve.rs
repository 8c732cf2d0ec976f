//! Reads lines of a Suricata `eve.json` (versions 5 to 8).
//!
//! In: a line. Out: a flow, names, a rule hit, or the kind of a record that is not used. Refuses: what is no JSON object
//! with a time and a type; unknown types and fields are no error, for new versions bring new ones.

use std::net::IpAddr;

use serde::Deserialize;
use warden_model::Timestamp;
use warden_model::alert::Sensor;

use crate::line::{Line, LineError};
use crate::observed::{Flow, Name, NameSource, Names, Observed, Outcome, RuleHit, Transport};
use crate::text::{Text, eve_time, host_name, shown};

/// Most addresses that are taken from one answer: a 4 KiB DNS answer holds no more than about 250, real ones 1 to 8.
pub(crate) const ADDRESSES_PER_ANSWER_MAX: usize = 64;

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    timestamp: Text<'a>,
    #[serde(borrow)]
    event_type: Text<'a>,
    // Above 2^53: never a JavaScript number.
    flow_id: Option<u64>,
    #[serde(borrow)]
    src_ip: Option<Text<'a>>,
    src_port: Option<u16>,
    #[serde(borrow)]
    dest_ip: Option<Text<'a>>,
    dest_port: Option<u16>,
    #[serde(borrow)]
    proto: Option<Text<'a>>,
    #[serde(borrow)]
    app_proto: Option<Text<'a>>,
    #[serde(borrow)]
    alert: Option<AlertPart<'a>>,
    #[serde(borrow)]
    dns: Option<DnsPart<'a>>,
    #[serde(borrow)]
    tls: Option<TlsPart<'a>>,
    #[serde(borrow)]
    quic: Option<TlsPart<'a>>,
    #[serde(borrow)]
    http: Option<HttpPart<'a>>,
    #[serde(borrow)]
    flow: Option<FlowPart<'a>>,
}

#[derive(Deserialize)]
struct FlowPart<'a> {
    #[serde(borrow)]
    start: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct AlertPart<'a> {
    #[serde(borrow)]
    action: Option<Text<'a>>,
    signature_id: u32,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    severity: Option<u8>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    fw_cve: Vec<Text<'a>>,
    #[serde(borrow, default)]
    fw_vp: Vec<Text<'a>>,
    #[serde(borrow, default)]
    cve: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct DnsPart<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    // Version 2, Suricata 5 to 7.
    #[serde(borrow)]
    rrname: Option<Text<'a>>,
    // Version 3, Suricata 8.
    #[serde(borrow, default)]
    queries: Vec<Query<'a>>,
    #[serde(borrow, default)]
    answers: Vec<Answer<'a>>,
}

#[derive(Deserialize)]
struct Query<'a> {
    #[serde(borrow)]
    rrname: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    rrtype: Option<Text<'a>>,
    // A text for addresses; an object for records such as SOA.
    #[serde(borrow)]
    rdata: Option<&'a serde_json::value::RawValue>,
}

#[derive(Deserialize)]
struct TlsPart<'a> {
    #[serde(borrow)]
    sni: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct HttpPart<'a> {
    #[serde(borrow)]
    hostname: Option<Text<'a>>,
}

/// Reads one line; `None` for a blank one.
pub fn read_eve(line: &str) -> Result<Option<Observed>, LineError> {
    let json = match Line::look(line)? {
        Line::Blank => return Ok(None),
        Line::Header(text) | Line::Json(text) | Line::Columns(text) => text,
    };
    let record: Record<'_> = serde_json::from_str(json).map_err(|error| LineError::json(&error))?;
    let at = eve_time(record.timestamp.as_str())
        .ok_or_else(|| LineError::field("timestamp", record.timestamp.as_str()))?;
    let observed = match record.event_type.as_str() {
        "alert" => rule(&record, at)?.map(Observed::Rule),
        "dns" => names(&record, at)?.map(Observed::Names),
        "tls" => flow(&record, at, record.tls.as_ref().and_then(|tls| tls.sni.as_ref()))?.map(Observed::Flow),
        "quic" => {
            flow(&record, at, record.quic.as_ref().and_then(|quic| quic.sni.as_ref()))?.map(Observed::Flow)
        }
        "http" => {
            let host = record.http.as_ref().and_then(|http| http.hostname.as_ref());
            flow(&record, at, host)?.map(Observed::Flow)
        }
        // The line is written when the flow ends; who had the address is a question of when it began.
        "flow" => flow(&record, record.started().unwrap_or(at), None)?.map(Observed::Flow),
        _ => None,
    };
    Ok(Some(observed.unwrap_or_else(|| Observed::Other(shown(record.event_type.as_str(), 64)))))
}

impl Record<'_> {
    fn started(&self) -> Option<Timestamp> {
        eve_time(self.flow.as_ref()?.start.as_ref()?.as_str())
    }
}

/// Returns both ends; a record without addresses (ARP, Ethernet) is no error and no flow.
fn ends(record: &Record<'_>) -> Result<Option<(IpAddr, IpAddr)>, LineError> {
    let (Some(source), Some(destination)) = (&record.src_ip, &record.dest_ip) else { return Ok(None) };
    let read = |field, text: &Text<'_>| {
        let address: IpAddr = text.as_str().parse().map_err(|_| LineError::field(field, text.as_str()))?;
        Ok(address.to_canonical())
    };
    Ok(Some((read("src_ip", source)?, read("dest_ip", destination)?)))
}

fn transport(record: &Record<'_>) -> Transport {
    record.proto.as_ref().map_or(Transport::Other, |proto| Transport::read(proto.as_str()))
}

fn uid(record: &Record<'_>) -> String {
    record.flow_id.map(|id| id.to_string()).unwrap_or_default()
}

fn flow(record: &Record<'_>, at: Timestamp, host: Option<&Text<'_>>) -> Result<Option<Flow>, LineError> {
    let Some((source, destination)) = ends(record)? else { return Ok(None) };
    let protocol = transport(record);
    let text = host.and_then(|host| host_name(host.as_str().split(':').next().unwrap_or_default()));
    let kind = record.event_type.as_str();
    let app = match (&record.app_proto, kind) {
        (Some(app), _) if app.as_str() != "failed" => Some(shown(app.as_str(), 32)),
        (Some(_) | None, "tls" | "http" | "quic") => Some(kind.to_owned()),
        (Some(_) | None, _) => None,
    };
    Ok(Some(Flow {
        at,
        sensor: Sensor::Suricata,
        source,
        destination,
        port: protocol.port(record.dest_port),
        protocol,
        name: text.map(|text| Name { text, source: NameSource::Claimed }),
        app,
        uid: uid(record),
    }))
}

fn names(record: &Record<'_>, at: Timestamp) -> Result<Option<Names>, LineError> {
    let Some(dns) = &record.dns else { return Ok(None) };
    let is_answer = dns.kind.as_ref().is_some_and(|kind| matches!(kind.as_str(), "answer" | "response"));
    let (true, Some((source, destination))) = (is_answer, ends(record)?) else { return Ok(None) };
    // Version 2 keeps the direction of the question, version 3 that of the packet: the client is the end that does
    // not speak from port 53.
    let client = if record.src_port == Some(53) { destination } else { source };
    let asked = dns.queries.first().and_then(|query| query.rrname.as_ref()).or(dns.rrname.as_ref());
    let Some(name) = asked.and_then(|name| host_name(name.as_str())) else { return Ok(None) };
    let addresses: Vec<IpAddr> = dns
        .answers
        .iter()
        .filter(|answer| answer.rrtype.as_ref().is_some_and(|kind| matches!(kind.as_str(), "A" | "AAAA")))
        .filter_map(|answer| {
            serde_json::from_str::<Text<'_>>(answer.rdata?.get()).ok()?.as_str().parse().ok()
        })
        .take(ADDRESSES_PER_ANSWER_MAX)
        .collect();
    Ok((!addresses.is_empty()).then_some(Names { at, client, name, addresses }))
}

fn rule(record: &Record<'_>, at: Timestamp) -> Result<Option<RuleHit>, LineError> {
    let Some(alert) = &record.alert else { return Ok(None) };
    let Some((source, destination)) = ends(record)? else { return Ok(None) };
    let list =
        |texts: &[Text<'_>]| texts.iter().take(16).map(|text| shown(text.as_str(), 64)).collect::<Vec<_>>();
    let metadata = alert.metadata.as_ref();
    let mut cves = metadata.map(|m| list(&m.fw_cve)).unwrap_or_default();
    // Public rule sets write `CVE_2099_0001`, for metadata values of theirs hold no `-`.
    cves.extend(metadata.map(|m| list(&m.cve)).unwrap_or_default().iter().map(|cve| cve.replace('_', "-")));
    let blocked = alert.action.as_ref().is_some_and(|action| action.as_str() == "blocked");
    let protocol = transport(record);
    Ok(Some(RuleHit {
        at,
        sensor: Sensor::Suricata,
        sid: alert.signature_id,
        signature: alert.signature.as_ref().map(|text| shown(text.as_str(), 200)).unwrap_or_default(),
        severity: alert.severity.unwrap_or(u8::MAX),
        outcome: if blocked { Outcome::Blocked } else { Outcome::Allowed },
        source,
        destination,
        port: protocol.port(record.dest_port),
        protocol,
        cves,
        virtual_patches: metadata.map(|m| list(&m.fw_vp)).unwrap_or_default(),
        uid: uid(record),
    }))
}

#[cfg(test)]
mod tests;
