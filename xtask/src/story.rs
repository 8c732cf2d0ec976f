//! The commands that show the product at work: the demo, the benchmarks, and hostile input by chance.

use anyhow::{Result, bail};

use crate::run::{command, finish, run, say};

/// Builds the real binaries and runs the demo with them.
pub(crate) fn demo(arguments: &[String]) -> Result<()> {
    say("building the server, the agent and the command line (the first time takes some minutes) …");
    run("cargo", &["build", "--quiet", "--locked", "--package", "warden-cli", "--package", "warden-agent"])?;
    run("cargo", &["build", "--quiet", "--locked", "--package", "warden-e2e", "--bin", "warden-demo"])?;
    let demo = crate::run::target_folder()?.join("debug/warden-demo");
    finish(command(&demo.display().to_string(), &[]).args(arguments))
}

/// Runs a benchmark by name.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    match arguments.first().map(String::as_str) {
        Some("delta") => crate::bench::delta(arguments.get(1..).unwrap_or_default()),
        Some(other) => bail!("there is no benchmark {other:?} (there is: delta)"),
        None => bail!("say which benchmark: delta"),
    }
}

/// Builds the program for hostile input (checked arithmetic, optimised codecs) and runs it.
pub(crate) fn fuzz(arguments: &[String]) -> Result<()> {
    run("cargo", &["build", "--quiet", "--locked", "--package", "warden-fuzz"])?;
    let fuzz = crate::run::target_folder()?.join("debug/warden-fuzz");
    finish(command(&fuzz.display().to_string(), &[]).args(arguments))
}
