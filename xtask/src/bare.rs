//! What runs on microcontrollers: no operating system, no allocation.
//!
//! In: the sources of `warden-patch`. Out: nothing when it can neither allocate nor reach an operating system, and builds for
//! a Cortex-M4 where that target is installed. Refuses: a dependency, `alloc`, `std` outside of tests.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::house::crates;
use crate::run::{self, run, say};
use crate::tidy::rust_files;

/// The crate that runs on microcontrollers.
const CRATE: &str = "warden-patch";

/// A usual microcontroller: Arm Cortex-M4 with a floating-point unit.
const TARGET: &str = "thumbv7em-none-eabihf";

/// Checks that the decoder for microcontrollers is one.
pub(crate) fn check(_: &[String]) -> Result<()> {
    let house = crates()?;
    let one = house.iter().find(|one| one.name == CRATE).with_context(|| format!("find {CRATE}"))?;
    let needed: Vec<&str> = one
        .dependencies
        .iter()
        .filter(|dependency| !dependency.only_for_tests)
        .map(|dependency| dependency.name.as_str())
        .collect();
    ensure!(needed.is_empty(), "{CRATE} needs {needed:?}: it runs where there is nothing else");
    let root = fs::read_to_string(one.path.join("src/lib.rs")).context("read src/lib.rs")?;
    ensure!(root.contains("#![no_std]"), "{CRATE} is not no_std");
    for path in rust_files(&one.path.join("src"))? {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        if let Some(line) = unfit(&text) {
            bail!("{}:{line}: only tests may use std, and nothing alloc", path.display());
        }
    }
    say(&format!("   {CRATE}: no dependency, no std, no alloc"));
    build()
}

/// Returns the first line that brings in what allocates; `std` is brought in for tests alone.
fn unfit(text: &str) -> Option<usize> {
    let mut before = "";
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let is_for_tests = before == "#[cfg(test)]" && line == "extern crate std;";
        if line.contains("extern crate ") && !is_for_tests {
            return Some(number + 1);
        }
        before = line;
    }
    None
}

fn build() -> Result<()> {
    let folder = run::output("rustc", &["--print", "target-libdir", "--target", TARGET])?;
    if !Path::new(folder.trim()).is_dir() {
        say(&format!("   skipped: no {TARGET} target (`rustup target add {TARGET}`)"));
        return Ok(());
    }
    run("cargo", &["build", "--quiet", "--locked", "--release", "--package", CRATE, "--target", TARGET])
}

#[cfg(test)]
mod tests {
    use super::unfit;

    #[test]
    fn what_allocates_is_found() {
        let cases = [
            ("#![no_std]\n\n#[cfg(test)]\nextern crate std;\n", None),
            ("#![no_std]\nextern crate std;\n", Some(2)),
            ("#[cfg(test)]\nextern crate alloc;\n", Some(2)),
            ("mod inner {\n    extern crate alloc as std;\n}\n", Some(2)),
        ];
        for (text, expected) in cases {
            assert_eq!(unfit(text), expected, "{text}");
        }
    }
}
