//! The machine against tables of situations: the good way, each refusal, a power cut at each step.

mod cost;
mod cuts;
mod pieces;
mod world;

use self::world::{Content, NEW, OLD, Offered, PATCH, SIZE, World, image_target, patch_target};
use super::*;
use warden_model::device::Slot;
use warden_model::report::{Cause, ReportPhase as Phase};
use warden_model::rollout::Order;
use warden_model::{ByteCount, Sha256Digest};
use warden_wire::ddi::{Execution, Finished, Handling};

/// Runs a world to its rest and compares what the server saw.
fn check(world: &mut World, phases: &[Phase], cause: Option<Cause>, running: Sha256Digest, closed: Finished) {
    world.run();
    assert_eq!(world.phases(), phases);
    assert_eq!(world.cause(), cause);
    assert_eq!(world.slots[&world.running], Content::Whole(running));
    assert_eq!(world.running, world.confirmed, "nothing is left on trial");
    assert_eq!(world.saved.confirmed.image, running);
    let ends: Vec<_> = world
        .closed
        .iter()
        .map(|(_, channel, execution, finished)| (*channel, *execution, *finished))
        .collect();
    assert_eq!(ends, [(Channel::Deployment, Execution::Closed, closed)]);
    assert_eq!(world.saved.outbox, [], "everything was delivered");
    assert_eq!(world.saved.update, None);
}

#[test]
fn an_order_becomes_a_healthy_device_that_says_so_itself() {
    let mut world = World::new();
    check(&mut world, &[Phase::Installed, Phase::Booted, Phase::Healthy], None, NEW, Finished::Success);
    let last = world.reports.iter().rev().find(|report| report.phase.is_some()).unwrap();
    assert_eq!((last.running.image, last.confirmed.image, last.slot), (NEW, NEW, Slot::B));
    assert_eq!((last.downloaded.0, last.full.0, last.generation.0), (SIZE, SIZE, 10));
    assert_eq!(world.saved.other.as_ref().unwrap().image, OLD, "the way back is there");
    assert!(world.words.iter().any(|word| word.contains("installing")));
}

#[test]
fn a_patch_for_the_running_image_is_preferred_and_another_one_ignored() {
    let mut world = World::new();
    let foreign = PatchTarget { base: NEW, size: ByteCount(1), ..patch_target() };
    world.signed.patches = vec![foreign, patch_target()];
    check(&mut world, &[Phase::Installed, Phase::Booted, Phase::Healthy], None, NEW, Finished::Success);
    assert_eq!(world.loaded, [(PATCH, 0)]);
    assert!(
        world
            .reports
            .iter()
            .any(|report| report.downloaded == ByteCount(100) && report.full == ByteCount(SIZE))
    );
}

#[test]
fn a_patch_that_does_not_work_costs_a_download_and_nothing_else() {
    let mut world = World::new();
    world.signed.patches = vec![patch_target()];
    world.patch_works = false;
    check(&mut world, &[Phase::Installed, Phase::Booted, Phase::Healthy], None, NEW, Finished::Success);
    assert_eq!(world.loaded.iter().filter(|(digest, _)| *digest == NEW).count(), 3);
}

#[test]
fn a_staging_area_without_room_costs_a_download_too() {
    let mut world = World::new();
    world.signed.patches = vec![patch_target()];
    world.load_fails = vec![LoadFailure::NoSpace];
    check(&mut world, &[Phase::Installed, Phase::Booted, Phase::Healthy], None, NEW, Finished::Success);
}

#[test]
fn an_unhealthy_image_is_left_and_the_cause_is_told() {
    for (health, cause) in
        [(Health::Failed, Cause::HealthCheckFailed), (Health::TimedOut, Cause::HealthCheckTimedOut)]
    {
        let mut world = World::new();
        world.health = health;
        let phases = [Phase::Installed, Phase::Booted, Phase::RolledBack];
        check(&mut world, &phases, Some(cause), OLD, Finished::Failure);
    }
}

#[test]
fn refusals_happen_before_a_byte_is_loaded() {
    type Change = fn(&mut World);
    let cases: [(Change, Cause); 6] = [
        (|world| world.signed.image = None, Cause::NotTrusted),
        (|world| world.signed.image = Some(image_target(OLD, 9)), Cause::NotTrusted),
        (
            |world| world.metadata_fails = Some(MetadataFailure::NotTrusted("expired".into())),
            Cause::NotTrusted,
        ),
        (|world| world.signed.image = Some(image_target(NEW, 4)), Cause::OlderRelease),
        (
            |world| world.signed.image.as_mut().unwrap().hardware = vec!["board-b".parse().unwrap()],
            Cause::WrongHardware,
        ),
        (
            |world| world.signed.image.as_mut().unwrap().product = "printer".parse().unwrap(),
            Cause::WrongHardware,
        ),
    ];
    for (change, cause) in cases {
        let mut world = World::new();
        change(&mut world);
        check(&mut world, &[Phase::Failed], Some(cause), OLD, Finished::Failure);
        assert_eq!(world.loaded, []);
    }
}

#[test]
fn what_cannot_be_loaded_or_is_not_what_was_signed_leaves_the_device_as_it_was() {
    let cases = [
        (vec![LoadFailure::NoSpace], 0, Cause::NoSpace),
        (vec![LoadFailure::WrongBytes], 0, Cause::WrongBytes),
        (vec![LoadFailure::Network; FAILURES_MAX as usize], 0, Cause::DownloadFailed),
        (vec![], 2, Cause::WrongBytes),
    ];
    for (failures, bad_loads, cause) in cases {
        let mut world = World::new();
        (world.load_fails, world.bad_loads) = (failures, bad_loads);
        check(&mut world, &[Phase::Failed], Some(cause), OLD, Finished::Failure);
        assert_eq!(world.saved.other, None);
    }
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_broke_off() {
    let mut world = World::new();
    world.load_fails = vec![LoadFailure::Network; 4];
    check(&mut world, &[Phase::Installed, Phase::Booted, Phase::Healthy], None, NEW, Finished::Success);
    let offsets: Vec<u64> = world.loaded.iter().map(|(_, offset)| *offset).collect();
    assert_eq!(offsets, [0, 0, 0, 0, 0, 400, 800]);
}

#[test]
fn an_image_that_arrives_torn_is_loaded_once_more() {
    let mut world = World::new();
    world.bad_loads = 1;
    check(&mut world, &[Phase::Installed, Phase::Booted, Phase::Healthy], None, NEW, Finished::Success);
}

#[test]
fn an_older_order_is_refused_and_the_device_stays_as_it_is() {
    let mut world = World::new();
    world.saved.generation = warden_model::Generation(11);
    check(&mut world, &[Phase::Failed], Some(Cause::NotTrusted), OLD, Finished::Failure);
    assert_eq!(world.saved.generation.0, 11);
}

#[test]
fn an_order_without_our_metadata_is_answered_and_not_guessed_at() {
    let mut world = World::new();
    world.offered.as_mut().unwrap().order = Order::Cancel;
    check(&mut world, &[Phase::Failed], Some(Cause::NotTrusted), OLD, Finished::Failure);
}

#[test]
fn an_order_for_what_runs_already_is_done_at_once() {
    let mut world = World::new();
    world.offered = Some(Offered::install(10, OLD));
    check(&mut world, &[Phase::Healthy], None, OLD, Finished::Success);
    let mut world = World::new();
    world.offered = Some(Offered { order: Order::TurnBack, ..Offered::install(10, OLD) });
    check(&mut world, &[Phase::RolledBack], Some(Cause::Ordered), OLD, Finished::Success);
}

/// A device that was updated from OLD to NEW.
fn updated() -> World {
    let mut world = World::new();
    world.run();
    world.reports.clear();
    world.closed.clear();
    world.loaded.clear();
    world
}

#[test]
fn an_order_to_turn_back_takes_the_image_that_is_there_even_below_the_counter() {
    let mut world = updated();
    world.offered = Some(Offered { order: Order::TurnBack, ..Offered::install(11, OLD) });
    world.signed = Signed { image: None, patches: vec![], indexes: vec![] };
    let phases = [Phase::Installed, Phase::Booted, Phase::RolledBack];
    check(&mut world, &phases, Some(Cause::Ordered), OLD, Finished::Success);
    assert_eq!(world.loaded, []);
}

#[test]
fn turning_back_to_an_image_that_is_not_there_obeys_the_counter() {
    let mut world = updated();
    world.saved.other = None;
    world.offered = Some(Offered { order: Order::TurnBack, ..Offered::install(11, OLD) });
    world.signed.image = Some(image_target(OLD, 5));
    check(&mut world, &[Phase::Failed], Some(Cause::OlderRelease), NEW, Finished::Failure);
}

#[test]
fn turning_back_to_a_slot_that_rotted_is_refused() {
    let mut world = updated();
    world.slots.insert(Slot::A, Content::Torn);
    world.offered = Some(Offered { order: Order::TurnBack, ..Offered::install(11, OLD) });
    check(&mut world, &[Phase::Failed], Some(Cause::WrongBytes), NEW, Finished::Failure);
}

#[test]
fn an_image_that_was_left_in_the_other_slot_is_not_loaded_again() {
    let mut world = World::new();
    world.health = Health::Failed;
    world.run();
    world.reports.clear();
    world.closed.clear();
    world.loaded.clear();
    world.health = Health::Passed;
    world.offered = Some(Offered::install(12, NEW));
    check(&mut world, &[Phase::Installed, Phase::Booted, Phase::Healthy], None, NEW, Finished::Success);
    assert_eq!(world.loaded, []);
}

#[test]
fn a_cancellation_before_the_switch_cancels() {
    let mut world = World::new();
    world.offered.as_mut().unwrap().update = Handling::Skip;
    world.run();
    assert_eq!(world.phases(), [Phase::Installed], "loaded, but the window is closed");
    world.cancel = Some(10);
    world.run();
    assert_eq!(world.closed, [(10, Channel::Cancel, Execution::Closed, Finished::Success)]);
    assert_eq!(world.saved.update, None);
    assert_eq!(world.slots[&world.running], Content::Whole(OLD));
}

#[test]
fn a_cancelled_order_that_is_replayed_stays_cancelled() {
    let mut world = World::new();
    world.offered.as_mut().unwrap().update = Handling::Skip;
    world.run();
    (world.offered, world.cancel) = (None, Some(10));
    world.run();
    (world.offered, world.cancel) = (Some(Offered::install(10, NEW)), None);
    world.run();
    assert_eq!(world.saved.update, None);
    assert_eq!(world.saved.confirmed.image, OLD);
}

#[test]
fn a_number_that_is_given_out_again_with_a_newer_generation_is_a_new_order() {
    let mut world = updated();
    world.offered = Some(Offered { generation: 11, ..Offered::install(10, OLD) });
    world.closed.clear();
    world.run();
    // The image of before is older than what is confirmed: refused, not answered with the success of before.
    assert_eq!(world.closed.first().map(|closed| closed.3), Some(Finished::Failure));
}

#[test]
fn a_cancellation_that_comes_too_late_is_rejected() {
    let mut world = updated();
    world.cancel = Some(10);
    world.run();
    assert_eq!(world.closed, [(10, Channel::Cancel, Execution::Rejected, Finished::None)]);
    assert_eq!(world.saved.confirmed.image, NEW);
}

#[test]
fn a_cancellation_of_an_order_never_taken_is_fine() {
    let mut world = World::new();
    (world.offered, world.cancel) = (None, Some(77));
    world.run();
    assert_eq!(world.closed, [(77, Channel::Cancel, Execution::Closed, Finished::Success)]);
}

#[test]
fn a_closed_window_holds_the_switch_and_an_open_one_lets_it_go() {
    let mut world = World::new();
    world.offered.as_mut().unwrap().update = Handling::Skip;
    world.run();
    assert_eq!((world.trial, world.running), (Trial::None, Slot::A));
    world.offered.as_mut().unwrap().update = Handling::Forced;
    check(&mut world, &[Phase::Installed, Phase::Booted, Phase::Healthy], None, NEW, Finished::Success);
}

#[test]
fn an_order_that_is_taken_away_rests_and_goes_on_when_it_is_back() {
    let mut world = World::new();
    world.run_for(8);
    let offer = world.offered.take();
    world.run();
    assert_eq!(world.slots[&world.running], Content::Whole(OLD));
    world.offered = offer;
    check(&mut world, &[Phase::Installed, Phase::Booted, Phase::Healthy], None, NEW, Finished::Success);
}

#[test]
fn a_finished_order_that_is_offered_again_is_answered_and_not_done_again() {
    let mut world = updated();
    world.offered = Some(Offered::install(10, NEW));
    world.run();
    assert_eq!(world.closed, [(10, Channel::Deployment, Execution::Closed, Finished::Success)]);
    assert_eq!((world.phases(), world.loaded.len()), (vec![], 0));
}

#[test]
fn without_the_server_the_device_proves_confirms_and_turns_back_alone() {
    for (health, runs) in [(Health::Passed, NEW), (Health::Failed, OLD)] {
        let mut world = World::new();
        world.offered.as_mut().unwrap().update = Handling::Skip;
        world.run();
        // The switch itself was ordered; from the reboot on nobody answers.
        let view = world.slots[&Slot::B];
        assert_eq!(view, Content::Whole(NEW));
        world.saved.update.as_mut().unwrap().step = Step::Arming { made: journal::Made::Whole };
        world.trial = Trial::Armed { tries_left: 3 };
        (world.online, world.health) = (false, health);
        world.run();
        assert_eq!(world.saved.confirmed.image, runs);
        assert_eq!(world.slots[&world.running], Content::Whole(runs));
        assert!(!world.saved.outbox.is_empty(), "what happened waits for the server");
        world.online = true;
        world.run();
        assert!(world.saved.outbox.is_empty());
        assert_eq!(world.closed.len(), 1);
    }
}

#[test]
fn an_image_that_never_comes_up_is_given_up() {
    let mut world = World::new();
    // Each boot of the trial dies before the agent says a word.
    world.offered.as_mut().unwrap().update = Handling::Skip;
    world.run();
    world.saved.update.as_mut().unwrap().step = Step::Arming { made: journal::Made::Whole };
    world.trial = Trial::Armed { tries_left: 0 };
    let phases = [Phase::Installed, Phase::RolledBack];
    check(&mut world, &phases, Some(Cause::BootFailed), OLD, Finished::Failure);
    assert_eq!(world.trial, Trial::None, "the boot loader may forget it");
}

#[test]
fn a_trial_that_no_order_explains_is_left_at_once() {
    let mut world = World::new();
    world.offered = None;
    world.slots.insert(Slot::B, Content::Whole(NEW));
    world.trial = Trial::Armed { tries_left: 3 };
    world.run();
    assert_eq!((world.running, world.trial), (Slot::A, Trial::None));
}

#[test]
fn a_local_order_needs_no_server_and_no_signature_but_keeps_the_rules() {
    let start = |world: &mut World, image: ImageTarget| {
        world.online = false;
        let mut machine = world.machine();
        let mut outputs = machine.handle(world.power_on(), world.now);
        while !matches!(outputs.last(), Some(Output::WaitUntil(_))) {
            let answer = match outputs.last() {
                Some(Output::Poll) => Input::PollFailed,
                _ => Input::NotDelivered,
            };
            outputs = machine.handle(answer, world.now);
        }
        machine.handle(Input::LocalOrder { image, patch: None }, world.now)
    };
    let outputs = start(&mut World::new(), image_target(NEW, 5));
    assert!(matches!(outputs.as_slice(), [Output::Save(_), Output::WriteImage { .. }]), "{outputs:?}");
    let outputs = start(&mut World::new(), image_target(NEW, 4));
    assert!(matches!(outputs.last(), Some(Output::WaitUntil(_))), "an older release is refused: {outputs:?}");
}

#[test]
fn an_answer_that_nobody_asked_for_changes_nothing() {
    let world = World::new();
    let mut machine = world.machine();
    for input in [
        Input::Tick,
        Input::Confirmed,
        Input::Written,
        Input::DownloadFinished,
        Input::Delivered,
        Input::SlotVerified(Verification::Matches),
    ] {
        assert_eq!(machine.handle(input, world.now), []);
    }
    assert_eq!(machine.journal(), &world.saved);
}

#[test]
fn a_device_that_is_cut_off_keeps_its_newest_letters() {
    let mut world = World::new();
    world.offered = None;
    let mut machine = world.machine();
    machine.handle(world.power_on(), world.now);
    for _ in 0..3 * LETTERS_MAX {
        machine.report(Some(Phase::Failed), Some(Cause::NoSpace), &"x".repeat(9_000), world.now);
    }
    let journal = machine.journal();
    assert_eq!(journal.outbox.len(), LETTERS_MAX);
    assert!(journal.write().len() < usize::try_from(journal::JOURNAL_BYTES_MAX).unwrap());
    assert_eq!(journal.report_counter, 3 * LETTERS_MAX as u64 + 1);
}

#[test]
fn journals_of_version_1_stay_readable_and_later_ones_are_refused() {
    let world = updated();
    let text = String::from_utf8(world.saved.write()).unwrap();
    assert_eq!(Journal::read(text.as_bytes()).unwrap(), world.saved);
    let later = text.replacen("\"version\":1", "\"version\":2", 1);
    assert!(matches!(Journal::read(later.as_bytes()), Err(JournalError::UnknownVersion(2))));
    assert!(matches!(Journal::read(b"{"), Err(JournalError::Malformed(_))));
}
