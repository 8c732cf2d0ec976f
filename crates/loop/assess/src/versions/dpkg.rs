//! Debian's order (Debian policy 5.6.12, "Version").
//!
//! In: two texts `[epoch:]upstream[-revision]`. Out: their order. Refuses nothing: a text before a colon that is no number
//! is part of the upstream version.

use std::cmp::Ordering;
use std::iter;

use super::{Number, is_digit, split_epoch, split_while};

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (epoch_a, rest_a) = split_epoch(a.trim());
    let (epoch_b, rest_b) = split_epoch(b.trim());
    // "If there is no debian_revision, it is compared as if it were 0", which is what an empty part compares to.
    let (upstream_a, revision_a) = rest_a.rsplit_once('-').unwrap_or((rest_a, ""));
    let (upstream_b, revision_b) = rest_b.rsplit_once('-').unwrap_or((rest_b, ""));
    epoch_a
        .cmp(&epoch_b)
        .then_with(|| compare_part(upstream_a, upstream_b))
        .then_with(|| compare_part(revision_a, revision_b))
}

/// Compares words and numbers in turn, from the left.
fn compare_part(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (word_a, after_a) = split_while(a, |c| !is_digit(c));
        let (word_b, after_b) = split_while(b, |c| !is_digit(c));
        let (number_a, rest_a) = split_while(after_a, is_digit);
        let (number_b, rest_b) = split_while(after_b, is_digit);
        let order = weights(word_a)
            .cmp(weights(word_b))
            .then_with(|| Number::new(number_a).cmp(&Number::new(number_b)));
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

/// `~` before the end of the word, the end before letters, letters before everything else.
fn weights(word: &str) -> impl Iterator<Item = i16> {
    let weight = |byte: u8| match byte {
        b'~' => -1,
        letter if letter.is_ascii_alphabetic() => i16::from(letter),
        other => 256 + i16::from(other),
    };
    word.bytes().map(weight).chain(iter::once(0))
}
