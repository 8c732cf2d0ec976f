//! Alpine's order, as apk-tools sorts: `digits{.digits}…{letter}{_suffix{digits}}…{~hash}{-r digits}`.
//!
//! In: two texts. Out: their order. Refuses nothing: what breaks the grammar is kept as text and sorts just after the
//! version that stands before it.

use std::cmp::Ordering;

use super::{Number, is_digit, split_while};

/// A piece of a version. The order of the variants is the order of versions that differ in this place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Token<'a> {
    /// `_alpha`, `_beta`, `_pre`, `_rc`: before the plain version.
    Before(usize),
    End,
    Unknown(&'a str),
    Revision(Number<'a>),
    Hash(&'a str),
    SuffixNumber(Number<'a>),
    /// `_cvs`, `_svn`, `_git`, `_hg`, `_p`: after the plain version.
    After(usize),
    Letter(char),
    /// A later number with a leading zero is sorted as text, as decimals are: 1.06 is older than 1.1.
    Decimal(&'a str),
    Number(Number<'a>),
}

const BEFORE: [&str; 4] = ["alpha", "beta", "pre", "rc"];
const AFTER: [&str; 5] = ["cvs", "svn", "git", "hg", "p"];

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    tokens(a.trim()).cmp(&tokens(b.trim()))
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let rest = numbers(text, &mut tokens);
    let rest = if tokens.is_empty() { rest } else { after_numbers(rest, &mut tokens) };
    if !rest.is_empty() {
        tokens.push(Token::Unknown(rest));
    }
    tokens.push(Token::End);
    tokens
}

fn numbers<'a>(text: &'a str, tokens: &mut Vec<Token<'a>>) -> &'a str {
    let (first, mut rest) = split_while(text, is_digit);
    if first.is_empty() {
        return text;
    }
    tokens.push(Token::Number(Number::new(first)));
    while let Some(after_dot) = rest.strip_prefix('.') {
        let (digits, after) = split_while(after_dot, is_digit);
        if digits.is_empty() {
            break;
        }
        tokens.push(if digits.starts_with('0') {
            Token::Decimal(digits)
        } else {
            Token::Number(Number::new(digits))
        });
        rest = after;
    }
    rest
}

fn after_numbers<'a>(mut rest: &'a str, tokens: &mut Vec<Token<'a>>) -> &'a str {
    if let Some(letter) = rest.chars().next().filter(char::is_ascii_lowercase) {
        tokens.push(Token::Letter(letter));
        rest = rest.strip_prefix(letter).unwrap_or(rest);
    }
    while let Some(after_mark) = rest.strip_prefix('_') {
        let (word, after) = split_while(after_mark, |c| c.is_ascii_lowercase());
        let Some(suffix) = suffix(word) else { return rest };
        tokens.push(suffix);
        let (digits, after) = split_while(after, is_digit);
        if !digits.is_empty() {
            tokens.push(Token::SuffixNumber(Number::new(digits)));
        }
        rest = after;
    }
    if let Some(after_mark) = rest.strip_prefix('~') {
        let (hash, after) = split_while(after_mark, |c| c.is_ascii_hexdigit());
        tokens.push(Token::Hash(hash));
        rest = after;
    }
    if let Some(after_mark) = rest.strip_prefix("-r") {
        let (digits, after) = split_while(after_mark, is_digit);
        if !digits.is_empty() {
            tokens.push(Token::Revision(Number::new(digits)));
            rest = after;
        }
    }
    rest
}

fn suffix(word: &str) -> Option<Token<'_>> {
    let before = BEFORE.iter().position(|known| *known == word).map(Token::Before);
    before.or_else(|| AFTER.iter().position(|known| *known == word).map(Token::After))
}
