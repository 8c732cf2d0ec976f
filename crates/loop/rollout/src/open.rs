//! Opening a rollout: an assignment becomes a draft.
//!
//! In: an assignment, a policy, ids and `now`. Out: a rollout in the state draft and its members. Refuses a policy
//! without a phase.

use thiserror::Error;
use warden_model::rollout::{Member, MemberState, Rollout, RolloutState};
use warden_model::{Generation, ReleaseId, RolloutId, Timestamp};

use crate::assign::Assignment;
use crate::policy::Policy;
use crate::reason::devices;

/// A policy without a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the policy has no phase, and a rollout needs at least one")]
pub struct NoPhases;

/// What a new rollout is called and what it rolls out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Names the rollout.
    pub id: RolloutId,
    /// The release.
    pub release: ReleaseId,
    /// The newest generation that any of its devices has: devices refuse orders that are not newer, whichever rollout
    /// they come from, so that this rollout counts on from there.
    pub newest_generation: Generation,
}

/// Makes a draft rollout and its members, in the order in which they will be offered the release.
pub fn open(
    opening: Opening,
    assignment: &Assignment,
    policy: &Policy,
    now: Timestamp,
) -> Result<(Rollout, Vec<Member>), NoPhases> {
    if policy.phases.is_empty() {
        return Err(NoPhases);
    }
    let members: Vec<Member> = assignment
        .members
        .iter()
        .map(|assigned| Member {
            device: assigned.device.clone(),
            phase: assigned.phase,
            state: MemberState::Waiting,
            since: now,
            action: None,
        })
        .collect();
    let count = crate::plan::count(members.len());
    let rollout = Rollout {
        id: opening.id,
        release: opening.release,
        phases: policy.phases.clone(),
        window: policy.window,
        state: RolloutState::Draft,
        reason: format!("Planned for {} in {} phases.", devices(count), policy.phases.len()),
        phase: 0,
        good_since: None,
        failures_accepted_until: None,
        generation: opening.newest_generation,
        created_at: now,
    };
    Ok((rollout, members))
}
