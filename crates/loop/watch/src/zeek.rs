//! Reads lines of Zeek logs: tab-separated with a header, or JSON.
//!
//! In: the lines of one log, in order. Out: a flow, names, a rule hit, or the kind of a record that is not used. Refuses:
//! data before a header, lines with another number of columns, addresses and times that are none.
//!
//! Columns are found by their name in `#fields`, never by their place: versions and plug-ins add, drop and move them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use warden_model::Timestamp;
use warden_model::alert::Sensor;

use crate::eve::ADDRESSES_PER_ANSWER_MAX;
use crate::line::{Line, LineError};
use crate::observed::{Flow, Name, NameSource, Names, Observed, Outcome, RuleHit, Transport};
use crate::text::{Text, ZeekTime, host_name, shown, zeek_time};

/// Most columns of a log: `conn` has 21 to 23, the widest (`x509`, `dns` with plug-ins) below 60.
const COLUMNS_MAX: usize = 256;

/// The logs that are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZeekLog {
    /// Connections; written when they end.
    Conn,
    /// Questions and answers of the DNS.
    Dns,
    /// TLS handshakes.
    Ssl,
    /// HTTP requests.
    Http,
    /// What Zeek's own scripts found worth telling.
    Notice,
    /// Another log.
    Other(String),
}

impl ZeekLog {
    /// Returns the log of this path: `conn` for `conn.log` and `#path conn`.
    pub fn of(path: &str) -> Self {
        match path {
            "conn" | "open_conn" => Self::Conn,
            "dns" => Self::Dns,
            "ssl" | "open_ssl" => Self::Ssl,
            "http" | "open_http" => Self::Http,
            "notice" => Self::Notice,
            other => Self::Other(shown(other, 64)),
        }
    }
}

/// A reader of one log.
#[derive(Debug, Clone)]
pub struct ZeekReader {
    log: Option<ZeekLog>,
    separator: char,
    set_separator: char,
    empty: String,
    unset: String,
    columns: Vec<String>,
    header: Vec<String>,
}

/// One record, whichever way it was written.
#[derive(Default, Deserialize)]
struct Record<'a> {
    #[serde(default)]
    ts: Option<ZeekTime>,
    #[serde(borrow, rename = "_path")]
    path: Option<Text<'a>>,
    #[serde(borrow)]
    uid: Option<Text<'a>>,
    #[serde(borrow, rename = "id.orig_h")]
    source: Option<Text<'a>>,
    #[serde(borrow, rename = "id.resp_h")]
    destination: Option<Text<'a>>,
    #[serde(rename = "id.resp_p")]
    port: Option<u16>,
    // What some pipelines rename the four to; a notice has both spellings at once.
    #[serde(borrow)]
    src: Option<Text<'a>>,
    #[serde(borrow)]
    dst: Option<Text<'a>>,
    dst_port: Option<u16>,
    #[serde(borrow)]
    proto: Option<Text<'a>>,
    #[serde(borrow)]
    service: Option<Text<'a>>,
    #[serde(borrow)]
    conn_state: Option<Text<'a>>,
    #[serde(borrow)]
    query: Option<Text<'a>>,
    #[serde(borrow)]
    answers: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    server_name: Option<Text<'a>>,
    #[serde(borrow)]
    cipher: Option<Text<'a>>,
    // Not always a text: other logs use the word for an address or a set.
    #[serde(borrow)]
    host: Option<Text<'a>>,
    #[serde(borrow)]
    method: Option<Text<'a>>,
    #[serde(borrow)]
    note: Option<Text<'a>>,
    #[serde(borrow)]
    msg: Option<Text<'a>>,
}

impl Default for ZeekReader {
    fn default() -> Self {
        Self::new(None)
    }
}

impl ZeekReader {
    /// Makes a reader. `log` tells which log it is where the lines do not: JSON without `_path`.
    pub fn new(log: Option<ZeekLog>) -> Self {
        Self {
            log,
            separator: '\t',
            set_separator: ',',
            empty: "(empty)".to_owned(),
            unset: "-".to_owned(),
            columns: Vec::new(),
            header: Vec::new(),
        }
    }

    /// Returns the header lines read so far: feed them to a new reader that goes on in the middle of the same file.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Reads one line; `None` for blank lines and headers.
    pub fn feed(&mut self, line: &str) -> Result<Option<Observed>, LineError> {
        match Line::look(line)? {
            Line::Blank => Ok(None),
            Line::Header(text) => {
                self.read_header(text);
                Ok(None)
            }
            Line::Json(text) => {
                let record: Record<'_> =
                    serde_json::from_str(text).map_err(|error| LineError::json(&error))?;
                self.read_record(&record)
            }
            Line::Columns(text) => self.read_columns(text),
        }
    }

    fn read_header(&mut self, text: &str) {
        let text = text.trim_end();
        let (key, value) = text.split_once([self.separator, ' ', '\t']).unwrap_or((text, ""));
        match key {
            "#separator" => {
                // Only `\xHH` is ever written here.
                let code = value.strip_prefix("\\x").and_then(|hex| u8::from_str_radix(hex, 16).ok());
                self.separator = code.map_or('\t', char::from);
                self.header.clear();
            }
            "#set_separator" => self.set_separator = value.chars().next().unwrap_or(','),
            "#empty_field" => self.empty = shown(value, 64),
            "#unset_field" => self.unset = shown(value, 64),
            "#path" => self.log = Some(ZeekLog::of(value)),
            "#fields" => {
                self.columns =
                    value.split(self.separator).take(COLUMNS_MAX).map(|column| shown(column, 128)).collect();
            }
            _ => return,
        }
        // Six kinds of lines, kept once each.
        if self.header.len() < 8 {
            self.header.push(text.to_owned());
        }
    }

    fn read_columns(&self, line: &str) -> Result<Option<Observed>, LineError> {
        if self.columns.is_empty() {
            return Err(LineError::NoHeader);
        }
        let found = line.split(self.separator).take(COLUMNS_MAX + 1).count();
        if found != self.columns.len() {
            return Err(LineError::Columns { expected: self.columns.len(), found });
        }
        let fields: BTreeMap<&str, &str> = self
            .columns
            .iter()
            .map(String::as_str)
            .zip(line.split(self.separator))
            .filter(|(_, value)| *value != self.unset && *value != self.empty)
            .collect();
        let text = |name: &str| fields.get(name).map(|value| Text(unescape(value)));
        let ts = fields
            .get("ts")
            .map(|text| zeek_time(text).map(ZeekTime).ok_or_else(|| LineError::field("ts", text)));
        let port = fields.get("id.resp_p").or_else(|| fields.get("dst_port"));
        let port = port.map(|text| text.parse().map_err(|_| LineError::field("id.resp_p", text)));
        let record = Record {
            ts: ts.transpose()?,
            path: None,
            uid: text("uid"),
            source: text("id.orig_h"),
            destination: text("id.resp_h"),
            port: port.transpose()?,
            src: text("src"),
            dst: text("dst"),
            dst_port: None,
            proto: text("proto"),
            service: text("service"),
            conn_state: text("conn_state"),
            query: text("query"),
            answers: fields.get("answers").map(|text| self.set(text)),
            server_name: text("server_name"),
            cipher: text("cipher"),
            host: text("host"),
            method: text("method"),
            note: text("note"),
            msg: text("msg"),
        };
        self.read_record(&record)
    }

    fn set<'t>(&self, text: &'t str) -> Vec<Text<'t>> {
        text.split(self.set_separator).map(|part| Text(unescape(part))).collect()
    }

    fn read_record(&self, record: &Record<'_>) -> Result<Option<Observed>, LineError> {
        let log = match (&record.path, &self.log) {
            (Some(path), _) => ZeekLog::of(path.as_str()),
            (None, Some(log)) => log.clone(),
            (None, None) => record.guess(),
        };
        let observed = match &log {
            ZeekLog::Conn => record.flow(None)?.map(Observed::Flow),
            ZeekLog::Ssl => record.flow(record.server_name.as_ref())?.map(Observed::Flow),
            ZeekLog::Http => record.flow(record.host.as_ref())?.map(Observed::Flow),
            ZeekLog::Dns => record.names()?.map(Observed::Names),
            ZeekLog::Notice => record.notice()?.map(Observed::Rule),
            ZeekLog::Other(_) => None,
        };
        let kind = match log {
            ZeekLog::Conn => "conn".to_owned(),
            ZeekLog::Ssl => "ssl".to_owned(),
            ZeekLog::Http => "http".to_owned(),
            ZeekLog::Dns => "dns".to_owned(),
            ZeekLog::Notice => "notice".to_owned(),
            ZeekLog::Other(kind) => kind,
        };
        Ok(Some(observed.unwrap_or(Observed::Other(kind))))
    }
}

impl Record<'_> {
    /// Tells the log by the fields that only it has, for JSON without `_path` and without a file name.
    fn guess(&self) -> ZeekLog {
        if self.conn_state.is_some() {
            ZeekLog::Conn
        } else if self.query.is_some() {
            ZeekLog::Dns
        } else if self.server_name.is_some() || self.cipher.is_some() {
            ZeekLog::Ssl
        } else if self.method.is_some() && self.host.is_some() {
            ZeekLog::Http
        } else if self.note.is_some() {
            ZeekLog::Notice
        } else {
            ZeekLog::Other("unknown".to_owned())
        }
    }

    fn at(&self) -> Result<Timestamp, LineError> {
        self.ts.map(|ts| ts.0).ok_or_else(|| LineError::field("ts", ""))
    }

    fn ends(&self) -> Result<Option<(IpAddr, IpAddr)>, LineError> {
        let source = self.source.as_ref().or(self.src.as_ref());
        let destination = self.destination.as_ref().or(self.dst.as_ref());
        let (Some(source), Some(destination)) = (source, destination) else { return Ok(None) };
        Ok(Some((address("id.orig_h", source)?, address("id.resp_h", destination)?)))
    }

    fn called_port(&self) -> Option<u16> {
        self.port.or(self.dst_port)
    }

    fn uid(&self) -> String {
        self.uid.as_ref().map(|uid| shown(uid.as_str(), 64)).unwrap_or_default()
    }

    fn flow(&self, host: Option<&Text<'_>>) -> Result<Option<Flow>, LineError> {
        let at = self.at()?;
        let Some((source, destination)) = self.ends()? else { return Ok(None) };
        // ssl and http have no `proto`: both ride on TCP (QUIC has a log of its own).
        let protocol = self.proto.as_ref().map_or(Transport::Tcp, |proto| Transport::read(proto.as_str()));
        let text = host.and_then(|host| host_name(host.as_str().split(':').next().unwrap_or_default()));
        Ok(Some(Flow {
            at,
            sensor: Sensor::Zeek,
            source,
            destination,
            // For ICMP, Zeek writes type and code where ports stand; they are no ports.
            port: protocol.port(self.called_port()),
            protocol,
            name: text.map(|text| Name { text, source: NameSource::Claimed }),
            app: self.service.as_ref().map(|service| shown(service.as_str(), 32)),
            uid: self.uid(),
        }))
    }

    fn names(&self) -> Result<Option<Names>, LineError> {
        let at = self.at()?;
        let (Some((client, _)), Some(answers)) = (self.ends()?, &self.answers) else { return Ok(None) };
        let Some(name) = self.query.as_ref().and_then(|query| host_name(query.as_str())) else {
            return Ok(None);
        };
        // Aliases and addresses stand side by side; only the addresses are of use.
        let addresses: Vec<IpAddr> = answers
            .iter()
            .filter_map(|answer| answer.as_str().parse().ok())
            .take(ADDRESSES_PER_ANSWER_MAX)
            .collect();
        Ok((!addresses.is_empty()).then_some(Names { at, client, name, addresses }))
    }

    fn notice(&self) -> Result<Option<RuleHit>, LineError> {
        let at = self.at()?;
        let Some(note) = &self.note else { return Ok(None) };
        let (source, destination) = match (self.ends()?, &self.src) {
            (Some(ends), _) => ends,
            // A scan has many destinations and names none: what counts is who scans.
            (None, Some(source)) => (address("src", source)?, address("src", source)?),
            (None, None) => return Ok(None),
        };
        let message = self.msg.as_ref().map_or("", Text::as_str);
        let protocol = self.proto.as_ref().map_or(Transport::Other, |proto| Transport::read(proto.as_str()));
        Ok(Some(RuleHit {
            at,
            sensor: Sensor::Zeek,
            sid: 0,
            signature: shown(&format!("{}: {message}", note.as_str()), 200),
            severity: 3,
            outcome: Outcome::Allowed,
            source,
            destination,
            port: protocol.port(self.called_port()),
            protocol,
            cves: Vec::new(),
            virtual_patches: Vec::new(),
            uid: self.uid(),
        }))
    }
}

fn address(field: &'static str, text: &Text<'_>) -> Result<IpAddr, LineError> {
    let address: IpAddr = text.as_str().parse().map_err(|_| LineError::field(field, text.as_str()))?;
    Ok(address.to_canonical())
}

/// Undoes Zeek's `\xHH` in columns; what is not that stays as it is.
fn unescape(value: &str) -> Cow<'_, str> {
    if !value.contains("\\x") {
        return Cow::Borrowed(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        if let Some(byte) = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.extend_from_slice(b"\\x");
            rest = after;
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
