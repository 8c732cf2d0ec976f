//! What updates saved that did not load the full image: bytes, and time at the rates that devices measured.

use std::collections::BTreeMap;
use std::fmt;

use crate::report::Way;
use crate::{ByteCount, PerMille, Seconds};

/// What many updates cost, and what full images would have cost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Savings {
    /// How many updates came in which way; ways without any are absent. Agents that do not tell are not among them.
    pub ways: BTreeMap<Way, u64>,
    /// All updates that count.
    pub updates: u64,
    /// What they loaded.
    pub loaded: ByteCount,
    /// What full images would have taken.
    pub full: ByteCount,
    /// How long they loaded, in milliseconds.
    pub loading_millis: u64,
    /// How long slots were written from what was loaded, in milliseconds.
    pub applying_millis: u64,
    /// How much longer full images would have loaded, in milliseconds, at the rates that the devices measured.
    pub saved_millis: u64,
    /// From how many updates that is known; the others loaded too little to measure a rate.
    pub measured: u64,
}

impl Savings {
    /// Returns the bytes that were not loaded.
    pub fn saved(&self) -> ByteCount {
        ByteCount(self.full.0.saturating_sub(self.loaded.0))
    }

    /// Returns the share of the full images that was not loaded.
    pub fn share(&self) -> PerMille {
        PerMille::of(self.saved().0, self.full.0)
    }
}

/// One sentence: what was saved, and of how much.
impl fmt::Display for Savings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.updates == 0 {
            return f.write_str("no device has loaded anything yet");
        }
        let updates = if self.updates == 1 { "update" } else { "updates" };
        write!(
            f,
            "saved {} of {} ({}) in {} {updates}",
            self.saved(),
            self.full,
            self.share(),
            self.updates
        )?;
        let span = Seconds(self.saved_millis / 1000);
        match self.measured {
            0 => Ok(()),
            all if all == self.updates => write!(f, ", and {span} of loading at the measured rates"),
            some => write!(f, ", and {span} of loading at the rates that {some} of them measured"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Savings;
    use crate::ByteCount;

    #[test]
    fn a_sentence_says_what_was_saved_and_how_that_is_known() {
        let mut savings = Savings::default();
        assert_eq!(savings.to_string(), "no device has loaded anything yet");
        (savings.updates, savings.loaded, savings.full) = (1, ByteCount::kib(64), ByteCount::mib(1));
        assert_eq!(savings.to_string(), "saved 960.0 KiB of 1.0 MiB (93.7 %) in 1 update");
        (savings.updates, savings.measured, savings.saved_millis) = (120, 7, 190_999);
        let rest = "and 3 min 10 s of loading at the rates that 7 of them measured";
        assert_eq!(
            savings.to_string(),
            format!("saved 960.0 KiB of 1.0 MiB (93.7 %) in 120 updates, {rest}")
        );
        savings.measured = 120;
        assert!(savings.to_string().ends_with("3 min 10 s of loading at the measured rates"));
        savings.loaded = ByteCount::mib(2);
        assert!(
            savings.to_string().starts_with("saved 0 B of 1.0 MiB (0 %)"),
            "more than the full image is no saving"
        );
    }
}
