//! `./fw bench delta`: our patches beside those of the tools in use, on a public corpus of real firmware.
//!
//! In: options. Out: a table at the terminal, and `docs/benchmarks/delta.md` when all pairs were measured. Refuses:
//! unknown options; a patch that does not make the new version is reported as a failure, and the command fails.

mod corpus;
mod fetch;
mod images;
mod means;
mod measure;
mod pairs;
mod report;
mod tools;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::run::{output, root, run, say, target_folder};
use corpus::{Built, Corpus};
use measure::{Measured, Workbench};
use pairs::{Class, Pair, read_pairs};
use report::Row;
use tools::{HOUSE, OURS_MCU, PEERS, Tool};

const USAGE: &str =
    "usage: bench delta [--class CLASS] [--pair NAME] [--only-ours | --only-peers] [--binary PATH] [--list]

  --class CLASS   only pairs of this class: mcu, elf, kernel, compressed, rawfs
  --pair NAME     only this pair
  --only-ours     measure only our own patches; what is known of the peers is shown
  --only-peers    measure only the peers that are not yet measured
  --binary PATH   measure this program instead of building one
  --list          list the pairs
  --corpus        build the corpus and measure nothing";

/// Whom to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    All,
    Ours,
    Peers,
    List,
    Nobody,
}

/// What was asked for.
#[derive(Debug)]
struct Options {
    class: Option<Class>,
    pair: Option<String>,
    binary: Option<PathBuf>,
    whom: Whom,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self> {
        let mut options = Self { class: None, pair: None, binary: None, whom: Whom::All };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value\n{USAGE}"));
            match argument.as_str() {
                "--class" => options.class = Some(Class::read(value()?)?),
                "--pair" => options.pair = Some(value()?.clone()),
                "--binary" => options.binary = Some(PathBuf::from(value()?)),
                "--only-ours" => options.whom = Whom::Ours,
                "--only-peers" => options.whom = Whom::Peers,
                "--list" => options.whom = Whom::List,
                "--corpus" => options.whom = Whom::Nobody,
                other => bail!("{other:?} is no option\n{USAGE}"),
            }
        }
        Ok(options)
    }

    fn wants(&self, pair: &Pair) -> bool {
        self.class.is_none_or(|class| class == pair.class)
            && self.pair.as_ref().is_none_or(|name| *name == pair.name)
    }

    fn is_whole(&self) -> bool {
        self.class.is_none() && self.pair.is_none()
    }
}

/// Runs the benchmark.
pub(crate) fn delta(arguments: &[String]) -> Result<()> {
    let options = Options::read(arguments)?;
    let pairs = read_pairs(include_str!("../bench/pairs.txt")).context("read bench/pairs.txt")?;
    let wanted: Vec<&Pair> = pairs.iter().filter(|pair| options.wants(pair)).collect();
    if wanted.is_empty() {
        bail!("no pair fits (hint: bench delta --list)");
    }
    if options.whom == Whom::List {
        for pair in wanted {
            say(&pair.line);
        }
        return Ok(());
    }
    let top = target_folder()?.join("bench/delta");
    let mut corpus = Corpus::new(&top);
    let built = build(&mut corpus, &wanted);
    if options.whom == Whom::Nobody {
        return Ok(());
    }
    let (ours, house) = own_program(&options)?;
    let bench = Workbench::new(&top, corpus.depot().venv()?, ours)?;
    let mut failures = Vec::new();
    let mut rows = Vec::new();
    say(&report::live_head());
    for built in built {
        let row = measure_pair(&bench, built, &options, &house, &mut failures)?;
        say(&report::live_line(&row));
        rows.push(row);
    }
    say(&format!("\n{}\n{}", report::means(&rows), report::remarks(&rows)));
    if options.is_whole() && options.whom != Whom::Peers && failures.is_empty() {
        write_document(&rows)?;
    }
    if !failures.is_empty() {
        bail!("{} runs failed:\n  {}", failures.len(), failures.join("\n  "));
    }
    Ok(())
}

/// Builds the pairs; one that cannot be had is left out, with the cause.
fn build(corpus: &mut Corpus, wanted: &[&Pair]) -> Vec<Built> {
    let mut built = Vec::new();
    for pair in wanted {
        match corpus.pair(pair) {
            Ok(one) => built.push(one),
            Err(error) => say(&format!("corpus: {}/{}: left out: {error:#}", pair.class, pair.name)),
        }
    }
    say(&format!("corpus: {} of {} pairs are there", built.len(), wanted.len()));
    built
}

/// Returns our own program, and the ways to run it that it knows.
fn own_program(options: &Options) -> Result<(PathBuf, Vec<Tool>)> {
    if options.whom == Whom::Peers {
        return Ok((PathBuf::new(), Vec::new()));
    }
    let program = if let Some(path) = &options.binary {
        fs::canonicalize(path).with_context(|| format!("find {}", path.display()))?
    } else {
        run("cargo", &["build", "--quiet", "--locked", "--release", "--package", "warden-cli"])?;
        target_folder()?.join("release/fleetwarden")
    };
    let help = output(&program.display().to_string(), &["delta", "make", "--help"])?;
    let knows_profiles = help.contains("--profile");
    if !knows_profiles {
        say("this program knows no profiles: the small decoder is not measured");
    }
    let house = HOUSE.iter().filter(|tool| knows_profiles || tool.name != OURS_MCU).copied();
    Ok((program, house.collect()))
}

/// Measures everyone on a pair: ourselves always, a peer only when nothing is known of it.
fn measure_pair(
    bench: &Workbench,
    built: Built,
    options: &Options,
    house: &[Tool],
    failures: &mut Vec<String>,
) -> Result<Row> {
    let mut measured = Vec::new();
    let mut note = |tool: &Tool, outcome| {
        measured.push(Measured { tool: tool.name, hinted: tool.needs_hint(), outcome });
    };
    for tool in house.iter().chain(PEERS) {
        let has_hint = !tool.needs_hint() || built.pair.hint.is_some();
        if !tool.classes.contains(&built.pair.class) || !has_hint {
            continue;
        }
        let is_ours = tool.name.starts_with(tools::OURS);
        if !is_ours && let Some(outcome) = bench.known(tool, &built)? {
            note(tool, outcome);
            continue;
        }
        if !is_ours && options.whom == Whom::Ours {
            continue;
        }
        match bench.measure(tool, &built) {
            Ok(outcome) => {
                note(tool, outcome);
                if !is_ours {
                    bench.keep(tool, &built, &outcome)?;
                }
            }
            Err(error) => {
                say(&format!("{}: {}: {error:#}", built.title(), tool.name));
                // A peer that fails is shown as not run; only our own failures are failures of ours.
                if is_ours {
                    failures.push(format!("{}: {}: {error:#}", built.title(), tool.name));
                }
            }
        }
    }
    Ok(Row { built, measured })
}

fn write_document(rows: &[Row]) -> Result<()> {
    let path = root().join("docs/benchmarks/delta.md");
    let folder = path.parent().context("a document without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    fetch::write(&path, report::document(rows, &machine()))?;
    say("written: docs/benchmarks/delta.md");
    Ok(())
}

/// Says what processor this is: seconds mean little without it.
fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("an unnamed processor", |(_, model)| model.trim()).to_owned()
}

#[cfg(test)]
mod tests;
