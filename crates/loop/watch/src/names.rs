//! Which name an address had for a client.
//!
//! In: resolvers' answers. Out: flows with the name that the client had asked for. Refuses: names older than a day, and
//! more answers than it can hold; both are counted or follow from the flow's own time.

use std::collections::BTreeMap;
use std::net::IpAddr;

use warden_model::{Seconds, Timestamp};

use crate::observed::{self, Flow, Name, NameSource};

/// How long an answer counts. Times to live are minutes, but devices hold on to an address for as long as a connection
/// lasts, and a connection is often logged only when it ends: a day covers the daily reconnects of cloud services.
pub const NAME_LIFETIME: Seconds = Seconds::days(1);

/// Most pairs of client and address. At about 200 bytes each this is 20 MiB, and 100 names for each of 1,000 devices.
pub const PAIRS_MAX: usize = 100_000;

/// Most names of one pair: content networks put many names on one address, a device asks for few of them.
const NAMES_PER_PAIR_MAX: usize = 8;

/// Names of addresses, by client: what one device was told says nothing about another.
#[derive(Debug, Clone, Default)]
pub struct Names {
    pairs: BTreeMap<(IpAddr, IpAddr), BTreeMap<String, Timestamp>>,
    dropped: u64,
}

impl Names {
    /// Takes an answer in.
    pub fn learn(&mut self, answer: &observed::Names) {
        for address in &answer.addresses {
            let pair = (answer.client.to_canonical(), address.to_canonical());
            if self.pairs.len() >= PAIRS_MAX && !self.pairs.contains_key(&pair) {
                self.forget_before(answer.at);
            }
            if self.pairs.len() >= PAIRS_MAX && !self.pairs.contains_key(&pair) {
                self.dropped += 1;
                continue;
            }
            let names = self.pairs.entry(pair).or_default();
            let latest = names.get(&answer.name).map_or(answer.at, |before| answer.at.max(*before));
            names.insert(answer.name.clone(), latest);
            if names.len() > NAMES_PER_PAIR_MAX {
                let oldest = names.iter().min_by_key(|(_, at)| **at).map(|(name, _)| name.clone());
                oldest.and_then(|name| names.remove(&name));
            }
        }
    }

    /// Gives a flow the name that its client had been told for the address. A name that the device only claims stands
    /// if a resolver had said so too; else what the resolver said goes before it.
    pub fn name(&self, flow: &mut Flow) {
        let pair = (flow.source.to_canonical(), flow.destination.to_canonical());
        let fresh = |at: &Timestamp| *at <= flow.at.plus(Seconds(1)) && flow.at.since(*at) <= NAME_LIFETIME;
        let Some(names) = self.pairs.get(&pair) else { return };
        let claimed = flow.name.as_ref().and_then(|name| names.get_key_value(&name.text));
        let latest = || names.iter().filter(|(_, at)| fresh(at)).max_by_key(|(_, at)| **at);
        if let Some((text, _)) = claimed.filter(|(_, at)| fresh(at)).or_else(latest) {
            flow.name = Some(Name { text: text.clone(), source: NameSource::Resolved });
        }
    }

    /// Returns how many answers found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn forget_before(&mut self, now: Timestamp) {
        for names in self.pairs.values_mut() {
            names.retain(|_, at| now.since(*at) <= NAME_LIFETIME);
        }
        self.pairs.retain(|_, names| !names.is_empty());
    }
}
