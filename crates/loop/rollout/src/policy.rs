//! Policies: how a release reaches the fleet, before it is known which devices there are.
//!
//! In: numbers that people chose. Out: a [`Policy`]. Refuses nothing: [`crate::lint`] says what looks unwise.

use warden_model::rollout::{MaintenanceWindow, Phase, PhaseSize};
use warden_model::{PerMille, Seconds};

/// Success threshold where nobody names one: 9 of 10 devices that can still succeed. Fleets always have a few devices
/// that die or vanish half-way; one of them must not hold thousands.
pub(crate) const SUCCESS_DEFAULT_PER_MILLE: u64 = 900;
/// Error threshold where nobody names one: 1 of 10 devices. A release that breaks every tenth device is broken.
pub(crate) const ERROR_DEFAULT_PER_MILLE: u64 = 100;
/// Soak time where nobody names one: one hour shows crash loops and leaks that a health check at boot cannot see.
pub(crate) const SOAK_DEFAULT: Seconds = Seconds::hours(1);
/// Silence after which an offered device counts as unreachable where nobody says otherwise: a day, because devices
/// that are switched on only in working hours come by once a day.
const ORDER_TIMEOUT_DEFAULT: Seconds = Seconds::days(1);

/// How a release reaches the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The phases, in their order; a policy without a phase reaches nobody.
    pub phases: Vec<Phase>,
    /// When updates may start; absent means at any time.
    pub window: Option<MaintenanceWindow>,
    /// How long a device may be silent before it stops holding up its phase: with an unanswered order it counts as
    /// unreachable, not as failed.
    pub order_timeout: Seconds,
}

impl Policy {
    /// Makes a policy of its parts, with the usual order timeout of a day.
    pub fn new(phases: Vec<Phase>, window: Option<MaintenanceWindow>) -> Self {
        Self { phases, window, order_timeout: ORDER_TIMEOUT_DEFAULT }
    }

    /// Returns the careful policy: one device, soak for an hour; a quarter of the fleet, soak for four hours; the rest.
    pub fn canary() -> Self {
        let hour = SOAK_DEFAULT;
        let four_hours = Seconds::hours(4);
        Self::new(
            vec![
                phase("canary", PhaseSize::Count(1), hour),
                phase("early", PhaseSize::Share(per_mille(250)), four_hours),
                phase("rest", PhaseSize::Rest, Seconds(0)),
            ],
            None,
        )
    }

    /// Returns the policy for emergencies: every device in one phase, which still halts at the error threshold.
    pub fn at_once() -> Self {
        Self::new(vec![phase("all", PhaseSize::Rest, Seconds(0))], None)
    }

    /// Returns the same policy with a maintenance window.
    #[must_use]
    pub fn within(self, window: MaintenanceWindow) -> Self {
        Self { window: Some(window), ..self }
    }

    /// Returns the same policy with another order timeout.
    #[must_use]
    pub fn with_order_timeout(self, order_timeout: Seconds) -> Self {
        Self { order_timeout, ..self }
    }
}

/// Returns a phase with the usual thresholds.
fn phase(name: &str, size: PhaseSize, soak: Seconds) -> Phase {
    Phase {
        name: name.to_owned(),
        size,
        success_threshold: per_mille(SUCCESS_DEFAULT_PER_MILLE),
        error_threshold: per_mille(ERROR_DEFAULT_PER_MILLE),
        soak,
    }
}

/// Returns a share that is known to be one; a number above 1,000 becomes the whole.
pub(crate) fn per_mille(value: u64) -> PerMille {
    PerMille::new(value).unwrap_or(PerMille::ALL)
}

/// Returns how many devices each phase takes of a fleet, phase by phase, and how many are left over.
///
/// A share counts from the whole fleet and is rounded up; a phase never takes more than what is left.
pub(crate) fn phase_counts(phases: &[Phase], fleet: u64) -> (Vec<u64>, u64) {
    let mut left = fleet;
    let counts = phases
        .iter()
        .map(|phase| {
            let wanted = match phase.size {
                PhaseSize::Share(share) => share.of_count_rounded_up(fleet),
                PhaseSize::Count(count) => count,
                PhaseSize::Rest => left,
            };
            let taken = wanted.min(left);
            left -= taken;
            taken
        })
        .collect();
    (counts, left)
}
