//! The `fleetwarden` command: server, operator's tool and offline signer in one binary.
//!
//! In: a command line, settings, and where the command says so standard input. Out: data on stdout, talk on stderr, an
//! exit code that scripts can rely on (see [`failure::Exit`]). Refuses: settings that do not fit, and to do anything
//! that cannot be undone without a yes.

use std::process::ExitCode;

mod advisory;
mod alert;
mod cli;
mod client;
mod config;
mod delta;
mod delta_index;
mod device;
mod doctor;
mod event;
mod failure;
mod inspect;
mod list;
mod login;
mod output;
mod product;
mod reference;
mod release;
mod risk;
mod rollout;
mod run;
mod scan;
mod serve;
mod session;
mod settings;
mod setup;
mod shield;
mod span;

fn main() -> ExitCode {
    ExitCode::from(run::run(std::env::args_os()).code())
}
