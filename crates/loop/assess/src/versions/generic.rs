//! The order of everything without rules of its own: what upstream projects in C write.
//!
//! In: two texts such as `1.36.1`, `1.0.2zg`, `3.0.0-alpha1`, `9.3p1`, `v2.0-rc.1`. Out: their order. Numbers are compared as
//! numbers and zeros at the end do not count; a letter or an unknown word makes a version newer (`1.0.2k` is a fix of
//! `1.0.2`); a word for something unfinished makes it older. Refuses nothing: all other characters only separate.

use std::cmp::Ordering;

use super::{Number, is_digit, split_while};

/// A piece of a version. The order of the variants is the order of versions that differ in this place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Token<'a> {
    /// `~`, which distributions write before what is not finished.
    Tilde,
    Unfinished(u8),
    End,
    Word(&'a str),
    Number(Number<'a>),
}

const UNFINISHED: &[(&str, u8)] = &[
    ("dev", 0),
    ("nightly", 0),
    ("snapshot", 0),
    ("alpha", 1),
    ("beta", 2),
    ("pre", 3),
    ("prerelease", 3),
    ("preview", 3),
    ("rc", 4),
    ("cr", 4),
];

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim().to_ascii_lowercase(), b.trim().to_ascii_lowercase());
    tokens(&a).cmp(&tokens(&b))
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let is_word = |c: char| c.is_ascii_alphabetic() || !c.is_ascii();
    let mut tokens = Vec::new();
    let mut rest = text.strip_prefix('v').unwrap_or(text);
    while let Some(first) = rest.chars().next() {
        let run;
        if is_digit(first) {
            (run, rest) = split_while(rest, is_digit);
            tokens.push(Token::Number(Number::new(run)));
        } else if is_word(first) {
            (run, rest) = split_while(rest, is_word);
            drop_zeros(&mut tokens);
            let unfinished = UNFINISHED.iter().find(|(known, _)| *known == run);
            tokens.push(unfinished.map_or(Token::Word(run), |(_, rank)| Token::Unfinished(*rank)));
        } else {
            if first == '~' {
                drop_zeros(&mut tokens);
                tokens.push(Token::Tilde);
            }
            rest = rest.strip_prefix(first).unwrap_or_default();
        }
    }
    drop_zeros(&mut tokens);
    tokens.push(Token::End);
    tokens
}

fn drop_zeros(tokens: &mut Vec<Token<'_>>) {
    while matches!(tokens.last(), Some(Token::Number(number)) if number.is_zero()) {
        tokens.pop();
    }
}
