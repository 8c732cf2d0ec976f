//! The ruleset as text; that the real `nft` takes it is proven in `warden-net`.

use proptest::prelude::*;

use super::{Comment, ruleset};
use crate::fixture::{case, device, now, policy, product};
use crate::policy::{Allowed, Direction, Protocol};
use crate::{Class, Fix, OpenCase, Protectee, ShieldPlan, plan};

fn sample() -> ShieldPlan {
    let (old, new) = (product("old-cam", Some("2026-01-01T00:00:00Z")), product("new-cam", None));
    let devices = [
        device("old-2", "old-cam", Some("10.9.0.8")),
        device("old-1", "old-cam", Some("10.9.0.7")),
        device("new-1", "new-cam", Some("2001:db8::7")),
    ];
    let open = case("new-1", "CVE-2099-0001", "busybox", warden_model::case::Priority::Immediate);
    let open_cases = vec![OpenCase { case: &open, fix: Fix::Nowhere }];
    let inputs = [
        Protectee { device: &devices[0], product: &old, open_cases: Vec::new() },
        Protectee { device: &devices[1], product: &old, open_cases: Vec::new() },
        Protectee { device: &devices[2], product: &new, open_cases },
    ];
    let mut policy = policy();
    for (direction, peer, port, why) in [
        (Direction::ToDevice, "10.5.0.0/16", 554, "recorder pulls the picture"),
        (Direction::ToDevice, "10.5.1.0/24", 554, "inside the wider one: must go"),
        (Direction::FromDevice, "198.18.0.0/15", 443, "cloud\" ; drop } \n evil"),
    ] {
        let allowed = Allowed {
            direction,
            peer: peer.parse().unwrap(),
            protocol: Protocol::Tcp,
            port,
            why: why.to_owned(),
        };
        policy.allow(Class::SUPPORT_ENDED, allowed).unwrap();
    }
    plan(&inputs, &policy, now())
}

#[test]
fn the_ruleset_is_this_text() {
    insta::assert_snapshot!(ruleset(&sample()));
}

#[test]
fn the_same_plan_makes_the_same_text() {
    assert_eq!(ruleset(&sample()), ruleset(&sample()));
}

#[test]
fn an_empty_plan_makes_a_table_that_shields_nobody() {
    let text = ruleset(&ShieldPlan::default());
    assert!(!text.contains("elements ="), "{text}");
    assert!(text.contains("delete table inet fleetwarden"));
}

#[test]
fn quarantine_stands_before_the_state_of_the_connection() {
    let text = ruleset(&sample());
    let forward = text.split("chain forward").nth(1).unwrap();
    assert!(!forward.contains("ct state"), "an open session must not outlive the shield: {forward}");
}

proptest! {
    #[test]
    fn a_comment_never_leaves_its_quotes(text in ".{0,300}") {
        let comment = Comment(&text).to_string();
        prop_assert!(comment.len() <= 102);
        let inner = comment.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
        let plain = inner.bytes().all(|b| b.is_ascii_graphic() || b == b' ') && !inner.contains(['"', '\\', ';', '}']);
        prop_assert!(plain, "{comment}");
    }
}
