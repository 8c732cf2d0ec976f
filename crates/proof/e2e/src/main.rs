//! The demo: the whole loop on real firmware, with real processes, told in plain lines.
//!
//! In: nothing, or two images of the user's own. Out: the story, a table, exit code 0 only if every device ended as it
//! should. Refuses to start without the built binaries, and says how to build them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use warden_e2e::binaries::Binaries;
use warden_e2e::process::run;
use warden_e2e::story::{Script, Story, rows, verdict};
use warden_e2e::talk::{Audience, Talk};

/// The whole loop on real firmware: an advisory, twelve devices, and the time until all of them are protected.
#[derive(Debug, Parser)]
#[command(name = "./fw demo")]
struct Arguments {
    /// Leave everything running for a look around, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Two images of your own for the gateways: version 1.0 and version 1.1.
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    firmware: Option<Vec<PathBuf>>,
    /// Where to keep everything; made anew each time.
    #[arg(long, default_value = "demo-data")]
    dir: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let talk = Talk::new(Audience::Person);
    match tell(&arguments, talk) {
        Ok(code) => code,
        Err(error) => {
            talk.print(&format!(
                "\ndemo: failed: {error:#}\nhint: the logs are in {}/logs",
                arguments.dir.display()
            ));
            ExitCode::FAILURE
        }
    }
}

fn tell(arguments: &Arguments, talk: Talk) -> Result<ExitCode> {
    let binaries = Binaries::find()?;
    let firmware = match arguments.firmware.as_deref() {
        Some([old, new]) => Some((existing(old)?, existing(new)?)),
        Some(_) | None => None,
    };
    let dir = std::path::absolute(&arguments.dir).context("find the folder of the demo")?;
    let packages = dir.with_file_name(format!("{}-packages", dir.file_name().unwrap_or_default().display()));
    let story = Story::tell(&binaries, &Script { dir, packages, firmware }, talk)?;
    let (table, all_is_well) = verdict(&rows(&story)?);
    let login = run(&mut story.server.cli(&["login"])).context("make a login link")?;
    talk.print(&format!("\nconsole: https://localhost:{}", story.server.console.port()));
    talk.print(&format!("one-time login link, good for 15 minutes while the demo runs: {}", login.trim()));
    talk.print(&format!("\n{table}\n"));
    if arguments.keep {
        talk.print("everything keeps running; press Enter or Ctrl-C to end the demo");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).context("wait for Enter")?;
    }
    if all_is_well {
        talk.print(&format!("demo: OK in {:.0} s", talk.seconds()));
        return Ok(ExitCode::SUCCESS);
    }
    talk.print("demo: failed: not every device ended as it should");
    Ok(ExitCode::FAILURE)
}

fn existing(path: &PathBuf) -> Result<PathBuf> {
    let found = std::fs::canonicalize(path);
    found.with_context(|| format!("find the image {}", path.display()))
}
