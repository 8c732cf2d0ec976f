//! Reading OSV: what comes out, and how invalid advisories are refused.

use std::error::Error as _;

use proptest::prelude::*;
use warden_model::advisory::{Advisory, Automatable, Exploitation};
use warden_model::{ByteCount, Timestamp};

use super::{Limits, read_feed, read_osv};
use crate::FeedError;

const KNOWN_AT: Timestamp = Timestamp(42_000);

fn read(json: &str) -> Result<Vec<Advisory>, FeedError> {
    read_osv(json.as_bytes(), KNOWN_AT, &Limits::default())
}

fn one(json: &str) -> Advisory {
    let mut advisories = read(json).unwrap();
    assert_eq!(advisories.len(), 1);
    advisories.remove(0)
}

/// A whole advisory around some fields.
fn with(fields: &str) -> String {
    format!(r#"{{"id": "CVE-1", "modified": "2026-01-02T03:04:05Z"{fields}}}"#)
}

fn affected(entry: &str) -> String {
    with(&format!(r#", "affected": [{entry}]"#))
}

fn range(events: &str) -> String {
    affected(&format!(
        r#"{{"package": {{"ecosystem": "Debian:12", "name": "busybox"}},
            "ranges": [{{"type": "ECOSYSTEM", "events": [{events}]}}]}}"#
    ))
}

#[test]
fn a_whole_advisory_comes_out_in_our_words() {
    let advisory = one(r#"{
        "schema_version": "1.7.0",
        "id": "DSA-1-1",
        "modified": "2026-01-02T03:04:05.6789Z",
        "published": "2026-01-01T00:00:00Z",
        "withdrawn": null,
        "aliases": ["CVE-2022-48174"],
        "summary": "busybox: stack overflow\nin ash",
        "severity": [
            {"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:P/I:P/A:P"},
            {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
            {"type": "Ubuntu", "score": "high"}
        ],
        "affected": [{
            "package": {"ecosystem": "Debian:12", "name": "busybox", "purl": "pkg:deb/debian/busybox@1?arch=source"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1:1.35.0-4+deb12u1"}]},
                {"type": "GIT", "repo": "https://example.org", "events": [{"introduced": "0"}]}
            ],
            "versions": ["1:1.35.0-4"],
            "ecosystem_specific": {"urgency": "high"}
        }],
        "database_specific": {"kev": true, "ssvc": {"exploitation": "poc", "automatable": "yes", "technical_impact": "total"}}
    }"#);
    assert_eq!(advisory.id.as_str(), "DSA-1-1");
    assert_eq!(advisory.aliases[0].as_str(), "CVE-2022-48174");
    assert_eq!(advisory.summary, "busybox: stack overflow");
    assert_eq!(advisory.published.to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(advisory.modified.to_string(), "2026-01-02T03:04:05.678Z");
    assert_eq!((advisory.withdrawn, advisory.known_at), (None, KNOWN_AT));
    assert_eq!(advisory.cvss.as_deref(), Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"));
    assert_eq!((advisory.exploitation, advisory.automatable), (Exploitation::Active, Some(Automatable::Yes)));
    let package = &advisory.affected[0];
    assert_eq!(package.package.to_string(), "pkg:deb/debian/busybox?arch=source&distro=debian-12");
    assert_eq!(package.ranges[0].fixed.as_deref(), Some("1:1.35.0-4+deb12u1"));
    assert_eq!((package.ranges.len(), package.versions.len()), (1, 1));
}

#[test]
fn what_may_be_absent_is_absent() {
    let advisory = one(&with(r#", "affected": null, "aliases": null, "details": "\n first line\nsecond""#));
    assert_eq!(advisory.published, advisory.modified);
    assert_eq!(advisory.summary, "first line");
    assert!(advisory.affected.is_empty() && advisory.cvss.is_none() && advisory.automatable.is_none());
    assert_eq!(advisory.exploitation, Exploitation::None);
    assert!(one(&with(r#", "withdrawn": "2026-01-03T00:00:00Z""#)).withdrawn.is_some());
}

#[test]
fn one_object_an_array_and_lines_are_all_read() {
    let (a, b) = (with(""), with("").replace("CVE-1", "CVE-2"));
    for text in [format!("[{a},{b}]"), format!("{a}\n{b}\n"), format!("\n{a} {b}")] {
        let ids: Vec<_> = read(&text).unwrap().into_iter().map(|advisory| advisory.id.to_string()).collect();
        assert_eq!(ids, ["CVE-1", "CVE-2"], "{text}");
    }
}

fn check_ranges(events: &str, expected: &[&str]) {
    let advisory = one(&range(events));
    let shown = |range: &warden_model::advisory::VersionRange| {
        let last = range.last_affected.as_ref().map(|last| format!("={last}"));
        format!("{}..{}", range.introduced, range.fixed.clone().or(last).unwrap_or_default())
    };
    let ranges: Vec<_> = advisory.affected[0].ranges.iter().map(shown).collect();
    assert_eq!(ranges, expected, "{events}");
}

#[test]
fn events_become_ranges_in_the_order_of_versions() {
    check_ranges(r#"{"introduced": "0"}, {"fixed": "1.2"}"#, &["0..1.2"]);
    check_ranges(r#"{"fixed": "1.10"}, {"introduced": "1.9"}"#, &["1.9..1.10"]);
    check_ranges(r#"{"introduced": "1.0"}"#, &["1.0.."]);
    check_ranges(r#"{"introduced": "1.0"}, {"last_affected": "1.5"}"#, &["1.0..=1.5"]);
    check_ranges(
        r#"{"introduced": "2.0"}, {"introduced": "0"}, {"fixed": "2.3"}, {"fixed": "1.4"}"#,
        &["0..1.4", "2.0..2.3"],
    );
    check_ranges(r#"{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "1.0"}"#, &["0..1.0", "1.0.."]);
    check_ranges(
        r#"{"introduced": "0"}, {"introduced": "1.0"}, {"fixed": "2.0"}, {"fixed": "3.0"}"#,
        &["0..2.0"],
    );
    check_ranges(r#"{"introduced": "0"}, {"fixed": "0~beta"}, {"limit": "*"}"#, &["0..0~beta"]);
}

#[test]
fn git_ranges_are_counted_and_passed_over() {
    let git = r#"{"type": "GIT", "repo": "https://example.org", "events": [{"introduced": "0"}]}"#;
    let json = affected(&format!(
        r#"{{"ranges": [{git}, {git}]}}, {{"package": {{"ecosystem": "OSS-Fuzz", "name": "harfbuzz"}}, "ranges": [{git}]}}"#
    ));
    let feed = read_feed(json.as_bytes(), KNOWN_AT, &Limits::default()).unwrap();
    assert_eq!(feed.git_ranges, 3);
    assert_eq!(feed.advisories[0].affected.len(), 1, "an entry without a package names only commits");
}

#[test]
fn the_newest_cvss_counts_wherever_it_stands() {
    let four = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N";
    let advisory = one(&affected(&format!(
        r#"{{"package": {{"ecosystem": "npm", "name": "a"}}, "severity": [{{"type": "CVSS_V4", "score": "{four}"}}]}}"#
    )));
    assert_eq!(advisory.cvss.as_deref(), Some(four));
}

#[test]
fn exploitation_is_the_worst_that_is_said() {
    let check = |own: &str, expected| {
        assert_eq!(one(&with(&format!(r#", "database_specific": {own}"#))).exploitation, expected, "{own}");
    };
    check("{}", Exploitation::None);
    check(r#"{"kev": false}"#, Exploitation::None);
    check(r#"{"kev": true, "cisa_exploitation": "none"}"#, Exploitation::Active);
    check(r#"{"cisa_exploitation": "Active"}"#, Exploitation::Active);
    check(
        r#"{"cisa_exploitation": "none", "ssvc": {"exploitation": "public poc"}}"#,
        Exploitation::PublicPoc,
    );
}

/// The message, its cause, and that there is a hint.
fn refusal(error: &FeedError) -> String {
    assert!(!error.hint().is_empty());
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

fn check_refused(json: &str, expected: &str) {
    assert_eq!(refusal(&read(json).unwrap_err()), expected, "{json}");
}

#[test]
fn invalid_advisories_are_refused_with_place_and_cause() {
    check_refused("", "the file holds no advisory");
    check_refused("[]", "the file holds no advisory");
    check_refused("{", "line 1, column 1 is no JSON: EOF while parsing an object at line 1 column 1");
    check_refused("id: CVE-1", "line 1, column 1 is no JSON: expected value at line 1 column 1");
    check_refused("7", "the advisory is a number, not an object");
    check_refused("{}", "/id is missing");
    check_refused(r#"{"id": 7}"#, "/id is a number, not a text");
    check_refused(
        r#"{"id": "../etc"}"#,
        "/id is no advisory id: advisory id holds '.': letters, digits, `.`, `_`, `:` and `-` are allowed, the first a letter or digit",
    );
    check_refused(r#"{"id": "CVE-1"}"#, "/modified is missing");
    check_refused(
        r#"{"id": "CVE-1", "modified": "yesterday"}"#,
        "/modified is no moment: \"yesterday\" is no RFC 3339 moment such as 2026-11-22T08:00:00Z",
    );
    check_refused(&with(r#", "aliases": ["CVE 2"]"#), &{
        let error = read(&with(r#", "aliases": ["CVE 2"]"#)).unwrap_err();
        let message = refusal(&error);
        assert!(message.starts_with("/aliases/0 is no advisory id: "), "{message}");
        message
    });
    check_refused(&with(r#", "affected": {}"#), "/affected is an object, not a list");
    check_refused(&with(r#", "affected": [7]"#), "/affected/0 is a number, not an object");
    check_refused(&with(r#", "summary": ["a"]"#), "/summary is a list, not a text");
    check_refused(&format!("[{}, {}]", with(""), with("").replace("id", "ID")), "/1/id is missing");
    check_refused(&format!("{}\n{}", with(""), with("").replace("id", "ID")), "record 2: /id is missing");
    check_refused(&format!("{}\n7", with("")), "record 2 is a number, not an object");
}

#[test]
fn invalid_packages_and_ranges_are_refused_with_place_and_cause() {
    let package = r#""package": {"ecosystem": "npm", "name": "a"}"#;
    check_refused(&affected(r#"{"package": {"name": "a"}}"#), "/affected/0/package/ecosystem is missing");
    check_refused(&affected(r#"{"package": {"ecosystem": "npm"}}"#), "/affected/0/package/name is missing");
    check_refused(
        &affected(r#"{"package": {"ecosystem": "npm", "name": ""}}"#),
        "/affected/0/package/name has 0 bytes, not 1 to 1024",
    );
    check_refused(
        &affected(r#"{"package": {"ecosystem": "7", "name": "a"}}"#),
        "/affected/0/package/ecosystem is \"7\", not an ecosystem that starts with a letter",
    );
    check_refused(
        &affected(r#"{"package": {"ecosystem": "npm", "name": "a", "purl": "npm/a"}}"#),
        "/affected/0/package/purl is no package URL: \"npm/a\" is no package URL such as pkg:deb/debian/busybox@1.35.0: it does not start with pkg:",
    );
    check_refused(
        &affected(&format!("{{{package}, \"ranges\": [{{}}]}}")),
        "/affected/0/ranges/0/type is missing",
    );
    check_refused(
        &affected(&format!(r#"{{{package}, "ranges": [{{"type": "semver"}}]}}"#)),
        "/affected/0/ranges/0/type is \"semver\", not GIT, SEMVER or ECOSYSTEM",
    );
    check_refused(
        &affected(&format!(r#"{{{package}, "ranges": [{{"type": "SEMVER"}}]}}"#)),
        "/affected/0/ranges/0/events is missing",
    );
    check_refused(
        &affected(r#"{"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}"#),
        "/affected/0/package is missing",
    );
    check_refused(
        &affected(&format!(r#"{{{package}, "versions": [1.0]}}"#)),
        "/affected/0/versions/0 is a number, not a text",
    );
    check_refused(&range(r#"{"fixed": "1"}"#), "/affected/0/ranges/0/events: an introduced event is missing");
    check_refused(
        &range(r#"{"introduced": "0"}, {}"#),
        "/affected/0/ranges/0/events/1: introduced, fixed, last_affected or limit is missing",
    );
    check_refused(
        &range(r#"{"introduced": "0", "fixed": "1"}"#),
        "/affected/0/ranges/0/events/0/fixed is \"fixed\", not the only field of its event",
    );
}

#[test]
fn invalid_severities_and_exploitation_are_refused_with_place_and_cause() {
    check_refused(
        &with(r#", "severity": [{"type": "CVSS_V3", "score": "9.8"}]"#),
        "/severity/0/score is no CVSS vector: the vector starts with \"9.8\", not with CVSS:3.0/, CVSS:3.1/, CVSS:4.0/, or AV: as version 2 does",
    );
    check_refused(&with(r#", "severity": [{"type": "CVSS_V3"}]"#), "/severity/0/score is missing");
    let own = |text: &str| with(&format!(r#", "database_specific": {text}"#));
    check_refused(&own(r#"{"kev": "yes"}"#), "/database_specific/kev is a text, not true or false");
    check_refused(
        &own(r#"{"cisa_exploitation": "maybe"}"#),
        "/database_specific/cisa_exploitation is \"maybe\", not none, poc or active",
    );
    check_refused(
        &own(r#"{"ssvc": {"automatable": "perhaps"}}"#),
        "/database_specific/ssvc/automatable is \"perhaps\", not yes or no",
    );
    check_refused(
        &own(r#"{"ssvc": {"technical_impact": "some"}}"#),
        "/database_specific/ssvc/technical_impact is \"some\", not partial or total",
    );
    check_refused(&own("[]"), "/database_specific is a list, not an object");
}

#[test]
fn every_limit_holds() {
    let package = r#""package": {"ecosystem": "npm", "name": "a"}"#;
    let entry = format!("{{{package}}}");
    let check = |json: &str, limits: Limits, expected: &str| {
        let error = read_osv(json.as_bytes(), KNOWN_AT, &limits).unwrap_err();
        assert_eq!(refusal(&error), expected);
    };
    let default = Limits::default();
    check(&with(""), Limits { file: ByteCount(10), ..default }, "the file has more than 10 B");
    check(
        &with("").repeat(3),
        Limits { advisories: 2, ..default },
        "the file holds 3 advisories, more than the 2 that are allowed",
    );
    check(
        &affected(&[entry.as_str(); 3].join(",")),
        Limits { affected: 2, ..default },
        "/affected holds 3 affected packages, more than the 2 that are allowed",
    );
    let two_events = range(r#"{"introduced": "0"}, {"fixed": "1"}"#);
    check(
        &two_events,
        Limits { events: 1, ..default },
        "/affected/0/ranges/0/events holds 2 events, more than the 1 that are allowed",
    );
    check(
        &two_events,
        Limits { ranges: 0, ..default },
        "/affected/0/ranges holds 1 ranges, more than the 0 that are allowed",
    );
    check(
        &affected(&format!(r#"{{{package}, "versions": ["1", "2"]}}"#)),
        Limits { versions: 1, ..default },
        "/affected/0/versions holds 2 versions, more than the 1 that are allowed",
    );
    check(
        &with(r#", "aliases": ["A", "B"]"#),
        Limits { aliases: 1, ..default },
        "/aliases holds 2 aliases, more than the 1 that are allowed",
    );
    check(
        &affected(&format!(r#"{{{package}, "versions": ["1.0.0"]}}"#)),
        Limits { text_bytes: 4, ..default },
        "/affected/0/versions/0 has 5 bytes, not 1 to 4",
    );
    let long = with(&format!(r#", "summary": "{}""#, "ä".repeat(1_000)));
    assert_eq!(one(&long).summary.chars().count(), default.summary_chars);
    assert!(matches!(read(&"[".repeat(10_000)), Err(FeedError::NotJson { .. })), "nesting is bounded");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(read_osv(&bytes, KNOWN_AT, &Limits::default()).is_err());
    }

    #[test]
    fn a_whole_advisory_with_a_hole_never_panics(start in 0_usize..200, length in 0_usize..20) {
        let mut bytes = range(r#"{"introduced": "0"}, {"fixed": "1.2"}"#).into_bytes();
        let start = start.min(bytes.len());
        let end = (start + length).min(bytes.len());
        bytes.drain(start..end);
        drop(read_osv(&bytes, KNOWN_AT, &Limits::default()));
    }
}
