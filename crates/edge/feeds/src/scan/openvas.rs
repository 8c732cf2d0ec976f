//! OpenVAS, XML: what Greenbone's management protocol (GMP) returns, and what its exports hold.
//!
//! In: the XML, with or without the answer around it. The older generation (OMP) has CVE ids in `nvt/cve`, the newer one (from
//! GMP 9 on) in `nvt/refs`. Out: an item for each `result`; hosts. Refuses: answers that say that they failed, files with several
//! reports, results without a check.

use std::collections::BTreeSet;

use warden_model::scan::{Exploit, Mac, Port, ScanItem, ScanSeverity, ScannedHost, Score};
use warden_model::{AdvisoryId, Timestamp};

use super::Source;
use super::bytes::Text;
use super::collect::Collector;
use super::error::ScanError;
use super::text::{address, cves_in, host_name, identities_in, moment, port, severity};
use super::xml::{Element, Step, Walk};

/// What the report says of itself, as far as it is known.
#[derive(Default)]
struct Head {
    reports: usize,
    status: String,
    task: String,
    has_critical: Option<bool>,
    is_cut: bool,
    failed: BTreeSet<String>,
    ended: Option<Timestamp>,
}

/// Reads a report.
pub(super) fn read(source: &mut dyn Source, collector: &mut Collector<'_>) -> Result<(), ScanError> {
    let (text, meter) = Text::new(source, &collector.limits);
    let mut walk = Walk::new(text, meter, &collector.limits);
    let mut head = Head::default();
    loop {
        match walk.step()? {
            Step::Open(element) => open(&mut walk, element, &mut head, collector)?,
            Step::Close(_) => {}
            Step::End => break,
        }
    }
    end(&head, collector);
    Ok(())
}

fn open(
    walk: &mut Walk<'_>,
    element: Element,
    head: &mut Head,
    collector: &mut Collector<'_>,
) -> Result<(), ScanError> {
    let parent = walk.above(1).to_owned();
    match (parent.as_str(), element.name.as_str()) {
        ("", "get_reports_response" | "get_report_response" | "get_scan_report_response") => {
            let status = element.attribute("status").unwrap_or("200");
            if status != "200" {
                let text = element.attribute("status_text").unwrap_or_default();
                let said = format!("{status} {text}").chars().take(200).collect();
                return Err(ScanError::Answer { said });
            }
        }
        ("report" | "", "report") => {}
        (_, "report") => {
            head.reports += 1;
            if head.reports > 1 {
                return Err(ScanError::Several);
            }
        }
        ("results", "result") => {
            let result = walk.whole(element)?;
            self::result(&result, head, collector)?;
        }
        ("report", "results") => {
            // A page of the results, not all of them: whoever is missing may stand on the next page.
            head.is_cut |=
                element.attribute("max").is_some_and(|max| max.parse::<u32>().is_ok_and(|max| max > 0))
                    || element
                        .attribute("start")
                        .is_some_and(|start| start.parse::<u32>().is_ok_and(|at| at > 1));
        }
        ("report", "host") => host(&walk.whole(element)?, collector)?,
        ("report", "task") => {
            if let Some(id) = element.attribute("id") {
                head.task = collector.name(id);
            }
            let task = walk.whole(element)?;
            collector.report.label = collector.name(task.text_of("name").unwrap_or_default());
        }
        ("report", "scan_run_status") => walk.whole(element)?.text().clone_into(&mut head.status),
        ("report", "scan_start") => collector.widen(moment(walk.whole(element)?.text())),
        ("report", "scan_end") => {
            head.ended = moment(walk.whole(element)?.text());
            collector.widen(head.ended);
        }
        ("filters", "term") => filter(walk.whole(element)?.text(), head, collector),
        ("report", "severity_class") => {
            let class = walk.whole(element)?;
            let is_critical = |range: &Element| range.text_of("name") == Some("Critical");
            head.has_critical = Some(class.children("severity_range").any(is_critical));
        }
        ("errors", "error") => {
            let error = walk.whole(element)?;
            let name = error.child("host").map(Element::text).unwrap_or_default();
            if head.failed.len() < collector.limits.hosts {
                head.failed.insert(collector.name(name));
            }
        }
        // Lists of what the results say too, or that say nothing of weaknesses.
        ("report", "ports" | "closed_cves" | "cves" | "tls_certificates" | "scan") => walk.skip()?,
        (_, _) => {}
    }
    Ok(())
}

/// Reads what the report was filtered by: `levels=hml min_qod=70 rows=100 …`.
fn filter(term: &str, head: &mut Head, collector: &mut Collector<'_>) {
    let mut words = term.split_whitespace().filter_map(|word| word.split_once('='));
    let value = |name: &str| words.clone().find(|(known, _)| *known == name).map(|(_, value)| value);
    if let Some(qod) = value("min_qod").and_then(|qod| qod.parse().ok()) {
        collector.report.filter.qod_min = qod;
    }
    if let Some(levels) = value("levels") {
        let mut severities = BTreeSet::new();
        for level in levels.chars() {
            severities.extend(match level {
                // Before there was "critical", its results were "high".
                'h' => [ScanSeverity::High, ScanSeverity::Critical].as_slice(),
                'c' => &[ScanSeverity::Critical],
                'm' => &[ScanSeverity::Medium],
                'l' => &[ScanSeverity::Low],
                'g' => &[ScanSeverity::Info],
                _ => &[],
            });
        }
        collector.report.filter.severities = severities;
    }
    // `rows` is how many results the page has; -1 stands for all of them. Any other words narrow the report further.
    let is_known = |name: &str| {
        matches!(
            name.trim_matches(['+', '-', '~']),
            "apply_overrides"
                | "levels"
                | "rows"
                | "min_qod"
                | "first"
                | "sort"
                | "sort-reverse"
                | "notes"
                | "overrides"
                | "result_hosts_only"
                | "timezone"
                | "delta_states"
                | "compliance_levels"
        )
    };
    let rows = value("rows").and_then(|rows| rows.parse::<i64>().ok());
    head.is_cut |= rows.is_some_and(|rows| rows >= 0) || words.any(|(name, _)| !is_known(name));
}

fn host(element: &Element, collector: &mut Collector<'_>) -> Result<(), ScanError> {
    let Some(name) = element.text_of("ip") else { return Ok(()) };
    let mut host = ScannedHost { name: collector.name(name), ..ScannedHost::default() };
    host.addresses.extend(address(name));
    let start = element.text_of("start").and_then(moment);
    let end = element.text_of("end").and_then(moment);
    host.seen = start.or(end).zip(end.or(start));
    for detail in element.children("detail") {
        let value = detail.text_of("value").unwrap_or_default();
        let name = detail.text_of("name").unwrap_or_default();
        match name {
            "MAC" => host.macs.extend(value.parse::<Mac>().ok()),
            "hostname" => host.names.extend(host_name(value)),
            "best_os_txt" => host.os = Some(collector.name(value)),
            _ if name.starts_with("Cert:") || name.starts_with("SSLDetails:") => {
                host.certificates.extend(identities_in(value));
            }
            _ => {}
        }
    }
    let scope_complete = end.is_some();
    let name = host.name.clone();
    collector.host(host)?;
    collector.scope_of(&name)?.complete = scope_complete;
    // Whether the scanner was logged in on a host is not written reliably; the task, which names the credentials, decides.
    Ok(())
}

fn result(element: &Element, head: &Head, collector: &mut Collector<'_>) -> Result<(), ScanError> {
    let number = collector.next_item();
    let missing = |what| ScanError::Missing { item: number, what };
    let nvt = element.child("nvt").ok_or_else(|| missing("check (nvt)"))?;
    let host = element.child("host").ok_or_else(|| missing("host"))?;
    let name = collector.name(host.text());
    let oid = nvt.attribute("oid").unwrap_or_default();
    let score = element.text_of("severity").or_else(|| nvt.text_of("cvss_base"));
    let tags = nvt.text_of("tags").unwrap_or_default();
    let tag = |name: &str| tags.split('|').find_map(|tag| tag.strip_prefix(name)?.strip_prefix('='));
    let title = nvt.text_of("name").or_else(|| element.text_of("name")).unwrap_or_default();
    let item = ScanItem {
        host: name.clone(),
        plugin: collector.name(if oid.is_empty() { title } else { oid }),
        title: collector.name(title),
        port: port(element.text_of("port").unwrap_or_default()).unwrap_or(Port::HOST),
        severity: severity_of(element, score, head.has_critical),
        score: score.and_then(|score| score.parse::<Score>().ok()),
        vector: tag("cvss_base_vector").or_else(|| vector_of(nvt)).map(|vector| collector.name(vector)),
        cves: cves(nvt, oid),
        qod: element.child("qod").and_then(|qod| qod.text_of("value")?.parse().ok()),
        exploit: Exploit::Unknown,
        dismissed: is_dismissed(element, score),
        text: collector.text(element.text_of("description").unwrap_or_default()),
        solution: collector.text(tag("solution").or_else(|| nvt.text_of("solution")).unwrap_or_default()),
        at: None,
    };
    let mut seen = ScannedHost { name, ..ScannedHost::default() };
    seen.addresses.extend(address(host.text()));
    seen.names.extend(host.text_of("hostname").or(Some(host.text())).and_then(host_name));
    if seen.name.is_empty() {
        return Err(missing("host"));
    }
    collector.item(item)?;
    collector.host(seen)
}

fn vector_of(nvt: &Element) -> Option<&str> {
    nvt.child("severities")?.child("severity")?.text_of("value")
}

/// A false positive has the word, and the severity -1.0, as soon as an override is applied.
fn is_dismissed(element: &Element, score: Option<&str>) -> bool {
    element.text_of("threat") == Some("False Positive") || score.is_some_and(|score| score.starts_with("-1"))
}

/// The scanner's own word, else the one that its score has in the report's classes: the older ones end at "high".
fn severity_of(element: &Element, score: Option<&str>, has_critical: Option<bool>) -> ScanSeverity {
    let word = element.text_of("threat").unwrap_or_default();
    match word {
        "Alarm" => return ScanSeverity::High,
        "Debug" | "Error" | "False Positive" => return ScanSeverity::Info,
        _ => {}
    }
    let by_score = || score.and_then(|score| score.parse::<Score>().ok()).map(Score::severity);
    match severity(word).or_else(by_score).unwrap_or(ScanSeverity::Info) {
        ScanSeverity::Critical if word.is_empty() && has_critical == Some(false) => ScanSeverity::High,
        severity => severity,
    }
}

fn cves(nvt: &Element, oid: &str) -> BTreeSet<AdvisoryId> {
    let refs = nvt.children("refs").flat_map(|refs| refs.children("ref"));
    let refs =
        refs.filter(|reference| reference.attribute("type").is_some_and(|kind| kind.starts_with("cve")));
    let new = refs.filter_map(|reference| reference.attribute("id")).flat_map(cves_in);
    let old = nvt.children("cve").flat_map(|cve| cves_in(cve.text()));
    // The CVE scanner has the id of the CVE in the place of the check's.
    new.chain(old).chain(cves_in(oid)).collect()
}

/// What only the end of the report tells: whether the hosts were done with.
fn end(head: &Head, collector: &mut Collector<'_>) {
    if !head.task.is_empty() {
        collector.report.profile = Some(format!("task {}", head.task));
    }
    let is_done = matches!(head.status.as_str(), "Done" | "") && !head.is_cut;
    for (name, (host, scope)) in &mut collector.report.hosts {
        // The export without hosts tells of the end of the whole scan only.
        let has_ended = scope.complete || (host.seen.is_none() && head.ended.is_some());
        scope.complete = is_done && has_ended && !head.failed.contains(name);
    }
}
