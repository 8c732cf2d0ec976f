//! Power cuts everywhere: the world panics when a torn slot boots; these tests ask in addition where the device ends.

use super::world::{Content, NEW, OLD, World, patch_target};
use crate::machine::{Health, LoadFailure, Trial};
use proptest::prelude::*;
use warden_model::report::{Cause, ReportPhase};

fn settled(world: &World) {
    assert_eq!(world.running, world.confirmed);
    assert_eq!(world.trial, Trial::None);
    assert_eq!(world.saved.slot, world.confirmed, "journal and boot loader agree");
    assert_eq!(world.slots[&world.running], Content::Whole(world.saved.confirmed.image));
    assert_eq!(world.saved.update, None);
    assert!(world.saved.outbox.is_empty());
    let last = world.reports.iter().rev().find(|report| report.phase.is_some()).expect("a report");
    assert_eq!(last.confirmed.image, world.saved.confirmed.image, "the server knows what runs");
    assert!(!world.closed.is_empty(), "the order was answered");
}

#[test]
fn one_cut_at_each_output_never_changes_how_it_ends() {
    for patched in [true, false] {
        for (health, image, phase) in
            [(Health::Passed, NEW, ReportPhase::Healthy), (Health::Failed, OLD, ReportPhase::RolledBack)]
        {
            for cut in 1..60 {
                let mut world = World::new();
                world.signed.patches = if patched { vec![patch_target()] } else { vec![] };
                (world.health, world.cuts) = (health, vec![cut]);
                world.run();
                settled(&world);
                assert_eq!(world.saved.confirmed.image, image, "cut {cut}");
                assert_eq!(world.phases().last(), Some(&phase), "cut {cut}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_cut_and_whatever_fails_the_device_ends_on_a_whole_image(
        cuts in proptest::collection::vec(1_usize..120, 0..12),
        patched in any::<bool>(),
        patch_works in any::<bool>(),
        healthy in any::<bool>(),
        network_failures in 0_usize..5,
        bad_loads in 0_u32..3,
    ) {
        let mut world = World::new();
        world.signed.patches = if patched { vec![patch_target()] } else { vec![] };
        world.health = if healthy { Health::Passed } else { Health::TimedOut };
        world.load_fails = vec![LoadFailure::Network; network_failures];
        (world.cuts, world.patch_works, world.bad_loads) = (cuts, patch_works, bad_loads);
        world.run();
        settled(&world);
        let ends_new = world.saved.confirmed.image == NEW;
        prop_assert!(!ends_new || healthy, "an unhealthy image is never kept");
        if !ends_new && healthy {
            // Only cuts during the trial itself, or bytes that were wrong twice, may cost a healthy update.
            let cause = world.cause();
            prop_assert!(matches!(cause, Some(Cause::BootFailed | Cause::WrongBytes)), "{cause:?}");
        }
    }
}
