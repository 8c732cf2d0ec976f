//! The public suites of the corpus: SSVC tables, version order, CVSS scores. Skipped, and said so, without the corpus.

use std::cmp::Ordering;
use std::io::Write as _;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::Value;
use warden_assess::cvss::Metrics;
use warden_assess::ssvc::{
    HumanImpact, InKev, MissionImpact, MissionWellBeing, PubliclyExposed, SafetyImpact, bod_26_04,
    coordinator, deployer, human_impact,
};
use warden_assess::versions::compare;
use warden_model::advisory::{Automatable, Exploitation, TechnicalImpact};
use warden_model::case::Priority;
use warden_model::product::Exposure;

pub(crate) fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").unwrap();
}

/// Reads a file of the corpus; none when there is no corpus.
#[expect(
    clippy::disallowed_methods,
    reason = "the suites are files; only this test reads them, never the crate"
)]
pub(crate) fn read(name: &str) -> Option<String> {
    let root = std::env::var_os("FLEETWARDEN_CORPUS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/corpus"),
        PathBuf::from,
    );
    if !root.is_dir() {
        say("skipped: no corpus");
        return None;
    }
    Some(std::fs::read_to_string(root.join("firmware").join(name)).unwrap())
}

fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().skip(1).map(|line| line.split(',').collect())
}

fn word<T: FromStr<Err: std::fmt::Debug>>(word: &str) -> T {
    word.replace(' ', "-").parse().unwrap()
}

const IMPACTS: [HumanImpact; 4] =
    [HumanImpact::Low, HumanImpact::Medium, HumanImpact::High, HumanImpact::VeryHigh];
const SAFETY: [SafetyImpact; 4] =
    [SafetyImpact::Negligible, SafetyImpact::Marginal, SafetyImpact::Critical, SafetyImpact::Catastrophic];
const MISSION: [MissionImpact; 4] = [
    MissionImpact::Degraded,
    MissionImpact::MefSupportCrippled,
    MissionImpact::MefFailure,
    MissionImpact::MissionFailure,
];

fn named<T: ToString + Copy>(all: &[T], name: &str) -> T {
    *all.iter().find(|value| value.to_string() == name).unwrap()
}

#[test]
fn all_72_rows_of_the_deployer_table_agree() {
    let Some(text) = read("risk/ssvc-csv/ssvc/deployer_patch_application_priority_1_0_0.csv") else { return };
    let mut agreed = 0;
    for row in rows(&text) {
        let [number, exploitation, exposure, automatable, impact, outcome] = row[..] else {
            panic!("{row:?}")
        };
        let ours = deployer(
            word::<Exploitation>(exploitation),
            word::<Exposure>(exposure),
            word::<Automatable>(automatable),
            named(&IMPACTS, impact),
        );
        assert_eq!((ours.row.to_string().as_str(), ours.priority), (number, word::<Priority>(outcome)));
        agreed += 1;
    }
    assert_eq!(agreed, 72);
}

#[test]
fn all_16_rows_of_the_human_impact_table_agree() {
    let Some(text) = read("risk/ssvc-csv/ssvc/human_impact_1_0_0.csv") else { return };
    let mut agreed = 0;
    for row in rows(&text) {
        let [_, safety, mission, impact] = row[..] else { panic!("{row:?}") };
        let ours = human_impact(named(&SAFETY, safety), named(&MISSION, mission));
        assert_eq!(ours.to_string(), impact, "{row:?}");
        agreed += 1;
    }
    assert_eq!(agreed, 16);
}

fn technical(name: &str) -> TechnicalImpact {
    if name == "total" { TechnicalImpact::Total } else { TechnicalImpact::Partial }
}

#[test]
fn all_36_rows_of_cisas_coordinator_table_agree() {
    let Some(text) = read("risk/ssvc-csv/cisa/cisa_coordinator_2_0_3.csv") else { return };
    let mut agreed = 0;
    for row in rows(&text) {
        let [number, exploitation, automatable, impact, mission, level] = row[..] else { panic!("{row:?}") };
        let mission = match mission {
            "low" => MissionWellBeing::Low,
            "medium" => MissionWellBeing::Medium,
            _ => MissionWellBeing::High,
        };
        let (ours, our_row) = coordinator(word(exploitation), word(automatable), technical(impact), mission);
        assert_eq!((our_row.to_string().as_str(), ours.to_string().as_str()), (number, level));
        agreed += 1;
    }
    assert_eq!(agreed, 36);
}

#[test]
fn all_16_rows_of_bod_26_04_agree() {
    let Some(text) = read("risk/ssvc-csv/cisa/cisa_bod_26_04_1_0_0.csv") else { return };
    let mut agreed = 0;
    for row in rows(&text) {
        let [number, kev, exposed, automatable, impact, timeline] = row[..] else { panic!("{row:?}") };
        let kev = if kev == "yes" { InKev::Yes } else { InKev::No };
        let exposed = if exposed == "yes" { PubliclyExposed::Yes } else { PubliclyExposed::No };
        let (ours, our_row) = bod_26_04(kev, exposed, word(automatable), technical(impact));
        assert_eq!((our_row.to_string().as_str(), ours.to_string().as_str()), (number, timeline));
        agreed += 1;
    }
    assert_eq!(agreed, 16);
}

/// Rows that must hold without the corpus too: the ends of the table, and those that differ from their neighbours.
#[test]
fn essential_rows_hold() {
    use Automatable::{No, Yes};
    use HumanImpact::{High, Low, Medium, VeryHigh};
    let check = |exploitation, exposure, automatable, impact, row, priority| {
        let ours = deployer(exploitation, exposure, automatable, impact);
        assert_eq!((ours.row, ours.priority), (row, priority));
    };
    check(Exploitation::None, Exposure::Small, No, Low, 0, Priority::Defer);
    check(Exploitation::None, Exposure::Open, Yes, VeryHigh, 23, Priority::OutOfCycle);
    check(Exploitation::PublicPoc, Exposure::Controlled, Yes, VeryHigh, 39, Priority::OutOfCycle);
    check(Exploitation::PublicPoc, Exposure::Open, Yes, High, 46, Priority::OutOfCycle);
    check(Exploitation::Active, Exposure::Small, Yes, Medium, 53, Priority::OutOfCycle);
    check(Exploitation::Active, Exposure::Open, No, VeryHigh, 67, Priority::Immediate);
    check(Exploitation::Active, Exposure::Open, Yes, Low, 68, Priority::OutOfCycle);
    check(Exploitation::Active, Exposure::Open, Yes, VeryHigh, 71, Priority::Immediate);
    assert_eq!(human_impact(SafetyImpact::Negligible, MissionImpact::MissionFailure), VeryHigh);
    assert_eq!(human_impact(SafetyImpact::Critical, MissionImpact::Degraded), Medium);
    assert_eq!(human_impact(SafetyImpact::Critical, MissionImpact::MefFailure), High);
    assert_eq!(human_impact(SafetyImpact::Marginal, MissionImpact::MefSupportCrippled), Low);
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Runs the comparisons and equalities of a suite, and says what does not hold.
fn failures(kind: &str, suite: &Value) -> Vec<String> {
    let mut failures = Vec::new();
    for test in suite["tests"].as_array().unwrap() {
        let versions = texts(&test["input"]["versions"]);
        let holds = match &test["expected_output"] {
            Value::Bool(expected) => {
                (compare(kind, versions[0], versions[1]) == Ordering::Equal) == *expected
            }
            sorted => {
                texts(sorted).is_sorted_by(|a, b| a == b || compare(kind, a, b).is_lt())
                    // The suite spells equal versions in one way; only the order is ours to keep.
                    && versions.len() == texts(sorted).len()
            }
        };
        if !holds {
            failures.push(format!("{versions:?}: expected {}", test["expected_output"]));
        }
    }
    failures
}

#[test]
fn version_suites_pass_for_every_scheme_that_is_claimed() {
    for (kind, file, count) in [
        ("apk", "vers/alpine_version_cmp_test.json", 716),
        ("maven", "vers/maven_version_cmp_test.json", 977),
        ("nuget", "vers/nuget_version_cmp_test.json", 33),
        ("generic", "vers/openssl_version_cmp_test.json", 44),
    ] {
        let Some(text) = read(file) else { return };
        let suite: Value = serde_json::from_str(&text).unwrap();
        let failures = failures(kind, &suite);
        let total = suite["tests"].as_array().unwrap().len();
        say(&format!("{file}: {} of {total} hold", total - failures.len()));
        assert_eq!((failures, total), (vec![], count), "{file}");
    }
}

type Fits = fn(Ordering) -> bool;

/// One constraint of a vers range, for instance `>=1.0`.
fn constraint_holds(constraint: &str, version: &str) -> (bool, bool) {
    let operators: [(&str, Fits); 5] = [
        ("!=", Ordering::is_ne),
        ("<=", Ordering::is_le),
        (">=", Ordering::is_ge),
        ("<", Ordering::is_lt),
        (">", Ordering::is_gt),
    ];
    let found =
        operators.iter().find_map(|(sign, fits)| constraint.strip_prefix(sign).map(|bound| (bound, *fits)));
    let (bound, fits) = found.unwrap_or((constraint, Ordering::is_eq));
    (fits(compare("pypi", version, bound)), constraint.starts_with('>') || constraint.starts_with('<'))
}

#[test]
fn python_versions_of_the_containment_suite_fall_on_the_right_side() {
    let Some(text) = read("vers/pypi_range_containment_test.json") else { return };
    let suite: Value = serde_json::from_str(&text).unwrap();
    let mut held = 0;
    for test in suite["tests"].as_array().unwrap() {
        let range = test["input"]["vers"].as_str().unwrap().strip_prefix("vers:pypi/").unwrap();
        let version = test["input"]["version"].as_str().unwrap();
        let parts: Vec<(bool, bool)> = range.split('|').map(|part| constraint_holds(part, version)).collect();
        let is_excluded =
            range.split('|').zip(&parts).any(|(part, (holds, _))| part.starts_with("!=") && !holds);
        let is_named = range
            .split('|')
            .zip(&parts)
            .any(|(part, (holds, is_bound))| *holds && !is_bound && !part.starts_with("!="));
        let bounds = || parts.iter().filter(|(_, is_bound)| *is_bound).map(|(holds, _)| *holds);
        // `>=a|<=b` is an interval; `<=a|>=b` and a single bound are rays.
        let is_interval = range.starts_with('>') && range.contains('<');
        let is_inside = if is_interval { bounds().all(|holds| holds) } else { bounds().any(|holds| holds) };
        let contained = !is_excluded && (is_named || is_inside);
        assert_eq!(contained, test["expected_output"].as_bool().unwrap(), "{range} {version}");
        held += 1;
    }
    say(&format!("pypi containment: {held} hold"));
    assert_eq!(held, 10);
}

/// One score of a line such as `AV:N/… - (7.5, None, None)`; nothing where the suite has none.
fn expected_score(text: &str) -> Option<String> {
    let score: f64 = text.trim().parse().ok()?;
    // Some scores of nothing are written as -0.0.
    Some(format!("{:.1}", score.abs()))
}

#[test]
fn cvss_scores_agree_with_the_suites() {
    let mut agreed = 0;
    for file in [
        "vectors_simple2",
        "vectors_cvsslib2",
        "vectors_calculator2",
        "vectors_simple3",
        "vectors_simple31",
        "vectors_cvsslib3",
        "vectors_calculator3",
        "vectors_simple4",
        "vectors_security4",
        "vectors_supplemental4",
        "vectors_threat4",
    ] {
        let Some(text) = read(&format!("cvss/{file}")) else { return };
        for line in text.lines() {
            let (vector, scores) = line.split_once(" - ").unwrap();
            let metrics: Metrics = vector.parse().unwrap();
            let ours = if vector.starts_with("CVSS:4") {
                vec![metrics.environmental_score()]
            } else {
                vec![metrics.base_score(), metrics.temporal_score(), metrics.environmental_score()]
            };
            let scores = scores.trim_matches(['(', ')', ',']).split(',');
            for (ours, expected) in ours.iter().zip(scores) {
                if let Some(expected) = expected_score(expected) {
                    assert_eq!(ours.to_string(), expected, "{file}: {line}");
                }
            }
            agreed += 1;
        }
    }
    say(&format!("cvss: {agreed} vectors agree"));
    assert_eq!(agreed, 7_667);
}
