//! Matching: what is found, in which words, and what is not.

use warden_model::advisory::{Advisory, Affected, Exploitation, VersionRange};
use warden_model::firmware::{Component, Evidence, Firmware, Method, Version};
use warden_model::purl::Purl;
use warden_model::{AdvisoryId, ByteCount, ProductId, Sha256Digest, Timestamp};

use super::findings;

fn component(purl: &str) -> Component {
    let purl: Purl = purl.parse().unwrap();
    let evidence =
        Evidence { path: "lib/x".to_owned(), method: Method::PackageDatabase, detail: String::new() };
    Component {
        name: purl.name.clone(),
        version: purl.version.clone().unwrap_or_default(),
        purl,
        cpe: None,
        evidence: vec![evidence],
    }
}

fn firmware(purls: &[&str]) -> Firmware {
    Firmware {
        image: Sha256Digest([7; 32]),
        product: ProductId::new("cam").unwrap(),
        version: Version::new("1.0").unwrap(),
        size: ByteCount(1),
        added_at: Timestamp(0),
        components: Some(purls.iter().map(|purl| component(purl)).collect()),
    }
}

/// `ranges` are texts such as `0..1.2` (fixed in 1.2), `1.0..=1.5` (last affected), `1.0..` (no fix), `=1.1` (by name).
fn advisory(package: &str, ranges: &[&str]) -> Advisory {
    let mut affected = Affected { package: package.parse().unwrap(), ranges: vec![], versions: vec![] };
    for range in ranges {
        if let Some(version) = range.strip_prefix('=') {
            affected.versions.push(version.to_owned());
            continue;
        }
        let (introduced, end) = range.split_once("..").unwrap();
        let last_affected = end.strip_prefix('=').map(str::to_owned);
        let fixed = Some(end.to_owned()).filter(|end| !end.is_empty() && last_affected.is_none());
        affected.ranges.push(VersionRange { introduced: introduced.to_owned(), fixed, last_affected });
    }
    Advisory {
        id: AdvisoryId::new("CVE-2022-48174").unwrap(),
        aliases: vec![],
        summary: String::new(),
        published: Timestamp(0),
        modified: Timestamp(0),
        withdrawn: None,
        cvss: None,
        exploitation: Exploitation::None,
        automatable: None,
        technical_impact: None,
        in_kev: false,
        epss: None,
        affected: vec![affected],
        known_at: Timestamp(0),
    }
}

fn check(component: &str, package: &str, ranges: &[&str], expected: Option<(&str, Option<&str>)>) {
    let found = findings(&firmware(&[component]), &[advisory(package, ranges)]);
    let found: Vec<_> = found.iter().map(|f| (f.reason.as_str(), f.fixed_in.as_deref())).collect();
    assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{component} and {package} {ranges:?}");
}

#[test]
fn says_which_version_lies_in_which_range_of_which_package() {
    check(
        "pkg:generic/busybox@1.35.0",
        "pkg:generic/busybox",
        &["0..1.36.1"],
        Some((
            "busybox 1.35.0 is affected by CVE-2022-48174: pkg:generic/busybox from the first version until 1.36.1, which has the fix.",
            Some("1.36.1"),
        )),
    );
    check(
        "pkg:generic/busybox@1.35.0",
        "pkg:generic/busybox",
        &["1.0..=1.35.0"],
        Some((
            "busybox 1.35.0 is affected by CVE-2022-48174: pkg:generic/busybox from 1.0 up to and including 1.35.0.",
            None,
        )),
    );
    check(
        "pkg:generic/busybox@1.35.0",
        "pkg:generic/busybox",
        &["1.0.."],
        Some((
            "busybox 1.35.0 is affected by CVE-2022-48174: pkg:generic/busybox from 1.0 with no fix known.",
            None,
        )),
    );
    check(
        "pkg:generic/openssl@1.0.2k",
        "pkg:generic/openssl",
        &["=1.0.2k", "1.1.0..1.1.0a", "2..3", "1.0.2l..1.0.2zz"],
        Some((
            "openssl 1.0.2k is affected by CVE-2022-48174: pkg:generic/openssl in version 1.0.2k, named one by one.",
            Some("1.0.2zz"),
        )),
    );
}

#[test]
fn versions_outside_the_ranges_are_not_affected() {
    for (version, ranges) in [
        ("1.36.1", &["0..1.36.1"] as &[&str]),
        ("1.9", &["1.10..1.12"]),
        ("1.35.1", &["0..=1.35.0"]),
        ("1.0.2l", &["1.0.2..1.0.2l"]),
        ("1.0", &[]),
        ("1.0", &["=1.1"]),
    ] {
        check(&format!("pkg:generic/busybox@{version}"), "pkg:generic/busybox", ranges, None);
    }
}

#[test]
fn the_same_name_elsewhere_is_another_package() {
    check("pkg:npm/platform@1.0", "pkg:generic/platform", &["0.."], None);
    check("pkg:deb/debian/busybox@1.30", "pkg:deb/ubuntu/busybox", &["0.."], None);
    check("pkg:deb/debian/busybox@1.30", "pkg:generic/busybox", &["0.."], None);
    check("pkg:generic/busybox-extras@1.30", "pkg:generic/busybox", &["0.."], None);
}

#[test]
fn a_component_without_a_version_is_not_accused() {
    check("pkg:generic/busybox", "pkg:generic/busybox", &["0.."], None);
}

#[test]
fn an_advisory_for_a_source_package_is_held_against_the_source() {
    let source = "pkg:deb/debian/openssl?arch=source";
    let libssl = "pkg:deb/debian/libssl3@3.0.11-1~deb12u2%2Bb1?upstream=openssl%403.0.11-1~deb12u2";
    check(
        libssl,
        source,
        &["0..3.0.13-1~deb12u1"],
        Some((
            "libssl3 3.0.11-1~deb12u2+b1, built from openssl 3.0.11-1~deb12u2, is affected by CVE-2022-48174: pkg:deb/debian/openssl?arch=source from the first version until 3.0.13-1~deb12u1, which has the fix.",
            Some("3.0.13-1~deb12u1"),
        )),
    );
    // The source has the fix, although the rebuilt package's own version sorts after it either way.
    check(libssl, source, &["0..3.0.11-1~deb12u2"], None);
    // A binary package that bears the name of another source is not that source.
    check("pkg:deb/debian/openssl@1-1?upstream=other", source, &["0..9"], None);
    // An advisory for the installed package does not speak of the source.
    check(libssl, "pkg:deb/debian/openssl", &["0..9"], None);
}

#[test]
fn a_fix_for_another_release_says_nothing() {
    let range = &["0..1.35.0-4+deb12u1"] as &[&str];
    let component = "pkg:deb/debian/busybox@1.30.1-6%2Bdeb11u1?distro=debian-11";
    check(component, "pkg:deb/debian/busybox?arch=source&distro=debian-12", range, None);
    check(component, "pkg:deb/debian/busybox?arch=source&distro=bookworm", range, None);
    let finds = |package: &str| findings(&firmware(&[component]), &[advisory(package, range)]).len();
    assert_eq!(finds("pkg:deb/debian/busybox?arch=source&distro=bullseye"), 1);
    assert_eq!(finds("pkg:deb/debian/busybox?arch=source&distro=debian-11.8"), 1);
    assert_eq!(finds("pkg:deb/debian/busybox?arch=source&distro=sid"), 1);
    assert_eq!(finds("pkg:deb/debian/busybox?arch=source"), 1);
}

#[test]
fn python_names_are_compared_in_their_normal_form() {
    let found =
        findings(&firmware(&["pkg:pypi/Foo_Bar@1.0rc1"]), &[advisory("pkg:pypi/foo-bar", &["0..1.0"])]);
    assert_eq!(found.len(), 1);
}

#[test]
fn withdrawn_advisories_and_images_that_were_not_analysed_make_no_finding() {
    let weak = advisory("pkg:generic/busybox", &["0.."]);
    let mut firmware = firmware(&["pkg:generic/busybox@1.35.0"]);
    let withdrawn = Advisory { withdrawn: Some(Timestamp(1)), ..weak.clone() };
    assert!(findings(&firmware, &[withdrawn]).is_empty());
    assert_eq!(findings(&firmware, std::slice::from_ref(&weak)).len(), 1);
    firmware.components = None;
    assert!(findings(&firmware, &[weak]).is_empty());
}

#[test]
fn findings_are_sorted_and_unique() {
    let mut weak = advisory("pkg:generic/busybox", &["1.0.."]);
    let fixed = advisory("pkg:generic/busybox", &["1.0..2.0"]).affected;
    weak.affected.extend(fixed);
    let firmware = firmware(&["pkg:generic/busybox@1.36", "pkg:generic/busybox@1.35", "pkg:generic/a@1"]);
    let found = findings(&firmware, &[weak]);
    assert!(found.is_sorted());
    assert_eq!(found.len(), 2);
    assert!(
        found.iter().all(|finding| finding.fixed_in.as_deref() == Some("2.0")),
        "the entry with a fix wins"
    );
}
