//! The count of a phase: how many devices stand where.
//!
//! In: a situation. Out: one [`Tally`] a phase, which the planner judges and the console draws. Refuses nothing: a
//! member of a phase that does not exist is counted nowhere and never offered anything.

use warden_model::Timestamp;
use warden_model::rollout::{Member, MemberState, Phase};

use crate::plan::Situation;
use crate::reason::{PhaseName, Success};

/// How many devices of one phase stand where; the numbers add up to `members`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Devices of the phase.
    pub members: u64,
    /// Without an order yet.
    pub waiting: u64,
    /// With an order, at work, heard of within the order timeout.
    pub working: u64,
    /// With an order that they have not finished writing, silent for the order timeout: they do not count.
    pub unreachable: u64,
    /// Installed or booted the release, silent for the order timeout: they count, because the release may be the cause.
    pub silent_since_install: u64,
    /// Reported HEALTHY.
    pub healthy: u64,
    /// Turned back by themselves or could not install; without the accepted ones.
    pub failed: u64,
    /// Failed, and a person accepted it by resuming the rollout.
    pub accepted: u64,
    /// Ordered back, not done yet.
    pub reverting: u64,
    /// Turned back on order.
    pub reverted: u64,
    /// Order taken back before they acted.
    pub cancelled: u64,
    /// When the next device that is at work would have been silent for the order timeout.
    pub next_silence: Option<Timestamp>,
}

impl Tally {
    /// Returns how many devices can still succeed: the base of the success threshold.
    pub fn counted(&self) -> u64 {
        self.waiting + self.working + self.silent_since_install + self.healthy
    }

    /// Returns how many devices have an order that they have not finished.
    pub fn outstanding(&self) -> u64 {
        self.working + self.unreachable + self.silent_since_install
    }

    /// Returns how many devices must be healthy: the share of the counted ones, rounded up, and at least one.
    pub fn needed(&self, phase: &Phase) -> u64 {
        phase.success_threshold.of_count_rounded_up(self.counted()).max(1)
    }

    /// Returns at how many failed devices the phase halts: the share of all members, rounded up, and at least one.
    pub fn failed_limit(&self, phase: &Phase) -> u64 {
        phase.error_threshold.of_count_rounded_up(self.members).max(1)
    }

    /// Says whether no device is left that could ever become healthy, and none is.
    pub(crate) fn nobody_left(&self) -> bool {
        self.counted() + self.unreachable == 0
    }

    /// Returns how the phase stands against its success threshold.
    pub(crate) fn success(&self, name: PhaseName, phase: &Phase) -> Success {
        Success {
            phase: name,
            healthy: self.healthy,
            counted: self.counted(),
            needed: self.needed(phase),
            threshold: phase.success_threshold,
        }
    }

    fn count(&mut self, member: &Member, situation: &Situation<'_>) {
        self.members += 1;
        let field = match member.state {
            MemberState::Waiting => &mut self.waiting,
            MemberState::Offered | MemberState::Updating if is_silent(member, situation) => {
                &mut self.unreachable
            }
            MemberState::Installed | MemberState::Booted if is_silent(member, situation) => {
                &mut self.silent_since_install
            }
            MemberState::Offered | MemberState::Updating | MemberState::Installed | MemberState::Booted => {
                let silent_at = member.since.plus(situation.order_timeout);
                self.next_silence =
                    Some(self.next_silence.map_or(silent_at, |earlier| earlier.min(silent_at)));
                &mut self.working
            }
            MemberState::Healthy => &mut self.healthy,
            MemberState::RolledBack | MemberState::Failed if is_accepted(member, situation) => {
                &mut self.accepted
            }
            MemberState::RolledBack | MemberState::Failed => &mut self.failed,
            MemberState::Reverting => &mut self.reverting,
            MemberState::Reverted => &mut self.reverted,
            MemberState::Cancelled => &mut self.cancelled,
        };
        *field += 1;
    }
}

/// Counts the devices of each phase; one tally a phase, in their order.
pub fn tallies(situation: &Situation<'_>) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); situation.rollout.phases.len()];
    for member in situation.members {
        if let Some(tally) = tallies.get_mut(member.phase) {
            tally.count(member, situation);
        }
    }
    tallies
}

/// Says whether nothing has moved at the device for the order timeout.
pub(crate) fn is_silent(member: &Member, situation: &Situation<'_>) -> bool {
    member.since.plus(situation.order_timeout) <= situation.now
}

/// Says whether a person has accepted the member's failure by resuming after it.
fn is_accepted(member: &Member, situation: &Situation<'_>) -> bool {
    situation.rollout.failures_accepted_until.is_some_and(|until| member.since <= until)
}
