//! Time to protected: how far the fleet has come with an advisory.
//!
//! In: an advisory, the cases of the fleet, and `now`. Out: how many devices are affected and protected, and how long it
//! took, or takes so far. Refuses nothing: cases of other advisories are passed over.

use warden_model::advisory::Advisory;
use warden_model::case::{Case, Protection};
use warden_model::{Seconds, Timestamp};

/// Whether the clock still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No device is affected: there is nothing to do.
    NobodyAffected,
    /// Devices are still exposed: the clock runs.
    Exposed,
    /// Every affected device is patched or shielded: the clock has stopped.
    Done,
}

/// How far the fleet has come with an advisory; each affected device counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protected {
    /// Devices that are or were affected.
    pub affected: u64,
    /// Those that are patched or shielded.
    pub protected: u64,
    /// Those that run a firmware without the weakness.
    pub patched: u64,
    /// Those that are isolated and virtually patched.
    pub shielded: u64,
    /// From the moment when the advisory became known to the moment when the last device was protected; until `now` while
    /// one is exposed; zero when nobody is affected.
    pub elapsed: Seconds,
    /// Whether the clock still runs.
    pub progress: Progress,
}

/// Measures the time to protected of an advisory over `cases`, which may hold those of other advisories too.
pub fn time_to_protected(advisory: &Advisory, cases: &[Case], now: Timestamp) -> Protected {
    let mut result = Protected {
        affected: 0,
        protected: 0,
        patched: 0,
        shielded: 0,
        elapsed: Seconds(0),
        progress: Progress::NobodyAffected,
    };
    let mut last = advisory.known_at;
    for case in cases.iter().filter(|case| case.finding.advisory == advisory.id) {
        result.affected += 1;
        match case.protected {
            Some((Protection::Patched, since)) => {
                result.patched += 1;
                last = last.max(since);
            }
            Some((Protection::Shielded, since)) => {
                result.shielded += 1;
                last = last.max(since);
            }
            None => {}
        }
    }
    result.protected = result.patched + result.shielded;
    if result.affected > result.protected {
        result.progress = Progress::Exposed;
        result.elapsed = now.since(advisory.known_at);
    } else if result.affected > 0 {
        result.progress = Progress::Done;
        result.elapsed = last.since(advisory.known_at);
    }
    result
}
