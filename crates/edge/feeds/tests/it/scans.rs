//! Real reports: all of them are read or refused with a reason, whole and in pieces.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use warden_feeds::scan::{ScanError, ScanLimits, read_scan};
use warden_model::scan::{ScanItem, ScanReport};

/// Where the reports lie; nothing where there is no corpus.
fn corpus() -> Option<PathBuf> {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/corpus");
    let folder = std::env::var_os("FLEETWARDEN_CORPUS").map_or_else(own, PathBuf::from).join("scans");
    folder.is_dir().then_some(folder)
}

fn files(folder: &Path, to: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, to);
        } else {
            to.push(path);
        }
    }
    to.sort();
}

fn read(bytes: &[u8]) -> Result<(ScanReport, Vec<ScanItem>), ScanError> {
    let mut items = Vec::new();
    let report =
        read_scan(&mut Cursor::new(bytes), &ScanLimits::default(), &mut |item: ScanItem| items.push(item))?;
    Ok((report, items))
}

#[expect(clippy::print_stderr, reason = "a test that leaves something out says so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

#[test]
fn every_report_of_the_corpus_is_read_or_refused_with_a_reason() {
    let Some(folder) = corpus() else { return skipped("no corpus") };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    let mut table = String::new();
    let mut scanners: BTreeMap<String, u32> = BTreeMap::new();
    for path in paths {
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        match read(&fs::read(&path).unwrap()) {
            Ok((report, items)) => {
                let counts = &report.counts;
                assert_eq!(counts.items, items.len() as u64, "{name}");
                assert_eq!(counts.severities.values().sum::<u64>(), counts.items, "{name}");
                for item in &items {
                    assert!(
                        item.host.is_empty() || report.hosts.contains_key(&item.host),
                        "{name}: {item:?}"
                    );
                    assert!(!item.plugin.is_empty(), "{name}: {item:?}");
                }
                *scanners.entry(report.scanner.to_string()).or_default() += 1;
                let told: Vec<String> =
                    counts.severities.iter().map(|(word, count)| format!("{word}={count}")).collect();
                let line = [
                    report.scanner.to_string(),
                    counts.items.to_string(),
                    told.join(" "),
                    counts.cve_mentions.to_string(),
                    counts.cves.to_string(),
                    counts.hosts.to_string(),
                ];
                writeln!(table, "{name}\t{}", line.join("\t")).unwrap();
            }
            Err(error) => {
                assert!(!error.hint().is_empty());
                writeln!(table, "{name}\trefused\t{error}").unwrap();
            }
        }
    }
    assert!(
        ["nessus", "openvas", "nmap", "nuclei", "sarif"].iter().all(|known| scanners.contains_key(*known)),
        "{scanners:?}"
    );
    // For people who count with other tools.
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("scan-counts.tsv"), table).unwrap();
}

#[test]
fn a_report_cut_at_any_place_is_refused_or_smaller_and_never_harms() {
    let Some(folder) = corpus() else { return skipped("no corpus") };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        if bytes.len() > 100_000 {
            continue;
        }
        let whole = read(&bytes).map_or(0, |(report, _)| report.counts.items);
        for part in 0..100 {
            let cut = bytes.get(..bytes.len() * part / 100).unwrap();
            // XML and SARIF have an end of their own; lines have none, and a shorter list is a list.
            let is_framed = cut.trim_ascii_start().starts_with(b"<")
                || path.extension().is_some_and(|end| end == "sarif");
            match read(cut) {
                Ok((report, _)) => {
                    assert!(report.counts.items <= whole, "{}", path.display());
                    let rest = bytes.get(cut.len()..).unwrap();
                    assert!(
                        !is_framed || rest.trim_ascii().is_empty() || !rest.contains(&b'<'),
                        "{}: {part} %",
                        path.display()
                    );
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}
