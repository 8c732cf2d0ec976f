//! Real agents, one process and one directory a device.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use warden_wire::rest::EnrolmentRequest;

use crate::binaries::Binaries;
use crate::process::{Process, run, wait_for};
use crate::proxy::{Proxy, Quality};
use crate::server::Server;

/// What a device is, and what will happen to it.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its id.
    pub id: &'static str,
    /// Its product.
    pub product: &'static str,
    /// Its board.
    pub board: &'static str,
    /// Its criticality.
    pub criticality: &'static str,
    /// Its data sensitivity.
    pub sensitivity: &'static str,
    /// What happens to it.
    pub fate: Fate,
}

/// What happens to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing special.
    Healthy,
    /// Its sensor is broken, which only the health check of 1.1 notices.
    BrokenSensor,
    /// Its network drops and stalls.
    BadNetwork,
    /// It is killed while it writes its slot.
    KilledWhileWriting,
    /// Its product gets no updates any more.
    OutOfSupport,
}

/// A running device.
pub struct Device {
    /// What it is.
    pub profile: Profile,
    /// Its directory.
    pub dir: PathBuf,
    /// Its network.
    pub proxy: Proxy,
    agent: PathBuf,
    process: Option<Process>,
    log: PathBuf,
}

impl Device {
    /// Makes a device at the factory, enrols it, and starts its agent.
    pub fn start(
        binaries: &Binaries,
        server: &Server,
        base: &Path,
        number: u8,
        profile: Profile,
        image: &Path,
    ) -> Result<Self> {
        let quality = match profile.fate {
            // Each connection gets so much at most: a patch of two megabytes takes several.
            Fate::BadNetwork => Quality::DropsAndStalls { bytes: 640 * 1024 },
            Fate::Healthy | Fate::BrokenSensor | Fate::KilledWhileWriting | Fate::OutOfSupport => {
                Quality::Good
            }
        };
        let proxy = Proxy::start(server.devices, number, quality).context("start a network")?;
        let mut device = Self {
            dir: base.join("devices").join(profile.id),
            log: base.join("logs").join(format!("{}.log", profile.id)),
            agent: binaries.agent.clone(),
            process: None,
            profile,
            proxy,
        };
        device.make(server, image).with_context(|| format!("make the device {}", device.profile.id))?;
        device.power_on()?;
        Ok(device)
    }

    fn make(&self, server: &Server, image: &Path) -> Result<()> {
        let profile = &self.profile;
        let mut factory = Command::new(&self.agent);
        factory.arg("factory").arg("--dir").arg(&self.dir).arg("--image").arg(image);
        factory.args(["--version", "1.0", "--product", profile.product, "--hardware", profile.board]);
        factory.args(["--device", profile.id, "--release-counter", "1"]);
        factory.arg("--root").arg(server.data_dir.join("metadata/1.root.json"));
        run(&mut factory)?;
        let token = server.api.enrolment(&EnrolmentRequest {
            product: profile.product.to_owned(),
            hardware: profile.board.to_owned(),
            criticality: profile.criticality.to_owned(),
            sensitivity: profile.sensitivity.to_owned(),
            segment: None,
            uses: 1,
            lifetime_seconds: 600,
        })?;
        let mut enrol = Command::new(&self.agent);
        enrol.arg("enrol").arg("--dir").arg(&self.dir).args(["--server", &self.url()]);
        enrol.args(["--ca-fingerprint", &token.ca_fingerprint]).env("FLEETWARDEN_TOKEN", &token.token);
        run(&mut enrol)?;
        Ok(())
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.proxy.address.port())
    }

    /// Starts the agent.
    pub fn power_on(&mut self) -> Result<()> {
        let mut command = Command::new(&self.agent);
        command.arg("run").arg("--dir").arg(&self.dir).args(["--server", &self.url()]);
        if self.profile.fate == Fate::BrokenSensor {
            command.env("DEMO_SENSOR", "broken");
        }
        self.process = Some(Process::start(&mut command, &self.log)?);
        Ok(())
    }

    /// Cuts the power: `SIGKILL`.
    pub fn power_cut(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill(),
            None => Ok(()),
        }
    }

    /// Says whether the agent runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// Returns the end of the agent's log.
    pub fn last_words(&self) -> String {
        self.process.as_ref().map(Process::last_words).unwrap_or_default()
    }

    /// Returns the file of the slot that the device does not run from at first.
    pub fn second_slot(&self) -> PathBuf {
        self.dir.join("slots/b.img")
    }

    /// Waits until the agent has begun to write its second slot, and cuts the power at once; returns how many bytes were
    /// written by then.
    pub fn power_cut_while_writing(&mut self, patience: Duration) -> Result<u64> {
        let slot = self.second_slot();
        let size = || fs::metadata(&slot).map_or(0, |metadata| metadata.len());
        let began = std::time::Instant::now();
        // Every 200 µs: a patch is applied within some tens of milliseconds.
        while size() == 0 {
            anyhow::ensure!(
                began.elapsed() < patience,
                "{} did not begin to write its slot",
                self.profile.id
            );
            std::thread::sleep(Duration::from_micros(200));
        }
        self.power_cut()?;
        Ok(size())
    }
}

/// Waits until every device has reported what it runs, and the server knows its address.
pub fn wait_for_first_reports(server: &Server, devices: &mut [Device]) -> Result<()> {
    wait_for("the first reports", Duration::from_mins(1), || {
        for device in devices.iter_mut() {
            if !device.is_running() {
                anyhow::bail!("the agent of {} ended: {}", device.profile.id, device.last_words());
            }
        }
        let known = server.api.devices()?;
        Ok((known.iter().filter(|device| device.confirmed.is_some() && device.address.is_some()).count()
            == devices.len())
        .then_some(()))
    })
}
