//! Hosts as reports name them, and the devices that they are.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Mac;
use crate::words::words;
use crate::{DeviceId, Timestamp};

/// What a report says of one host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScannedHost {
    /// The name that the report gives it: an address or a host name.
    pub name: String,
    /// Its addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// Its hardware addresses.
    pub macs: BTreeSet<Mac>,
    /// Its host names, in lower case, without the final dot.
    pub names: BTreeSet<String>,
    /// Serial numbers and identifiers of its board, in lower case.
    pub serials: BTreeSet<String>,
    /// Identities that stand in certificates which the host showed: `spiffe://…`.
    pub certificates: BTreeSet<String>,
    /// Its operating system, as the scanner guessed it.
    pub os: Option<String>,
    /// From when to when it was scanned, where the report says so; wide enough where the report leaves the time zone open.
    pub seen: Option<(Timestamp, Timestamp)>,
}

impl ScannedHost {
    /// Takes over what another part of the report says of the same host.
    pub fn merge(&mut self, other: Self) {
        self.addresses.extend(other.addresses);
        self.macs.extend(other.macs);
        self.names.extend(other.names);
        self.serials.extend(other.serials);
        self.certificates.extend(other.certificates);
        self.os = self.os.take().or(other.os);
        self.seen = match (self.seen, other.seen) {
            (Some((from, to)), Some((other_from, other_to))) => {
                Some((from.min(other_from), to.max(other_to)))
            }
            (seen, None) | (None, seen) => seen,
        };
    }
}

words! {
    /// By what a host was known to be a device; the surest first.
    pub enum Tie: "tie" {
        /// By a hardware address that the device's own agent told.
        Mac = "hardware address",
        /// By the device's certificate, or by a serial number that its agent told.
        Certificate = "certificate or serial number",
        /// By the address that the device had when the scan ran.
        Address = "address at that time",
        /// By its host name.
        Name = "host name",
    }
}

/// Why a host is no known device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unmatched {
    /// No device fits.
    Unknown,
    /// Several devices fit, and none of them better.
    Several {
        /// What they have in common with the host.
        tie: Tie,
        /// The devices.
        devices: BTreeSet<DeviceId>,
    },
    /// A device had the address, but not during the whole scan.
    ChangedHands {
        /// The devices that had it.
        devices: BTreeSet<DeviceId>,
    },
    /// A device fits, but tells another hardware address than the report.
    OtherHardware {
        /// The device.
        device: DeviceId,
        /// By what it fits.
        tie: Tie,
    },
    /// The report names no host.
    NoHost,
}

impl std::fmt::Display for Unmatched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |devices: &BTreeSet<DeviceId>| {
            devices.iter().map(DeviceId::as_str).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Unknown => f.write_str("no device has its hardware address, certificate, address or name"),
            Self::Several { tie, devices } => {
                write!(f, "several devices have its {tie}: {}", list(devices))
            }
            Self::ChangedHands { devices } => {
                write!(f, "nobody had its address during the whole scan; it was that of {}", list(devices))
            }
            Self::OtherHardware { device, tie } => {
                write!(f, "{device} has its {tie}, but another hardware address")
            }
            Self::NoHost => f.write_str("the report names no host"),
        }
    }
}
