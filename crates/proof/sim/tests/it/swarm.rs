//! Hundreds of random worlds. `FLEETWARDEN_SIM_SEED` lives through one of them again, `FLEETWARDEN_SIM_WORLDS` through that
//! many a test (up to 1,000 seeds differ from those of the next test).

use std::fmt::Write as _;
use warden_model::rollout::RolloutState;
use warden_sim::swarm::live;

/// Worlds a test; each test runs in a process of its own.
const WORLDS: u64 = 52;

fn number_in(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn check(first: u64) {
    if let Some(seed) = number_in("FLEETWARDEN_SIM_SEED") {
        // The whole suite fails or passes by this one world.
        if let Err(wreck) = live(seed) {
            panic!("{wreck}");
        }
        return;
    }
    let mut endings = Vec::new();
    let mut wrecks = String::new();
    for seed in first..first + number_in("FLEETWARDEN_SIM_WORLDS").unwrap_or(WORLDS) {
        match live(seed) {
            Ok(ending) => endings.push(ending),
            Err(wreck) => writeln!(wrecks, "{wreck}").unwrap(),
        }
    }
    assert!(wrecks.is_empty(), "{wrecks}");
    // The worlds are worth something only when they end in different ways.
    let ended = |state| endings.iter().filter(|ending| ending.rollout == state).count();
    assert!(ended(RolloutState::Finished) > 3 && ended(RolloutState::RolledBack) > 3, "{endings:?}");
    assert!(endings.iter().map(|ending| ending.cuts).sum::<u64>() > WORLDS, "the power goes often enough");
    assert!(endings.iter().any(|ending| ending.healthy > 2) && endings.iter().any(|ending| ending.back > 2));
}

#[test]
fn swarm_1() {
    check(0);
}

#[test]
fn swarm_2() {
    check(1_000);
}

#[test]
fn swarm_3() {
    check(2_000);
}

#[test]
fn swarm_4() {
    check(3_000);
}

#[test]
fn the_same_seed_lives_the_same_life() {
    for seed in [1, 7] {
        assert_eq!(live(seed).unwrap(), live(seed).unwrap());
    }
}
