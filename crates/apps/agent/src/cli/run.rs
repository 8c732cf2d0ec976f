//! `run`: the daemon.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use warden_agent::device::Device;
use warden_agent::device::dir::{DeviceDir, read_small};
use warden_agent::driver::{Driver, Nobody, Remote, Rest, now};
use warden_agent::machine::Input;
use warden_agent::server::Server;
use warden_agent::server::enrol::{Enrolled, RENEWAL_PAUSE};
use warden_model::{Seconds, Timestamp};

/// The longest sleep at a stretch: a clock that is set while the device sleeps is noticed after a minute.
const SLEEP_MAX: Duration = Duration::from_mins(1);

/// Runs the device.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// A TOML file with `dir`, `server` and `poll_seconds`; the flags win over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory of the device.
    #[arg(long, value_name = "DIR", env = "FLEETWARDEN_DIR")]
    dir: Option<PathBuf>,
    /// The server's address, when it is not the one that the device enrolled at.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Pause between polls, in seconds, when the server shall not say.
    #[arg(long, value_name = "SECONDS")]
    poll: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    dir: Option<PathBuf>,
    server: Option<String>,
    poll_seconds: Option<u64>,
}

impl Run {
    pub(crate) fn perform(self) -> Result<ExitCode> {
        let file = match &self.config {
            Some(path) => {
                let text = String::from_utf8(read_small(path)?).context("the configuration is no text")?;
                toml::from_str(&text).with_context(|| format!("read {}", path.display()))?
            }
            None => File::default(),
        };
        let dir =
            self.dir.or(file.dir).context("no device directory\nhint: give `--dir`, or `dir` in the file")?;
        let poll = self.poll.or(file.poll_seconds).map(Seconds);
        let server = self.server.or(file.server);
        let mut device = Device::open(DeviceDir::new(&dir))?;
        let journal = device.dir.load_journal()?;
        let started = device.power_on(&journal)?;
        let machine = device.machine(journal, poll);
        let mut connection = Connection::open(&device, server);
        let remote = connection.remote(&device)?;
        let mut driver = Driver::new(machine, device, remote);
        serve(&mut driver, &mut connection, started)?;
        // The lock goes with the old process; nothing else of it is left.
        drop(driver);
        reboot()
    }
}

/// Works until the device must reboot.
fn serve(driver: &mut Driver, connection: &mut Connection, started: Input) -> Result<()> {
    let mut input = started;
    loop {
        let Rest::Until(until) = driver.run(input)? else { return Ok(()) };
        let mut at = now();
        while at < until {
            let left = Duration::from_millis(u64::try_from(until.0 - at.0).unwrap_or_default());
            std::thread::sleep(left.min(SLEEP_MAX));
            let woke = now();
            if woke < at {
                // The clock stepped back: the machine decides anew instead of sleeping through the difference.
                break;
            }
            at = woke;
        }
        if connection.renew(driver, now()) {
            driver.remote = connection.remote(&driver.device)?;
        }
        input = Input::Tick;
    }
}

/// A reboot of a device on slot files: the process starts over, as the boot loader's first instruction.
fn reboot() -> Result<ExitCode> {
    let program = std::env::current_exe().context("find the agent's own program")?;
    tracing::info!("rebooting");
    let error = Command::new(program).args(std::env::args_os().skip(1)).exec();
    Err(error).context("start over")
}

/// The enrolment, and when to renew it.
struct Connection {
    enrolled: Option<Enrolled>,
    renew_at: Timestamp,
}

impl Connection {
    fn open(device: &Device, server: Option<String>) -> Self {
        let never = Timestamp(i64::MAX);
        match Enrolled::load(&device.dir) {
            Ok(enrolled) => {
                let renew_at = enrolled.renew_at().unwrap_or(never);
                let mut enrolled = enrolled;
                if let Some(server) = server {
                    enrolled.server = server;
                }
                Self { enrolled: Some(enrolled), renew_at }
            }
            Err(error) => {
                // It boots, proves and turns back all the same.
                tracing::warn!("working without a server: {error:#}");
                Self { enrolled: None, renew_at: never }
            }
        }
    }

    fn remote(&self, device: &Device) -> Result<Box<dyn Remote>> {
        match &self.enrolled {
            Some(enrolled) => Ok(Box::new(Server::new(enrolled, device)?)),
            None => Ok(Box::new(Nobody)),
        }
    }

    /// Renews the certificate when it is time; says whether there is a new one.
    fn renew(&mut self, driver: &Driver, at: Timestamp) -> bool {
        let Some(enrolled) = self.enrolled.as_mut().filter(|_| self.renew_at <= at) else { return false };
        match enrolled.renew(&driver.device.identity.device) {
            Ok(()) => {
                self.renew_at = enrolled.renew_at().unwrap_or(at.plus(RENEWAL_PAUSE));
                tracing::info!(next = %self.renew_at, "renewed the device's certificate");
                true
            }
            Err(error) => {
                tracing::warn!("the device's certificate was not renewed: {error:#}");
                self.renew_at = at.plus(RENEWAL_PAUSE);
                false
            }
        }
    }
}
