//! The plan linter: what looks unwise about a policy, before anybody is harmed.
//!
//! In: a policy and the size of the fleet. Out: warnings, sentences with their numbers. Refuses nothing: a person may
//! have a reason.

use std::fmt;

use warden_model::rollout::{MaintenanceWindow, Phase, PhaseSize};
use warden_model::{PerMille, Seconds};

use crate::policy::{Policy, phase_counts};
use crate::reason::devices;

/// A shorter window is missed by devices that ask for orders only now and then: most ask every few minutes, and sleepy ones
/// every quarter of an hour.
const WINDOW_MINUTES_SHORT: u16 = 30;
/// A shorter order timeout calls a device unreachable that is loading its patch over a slow link.
const ORDER_TIMEOUT_SHORT: Seconds = Seconds(60);
/// From so many devices on, one that dies half-way is a matter of course, and "all of them" a wish.
const DEVICES_MANY: u64 = 20;

/// Something unwise about a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// There is no phase.
    NoPhases,
    /// The phases together do not take all devices.
    LeavesOut {
        /// How many devices no phase takes.
        left: u64,
        /// How many devices there are.
        fleet: u64,
    },
    /// A phase gets no device in this fleet.
    EmptyPhase {
        /// The phase.
        phase: String,
    },
    /// The first phase takes more than half of the fleet.
    FirstPhaseLarge {
        /// The phase.
        phase: String,
        /// How many devices it takes.
        takes: u64,
        /// How many devices there are.
        fleet: u64,
    },
    /// The phase halts only when all its devices have failed.
    NeverHaltsEarly {
        /// The phase.
        phase: String,
        /// At how many failed devices it halts.
        limit: u64,
    },
    /// The phase starts the next one as soon as one device is healthy.
    NoSuccessNeeded {
        /// The phase.
        phase: String,
    },
    /// In a large phase, one device that dies half-way keeps the success threshold out of reach.
    SuccessUnreachable {
        /// The phase.
        phase: String,
        /// How many devices it takes.
        takes: u64,
        /// Its success threshold.
        threshold: PerMille,
    },
    /// The phase starts the next one at once.
    NoSoak {
        /// The phase.
        phase: String,
    },
    /// The window is so short that devices miss it.
    WindowShort {
        /// How long it is, in minutes.
        minutes: u16,
    },
    /// The order timeout is so short that slow devices count as unreachable.
    OrderTimeoutShort {
        /// The timeout.
        timeout: Seconds,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPhases => write!(f, "The policy has no phase and reaches no device."),
            Self::LeavesOut { left, fleet } => {
                write!(f, "The phases leave out {left} of {}; end them with \"rest\".", devices(*fleet))
            }
            Self::EmptyPhase { phase } => write!(f, "Phase {phase} gets no device in this fleet."),
            Self::FirstPhaseLarge { phase, takes, fleet } => write!(
                f,
                "The first phase, {phase}, takes {takes} of {} ({}): a bad release breaks them all at once.",
                devices(*fleet),
                PerMille::of(*takes, *fleet)
            ),
            Self::NeverHaltsEarly { phase, limit } => {
                write!(f, "Phase {phase} halts only when all its {} have failed.", devices(*limit))
            }
            Self::NoSuccessNeeded { phase } => {
                write!(
                    f,
                    "Phase {phase} needs no success beyond one healthy device before the next one starts."
                )
            }
            Self::SuccessUnreachable { phase, takes, threshold } => write!(
                f,
                "Phase {phase} needs {threshold} of {} healthy: one that dies half-way holds up all others.",
                devices(*takes)
            ),
            Self::NoSoak { phase } => {
                write!(f, "Phase {phase} has no soak time: a crash after a minute is seen too late.")
            }
            Self::WindowShort { minutes } => write!(
                f,
                "The maintenance window is {minutes} min long: devices that ask less often than that miss it."
            ),
            Self::OrderTimeoutShort { timeout } => {
                write!(f, "The order timeout is {timeout}: a device on a slow link counts as unreachable.")
            }
        }
    }
}

/// Lists what looks unwise about a policy for a fleet of so many devices; in the order of the phases.
pub fn lint(policy: &Policy, fleet: u64) -> Vec<Warning> {
    if policy.phases.is_empty() {
        return vec![Warning::NoPhases];
    }
    let (counts, left) = phase_counts(&policy.phases, fleet);
    let last = policy.phases.len() - 1;
    let mut warnings = Vec::new();
    if let (Some(first), Some(takes)) = (policy.phases.first(), counts.first().copied()) {
        // In a fleet of one or two devices there is no small first phase.
        if fleet > 2 && takes * 2 > fleet {
            warnings.push(Warning::FirstPhaseLarge { phase: first.name.clone(), takes, fleet });
        }
    }
    for (index, (phase, takes)) in policy.phases.iter().zip(counts).enumerate() {
        lint_phase(phase, takes, &mut warnings);
        if index < last && phase.soak == Seconds(0) {
            warnings.push(Warning::NoSoak { phase: phase.name.clone() });
        }
    }
    if left > 0 {
        warnings.push(Warning::LeavesOut { left, fleet });
    }
    if let Some(minutes) =
        policy.window.map(MaintenanceWindow::length_minutes).filter(|m| *m < WINDOW_MINUTES_SHORT)
    {
        warnings.push(Warning::WindowShort { minutes });
    }
    if policy.order_timeout < ORDER_TIMEOUT_SHORT {
        warnings.push(Warning::OrderTimeoutShort { timeout: policy.order_timeout });
    }
    warnings
}

fn lint_phase(phase: &Phase, takes: u64, warnings: &mut Vec<Warning>) {
    let name = || phase.name.clone();
    if takes == 0 {
        // A fleet that the earlier phases cover has an empty rest as a matter of course.
        if phase.size != PhaseSize::Rest {
            warnings.push(Warning::EmptyPhase { phase: name() });
        }
        return;
    }
    let limit = phase.error_threshold.of_count_rounded_up(takes).max(1);
    if takes > 1 && limit >= takes {
        warnings.push(Warning::NeverHaltsEarly { phase: name(), limit });
    }
    if phase.success_threshold == PerMille::ZERO {
        warnings.push(Warning::NoSuccessNeeded { phase: name() });
    }
    if takes >= DEVICES_MANY && phase.success_threshold.of_count_rounded_up(takes) == takes {
        let threshold = phase.success_threshold;
        warnings.push(Warning::SuccessUnreachable { phase: name(), takes, threshold });
    }
}
