//! `fleetwarden-agent`: the command line of the device side.
//!
//! In: a command. Out: data on stdout, talk on stderr; exit code 0 when it went well, 1 when it did not, 2 when the
//! command line was wrong.

mod cli;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let command_line = cli::CommandLine::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_max_level(command_line.log)
        .with_target(false)
        .init();
    match cli::perform(command_line.command) {
        Ok(code) => code,
        Err(error) => {
            // When stderr is gone there is nobody left to tell.
            drop(writeln!(std::io::stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
