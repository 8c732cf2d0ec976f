//! Enums with one canonical word for each value: the same word in code, storage, API, CLI and console.

use thiserror::Error;

/// A word that names no value of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{word:?} is no {kind} (one of: {known})")]
pub struct UnknownWord {
    /// The kind of value that was looked for, for instance `criticality`.
    pub kind: &'static str,
    /// The word as it came in.
    pub word: String,
    /// The words that would have been understood, separated by commas.
    pub known: String,
}

/// Declares an enum whose values have one canonical word each, and the conversions both ways.
///
/// A macro, because a function cannot declare a type; without it the words would be written three times. Exported, so
/// that enums that only one crate knows (keys of a filter, states in storage) follow the same rule.
#[macro_export]
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $kind:literal { $($(#[$value_meta:meta])* $value:ident = $word:literal),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$value_meta])* $value),+ }

        impl $name {
            /// All values, in their natural order.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// Returns the canonical word.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$value => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$value),)+
                    _ => Err($crate::UnknownWord {
                        kind: $kind,
                        word: word.chars().take(64).collect(),
                        known: [$($word),+].join(", "),
                    }),
                }
            }
        }
    };
}
pub(crate) use words;
