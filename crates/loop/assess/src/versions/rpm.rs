//! RPM's order (`rpmvercmp`): runs of digits and letters; `~` sorts before the end, `^` just after it.
//!
//! In: two texts `[epoch:]version[-release]`. Out: their order. Refuses nothing: every other character only separates. A
//! text without a release sorts before the same version with one, so that the order stays total.

use std::cmp::Ordering;

use super::{Number, is_digit, split_epoch, split_while};

/// A piece of a version. The order of the variants is the order of versions that differ in this place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Token<'a> {
    Tilde,
    End,
    Caret,
    Word(&'a str),
    Number(Number<'a>),
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (epoch_a, rest_a) = split_epoch(a.trim());
    let (epoch_b, rest_b) = split_epoch(b.trim());
    let (version_a, release_a) = rest_a.rsplit_once('-').unwrap_or((rest_a, ""));
    let (version_b, release_b) = rest_b.rsplit_once('-').unwrap_or((rest_b, ""));
    epoch_a
        .cmp(&epoch_b)
        .then_with(|| tokens(version_a).cmp(&tokens(version_b)))
        .then_with(|| tokens(release_a).cmp(&tokens(release_b)))
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let counts = |c: char| c.is_ascii_alphanumeric() || c == '~' || c == '^';
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        (_, rest) = split_while(rest, |c| !counts(c));
        let run;
        match rest.chars().next() {
            None => break,
            Some('~') => {
                tokens.push(Token::Tilde);
                rest = rest.strip_prefix('~').unwrap_or_default();
            }
            Some('^') => {
                tokens.push(Token::Caret);
                rest = rest.strip_prefix('^').unwrap_or_default();
            }
            Some(digit) if is_digit(digit) => {
                (run, rest) = split_while(rest, is_digit);
                tokens.push(Token::Number(Number::new(run)));
            }
            Some(_) => {
                (run, rest) = split_while(rest, |c| c.is_ascii_alphabetic());
                tokens.push(Token::Word(run));
            }
        }
    }
    tokens.push(Token::End);
    tokens
}
