//! All automation of the project: `cargo xtask <command>`, or `./fw <command>`.
//!
//! In: a command and its arguments. Out: exit code 0 when all is well, 1 with the cause when not, 2 for a command that
//! does not exist. Refuses to go on after the first step that fails: the cheapest checks come first.

mod bare;
mod bench;
mod check;
mod deps;
mod docs;
mod house;
mod layers;
mod run;
mod story;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;

/// A command: its name, what it does, and the function that does it.
struct Command {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<()>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        about: "the whole loop on real firmware [--keep] [--firmware A B]",
        run: story::demo,
    },
    Command { name: "test", about: "everything that must pass (the same as check)", run: check::all },
    Command {
        name: "check",
        about: "format, layers, tidy, deps, lints, docs, all tests; cheapest first",
        run: check::all,
    },
    Command { name: "layers", about: "the dependency rules of the house", run: layers::run },
    Command {
        name: "tidy",
        about: "file sizes, headers, inherited lints, leftovers, forgotten files",
        run: tidy::run,
    },
    Command {
        name: "bare",
        about: "the decoder for microcontrollers: no std, no allocation; builds it where the target is installed",
        run: bare::check,
    },
    Command { name: "deps", about: "number of packages, licences, banned crates", run: deps::run },
    Command { name: "docs", about: "checks that the generated reference is up to date", run: docs::check },
    Command {
        name: "bless",
        about: "writes the generated reference and the snapshots anew",
        run: docs::bless,
    },
    Command {
        name: "bench",
        about: "our patches beside others': bench delta [--list] [--class C] [--pair P]",
        run: story::bench,
    },
    Command {
        name: "fuzz",
        about: "hostile patches and images by chance: fuzz delta [--minutes N] [--seed S]",
        run: story::fuzz,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        run::say(&help());
        return ExitCode::from(2);
    };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        run::say(&format!("there is no command {name:?}\n{}", help()));
        return ExitCode::from(2);
    };
    match (command.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::say(&format!("{name}: failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let lines = COMMANDS.iter().map(|command| format!("  {:<8} {}\n", command.name, command.about));
    format!("usage: cargo xtask <command>\n\n{}", lines.collect::<String>())
}
