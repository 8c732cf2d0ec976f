//! The tools that are measured: what they are called, which version it is, how they are run.
//!
//! In: the files of a pair. Out: command lines. Refuses: a tool that is not installed, with the package that holds it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::fetch::{quiet, text_of};
use super::pairs::Class;

/// The peers that come from the Python package index.
pub(crate) const PYTHON_PACKAGES: &[&str] = &["detools==0.53.0", "hdiffpatch==2.6.0"];

/// Our own program.
pub(crate) const OURS: &str = "fleetwarden";
/// Our own program with the decoder for microcontrollers.
pub(crate) const OURS_MCU: &str = "fleetwarden-mcu";

/// Who gives a tool to us.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin {
    /// A Debian package.
    Debian(&'static str),
    /// A package in `PYTHON_PACKAGES`.
    Python(&'static str),
    /// This project.
    House,
}

/// A tool that makes and applies patches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// Its name in the tables.
    pub name: &'static str,
    /// Who gives it to us.
    pub origin: Origin,
    /// The classes that it is run on: on large images only the tools that can be the best are.
    pub classes: &'static [Class],
    /// How it makes a patch; words in capitals are replaced, `&&` separates commands.
    pub make: &'static str,
    /// How it applies one.
    pub apply: &'static str,
}

const ALL: &[Class] = &Class::ALL;
const SMALL: &[Class] = &[Class::Mcu, Class::Elf];
const MCU: &[Class] = &[Class::Mcu];

/// What we are compared with.
pub(crate) const PEERS: &[Tool] = &[
    Tool {
        name: "bsdiff",
        origin: Origin::Debian("bsdiff"),
        classes: ALL,
        make: "bsdiff OLD NEW PATCH",
        apply: "bspatch OLD OUT PATCH",
    },
    Tool {
        name: "hdiffpatch",
        origin: Origin::Python("hdiffpatch"),
        classes: ALL,
        make: "PYTHON HDIFFPATCH make OLD NEW PATCH",
        apply: "PYTHON HDIFFPATCH apply OLD OUT PATCH",
    },
    Tool {
        name: "hdiffpatch-lite",
        origin: Origin::Python("hdiffpatch"),
        classes: MCU,
        make: "PYTHON HDIFFPATCH make-lite OLD NEW PATCH",
        apply: "PYTHON HDIFFPATCH apply-lite OLD OUT PATCH",
    },
    Tool {
        name: "zstd",
        origin: Origin::Debian("zstd"),
        classes: ALL,
        make: "zstd -q -f -19 --long=31 --patch-from=OLD NEW -o PATCH",
        apply: "zstd -q -f -d --long=31 --patch-from=OLD PATCH -o OUT",
    },
    Tool {
        name: "xdelta3",
        origin: Origin::Debian("xdelta3"),
        classes: ALL,
        make: "xdelta3 -q -f -e -9 -S lzma -B BUFFER -s OLD NEW PATCH",
        apply: "xdelta3 -q -f -d -B BUFFER -s OLD PATCH OUT",
    },
    Tool {
        name: "rdiff",
        origin: Origin::Debian("rdiff"),
        classes: SMALL,
        make: "rdiff -f signature OLD OUT && rdiff -f delta OUT NEW PATCH",
        apply: "rdiff -f patch OLD PATCH OUT",
    },
    Tool {
        name: "detools",
        origin: Origin::Python("detools"),
        classes: SMALL,
        make: "DETOOLS create_patch OLD NEW PATCH",
        apply: "DETOOLS apply_patch OLD PATCH OUT",
    },
    Tool {
        name: "detools-hdiff",
        origin: Origin::Python("detools"),
        classes: MCU,
        make: "DETOOLS create_patch -t hdiffpatch -a hdiffpatch OLD NEW PATCH",
        apply: "DETOOLS apply_patch OLD PATCH OUT",
    },
    Tool {
        name: "detools-heatshrink",
        origin: Origin::Python("detools"),
        classes: MCU,
        make: "DETOOLS create_patch -c heatshrink OLD NEW PATCH",
        apply: "DETOOLS apply_patch OLD PATCH OUT",
    },
    Tool {
        name: "detools-heatshrink-11",
        origin: Origin::Python("detools"),
        classes: MCU,
        make: "DETOOLS create_patch -c heatshrink --heatshrink-window-sz2 11 OLD NEW PATCH",
        apply: "DETOOLS apply_patch OLD PATCH OUT",
    },
    Tool {
        name: "detools-format",
        origin: Origin::Python("detools"),
        classes: SMALL,
        make: "DETOOLS create_patch --data-format HINT OLD NEW PATCH",
        apply: "DETOOLS apply_patch OLD PATCH OUT",
    },
];

/// Ourselves: once for all classes, once more for microcontrollers.
pub(crate) const HOUSE: &[Tool] = &[
    Tool {
        name: OURS,
        origin: Origin::House,
        classes: ALL,
        make: "FLEETWARDEN delta make OLD NEW --output PATCH",
        apply: "FLEETWARDEN delta apply OLD PATCH --output OUT",
    },
    Tool {
        name: OURS_MCU,
        origin: Origin::House,
        classes: MCU,
        make: "FLEETWARDEN delta make --profile mcu OLD NEW --output PATCH",
        apply: "FLEETWARDEN delta apply OLD PATCH --output OUT",
    },
];

impl Tool {
    /// Whether a tool is told what processor an image is for.
    pub(crate) fn needs_hint(&self) -> bool {
        self.make.contains("HINT")
    }

    /// Whether it is one of the tools for microcontrollers with little memory.
    pub(crate) fn is_heatshrink(name: &str) -> bool {
        name.starts_with("detools-heatshrink")
    }

    /// Returns its version and how it is run: a result of anything else is no result of this tool.
    pub(crate) fn version(&self) -> Result<String> {
        let version = match self.origin {
            Origin::Debian(package) => text_of(quiet("dpkg-query").args(["-W", "-f=${Version}", package]))
                .with_context(|| format!("{package} is not installed (hint: apt-get install {package})"))?,
            Origin::Python(package) => {
                let mut pins = PYTHON_PACKAGES.iter().filter_map(|pin| pin.split_once("=="));
                let pin = pins.find(|(name, _)| *name == package);
                pin.with_context(|| format!("{package}: no version is pinned"))?.1.to_owned()
            }
            Origin::House => String::new(),
        };
        Ok(format!("{} {version}: {}; {}", self.name, self.make, self.apply))
    }
}

/// What the words in capitals stand for.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    /// The image that devices have.
    pub old: &'a Path,
    /// The image that they get.
    pub new: &'a Path,
    /// Where the patch goes.
    pub patch: PathBuf,
    /// Where the image goes that the patch makes.
    pub out: PathBuf,
    /// The data format for detools.
    pub hint: &'a str,
    /// The size of the old image: xdelta3 needs a buffer for all of it.
    pub old_bytes: u64,
    /// The virtual environment of the peers in Python.
    pub venv: &'a Path,
    /// The folder of our scripts.
    pub scripts: &'a Path,
    /// Our own program.
    pub ours: &'a Path,
}

/// The smallest buffer that xdelta3 takes.
const XDELTA_BUFFER_BYTES_MIN: u64 = 1 << 19;

impl Words<'_> {
    /// Turns a template into commands.
    pub(crate) fn commands(&self, template: &str) -> Vec<Vec<String>> {
        let words = template.split("&&").map(|command| command.split_whitespace());
        words.map(|words| words.map(|word| self.replace(word)).collect()).collect()
    }

    fn replace(&self, word: &str) -> String {
        let shown = |path: &Path| path.display().to_string();
        match word {
            "OLD" => shown(self.old),
            "NEW" => shown(self.new),
            "PATCH" => shown(&self.patch),
            "OUT" => shown(&self.out),
            "HINT" => self.hint.to_owned(),
            "BUFFER" => self.old_bytes.max(XDELTA_BUFFER_BYTES_MIN).to_string(),
            "PYTHON" => shown(&self.venv.join("bin/python")),
            "DETOOLS" => shown(&self.venv.join("bin/detools")),
            "HDIFFPATCH" => shown(&self.scripts.join("hdiffpatch_peer.py")),
            "FLEETWARDEN" => shown(self.ours),
            "--patch-from=OLD" => format!("--patch-from={}", shown(self.old)),
            other => other.to_owned(),
        }
    }
}
