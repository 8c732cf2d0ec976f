//! `factory`: makes a device.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use warden_agent::device::boot::SlotFiles;
use warden_agent::device::dir::read_at_most;
use warden_agent::device::slot::{digest_of, write_image};
use warden_agent::machine::{Identity, Input, Installed, Journal, Standing};
use warden_agent::server::metadata::pin_root;
use warden_model::device::Slot;
use warden_model::firmware::Version;
use warden_model::{DeviceId, HardwareId, ProductId};
use warden_trust::Role;

use super::{Dir, print};

/// Makes a device.
#[derive(Debug, clap::Args)]
pub(crate) struct Factory {
    #[command(flatten)]
    dir: Dir,
    /// The image that the device leaves the factory with.
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// Its version.
    #[arg(long)]
    version: Version,
    /// The product.
    #[arg(long)]
    product: ProductId,
    /// The board.
    #[arg(long)]
    hardware: HardwareId,
    /// The name of the device, for life.
    #[arg(long)]
    device: DeviceId,
    /// The release counter of the image: older releases are refused for ever.
    #[arg(long, value_name = "N", default_value_t = 1)]
    release_counter: u64,
    /// The root metadata to trust: without it the device installs nothing that a server offers.
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made {
    device: String,
    image: String,
    version: String,
    slot: String,
}

impl Factory {
    pub(crate) fn perform(self) -> Result<ExitCode> {
        let dir = self.dir.open();
        if dir.load_journal().is_ok() {
            bail!(
                "{} is a device already\nhint: choose another directory, or remove this one",
                dir.root().display()
            );
        }
        fs::create_dir_all(dir.root()).with_context(|| format!("make {}", dir.root().display()))?;
        let _lock = dir.lock()?;
        dir.create()?;
        if let Some(root) = &self.root {
            let bytes = read_at_most(root, Role::Root.bytes_max().0)?;
            pin_root(&dir.trust(), &bytes).map_err(|error| {
                anyhow!("{error:#}\nhint: --root takes `metadata/1.root.json` of the server's data directory")
            })?;
        }
        let (size, image) = digest_of(&self.image)?;
        if let Input::WriteFailed { detail, .. } = write_image(&self.image, &dir.slot(Slot::A), size) {
            bail!(detail);
        }
        let identity = Identity { device: self.device, product: self.product, hardware: self.hardware };
        dir.save_identity(&identity)?;
        SlotFiles::open(&dir.boot()).create(Slot::A)?;
        let installed = Installed {
            image,
            version: self.version,
            size_bytes: size.0,
            release_counter: self.release_counter,
            standing: Standing::Confirmed,
        };
        let version = installed.version.to_string();
        // Last: a directory with a journal is a device.
        dir.save_journal(&Journal::first(Slot::A, installed))?;
        let device = identity.device.to_string();
        print(&Made { device, image: image.to_string(), version, slot: Slot::A.to_string() })?;
        Ok(ExitCode::SUCCESS)
    }
}
