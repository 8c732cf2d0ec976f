//! A fleet simulator: virtual clock, network and flash, with seeds.
//!
//! In: a seed, and a story (text commands) or a swarm plan (chance). Out: what happened, line by line with its reasons, and
//! every broken invariant. Refuses: real clocks, files and sockets; the same seed and story always tell the same.
//!
//! What is real in here: the device's machine ([`warden_agent::machine`]), the planners of assess, rollout, shield and lab.
//! What is virtual: [`flash`] (slots, boot loader, journal), [`link`] (latency, loss, breaks), [`server`] (the stages wired
//! as the real server wires them, in memory), and time itself ([`agenda`]).
//!
//! Reading order: [`world`] runs everything, [`rules`] are the invariants that it holds after each event, [`story`] is the
//! language of the golden stories, [`swarm`] makes random worlds.

pub mod agenda;
pub mod chance;
pub mod device;
pub mod flash;
pub mod lab;
pub mod link;
pub mod log;
pub mod rules;
pub mod server;
pub mod story;
pub mod swarm;
pub mod world;
