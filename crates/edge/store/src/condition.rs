//! Filters become conditions of a query.
//!
//! In: a checked filter, and the list that it is for. Out: SQL text made of literals and placeholders; all values are
//! bound. Every key has a meaning for every list: cases and alerts are asked about their device.
//!
//! Names in the query: `d` devices, `h` heartbeats, `c` cases (in the list of cases), `a` alerts (in theirs).

use std::collections::BTreeSet;

use warden_model::case::Priority;
use warden_model::device::{Criticality, DataSensitivity};
use warden_wire::filter::{Condition, Filter, Key, Sense, Term, Than, YesNo};

use crate::sql::Statement;

/// The list that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Devices,
    Cases,
    Alerts,
}

/// Adds the condition of a filter to a query; `TRUE` when it holds for everything.
pub(crate) fn push(query: &mut Statement, filter: &Filter, target: Target) {
    query.push("TRUE");
    let same_case = same_case(query, filter, target);
    for term in filter.terms() {
        if same_case.is_some() && names_same_case(term) {
            continue;
        }
        let condition = condition(query, filter, target, &term.condition, same_case.as_deref());
        let not = match term.sense {
            Sense::Is => "",
            Sense::IsNot => "NOT ",
        };
        query.push(&format!(" AND {not}({condition})"));
    }
    if let Some(conditions) = same_case {
        query.push(&format!(" AND {}", some_case(&conditions)));
    }
}

/// Says whether a term names the case that a device is asked about.
fn names_same_case(term: &Term) -> bool {
    let key = match &term.condition {
        Condition::AnyOf { key, .. } | Condition::Compared { key, .. } => *key,
        Condition::Text(_) | Condition::Seen { .. } => return false,
    };
    term.sense == Sense::Is && matches!(key, Key::Cve | Key::Priority)
}

/// Joins the terms that name a case, so that `cve:X priority:immediate` asks for one case with both, and
/// `cve:X protected:no` for exactly that case. Rows of the list of cases are the case themselves.
fn same_case(query: &mut Statement, filter: &Filter, target: Target) -> Option<String> {
    if target == Target::Cases {
        return None;
    }
    let conditions: Vec<String> = filter
        .terms()
        .iter()
        .filter(|term| names_same_case(term))
        .map(|term| of_case(query, "k", &term.condition))
        .collect();
    (!conditions.is_empty()).then(|| conditions.join(" AND "))
}

fn some_case(conditions: &str) -> String {
    format!("EXISTS (SELECT 1 FROM cases k WHERE k.device = d.id AND {conditions})")
}

fn condition(
    query: &mut Statement,
    filter: &Filter,
    target: Target,
    condition: &Condition,
    same_case: Option<&str>,
) -> String {
    match condition {
        Condition::Text(text) => free_text(query, target, text),
        Condition::Seen { than, age } => {
            // A device that was never heard of is as old as its enrolment.
            let moment = query.bind(filter.moment_before(*age));
            let sign = match than {
                Than::Above => '<',
                Than::Below => '>',
            };
            format!("coalesce(h.last_seen, d.enrolled_at) {sign} {moment}")
        }
        Condition::Compared { key: Key::Priority, .. }
        | Condition::AnyOf { key: Key::Cve | Key::Priority, .. } => case_of_row(query, target, condition),
        Condition::Compared { key, than, word } => {
            let words = compared(*key, *than, word);
            let column = if *key == Key::Criticality { "d.criticality" } else { "d.sensitivity" };
            any_of(query, column, &words)
        }
        Condition::AnyOf { key: Key::Protected, values } => protected(target, values, same_case),
        Condition::AnyOf { key, values } => of_device(query, target, *key, values),
    }
}

/// A condition about a case: of the row itself, or of some case of the row's device.
fn case_of_row(query: &mut Statement, target: Target, condition: &Condition) -> String {
    match target {
        Target::Cases => of_case(query, "c", condition),
        Target::Devices | Target::Alerts => {
            let condition = of_case(query, "k", condition);
            some_case(&condition)
        }
    }
}

fn of_case(query: &mut Statement, case: &str, condition: &Condition) -> String {
    match condition {
        Condition::Compared { key, than, word } => {
            any_of(query, &format!("{case}.priority"), &compared(*key, *than, word))
        }
        Condition::AnyOf { key: Key::Priority, values } => any_of(query, &format!("{case}.priority"), values),
        Condition::AnyOf { values, .. } => {
            let by_id = any_of(query, &format!("{case}.advisory"), values);
            let by_alias = any_of(query, "s.alias", values);
            format!(
                "({by_id} OR {case}.advisory IN (SELECT s.advisory FROM advisory_aliases s WHERE {by_alias}))"
            )
        }
        Condition::Text(_) | Condition::Seen { .. } => "TRUE".to_owned(),
    }
}

/// A device is protected when none of the cases that the other terms name is open.
fn protected(target: Target, values: &BTreeSet<String>, same_case: Option<&str>) -> String {
    let yes = values.contains(YesNo::Yes.word());
    if yes && values.contains(YesNo::No.word()) {
        return "TRUE".to_owned();
    }
    let exposed = match target {
        Target::Cases => "c.protection IS NULL".to_owned(),
        Target::Devices | Target::Alerts => {
            some_case(&format!("k.protection IS NULL AND {}", same_case.unwrap_or("TRUE")))
        }
    };
    if yes { format!("NOT {exposed}") } else { exposed }
}

fn of_device(query: &mut Statement, target: Target, key: Key, values: &BTreeSet<String>) -> String {
    let column = match key {
        Key::Id => match target {
            Target::Devices => "d.id",
            Target::Cases => "c.id",
            Target::Alerts => "a.id",
        },
        Key::Product => "d.product",
        Key::Hardware => "d.hardware",
        Key::Criticality => "d.criticality",
        Key::Sensitivity => "d.sensitivity",
        Key::State => "d.state",
        // Absent values are compared as empty texts, so that a negated term holds for them.
        Key::Segment => "coalesce(d.segment, '')",
        Key::Version => "coalesce(d.confirmed_version, '')",
        Key::Release => {
            let releases = any_of(query, "r.id", values);
            let images = format!("SELECT r.image FROM releases r WHERE {releases}");
            return format!("coalesce(d.confirmed_image, '') IN ({images})");
        }
        Key::Rollout => {
            let rollouts = any_of(query, "m.rollout", values);
            return format!("EXISTS (SELECT 1 FROM members m WHERE m.device = d.id AND {rollouts})");
        }
        Key::Shielded => return shielded(values),
        // The parser and the caller leave none of these here.
        Key::Cve | Key::Priority | Key::Protected | Key::Seen => return "TRUE".to_owned(),
    };
    any_of(query, column, values)
}

fn shielded(values: &BTreeSet<String>) -> String {
    let stands = "EXISTS (SELECT 1 FROM shields s WHERE s.device = d.id AND s.state = 'verified')";
    match (values.contains(YesNo::Yes.word()), values.contains(YesNo::No.word())) {
        (true, true) => "TRUE".to_owned(),
        (true, false) => stands.to_owned(),
        (false, _) => format!("NOT {stands}"),
    }
}

fn free_text(query: &mut Statement, target: Target, text: &str) -> String {
    let mut pattern = "%".to_owned();
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c.to_ascii_lowercase());
    }
    pattern.push('%');
    let pattern = query.bind(pattern);
    let product_name = "(SELECT p.name FROM products p WHERE p.id = d.product)";
    let columns: &[&str] = match target {
        Target::Devices => &["d.id", "d.product", product_name],
        Target::Cases => &["c.id", "c.device", "c.advisory", "c.component", product_name],
        Target::Alerts => &["a.id", "a.device", "a.destination", product_name],
    };
    let like = |column: &&str| format!("lower({column}) LIKE {pattern} ESCAPE '\\'");
    columns.iter().map(like).collect::<Vec<_>>().join(" OR ")
}

fn any_of(query: &mut Statement, column: &str, values: &BTreeSet<String>) -> String {
    let places: Vec<String> = values.iter().map(|value| query.bind(value.as_str())).collect();
    if places.is_empty() {
        // `IN ()` is no SQL; nothing is more severe than the most severe.
        return "FALSE".to_owned();
    }
    format!("{column} IN ({})", places.join(", "))
}

/// Returns the words on one side of a word; enums list the most severe first.
fn compared(key: Key, than: Than, word: &str) -> BTreeSet<String> {
    let words: Vec<&str> = match key {
        Key::Criticality => Criticality::ALL.iter().map(|value| value.word()).collect(),
        Key::Sensitivity => DataSensitivity::ALL.iter().map(|value| value.word()).collect(),
        Key::Priority => Priority::ALL.iter().map(|value| value.word()).collect(),
        Key::Id
        | Key::Product
        | Key::Hardware
        | Key::Segment
        | Key::Version
        | Key::State
        | Key::Cve
        | Key::Seen
        | Key::Shielded
        | Key::Protected
        | Key::Release
        | Key::Rollout => Vec::new(),
    };
    let mut sides = words.split(|known| *known == word);
    let (above, below) = (sides.next(), sides.next());
    let side = match than {
        Than::Above => above,
        Than::Below => below,
    };
    side.unwrap_or_default().iter().map(|word| (*word).to_owned()).collect()
}
