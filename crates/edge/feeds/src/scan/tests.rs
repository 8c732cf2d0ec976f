//! Facts about reports: what is read from each form, and what is refused.

mod forms;
mod hostile;

use std::io::Cursor;

use warden_model::scan::{ScanItem, ScanReport};

use super::{ScanError, ScanLimits, read_scan};

/// Reads a report with its items.
fn read_within(text: &[u8], limits: &ScanLimits) -> Result<(ScanReport, Vec<ScanItem>), ScanError> {
    let mut items = Vec::new();
    let report = read_scan(&mut Cursor::new(text), limits, &mut |item: ScanItem| items.push(item))?;
    Ok((report, items))
}

fn read(text: &str) -> (ScanReport, Vec<ScanItem>) {
    read_within(text.as_bytes(), &ScanLimits::default()).unwrap()
}

/// Tells an item in one line: host, port, check, severity, score, CVE ids, quality of detection.
fn told(item: &ScanItem) -> String {
    let cves: Vec<&str> = item.cves.iter().map(warden_model::AdvisoryId::as_str).collect();
    let score = item.score.map_or_else(|| "-".to_owned(), |score| score.to_string());
    let qod = item.qod.map_or_else(String::new, |qod| format!(" {qod}%"));
    format!("{} {} {} {} {score} {}{qod}", item.host, item.port, item.plugin, item.severity, cves.join(","))
}

fn lines(items: &[ScanItem]) -> Vec<String> {
    items.iter().map(told).collect()
}
