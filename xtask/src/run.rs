//! Running other programs and talking to people.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Says something to the person at the terminal; data never goes this way.
#[expect(clippy::print_stderr, reason = "the one place where automation talks to people")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// Returns the top of the source tree.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Makes a command that starts in the top of the tree.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs a program; its output goes straight to the terminal.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<()> {
    finish(&mut command(program, arguments))
}

/// Runs a prepared command; its output goes straight to the terminal.
pub(crate) fn finish(command: &mut Command) -> Result<()> {
    let shown = command.get_program().display().to_string();
    let status = command.status().with_context(|| format!("start {shown}"))?;
    if !status.success() {
        bail!("{shown} ended with {status}");
    }
    Ok(())
}

/// Runs a program and returns what it prints on stdout.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = command(program, arguments).output().with_context(|| format!("start {program}"))?;
    if !output.status.success() {
        bail!("{program} {} ended with {}: {}", arguments.join(" "), output.status, lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).with_context(|| format!("read what {program} printed"))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// Says whether a program is there.
pub(crate) fn is_there(program: &str, arguments: &[&str]) -> bool {
    command(program, arguments).output().is_ok_and(|output| output.status.success())
}

/// Runs a step of a check, with its name before and its time behind.
pub(crate) fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    say(&format!("── {name}"));
    let began = Instant::now();
    work().with_context(|| name.to_owned())?;
    say(&format!("   {name}: ok ({:.1} s)", began.elapsed().as_secs_f64()));
    Ok(())
}

/// Returns the folder that cargo builds into.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let text = output("cargo", &["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).context("read what cargo metadata printed")?;
    let folder = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    Ok(PathBuf::from(folder.context("cargo metadata names no target folder")?))
}
