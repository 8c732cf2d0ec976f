//! `boot`: one power-on without a server, up to the point where the device is at rest.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use warden_agent::device::boot::SlotFiles;
use warden_agent::device::{Device, HealthMode};
use warden_agent::driver::{Driver, Nobody, Rest};
use warden_agent::machine::Input;

use super::observe::observe;
use super::{Dir, print};

/// Most power-ons of one command: the tries of a trial, the way back, and room for a cut or two.
const BOOTS_MAX: u32 = 12;

/// Boots the device.
#[derive(Debug, clap::Args)]
pub(crate) struct Boot {
    #[command(flatten)]
    dir: Dir,
    /// Lets the health checks fail, so that the device must turn back (for the lab).
    #[arg(long = "fail-health")]
    unhealthy: bool,
    /// Lets the image on trial never come up, so that the boot loader must give it up (for the lab).
    #[arg(long = "fail-boot")]
    dead: bool,
}

impl Boot {
    pub(crate) fn perform(self) -> Result<ExitCode> {
        let began = Instant::now();
        let mut device = Device::open(self.dir.open())?;
        if self.unhealthy {
            device.health = HealthMode::Fail;
        }
        let journal = device.dir.load_journal()?;
        let machine = device.machine(journal, None);
        let mut driver = Driver::new(machine, device, Box::new(Nobody));
        for _ in 0..BOOTS_MAX {
            let started = driver.device.power_on(driver.machine.journal())?;
            if self.dead && on_trial(&started) {
                tracing::warn!("the image on trial does not come up");
                // A new power-on: what runs is forgotten, the boot state on disk is not.
                driver.device.boot = SlotFiles::open(&driver.device.dir.boot());
                continue;
            }
            match driver.run(started)? {
                Rest::Reboot => {}
                Rest::Until(_) => {
                    print(&observe(&driver, began)?)?;
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
        bail!("the device did not come to rest within {BOOTS_MAX} boots")
    }
}

fn on_trial(input: &Input) -> bool {
    matches!(input, Input::Started { boot } if boot.running != boot.confirmed)
}
