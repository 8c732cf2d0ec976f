//! How a state is shown: always a shape and a word, with a colour on top.

use std::fmt::Display;

use maud::{Markup, html};

/// What a state means to the person who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    /// Somebody must act.
    Bad,
    /// Somebody should look.
    Care,
    /// It is being worked on.
    Busy,
    /// All is well.
    Good,
    /// Nothing to see.
    Quiet,
}

impl Tone {
    /// Returns the class of the style sheet.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Care => "care",
            Self::Busy => "busy",
            Self::Good => "good",
            Self::Quiet => "quiet",
        }
    }

    /// Returns the outline of the shape: octagon with a bar, triangle, turning arrow, tick, ring.
    const fn shape(self) -> &'static str {
        match self {
            Self::Bad => "M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2zM8 4.6v4M8 11v.4",
            Self::Care => "M8 2l6.4 11.6H1.6zM8 6.4v3.4M8 11.6v.4",
            Self::Busy => "M13.6 8a5.6 5.6 0 1 1-2-4.3M13.8 1.6v3h-3",
            Self::Good => "M2.6 8.6l3.6 3.6 7.2-8",
            Self::Quiet => "M8 3.2a4.8 4.8 0 1 1-.01 0z",
        }
    }
}

/// Draws the shape of a tone; the word beside it says the same.
pub(crate) fn icon(tone: Tone) -> Markup {
    html! {
        svg class={ "icon " (tone.class()) } viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" {
            path d=(tone.shape()) {}
        }
    }
}

/// Draws a word with its shape.
pub(crate) fn badge(tone: Tone, word: impl Display) -> Markup {
    html! { span class={ "badge " (tone.class()) } { (icon(tone)) (word) } }
}
