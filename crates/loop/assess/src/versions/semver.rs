//! The order of Semantic Versioning 2.0.0, section 11.
//!
//! In: two texts `[v]major[.minor[.patch…]][-pre-release][+build]`. Out: their order. Refuses nothing: missing numbers are
//! zero, as OSV asks of readers, and a part of the core that is no number sorts after all numbers.

use std::cmp::Ordering;

use super::{Number, is_digit};

/// An identifier: numbers before words (section 11.4.3).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    Number(Number<'a>),
    Word(&'a str),
}

/// What stands after the hyphen: a pre-release comes before its release (section 11.3).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage<'a> {
    PreRelease(Vec<Identifier<'a>>),
    Release,
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    key(a).cmp(&key(b))
}

fn key(text: &str) -> (Vec<Identifier<'_>>, Stage<'_>) {
    let text = text.trim().trim_start_matches(['v', 'V', '=']);
    // Build metadata has no rank (section 10).
    let (text, _build) = text.split_once('+').unwrap_or((text, ""));
    let (core, stage) = match text.split_once('-') {
        Some((core, words)) => (core, Stage::PreRelease(identifiers(words))),
        None => (text, Stage::Release),
    };
    let mut core = identifiers(core);
    while matches!(core.last(), Some(Identifier::Number(number)) if number.is_zero()) {
        core.pop();
    }
    (core, stage)
}

fn identifiers(text: &str) -> Vec<Identifier<'_>> {
    let identifier = |part| {
        if str::chars(part).all(is_digit) {
            Identifier::Number(Number::new(part))
        } else {
            Identifier::Word(part)
        }
    };
    text.split('.').map(identifier).collect()
}
