//! `./fw fuzz delta --minutes N [--seed S]`: hostile patches and images by chance.
//!
//! In: how long, and a seed. Out: how many patches were applied, and exit code 0; or the first case that broke a promise,
//! saved to a file, and exit code 1. Refuses unknown options.
//!
//! The work is done by a child of limited memory, so that whatever happens to it, somebody is left to tell. A case follows
//! from the seed and its number alone; before each case the child writes the number down.

mod chance;
mod drive;
mod images;
mod mutate;
mod patch;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

const USAGE: &str = "usage: fuzz delta [--minutes N] [--seed S] [--case NUMBER]

  --minutes N    how long, in minutes (1)
  --seed S       where chance starts (1); the same seed makes the same cases
  --case NUMBER  only this case";

/// What was asked for.
#[derive(Debug, Clone)]
struct Options {
    time: Duration,
    seed: u64,
    case: Option<u64>,
    /// In a child: where it writes down how far it is, and the case that it starts with.
    child: Option<(PathBuf, u64)>,
}

impl Options {
    fn read(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut options = Self { time: Duration::from_mins(1), seed: 1, case: None, child: None };
        let mut arguments = arguments.into_iter();
        if arguments.next().as_deref() != Some("delta") {
            bail!("say what: delta\n{USAGE}");
        }
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value\n{USAGE}"));
            match argument.as_str() {
                "--minutes" => {
                    options.time = Duration::from_mins(value()?.parse().context("read --minutes")?);
                }
                "--seed" => options.seed = value()?.parse().context("read --seed")?,
                "--case" => options.case = Some(value()?.parse().context("read --case")?),
                "--child" => options.child = Some((PathBuf::from(value()?), value()?.parse()?)),
                other => bail!("{other:?} is no option\n{USAGE}"),
            }
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    let outcome = Options::read(std::env::args().skip(1)).and_then(|options| match &options.child {
        Some((progress, from)) => watch::work(&options, progress, *from),
        None => watch::watch(&options),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            watch::say(&format!("fuzz: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
