//! The server, in memory: the stages wired as the real server wires them (`apps/server/src/turn`), on values instead of a
//! database.
//!
//! In: messages of devices, commands of people, `now`. Out: answers, and a state that changes only in whole commits; a crash
//! in the middle of a turn loses the turn, and the numbers of actions that it had reserved. Refuses what the real one refuses.

mod assess;
mod device_side;
mod people;
mod prepare;
mod reports;
mod rollout;
mod shield;

use std::collections::{BTreeMap, BTreeSet};

use warden_model::advisory::Advisory;
use warden_model::case::{Case, Finding, Priority};
use warden_model::device::Device;
use warden_model::event::Event;
use warden_model::firmware::Firmware;
use warden_model::product::Product;
use warden_model::release::{Patch, Release};
use warden_model::rollout::{Directive, Member, Rollout};
use warden_model::shield::Shield;
use warden_model::{
    ActionId, AdvisoryId, ByteCount, DeviceId, PerMille, ProductId, ReleaseId, RolloutId, Seconds,
    Sha256Digest, Stage, Timestamp,
};
use warden_rollout::Assignment;

pub use self::people::{NewRelease, PersonError};
pub use self::shield::shield_plan;

/// Where an order stands on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderState {
    /// It is offered.
    Open,
    /// It is being taken back.
    Cancelling,
    /// It is over.
    Closed,
}

/// An order as the server keeps it.
#[derive(Debug, Clone)]
pub struct KeptOrder {
    /// The order.
    pub directive: Directive,
    /// Where it stands.
    pub state: OrderState,
    /// The image that the device must run.
    pub image: Sha256Digest,
    /// What the device downloaded for it.
    pub downloaded: ByteCount,
    /// What the whole image would have cost.
    pub full: ByteCount,
}

/// A rollout as the server keeps it.
#[derive(Debug, Clone)]
pub struct RolloutRecord {
    /// The rollout.
    pub rollout: Rollout,
    /// Its members.
    pub members: Vec<Member>,
    /// Who is in which phase and why, and who was left out.
    pub assignment: Assignment,
}

/// What is committed; it survives every crash.
#[derive(Debug, Clone)]
pub struct State {
    /// The products.
    pub products: BTreeMap<ProductId, Product>,
    /// The devices.
    pub devices: BTreeMap<DeviceId, Device>,
    /// The firmware images.
    pub firmware: BTreeMap<Sha256Digest, Firmware>,
    /// The releases.
    pub releases: BTreeMap<ReleaseId, Release>,
    /// The patches.
    pub patches: Vec<Patch>,
    /// The advisories.
    pub advisories: Vec<Advisory>,
    /// The findings.
    pub findings: Vec<Finding>,
    /// The cases, ranked.
    pub cases: Vec<Case>,
    /// The shields.
    pub shields: BTreeMap<DeviceId, Shield>,
    /// The rollouts.
    pub rollouts: BTreeMap<RolloutId, RolloutRecord>,
    /// The orders.
    pub directives: BTreeMap<ActionId, KeptOrder>,
    /// What a device ran before a rollout reached it.
    pub before: BTreeMap<(RolloutId, DeviceId), Sha256Digest>,
    /// Devices whose attributes are here.
    pub attributes: BTreeSet<DeviceId>,
    /// What has been said since somebody last read it.
    pub events: Vec<Event>,
    /// How long a silent device counts as reachable.
    pub order_timeout: Seconds,
    /// How often devices poll.
    pub poll: Seconds,
}

/// The server.
#[derive(Debug)]
pub struct Server {
    /// What is committed.
    pub state: State,
    /// Down until then.
    pub down_until: Option<Timestamp>,
    /// How often the server crashes in the middle of a turn, and for how long it is down then.
    pub crashes: (PerMille, Seconds),
    /// The number of the next action; reserved before anything is kept, so that a lost turn never gives a number twice.
    next_action: u64,
    wake: bool,
    backup: Option<(State, u64)>,
    chance: crate::chance::Chance,
}

impl Server {
    /// Makes a server that knows nothing.
    pub fn new() -> Self {
        let state = State {
            products: BTreeMap::new(),
            devices: BTreeMap::new(),
            firmware: BTreeMap::new(),
            releases: BTreeMap::new(),
            patches: Vec::new(),
            advisories: Vec::new(),
            findings: Vec::new(),
            cases: Vec::new(),
            shields: BTreeMap::new(),
            rollouts: BTreeMap::new(),
            directives: BTreeMap::new(),
            before: BTreeMap::new(),
            attributes: BTreeSet::new(),
            events: Vec::new(),
            order_timeout: Seconds::days(1),
            poll: Seconds(300),
        };
        Self {
            state,
            down_until: None,
            crashes: (PerMille::ZERO, Seconds(0)),
            next_action: 1,
            wake: false,
            backup: None,
            chance: crate::chance::Chance::new(0),
        }
    }

    /// Lets the server crash in the middle of turns, so often and for so long.
    pub fn crash_sometimes(&mut self, seed: u64, share: PerMille, down: Seconds) {
        self.chance = crate::chance::Chance::new(seed);
        self.crashes = (share, down);
    }

    /// Says whether the server answers.
    pub fn is_up(&self, now: Timestamp) -> bool {
        self.down_until.is_none_or(|until| now >= until)
    }

    /// Says whether something has changed since the question was last asked, so that the loop should turn.
    pub fn take_wake(&mut self) -> bool {
        std::mem::take(&mut self.wake)
    }

    /// Turns the loop once; returns when to look again at the latest.
    pub fn turn(&mut self, now: Timestamp) -> Option<Timestamp> {
        let mut next = self.state.clone();
        assess::run(&mut next, now);
        let look_again = rollout::run(&mut next, now, &mut self.next_action);
        shield::run(&mut next, now);
        // A shield or a patch that came to be just now protects from now on, not from the next turn.
        assess::run(&mut next, now);
        let (share, down) = self.crashes;
        if self.chance.happens(share) {
            // Killed before the commit: all that was decided is gone, and decided again after the restart.
            self.down_until = Some(now.plus(down));
            return self.down_until;
        }
        self.state = next;
        look_again
    }

    /// Keeps a copy of everything.
    pub fn back_up(&mut self) {
        self.backup = Some((self.state.clone(), self.next_action));
    }

    /// Goes back to the copy; returns whether there is one.
    pub fn restore(&mut self) -> Option<()> {
        let (state, next_action) = self.backup.clone()?;
        (self.state, self.next_action) = (state, next_action);
        Some(())
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// Returns the devices with an open immediate case.
    pub fn urgent(&self) -> BTreeSet<DeviceId> {
        let open = self.cases.iter().filter(|case| case.protected.is_none());
        open.filter(|case| case.decision.priority == Priority::Immediate)
            .map(|case| case.device.clone())
            .collect()
    }

    /// Says whether an artifact can be downloaded.
    pub fn offers_artifact(&self, digest: &Sha256Digest) -> bool {
        self.firmware.contains_key(digest) || self.patches.iter().any(|patch| patch.digest == *digest)
    }

    /// Says whether an image is weak against an advisory.
    pub fn is_weak(&self, image: &Sha256Digest, advisory: &AdvisoryId) -> bool {
        self.findings.iter().any(|finding| finding.image == *image && finding.advisory == *advisory)
    }

    /// Returns the release of an image.
    pub fn release_of(&self, image: &Sha256Digest) -> Option<&Release> {
        self.releases.values().find(|release| release.image == *image)
    }

    /// Returns the order that is not closed, of a device.
    pub fn open_order(&self, device: &DeviceId) -> Option<&KeptOrder> {
        let mut orders = self.directives.values().rev();
        orders.find(|kept| kept.directive.device == *device && kept.state != OrderState::Closed)
    }

    /// Says what happened to a device.
    fn say_of(&mut self, device: &DeviceId, at: Timestamp, stage: Stage, what: &str, reason: String) {
        let device = Some(device.clone());
        let (release, rollout, what) = (None, None, what.to_owned());
        self.events.push(Event { at, stage, device, release, rollout, what, reason });
    }

    /// Says what happened to a release.
    fn say_of_release(
        &mut self,
        release: &ReleaseId,
        at: Timestamp,
        stage: Stage,
        what: &str,
        reason: String,
    ) {
        let release = Some(release.clone());
        let (device, rollout, what) = (None, None, what.to_owned());
        self.events.push(Event { at, stage, device, release, rollout, what, reason });
    }
}
