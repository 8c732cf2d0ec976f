//! Scans: what vulnerability scanners looked at, and the hosts that are no known device.
//!
//! In: the scans in the store. Out: the unmatched hosts with their reasons, and the newest scans. Refuses: to guess which device
//! a host is.

use axum::extract::State;
use maud::{Markup, html};
use warden_model::Timestamp;
use warden_model::scan::{Scan, ScanSeverity, Sighting};
use warden_store::ScanHost;

use crate::failure::Failure;
use crate::view::{Section, Tone, advisory_link, age, badge, command_line, empty, shell, stamp};
use crate::{App, clock};

/// Most rows of each table; the command line lists all.
const ROWS_MAX: usize = 100;

/// Shows the page.
pub(crate) async fn show(State(app): State<App>) -> Result<Markup, Failure> {
    let now = clock::now();
    let scans = app.store().scans().await?;
    let hosts = app.store().unmatched_hosts().await?;
    let body = html! {
        h1 { "Scans" }
        p.lead { "What vulnerability scanners saw. A scan closes only what it looked for again." }
        @if scans.is_empty() {
            (empty(
                "No scan was imported.",
                "Reports of Nessus, OpenVAS, Nmap and nuclei, and any in SARIF, are read:",
                "fleetwarden scan import FILE",
            ))
        } @else {
            (unmatched(&hosts))
            (table(&scans, now))
        }
    };
    Ok(shell(&app, Section::Scans, "Scans", now, &body))
}

fn unmatched(hosts: &[ScanHost]) -> Markup {
    html! {
        section aria-labelledby="unmatched" {
            h2 #unmatched { "Hosts that are no known device" }
            @if hosts.is_empty() {
                p.muted { "Every host that was scanned is a known device." }
            } @else {
                p.muted { "Nothing that was seen on them is counted. Once a device tells its hardware address or name, import the report again." }
                table {
                    caption.hidden { "Unmatched hosts" }
                    thead { tr {
                        th scope="col" { "Host" } th scope="col" { "Why" } th scope="col" { "Items" } th scope="col" { "Also" }
                    } }
                    tbody {
                        @for host in hosts.iter().take(ROWS_MAX) {
                            tr {
                                th scope="row" { code { (host.name) } }
                                td.reason data-label="Why" { (host.why_not) }
                                td data-label="Items" { (host.items) }
                                td data-label="Also" {
                                    @for word in host.macs.iter().chain(&host.names).take(4) { code { (word) } " " }
                                }
                            }
                        }
                    }
                }
                @if hosts.len() > ROWS_MAX {
                    p.muted { "The first " (ROWS_MAX) " of " (hosts.len()) " hosts. All of them:" }
                    (command_line("fleetwarden scan unmatched"))
                }
            }
        }
    }
}

fn tone(severity: ScanSeverity) -> Tone {
    match severity {
        ScanSeverity::Critical | ScanSeverity::High => Tone::Bad,
        ScanSeverity::Medium => Tone::Care,
        ScanSeverity::Low | ScanSeverity::Info => Tone::Quiet,
    }
}

fn table(scans: &[Scan], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="scans" {
            h2 #scans { "Reports" }
            table {
                caption.hidden { "Scans, the newest first" }
                thead { tr {
                    th scope="col" { "Ended" } th scope="col" { "Scanner" } th scope="col" { "Hosts" } th scope="col" { "Items" }
                    th scope="col" { "By the scanner's own words" } th scope="col" { "Id" }
                } }
                tbody {
                    @for scan in scans.iter().take(ROWS_MAX) {
                        tr {
                            td.first data-label="Ended" { (stamp(now, scan.at)) }
                            th scope="row" { (scan.scanner) br; span.muted { (scan.label) } }
                            td data-label="Hosts" { (scan.counts.hosts) }
                            td data-label="Items" { (scan.counts.items) }
                            td data-label="By the scanner's own words" {
                                @for (severity, number) in &scan.counts.severities {
                                    (badge(tone(*severity), format!("{number} {severity}"))) " "
                                }
                            }
                            td data-label="Id" { code { (scan.id) } }
                        }
                    }
                }
            }
            @if scans.len() > ROWS_MAX { p.muted { "The first " (ROWS_MAX) " of " (scans.len()) " scans." } }
        }
    }
}

/// Shows what scanners see on a device; nothing where they see nothing.
pub(crate) fn seen(sightings: &[Sighting], now: Timestamp) -> Markup {
    let open: Vec<&Sighting> = sightings.iter().filter(|sighting| sighting.closed.is_none()).collect();
    html! {
        @if !open.is_empty() {
            section aria-labelledby="seen" {
                h2 #seen { "Seen by scanners" }
                table {
                    caption.hidden { "Weaknesses that scanners see" }
                    thead { tr {
                        th scope="col" { "Weakness" } th scope="col" { "Where" } th scope="col" { "Scanner" } th scope="col" { "Severity" }
                        th scope="col" { "Last seen" }
                    } }
                    tbody {
                        @for sighting in open.iter().take(ROWS_MAX) {
                            tr {
                                th scope="row" {
                                    @match sighting.cve() { Some(cve) => (advisory_link(&cve)), None => code { (sighting.key.weakness) } }
                                    br; span.muted { (sighting.title) }
                                }
                                td data-label="Where" { code { (sighting.key.port) } }
                                td data-label="Scanner" { (sighting.key.scanner) " " span.muted { (sighting.key.plugin) } }
                                td data-label="Severity" {
                                    (badge(tone(sighting.severity), sighting.severity))
                                    @if let Some(score) = sighting.score { " " (score) }
                                    @if sighting.is_doubtful() { br; span.muted { "only suspected: opens no case" } }
                                }
                                td.nowrap data-label="Last seen" { (age(now, sighting.last_seen)) }
                            }
                        }
                    }
                }
                @if open.len() > ROWS_MAX { p.muted { "The first " (ROWS_MAX) " of " (open.len()) " weaknesses" "." } }
            }
        }
    }
}
