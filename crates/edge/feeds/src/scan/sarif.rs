//! SARIF 2.1.0 (OASIS): what analysers of code, images and configurations write.
//!
//! In: the JSON; it is read twice, because results may stand before the rules that they refer to. Out: an item for each result;
//! there are no hosts. Refuses: files without runs, levels that the standard does not know.

mod walk;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use warden_model::AdvisoryId;
use warden_model::scan::{Exploit, Port, ScanItem, ScanSeverity, Score};

use super::collect::Collector;
use super::error::ScanError;
use super::text::cves_in;
use super::{Source, rewind};
use walk::{Found, visit};

/// What is kept of a rule.
#[derive(Debug, Default)]
struct Rule {
    name: String,
    level: Option<String>,
    score: Option<Score>,
    cves: BTreeSet<AdvisoryId>,
    help: String,
    messages: BTreeMap<String, String>,
}

/// The rules of a run: by id, and by their place in the list.
#[derive(Debug, Default)]
struct Rules {
    by_id: BTreeMap<(usize, String), Rule>,
    by_index: BTreeMap<(usize, usize), String>,
}

/// Reads a report.
pub(super) fn read(source: &mut dyn Source, collector: &mut Collector<'_>) -> Result<(), ScanError> {
    let limits = collector.limits;
    let mut rules = Rules::default();
    let mut tool = String::new();
    visit(source, &limits, &mut |run, found| {
        match found {
            Found::Tool(name) if tool.is_empty() => tool = collector.name(name),
            Found::Rule(index, value) => rules.take(run, index, value, collector)?,
            Found::Tool(_) | Found::Result(_) => {}
        }
        Ok(())
    })?;
    collector.report.label = tool;
    rewind(source)?;
    visit(source, &limits, &mut |run, found| match found {
        Found::Result(value) => {
            let item = item(run, value, &rules, collector)?;
            collector.item(item)
        }
        Found::Tool(_) | Found::Rule(_, _) => Ok(()),
    })
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

impl Rules {
    fn take(
        &mut self,
        run: usize,
        index: usize,
        value: &Value,
        collector: &Collector<'_>,
    ) -> Result<(), ScanError> {
        if self.by_id.len() >= collector.limits.plugins {
            return Err(ScanError::over("more rules", collector.limits.plugins));
        }
        let id = collector.name(text(value, "/id").unwrap_or_default());
        let short = text(value, "/shortDescription/text").or_else(|| text(value, "/name")).unwrap_or(&id);
        let messages = value.get("messageStrings").and_then(Value::as_object).into_iter().flatten();
        let message = |(key, value): (&String, &Value)| {
            Some((collector.name(key), collector.name(value.get("text")?.as_str()?)))
        };
        let score = value.pointer("/properties/security-severity");
        let score = score.map(|score| score.as_str().map_or_else(|| score.to_string(), str::to_owned));
        let rule = Rule {
            name: collector.name(short),
            level: text(value, "/defaultConfiguration/level").map(|level| collector.name(level)),
            score: score.and_then(|score| score.parse().ok()),
            cves: named_cves(value, &["/id", "/name", "/properties/tags", "/properties/cve"], collector),
            help: collector
                .name(text(value, "/help/text").or_else(|| text(value, "/helpUri")).unwrap_or_default()),
            messages: messages.filter_map(message).take(collector.limits.attributes).collect(),
        };
        self.by_index.insert((run, index), id.clone());
        self.by_id.insert((run, id), rule);
        Ok(())
    }
}

/// Finds CVE ids where analysers put them: in names and in lists of tags, not in prose, which speaks of other ones too.
fn named_cves(value: &Value, pointers: &[&str], collector: &Collector<'_>) -> BTreeSet<AdvisoryId> {
    let mut cves = BTreeSet::new();
    for pointer in pointers {
        match value.pointer(pointer) {
            Some(Value::String(text)) => cves.extend(cves_in(text)),
            Some(Value::Array(list)) => cves.extend(list.iter().filter_map(Value::as_str).flat_map(cves_in)),
            Some(_) | None => {}
        }
    }
    while cves.len() > collector.limits.cves {
        cves.pop_last();
    }
    cves
}

fn item(run: usize, value: &Value, rules: &Rules, collector: &Collector<'_>) -> Result<ScanItem, ScanError> {
    let number = collector.next_item();
    // §3.52.4: the rule is named by the result, or by its place among the tool's rules.
    let index = value.get("ruleIndex").or_else(|| value.pointer("/rule/index")).and_then(Value::as_u64);
    let by_index = || {
        let index = usize::try_from(index?).ok()?;
        rules.by_index.get(&(run, index)).map(String::as_str)
    };
    let id = text(value, "/ruleId").or_else(|| text(value, "/rule/id")).or_else(by_index).unwrap_or_default();
    // A result may name a rule with a suffix of its own: `CA1000/1` is one of `CA1000` (§3.27.5).
    let rule = [Some(id), by_index(), id.rsplit_once('/').map(|(id, _)| id)];
    let rule = rule.into_iter().flatten().find_map(|id| rules.by_id.get(&(run, collector.name(id))));
    let mut cves = named_cves(value, &["/ruleId", "/properties/cve", "/properties/tags"], collector);
    cves.extend(rule.into_iter().flat_map(|rule| rule.cves.iter().cloned()));
    let message = message(value, rule);
    let place = text(value, "/locations/0/physicalLocation/artifactLocation/uri").unwrap_or_default();
    let line = value.pointer("/locations/0/physicalLocation/region/startLine").and_then(Value::as_u64);
    let place = line.map_or_else(|| place.to_owned(), |line| format!("{place}:{line}"));
    Ok(ScanItem {
        host: String::new(),
        plugin: collector.name(if id.is_empty() { "unnamed rule" } else { id }),
        title: collector
            .name(rule.map(|rule| rule.name.as_str()).filter(|name| !name.is_empty()).unwrap_or(id)),
        port: Port::HOST,
        severity: level(number, value, rule)?,
        score: rule.and_then(|rule| rule.score),
        vector: None,
        cves,
        qod: None,
        exploit: Exploit::Unknown,
        dismissed: is_suppressed(value),
        text: collector.text(format!("{place} {message}").trim()),
        solution: rule.map(|rule| rule.help.clone()).unwrap_or_default(),
        at: None,
    })
}

/// §3.27.10: the level of the result, else of its rule, else "warning"; a result of another kind than "fail" has none.
fn level(number: u64, value: &Value, rule: Option<&Rule>) -> Result<ScanSeverity, ScanError> {
    let kind = text(value, "/kind").unwrap_or("fail");
    let level = text(value, "/level").or_else(|| rule.and_then(|rule| rule.level.as_deref()));
    Ok(match (kind, level.unwrap_or("warning")) {
        ("fail", "error") => ScanSeverity::High,
        ("fail", "warning") => ScanSeverity::Medium,
        ("fail", "note") => ScanSeverity::Low,
        (_, "none" | "error" | "warning" | "note") => ScanSeverity::Info,
        (_, other) => return Err(ScanError::value(number, "level", other, "error, warning, note or none")),
    })
}

/// §3.27.23, §3.35: a suppression holds when it was accepted, or needs nobody's consent.
fn is_suppressed(value: &Value) -> bool {
    let list = value.get("suppressions").and_then(Value::as_array).into_iter().flatten();
    let mut states = list.map(|one| one.get("status").and_then(Value::as_str).unwrap_or("accepted"));
    states.any(|state| state == "accepted")
}

/// §3.11.5: the text itself, else a text of the rule with the arguments in their places.
fn message(value: &Value, rule: Option<&Rule>) -> String {
    if let Some(text) = text(value, "/message/text") {
        return text.to_owned();
    }
    let id = text(value, "/message/id").unwrap_or_default();
    let mut message = rule.and_then(|rule| rule.messages.get(id)).cloned().unwrap_or_default();
    let arguments = value.pointer("/message/arguments").and_then(Value::as_array).into_iter().flatten();
    for (index, argument) in arguments.filter_map(Value::as_str).enumerate().take(10) {
        let argument: String = argument.chars().take(200).collect();
        message = message.replace(&format!("{{{index}}}"), &argument);
    }
    message
}
