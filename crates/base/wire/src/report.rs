//! The device's state report as it travels: versioned JSON, signed by the device's key in a DSSE envelope.
//!
//! In: the payload of an envelope whose signature was checked. Out: a domain [`StateReport`]. Refuses: other versions,
//! words that are not known, and texts beyond their limit.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use warden_model::device::{Running, Slot};
use warden_model::firmware::Version;
use warden_model::report::{Cause, ReportPhase, StateReport, Way};
use warden_model::{ActionId, ByteCount, DeviceId, Generation, Sha256Digest, Timestamp};

/// The DSSE payload type of a state report.
pub const PAYLOAD_TYPE: &str = "application/vnd.fleetwarden.state-report+json";
/// The version that is written; all versions up to it are read. Fields may be added without a new one: readers pass over
/// fields that they do not know, and do without those that are absent.
pub const VERSION: u32 = 1;
/// Longest report that is read, in bytes: ten times what the largest real one takes.
pub const REPORT_BYTES_MAX: usize = 16 * 1024;
/// Longest detail, in characters: the DDI limit of a message.
pub const DETAIL_CHARS_MAX: usize = 512;

/// A report that cannot be read.
#[derive(Debug, Error)]
pub enum ReportError {
    /// It is longer than [`REPORT_BYTES_MAX`].
    #[error("the report has {0} bytes, more than the {REPORT_BYTES_MAX} that are allowed")]
    TooLong(usize),
    /// It is no JSON of the right shape.
    #[error("the report is malformed")]
    Malformed(#[source] serde_json::Error),
    /// It has a version from the future.
    #[error("the report has version {0}; versions 1 to {VERSION} are understood")]
    UnknownVersion(u32),
    /// A field has a value that does not fit.
    #[error("the report's {field} does not fit: {why}")]
    Field {
        /// The name of the field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct RunningWire {
    image: String,
    version: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct ReportWire {
    version: u32,
    device: String,
    counter: u64,
    at: String,
    running: RunningWire,
    slot: String,
    confirmed: RunningWire,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<u64>,
    generation: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phase: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    downloaded_bytes: u64,
    #[serde(default)]
    full_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    way: Option<String>,
    #[serde(default)]
    loading_millis: u64,
    #[serde(default)]
    applying_millis: u64,
}

fn running_to_wire(running: &Running) -> RunningWire {
    RunningWire { image: running.image.to_string(), version: running.version.to_string() }
}

/// Writes a report as JSON of the newest version.
pub fn write(report: &StateReport) -> Vec<u8> {
    let wire = ReportWire {
        version: VERSION,
        device: report.device.to_string(),
        counter: report.counter,
        at: report.at.to_string(),
        running: running_to_wire(&report.running),
        slot: report.slot.word().to_owned(),
        confirmed: running_to_wire(&report.confirmed),
        action: report.action.map(|action| action.0),
        generation: report.generation.0,
        phase: report.phase.map(|phase| phase.word().to_owned()),
        cause: report.cause.map(|cause| cause.word().to_owned()),
        detail: report.detail.chars().take(DETAIL_CHARS_MAX).collect(),
        downloaded_bytes: report.downloaded.0,
        full_bytes: report.full.0,
        way: report.way.map(|way| way.word().to_owned()),
        loading_millis: report.loading_millis,
        applying_millis: report.applying_millis,
    };
    // A struct of texts and numbers always has a JSON form.
    serde_json::to_vec(&wire).unwrap_or_default()
}

fn field<T, E: std::fmt::Display>(field: &'static str, value: Result<T, E>) -> Result<T, ReportError> {
    value.map_err(|error| ReportError::Field { field, why: error.to_string() })
}

fn running_of(name: &'static str, wire: &RunningWire) -> Result<Running, ReportError> {
    Ok(Running {
        image: field(name, wire.image.parse::<Sha256Digest>())?,
        version: field(name, wire.version.parse::<Version>())?,
    })
}

/// Reads a report of any known version.
pub fn read(bytes: &[u8]) -> Result<StateReport, ReportError> {
    if bytes.len() > REPORT_BYTES_MAX {
        return Err(ReportError::TooLong(bytes.len()));
    }
    let wire: ReportWire = serde_json::from_slice(bytes).map_err(ReportError::Malformed)?;
    if !(1..=VERSION).contains(&wire.version) {
        return Err(ReportError::UnknownVersion(wire.version));
    }
    Ok(StateReport {
        device: field("device", wire.device.parse::<DeviceId>())?,
        counter: wire.counter,
        at: field("at", wire.at.parse::<Timestamp>())?,
        running: running_of("running", &wire.running)?,
        slot: field("slot", wire.slot.parse::<Slot>())?,
        confirmed: running_of("confirmed", &wire.confirmed)?,
        action: wire.action.map(ActionId),
        generation: Generation(wire.generation),
        phase: wire.phase.map(|word| field("phase", word.parse::<ReportPhase>())).transpose()?,
        cause: wire.cause.map(|word| field("cause", word.parse::<Cause>())).transpose()?,
        detail: wire.detail.chars().take(DETAIL_CHARS_MAX).collect(),
        downloaded: ByteCount(wire.downloaded_bytes),
        full: ByteCount(wire.full_bytes),
        // A way that a newer agent knows is no reason to refuse what else it says.
        way: wire.way.and_then(|word| word.parse::<Way>().ok()),
        loading_millis: wire.loading_millis,
        applying_millis: wire.applying_millis,
    })
}

#[cfg(test)]
mod tests {
    use warden_model::report::{StateReport, Way};

    use super::{REPORT_BYTES_MAX, ReportError, read, write};

    const VERSION_1: &str = r#"{"version":1,"device":"cam-01","counter":7,"at":"2026-11-22T08:00:00Z",
        "running":{"image":"0101010101010101010101010101010101010101010101010101010101010101","version":"1.1"},"slot":"b",
        "confirmed":{"image":"0202020202020202020202020202020202020202020202020202020202020202","version":"1.0"},
        "action":3,"generation":9,"phase":"BOOTED","downloaded_bytes":5,"full_bytes":50,"added_later":true}"#;

    #[test]
    fn version_1_stays_readable_and_survives_the_way_there_and_back() {
        let report = read(VERSION_1.as_bytes()).unwrap();
        assert_eq!(read(&write(&report)).unwrap(), report);
    }

    #[test]
    fn what_an_update_cost_is_read_where_it_is_told() {
        let old = read(VERSION_1.as_bytes()).unwrap();
        assert_eq!(
            (old.way, old.loading_millis, old.applying_millis),
            (None, 0, 0),
            "an agent that does not tell"
        );
        let told = |way: &str| {
            let fields = format!(r#""way":"{way}","loading_millis":70,"applying_millis":8,"full_bytes""#);
            read(VERSION_1.replace(r#""full_bytes""#, &fields).as_bytes()).unwrap()
        };
        let new = told("patch");
        assert_eq!((new.way, new.loading_millis, new.applying_millis), (Some(Way::Patch), 70, 8));
        assert_eq!(read(&write(&new)).unwrap(), new);
        assert_eq!(told("carrier-pigeon").way, None, "a way of the future is no reason to refuse the rest");
    }

    /// What servers knew before the cost of an update was told; they read no more than this.
    #[derive(serde::Deserialize)]
    struct Before {
        version: u32,
        downloaded_bytes: u64,
    }

    #[test]
    fn servers_of_before_read_reports_of_now() {
        let report = StateReport { way: Some(Way::Index), ..read(VERSION_1.as_bytes()).unwrap() };
        let before: Before = serde_json::from_slice(&write(&report)).unwrap();
        assert_eq!((before.version, before.downloaded_bytes), (1, 5));
    }

    #[test]
    fn refuses_with_the_name_of_the_field() {
        let check = |from: &str, to: &str, expected: &str| {
            let error = read(VERSION_1.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(r#""version":1,"#, r#""version":2,"#, "version 2");
        check("BOOTED", "FLYING", "phase");
        check(r#""slot":"b""#, r#""slot":"c""#, "slot");
        check("cam-01", "../cam", "device");
        assert!(matches!(read(&vec![b' '; REPORT_BYTES_MAX + 1]), Err(ReportError::TooLong(_))));
    }
}
