//! What the tables say of measured pairs.

use std::path::PathBuf;

use super::{Row, document, live_line, means, remarks};
use crate::bench::corpus::{Built, Sample};
use crate::bench::measure::{Cost, Measured, Outcome};
use crate::bench::pairs::read_pairs;
use crate::bench::tools::{OURS, OURS_MCU};

fn row(line: &str, sizes: &[(&'static str, u64)]) -> Row {
    let pair = read_pairs(line).unwrap().remove(0);
    let sample = |name: &str| Sample {
        path: PathBuf::from("/secret/place").join(name),
        version: "1.0".to_owned(),
        bytes: 1024 * 1024,
        digest: "0123456789abcdef0123".to_owned(),
    };
    let cost = Cost { seconds: 0.5, kibibytes: 2048 };
    let measured = sizes.iter().map(|&(tool, bytes)| Measured {
        tool,
        hinted: tool == "detools-format",
        outcome: Outcome { bytes, make: cost, apply: cost },
    });
    Row { measured: measured.collect(), built: Built { pair, old: sample("old"), new: sample("new") } }
}

fn rows() -> Vec<Row> {
    vec![
        row(
            "mcu a x npm:a 1 2 c -",
            &[
                (OURS, 100),
                (OURS_MCU, 120),
                ("bsdiff", 400),
                ("hdiffpatch", 200),
                ("detools-format", 150),
                ("detools-heatshrink", 500),
                ("detools-heatshrink-11", 480),
            ],
        ),
        row("mcu b - npm:a 1 2 c -", &[(OURS, 100), ("bsdiff", 100), ("hdiffpatch", 200)]),
        row("rawfs c - rootfs:tar main security - -", &[(OURS, 1000), ("bsdiff", 700), ("hdiffpatch", 2000)]),
    ]
}

#[test]
fn means_are_geometric_and_by_group() {
    let table = means(&rows());
    // 100/400 and 100/100; 1/2 twice; 100/200 and 100/100; 100/150 and 100/100.
    assert!(
        table.contains("| mcu | 2 | 0.500 | 0.500 | 0.707 | 0.816 | 1.000 | 2.000 | 1.000 | 2.0 |"),
        "{table}"
    );
    assert!(table.contains("| rawfs | 1 | 1.429 | 0.500 | 1.429 | 1.429 |"), "{table}");
    assert!(!table.contains("kernel"), "{table}");
}

#[test]
fn remarks_confess_the_pairs_that_a_peer_wins() {
    let text = remarks(&rows());
    assert!(text.contains("0.250 × detools with heatshrink"), "{text}");
    assert!(text.contains("0.800 × the best peer"), "{text}");
    assert!(text.contains("plus 256 B: rawfs/c."), "{text}");
    assert!(remarks(&rows()[..2]).contains("plus 256 B: none."));
}

#[test]
fn a_line_names_the_best_peer() {
    let line = live_line(&rows()[0]);
    for part in ["mcu/a", "1048576", "detools-format", "0.250", "0.667"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let unmeasured = live_line(&row("mcu a - npm:a 1 2 c -", &[]));
    assert!(unmeasured.contains('–'), "{unmeasured}");
}

#[test]
fn the_document_holds_all_pairs_and_no_path_of_this_machine() {
    let text = document(&rows(), "some processor");
    for part in
        ["mcu/a", "mcu/b", "rawfs/c", "some processor", "Debian arm64", "`0123456789abcdef`", "3 pairs"]
    {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains("/secret"));
    assert!(text.lines().all(|line| !line.starts_with('|') || line.ends_with('|')), "{text}");
}
