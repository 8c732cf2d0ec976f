//! Rollout: a release reaches the fleet in phases, and every step has a reason.
//!
//! In: devices, a policy, what the devices have reported, and `now`. Out: who belongs to which phase and why
//! ([`assign`]), the next steps ([`next_steps`]), what a step changes and orders ([`apply_step`]), what a report
//! changes ([`on_report`]), what a person may command ([`command`]), warnings about a policy ([`lint`]) and an answer
//! to "why is this device not updated?" ([`explain`]). Refuses: input and output, clocks and chance; a step never
//! lacks a reason, and applying it twice changes nothing the second time.
//!
//! # How a phase is judged
//! - **Failed** is a device that turned back by itself or could not install. Each phase that has started is judged
//!   alone, by its own members and its own error threshold: small early phases are not thinned out by large later ones,
//!   and a late failure in an earlier phase still halts the rollout. It takes at least one failed device to halt.
//!   Failures that a person accepted by resuming a halted rollout do not count again.
//! - **Healthy** is the only success. The success threshold is a share of the devices that can still succeed: those that
//!   failed are the error threshold's business, and those that never answered their order for `order_timeout` are
//!   unreachable, not failed: they have not touched the release and hold nobody up. A device that falls silent *after* it
//!   installed stays in the count: the release may have cut it off. At least one device must be healthy, whatever
//!   the threshold says.
//! - **Soak**: the phase must stay good for that long without a break; then the next phase starts. After the last phase the
//!   rollout also waits for the devices that are still at work, at most `order_timeout` after their last word.

mod apply;
mod assign;
mod command;
mod explain;
mod lint;
mod open;
mod parse;
mod plan;
mod policy;
mod reason;
mod report;
mod step;
mod tally;

pub use apply::{Circumstances, Turn, apply_plan, apply_step, take_turn};
pub use assign::{Assigned, Assignment, Candidate, Compatible, LeftOut, assign, compatibility};
pub use command::{Command, CommandRefused, Commanded, command};
pub use explain::explain;
pub use lint::{Warning, lint};
pub use open::{NoPhases, Opening, open};
pub use parse::{ParseError, parse_phases, parse_span, parse_window};
pub use plan::{Situation, next_steps};
pub use policy::Policy;
pub use reason::{
    AdvanceReason, CancelReason, FinishReason, HaltReason, OfferReason, PhaseName, Success, TurnBackReason,
    Waiting,
};
pub use report::{Ignored, ReportOutcome, on_progress, on_report};
pub use step::{Plan, Step};
pub use tally::{Tally, tallies};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
