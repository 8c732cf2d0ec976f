//! What the server knows of each device that a scanner may see too: hardware addresses, serial numbers, names, addresses.
//!
//! In: the fleet in the store. Out: identities. Refuses: attributes that are no address, quietly: devices may tell what they like.

use std::collections::{BTreeMap, BTreeSet};

use warden_assess::hosts::{DeviceIdentity, Held};
use warden_model::DeviceId;
use warden_model::scan::Mac;
use warden_store::StoreError;
use warden_trust::identity::spiffe_uri;

use crate::context::Shared;

/// Most hardware addresses, serial numbers or names of one device; a switch with 48 ports has some more than that many.
const EACH_MAX: usize = 64;

/// Returns what is known of all devices.
pub(super) async fn of_fleet(context: &Shared) -> Result<Vec<DeviceIdentity>, StoreError> {
    let mut attributes: BTreeMap<DeviceId, BTreeMap<String, String>> =
        context.store.all_attributes().await?.into_iter().collect();
    let mut held: BTreeMap<DeviceId, Vec<Held>> = BTreeMap::new();
    for one in context.store.addresses_held().await? {
        held.entry(one.device).or_default().push(Held {
            address: one.address,
            from: one.since,
            to: one.until,
        });
    }
    let devices = context.store.all_devices().await?;
    Ok(devices
        .into_iter()
        .map(|device| {
            let certificate = spiffe_uri(&context.trust_domain, &device.id);
            let told = attributes.remove(&device.id).unwrap_or_default();
            let addresses = held.remove(&device.id).unwrap_or_default();
            identity(device.id, certificate, &told, addresses)
        })
        .collect())
}

fn identity(
    device: DeviceId,
    certificate: String,
    told: &BTreeMap<String, String>,
    addresses: Vec<Held>,
) -> DeviceIdentity {
    let values = |fits: &dyn Fn(&str) -> bool| -> Vec<&str> {
        let named = told.iter().filter(|(key, _)| fits(&key.to_ascii_lowercase()));
        let parts = named.flat_map(|(_, value)| value.split([',', ' ', ';']));
        parts.map(str::trim).filter(|part| !part.is_empty()).take(EACH_MAX).collect()
    };
    // Devices are often named after their hardware address or serial number, and answer to their name in the network.
    let mut macs: BTreeSet<Mac> = device.as_str().parse().ok().into_iter().collect();
    let is_mac =
        |key: &str| key.split(['.', '_', '-', '/']).any(|word| matches!(word, "mac" | "macs" | "hwaddr"));
    macs.extend(values(&is_mac).into_iter().filter_map(|mac| mac.parse::<Mac>().ok()));
    let is_serial = |key: &str| key.contains("serial") || key.ends_with("uuid");
    let mut serials: BTreeSet<String> = values(&is_serial).into_iter().map(str::to_ascii_lowercase).collect();
    serials.insert(device.as_str().to_ascii_lowercase());
    let is_name =
        |key: &str| matches!(key, "hostname" | "host_name" | "host-name" | "fqdn" | "dns" | "dns_name");
    let told = values(&is_name).into_iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    let mut names: BTreeSet<String> = told.collect();
    names.insert(device.as_str().to_ascii_lowercase());
    DeviceIdentity { device, macs, certificate, serials, names, addresses }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::identity;

    #[test]
    fn attributes_name_a_device_in_many_ways() {
        let told: BTreeMap<String, String> = [
            ("mac", "02:00:00:00:00:01"),
            ("net.eth1.MAC", "02-00-00-00-00-02, nonsense"),
            ("Serial-Number", "SN-1"),
            ("hostname", "Cam.Example."),
            ("machine", "02:00:00:00:00:09"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let known =
            identity("02:00:00:00:00:03".parse().unwrap(), "spiffe://x".to_owned(), &told, Vec::new());
        let macs: Vec<String> = known.macs.iter().map(ToString::to_string).collect();
        assert_eq!(macs, ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"]);
        assert_eq!(known.serials.into_iter().collect::<Vec<_>>(), ["02:00:00:00:00:03", "sn-1"]);
        assert_eq!(known.names.into_iter().collect::<Vec<_>>(), ["02:00:00:00:00:03", "cam.example"]);
    }
}
