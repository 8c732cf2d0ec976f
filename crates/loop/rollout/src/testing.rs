//! What the tests share: small fleets written as text, and people's names for moments.
//!
//! In: one letter a device, `|` between phases. Out: rollouts and members. Refuses unknown letters by panicking.

use std::collections::BTreeSet;

use warden_model::case::Priority;
use warden_model::device::{Criticality, Running, Slot};
use warden_model::firmware::Version;
use warden_model::release::ReleaseState;
use warden_model::report::{ReportPhase, StateReport};
use warden_model::rollout::{Member, MemberState, Phase, Rollout, RolloutState};
use warden_model::{
    ActionId, ByteCount, DeviceId, Generation, ReleaseId, RolloutId, Seconds, Sha256Digest, Timestamp,
};

use crate::{Candidate, Circumstances, Compatible, Plan, Situation, next_steps, parse_phases};

pub(crate) const ORDER_TIMEOUT: Seconds = Seconds(600);

/// A rollout with its members and all that its plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scene {
    pub(crate) rollout: Rollout,
    pub(crate) members: Vec<Member>,
    pub(crate) urgent: BTreeSet<DeviceId>,
    pub(crate) release_state: ReleaseState,
    pub(crate) now: Timestamp,
}

pub(crate) fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub(crate) fn id(text: &str) -> DeviceId {
    DeviceId::new(text).unwrap()
}

pub(crate) fn rollout(phases: Vec<Phase>) -> Rollout {
    Rollout {
        id: RolloutId::new("ro-1").unwrap(),
        release: ReleaseId::new("cam-1.1").unwrap(),
        phases,
        window: None,
        state: RolloutState::Running,
        reason: "Started.".to_owned(),
        phase: 0,
        good_since: None,
        failures_accepted_until: None,
        generation: Generation(40),
        created_at: noon(),
    }
}

/// Makes a running rollout: `H|OO.|...` are three phases, and the second one runs because it is the last with an order.
pub(crate) fn scene(policy: &str, fleet: &str) -> Scene {
    let mut members = Vec::new();
    let mut current = 0;
    for (phase, letters) in fleet.split('|').enumerate() {
        for letter in letters.chars() {
            let state = state(letter);
            if state != MemberState::Waiting {
                current = current.max(phase);
            }
            let number = u64::try_from(members.len()).unwrap() + 1;
            let action = (state != MemberState::Waiting).then_some(ActionId(number));
            members.push(Member { device: id(&format!("d{number}")), phase, state, since: noon(), action });
        }
    }
    let mut rollout = rollout(parse_phases(policy).unwrap());
    rollout.phase = current;
    Scene { rollout, members, urgent: BTreeSet::new(), release_state: ReleaseState::Signed, now: noon() }
}

fn state(letter: char) -> MemberState {
    match letter {
        '.' => MemberState::Waiting,
        'O' => MemberState::Offered,
        'U' => MemberState::Updating,
        'I' => MemberState::Installed,
        'B' => MemberState::Booted,
        'H' => MemberState::Healthy,
        'R' => MemberState::RolledBack,
        'F' => MemberState::Failed,
        'v' => MemberState::Reverting,
        'V' => MemberState::Reverted,
        'C' => MemberState::Cancelled,
        other => panic!("{other:?} is no state"),
    }
}

impl Scene {
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn later(self, seconds: u64) -> Self {
        self.with(|scene| scene.now = scene.now.plus(Seconds(seconds)))
    }

    pub(crate) fn situation(&self) -> Situation<'_> {
        Situation {
            rollout: &self.rollout,
            members: &self.members,
            urgent: &self.urgent,
            release_state: self.release_state,
            now: self.now,
            order_timeout: ORDER_TIMEOUT,
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        next_steps(&self.situation())
    }

    pub(crate) fn turn(&mut self, actions: &mut u64) -> crate::Turn {
        let circumstances = Circumstances {
            urgent: &self.urgent,
            release_state: self.release_state,
            order_timeout: ORDER_TIMEOUT,
            now: self.now,
        };
        let mut next = || {
            *actions += 1;
            ActionId(*actions)
        };
        crate::take_turn(&mut self.rollout, &mut self.members, &circumstances, &mut next)
    }
}

pub(crate) fn running(version: &str) -> Running {
    let first = version.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    Running { image: Sha256Digest([first; 32]), version: Version::new(version).unwrap() }
}

pub(crate) fn candidate(
    device: &str,
    criticality: Criticality,
    priority: Option<Priority>,
    version: &str,
) -> Candidate {
    Candidate {
        device: id(device),
        criticality,
        priority,
        running: Some(running(version)),
        compatible: Compatible::Yes,
    }
}

pub(crate) fn report(device: &str, action: Option<u64>, phase: Option<ReportPhase>) -> StateReport {
    StateReport {
        device: id(device),
        counter: 1,
        // A device clock that is years off must not matter.
        at: Timestamp(0),
        running: running("1.1"),
        slot: Slot::B,
        confirmed: running("1.0"),
        action: action.map(ActionId),
        generation: Generation(41),
        phase,
        cause: None,
        detail: String::new(),
        downloaded: ByteCount(0),
        full: ByteCount(0),
        way: None,
        loading_millis: 0,
        applying_millis: 0,
    }
}
