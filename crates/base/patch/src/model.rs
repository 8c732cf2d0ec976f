//! How likely the next bit is: what each context has seen, weighed against each other by how right it was before.
//!
//! In: hashes of contexts, and each bit once it is known. Out: a probability. Refuses nothing: indices are masked.

use crate::coin::Coin;
use crate::tables::{squash, stretch};

/// What a context has seen: a probability and how much stands behind it.
pub trait Slot: Copy {
    /// A slot that has seen nothing.
    const FRESH: Self;

    /// Returns the probability of a 1.
    fn probability(self) -> u16;
    /// Returns how sure it is, 0 (has seen nothing) to 16.
    fn confidence(self) -> i32;
    /// Takes a bit into account.
    fn see(&mut self, bit: bool);
}

/// A slot of 32 bits: 22 bits of probability, 10 bits of count.
#[derive(Debug, Clone, Copy)]
pub struct Wide(u32);

/// How many bits a wide slot counts: with more, it would be too slow to notice a change.
const WIDE_COUNT_MAX: u32 = 255;

/// 65,536 / (n + 1.5).
static RATES: [u32; WIDE_COUNT_MAX as usize + 1] = rates();

#[expect(clippy::indexing_slicing, reason = "a table filled by the compiler: a wrong index does not compile")]
const fn rates() -> [u32; WIDE_COUNT_MAX as usize + 1] {
    let mut rates = [0; WIDE_COUNT_MAX as usize + 1];
    let mut count = 0;
    while count <= WIDE_COUNT_MAX {
        rates[count as usize] = 131_072 / (2 * count + 3);
        count += 1;
    }
    rates
}

impl Slot for Wide {
    const FRESH: Self = Self(1 << 31);

    #[inline]
    fn probability(self) -> u16 {
        let [high, low, ..] = self.0.to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    #[inline]
    fn confidence(self) -> i32 {
        #[expect(clippy::cast_possible_wrap, reason = "at most 16")]
        let doubled = ((self.0 & 0x3ff).min(8) * 2) as i32;
        doubled
    }

    #[inline]
    fn see(&mut self, bit: bool) {
        let count = self.0 & 0x3ff;
        let probability = self.0 >> 10;
        let rate = RATES.get(count as usize).copied().unwrap_or(512);
        let moved = if bit {
            let gap = (1 << 22) - 1 - probability;
            probability + share(gap, rate)
        } else {
            probability - share(probability, rate)
        };
        self.0 = (moved << 10) | (count + 1).min(WIDE_COUNT_MAX);
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a share of a 22-bit number has 22 bits")]
fn share(of: u32, rate: u32) -> u32 {
    ((u64::from(of) * u64::from(rate)) >> 16) as u32
}

/// A slot of 16 bits for microcontrollers: 12 bits of probability, 4 bits of count.
#[derive(Debug, Clone, Copy)]
pub struct Narrow(u16);

/// 65,536 / (n + 1.5), down to 1/24: with 12 bits, slower steps would not move any more.
static NARROW_RATES: [u32; 16] = [
    43_690, 26_214, 18_724, 14_563, 11_915, 10_082, 8_738, 7_710, 6_898, 6_241, 5_698, 5_041, 4_369, 3_640,
    3_120, 2_730,
];

impl Slot for Narrow {
    const FRESH: Self = Self(1 << 15);

    #[inline]
    fn probability(self) -> u16 {
        self.0 | 0xf
    }

    #[inline]
    fn confidence(self) -> i32 {
        i32::from(self.0 & 0xf).min(8) * 2
    }

    #[inline]
    fn see(&mut self, bit: bool) {
        let count = self.0 & 0xf;
        let probability = u32::from(self.0 >> 4);
        let rate = NARROW_RATES.get(usize::from(count)).copied().unwrap_or(2_730);
        let moved = if bit {
            probability + share(4095 - probability, rate)
        } else {
            probability - share(probability, rate)
        };
        #[expect(clippy::cast_possible_truncation, reason = "12 bits")]
        let moved = moved as u16;
        self.0 = (moved << 4) | (count + 1).min(15);
    }
}

/// One, as a weight.
const ONE: i32 = 1 << 16;

/// The weight with which each input starts.
const WEIGHT_START: i32 = ONE * 3 / 10;

/// No weight grows beyond this: sums stay within 64 bits by far, and no input ever rules alone.
const WEIGHT_MAX: i32 = 16 * ONE;

/// Weighs `N` contexts, each with two inputs, and a constant one; `SETS` sets of weights, chosen by the caller.
#[derive(Debug, Clone)]
pub struct Mixer<const N: usize, const SETS: usize> {
    weights: [[[i32; 2]; N]; SETS],
    biases: [i32; SETS],
    rate: i32,
}

impl<const N: usize, const SETS: usize> Mixer<N, SETS> {
    /// A mixer that has learned nothing; `rate` is how fast it learns, in 1/65,536 (5 is moderate).
    pub fn new(rate: i32) -> Self {
        Self { weights: [[[WEIGHT_START; 2]; N]; SETS], biases: [WEIGHT_START; SETS], rate }
    }

    /// Codes a bit by the slots of its contexts: `places` are indices into `slots`, one for each context.
    #[inline]
    pub fn bit<C: Coin, S: Slot>(
        &mut self,
        coin: &mut C,
        slots: &mut [S],
        places: &[usize; N],
        set: usize,
        wanted: bool,
    ) -> Result<bool, C::Error> {
        let set = set % SETS.max(1);
        let (Some(weights), Some(bias)) = (self.weights.get_mut(set), self.biases.get_mut(set)) else {
            return coin.toss(1 << 15, wanted);
        };
        let mut inputs = [[0_i32; 2]; N];
        let mut sum = i64::from(*bias) * i64::from(BIAS_INPUT);
        for ((input, place), weight) in inputs.iter_mut().zip(places).zip(weights.iter()) {
            let slot = slots.get(*place).copied().unwrap_or(S::FRESH);
            let confidence = slot.confidence();
            if confidence > 0 {
                let stretched = stretch(slot.probability());
                // Half of the opinion counts always, the rest by how much stands behind it.
                *input = [stretched / 2, (stretched * confidence * 5) >> 7];
            }
            let [first, second] = *input;
            let [first_weight, second_weight] = *weight;
            sum += i64::from(first) * i64::from(first_weight) + i64::from(second) * i64::from(second_weight);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "33 inputs of 12 bits by weights of 21 bits, less 16 bits"
        )]
        let probability = squash((sum >> 16) as i32);
        let bit = coin.toss(probability, wanted)?;
        let error = (if bit { 65_535 } else { 0 }) - i32::from(probability);
        let pull = error * self.rate;
        let learn = |weight: &mut i32, input: i32| {
            #[expect(clippy::cast_possible_truncation, reason = "19 bits by 12 bits, less 16 bits")]
            let step = ((i64::from(pull) * i64::from(input) + (1 << 15)) >> 16) as i32;
            *weight = (*weight + step).clamp(-WEIGHT_MAX, WEIGHT_MAX);
        };
        for (weight, input) in weights.iter_mut().zip(&inputs) {
            weight.iter_mut().zip(input).for_each(|(weight, input)| learn(weight, *input));
        }
        learn(bias, BIAS_INPUT);
        for place in places {
            if let Some(slot) = slots.get_mut(*place) {
                slot.see(bit);
            }
        }
        Ok(bit)
    }
}

/// The constant input: 0.3 nat.
const BIAS_INPUT: i32 = 77;

/// Mixes two numbers into a hash.
#[inline]
pub(crate) fn hash(a: u32, b: u32) -> u32 {
    (a.wrapping_mul(0x2545_f491) ^ b.wrapping_add(0x9e37_79b9)).wrapping_mul(0xc2b2_ae35).rotate_left(13)
}

/// Spreads a hash over a table whose length is a power of two.
#[inline]
pub(crate) fn place(hash: u32, len: usize) -> usize {
    let spread = hash.wrapping_mul(0x85eb_ca6b);
    ((spread >> 8) ^ (spread >> 21)) as usize & len.saturating_sub(1)
}
