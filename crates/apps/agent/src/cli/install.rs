//! `install`: a local update, without a server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Error, Result, anyhow, bail};
use warden_agent::device::slot::digest_of;
use warden_agent::device::{AtHand, Device};
use warden_agent::driver::{Driver, Nobody, Rest};
use warden_agent::machine::{ImageTarget, Input, Journal, PatchTarget};
use warden_model::device::Running;
use warden_model::firmware::Version;
use warden_model::report::{Cause, StateReport};

use super::observe::observe;
use super::{Dir, print};

/// Installs what lies at hand. Whoever may write the device's directory is believed: no signature is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Install {
    #[command(flatten)]
    dir: Dir,
    #[command(flatten)]
    source: Source,
    /// The version of the image.
    #[arg(long)]
    version: Version,
    /// Its release counter; that of the confirmed image when not given.
    #[arg(long, value_name = "N")]
    release_counter: Option<u64>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The whole image.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// A patch that makes it from the image that runs.
    #[arg(long, value_name = "FILE")]
    patch: Option<PathBuf>,
}

impl Install {
    pub(crate) fn perform(self) -> Result<ExitCode> {
        let began = Instant::now();
        let mut device = Device::open(self.dir.open())?;
        let journal = device.dir.load_journal()?;
        let boot = device.boot.look()?;
        if journal.update.is_some() {
            bail!("an update is in work\nhint: `fleetwarden-agent boot` finishes it");
        }
        let order = self.order(&device, &journal)?;
        device.at_hand = AtHand::File(self.source.image.or(self.source.patch).unwrap_or_default());
        let machine = device.machine(journal, None);
        let mut driver = Driver::new(machine, device, Box::new(Nobody));
        driver.run(Input::Started { boot })?;
        let rest = driver.run(order)?;
        print(&observe(&driver, began)?)?;
        match rest {
            Rest::Reboot => Ok(ExitCode::SUCCESS),
            Rest::Until(_) => Err(not_installed(driver.seen.last())),
        }
    }

    fn order(&self, device: &Device, journal: &Journal) -> Result<Input> {
        let (image, size, patch) = match (&self.source.image, &self.source.patch) {
            (Some(image), _) => {
                let (size, digest) = digest_of(image)?;
                (digest, size, None)
            }
            (None, Some(patch)) => {
                let header = header_of(patch)?;
                let (size, digest) = digest_of(patch)?;
                (header.result, header.result_size, Some(PatchTarget { digest, size, base: header.base }))
            }
            (None, None) => bail!("an image or a patch is needed"),
        };
        let image = ImageTarget {
            running: Running { image, version: self.version.clone() },
            size,
            product: device.identity.product.clone(),
            hardware: vec![device.identity.hardware.clone()],
            release_counter: self.release_counter.unwrap_or(journal.confirmed.release_counter),
        };
        Ok(Input::LocalOrder { image, patch })
    }
}

/// Says what is in the last report, and what to do about it.
fn not_installed(last: Option<&StateReport>) -> Error {
    let detail = last.map_or("the device said nothing", |report| report.detail.as_str());
    let hint = match last.and_then(|report| report.cause) {
        Some(Cause::WrongBytes) => "get the file anew; a patch fits only the image that it was made from",
        Some(Cause::NoSpace) => "make room on the disk of the device's directory",
        Some(Cause::OlderRelease) => {
            "--release-counter takes that of the release; older ones are refused for ever"
        }
        Some(_) | None => "`fleetwarden-agent status` shows where the device stands",
    };
    anyhow!("nothing was installed, the device runs on as before: {detail}\nhint: {hint}")
}

fn header_of(patch: &Path) -> Result<warden_delta::Header> {
    let mut file = std::fs::File::open(patch).with_context(|| format!("open {}", patch.display()))?;
    warden_delta::read_header(&mut file).map_err(|error| {
        let error = anyhow!(error).context(format!("read {}", patch.display()));
        anyhow!("{error:#}\nhint: --patch takes what `fleetwarden delta make` wrote")
    })
}
