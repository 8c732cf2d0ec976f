//! How long to wait after a failure: twice as long each time, with a jitter that spreads a fleet.

use warden_model::Timestamp;

/// The first wait, in milliseconds: a dropped connection is usually back within a second.
const FIRST_MILLIS: u64 = 1_000;
/// The longest wait, in milliseconds: five minutes, so that a device is back soon after its server is.
const LONGEST_MILLIS: u64 = 300_000;

/// Consecutive failures of one kind of talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backoff {
    /// Failures in a row.
    pub failures: u32,
    /// Not before then.
    pub until: Timestamp,
}

impl Backoff {
    /// Nothing has failed.
    pub(super) const CLEAR: Self = Self { failures: 0, until: Timestamp(i64::MIN) };

    /// Counts one more failure and sets the time of the next try.
    pub(super) fn fail(&mut self, now: Timestamp, seed: u64) {
        let doubled = FIRST_MILLIS.saturating_mul(1 << self.failures.min(20)).min(LONGEST_MILLIS);
        // Between half and the whole: devices that lost the same server come back spread over time.
        let jitter = mix(seed ^ u64::from(self.failures)) % (doubled / 2 + 1);
        let wait = i64::try_from(doubled / 2 + jitter).unwrap_or(i64::MAX);
        self.failures = self.failures.saturating_add(1);
        self.until = Timestamp(now.0.saturating_add(wait));
    }

    /// Returns whether the next try may start. A clock that stepped back never makes the wait longer than the longest.
    pub(super) fn open(&self, now: Timestamp) -> bool {
        let longest = i64::try_from(LONGEST_MILLIS).unwrap_or(i64::MAX);
        self.until <= now || self.until.0 > now.0.saturating_add(longest)
    }
}

/// Spreads a number over all 64 bits (the finaliser of `SplitMix64`).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Backoff, LONGEST_MILLIS};
    use warden_model::Timestamp;

    #[test]
    fn waits_grow_up_to_a_limit_and_differ_by_device() {
        let wait = |seed: u64, failures: u32| {
            let mut backoff = Backoff::CLEAR;
            (0..=failures).for_each(|_| backoff.fail(Timestamp(0), seed));
            u64::try_from(backoff.until.0).unwrap()
        };
        assert!((500..=1_000).contains(&wait(1, 0)));
        assert!((2_000..=4_000).contains(&wait(1, 2)));
        assert!((LONGEST_MILLIS / 2..=LONGEST_MILLIS).contains(&wait(1, 500)));
        assert_ne!(wait(1, 6), wait(2, 6));
    }

    #[test]
    fn a_clock_that_steps_back_does_not_hold_the_device() {
        let mut backoff = Backoff::CLEAR;
        backoff.fail(Timestamp(1_000_000_000), 0);
        assert!(!backoff.open(Timestamp(1_000_000_000)));
        assert!(backoff.open(Timestamp(0)));
    }
}
