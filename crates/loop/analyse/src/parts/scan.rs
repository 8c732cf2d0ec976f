//! Finds the texts of the product table in a stream of bytes.
//!
//! In: chunks of binary content. Out: hits. Refuses versions that are not bounded, and more than [`HITS_MAX`] a file.
//!
//! A bit map of the first two bytes of all texts decides for nearly every position of a file that nothing starts
//! there; only the rest is compared.

use std::collections::{BTreeMap, BTreeSet};

use super::products::{PRODUCTS, Product};

/// Bytes behind a prefix that a version and what must follow it may take; also the overlap of two chunks.
pub(super) const CONTEXT_BYTES: usize = 256;

/// Most hits that are kept of one file: a static binary holds a dozen products, a hostile one whatever it likes.
const HITS_MAX: usize = 256;

/// Searches for the products of a table.
pub(crate) struct Scanner {
    /// A bit for each pair of bytes that starts a text.
    pairs: Box<[u64; 1024]>,
    /// What starts with a pair.
    texts: BTreeMap<u16, Vec<Text>>,
}

#[derive(Clone, Copy)]
enum Text {
    Prefix(&'static Product),
    Also(&'static [u8]),
}

/// What was found in one file so far.
#[derive(Default)]
pub(super) struct Hits {
    /// Product, version and the text around it.
    found: BTreeMap<(usize, String), (&'static Product, String)>,
    also: BTreeSet<&'static [u8]>,
}

fn pair_of(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk::<2>().map(|pair| u16::from_be_bytes(*pair))
}

impl Scanner {
    pub(crate) fn new() -> Self {
        let mut pairs = Box::new([0_u64; 1024]);
        let mut texts: BTreeMap<u16, Vec<Text>> = BTreeMap::new();
        let also: BTreeSet<&'static [u8]> = PRODUCTS.iter().filter_map(|product| product.also).collect();
        let all = PRODUCTS.iter().map(|product| (product.prefix, Text::Prefix(product)));
        for (bytes, text) in all.chain(also.into_iter().map(|also| (also, Text::Also(also)))) {
            let Some(pair) = pair_of(bytes) else { continue };
            if let Some(word) = pairs.get_mut(usize::from(pair >> 6)) {
                *word |= 1 << (pair & 63);
            }
            texts.entry(pair).or_default().push(text);
        }
        Self { pairs, texts }
    }

    /// Looks for texts that start at `from` or later and before `to`.
    pub(super) fn scan(&self, bytes: &[u8], from: usize, to: usize, hits: &mut Hits) {
        let Some(window) = bytes.get(from..bytes.len().min(to.saturating_add(1))) else { return };
        for (index, pair) in window.windows(2).enumerate() {
            let pair = pair.first_chunk::<2>().map_or(0, |pair| u16::from_be_bytes(*pair));
            let bits = self.pairs.get(usize::from(pair >> 6)).copied().unwrap_or(0);
            if bits >> (pair & 63) & 1 == 1 {
                self.compare(bytes, from + index, pair, hits);
            }
        }
    }

    fn compare(&self, bytes: &[u8], at: usize, pair: u16, hits: &mut Hits) {
        let rest = bytes.get(at..).unwrap_or_default();
        for text in self.texts.get(&pair).into_iter().flatten() {
            match text {
                Text::Also(also) if rest.starts_with(also) => {
                    hits.also.insert(also);
                }
                Text::Prefix(product) => {
                    let before = at.checked_sub(1).and_then(|before| bytes.get(before)).copied();
                    if let Some(after) = rest.strip_prefix(product.prefix) {
                        hits.take(product, before, after, rest);
                    }
                }
                Text::Also(_) => {}
            }
        }
    }
}

impl Hits {
    fn take(&mut self, product: &'static Product, before: Option<u8>, after: &[u8], line: &[u8]) {
        let Some(version) = product.shape.read(before, after) else { return };
        if self.found.len() >= HITS_MAX {
            return;
        }
        // Where the prefix is the start of the version itself, it belongs to it.
        let is_part = product.prefix.first().is_some_and(u8::is_ascii_digit);
        let version = if is_part {
            format!("{}{version}", String::from_utf8_lossy(product.prefix))
        } else {
            version.to_owned()
        };
        let text: String = line
            .iter()
            .take(120)
            .take_while(|byte| byte.is_ascii_graphic() || **byte == b' ')
            .map(|byte| char::from(*byte))
            .collect();
        let row = PRODUCTS.iter().position(|other| std::ptr::eq(other, product)).unwrap_or(0);
        self.found.entry((row, version)).or_insert((product, text));
    }

    /// Returns what holds for the file as a whole: product, version and text.
    pub(super) fn finish(self) -> Vec<(&'static Product, String, String)> {
        let also = self.also;
        let rows: Vec<usize> = self.found.keys().map(|(row, _)| *row).collect();
        let fits = |row: usize, product: &Product| match product.also {
            None => true,
            // A version that stands alone is trusted only where nothing contradicts it.
            Some(text) => also.contains(text) && rows.iter().filter(|other| **other == row).count() == 1,
        };
        let found = self.found.into_iter().filter(|((row, _), (product, _))| fits(*row, product));
        found.map(|((_, version), (product, text))| (product, version, text)).collect()
    }
}
