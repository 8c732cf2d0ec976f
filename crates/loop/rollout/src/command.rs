//! Commands: what a person may do to a rollout, and when.
//!
//! In: a rollout, a command, who gives it, and `now`. Out: the moved rollout. Refuses what does not fit the state, with
//! the cause and what to do instead. Commands give no orders to devices: the next plan does.

use std::fmt;

use thiserror::Error;
use warden_model::Timestamp;
use warden_model::rollout::{Rollout, RolloutState};

/// Longest name of a person, in characters, that goes into a reason: reasons are shown in one line.
const BY_CHARS_MAX: usize = 64;

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    /// Start a draft.
    Start,
    /// Hold a running rollout: nothing new is offered, devices at work go on.
    Pause,
    /// Stop a rollout because something is wrong.
    Halt,
    /// Go on with a paused or halted rollout; the failures so far are accepted.
    Resume,
    /// Turn every device back.
    RollBack,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Halt => "halt",
            Self::Resume => "resume",
            Self::RollBack => "roll back",
        })
    }
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commanded {
    /// Where the rollout stood.
    pub from: RolloutState,
    /// Where it stands now.
    pub to: RolloutState,
    /// Why, in one sentence: who, what and when.
    pub reason: String,
}

/// A command that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot {command} a rollout that is {state}: {why}")]
pub struct CommandRefused {
    /// The command.
    pub command: Command,
    /// Where the rollout stands.
    pub state: RolloutState,
    /// Why it does not fit.
    pub why: &'static str,
    /// What to do instead.
    pub hint: &'static str,
}

/// Carries out a command of a person.
///
/// The hint of a refusal says what to do instead.
pub fn command(
    rollout: &mut Rollout,
    command: Command,
    by: &str,
    now: Timestamp,
) -> Result<Commanded, CommandRefused> {
    let from = rollout.state;
    let to =
        target(from, command).map_err(|(why, hint)| CommandRefused { command, state: from, why, hint })?;
    let verb = match command {
        Command::Start => "started",
        Command::Pause => "paused",
        Command::Halt => "halted",
        Command::Resume => "resumed",
        Command::RollBack => "ordered back",
    };
    let by: String = by.chars().filter(|c| !c.is_control()).take(BY_CHARS_MAX).collect();
    let by = if by.is_empty() { "somebody".to_owned() } else { by };
    let accepted = if from == RolloutState::Halted && to == RolloutState::Running {
        rollout.failures_accepted_until = Some(now);
        ", and the failures so far are accepted"
    } else {
        ""
    };
    if matches!(to, RolloutState::Halted | RolloutState::RollingBack) {
        rollout.good_since = None;
    }
    let reason = format!("The rollout was {verb} by {by} at {now}{accepted}.");
    rollout.state = to;
    rollout.reason.clone_from(&reason);
    Ok(Commanded { from, to, reason })
}

/// Returns the state that the command leads to, or why it does not fit and what to do instead.
fn target(state: RolloutState, command: Command) -> Result<RolloutState, (&'static str, &'static str)> {
    use RolloutState as S;
    const OVER: &str = "it is over";
    const NEW: &str = "make a new rollout";
    match (command, state) {
        (Command::Start, S::Draft) | (Command::Resume, S::Paused | S::Halted) => Ok(S::Running),
        (Command::Pause, S::Running) => Ok(S::Paused),
        (Command::Halt, S::Running | S::Paused) => Ok(S::Halted),
        (Command::RollBack, S::Running | S::Paused | S::Halted | S::Finished) => Ok(S::RollingBack),

        (Command::Start, S::Paused | S::Halted) => Err(("it was started before", "resume it")),
        (Command::Start | Command::Resume, S::Running) => Err(("it runs already", "nothing is to be done")),
        (Command::Start | Command::Pause | Command::Halt | Command::Resume, S::RolledBack | S::Finished) => {
            Err((OVER, NEW))
        }
        (Command::Start | Command::Pause | Command::Halt | Command::Resume, S::RollingBack) => {
            Err(("a rollback always runs to its end", "wait until all devices have turned back"))
        }
        (Command::Pause, S::Paused) | (Command::Halt, S::Halted) => {
            Err(("it stands still already", "resume it, or roll it back"))
        }
        (Command::Pause, S::Halted) => Err(("it stands still already", "resume it, or roll it back")),
        (Command::Pause | Command::Halt | Command::Resume, S::Draft) => {
            Err(("it has not started", "start it"))
        }
        (Command::RollBack, S::Draft) => Err(("no device has its release", "delete it, or leave it a draft")),
        (Command::RollBack, S::RollingBack) => {
            Err(("it is on its way back already", "wait until all devices have turned back"))
        }
        (Command::RollBack, S::RolledBack) => Err(("it has gone back already", NEW)),
    }
}
