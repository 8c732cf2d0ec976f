//! The tables: live at the terminal, and the document of a whole run.
//!
//! In: what was measured of each pair. Out: text in Markdown, without any path of this machine. Refuses: nothing.

use super::corpus::{Built, Sample};
use super::means::{geometric, number, ratio};
use super::measure::{Measured, Outcome};
use super::pairs::{Class, Pair, Source};
use super::tools::{HOUSE, OURS, OURS_MCU, PEERS, Tool};

/// A pair and all that was measured of it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// The pair.
    pub built: Built,
    /// Our own results and those of the peers.
    pub measured: Vec<Measured>,
}

impl Row {
    fn of(&self, tool: &str) -> Option<&Outcome> {
        self.measured.iter().find(|measured| measured.tool == tool).map(|measured| &measured.outcome)
    }

    fn peers(&self) -> impl Iterator<Item = &Measured> {
        self.measured.iter().filter(|measured| !measured.tool.starts_with(OURS))
    }

    fn best(&self) -> Option<&Measured> {
        self.peers().min_by_key(|measured| measured.outcome.bytes)
    }

    /// The best of the peers that nobody told what processor it is.
    fn best_unaided(&self) -> Option<&Measured> {
        self.peers().filter(|measured| !measured.hinted).min_by_key(|measured| measured.outcome.bytes)
    }

    fn best_heatshrink(&self) -> Option<&Measured> {
        let heatshrinks = self.peers().filter(|measured| Tool::is_heatshrink(measured.tool));
        heatshrinks.min_by_key(|measured| measured.outcome.bytes)
    }

    fn size_ratio(&self, ours: &str, other: Option<u64>) -> Option<f64> {
        ratio(number(self.of(ours)?.bytes), number(other?))
    }
}

/// Our largest patch may be this much larger than the best peer's: a header with two digests.
const MARGIN_BYTES: u64 = 256;

/// The smallest image whose size is compared with the memory of the process that handles it.
const IMAGE_BYTES_MIN: u64 = 1 << 20;

/// The head of the table at the terminal.
pub(crate) fn live_head() -> String {
    format!(
        "{:<38} {:>9} {:>9} {:>9} {:>9} {:>9} {:<20} {:>7} {:>7}",
        "pair", "new", "ours", "ours-mcu", "bsdiff", "best", "(which)", "/bsdiff", "/best"
    )
}

/// A line of the table at the terminal.
pub(crate) fn live_line(row: &Row) -> String {
    let size =
        |outcome: Option<&Outcome>| outcome.map_or("–".to_owned(), |outcome| outcome.bytes.to_string());
    let best = row.best();
    format!(
        "{:<38} {:>9} {:>9} {:>9} {:>9} {:>9} {:<20} {:>7} {:>7}",
        row.built.title(),
        row.built.new.bytes,
        size(row.of(OURS)),
        size(row.of(OURS_MCU)),
        size(row.of("bsdiff")),
        size(best.map(|best| &best.outcome)),
        best.map_or("", |best| best.tool),
        times(row.size_ratio(OURS, row.of("bsdiff").map(|outcome| outcome.bytes))),
        times(row.size_ratio(OURS, best.map(|best| best.outcome.bytes))),
    )
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.3}"))
}

/// A group of pairs that gets a mean of its own.
struct Group {
    name: &'static str,
    holds: fn(&Pair) -> bool,
}

const GROUPS: &[Group] = &[
    Group { name: "mcu", holds: |pair| pair.class == Class::Mcu },
    Group { name: "elf", holds: |pair| pair.class == Class::Elf },
    Group {
        name: "kernel without BTF",
        holds: |pair| pair.class == Class::Kernel && pair.name.contains("nobtf"),
    },
    Group {
        name: "kernel with BTF",
        holds: |pair| pair.class == Class::Kernel && !pair.name.contains("nobtf"),
    },
    Group { name: "squashfs, security update", holds: |pair| is_squashfs(pair) && !pair.is_jump() },
    Group { name: "squashfs, jump", holds: |pair| is_squashfs(pair) && pair.is_jump() },
    Group { name: "other compressed", holds: |pair| pair.class == Class::Compressed && !is_squashfs(pair) },
    Group { name: "rawfs", holds: |pair| pair.class == Class::RawFs },
];

fn is_squashfs(pair: &Pair) -> bool {
    pair.class == Class::Compressed && pair.name.starts_with("squashfs")
}

/// The geometric means, as a table in Markdown.
pub(crate) fn means(rows: &[Row]) -> String {
    let mut text = String::from(
        "| pairs | n | / bsdiff | / HDiffPatch | / best unaided peer | / best peer | make: CPU / bsdiff | make: memory \
         / old | apply: CPU / bspatch | apply: largest memory |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for group in GROUPS {
        let rows: Vec<&Row> = rows.iter().filter(|row| (group.holds)(&row.built.pair)).collect();
        if rows.is_empty() {
            continue;
        }
        let mean = |ratio: &dyn Fn(&Row) -> Option<f64>| {
            times(geometric(rows.iter().filter_map(|row| ratio(row))).map(|(mean, _)| mean))
        };
        let against =
            |peer: &'static str| mean(&|row| row.size_ratio(OURS, row.of(peer).map(|outcome| outcome.bytes)));
        let largest = rows.iter().filter_map(|row| row.of(OURS)).map(|ours| ours.apply.kibibytes).max();
        let measured = rows.iter().filter(|row| row.of(OURS).is_some()).count();
        let cells = [
            group.name.to_owned(),
            measured.to_string(),
            against("bsdiff"),
            against("hdiffpatch"),
            mean(&|row| row.size_ratio(OURS, row.best_unaided().map(|best| best.outcome.bytes))),
            mean(&|row| row.size_ratio(OURS, row.best().map(|best| best.outcome.bytes))),
            mean(&|row| ratio(row.of(OURS)?.make.seconds, row.of("bsdiff")?.make.seconds)),
            mean(&|row| {
                let (kibibytes, old) = (row.of(OURS)?.make.kibibytes, row.built.old.bytes);
                // A process is larger than a small image, whatever it does with it.
                (old >= IMAGE_BYTES_MIN).then(|| ratio(number(kibibytes * 1024), number(old)))?
            }),
            mean(&|row| ratio(row.of(OURS)?.apply.seconds, row.of("bsdiff")?.apply.seconds)),
            largest.map_or("–".to_owned(), mebibytes),
        ];
        row_of(&mut text, &cells);
    }
    text
}

/// What is said of microcontrollers, and of pairs on which a peer wins.
pub(crate) fn remarks(rows: &[Row]) -> String {
    let mut text = String::new();
    let small = |row: &Row| row.size_ratio(OURS_MCU, row.best_heatshrink().map(|best| best.outcome.bytes));
    if let Some((mean, count)) = geometric(rows.iter().filter_map(small)) {
        let against_best = |row: &Row| row.size_ratio(OURS_MCU, row.best().map(|best| best.outcome.bytes));
        let best = geometric(rows.iter().filter_map(against_best)).map(|(mean, _)| mean);
        line(
            &mut text,
            &format!(
                "Microcontrollers with the small decoder (≤ 64 KiB): {mean:.3} × detools with heatshrink (the better of its \
             windows 2⁸ and 2¹¹), {} × the best peer of any memory, {count} pairs.\n",
                times(best)
            ),
        );
    }
    let lost = |row: &&Row| {
        let (Some(ours), Some(best)) = (row.of(OURS), row.best()) else { return false };
        ours.bytes > best.outcome.bytes + MARGIN_BYTES
    };
    let lost: Vec<String> = rows.iter().filter(lost).map(|row| row.built.title()).collect();
    let lost = if lost.is_empty() { "none".to_owned() } else { lost.join(", ") };
    line(
        &mut text,
        &format!("Pairs whose patch is larger than the best peer's plus {MARGIN_BYTES} B: {lost}.\n"),
    );
    text
}

/// The whole document.
pub(crate) fn document(rows: &[Row], machine: &str) -> String {
    let mut text = format!(
        "<!-- Generated by `./fw bench delta`; changes by hand are lost. -->\n# How small and how dear patches are\n\n\
         Real consecutive firmware versions, out of packages that anyone can fetch; every patch was applied, and what it \
         made was compared with the new version. Ratios are geometric means, ours over theirs: below 1 is smaller or \
         cheaper.\n\n{}\n{}\n",
        means(rows),
        remarks(rows)
    );
    text.push_str("## Sizes\n\nPatches in bytes; `–`: not run (large images get only the tools that can be the best).\n\n");
    sizes(&mut text, rows);
    text.push_str(
        "\n## Costs\n\nCPU seconds of user and system together; peak memory in MiB. A tool in Python (HDiffPatch, detools) \
         pays for its interpreter, about 0.05 s and 15 MiB.\n\n",
    );
    costs(&mut text, rows);
    how(&mut text, machine);
    manifest(&mut text, rows);
    text
}

fn row_of(text: &mut String, cells: &[String]) {
    line(text, &format!("| {} |", cells.join(" | ")));
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn sizes(text: &mut String, rows: &[Row]) {
    let tools: Vec<&str> = HOUSE.iter().chain(PEERS).map(|tool| tool.name).collect();
    let mut head = vec!["pair".to_owned(), "new version".to_owned()];
    head.extend(tools.iter().map(|tool| (*tool).to_owned()));
    head.extend(["/ bsdiff", "/ best peer"].map(str::to_owned));
    row_of(text, &head);
    line(text, &format!("|{}", "---|".repeat(head.len())));
    for row in rows {
        let mut cells = vec![row.built.title(), row.built.new.bytes.to_string()];
        let size = |tool: &&str| row.of(tool).map_or("–".to_owned(), |outcome| outcome.bytes.to_string());
        cells.extend(tools.iter().map(size));
        cells.push(times(row.size_ratio(OURS, row.of("bsdiff").map(|outcome| outcome.bytes))));
        cells.push(times(row.size_ratio(OURS, row.best().map(|best| best.outcome.bytes))));
        row_of(text, &cells);
    }
}

fn costs(text: &mut String, rows: &[Row]) {
    const SHOWN: [&str; 5] = [OURS, OURS_MCU, "bsdiff", "hdiffpatch", "zstd"];
    let mut head = vec!["pair".to_owned()];
    head.extend(SHOWN.map(|tool| format!("{tool}: make s · MiB, apply s · MiB")));
    row_of(text, &head);
    line(text, &format!("|{}", "---|".repeat(head.len())));
    for row in rows {
        let cell = |tool: &str| {
            row.of(tool).map_or("–".to_owned(), |Outcome { make, apply, .. }| {
                format!(
                    "{:.3} · {}, {:.3} · {}",
                    make.seconds,
                    mebibytes(make.kibibytes),
                    apply.seconds,
                    mebibytes(apply.kibibytes)
                )
            })
        };
        let mut cells = vec![row.built.title()];
        cells.extend(SHOWN.map(cell));
        row_of(text, &cells);
    }
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{:.1}", number(kibibytes) / 1024.0)
}

fn how(text: &mut String, machine: &str) {
    line(text, "\n## How it was measured\n");
    line(
        text,
        &format!(
            "One process at a time, on {machine}. CPU time is what the kernel counts for the process, less that of starting \
         `true`; runs below 0.1 s are repeated five times and the fastest counts. Peak memory is the largest resident \
         set. `detools-format` is told by hand what processor an image is for; all others, and we, are told nothing. \
         The commands (words in capitals are replaced; `HDIFFPATCH` is `xtask/bench/hdiffpatch_peer.py`):\n"
        ),
    );
    for tool in HOUSE.iter().chain(PEERS) {
        // A peer that is missing has no rows, so its version does not matter.
        let version = tool.version().unwrap_or_default();
        let version = version.split_once(':').map_or("", |(version, _)| version.trim());
        line(text, &format!("- {version}: `{}`; `{}`", tool.make, tool.apply));
    }
}

fn manifest(text: &mut String, rows: &[Row]) {
    line(text, "\n## Corpus\n");
    line(text, "| pair | source | old | new |\n|---|---|---|---|");
    for row in rows {
        let sample = |sample: &Sample| {
            let digest = sample.digest.get(..16).unwrap_or_default();
            format!("{}: {} B, `{digest}`", sample.version, sample.bytes)
        };
        let source = match &row.built.pair.source {
            Source::Npm(package) => format!("npm {package}"),
            Source::Pypi(package) => format!("PyPI {package}"),
            Source::Deb { architecture, package } => format!("Debian {architecture} {package}"),
            Source::RootFs(_) => "Debian arm64, `xtask/bench/rootfs.txt`".to_owned(),
        };
        let title = row.built.title();
        row_of(text, &[title, source, sample(&row.built.old), sample(&row.built.new)]);
    }
    line(text, &format!("\n{} pairs; the digests are the first 16 digits of SHA-256.", rows.len()));
}

#[cfg(test)]
mod tests;
