//! Stacked bars, drawn as SVG: a style sheet that forbids inline styles leaves no other way to set a width.

use maud::{Markup, html};

/// The width of a bar in its own units.
const WIDTH: u64 = 1000;

/// A part of a bar.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    /// How many.
    pub(crate) count: u64,
    /// The class of the style sheet.
    pub(crate) class: &'static str,
    /// What they are.
    pub(crate) word: &'static str,
}

impl Part {
    /// Makes a part.
    pub(crate) const fn new(count: u64, class: &'static str, word: &'static str) -> Self {
        Self { count, class, word }
    }
}

fn told(parts: &[Part]) -> String {
    let told: Vec<String> = parts
        .iter()
        .filter(|part| part.count > 0)
        .map(|part| format!("{} {}", part.count, part.word))
        .collect();
    if told.is_empty() { "nothing".to_owned() } else { told.join(", ") }
}

/// Draws a bar; its text says the same.
pub(crate) fn bar(parts: &[Part]) -> Markup {
    let total: u64 = parts.iter().map(|part| part.count).sum();
    let place = |count: u64| u128::from(count) * u128::from(WIDTH) / u128::from(total.max(1));
    let mut before = 0;
    html! {
        svg.bar viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label=(told(parts)) {
            rect.track x="0" y="0" width=(WIDTH) height="10" {}
            @for part in parts.iter().filter(|part| part.count > 0) {
                @let start = place(before);
                @let end = { before = before.saturating_add(part.count); place(before) };
                rect class=(part.class) x=(start) y="0" width=(end.saturating_sub(start)) height="10" {}
            }
        }
    }
}

/// Draws the parts as words, with a patch of their colour.
pub(crate) fn legend(parts: &[Part]) -> Markup {
    html! {
        ul.legend {
            @for part in parts {
                li class=[(part.count == 0).then_some("none")] {
                    span class={ "patch " (part.class) } aria-hidden="true" {}
                    span.number { (part.count) } " " (part.word)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, bar};

    #[test]
    fn a_bar_is_full_and_says_its_numbers() {
        let drawn = bar(&[
            Part::new(1, "good", "patched"),
            Part::new(0, "busy", "shielded"),
            Part::new(2, "bad", "exposed"),
        ]);
        let drawn = drawn.into_string();
        assert!(drawn.contains("aria-label=\"1 patched, 2 exposed\""), "{drawn}");
        assert!(drawn.contains("x=\"333\" y=\"0\" width=\"667\""), "{drawn}");
        assert!(!drawn.contains("style="), "inline styles are forbidden");
    }

    #[test]
    fn an_empty_bar_says_so() {
        assert!(bar(&[Part::new(0, "good", "patched")]).into_string().contains("nothing"));
    }
}
