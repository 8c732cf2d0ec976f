//! Alerts: something that a device did and its product never did.

use crate::words::words;
use crate::{AlertId, DeviceId, Timestamp};

words! {
    /// What kind of alert it is.
    pub enum AlertKind: "alert kind" {
        /// The device talks to a destination outside what its product ever used.
        NewDestination = "new-destination",
        /// An intrusion-detection rule fired on the device's traffic.
        IntrusionRule = "intrusion-rule",
    }
}

words! {
    /// The log that an alert came from.
    pub enum Sensor: "sensor" {
        /// A Suricata `eve.json`.
        Suricata = "suricata",
        /// A Zeek `conn.log`.
        Zeek = "zeek",
    }
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Names the alert; the same observation always makes the same id.
    pub id: AlertId,
    /// The device.
    pub device: DeviceId,
    /// What kind it is.
    pub kind: AlertKind,
    /// The log that it came from.
    pub sensor: Sensor,
    /// When it happened.
    pub at: Timestamp,
    /// The destination, as the baseline names it: `name:port/proto`, else `address:port/proto`.
    pub destination: String,
    /// One sentence for people: what was seen, and what is usual.
    pub reason: String,
}
