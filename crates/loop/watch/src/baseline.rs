//! What the devices of a product usually talk to, and alerts for what they never did.
//!
//! In: flows with the product and the device that opened them. Out: while the product is learning, a growing set of
//! destinations; afterwards alerts for all others. Refuses: to learn without an end, and to learn while it watches: what
//! a device does later is allowed by a person, never by repetition.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sha2::{Digest, Sha256};
use thiserror::Error;
use warden_model::alert::{Alert, AlertKind};
use warden_model::{AlertId, DeviceId, ProductId, Seconds, Timestamp};

use crate::destination::Destination;
use crate::observed::{Flow, Outcome, RuleHit, Transport};

/// Most destinations of one product. Profiles of real devices name 9 to 201; a product with five times that many has no
/// habits that a baseline could hold, and must not pretend to be watched.
pub const DESTINATIONS_PER_PRODUCT_MAX: usize = 1_024;

/// Whether a product's devices are being learned or watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// What they do becomes usual; there are no alerts.
    Learning,
    /// What is not usual makes an alert.
    Watching,
}

/// A product's phase, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProductPhase {
    /// The product.
    pub product: ProductId,
    /// Its phase.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
}

/// A usual destination, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The product.
    pub product: ProductId,
    /// The destination.
    pub destination: Destination,
    /// When it was first used or allowed.
    pub first_seen: Timestamp,
    /// How many flows went there while the product was learning; 0 when a person allowed it.
    pub flows: u64,
}

/// What a flow taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// A destination that was not known.
    New,
    /// Nothing new.
    Known,
}

/// A flow that cannot be learned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BaselineError {
    /// The product is being watched.
    #[error("product {product} is being watched: what it does now does not become usual by itself")]
    Watching {
        /// The product.
        product: ProductId,
    },
    /// The product has no habits that can be learned.
    #[error("product {product} already has the {DESTINATIONS_PER_PRODUCT_MAX} destinations that are learned")]
    Full {
        /// The product.
        product: ProductId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Habits {
    phase: Phase,
    since: Timestamp,
    known: BTreeMap<Destination, (Timestamp, u64)>,
}

/// What is usual, by product: a device that is new profits from what its kind has done before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Baseline {
    products: BTreeMap<ProductId, Habits>,
}

impl Baseline {
    /// Makes a baseline of what was stored; an entry of a product without a phase is dropped.
    pub fn from_entries(
        phases: impl IntoIterator<Item = ProductPhase>,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Self {
        let habits =
            |p: ProductPhase| (p.product, Habits { phase: p.phase, since: p.since, known: BTreeMap::new() });
        let mut products: BTreeMap<ProductId, Habits> = phases.into_iter().map(habits).collect();
        for entry in entries {
            if let Some(habits) = products.get_mut(&entry.product) {
                habits.known.insert(entry.destination, (entry.first_seen, entry.flows));
            }
        }
        Self { products }
    }

    /// Returns all phases, sorted.
    pub fn phases(&self) -> Vec<ProductPhase> {
        let phase = |(product, habits): (&ProductId, &Habits)| ProductPhase {
            product: product.clone(),
            phase: habits.phase,
            since: habits.since,
        };
        self.products.iter().map(phase).collect()
    }

    /// Returns all usual destinations, sorted.
    pub fn entries(&self) -> Vec<Entry> {
        let entries = |(product, habits): (&ProductId, &Habits)| {
            let entry = |(destination, (first_seen, flows)): (&Destination, &(Timestamp, u64))| Entry {
                product: product.clone(),
                destination: destination.clone(),
                first_seen: *first_seen,
                flows: *flows,
            };
            habits.known.iter().map(entry).collect::<Vec<_>>()
        };
        self.products.iter().flat_map(entries).collect()
    }

    /// Returns a product's phase; absent while none of its flows was seen.
    pub fn phase(&self, product: &ProductId) -> Option<Phase> {
        self.products.get(product).map(|habits| habits.phase)
    }

    /// Says whether a product has learned for so long and from so many flows.
    pub fn has_learned(
        &self,
        product: &ProductId,
        for_at_least: Seconds,
        flows: u64,
        now: Timestamp,
    ) -> bool {
        self.products.get(product).is_some_and(|habits| {
            habits.phase == Phase::Learning
                && now.since(habits.since) >= for_at_least
                && habits.known.values().map(|(_, flows)| flows).sum::<u64>() >= flows
        })
    }

    /// Puts a product into a phase; going back to learning keeps what is known.
    pub fn enter(&mut self, product: &ProductId, phase: Phase, at: Timestamp) {
        let habits = self.habits(product, at);
        if habits.phase != phase {
            habits.phase = phase;
            habits.since = at;
        }
    }

    /// Takes a flow in as usual. A product that is seen for the first time starts to learn here.
    pub fn learn(&mut self, product: &ProductId, flow: &Flow) -> Result<Learned, BaselineError> {
        let habits = self.habits(product, flow.at);
        if habits.phase == Phase::Watching {
            return Err(BaselineError::Watching { product: product.clone() });
        }
        habits.add(product, Destination::of(flow), flow.at, 1)
    }

    /// Makes a destination usual because a person says so, in whichever phase the product is.
    pub fn allow(
        &mut self,
        product: &ProductId,
        destination: Destination,
        at: Timestamp,
    ) -> Result<Learned, BaselineError> {
        self.habits(product, at).add(product, destination, at, 0)
    }

    /// Judges a flow that a device has opened. The same device, destination and day (UTC) make the same alert id, so
    /// that a flood of flows is one alert. Nothing is judged while the product is learning.
    pub fn judge(&self, product: &ProductId, device: &DeviceId, flow: &Flow) -> Option<Alert> {
        let habits = self.products.get(product).filter(|habits| habits.phase == Phase::Watching)?;
        let destination = Destination::of(flow);
        if habits.known.contains_key(&destination) {
            return None;
        }
        let kind = AlertKind::NewDestination;
        let app = flow.app.as_deref().map(|app| format!(" ({app})")).unwrap_or_default();
        let shown = shown_destination(flow);
        let reason = format!(
            "{device} called {shown}{app}; no {product} had ever called {}: {} destinations are usual, watched since {}",
            destination.missing(),
            habits.known.len(),
            habits.since,
        );
        Some(Alert {
            id: alert_id(kind, device, &destination.to_string(), flow.at)?,
            device: device.clone(),
            kind,
            sensor: flow.sensor,
            at: flow.at,
            destination: shown,
            reason,
        })
    }

    fn habits(&mut self, product: &ProductId, at: Timestamp) -> &mut Habits {
        let new = || Habits { phase: Phase::Learning, since: at, known: BTreeMap::new() };
        self.products.entry(product.clone()).or_insert_with(new)
    }
}

impl Habits {
    fn add(
        &mut self,
        product: &ProductId,
        destination: Destination,
        at: Timestamp,
        flows: u64,
    ) -> Result<Learned, BaselineError> {
        if let Some((first_seen, count)) = self.known.get_mut(&destination) {
            *first_seen = at.min(*first_seen);
            *count += flows;
            return Ok(Learned::Known);
        }
        if self.known.len() >= DESTINATIONS_PER_PRODUCT_MAX {
            return Err(BaselineError::Full { product: product.clone() });
        }
        self.known.insert(destination, (at, flows));
        Ok(Learned::New)
    }
}

/// Makes the alert of a rule that matched on a device's traffic; one alert a rule, device and day.
pub fn rule_alert(hit: &RuleHit, device: &DeviceId) -> Option<Alert> {
    let kind = AlertKind::IntrusionRule;
    let ends = format!(
        "{} to {}",
        hit.source,
        shown_address(SocketAddr::new(hit.destination, hit.port), hit.protocol)
    );
    let outcome = match hit.outcome {
        Outcome::Allowed => "and the packet went through",
        Outcome::Blocked => "and the packet was dropped",
    };
    let named =
        if hit.cves.is_empty() { String::new() } else { format!(", which names {}", hit.cves.join(", ")) };
    let reason = format!(
        "rule {} \"{}\" (severity {}) matched from {ends}{named}, {outcome}",
        hit.sid, hit.signature, hit.severity
    );
    Some(Alert {
        id: alert_id(kind, device, &format!("{} {}", hit.sid, hit.signature), hit.at)?,
        device: device.clone(),
        kind,
        sensor: hit.sensor,
        at: hit.at,
        destination: shown_address(SocketAddr::new(hit.destination, hit.port), hit.protocol),
        reason,
    })
}

fn shown_destination(flow: &Flow) -> String {
    match &flow.name {
        Some(name) => format!("{}:{}/{}", name.text, flow.port, flow.protocol),
        None => shown_address(SocketAddr::new(flow.destination, flow.port), flow.protocol),
    }
}

fn shown_address(address: SocketAddr, protocol: Transport) -> String {
    format!("{address}/{protocol}")
}

/// Makes the id of an alert: the first half of a SHA-256 over what makes it the same alert. It always fits an id.
fn alert_id(kind: AlertKind, device: &DeviceId, what: &str, at: Timestamp) -> Option<AlertId> {
    let day = at.unix_seconds().div_euclid(86_400);
    let digest = Sha256::digest(format!("{kind}\n{device}\n{day}\n{what}"));
    let half = digest.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    AlertId::new(format!("alert-{half:032x}")).ok()
}

#[cfg(test)]
mod tests;
