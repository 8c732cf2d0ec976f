//! Runs a tool on a pair, proves that its patch is right, and says what that cost.
//!
//! In: a tool and a pair. Out: size, CPU and peak memory of making and applying; results of peers are kept, so that they
//! are measured once a version. Refuses: a patch whose result is another file; that is a failure, not a result.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::corpus::{Built, digest};
use super::fetch::{quiet, write};
use super::tools::{Tool, Words};
use crate::run;

/// Longest time for one command; bsdiff takes minutes on the largest images, on a busy machine several times that.
const SECONDS_MAX: u32 = 1800;
/// The exit code with which `delta make` says that the full image is smaller than any patch.
const EXIT_FULL_IMAGE: i32 = 10;

/// What running something cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cost {
    /// CPU time of user and system.
    pub seconds: f64,
    /// Peak memory.
    pub kibibytes: u64,
}

/// What a tool made of a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    /// The size of the patch.
    pub bytes: u64,
    /// Making it.
    pub make: Cost,
    /// Applying it.
    pub apply: Cost,
}

/// A tool and what it made of a pair.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measured {
    /// The name of the tool.
    pub tool: &'static str,
    /// Whether it was told the processor.
    pub hinted: bool,
    /// What it made.
    pub outcome: Outcome,
}

/// Where tools are run and results are kept.
#[derive(Debug)]
pub(crate) struct Workbench {
    results: PathBuf,
    work: PathBuf,
    venv: PathBuf,
    ours: PathBuf,
}

impl Workbench {
    /// Sets up a workbench below a folder.
    pub(crate) fn new(top: &Path, venv: PathBuf, ours: PathBuf) -> Result<Self> {
        let bench = Self { results: top.join("results"), work: top.join("work"), venv, ours };
        for folder in [&bench.results, &bench.work] {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        Ok(bench)
    }

    /// Returns what is known of a peer and a pair, when it is still true.
    pub(crate) fn known(&self, tool: &Tool, pair: &Built) -> Result<Option<Outcome>> {
        let Ok(text) = fs::read_to_string(self.record(tool, pair)) else { return Ok(None) };
        let Ok(record) = serde_json::from_str::<Value>(&text) else { return Ok(None) };
        let fits = [("tool", &tool.version()?), ("old", &pair.old.digest), ("new", &pair.new.digest)]
            .iter()
            .all(|(key, value)| record.get(*key).and_then(Value::as_str) == Some(value));
        Ok(if fits { read_outcome(&record) } else { None })
    }

    /// Keeps what was measured.
    pub(crate) fn keep(&self, tool: &Tool, pair: &Built, outcome: &Outcome) -> Result<()> {
        let record = json!({
            "tool": tool.version()?, "old": pair.old.digest, "new": pair.new.digest, "size": outcome.bytes,
            "make_cpu": outcome.make.seconds, "make_kib": outcome.make.kibibytes,
            "apply_cpu": outcome.apply.seconds, "apply_kib": outcome.apply.kibibytes,
        });
        write(&self.record(tool, pair), record.to_string())
    }

    fn record(&self, tool: &Tool, pair: &Built) -> PathBuf {
        self.results.join(format!("{}__{}__{}.json", pair.pair.class, pair.pair.name, tool.name))
    }

    /// Makes a patch, applies it, compares the result.
    pub(crate) fn measure(&self, tool: &Tool, pair: &Built) -> Result<Outcome> {
        let scripts = run::root().join("xtask/bench");
        let words = Words {
            old: &pair.old.path,
            new: &pair.new.path,
            patch: self.work.join("patch"),
            out: self.work.join("out"),
            hint: pair.pair.hint.as_deref().unwrap_or_default(),
            old_bytes: pair.old.bytes,
            venv: &self.venv,
            scripts: &scripts,
            ours: &self.ours,
        };
        self.clear()?;
        let (code, make) = cost_of_all(&scripts, &words.commands(tool.make))?;
        match code {
            0 => {}
            EXIT_FULL_IMAGE if tool.name.starts_with(super::tools::OURS) => {
                return Ok(Outcome {
                    bytes: pair.new.bytes,
                    make,
                    apply: Cost { seconds: 0.0, kibibytes: 0 },
                });
            }
            code => bail!("making ended with exit code {code}"),
        }
        let bytes = fs::metadata(&words.patch).context("look at the patch")?.len();
        if words.out.exists() {
            fs::remove_file(&words.out).context("remove what making left behind")?;
        }
        let (code, apply) = cost_of_all(&scripts, &words.commands(tool.apply))?;
        if code != 0 {
            bail!("applying ended with exit code {code}");
        }
        if digest(&words.out)? != pair.new.digest {
            bail!("applying made another file");
        }
        self.clear()?;
        Ok(Outcome { bytes, make, apply })
    }

    fn clear(&self) -> Result<()> {
        for name in ["patch", "out"] {
            let path = self.work.join(name);
            if path.exists() {
                fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
            }
        }
        Ok(())
    }
}

fn read_outcome(record: &Value) -> Option<Outcome> {
    let cost = |what: &str| {
        Some(Cost {
            seconds: record.get(format!("{what}_cpu"))?.as_f64()?,
            kibibytes: record.get(format!("{what}_kib"))?.as_u64()?,
        })
    };
    Some(Outcome { bytes: record.get("size")?.as_u64()?, make: cost("make")?, apply: cost("apply")? })
}

/// Runs commands one after the other until one fails: CPU adds up, memory is the largest peak.
fn cost_of_all(scripts: &Path, commands: &[Vec<String>]) -> Result<(i32, Cost)> {
    let mut sum = Cost { seconds: 0.0, kibibytes: 0 };
    for command in commands {
        let (code, cost) = cost_of(scripts, command)?;
        sum.seconds += cost.seconds;
        sum.kibibytes = sum.kibibytes.max(cost.kibibytes);
        if code != 0 {
            return Ok((code, sum));
        }
    }
    Ok((0, sum))
}

fn cost_of(scripts: &Path, command: &[String]) -> Result<(i32, Cost)> {
    let mut python = quiet("python3");
    python.arg(scripts.join("measure.py")).arg(SECONDS_MAX.to_string()).args(command);
    let output = python.stdout(Stdio::piped()).stderr(Stdio::piped()).output().context("start python3")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (code, cost) = read_cost(&text).with_context(|| {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        format!("measuring {}: {complaint}", command.first().map_or("nothing", String::as_str))
    })?;
    if code != 0 && code != EXIT_FULL_IMAGE {
        run::say(String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok((code, cost))
}

/// Reads what `measure.py` prints.
fn read_cost(text: &str) -> Option<(i32, Cost)> {
    let mut words = text.split_whitespace();
    let code = words.next()?.parse().ok()?;
    let seconds = words.next()?.parse().ok()?;
    Some((code, Cost { seconds, kibibytes: words.next()?.parse().ok()? }))
}
