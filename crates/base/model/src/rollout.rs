//! Rollouts: phases, thresholds, windows, and where each device stands.

use thiserror::Error;

use crate::words::words;
use crate::{ActionId, DeviceId, Generation, PerMille, ReleaseId, RolloutId, Seconds, Timestamp};

/// How many devices a phase takes, counted from all devices of the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhaseSize {
    /// A share of all devices.
    Share(PerMille),
    /// A number of devices.
    Count(u64),
    /// All that are left.
    Rest,
}

/// A phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// What people call it, for instance `canary`.
    pub name: String,
    /// How many devices it takes.
    pub size: PhaseSize,
    /// The share of the phase that must have succeeded before the next one may start.
    pub success_threshold: PerMille,
    /// The share of the phase at which the rollout halts when so many have failed; a phase never halts below one
    /// failed device.
    pub error_threshold: PerMille,
    /// How long the phase must stay good before the next one may start.
    pub soak: Seconds,
}

/// When updates may start, each day, in UTC. A window may run over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaintenanceWindow {
    start_minute: u16,
    length_minutes: u16,
}

/// A window that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a maintenance window starts at minute 0 to 1439 of the day and lasts 1 to 1440 minutes")]
pub struct WindowError;

impl MaintenanceWindow {
    /// Checks and makes a window: start 0 to 1,439 minutes after midnight UTC, length 1 to 1,440 minutes.
    pub fn new(start_minute: u16, length_minutes: u16) -> Result<Self, WindowError> {
        if start_minute < 1440 && (1..=1440).contains(&length_minutes) {
            Ok(Self { start_minute, length_minutes })
        } else {
            Err(WindowError)
        }
    }

    /// Returns when it opens, in minutes after midnight UTC.
    pub fn start_minute(self) -> u16 {
        self.start_minute
    }

    /// Returns how long it stays open, in minutes.
    pub fn length_minutes(self) -> u16 {
        self.length_minutes
    }

    /// Returns nothing when the window is open at `now`, else the moment when it opens next.
    pub fn opens_after(self, now: Timestamp) -> Option<Timestamp> {
        let minute = now.minute_of_day();
        let since_start = (minute + 1440 - self.start_minute) % 1440;
        if since_start < self.length_minutes {
            return None;
        }
        let minutes_left = u64::from(1440 - since_start);
        let minute_began = Timestamp(now.0 - now.0.rem_euclid(60_000));
        Some(minute_began.plus(Seconds(minutes_left * 60)))
    }
}

words! {
    /// Where a rollout stands.
    pub enum RolloutState: "rollout state" {
        /// Planned, not started.
        Draft = "draft",
        /// On its way.
        Running = "running",
        /// A person holds it; nothing new is offered.
        Paused = "paused",
        /// It stopped by itself; nothing new is offered until a person decides.
        Halted = "halted",
        /// Devices are being turned back.
        RollingBack = "rolling-back",
        /// All devices have turned back.
        RolledBack = "rolled-back",
        /// All phases are done.
        Finished = "finished",
    }
}

words! {
    /// Where a device stands in a rollout.
    pub enum MemberState: "member state" {
        /// Its phase has not reached it.
        Waiting = "waiting",
        /// It has an order that it has not answered.
        Offered = "offered",
        /// It is loading and writing.
        Updating = "updating",
        /// It reported INSTALLED.
        Installed = "installed",
        /// It reported BOOTED.
        Booted = "booted",
        /// It reported HEALTHY: the only success.
        Healthy = "healthy",
        /// It turned back by itself.
        RolledBack = "rolled-back",
        /// It could not install.
        Failed = "failed",
        /// It was ordered back, and has not done so yet.
        Reverting = "reverting",
        /// It was ordered back, and did so.
        Reverted = "reverted",
        /// Its order was taken back before it acted.
        Cancelled = "cancelled",
    }
}

/// A device in a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The device.
    pub device: DeviceId,
    /// The index of its phase, from 0.
    pub phase: usize,
    /// Where it stands.
    pub state: MemberState,
    /// Since when.
    pub since: Timestamp,
    /// The order that it has.
    pub action: Option<ActionId>,
}

/// A rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Names the rollout.
    pub id: RolloutId,
    /// What it rolls out.
    pub release: ReleaseId,
    /// Its phases; never empty.
    pub phases: Vec<Phase>,
    /// When updates may start; absent means at any time. Immediate cases do not wait for it.
    pub window: Option<MaintenanceWindow>,
    /// Where it stands.
    pub state: RolloutState,
    /// Why it stands there, in one sentence.
    pub reason: String,
    /// The index of the phase that runs, from 0.
    pub phase: usize,
    /// Since when the phase has met its success threshold: soaking starts here.
    pub good_since: Option<Timestamp>,
    /// Failures up to this moment do not count towards the error thresholds any more: a person saw them and resumed
    /// the rollout after it had halted.
    pub failures_accepted_until: Option<Timestamp>,
    /// Grows with every order: devices refuse an older one.
    pub generation: Generation,
    /// When it was made.
    pub created_at: Timestamp,
}

words! {
    /// What an order tells a device to do.
    pub enum Order: "order" {
        /// Install the release.
        Install = "install",
        /// Go back to the image in the other slot.
        TurnBack = "turn-back",
        /// Forget the order before.
        Cancel = "cancel",
    }
}

/// An order to one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Names the order.
    pub action: ActionId,
    /// The rollout that it belongs to.
    pub rollout: RolloutId,
    /// Who must act.
    pub device: DeviceId,
    /// What to do.
    pub order: Order,
    /// The release that it is about.
    pub release: ReleaseId,
    /// Its age: a device refuses one that is older than what it has.
    pub generation: Generation,
}

#[cfg(test)]
mod tests {
    use super::{MaintenanceWindow, WindowError};
    use crate::Timestamp;

    fn check(window: (u16, u16), now: &str, opens: Option<&str>) {
        let window = MaintenanceWindow::new(window.0, window.1).unwrap();
        let now: Timestamp = now.parse().unwrap();
        assert_eq!(window.opens_after(now).map(|t| t.to_string()).as_deref(), opens);
    }

    #[test]
    fn a_window_may_run_over_midnight() {
        check((1380, 120), "2026-11-22T23:30:00Z", None);
        check((1380, 120), "2026-11-22T00:59:59Z", None);
        check((1380, 120), "2026-11-22T01:00:00Z", Some("2026-11-22T23:00:00Z"));
        check((60, 60), "2026-11-22T02:00:30Z", Some("2026-11-23T01:00:00Z"));
        check((0, 1440), "2026-11-22T12:00:00Z", None);
        assert_eq!(MaintenanceWindow::new(1440, 1), Err(WindowError));
    }
}
