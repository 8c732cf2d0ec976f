//! Version order: tables of cases, and the laws of an order on arbitrary texts.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::{Scheme, compare};

/// Each version is older than all that follow; those of one line, separated by `=`, are equal.
fn check(kind: &str, oldest_first: &[&str]) {
    for (i, older) in oldest_first.iter().enumerate() {
        for (j, newer) in oldest_first.iter().enumerate() {
            for a in older.split('=') {
                for b in newer.split('=') {
                    assert_eq!(compare(kind, a, b), i.cmp(&j), "{kind}: {a} and {b}");
                }
            }
        }
    }
}

#[test]
fn debian_counts_epoch_tilde_and_revision() {
    check(
        "Debian:12",
        &[
            "0~~",
            "0~",
            "0",
            "1.0~rc1-1",
            "1.0=1.0-0=0:1.0=1.00",
            "1.0-1~bpo12+1",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1+deb12u1",
            "1.0-1.1",
            "1.0-2",
            "1.0-10",
            "1.0a",
            "1.0+dfsg-1",
            "1.0.1",
            "1.10",
            "99999999999999999999999",
            "1:0.1",
        ],
    );
}

#[test]
fn maven_counts_words_and_lists() {
    check(
        "maven",
        &[
            "1-alpha=1.0-ALPHA=1-alpha.0",
            "1-alpha-1=1-alpha1=1.0-a1=1a1",
            "1-alpha2",
            "1-beta",
            "1-milestone",
            "1-rc=1-cr",
            "1-rc1=1-rc-1",
            "1-snapshot",
            "1=1.0=1-ga=1.0.0-final=1-0",
            "1-sp",
            "1-abc",
            "1-xyz",
            "1-1",
            "1.0.1",
            "1.2",
            "1.10",
            "99999999999999999999999",
        ],
    );
    // As deep as a text can be: no list inside a list is worth a stack.
    let deep = "1-".repeat(100_000);
    assert_eq!(compare("maven", &deep, &deep), Ordering::Equal);
}

#[test]
fn nuget_counts_four_numbers_and_no_case() {
    check(
        "nuget",
        &[
            "1.0.0-1",
            "1.0.0-2",
            "1.0.0-Beta=1.0-bETA+1",
            "1.0.0-beta.1",
            "1.0=1=1.0.0.0+x",
            "1.0.0.1",
            "1.2",
            "1.10",
        ],
    );
}

#[test]
fn alpine_counts_letters_suffixes_and_revisions() {
    check(
        "apk",
        &[
            "1.0_alpha",
            "1.0_alpha2",
            "1.0_beta1",
            "1.0_pre1",
            "1.0_rc1",
            "1.0=1.0",
            "1.0-r0",
            "1.0-r1",
            "1.0-r10",
            "1.0_git20200101",
            "1.0_p1",
            "1.0_p1-r1",
            "1.0a",
            "1.0a-r1",
            "1.0.1",
            "1.06",
            "1.1",
            "1.9",
            "1.10",
            "2",
        ],
    );
}

#[test]
fn rpm_counts_epoch_tilde_and_caret() {
    check(
        "Red Hat:enterprise_linux:9",
        &[
            "1.0~rc1-1",
            "1.0=1_0=1.0.",
            "1.0-1.el9",
            "1.0-2.el9",
            "1.0-10.el9",
            "1.0^git1-1",
            "1.0a",
            "1.0.1",
            "1.1",
            "1:0",
        ],
    );
}

#[test]
fn semantic_versions_follow_section_11() {
    check(
        "crates.io",
        &[
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0=v1=1.0=1.0.0+build.7",
            "1.0.1",
            "1.2.0",
            "1.10.0",
            "2.0.0-0",
            "2.0.0",
        ],
    );
}

#[test]
fn python_versions_follow_pep_440() {
    check(
        "PyPI",
        &[
            "1.0.dev1",
            "1.0a1.dev1",
            "1.0a1=1.0.alpha-1=1a1",
            "1.0a2",
            "1.0b1",
            "1.0rc1=1.0c1=1.0-preview1",
            "1.0=1=v1.0.0",
            "1.0+local",
            "1.0+1",
            "1.0.post1.dev1",
            "1.0.post1=1.0-1=1.0-r1",
            "1.0.1",
            "1.10",
            "1!0.1",
        ],
    );
}

#[test]
fn generic_versions_count_letters_and_words_for_the_unfinished() {
    check(
        "generic",
        &[
            "0.9.8",
            "0.9.8z",
            "0.9.8za",
            "1.0.2~rc1",
            "1.0.2~20240101",
            "1.0.2-dev",
            "1.0.2-alpha1",
            "1.0.2-beta1",
            "1.0.2-beta2",
            "1.0.2-pre1",
            "1.0.2-rc1=1.0.2rc1=1.0.2_rc.1",
            "1.0.2=1.0.2.0=v1.0.2",
            "1.0.2a",
            "1.0.2k=1.0.2K",
            "1.0.2l",
            "1.0.2zg",
            "1.0.10",
            "1.1",
            "1.36.1",
            "2022.83",
        ],
    );
    check("generic", &["9.3", "9.3p1", "9.3p2", "9.4"]);
    check("generic", &["2.8.123", "2.8.123e", "2.8.124"]);
}

#[test]
fn unknown_ecosystems_are_generic() {
    assert_eq!(Scheme::of("no such thing"), Scheme::Generic);
    assert_eq!(Scheme::of(""), Scheme::Generic);
    assert_eq!(Scheme::of("Ubuntu:22.04:LTS"), Scheme::Dpkg);
    assert_eq!(Scheme::of("Alpine:v3.19"), Scheme::Apk);
}

const SCHEMES: [Scheme; 6] =
    [Scheme::Dpkg, Scheme::Apk, Scheme::Rpm, Scheme::Semver, Scheme::Pep440, Scheme::Generic];

/// Texts that look like versions, so that samples collide and the deep places of the grammars are reached.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[0-2v]([0-2]|[.:_+~^!-]|a|rc|_p|-r|alpha|post|dev|z){0,7}",
        1 => "\\PC{0,8}",
    ]
}

proptest! {
    #[test]
    fn every_scheme_is_a_total_preorder(a in text(), b in text(), c in text()) {
        for scheme in SCHEMES {
            let compare = |x: &str, y: &str| scheme.compare(x, y);
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse(), "{:?}", scheme);
            let mut sorted = [a.as_str(), b.as_str(), c.as_str()];
            sorted.sort_by(|x, y| compare(x, y));
            prop_assert_ne!(compare(sorted[0], sorted[2]), Ordering::Greater, "{:?} {:?}", scheme, sorted);
            if compare(sorted[0], sorted[1]).is_eq() {
                prop_assert_eq!(compare(sorted[0], sorted[2]), compare(sorted[1], sorted[2]), "{:?}", scheme);
            }
        }
    }
}
