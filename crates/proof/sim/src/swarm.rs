//! The swarm: random worlds in which everything goes wrong at once, and the invariants hold all the same.
//!
//! In: a seed. Out: how the world ended, or the first rule that broke with the last lines of the log. Refuses nothing:
//! whatever chance makes must come to an end within [`END_MAX`].

use std::fmt;

use warden_kit::values::START;
use warden_model::rollout::{Member, MemberState, RolloutState};
use warden_model::{ByteCount, DeviceId, PerMille, RolloutId, Seconds};
use warden_rollout::Command;

use crate::chance::Chance;
use crate::device::SimDevice;
use crate::log::writeln_to;
use crate::story::Story;
use crate::world::{World, is_at_work};

/// How long faults are injected.
const STORM: Seconds = Seconds::hours(3);
/// In so much virtual time after the storm every world comes to rest: the order timeout, the longest soak and all the
/// waits of the machines are far below a day, and each of three phases may wait a day for its window.
const END_MAX: Seconds = Seconds::days(4);
/// Lines of the log that a failure shows.
const TAIL: usize = 60;

/// How a world ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Where the rollout stands.
    pub rollout: RolloutState,
    /// Devices that are healthy.
    pub healthy: usize,
    /// Devices that turned back, by themselves or on order, or failed.
    pub back: usize,
    /// Devices that never answered or are gone.
    pub silent: usize,
    /// Power cuts in the whole world.
    pub cuts: u64,
}

/// A world that ended badly.
#[derive(Debug, Clone)]
pub struct Wreck {
    /// The seed.
    pub seed: u64,
    /// What broke.
    pub why: String,
    /// What happened last.
    pub tail: String,
}

impl fmt::Display for Wreck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {}\nreplay: FLEETWARDEN_SIM_SEED={} cargo test -p warden-sim swarm\n{}",
            self.seed, self.why, self.seed, self.tail
        )
    }
}

/// Lives through the world of a seed.
pub fn live(seed: u64) -> Result<Ending, Box<Wreck>> {
    let mut chance = Chance::new(seed ^ 0x5EED_0F5E_A11D_0000);
    let (mut world, rollout) = match scene(seed, &mut chance) {
        Ok(scene) => scene,
        Err(why) => return Err(Box::new(Wreck { seed, why, tail: String::new() })),
    };
    storm(&mut world, &mut chance);
    let mut passed = Seconds(0);
    while passed < STORM && world.broken.is_empty() {
        let span = Seconds(chance.between(300, 2_400));
        world.run(span);
        passed = Seconds(passed.0 + span.0);
        meddle(&mut world, &rollout, &mut chance);
    }
    calm(&mut world);
    let settled = settle(&mut world, &rollout, &mut chance);
    if let Some(broken) = world
        .broken
        .first()
        .cloned()
        .or_else(|| settled.err())
        .or_else(|| misled(&world))
        .or_else(|| left_behind(&world, &rollout))
    {
        return Err(Box::new(Wreck { seed, why: broken, tail: world.log.tail(TAIL) }));
    }
    Ok(ending(&world, &rollout))
}

/// Makes a fleet, a release, and a rollout that has started.
fn scene(seed: u64, chance: &mut Chance) -> Result<(World, RolloutId), String> {
    let mut text = String::new();
    let devices = chance.between(2, 9);
    let patch = if chance.happens(share(600)) { "patch 15%" } else { "" };
    let defect = if chance.happens(share(150)) { "defect unhealthy-in-field" } else { "" };
    let soak = chance.between(0, 20);
    let error = chance.between(1, 10) * 10;
    let window = if chance.happens(share(200)) { "window 09:00-10:00" } else { "" };
    let exploited = if chance.happens(share(500)) { "active" } else { "none" };
    let lines = [
        "product gateway board gw-rev-a exposure open".to_owned(),
        "firmware gateway 1.0 holds openssl=3.0.20 size 2MiB".to_owned(),
        format!("device gw-1..gw-{devices} product gateway runs 1.0"),
        "run 2min".to_owned(),
        format!("advisory DEMO-1 affects openssl <3.0.22 exploitation {exploited} automatable yes"),
        format!("release gateway 1.1 holds openssl=3.0.22 size 2MiB {patch} {defect}"),
        "sign gateway-1.1".to_owned(),
        format!(
            "rollout gateway-1.1 phases \"canary=1,early=30%,rest; success=90%; error={error}%; soak={soak}min\" \
             {window} order-timeout 2h"
        ),
        "start".to_owned(),
    ];
    for line in lines {
        writeln_to(&mut text, format_args!("{line}"));
    }
    let mut story = Story::new(World::new(seed, START));
    story.tell(&text).map_err(|error| error.to_string())?;
    let rollout = story.rollout.take().ok_or("the scene has no rollout")?;
    Ok((story.world, rollout))
}

fn share(per_mille: u64) -> PerMille {
    PerMille::new(per_mille).unwrap_or(PerMille::ALL)
}

/// Gives every device its own troubles, and the server its crashes.
fn storm(world: &mut World, chance: &mut Chance) {
    for device in world.devices.values_mut() {
        trouble(device, chance);
    }
    if chance.happens(share(400)) {
        let down = Seconds(chance.between(5, 1_200));
        world.server.crash_sometimes(chance.draw(), share(chance.between(5, 80)), down);
    }
}

fn trouble(device: &mut SimDevice, chance: &mut Chance) {
    let (faults, link) = (&mut device.faults, &mut device.link);
    if chance.happens(share(600)) {
        faults.cuts = share(chance.between(1, 60));
        faults.off = Some((Seconds(1), Seconds(chance.between(2, 1_800))));
        faults.torn = share(chance.between(0, 500));
    }
    if chance.happens(share(300)) {
        faults.cut_at_write = Some(share(chance.between(0, 999)));
    }
    if chance.happens(share(200)) {
        faults.health_flaky = share(chance.between(50, 1_000));
    }
    if chance.happens(share(80))
        && let Ok(version) = "1.1".parse()
    {
        faults.boot_fails_on.insert(version);
    }
    link.latency_millis = chance.between(5, 1_500);
    link.bytes_per_second = ByteCount::kib(chance.between(4, 512)).0;
    if chance.happens(share(500)) {
        link.loss = share(chance.between(1, 400));
        link.late_copies = share(chance.between(0, 600));
    }
    if chance.happens(share(300)) {
        link.drops_every = Some(chance.between(20_000, 900_000));
    }
}

/// Once in a while a person, the weather or the past steps in.
fn meddle(world: &mut World, rollout: &RolloutId, chance: &mut Chance) {
    let now = world.now;
    let ids: Vec<DeviceId> = world.devices.keys().cloned().collect();
    let drawn = usize::try_from(chance.between(0, u64::try_from(ids.len()).unwrap_or(1) - 1)).unwrap_or(0);
    let Some(id) = ids.get(drawn) else { return };
    let command = match chance.between(0, 11) {
        0 => Some(Command::Pause),
        1 | 2 => Some(Command::Resume),
        3 => Some(Command::Halt),
        4 => Some(Command::RollBack),
        5 => {
            world.server.down_until = Some(now.plus(Seconds(chance.between(10, 2_400))));
            None
        }
        6 | 7 => {
            if let Some(device) = world.devices.get_mut(id) {
                device.link.out_until = Some(now.plus(Seconds(chance.between(10, 7_200))));
            }
            None
        }
        8 => {
            if let Some(device) = world.devices.get_mut(id) {
                device.replay = device.passed.values().next().cloned();
            }
            None
        }
        9 => {
            if let Some(device) = world.devices.get_mut(id) {
                device.faults.dies = chance.happens(share(300));
            }
            world.cut_now(id);
            None
        }
        _ => None,
    };
    if let Some(command) = command {
        // A command that does not fit is refused, and nothing happens: that is what is tried here too.
        let carried_out = world.server.command(rollout, command, "swarm", now).is_ok();
        if carried_out {
            world.wake();
        }
    }
}

/// The storm is over: no new faults; what is broken stays broken.
fn calm(world: &mut World) {
    world.server.crash_sometimes(0, PerMille::ZERO, Seconds(0));
    for device in world.devices.values_mut() {
        let faults = &mut device.faults;
        (faults.cuts, faults.torn, faults.cut_at_write) = (PerMille::ZERO, PerMille::ZERO, None);
        let link = &mut device.link;
        (link.loss, link.late_copies) = (PerMille::ZERO, PerMille::ZERO);
    }
}

/// Lets the world come to rest; a person decides about a rollout that stands still.
fn settle(world: &mut World, rollout: &RolloutId, chance: &mut Chance) -> Result<(), String> {
    let slow = || format!("the world does not come to rest within {END_MAX}");
    for _ in 0..8 {
        world.run_until_settled(END_MAX).ok_or_else(slow)?;
        let state = world.server.state.rollouts.get(rollout).map(|record| record.rollout.state);
        let command = match state {
            Some(RolloutState::Paused) => Command::Resume,
            Some(RolloutState::Halted) if chance.happens(share(500)) => Command::Resume,
            // One that still runs waits for a device that died after it had installed: only a person can end that.
            Some(RolloutState::Halted | RolloutState::Running) => Command::RollBack,
            Some(
                RolloutState::Draft
                | RolloutState::RollingBack
                | RolloutState::RolledBack
                | RolloutState::Finished,
            )
            | None => return Ok(()),
        };
        let now = world.now;
        world.server.command(rollout, command, "swarm", now).map_err(|error| error.to_string())?;
        world.wake();
    }
    Err("the rollout halts again and again".to_owned())
}

/// A rollout that says that the fleet has gone back must have left nobody behind on its release.
fn left_behind(world: &World, rollout: &RolloutId) -> Option<String> {
    let record = world.server.state.rollouts.get(rollout)?;
    let image = world.server.state.releases.get(&record.rollout.release)?.image;
    let on_release = |id: &DeviceId| {
        let flash = world.devices.get(id).map(|device| &device.flash);
        flash.and_then(|flash| flash.image(flash.confirmed)) == Some(image)
    };
    // One whose way back failed is told as failed; everybody else is really back.
    let told = |member: &&Member| member.state != MemberState::Failed && !world.is_gone(&member.device);
    let left = record.members.iter().filter(told).find(|member| on_release(&member.device))?;
    let went_back = record.rollout.state == RolloutState::RolledBack;
    went_back
        .then(|| format!("the fleet has gone back, and {} ({}) is on the release", left.device, left.state))
}

/// At the end the server's belief must be the devices' truth: nothing of what a living device did is lost.
fn misled(world: &World) -> Option<String> {
    world.devices.values().filter(|device| !world.is_gone(&device.settings.device)).find_map(|device| {
        let id = &device.settings.device;
        let really = device.flash.image(device.flash.confirmed);
        let believed = world.server.state.devices.get(id).and_then(|known| known.confirmed.as_ref());
        let believed = believed.map(|running| running.image);
        if really != believed {
            return Some(format!(
                "{id}: the server believes {believed:?}, the device has confirmed {really:?}"
            ));
        }
        let at_work = world
            .server
            .state
            .rollouts
            .values()
            .flat_map(|record| &record.members)
            .find(|member| member.device == *id && is_at_work(member.state))?;
        Some(format!("{id} is at rest, and the server has it as {} since {}", at_work.state, at_work.since))
    })
}

fn ending(world: &World, rollout: &RolloutId) -> Ending {
    let record = world.server.state.rollouts.get(rollout);
    let members = || record.into_iter().flat_map(|record| &record.members);
    let count = |states: &[MemberState]| members().filter(|member| states.contains(&member.state)).count();
    Ending {
        rollout: record.map_or(RolloutState::Draft, |record| record.rollout.state),
        healthy: count(&[MemberState::Healthy]),
        back: count(&[MemberState::RolledBack, MemberState::Reverted, MemberState::Failed]),
        silent: members().filter(|member| is_at_work(member.state)).count(),
        cuts: world.devices.values().map(|device| device.truth.cuts).sum(),
    }
}
