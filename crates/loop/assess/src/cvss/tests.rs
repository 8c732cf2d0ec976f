//! CVSS: scores that the norm's own examples give, what follows for SSVC, and what is refused.

use proptest::prelude::*;
use warden_model::advisory::{Automatable, Exploitation, TechnicalImpact};

use super::{CvssError, Metrics};

fn check_score(vector: &str, score: &str) {
    assert_eq!(vector.parse::<Metrics>().unwrap().base_score().to_string(), score, "{vector}");
}

#[test]
fn base_scores_are_those_of_the_norms_examples() {
    check_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "6.1");
    check_score("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", "6.4");
    check_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", "7.5");
    check_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "9.8");
    check_score("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", "9.9");
    check_score("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", "10.0");
    check_score("CVSS:3.1/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", "4.2");
    check_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", "0.0");
    check_score("CVSS:3.1/E:H/AV:P/AC:H/PR:L/UI:R/S:U/C:H/I:H/A:H/RL:O", "6.2");
}

fn check_all(vector: &str, base: &str, temporal: &str, environmental: &str, severity: &str) {
    let metrics: Metrics = vector.parse().unwrap();
    let whole = metrics.environmental_score();
    let found = [
        metrics.base_score().to_string(),
        metrics.temporal_score().to_string(),
        whole.to_string(),
        metrics.severity(whole).to_string(),
    ];
    assert_eq!(found, [base, temporal, environmental, severity], "{vector}");
}

#[test]
fn exploits_fixes_and_the_environment_change_the_score() {
    // The three examples of the guide to version 2, section 3.3.
    check_all(
        "AV:N/AC:L/Au:N/C:N/I:N/A:C/E:F/RL:OF/RC:C/CDP:H/TD:H/CR:M/IR:M/AR:H",
        "7.8",
        "6.4",
        "9.2",
        "high",
    );
    check_all(
        "(AV:N/AC:L/Au:N/C:C/I:C/A:C/E:F/RL:OF/RC:C/CDP:H/TD:H/CR:M/IR:M/AR:L)",
        "10.0",
        "8.3",
        "9.0",
        "high",
    );
    check_all(
        "AV:L/AC:H/Au:N/C:C/I:C/A:C/E:POC/RL:OF/RC:C/CDP:H/TD:H/CR:M/IR:M/AR:M",
        "6.2",
        "4.9",
        "7.5",
        "high",
    );
    check_all("CVSS2#AV:N/AC:L/Au:N/C:N/I:N/A:N", "0.0", "0.0", "0.0", "low");
    check_all("AV:N/AC:L/Au:N/C:P/I:P/A:P/TD:N", "7.5", "7.5", "0.0", "low");
    let three = "AV:N/AC:L/PR:N/UI:R/S:C/C:H/I:H/A:H/E:P/RL:O/RC:R";
    check_all(&format!("CVSS:3.0/{three}"), "9.6", "8.3", "8.3", "high");
    check_all(&format!("CVSS:3.1/{three}/MS:U/CR:L/IR:L/AR:L"), "9.6", "8.3", "6.0", "medium");
    let four = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N";
    check_all(four, "9.3", "9.3", "9.3", "critical");
    check_all(&format!("{four}/E:U/MAV:P"), "9.3", "8.1", "4.0", "medium");
}

fn check_ssvc(vector: &str, automatable: Automatable, impact: TechnicalImpact, exploitation: Exploitation) {
    let metrics: Metrics = vector.parse().unwrap();
    assert_eq!(
        (metrics.automatable(), metrics.technical_impact(), metrics.exploitation()),
        (automatable, impact, exploitation),
        "{vector}"
    );
}

#[test]
fn ssvc_values_follow_from_the_metrics() {
    use Automatable::{No, Yes};
    use TechnicalImpact::{Partial, Total};
    check_ssvc("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Yes, Total, Exploitation::None);
    check_ssvc("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:N/E:F", No, Partial, Exploitation::PublicPoc);
    check_ssvc("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:U", Yes, Total, Exploitation::None);
    let four = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N";
    check_ssvc(four, Yes, Total, Exploitation::None);
    check_ssvc(&format!("{four}/E:A"), Yes, Total, Exploitation::Active);
    check_ssvc(&format!("{four}/E:P"), Yes, Total, Exploitation::PublicPoc);
    check_ssvc(&four.replace("AT:N", "AT:P"), No, Total, Exploitation::None);
    check_ssvc(&four.replace("VA:H", "VA:L"), Yes, Partial, Exploitation::None);
    check_ssvc("AV:N/AC:L/Au:N/C:C/I:C/A:C/E:POC", Yes, Total, Exploitation::PublicPoc);
    check_ssvc("AV:N/AC:M/Au:N/C:C/I:C/A:P/E:U", No, Partial, Exploitation::None);
}

fn check_refused(vector: &str, message: &str) {
    assert_eq!(vector.parse::<Metrics>().unwrap_err().to_string(), message, "{vector}");
}

#[test]
fn refuses_with_the_cause() {
    let full = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    let version = |found: &str| {
        format!(
            "the vector starts with {found:?}, not with CVSS:3.0/, CVSS:3.1/, CVSS:4.0/, or AV: as version 2 does"
        )
    };
    check_refused("", &version(""));
    check_refused("CVSS2#/AV:N/AC:L/Au:N/C:P/I:P/A:P", &version("CVSS2#"));
    check_refused("AV:N/AC:L/Au:N/C:P/I:P", "base metric A is missing");
    check_refused("CVSS:9.9/AV:N", &version("CVSS:9.9"));
    check_refused("CVSS:3.1/AV:N", "base metric AC is missing");
    check_refused("CVSS:3.1", "\"\" is no metric of this version of CVSS");
    check_refused(&format!("{full}/"), "\"\" is no metric of this version of CVSS");
    check_refused(&format!("{full}/AT:N"), "\"AT:N\" is no metric of this version of CVSS");
    check_refused(&format!("{full}/AV:L"), "metric AV stands twice");
    check_refused(&full.replace("AV:N", "AV:Q"), "metric AV cannot have the value \"Q\" (one of: N A L P)");
    let long = format!("{full}/{}", "E:X/".repeat(200));
    assert!(matches!(long.parse::<Metrics>(), Err(CvssError::TooLong { .. })));
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "(CVSS:(3.0|3.1|4.0)/)?(AV:N/AC:L/Au:N/C:P/I:P/A:P/)?([A-Z]{1,3}:[A-Z]/){0,14}\\PC{0,4}") {
        if let Ok(metrics) = text.parse::<Metrics>() {
            let scores = [metrics.base_score(), metrics.temporal_score(), metrics.environmental_score()];
            prop_assert!(scores.iter().all(|score| score.tenths() <= 100));
        }
    }
}
