//! Products: what all devices of one kind have in common.

use std::collections::BTreeSet;

use crate::words::words;
use crate::{HardwareId, ProductId, Timestamp};

words! {
    /// How reachable a device is for an attacker: "System Exposure" of CISA SSVC.
    pub enum Exposure: "exposure" {
        /// Local, or in a network of its own.
        Small = "small",
        /// Inside a zone that filters.
        Controlled = "controlled",
        /// Reachable from the internet or from an untrusted network.
        Open = "open",
    }
}

words! {
    /// Whether the maker still ships updates.
    pub enum Support: "support status" {
        /// Updates still come.
        Supported = "supported",
        /// No update will ever come: shield until retired.
        Ended = "ended",
    }
}

/// A kind of device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Names the product.
    pub id: ProductId,
    /// What people call it.
    pub name: String,
    /// The boards that its firmware runs on.
    pub boards: BTreeSet<HardwareId>,
    /// When the last update comes; absent while no end is known.
    pub support_ends: Option<Timestamp>,
    /// How reachable its devices are where they stand.
    pub exposure: Exposure,
}

impl Product {
    /// Says whether updates still come at `now`.
    pub fn support(&self, now: Timestamp) -> Support {
        match self.support_ends {
            Some(end) if end <= now => Support::Ended,
            Some(_) | None => Support::Supported,
        }
    }
}
