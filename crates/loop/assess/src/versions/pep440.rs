//! Python's order (PEP 440, "Version specifiers" and its normal forms).
//!
//! In: two texts `[v][epoch!]release[pre][post][dev][+local]`. Out: their order. Refuses nothing: what does not fit is kept
//! as text and compared last.

use std::cmp::Ordering;

use super::{Number, is_digit, split_while};

/// A numbered word, or the lack of it: which of the two is the older depends on the word.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark<'a> {
    /// Before everything that is marked.
    Least,
    Word(u8, Number<'a>),
    /// After everything that is marked.
    Most,
}

/// A piece of a local version: words before numbers.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Local<'a> {
    Word(&'a str),
    Number(Number<'a>),
}

/// The fields in the order in which they are compared.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    epoch: Number<'a>,
    release: Vec<Number<'a>>,
    pre: Mark<'a>,
    post: Mark<'a>,
    dev: Mark<'a>,
    local: Option<Vec<Local<'a>>>,
    unknown: &'a str,
}

const PRE: &[(&str, u8)] =
    &[("alpha", 0), ("a", 0), ("beta", 1), ("b", 1), ("preview", 2), ("pre", 2), ("rc", 2), ("c", 2)];
const POST: &[(&str, u8)] = &[("post", 0), ("rev", 0), ("r", 0)];
const DEV: &[(&str, u8)] = &[("dev", 0)];

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim().to_ascii_lowercase(), b.trim().to_ascii_lowercase());
    key(&a).cmp(&key(&b))
}

fn key(text: &str) -> Key<'_> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, local) = match text.split_once('+') {
        Some((text, local)) => (text, Some(locals(local))),
        None => (text, None),
    };
    let (epoch, rest) = match text.split_once('!') {
        Some((epoch, rest)) if epoch.chars().all(is_digit) => (Number::new(epoch), rest),
        Some(_) | None => (Number::new(""), text),
    };
    let (release, rest) = release(rest);
    let (pre, rest) = mark(rest, PRE);
    let (post, rest) = post(rest);
    let (dev, unknown) = mark(rest, DEV);
    // 1.0.dev1 comes before 1.0a1, and 1.0a1 before 1.0.
    let without_pre = if post.is_none() && dev.is_some() { Mark::Least } else { Mark::Most };
    Key {
        epoch,
        release,
        pre: pre.unwrap_or(without_pre),
        post: post.unwrap_or(Mark::Least),
        dev: dev.unwrap_or(Mark::Most),
        local,
        unknown,
    }
}

/// Reads the dotted numbers; zeros at their end do not count.
fn release(text: &str) -> (Vec<Number<'_>>, &str) {
    let (first, mut rest) = split_while(text, is_digit);
    let mut numbers = vec![Number::new(first)];
    while let Some(after_dot) = rest.strip_prefix('.') {
        let (digits, after) = split_while(after_dot, is_digit);
        if digits.is_empty() {
            break;
        }
        numbers.push(Number::new(digits));
        rest = after;
    }
    while numbers.last().is_some_and(|number| number.is_zero()) {
        numbers.pop();
    }
    (numbers, rest)
}

/// Reads one of `words` with its number, separators around it allowed.
fn mark<'a>(text: &'a str, words: &[(&str, u8)]) -> (Option<Mark<'a>>, &'a str) {
    let separators = ['.', '-', '_'];
    let start = text.strip_prefix(separators).unwrap_or(text);
    let (word, after) = split_while(start, |c| c.is_ascii_lowercase());
    let Some((_, rank)) = words.iter().find(|(known, _)| *known == word) else { return (None, text) };
    let (digits, rest) = split_while(after.strip_prefix(separators).unwrap_or(after), is_digit);
    // A separator that no number follows belongs to what comes next.
    let rest = if digits.is_empty() { after } else { rest };
    (Some(Mark::Word(*rank, Number::new(digits))), rest)
}

/// Reads a post-release in one of its two forms: `.post1`, or `-1`.
fn post(text: &str) -> (Option<Mark<'_>>, &str) {
    if let Some(after) = text.strip_prefix('-') {
        let (digits, rest) = split_while(after, is_digit);
        if !digits.is_empty() {
            return (Some(Mark::Word(0, Number::new(digits))), rest);
        }
    }
    mark(text, POST)
}

fn locals(text: &str) -> Vec<Local<'_>> {
    let local = |part| {
        if str::chars(part).all(is_digit) { Local::Number(Number::new(part)) } else { Local::Word(part) }
    };
    text.split(['.', '-', '_']).map(local).collect()
}
