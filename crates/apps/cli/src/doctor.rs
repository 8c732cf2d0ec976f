//! `doctor`: is everything as it should be, and what to do where it is not.
//!
//! In: the settings, the data directory where it is on this machine, the server. Out: a list of checks, each with what was
//! found and a hint; exit code 10 when one needs attention. Refuses nothing: what cannot be looked at is said so.

use clap::Args;
use serde::Serialize;

use crate::failure::{Exit, Failure, Outcome};
use crate::output::{Page, Table};
use crate::session::{Session, now};

mod here;
mod remote;

/// Checks that everything is as it should be; exit code 10 when something needs attention
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fleetwarden doctor --data-dir fleet")]
pub(crate) struct DoctorArgs {}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Good,
    Attention,
    NotLookedAt,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Attention => "ATTENTION",
            Self::NotLookedAt => "not looked at",
        }
    }
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Check {
    fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Good, found: found.into(), hint: None }
    }

    fn attention(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, state: State::Attention, found: found.into(), hint: Some(hint.into()) }
    }

    fn not_looked_at(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, state: State::NotLookedAt, found: why.into(), hint: None }
    }

    fn of_failure(name: &'static str, failure: Failure) -> Self {
        let hint = failure.hint.unwrap_or_else(|| "run the command again with -v".to_owned());
        Self::attention(name, failure.message, hint)
    }
}

/// Runs the command.
pub(crate) fn run(session: &mut Session) -> Outcome {
    let now = now();
    let mut checks = here::checks(&session.settings, now);
    checks.extend(remote::checks(session, now));
    session.output.show(&checks, |checks| {
        let mut table = Table::new(["check", "state", "found", "hint"]);
        for check in checks {
            table.push([check.name, check.state.word(), &check.found, check.hint.as_deref().unwrap_or("")]);
        }
        Page::new().table(table, "")
    })?;
    let well = checks.iter().all(|check| check.state != State::Attention);
    Ok(if well { Exit::Done } else { Exit::Attention })
}
