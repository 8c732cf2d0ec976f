//! `scan`: what vulnerability scanners saw, and on which devices.

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use warden_feeds::scan::{ScanLimits, read_scan};
use warden_model::scan::ScanReport;
use warden_model::{ByteCount, DeviceId, ScanId};
use warden_wire::rest::{Items, ScanBody, ScanHostBody, ScanReceipt, SightingBody};

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome, chain};
use crate::list::{Paging, note_more};
use crate::output::{Page, Table};
use crate::session::Session;

mod pull;

/// Most hosts that `show` fetches.
const HOSTS_MAX: u32 = 500;
/// Most characters of what a scanner saw that stand in a table.
const TEXT_CHARS_MAX: usize = 60;

/// Scans: what vulnerability scanners saw on devices
#[derive(Debug, Subcommand)]
pub(crate) enum ScanCommand {
    /// Imports reports of Nessus, OpenVAS, Nmap, nuclei, and any in SARIF; exit code 6 when one was refused
    #[command(after_help = "Example:\n  fleetwarden scan import weekly.nessus nmap.xml")]
    Import(FilesArgs),
    /// Gets the newest report of each task from a running OpenVAS, and imports it
    #[command(
        after_help = "Example:\n  fleetwarden scan pull --socket /run/gvmd/gvmd.sock --user fleet --password-file gvm.password\n  fleetwarden scan pull --tls scanner.example:9390 --tls-ca cacert.pem --user fleet --password-file gvm.password"
    )]
    Pull(pull::PullArgs),
    /// Reads reports and counts what is inside, without any server
    #[command(after_help = "Example:\n  fleetwarden scan check weekly.nessus")]
    Check(FilesArgs),
    /// Lists the scans, the newest first
    #[command(after_help = "Example:\n  fleetwarden scan list --limit 20")]
    List(Paging),
    /// Shows one scan: which device each host is, or why none
    #[command(after_help = "Example:\n  fleetwarden scan show 3f0c7a9d51e2b846")]
    Show(OneArgs),
    /// Lists the hosts that are no known device
    #[command(after_help = "Example:\n  fleetwarden scan unmatched")]
    Unmatched(Paging),
    /// Shows what scanners saw on a device
    #[command(after_help = "Example:\n  fleetwarden scan device cam-01")]
    Device(DeviceArgs),
}

/// Which files.
#[derive(Debug, Args)]
pub(crate) struct FilesArgs {
    /// The reports
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Which scan.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The scan
    #[arg(value_name = "SCAN")]
    id: ScanId,
}

/// Which device.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// The device
    #[arg(value_name = "DEVICE")]
    id: DeviceId,
}

/// Runs a command.
pub(crate) fn run(command: &ScanCommand, session: &mut Session) -> Outcome {
    match command {
        ScanCommand::Import(args) => import(&args.files, session),
        ScanCommand::Pull(args) => pull::pull(args, session),
        ScanCommand::Check(args) => check(&args.files, session),
        ScanCommand::List(paging) => list(paging, session),
        ScanCommand::Show(args) => show(&args.id, session),
        ScanCommand::Unmatched(paging) => unmatched(paging, session),
        ScanCommand::Device(args) => device(&args.id, session),
    }
}

fn import(files: &[PathBuf], session: &mut Session) -> Outcome {
    let client = session.client()?;
    let mut receipts = Vec::new();
    let mut refused = None;
    for path in files {
        let file = File::open(path).map_err(|error| Failure::file("read", path, &error))?;
        match send(file, &client) {
            Ok(receipt) => receipts.push(receipt),
            // One bad report does not stop the others; the first refusal is told at the end.
            Err(failure) if failure.exit == Exit::Invalid => {
                let message = format!("{}: {}", path.display(), failure.message);
                let failure = Failure { message, ..failure };
                refused.get_or_insert(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    tell(&receipts, session)?;
    refused.map_or(Ok(Exit::Done), Err)
}

/// Sends a report to the server.
fn send(mut file: File, client: &Client) -> Result<ScanReceipt, Failure> {
    let length = file.metadata().map_err(|error| Failure::failed("read the report", &error))?.len();
    client.upload("/scans", &mut file, ByteCount(length))
}

/// Shows what imports did.
fn tell(receipts: &[ScanReceipt], session: &mut Session) -> Result<(), Failure> {
    session.output.show(&json!({ "scans": receipts }), |_| {
        let heads =
            ["scan", "scanner", "ended", "items", "devices", "unmatched hosts", "opened", "still there", "closed"];
        let mut table = Table::new(heads);
        for receipt in receipts {
            let numbers = [receipt.matched, receipt.unmatched, receipt.opened, receipt.still_there, receipt.closed];
            let words = [&receipt.scan.id, &receipt.scan.scanner, &receipt.scan.at].map(Clone::clone);
            let items = receipt.scan.items.to_string();
            table.push(words.into_iter().chain([items]).chain(numbers.map(|number| number.to_string())));
        }
        let page = Page::new().table(table, "nothing was imported");
        match receipts.iter().find(|receipt| receipt.unmatched > 0) {
            Some(receipt) => page.note(format!(
                "`fleetwarden scan show {}` says why hosts are unmatched; import the report again once they are known",
                receipt.scan.id
            )),
            None => page,
        }
    })
}

fn check(files: &[PathBuf], session: &mut Session) -> Outcome {
    let mut reports = Vec::new();
    for path in files {
        reports.push((path, read(path)?));
    }
    let told: Vec<_> = reports.iter().map(|(path, report)| counts(path, report)).collect();
    session.output.show(&json!({ "reports": told }), |_| {
        let heads =
            ["file", "scanner", "items", "critical", "high", "medium", "low", "info", "CVE ids", "hosts"];
        let mut table = Table::new(heads);
        for (path, report) in &reports {
            let each = warden_model::scan::ScanSeverity::ALL.iter();
            let severities =
                each.map(|word| report.counts.severities.get(word).copied().unwrap_or(0).to_string());
            let first =
                [path.display().to_string(), report.scanner.to_string(), report.counts.items.to_string()];
            let last = [report.counts.cves.to_string(), report.counts.hosts.to_string()];
            table.push(first.into_iter().chain(severities).chain(last));
        }
        Page::new().table(table, "")
    })?;
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<ScanReport, Failure> {
    let mut file = File::open(path).map_err(|error| Failure::file("read", path, &error))?;
    read_scan(&mut file, &ScanLimits::default(), &mut |_| {}).map_err(|error| {
        Failure::new(Exit::Invalid, format!("{}: {}", path.display(), chain(&error))).hint(error.hint())
    })
}

fn counts(path: &Path, report: &ScanReport) -> serde_json::Value {
    let counts = &report.counts;
    let severities: serde_json::Map<String, serde_json::Value> =
        counts.severities.iter().map(|(word, count)| (word.to_string(), (*count).into())).collect();
    json!({
        "path": path, "scanner": report.scanner.to_string(), "items": counts.items, "severities": severities,
        "cve_mentions": counts.cve_mentions, "cves": counts.cves, "hosts": counts.hosts,
    })
}

fn list(paging: &Paging, session: &mut Session) -> Outcome {
    let scans: Items<ScanBody> = session.client()?.list("/scans", &Vec::new(), paging)?;
    session.output.show(&scans, |scans| {
        let mut table = Table::new(["scan", "scanner", "ended", "hosts", "items", "CVE ids", "label"]);
        for scan in &scans.items {
            let numbers = [scan.hosts, scan.items, scan.cves].map(|number| number.to_string());
            let words = [&scan.id, &scan.scanner, &scan.at].map(Clone::clone);
            table.push(words.into_iter().chain(numbers).chain([short(&scan.label)]));
        }
        let hint = "no scan was imported: `fleetwarden scan import FILE` does";
        note_more(Page::new().table(table, hint), scans)
    })?;
    Ok(Exit::Done)
}

fn show(id: &ScanId, session: &mut Session) -> Outcome {
    let client = session.client()?;
    let scan: ScanBody = client.get(&format!("/scans/{id}"))?;
    let paging = Paging { limit: HOSTS_MAX, after: None };
    let hosts: Items<ScanHostBody> = client.list(&format!("/scans/{id}/hosts"), &Vec::new(), &paging)?;
    session.output.show(&json!({ "scan": scan, "hosts": hosts.items }), |_| {
        let severities: Vec<String> =
            scan.severities.iter().map(|(word, count)| format!("{count} {word}")).collect();
        let page = Page::new()
            .field("scan", &scan.id)
            .field("scanner", &scan.scanner)
            .field("label", &scan.label)
            .field("ended", &scan.at)
            .field("imported", &scan.imported_at)
            .field("items", format!("{} ({})", scan.items, severities.join(", ")))
            .field("CVE ids", scan.cves.to_string())
            .section("hosts", host_table(&hosts.items));
        note_more(page, &hosts)
    })?;
    Ok(Exit::Done)
}

fn unmatched(paging: &Paging, session: &mut Session) -> Outcome {
    let hosts: Items<ScanHostBody> = session.client()?.list("/scan-hosts/unmatched", &Vec::new(), paging)?;
    session.output.show(&hosts, |hosts| {
        note_more(
            Page::new().table(host_table(&hosts.items), "every host that was scanned is a known device"),
            hosts,
        )
    })?;
    Ok(if hosts.items.is_empty() { Exit::Done } else { Exit::Attention })
}

fn host_table(hosts: &[ScanHostBody]) -> Table {
    let mut table = Table::new(["host", "device", "because", "items", "hardware addresses", "names", "scan"]);
    for host in hosts {
        table.push([
            host.name.clone(),
            host.device.clone().unwrap_or_else(|| "-".to_owned()),
            host.because.clone(),
            host.items.to_string(),
            short(&host.macs.join(" ")),
            short(&host.names.join(" ")),
            host.scan.clone(),
        ]);
    }
    table
}

fn device(id: &DeviceId, session: &mut Session) -> Outcome {
    let seen: Items<SightingBody> = session.client()?.get(&format!("/devices/{id}/sightings"))?;
    session.output.show(&seen, |seen| {
        let mut table = Table::new([
            "weakness",
            "where",
            "scanner",
            "severity",
            "sure",
            "last seen",
            "state",
            "what was seen",
        ]);
        for one in &seen.items {
            let sure = one.qod.map_or_else(|| "-".to_owned(), |qod| format!("{qod} %"));
            let state = match (&one.closed_at, one.doubtful) {
                (Some(at), _) => format!("closed {at}"),
                (None, true) => "suspected".to_owned(),
                (None, false) => "open".to_owned(),
            };
            let score = one.score.as_ref().map_or_else(String::new, |score| format!(" {score}"));
            table.push([
                one.weakness.clone(),
                one.port.clone(),
                format!("{} {}", one.scanner, one.plugin),
                format!("{}{score}", one.severity),
                sure,
                one.last_seen.clone(),
                state,
                short(&format!("{}: {}", one.title, one.text)),
            ]);
        }
        Page::new().table(table, "no scanner has seen a weakness on this device")
    })?;
    Ok(Exit::Done)
}

/// Cuts a text to what a table holds.
fn short(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= TEXT_CHARS_MAX {
        return flat;
    }
    flat.chars().take(TEXT_CHARS_MAX).chain(['…']).collect()
}
