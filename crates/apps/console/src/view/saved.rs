//! What patches saved, in words.

use maud::{Markup, html};
use warden_model::Seconds;
use warden_model::report::Way;
use warden_model::savings::Savings;

use super::count;

/// Shows a span that may be short.
pub(crate) fn short_span(millis: u64) -> String {
    if millis < 1_000 {
        format!("{millis} ms")
    } else if millis < 10_000 {
        format!("{}.{} s", millis / 1000, millis % 1000 / 100)
    } else {
        Seconds(millis / 1000).to_string()
    }
}

fn way(way: Way) -> &'static str {
    match way {
        Way::Full => "by full image",
        Way::Patch => "by patch",
        Way::Index => "by index",
        Way::Kept => "from the other slot",
    }
}

/// Draws what devices loaded, what the full images would have taken, and the time that this saved; by the devices' own
/// reports. Nothing while none has loaded anything.
pub(crate) fn saved(savings: &Savings) -> Markup {
    let ways: Vec<String> =
        savings.ways.iter().map(|(one, updates)| format!("{updates} {}", way(*one))).collect();
    let mean = |millis: u64| millis.checked_div(savings.updates).unwrap_or(0);
    html! {
        @if savings.updates > 0 {
            div.bytes {
                p {
                    "Loaded by the devices: " span.number.strong { (savings.loaded) } " instead of "
                    span.number { (savings.full) } ", " span.number.strong { (savings.share()) } " saved"
                    @if savings.measured > 0 {
                        ", and " span.number.strong { (Seconds(savings.saved_millis / 1000)) }
                        " of loading at the rates that " (count(savings.measured, "device")) " measured"
                    }
                    "."
                }
                @if !ways.is_empty() {
                    p.muted {
                        (count(savings.updates, "update")) ": " (ways.join(", ")) ". On average "
                        (short_span(mean(savings.loading_millis))) " to load, "
                        (short_span(mean(savings.applying_millis))) " to apply."
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{saved, short_span};
    use warden_model::ByteCount;
    use warden_model::report::Way;
    use warden_model::savings::Savings;

    #[test]
    fn what_was_saved_is_told_with_the_ways_and_the_times() {
        assert_eq!(saved(&Savings::default()).into_string(), "");
        let drawn = saved(&Savings {
            ways: BTreeMap::from([(Way::Patch, 3), (Way::Full, 1)]),
            updates: 4,
            loaded: ByteCount::mib(10),
            full: ByteCount::mib(40),
            loading_millis: 50_000,
            applying_millis: 8_000,
            saved_millis: 190_000,
            measured: 2,
        });
        let drawn = drawn.into_string();
        for words in [
            "10.0 MiB",
            "75 %",
            "3 min 10 s",
            "2 devices measured",
            "1 by full image, 3 by patch",
            "12 s to load, 2.0 s",
        ] {
            assert!(drawn.contains(words), "{words}: {drawn}");
        }
        assert_eq!(
            (short_span(70), short_span(9_999), short_span(61_000)),
            ("70 ms".into(), "9.9 s".into(), "1 min 1 s".into())
        );
    }
}
