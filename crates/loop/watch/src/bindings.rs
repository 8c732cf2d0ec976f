//! Which device had which address when.
//!
//! In: leases and sightings. Out: the device behind an address at a moment. Refuses: histories without an end: per
//! address only the newest changes are kept.

use std::collections::BTreeMap;
use std::net::IpAddr;

use warden_model::{DeviceId, Timestamp};

/// Most changes that are kept for one address. Flows are read minutes after they ended, long ones after days; even an
/// address whose lease changes daily is told apart for two months.
pub const CHANGES_PER_ADDRESS_MAX: usize = 64;

/// Addresses of devices over time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bindings {
    history: BTreeMap<IpAddr, BTreeMap<Timestamp, Option<DeviceId>>>,
}

impl Bindings {
    /// Notes that a device has an address from a moment on.
    pub fn bind(&mut self, address: IpAddr, device: DeviceId, from: Timestamp) {
        self.note(address, Some(device), from);
    }

    /// Notes that nobody known has an address from a moment on.
    pub fn release(&mut self, address: IpAddr, from: Timestamp) {
        self.note(address, None, from);
    }

    /// Returns the device that had an address at a moment.
    pub fn device_of(&self, address: IpAddr, at: Timestamp) -> Option<&DeviceId> {
        let (_, device) = self.history.get(&address.to_canonical())?.range(..=at).next_back()?;
        device.as_ref()
    }

    fn note(&mut self, address: IpAddr, device: Option<DeviceId>, from: Timestamp) {
        let changes = self.history.entry(address.to_canonical()).or_default();
        // The same word again changes nothing: only the first moment counts.
        if changes.range(..=from).next_back().is_some_and(|(_, before)| *before == device) {
            return;
        }
        changes.insert(from, device);
        if changes.len() > CHANGES_PER_ADDRESS_MAX {
            changes.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use warden_model::{DeviceId, Timestamp};

    use super::{Bindings, CHANGES_PER_ADDRESS_MAX};

    #[test]
    fn an_address_belongs_to_who_had_it_then() {
        let address = "10.0.0.7".parse().unwrap();
        let id = |text: &str| DeviceId::new(text).unwrap();
        let mut bindings = Bindings::default();
        bindings.bind(address, id("b"), Timestamp(2_000));
        bindings.bind(address, id("a"), Timestamp(1_000));
        bindings.release(address, Timestamp(3_000));
        let check = |at: i64, device: Option<&str>| {
            assert_eq!(bindings.device_of(address, Timestamp(at)).map(DeviceId::as_str), device, "{at}");
        };
        check(999, None);
        check(1_000, Some("a"));
        check(1_999, Some("a"));
        check(2_000, Some("b"));
        check(3_000, None);
        assert_eq!(bindings.device_of("::ffff:10.0.0.7".parse().unwrap(), Timestamp(2_500)), Some(&id("b")));
    }

    #[test]
    fn the_history_has_an_end() {
        let address = "10.0.0.7".parse().unwrap();
        let mut bindings = Bindings::default();
        for at in 0..1_000 {
            bindings.bind(address, DeviceId::new(format!("d{at}")).unwrap(), Timestamp(at));
        }
        assert_eq!(bindings.history[&address].len(), CHANGES_PER_ADDRESS_MAX);
        assert_eq!(bindings.device_of(address, Timestamp(999)).unwrap().as_str(), "d999");
    }
}
