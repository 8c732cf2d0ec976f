//! Unpacked stretches, the last used ones.
//!
//! In: stretches, each with a key. Out: those that are still held. Refuses nothing: what does not fit drives out what
//! was not used for the longest time.

use std::collections::BTreeMap;

/// What holding a stretch costs besides its bytes, at most: its slot and its key, in tables that may be half empty.
pub(super) const SLOT_BYTES: u64 = 256;

/// A layer and a place in its table.
pub(super) type Key = (usize, usize);

/// Stretches by key, up to a number of bytes.
#[derive(Debug)]
pub(super) struct Cache {
    slots: Vec<Slot>,
    by_key: BTreeMap<Key, usize>,
    cost: u64,
    cost_max: u64,
    uses: u64,
    /// The slot that was used last: asked first, since reading goes forward.
    last: usize,
}

#[derive(Debug)]
struct Slot {
    key: Key,
    bytes: Vec<u8>,
    used: u64,
}

impl Slot {
    fn cost(&self) -> u64 {
        (self.bytes.len() as u64).saturating_add(SLOT_BYTES)
    }
}

impl Cache {
    /// Makes a cache that holds up to `bytes_max` bytes, and always the last stretch.
    pub(super) fn new(bytes_max: u64) -> Self {
        let by_key = BTreeMap::new();
        Self { slots: Vec::new(), by_key, cost: 0, cost_max: bytes_max, uses: 0, last: 0 }
    }

    /// Returns a stretch, if it is held.
    pub(super) fn get(&mut self, key: Key) -> Option<&[u8]> {
        if self.slots.get(self.last).is_none_or(|slot| slot.key != key) {
            self.last = *self.by_key.get(&key)?;
        }
        self.uses = self.uses.saturating_add(1);
        let slot = self.slots.get_mut(self.last)?;
        slot.used = self.uses;
        Some(&slot.bytes)
    }

    /// Makes room for a stretch of `len` bytes that is about to be unpacked; returns memory to unpack it into, empty.
    pub(super) fn make_room(&mut self, len: u64) -> Vec<u8> {
        let cost = len.saturating_add(SLOT_BYTES);
        let mut room = Vec::new();
        while self.cost.saturating_add(cost) > self.cost_max {
            let Some(bytes) = self.drop_oldest() else { break };
            room = bytes;
        }
        room.clear();
        // What was held for a longer stretch would make the cache larger than it says.
        if room.capacity() as u64 > len { Vec::new() } else { room }
    }

    /// Holds a stretch.
    pub(super) fn put(&mut self, key: Key, bytes: Vec<u8>) {
        self.uses = self.uses.saturating_add(1);
        let slot = Slot { key, bytes, used: self.uses };
        self.cost = self.cost.saturating_add(slot.cost());
        self.last = self.slots.len();
        self.by_key.insert(key, self.last);
        self.slots.push(slot);
    }

    /// Returns how many bytes are held, housekeeping included.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> u64 {
        self.cost
    }

    fn drop_oldest(&mut self) -> Option<Vec<u8>> {
        let (index, _) = self.slots.iter().enumerate().min_by_key(|(_, slot)| slot.used)?;
        let slot = self.slots.swap_remove(index);
        self.by_key.remove(&slot.key);
        if let Some(moved) = self.slots.get(index) {
            self.by_key.insert(moved.key, index);
        }
        self.cost = self.cost.saturating_sub(slot.cost());
        Some(slot.bytes)
    }
}
