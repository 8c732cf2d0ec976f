//! Stories: commands in, what the system did and why out.
//!
//! In: a text, a command a line; `#` starts a comment, quotes hold words together. Out: the same text with what happened
//! after each command. Refuses: unknown commands and words, expectations that do not hold, and every broken invariant of
//! [`crate::rules`]; a refusal names the line.
//!
//! ```text
//! product gateway board gw-1 exposure open
//! firmware gateway 1.0 holds openssl=3.0.20 size 4MiB
//! device gw-1..gw-6 product gateway criticality standard runs 1.0
//! run 10min
//! advisory DEMO-1 affects openssl <3.0.22 exploitation active
//! release gateway 1.1 holds openssl=3.0.22 patch 12%
//! sign gateway-1.1
//! rollout gateway-1.1 phases "canary=1,early=25%,rest; soak=10min"
//! start
//! run until settled
//! expect gw-1 runs 1.1
//! show cases
//! ```

mod args;
mod expect;
mod faults;
mod set_up;
mod show;
mod steer;

use thiserror::Error;
use warden_kit::values::START;
use warden_model::RolloutId;

pub use self::args::{Args, ArgsError};
use crate::log::writeln_to;
use crate::world::World;

/// Longest story, in lines: a person must be able to read what comes out.
pub const LINES_MAX: usize = 500;

/// A story that could not be told to its end.
#[derive(Debug, Error)]
pub enum StoryError {
    /// The text is too long.
    #[error("the story has {lines} lines, more than the {LINES_MAX} that are allowed")]
    TooLong {
        /// How many it has.
        lines: usize,
    },
    /// A command could not be understood or carried out.
    #[error("line {line}: {command}: {why}")]
    Command {
        /// The line, from 1.
        line: usize,
        /// The command.
        command: String,
        /// What is wrong.
        why: String,
    },
    /// An invariant broke.
    #[error("line {line}: {command}: an invariant broke: {rule}")]
    Broken {
        /// The line, from 1.
        line: usize,
        /// The command.
        command: String,
        /// The rule.
        rule: String,
    },
}

/// Why a command is not carried out.
#[derive(Debug, Error)]
pub enum Refusal {
    /// Its words are wrong.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// The server refused it.
    #[error(transparent)]
    Person(#[from] crate::server::PersonError),
    /// The policy cannot be read.
    #[error(transparent)]
    Policy(#[from] warden_rollout::ParseError),
    /// What was expected is not so.
    #[error("expected {expected}, saw {saw}")]
    NotSo {
        /// What was expected.
        expected: String,
        /// What is so.
        saw: String,
    },
    /// The command needs something that is not there.
    #[error("{0}")]
    Missing(String),
}

/// A story that is being told.
#[derive(Debug)]
pub struct Story {
    /// The world that it is about.
    pub world: World,
    /// The rollout that commands mean when they name none.
    pub rollout: Option<RolloutId>,
    told: String,
}

/// Tells a story with a seed: returns what was told, to the point where it broke, if it did.
pub fn tell(text: &str, seed: u64) -> (String, Result<(), StoryError>) {
    let mut story = Story::new(World::new(seed, START));
    let end = story.tell(text);
    if let Err(error) = &end {
        writeln_to(&mut story.told, format_args!("!! {error}"));
    }
    (story.told, end)
}

impl Story {
    /// Starts a story in a world.
    pub fn new(world: World) -> Self {
        Self { world, rollout: None, told: String::new() }
    }

    /// Carries out a text, a command a line.
    pub fn tell(&mut self, text: &str) -> Result<(), StoryError> {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            return Err(StoryError::TooLong { lines });
        }
        for (index, line) in text.lines().enumerate() {
            self.line(index + 1, line.trim())?;
        }
        Ok(())
    }

    fn line(&mut self, line: usize, text: &str) -> Result<(), StoryError> {
        if text.is_empty() || text.starts_with('#') {
            writeln_to(&mut self.told, format_args!("{text}"));
            return Ok(());
        }
        writeln_to(&mut self.told, format_args!("> {text}"));
        let said = Args::read(text).map_err(Refusal::from).and_then(|args| self.command(args));
        self.world.tell_events();
        let happened = self.world.log.take();
        self.told.push_str(&happened);
        let command = || text.chars().take(120).collect();
        match said {
            Ok(said) => self.told.push_str(&said),
            Err(refusal) => {
                return Err(StoryError::Command { line, command: command(), why: refusal.to_string() });
            }
        }
        match self.world.broken.first() {
            Some(rule) => Err(StoryError::Broken { line, command: command(), rule: rule.clone() }),
            None => Ok(()),
        }
    }

    /// Carries out a command; returns what it says besides the log.
    fn command(&mut self, mut args: Args) -> Result<String, Refusal> {
        let verb = args.word("a command")?;
        let said = match verb.as_str() {
            "product" => self.product(&mut args)?,
            "firmware" => self.firmware(&mut args)?,
            "device" => self.device(&mut args)?,
            "release" => self.release(&mut args)?,
            "sign" | "withdraw" => self.release_command(&verb, &mut args)?,
            "advisory" => self.advisory(&mut args)?,
            "rollout" => self.plan_rollout(&mut args)?,
            "start" | "pause" | "halt" | "resume" | "roll-back" => self.steer(&verb, &mut args)?,
            "fault" => self.fault(&mut args)?,
            "network" => self.network(&mut args)?,
            "server" => self.server(&mut args)?,
            "run" => self.run(&mut args)?,
            "show" => self.show(&mut args)?,
            "why" => self.why(&mut args)?,
            "expect" => self.expect(&mut args)?,
            _ => return Err(Refusal::Missing(format!("{verb:?} is no command"))),
        };
        args.end()?;
        Ok(said)
    }
}
