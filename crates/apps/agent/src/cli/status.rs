//! `status`: where the device stands, read from disk; a running agent is not disturbed.

use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use warden_agent::device::boot::{BootControl as _, SlotFiles};
use warden_agent::machine::journal::Update;
use warden_agent::machine::{Step, Trial};
use warden_agent::server::enrol::Enrolled;

use super::{Dir, print, say};

/// Shows where the device stands.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    dir: Dir,
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct View {
    device: String,
    product: String,
    hardware: String,
    confirmed_version: String,
    confirmed_image: String,
    confirmed_slot: String,
    release_counter: u64,
    trial: String,
    update: Option<String>,
    generation: u64,
    reports_waiting: usize,
    server: Option<String>,
}

impl Status {
    pub(crate) fn perform(self) -> Result<ExitCode> {
        let dir = self.dir.open();
        let identity = dir.load_identity()?;
        let journal = dir.load_journal()?;
        let boot = SlotFiles::open(&dir.boot()).view()?;
        let view = View {
            device: identity.device.to_string(),
            product: identity.product.to_string(),
            hardware: identity.hardware.to_string(),
            confirmed_version: journal.confirmed.version.to_string(),
            confirmed_image: journal.confirmed.image.to_string(),
            confirmed_slot: boot.confirmed.to_string(),
            release_counter: journal.confirmed.release_counter,
            trial: match boot.trial {
                Trial::None => "nothing on trial".to_owned(),
                Trial::Armed { tries_left } => {
                    format!("slot {} on trial, {tries_left} boots left", boot.confirmed.other())
                }
                Trial::Exhausted => format!("slot {} did not come up", boot.confirmed.other()),
            },
            update: journal.update.as_ref().map(in_words),
            generation: journal.generation.0,
            reports_waiting: journal.outbox.len(),
            server: Enrolled::load(&dir).ok().map(|enrolled| enrolled.server),
        };
        if self.json {
            print(&view)?;
        } else {
            view.show()?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl View {
    fn show(&self) -> Result<()> {
        say(&format!("device     {} ({} on {})", self.device, self.product, self.hardware))?;
        say(&format!("confirmed  {} in slot {}", self.confirmed_version, self.confirmed_slot))?;
        say(&format!("trial      {}", self.trial))?;
        say(&format!("update     {}", self.update.as_deref().unwrap_or("none in work")))?;
        say(&format!("reports    {} wait for the server", self.reports_waiting))?;
        say(&format!(
            "server     {}",
            self.server.as_deref().unwrap_or("not enrolled: `enrol` enrols the device")
        ))
    }
}

fn in_words(update: &Update) -> String {
    let step = match &update.step {
        Step::Accepted => "waits for signed metadata".to_owned(),
        Step::LoadingPatch { patch, done_bytes } => {
            format!("loads a patch, {done_bytes} of {} bytes", patch.size_bytes)
        }
        Step::Applying { .. } => "applies a patch".to_owned(),
        Step::LoadingPieces { done_bytes, .. } => format!("loads what it lacks, {done_bytes} bytes so far"),
        Step::Assembling { .. } => "puts the pieces together".to_owned(),
        Step::LoadingImage { done_bytes } => format!("loads the whole image, {done_bytes} bytes so far"),
        Step::Writing => "writes the other slot".to_owned(),
        Step::Verifying { .. } => "reads the other slot back".to_owned(),
        Step::Arming { .. } => "is ready to switch".to_owned(),
        Step::Trial => "proves the new image".to_owned(),
        Step::Confirming { .. } => "confirms the new image".to_owned(),
        Step::Reverting { .. } => "turns back".to_owned(),
    };
    format!("{} to {}: {step}", update.order, update.image.short())
}
