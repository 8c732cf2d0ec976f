//! The logistic function and its inverse, in integers, computed when the crate is compiled.
//!
//! In: a probability or its logarithmic odds. Out: the other one. Refuses nothing: both sides are clamped.
//!
//! Probabilities have 16 bits (65,536 is certainty); logarithmic odds ("stretched" probabilities) count in 1/256 nat.

/// The largest stretched probability, in 1/256 nat: 11 nat are a chance of 1 to 60,000, about what 16 bits can say.
pub(crate) const STRETCH_MAX: i32 = 2815;

const SQUASH_LEN: usize = 2 * STRETCH_MAX as usize + 1;

/// How many bits of a probability choose an entry of the stretch table.
const STRETCH_BITS: u32 = 12;

static SQUASH: [u16; SQUASH_LEN] = squash_table();
static STRETCH: [i16; 1 << STRETCH_BITS] = stretch_table();

/// One, in the fixed point of the table's own arithmetic.
const ONE: u128 = 1 << 60;

/// e^(-1/256) x 2^60, from its series 1 - x + x^2/2 - ...: exact to the last bits.
const fn decay() -> u128 {
    let mut term = ONE;
    let (mut plus, mut minus) = (ONE, 0_u128);
    let mut index = 1;
    while index < 12 {
        term = term / 256 / index;
        if index % 2 == 1 {
            minus += term;
        } else {
            plus += term;
        }
        index += 1;
    }
    plus - minus
}

#[expect(clippy::cast_possible_truncation, reason = "the quotients are below 65,536 by their construction")]
#[expect(clippy::indexing_slicing, reason = "a table filled by the compiler: a wrong index does not compile")]
const fn squash_table() -> [u16; SQUASH_LEN] {
    let mut table = [0_u16; SQUASH_LEN];
    let step = decay();
    let mut power = ONE;
    let mut index = 0;
    while index <= STRETCH_MAX as usize {
        // 1 / (1 + e^-x) for x >= 0, and its mirror image.
        let high = (65_536 * ONE) / (ONE + power);
        let high = if high > 65_535 { 65_535 } else { high as u16 };
        table[STRETCH_MAX as usize + index] = high;
        table[STRETCH_MAX as usize - index] = (65_536 - high as u32) as u16;
        power = (power * step) >> 60;
        index += 1;
    }
    table[STRETCH_MAX as usize] = 32_768;
    table
}

#[expect(clippy::cast_possible_truncation, reason = "the stretched values are within 2,815")]
#[expect(clippy::cast_possible_wrap, reason = "the indices are below 5,631")]
#[expect(clippy::indexing_slicing, reason = "a table filled by the compiler: a wrong index does not compile")]
const fn stretch_table() -> [i16; 1 << STRETCH_BITS] {
    let squash = squash_table();
    let mut table = [0_i16; 1 << STRETCH_BITS];
    let (mut index, mut at) = (0_usize, 0_usize);
    while index < 1 << STRETCH_BITS {
        // The middle of the probabilities that share the entry.
        let wanted = ((index as u32) << (16 - STRETCH_BITS)) + (1 << (15 - STRETCH_BITS));
        while at + 1 < SQUASH_LEN && (squash[at] as u32) < wanted {
            at += 1;
        }
        table[index] = (at as i32 - STRETCH_MAX) as i16;
        index += 1;
    }
    table
}

/// Returns ln(p / (1 - p)) in 1/256.
#[inline]
pub(crate) fn stretch(probability: u16) -> i32 {
    STRETCH.get(usize::from(probability >> (16 - STRETCH_BITS))).map_or(0, |value| i32::from(*value))
}

/// Returns the probability whose stretched value this is: 1 to 65,535.
#[inline]
pub(crate) fn squash(stretched: i32) -> u16 {
    let index = stretched.clamp(-STRETCH_MAX, STRETCH_MAX) + STRETCH_MAX;
    usize::try_from(index).ok().and_then(|index| SQUASH.get(index)).map_or(32_768, |value| (*value).max(1))
}

#[cfg(test)]
mod tests {
    use super::{STRETCH_MAX, squash, stretch};

    #[test]
    fn squash_is_the_logistic_function() {
        for (stretched, expected) in [(0, 32_768.0), (256, 47_911.0), (-256, 17_625.0), (1024, 64_357.0)] {
            let found = f64::from(squash(stretched));
            assert!((found - expected).abs() <= 1.0, "{stretched}: {found}, not {expected}");
        }
        assert_eq!((squash(i32::MIN), squash(i32::MAX)), (squash(-STRETCH_MAX), squash(STRETCH_MAX)));
        assert!(squash(-STRETCH_MAX) >= 1);
        assert!((-STRETCH_MAX..STRETCH_MAX).all(|x| squash(x) <= squash(x + 1)));
    }

    #[test]
    fn stretch_undoes_squash() {
        for stretched in (-1500..=1500).step_by(50) {
            let back = stretch(squash(stretched));
            assert!((back - stretched).abs() <= 40, "{stretched} came back as {back}");
        }
    }
}
