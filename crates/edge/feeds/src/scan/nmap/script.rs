//! What Nmap's scripts say: their output for people, and beside it tables in XML.
//!
//! In: a `script` element. Out: items. Refuses nothing: a script whose tables have another form has said something, no more.

use std::collections::BTreeSet;

use warden_model::scan::{Exploit, Port, ScanItem, ScanSeverity, Score};

use super::super::collect::Collector;
use super::super::text::cves_in;
use super::super::xml::Element;

/// Quality of detection of a script that has tried it (Greenbone's scale: `remote_vul`).
const TRIED: u8 = 99;
/// Of a script that finds it likely (`remote_probe` is 70; likely is less).
const LIKELY: u8 = 60;
/// Of a version alone, which says nothing of fixes that a distribution has brought back (`remote_banner_unreliable`).
const VERSION_ONLY: u8 = 30;

/// Returns what a script says: an item for each weakness, else one for its output.
pub(super) fn items(host: &str, port: Port, script: &Element, collector: &Collector<'_>) -> Vec<ScanItem> {
    let output = script.attribute("output").unwrap_or_default();
    let id = script.attribute("id").unwrap_or_default();
    let blank = ScanItem {
        host: host.to_owned(),
        plugin: collector.name(id),
        title: collector.name(id),
        port,
        severity: ScanSeverity::Info,
        score: None,
        vector: None,
        cves: BTreeSet::new(),
        qod: None,
        exploit: Exploit::Unknown,
        dismissed: false,
        text: collector.text(output),
        solution: String::new(),
        at: None,
    };
    let mut found = by_version(script, output, &blank);
    found.extend(tried(script, &blank, collector));
    if found.is_empty() && script.all().is_empty() && says_vulnerable(output) {
        found.push(ScanItem {
            severity: ScanSeverity::High,
            cves: cves_in(output).collect(),
            qod: Some(LIKELY),
            ..blank.clone()
        });
    }
    if found.is_empty() {
        found.push(blank);
    }
    found
}

/// Scripts of the library `vulns` write their verdict in capitals.
fn says_vulnerable(output: &str) -> bool {
    output.contains("VULNERABLE") && !output.contains("NOT VULNERABLE")
}

fn value<'a>(table: &'a Element, key: &str) -> Option<&'a str> {
    let is_it = |element: &&Element| element.attribute("key") == Some(key);
    table.children("elem").find(is_it).map(Element::text)
}

fn inner<'a>(table: &'a Element, key: &'a str) -> impl Iterator<Item = &'a Element> {
    let is_it = move |element: &&Element| element.attribute("key") == Some(key);
    table.children("table").filter(is_it).flat_map(Element::all)
}

/// The library `vulns`: a table for each weakness, with a state.
fn tried(script: &Element, blank: &ScanItem, collector: &Collector<'_>) -> Vec<ScanItem> {
    let weakness = |table: &Element| {
        let state = value(table, "state")?;
        let qod = if state.starts_with("VULNERABLE") {
            TRIED
        } else if state.starts_with("LIKELY VULNERABLE") {
            LIKELY
        } else {
            return None;
        };
        let ids = inner(table, "ids").map(Element::text).chain(table.attribute("key"));
        let score =
            inner(table, "scores").find_map(|score| score.text().split(' ').next()?.parse::<Score>().ok());
        let lines = ["check_results", "exploit_results", "extra_info", "description"];
        let text: Vec<&str> = lines.iter().flat_map(|key| inner(table, key)).map(Element::text).collect();
        Some(ScanItem {
            title: collector.name(value(table, "title").unwrap_or(&blank.title)),
            severity: score.map_or(ScanSeverity::High, Score::severity),
            score,
            cves: ids.flat_map(cves_in).collect(),
            qod: Some(qod),
            exploit: if state.contains("Exploitable") { Exploit::Known } else { Exploit::Unknown },
            text: if text.is_empty() { blank.text.clone() } else { collector.text(&text.join("\n")) },
            ..blank.clone()
        })
    };
    script.children("table").filter_map(weakness).collect()
}

/// The script `vulners`: lists of ids with scores, for the version that a service tells.
fn by_version(script: &Element, output: &str, blank: &ScanItem) -> Vec<ScanItem> {
    if script.attribute("id") != Some("vulners") {
        return Vec::new();
    }
    let row = |id: &str, score: &str| {
        let cves: BTreeSet<_> = cves_in(id).filter(|cve| cve.as_str().eq_ignore_ascii_case(id)).collect();
        let title = cves.first()?.to_string();
        let score = score.parse::<Score>().ok();
        let severity = score.map_or(ScanSeverity::Medium, Score::severity);
        let text = format!("the version that {} tells is affected, by vulners.com", blank.port);
        Some(ScanItem { title, severity, score, cves, qod: Some(VERSION_ONLY), text, ..blank.clone() })
    };
    let tables = script.children("table").flat_map(|cpe| cpe.children("table"));
    let mut found: Vec<ScanItem> = tables
        .filter_map(|table| row(value(table, "id")?, value(table, "cvss").unwrap_or_default()))
        .collect();
    if script.all().is_empty() {
        // Versions of the script before Nmap 7.80 have no tables: the id and its score begin each line.
        found.extend(output.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            row(words.next()?, words.next().unwrap_or_default())
        }));
    }
    found
}
