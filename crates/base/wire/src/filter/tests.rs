//! Facts about the filter language.

use proptest::prelude::*;
use warden_model::{Seconds, Timestamp};

use super::{Condition, Filter, FilterError, Key, Than};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn check(text: &str, canonical: &str) {
    let filter = Filter::parse(text, NOW).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(filter.to_string(), canonical, "{text:?}");
    assert_eq!(Filter::parse(canonical, NOW), Ok(filter), "{canonical:?}");
}

#[test]
fn what_people_write_is_understood() {
    check("", "");
    check("  front   door ", "front door");
    check("product:cam,pump,cam -shielded:yes", "product:cam,pump -shielded:yes");
    check("advisory:CVE-2022-48174", "cve:CVE-2022-48174");
    check("criticality:>standard priority:<immediate", "criticality:>standard priority:<immediate");
    check("seen:>168h seen:<90s seen:>0d", "seen:>1w seen:<90s seen:>0s");
    check(r#"-"front door" "say \"hi\"" "a:b""#, r#"-"front door" "say \"hi\"" "a:b""#);
    check(r#"id:"cam-01""#, "id:cam-01");
    check("id:00:11:22:33:44:55 hardware:b1 segment:s", "id:00:11:22:33:44:55 hardware:b1 segment:s");
    check("version:1.0~rc1 state:idle sensitivity:public", "version:1.0~rc1 state:idle sensitivity:public");
    check("protected:no release:r1 rollout:o1", "protected:no release:r1 rollout:o1");
}

#[test]
fn every_key_is_known_by_its_word() {
    for key in Key::ALL {
        let error = Filter::parse(&format!("{key}:"), NOW).unwrap_err();
        assert!(error.to_string().contains("is followed by a value"), "{error}");
    }
}

fn refused(text: &str, position: usize, why: &str) {
    match Filter::parse(text, NOW) {
        Err(FilterError::Term { position: at, why: said, term }) => {
            assert_eq!(at, position, "{text:?}");
            assert!(said.contains(why), "{text:?}: {said}");
            assert!(!term.is_empty());
        }
        other => panic!("{text:?} gave {other:?}"),
    }
}

#[test]
fn a_refusal_says_where_and_what_would_be_understood() {
    refused("cam colour:red", 5, "one of: id, product, hardware");
    refused("é criticality:high", 3, "safety-critical, mission-critical, standard, low");
    refused("shielded:perhaps", 1, "yes, no");
    refused("product:>cam", 1, "has no order");
    refused("seen:7d", 1, "seen:>7d");
    refused("seen:>7", 1, "7d");
    refused("seen:>-7d", 1, "7d");
    refused("seen:>99999999999999999999d", 1, "7d");
    refused("seen:>1d,2d", 1, "one value");
    refused("priority:>", 1, "immediate, out-of-cycle");
    refused("product:a,", 1, "followed by a value");
    refused("product:a/b", 1, "letters, digits");
    refused(r#"id:"a"#, 1, "not closed");
    refused(r#"id:"a"b"#, 1, "a space follows");
    refused(r#"a"b""#, 1, "a space follows");
    refused(r#""a\n""#, 1, "backslash");
    refused(r#""""#, 1, "nothing between");
    refused("-", 1, "key:value");
    refused("a,b", 1, "in quotes");
    refused("ok :x", 4, "filter key");
}

#[test]
fn a_filter_has_limits() {
    assert_eq!(Filter::parse(&"a".repeat(1025), NOW), Err(FilterError::TooLong { bytes: 1025 }));
    assert_eq!(Filter::parse(&"a ".repeat(33), NOW), Err(FilterError::TooManyTerms));
    assert_eq!(Filter::parse(&"a ".repeat(32), NOW).unwrap().terms().len(), 32);
}

#[test]
fn ages_are_counted_back_from_now() {
    let filter = Filter::parse("seen:>2d", NOW).unwrap();
    let Condition::Seen { than: Than::Above, age } = &filter.terms()[0].condition else { panic!() };
    assert_eq!(filter.moment_before(*age).plus(Seconds::days(2)), NOW);
    assert_eq!(filter.moment_before(Seconds(u64::MAX)), Timestamp(NOW.0 - i64::MAX));
}

/// Texts that are filters more often than not.
fn filters() -> impl Strategy<Value = String> {
    let value = prop_oneof!["[a-z0-9][a-z0-9._:-]{0,8}", r#""[a-z0-9][a-z0-9.-]{0,8}""#];
    let keyed = ("(id|product|hardware|segment|version|cve|advisory|release|rollout)", value)
        .prop_map(|(key, value)| format!("{key}:{value}"));
    let word = prop_oneof![
        "criticality:[<>]?(low|standard)(,low)?",
        "priority:(immediate|defer|defer,scheduled)",
        "seen:[<>][0-9]{1,6}[smhdw]",
        "(shielded|protected):(yes|no|yes,no)",
    ];
    let text = prop_oneof!["[a-zé._<>-]{1,8}", r#""([a-z :,<>é-]|\\"|\\\\){1,8}""#];
    let term =
        ("-?", prop_oneof![keyed, word, text]).prop_map(|(negation, term)| format!("{negation}{term}"));
    proptest::collection::vec(term, 0..6).prop_map(|terms| terms.join(" "))
}

proptest! {
    #[test]
    fn the_canonical_text_means_the_same(text in filters()) {
        if let Ok(filter) = Filter::parse(&text, NOW) {
            let canonical = filter.to_string();
            prop_assert_eq!(Filter::parse(&canonical, NOW), Ok(filter), "{}", canonical);
        }
    }

    #[test]
    fn no_text_brings_it_down(text in "\\PC{0,80}|([a-z]{1,6}:?[<>\"\\\\, -]{0,3}){0,12}") {
        if let Ok(filter) = Filter::parse(&text, NOW) {
            prop_assert_eq!(Filter::parse(&filter.to_string(), NOW), Ok(filter));
        }
    }
}
