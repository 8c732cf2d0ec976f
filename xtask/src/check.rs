//! Everything that must pass before a change lands, the cheapest first.

use anyhow::Result;

use crate::run::{is_there, run, say, step};
use crate::{bare, deps, docs, layers, tidy};

/// Runs all checks; stops at the first that fails.
pub(crate) fn all(arguments: &[String]) -> Result<()> {
    step("format", || run("cargo", &["fmt", "--all", "--check"]))?;
    step("layers", || layers::run(arguments))?;
    step("tidy", || tidy::run(arguments))?;
    step("deps", || deps::run(arguments))?;
    step("shell", shell)?;
    step("clippy", || {
        run(
            "cargo",
            &["clippy", "--quiet", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"],
        )
    })?;
    // The tests start the real binaries, so they must be there and new.
    step("build", || run("cargo", &["build", "--quiet", "--locked", "--workspace", "--bins"]))?;
    step("bare metal", || bare::check(arguments))?;
    step("docs", || docs::check(arguments))?;
    step("tests", tests)?;
    step("agent size", agent_size)
}

fn shell() -> Result<()> {
    if is_there("shellcheck", &["--version"]) {
        return run("shellcheck", &["fw", ".ci/run"]);
    }
    say("   skipped: no shellcheck");
    Ok(())
}

fn tests() -> Result<()> {
    if is_there("cargo", &["nextest", "--version"]) {
        return run("cargo", &["nextest", "run", "--locked", "--workspace"]);
    }
    say("   no cargo-nextest here: cargo test does it too, only slower");
    run("cargo", &["test", "--quiet", "--locked", "--workspace"])
}

/// The agent lives on small devices: its release binary has a limit.
fn agent_size() -> Result<()> {
    const AGENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
    run("cargo", &["build", "--quiet", "--locked", "--release", "--package", "warden-agent"])?;
    let binary = crate::run::target_folder()?.join("release/fleetwarden-agent");
    let bytes = std::fs::metadata(&binary)?.len();
    say(&format!("   fleetwarden-agent (release): {bytes} bytes of at most {AGENT_BYTES_MAX}"));
    anyhow::ensure!(
        bytes <= AGENT_BYTES_MAX,
        "the release agent has {bytes} bytes, more than {AGENT_BYTES_MAX}"
    );
    Ok(())
}
