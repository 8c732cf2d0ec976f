//! The server's settings: what they mean, their defaults, their limits.

use std::net::SocketAddr;
use std::path::PathBuf;

use warden_model::alert::Sensor;
use warden_model::{ByteCount, PerMille, Seconds};
use warden_shield::Loopback;

/// The settings of `fleetwarden serve`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything is kept: database, artifacts, keys, metadata.
    pub data_dir: PathBuf,
    /// Where devices connect (mutual TLS).
    pub device_address: SocketAddr,
    /// Where people and programs connect (TLS): console and REST API.
    pub console_address: SocketAddr,
    /// The host name under which devices reach the server; it stands in every link that they get.
    pub public_host: String,
    /// The part of the device's identity that names this fleet: `spiffe://<trust domain>/device/<id>`.
    pub trust_domain: String,
    /// How often devices poll.
    pub poll: Seconds,
    /// How often the loop turns when nothing wakes it.
    pub turn_every: Seconds,
    /// How long a device certificate is valid; the agent renews at half of it.
    pub certificate_lifetime: Seconds,
    /// The agent binary that the lab runs as virtual device; absent: releases cannot be proven, and the console says so.
    pub agent_binary: Option<PathBuf>,
    /// Logs of sensors to follow.
    pub sensors: Vec<(Sensor, PathBuf)>,
    /// The largest image that may be uploaded.
    pub image_bytes_max: ByteCount,
    /// How long the watch learns what a product usually does before it raises alerts.
    pub learn_for: Seconds,
    /// What to do with devices that connect from loopback addresses, which no rule on a gateway can shield.
    pub loopback_devices: Loopback,
    /// For how long after an order a silent device counts as unreachable.
    pub order_timeout: Seconds,
    /// How patches are built.
    pub patches: PatchConfig,
}

/// How patches are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchConfig {
    /// How many are built at the same time; with 0 none is, and all devices load full images.
    pub builds: u32,
    /// How much memory building may take, all builds together.
    pub memory: ByteCount,
    /// A release goes on as soon as its patches are ready for this share of the devices; the others follow.
    pub cover: PerMille,
    /// A release goes on after this time, however many of its patches are ready.
    pub wait: Seconds,
    /// How long a patch is kept after the last device has left its base.
    pub keep: Seconds,
}

impl Default for PatchConfig {
    fn default() -> Self {
        Self {
            // Whoever serves ten thousand devices has few cores to spare: patches take what is left.
            builds: 1,
            // Enough for images of 220 MiB.
            memory: ByteCount::mib(2048),
            // Nine devices of ten are on few versions; the tail has many, and must not hold up a fix.
            cover: PerMille::NINE_TENTHS,
            wait: Seconds(1_800),
            // A device that was in a drawer for a month may still find its patch.
            keep: Seconds::days(30),
        }
    }
}

impl Config {
    /// Returns the defaults for a data directory: loopback only, because nobody should serve a fleet by accident.
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            device_address: SocketAddr::from(([127, 0, 0, 1], 8443)),
            console_address: SocketAddr::from(([127, 0, 0, 1], 8444)),
            public_host: "localhost".to_owned(),
            trust_domain: "fleet.local".to_owned(),
            // hawkBit's default: five minutes.
            poll: Seconds(300),
            turn_every: Seconds(10),
            certificate_lifetime: Seconds::days(7),
            agent_binary: None,
            sensors: Vec::new(),
            // Ten times a large root file system of a gateway; memory does not grow with it.
            image_bytes_max: ByteCount::mib(4096),
            // A week holds every weekly job.
            learn_for: Seconds::days(7),
            loopback_devices: Loopback::Refuse,
            order_timeout: Seconds::days(1),
            patches: PatchConfig::default(),
        }
    }
}
