//! Maven's version order: what `org.apache.maven.artifact.versioning.ComparableVersion` of Maven 3.8 computes, which the
//! public suite of the vers specification holds to.
//!
//! A version is a list of numbers and words; a hyphen, and each change between digits and letters, begins a list inside the
//! list. Such a list is always the last thing in its own, so that a version is a chain of lists here, and comparing needs
//! no recursion, however long a hostile version is. Trailing zeros and empty words do not count.

use std::cmp::Ordering;

use super::Number;

/// Words in the order of their age; words that are not here come after all of them, and in the order of the alphabet.
const WORDS: [&str; 7] = ["alpha", "beta", "milestone", "rc", "snapshot", RELEASE, "sp"];
/// The word of a release: none.
const RELEASE: &str = "";

/// A thing in a list, but for the list that may be its last.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item<'a> {
    Number(Number<'a>),
    Word(Word),
}

/// Where a word stands among others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Known(usize),
    Other(String),
}

impl Word {
    fn new(text: &str) -> Self {
        let text = match text {
            "cr" => "rc",
            "ga" | "final" | "release" => RELEASE,
            other => other,
        };
        WORDS.iter().position(|word| *word == text).map_or_else(|| Self::Other(text.to_owned()), Self::Known)
    }

    /// A word with digits behind it: some have short forms.
    fn before_digits(text: &str) -> Self {
        Self::new(match text {
            "a" => "alpha",
            "b" => "beta",
            "m" => "milestone",
            other => other,
        })
    }

    fn release() -> Self {
        Self::new(RELEASE)
    }
}

impl Item<'_> {
    /// Says whether it does not count at the end of a list.
    fn is_null(&self) -> bool {
        match self {
            Self::Number(number) => number.is_zero(),
            Self::Word(word) => *word == Word::release(),
        }
    }

    /// Compares with nothing.
    fn against_nothing(&self) -> Ordering {
        match self {
            Self::Number(number) if number.is_zero() => Ordering::Equal,
            Self::Number(_) => Ordering::Greater,
            Self::Word(word) => word.cmp(&Word::release()),
        }
    }

    fn against(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Number(_), Self::Word(_)) => Ordering::Greater,
            (Self::Word(_), Self::Number(_)) => Ordering::Less,
            (Self::Word(a), Self::Word(b)) => a.cmp(b),
        }
    }

    /// Compares with a list: numbers come after lists, words before them.
    fn against_list(&self) -> Ordering {
        match self {
            Self::Number(_) => Ordering::Greater,
            Self::Word(_) => Ordering::Less,
        }
    }
}

/// A chain of lists: the last thing of each is the next list.
type Chain<'a> = Vec<Vec<Item<'a>>>;

/// Reads a version in lower case.
struct Reader<'a> {
    text: &'a str,
    chain: Chain<'a>,
    /// Where the item in hand begins.
    start: usize,
    is_digit: bool,
}

impl<'a> Reader<'a> {
    fn add(&mut self, item: Item<'a>) {
        if let Some(list) = self.chain.last_mut() {
            list.push(item);
        }
    }

    fn begin_list(&mut self) {
        self.chain.push(Vec::new());
    }

    /// Ends the item in hand; its text may be empty, which is a zero.
    fn end_item(&mut self, end: usize, next_start: usize) {
        let text = self.text.get(self.start..end).unwrap_or_default();
        let is_number = self.is_digit || text.is_empty();
        self.add(if is_number { Item::Number(Number::new(text)) } else { Item::Word(Word::new(text)) });
        self.start = next_start;
    }

    fn read(mut self) -> Chain<'a> {
        for (at, c) in self.text.char_indices() {
            let is_digit = super::is_digit(c);
            if c == '.' || c == '-' {
                self.end_item(at, at + 1);
                if c == '-' {
                    self.begin_list();
                }
            } else if is_digit != self.is_digit {
                if at > self.start {
                    if is_digit {
                        let word = self.text.get(self.start..at).unwrap_or_default();
                        self.add(Item::Word(Word::before_digits(word)));
                        self.start = at;
                    } else {
                        self.end_item(at, at);
                    }
                    self.begin_list();
                }
                self.is_digit = is_digit;
            }
        }
        if self.text.len() > self.start {
            self.end_item(self.text.len(), self.text.len());
        }
        self.chain
    }
}

/// Drops what does not count, from the innermost list outwards: zeros at the end of a list, or in front of the list that
/// ends it.
fn normalise(chain: &mut Chain<'_>) {
    for level in (0..chain.len()).rev() {
        let is_last = level + 1 == chain.len();
        let Some(list) = chain.get_mut(level) else { continue };
        while list.last().is_some_and(Item::is_null) {
            list.pop();
        }
        if list.is_empty() && is_last && level > 0 {
            chain.pop();
        }
    }
}

fn read(text: &str) -> Chain<'_> {
    let mut chain = Reader { text, chain: vec![Vec::new()], start: 0, is_digit: false }.read();
    normalise(&mut chain);
    chain
}

/// What stands at a place of a list.
enum Place<'a, 'b> {
    Item(&'b Item<'a>),
    List,
    Nothing,
}

fn place<'a, 'b>(chain: &'b Chain<'a>, level: usize, at: usize) -> Place<'a, 'b> {
    let Some(list) = chain.get(level) else { return Place::Nothing };
    match list.get(at) {
        Some(item) => Place::Item(item),
        None if at == list.len() && level + 1 < chain.len() => Place::List,
        None => Place::Nothing,
    }
}

/// Compares all that is left of a chain with nothing.
fn rest_against_nothing(chain: &Chain<'_>, level: usize, at: usize) -> Ordering {
    let first = chain.get(level).into_iter().flat_map(|list| list.iter().skip(at));
    let rest = chain.iter().skip(level + 1).flatten();
    first.chain(rest).map(Item::against_nothing).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Compares two versions.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let (a, b) = (read(&a), read(&b));
    let (mut level, mut at) = (0, 0);
    loop {
        let order = match (place(&a, level, at), place(&b, level, at)) {
            (Place::Nothing, Place::Nothing) => return Ordering::Equal,
            (Place::Item(left), Place::Item(right)) => left.against(right),
            (Place::Item(left), Place::List) => left.against_list(),
            (Place::List, Place::Item(right)) => right.against_list().reverse(),
            (Place::List, Place::List) => {
                (level, at) = (level + 1, 0);
                continue;
            }
            (_, Place::Nothing) => return rest_against_nothing(&a, level, at),
            (Place::Nothing, _) => return rest_against_nothing(&b, level, at).reverse(),
        };
        if order.is_ne() {
            return order;
        }
        at += 1;
    }
}
