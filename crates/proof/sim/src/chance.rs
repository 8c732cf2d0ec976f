//! Chance with a seed: the same seed always draws the same numbers.
//!
//! In: a seed. Out: numbers (`SplitMix64`, <https://prng.di.unimi.it/splitmix64.c>). Refuses: any other source of chance.

use warden_model::{PerMille, Sha256Digest};

/// A stream of numbers.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Starts a stream.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Draws a number from `low` to `high`, both included; `low` when the range is empty.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        match high.checked_sub(low).map(|span| span.saturating_add(1)) {
            // The bias of the remainder is below 1 in 2^40 for every range that a simulation asks for.
            Some(span) => low + self.draw() % span,
            None => low,
        }
    }

    /// Says whether something happens that happens this often.
    pub fn happens(&mut self, share: PerMille) -> bool {
        share > PerMille::ZERO && self.draw() % 1000 < u64::from(share.get())
    }
}

/// Returns the digest that stands for the bytes of that name; the simulator has names instead of bytes.
pub fn digest_of(name: &str) -> Sha256Digest {
    // FNV-1a spreads the name over a seed, the stream fills the digest.
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let mut chance = Chance::new(seed);
    let mut bytes = [0_u8; 32];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&chance.draw().to_be_bytes());
    }
    Sha256Digest(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Chance, digest_of};
    use warden_model::PerMille;

    #[test]
    fn the_same_seed_draws_the_same_numbers() {
        // The reference implementation's first numbers for seed 1234567.
        let mut chance = Chance::new(1_234_567);
        assert_eq!(chance.draw(), 6_457_827_717_110_365_317);
        assert_eq!(chance.draw(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn shares_and_ranges_keep_their_limits() {
        let mut chance = Chance::new(1);
        assert!((0..1000).all(|_| !chance.happens(PerMille::ZERO)));
        assert!((0..1000).all(|_| chance.happens(PerMille::ALL)));
        assert!((0..1000).all(|_| (3..=5).contains(&chance.between(3, 5))));
        assert_ne!(digest_of("a"), digest_of("b"));
    }
}
