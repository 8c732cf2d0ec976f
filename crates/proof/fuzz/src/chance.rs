//! A small source of chance that is the same for the same seed (SplitMix64).
//!
//! In: a seed. Out: numbers, choices, bytes. Refuses nothing.

/// The source.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Starts the source of one run: the seed of all, and the number of the run.
    pub(crate) fn of(seed: u64, run: u64) -> Self {
        let mut chance = Self(seed);
        chance.0 = chance.next() ^ run.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        chance
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number below `limit`; 0 when that is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    /// Picks one.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let place = self.below(from.len());
        from.get(place)
    }

    /// Returns a number that borders on something: powers of two and their neighbours, or what was there, a bit off.
    pub(crate) fn number(&mut self, was: u64) -> u64 {
        let power = 1_u64.rotate_left(u32::from(self.byte()) % 64);
        match self.below(7) {
            0 => power,
            1 => power.wrapping_sub(1),
            2 => was.wrapping_add(1),
            3 => was.wrapping_sub(1),
            4 => was ^ power,
            5 => self.next() % 300,
            _ => [0, u64::MAX, u64::from(u32::MAX), was.wrapping_mul(2)]
                .get(self.below(4))
                .copied()
                .unwrap_or(0),
        }
    }
}
