//! The world: devices, links and one server under one virtual clock.
//!
//! In: a seed, devices, faults. Out: what happens, as the log tells it, and the invariants that broke. Refuses: real time.

mod power;
mod talk;
mod work;

use std::collections::BTreeMap;

use warden_agent::machine::Settings;
use warden_model::firmware::Version;
use warden_model::rollout::{Member, MemberState, RolloutState};
use warden_model::{DeviceId, Seconds, Sha256Digest, Timestamp};

use crate::agenda::{Agenda, Happening, later};
use crate::chance::Chance;
use crate::device::{Busy, FactoryImage, Offered, Power, SimDevice};
use crate::log::Log;
use crate::rules::{self, Before};
use crate::server::{RolloutRecord, Server};

/// How often the server's loop turns when nothing wakes it. The real one turns every ten seconds; the planners say
/// themselves when to look again, so that only what depends on the clock alone (deadlines, ends of support) waits for it.
const TURN_EVERY: Seconds = Seconds(600);
/// From a turn that did something to the next one: as in the real server, where one stage's decision is another one's
/// input in the next turn.
const TURN_AGAIN: Seconds = Seconds(10);
/// From a wake-up to the turn, in milliseconds: a real server needs time as well.
const WAKE_MILLIS: u64 = 50;
/// Most broken invariants that are kept: the first one is what counts.
const BROKEN_MAX: usize = 16;

/// What the world knows of an image: also what its maker does not tell.
#[derive(Debug, Clone)]
pub struct ImageFacts {
    /// The version.
    pub version: Version,
    /// What is wrong with it.
    pub defect: Defect,
}

/// What is wrong with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Nothing.
    None,
    /// Its health checks fail in the field; the lab does not see it.
    UnhealthyInField,
    /// Its health checks fail everywhere.
    UnhealthyEverywhere,
}

/// The world.
#[derive(Debug)]
pub struct World {
    /// The virtual clock.
    pub now: Timestamp,
    /// The seeded chance that decides everything that nobody planned.
    pub chance: Chance,
    /// The devices.
    pub devices: BTreeMap<DeviceId, SimDevice>,
    /// The images that exist.
    pub images: BTreeMap<Sha256Digest, ImageFacts>,
    /// The server.
    pub server: Server,
    /// What happened.
    pub log: Log,
    /// The invariants that broke, each with the moment.
    pub broken: Vec<String>,
    agenda: Agenda,
    turn_at: Option<Timestamp>,
}

impl World {
    /// Makes an empty world at a moment.
    pub fn new(seed: u64, now: Timestamp) -> Self {
        let mut world = Self {
            now,
            chance: Chance::new(seed),
            devices: BTreeMap::new(),
            images: BTreeMap::new(),
            server: Server::new(),
            log: Log::default(),
            broken: Vec::new(),
            agenda: Agenda::default(),
            turn_at: None,
        };
        world.turn_by(now.plus(TURN_EVERY));
        world
    }

    /// Adds a device fresh from the factory and switches it on.
    pub fn add_device(&mut self, settings: Settings, factory: &FactoryImage) {
        let id = settings.device.clone();
        self.devices.insert(id.clone(), SimDevice::new(settings, factory));
        // People switch devices on one after the other.
        let wait = self.chance.between(0, 20_000);
        self.power_on_at(&id, later(self.now, wait));
    }

    /// Lets time pass.
    pub fn run(&mut self, span: Seconds) {
        let end = self.now.plus(span);
        while self.agenda.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Lets time pass until nothing is left to do; says after how long that was, or nothing when it took longer than `max`.
    pub fn run_until_settled(&mut self, max: Seconds) -> Option<Seconds> {
        let began = self.now;
        let end = began.plus(max);
        loop {
            if self.is_settled() {
                return Some(self.now.since(began));
            }
            // Asked once a second at most: nothing settles faster than that, and the question costs more than a step.
            let second = self.now.unix_seconds();
            while self.now.unix_seconds() == second {
                if self.agenda.next_at().is_none_or(|at| at > end) {
                    self.now = end;
                    return None;
                }
                self.step();
            }
        }
    }

    /// Says whether every device and every rollout has come to rest: nothing more happens unless somebody does something.
    pub fn is_settled(&self) -> bool {
        let devices_rest = self.devices.values().all(|device| {
            let order = self.server.state.open_order(&device.settings.device);
            device.is_at_rest(if order.is_some() { Offered::Order } else { Offered::Nothing })
        });
        // A turn that was woken, or that follows one that did something, may still do something.
        let turn_rests = self.turn_at.is_none_or(|at| at > self.now.plus(TURN_AGAIN));
        let rollouts_rest = || self.server.state.rollouts.values().all(|record| self.rests(record));
        devices_rest && turn_rests && self.server.is_up(self.now) && rollouts_rest()
    }

    /// Says whether a rollout waits for nobody but a person, and for devices that will never answer.
    fn rests(&self, record: &RolloutRecord) -> bool {
        let works = |state| match record.rollout.state {
            RolloutState::Draft | RolloutState::Finished => false,
            RolloutState::RollingBack | RolloutState::RolledBack => state == MemberState::Reverting,
            RolloutState::Running | RolloutState::Paused | RolloutState::Halted => is_at_work(state),
        };
        let answered = |member: &Member| !works(member.state) || self.is_gone(&member.device);
        let look_again = self.server.state.next_look(record, self.now);
        look_again.is_none() && record.members.iter().all(answered)
    }

    /// Says whether a device will never have power again.
    pub fn is_gone(&self, device: &DeviceId) -> bool {
        self.devices.get(device).is_none_or(|device| device.power == Power::Gone)
    }

    /// Lets the loop turn soon, because something has changed.
    pub fn wake(&mut self) {
        let soon = later(self.now, WAKE_MILLIS);
        self.turn_by(soon);
    }

    /// Lets the next thing happen.
    fn step(&mut self) {
        let Some((at, happening)) = self.agenda.take() else { return };
        self.now = self.now.max(at);
        match happening {
            Happening::PowerOn { device, life } => self.in_life(&device, life, Self::boots),
            Happening::Up { device, life } => self.in_life(&device, life, Self::is_up),
            Happening::Done { device, life } => self.in_life(&device, life, Self::done),
            Happening::PowerCut { device, life } => self.in_life(&device, life, Self::cut),
            Happening::Answered { device, life, input } => {
                if self.lives(&device, life) {
                    self.feed(&device, *input);
                }
            }
            Happening::Arrives { device, request, reply } => self.arrives(&device, &request, reply),
            Happening::Turn => self.turn(),
        }
    }

    fn lives(&self, device: &DeviceId, life: u64) -> bool {
        self.devices.get(device).is_some_and(|found| found.life == life)
    }

    fn in_life(&mut self, device: &DeviceId, life: u64, act: fn(&mut Self, &DeviceId)) {
        if self.lives(device, life) {
            act(self, device);
            self.hold_device_rules(device);
        }
    }

    fn turn_by(&mut self, at: Timestamp) {
        if self.turn_at.is_none_or(|planned| planned > at) {
            self.turn_at = Some(at);
            self.agenda.at(at, Happening::Turn);
        }
    }

    fn turn(&mut self) {
        // A turn that was brought forward leaves its old entry behind.
        if self.turn_at != Some(self.now) {
            return;
        }
        self.turn_at = None;
        let mut next = self.now.plus(TURN_EVERY);
        if self.server.is_up(self.now) {
            let before = Before::of(&self.server.state);
            let look_again = self.server.turn(self.now);
            if !self.server.state.events.is_empty() {
                next = self.now.plus(TURN_AGAIN);
            }
            self.tell_events();
            let mut broken = rules::after_turn(&before, &self.server.state, self.now);
            broken.extend(rules::of_members(&self.server.state, &self.devices));
            self.note_broken(broken);
            next = look_again.filter(|at| *at > self.now).map_or(next, |at| at.min(next));
        } else if let Some(until) = self.server.down_until {
            next = until.max(later(self.now, 1));
        }
        self.turn_by(next);
    }

    /// Moves what the server has said into the log.
    pub fn tell_events(&mut self) {
        for event in std::mem::take(&mut self.server.state.events) {
            self.log.add(event.into());
        }
    }

    fn hold_device_rules(&mut self, id: &DeviceId) {
        let Some(device) = self.devices.get(id) else { return };
        let broken = rules::of_device(device, &self.images);
        self.note_broken(broken);
    }

    /// Notes broken invariants.
    pub fn note_broken(&mut self, broken: Vec<String>) {
        for rule in broken {
            if self.broken.len() < BROKEN_MAX {
                self.broken.push(format!("{}: {rule}", self.now));
            }
        }
    }
}

impl Busy {
    /// Returns how much of `whole` is done at a moment, when it proceeds evenly.
    pub fn share_of(&self, whole: u64, now: Timestamp) -> u64 {
        let span = u128::try_from(self.ends.0.saturating_sub(self.began.0)).unwrap_or(0).max(1);
        let passed = u128::try_from(now.0.saturating_sub(self.began.0)).unwrap_or(0).min(span);
        u64::try_from(u128::from(whole) * passed / span).unwrap_or(whole)
    }
}

/// Says whether a member has an order that it has not finished.
pub fn is_at_work(state: MemberState) -> bool {
    match state {
        MemberState::Offered
        | MemberState::Updating
        | MemberState::Installed
        | MemberState::Booted
        | MemberState::Reverting => true,
        MemberState::Waiting
        | MemberState::Healthy
        | MemberState::RolledBack
        | MemberState::Failed
        | MemberState::Reverted
        | MemberState::Cancelled => false,
    }
}
