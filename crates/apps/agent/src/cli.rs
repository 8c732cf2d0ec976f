//! The commands: what they take, and who carries them out.

mod boot;
mod enrol;
mod factory;
mod install;
mod observe;
mod run;
mod status;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde::Serialize;
use tracing::level_filters::LevelFilter;
use warden_agent::device::dir::DeviceDir;

/// Keeps one device up to date: downloads, writes, boots, proves, confirms or turns back.
///
/// Data goes to stdout, talk to stderr. Exit code 0: it went well; 1: it did not; 2: the command line was wrong.
#[derive(Debug, Parser)]
#[command(name = "fleetwarden-agent", version)]
pub(crate) struct CommandLine {
    /// How much to say on stderr: off, error, warn, info, debug, trace.
    #[arg(long, global = true, default_value = "info", env = "FLEETWARDEN_LOG")]
    pub(crate) log: LevelFilter,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the device: boots, proves the image, then works for the server until it must reboot, and reboots itself.
    Run(run::Run),
    /// Enrols the device at a server with a one-time token (EST, RFC 7030).
    Enrol(enrol::Enrol),
    /// Makes a device: its first image in slot a, confirmed; its identity; the root of trust that it pins.
    Factory(factory::Factory),
    /// Writes an image or a patch that lies at hand into the other slot and puts it on trial; `boot` boots it.
    Install(install::Install),
    /// Boots the device once without a server: trial, health checks, confirmation or the way back.
    Boot(boot::Boot),
    /// Shows where the device stands.
    Status(status::Status),
}

/// The directory of a device.
#[derive(Debug, clap::Args)]
pub(crate) struct Dir {
    /// The directory of the device.
    #[arg(long = "dir", value_name = "DIR", env = "FLEETWARDEN_DIR")]
    path: PathBuf,
}

impl Dir {
    pub(crate) fn open(&self) -> DeviceDir {
        DeviceDir::new(&self.path)
    }
}

/// Carries out a command.
pub(crate) fn perform(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run(run) => run.perform(),
        Command::Enrol(enrol) => enrol.perform(),
        Command::Factory(factory) => factory.perform(),
        Command::Install(install) => install.perform(),
        Command::Boot(boot) => boot.perform(),
        Command::Status(status) => status.perform(),
    }
}

/// Prints one JSON object on stdout.
pub(crate) fn print(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value)?;
    say(&text)
}

/// Prints one line on stdout.
pub(crate) fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write to stdout")
}
