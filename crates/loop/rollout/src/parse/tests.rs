//! Texts that are policies, and texts that are not.
//!
//! In: texts. Out: phases, or what is wrong. Refuses nothing.

use proptest::prelude::*;
use warden_model::rollout::{Phase, PhaseSize};
use warden_model::{PerMille, Seconds};

use super::{ParseError, parse_phases, parse_span, parse_window};

fn share(per_mille: u64) -> PerMille {
    PerMille::new(per_mille).unwrap()
}

fn check(text: &str, sizes: &[(&str, PhaseSize)], success: u64, error: u64, soak: u64) {
    let expected: Vec<Phase> = sizes
        .iter()
        .map(|(name, size)| Phase {
            name: (*name).to_owned(),
            size: *size,
            success_threshold: share(success),
            error_threshold: share(error),
            soak: Seconds(soak),
        })
        .collect();
    assert_eq!(parse_phases(text), Ok(expected), "{text}");
}

fn refuses(text: &str, expected: &str) {
    assert_eq!(parse_phases(text).map_err(|error| error.to_string()), Err(expected.to_owned()), "{text}");
}

#[test]
fn phases_read_as_people_write_them() {
    use PhaseSize::{Count, Rest, Share};
    check(
        "canary=1,early=25%,rest; success=100%; error=34%; soak=30s",
        &[("canary", Count(1)), ("early", Share(share(250))), ("rest", Rest)],
        1000,
        340,
        30,
    );
    check(" all = rest ;soak=2h; ", &[("all", Rest)], 900, 100, 7_200);
    check("a=12.5 %,b=rest;error=0.5%", &[("a", Share(share(125))), ("b", Rest)], 900, 5, 3_600);
    check("a=1,b=2;success=0%", &[("a", Count(1)), ("b", Count(2))], 0, 100, 3_600);
}

#[test]
fn what_is_not_understood_is_named() {
    refuses("", "no phase is named; write for instance canary=1,early=25%,rest");
    refuses(";soak=1s", "no phase is named; write for instance canary=1,early=25%,rest");
    let size = "is no size of phase a: write a number of devices (1), a share (25%) or rest";
    for text in ["0", "0%", "101%", "-1", "1.25%", "99999999999999999999", "", "%", "x"] {
        refuses(&format!("a={text},rest"), &format!("{text:?} {size}"));
    }
    refuses("a,rest", &format!("\"\" {size}"));
    refuses("a b=1", "\"a b\" is no phase name: 1 to 32 letters, digits, `-` and `_` are allowed");
    refuses("a=1,a=2", "phase a is named twice");
    refuses("rest,a=1", "phase a follows the phase that takes the rest, and would get no device");
    refuses("rest;sucess=1%", "\"sucess=1%\" is no setting (one of: success, error, soak)");
    refuses("rest;soak=1s;soak=2s", "soak is set twice");
    refuses(
        "rest;error=34",
        "\"34\" is no share for error: write 0% to 100%, with at most one digit after the point",
    );
    refuses("rest;soak=30", "\"30\" is no span of time up to 90 d: write for instance 30s, 15min, 2h or 1d");
    refuses(
        &format!("rest;{}", " ".repeat(4096)),
        "the policy has 4101 bytes, more than the 4096 that are allowed",
    );
    let many: Vec<String> = (0..33).map(|n| format!("p{n}=1")).collect();
    refuses(&many.join(","), "33 phases are named, more than the 32 that are allowed");
}

#[test]
fn spans_have_a_unit_and_a_limit() {
    assert_eq!(parse_span("15 min"), Ok(Seconds(900)));
    assert_eq!(parse_span("15m"), Ok(Seconds(900)));
    assert_eq!(parse_span("90d"), Ok(Seconds::days(90)));
    assert_eq!(parse_span("0"), Ok(Seconds(0)));
    for text in ["", "s", "1w", "91d", "-1s", "18446744073709551615d", "1é"] {
        assert_eq!(parse_span(text), Err(ParseError::Span { text: text.to_owned() }));
    }
}

#[test]
fn windows_may_run_over_midnight() {
    let window = |text| parse_window(text).map(|w| (w.start_minute(), w.length_minutes()));
    assert_eq!(window("22:00-02:00"), Ok((1320, 240)));
    assert_eq!(window("00:00-24:00"), Ok((0, 1440)));
    for text in ["", "22:00", "22:00-22:00", "24:00-01:00", "22:60-23:00", "2:00-3:00", "22:00-25:00", "é-é"]
    {
        assert_eq!(window(text), Err(ParseError::Window { text: text.to_owned() }), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(text in "[a-z0-9=,;%.: é-]{0,60}") {
        for result in [parse_phases(&text).err(), parse_span(&text).err(), parse_window(&text).err()].into_iter().flatten() {
            prop_assert!(!result.to_string().is_empty());
        }
    }
}
