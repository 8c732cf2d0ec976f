//! Which device a scanned host is.
//!
//! In: what a report says of a host, and what is known of each device: hardware addresses, certificate, serial numbers, names,
//! and the addresses that it had, each with its time. Out: one device and by what it was known, or the reason why none. Refuses
//! to guess: where two devices fit, or an address changed hands while the scan ran, the host stays unmatched.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use warden_model::scan::{Mac, ScannedHost, Tie, Unmatched};
use warden_model::{DeviceId, Seconds, Timestamp};

/// For how long after its last sign of life an address still counts as a device's: the usual lease of DHCP servers.
pub const ADDRESS_HOLDS: Seconds = Seconds::hours(24);

/// How far the clocks of scanner and server may differ; scanners tell whole seconds, too.
const CLOCKS_DIFFER: Seconds = Seconds(60);

/// An address that a device had, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// The address.
    pub address: IpAddr,
    /// From when on.
    pub from: Timestamp,
    /// Until when: the device's last sign of life there.
    pub to: Timestamp,
}

/// What is known of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceIdentity {
    /// The device.
    pub device: DeviceId,
    /// The hardware addresses that its agent told.
    pub macs: BTreeSet<Mac>,
    /// The identity in its certificate, as URI.
    pub certificate: String,
    /// The serial numbers that its agent told, in lower case.
    pub serials: BTreeSet<String>,
    /// Its host names, in lower case.
    pub names: BTreeSet<String>,
    /// The addresses that it had.
    pub addresses: Vec<Held>,
}

/// A device at an address: until when it counts as being there.
#[derive(Debug)]
struct Hold<'a> {
    device: &'a DeviceId,
    from: Timestamp,
    to: Timestamp,
}

/// All devices, ready to be looked up.
#[derive(Debug, Default)]
pub struct Directory<'a> {
    macs: BTreeMap<Mac, BTreeSet<&'a DeviceId>>,
    certificates: BTreeMap<&'a str, BTreeSet<&'a DeviceId>>,
    serials: BTreeMap<&'a str, BTreeSet<&'a DeviceId>>,
    names: BTreeMap<&'a str, BTreeSet<&'a DeviceId>>,
    addresses: BTreeMap<IpAddr, Vec<Hold<'a>>>,
    hardware: BTreeMap<&'a DeviceId, &'a BTreeSet<Mac>>,
}

impl<'a> Directory<'a> {
    /// Makes the directory.
    pub fn new(devices: &'a [DeviceIdentity]) -> Self {
        let mut directory = Self::default();
        for known in devices {
            let device = &known.device;
            for mac in known.macs.iter().filter(|mac| mac.is_individual()) {
                directory.macs.entry(*mac).or_default().insert(device);
            }
            directory.certificates.entry(&known.certificate).or_default().insert(device);
            for serial in &known.serials {
                directory.serials.entry(serial).or_default().insert(device);
            }
            for name in &known.names {
                directory.names.entry(name).or_default().insert(device);
            }
            for held in &known.addresses {
                let address = held.address.to_canonical();
                // Where it has been heard of at another address since, it has left this one; of the two families it may
                // have one each.
                let is_later = |other: &&Held| {
                    other.from > held.from && other.address.to_canonical().is_ipv4() == address.is_ipv4()
                };
                let left = known.addresses.iter().filter(is_later).map(|other| other.from).min();
                let to = held.to.plus(ADDRESS_HOLDS);
                let hold = Hold { device, from: held.from, to: left.map_or(to, |left| to.min(left)) };
                directory.addresses.entry(address).or_default().push(hold);
            }
            directory.hardware.insert(device, &known.macs);
        }
        directory
    }

    /// Returns the device that a host is; `span` is when the whole scan ran, for hosts that tell no time of their own.
    ///
    /// The first of these that knows the host decides: hardware address, certificate or serial number, the address at that
    /// time, the host name. A weaker sign never overrules a hardware address that both sides tell.
    pub fn device_of(
        &self,
        host: &ScannedHost,
        span: Option<(Timestamp, Timestamp)>,
    ) -> Result<(DeviceId, Tie), Unmatched> {
        let macs = host.macs.iter().filter_map(|mac| self.macs.get(mac));
        if let Some(found) = only(macs.flatten().copied(), Tie::Mac) {
            return found;
        }
        let certificates = host.certificates.iter().filter_map(|uri| self.certificates.get(uri.as_str()));
        let serials = host.serials.iter().filter_map(|serial| self.serials.get(serial.as_str()));
        if let Some(found) = only(certificates.chain(serials).flatten().copied(), Tie::Certificate) {
            return found;
        }
        if let Some(found) = self.by_address(host, host.seen.or(span)) {
            return found.and_then(|found| self.fits(host, found));
        }
        let names = host.names.iter().filter_map(|name| self.names.get(name.as_str()));
        match only(names.flatten().copied(), Tie::Name) {
            Some(found) => found.and_then(|found| self.fits(host, found)),
            None => Err(Unmatched::Unknown),
        }
    }

    /// Finds who had the addresses of a host from the beginning of its scan to the end. Without a time only an address that
    /// never had another device counts.
    fn by_address(
        &self,
        host: &ScannedHost,
        span: Option<(Timestamp, Timestamp)>,
    ) -> Option<Result<(DeviceId, Tie), Unmatched>> {
        let known = host.addresses.iter().filter_map(|address| self.addresses.get(&address.to_canonical()));
        let holds: Vec<&Hold<'_>> = known.flatten().collect();
        let Some((from, to)) = span else {
            return only(holds.iter().map(|hold| hold.device), Tie::Address);
        };
        let met = holds.iter().filter(|hold| hold.from <= to && hold.to >= from);
        let there: BTreeSet<&DeviceId> = met.map(|hold| hold.device).collect();
        let throughout = |hold: &&&Hold<'_>| hold.from <= from.plus(CLOCKS_DIFFER) && hold.to >= to;
        let whole: BTreeSet<&DeviceId> = holds.iter().filter(throughout).map(|hold| hold.device).collect();
        match (there.len(), whole.len()) {
            (0, _) => None,
            (1, 1) => only(whole.into_iter(), Tie::Address),
            (_, _) => Some(Err(Unmatched::ChangedHands { devices: there.into_iter().cloned().collect() })),
        }
    }

    /// A device that tells hardware addresses, none of which the host has, is another one.
    fn fits(&self, host: &ScannedHost, found: (DeviceId, Tie)) -> Result<(DeviceId, Tie), Unmatched> {
        let (device, tie) = found;
        let mut seen = host.macs.iter().filter(|mac| mac.is_individual()).peekable();
        let known = self.hardware.get(&device);
        let contradicts = known.is_some_and(|known| {
            !known.is_empty() && seen.peek().is_some() && !seen.any(|mac| known.contains(mac))
        });
        if contradicts { Err(Unmatched::OtherHardware { device, tie }) } else { Ok((device, tie)) }
    }
}

/// Returns the only device, or that there are several; nothing where there is none.
fn only<'a>(
    devices: impl Iterator<Item = &'a DeviceId>,
    tie: Tie,
) -> Option<Result<(DeviceId, Tie), Unmatched>> {
    let devices: BTreeSet<DeviceId> = devices.cloned().collect();
    match devices.len() {
        0 => None,
        1 => devices.into_iter().next().map(|device| Ok((device, tie))),
        _ => Some(Err(Unmatched::Several { tie, devices })),
    }
}

#[cfg(test)]
mod tests;
