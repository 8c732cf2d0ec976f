//! `NuGet`'s version order: semantic versioning with up to four numbers, and words whose case does not count.
//!
//! Source: "Package versioning" of the `NuGet` reference, and `NuGet.Versioning.VersionComparer`.

use std::cmp::Ordering;

use super::Number;

/// Splits a version into its numbers and what stands behind the first hyphen; what stands behind a plus does not count.
fn split(version: &str) -> (&str, Option<&str>) {
    let version = version.trim().split('+').next().unwrap_or_default();
    match version.split_once('-') {
        Some((numbers, labels)) => (numbers, Some(labels)),
        None => (version, None),
    }
}

fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let (left, right) = (a.next(), b.next());
        if left.is_none() && right.is_none() {
            return Ordering::Equal;
        }
        let order = compare_label(left.unwrap_or("0"), right.unwrap_or("0"));
        if order.is_ne() {
            return order;
        }
    }
}

/// Numbers come before words (semantic versioning 2.0.0, item 11).
fn compare_label(a: &str, b: &str) -> Ordering {
    let is_number = |text: &str| !text.is_empty() && text.chars().all(super::is_digit);
    match (is_number(a), is_number(b)) {
        (true, true) => Number::new(a).cmp(&Number::new(b)),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.to_lowercase().cmp(&b.to_lowercase()),
    }
}

fn compare_labels(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(left), Some(right)) => compare_label(left, right),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Compares two versions.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let ((a, a_labels), (b, b_labels)) = (split(a), split(b));
    compare_numbers(a, b).then_with(|| match (a_labels, b_labels) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => compare_labels(a, b),
    })
}
