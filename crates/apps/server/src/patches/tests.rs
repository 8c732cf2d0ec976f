//! The queue over a real store and real files; a builder of the tests' own, and the real one.

use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::watch;
use warden_kit::values::{START, device, digest};
use warden_model::device::Running;
use warden_model::release::{PatchJob, PatchState, PatchStep, ReleaseState};
use warden_model::{ByteCount, PerMille, Seconds, Sha256Digest, Timestamp};
use warden_store::{EventScope, Store, Write};
use warden_wire::page::PageRequest;

use super::build::{Maker, Outcome, Work, build};
use super::{Patches, begin, finish, put_back, recover, refresh, work};
use crate::config::Config;
use crate::context::Shared;
use crate::device::hash_of;
use crate::testing::{IMAGE, change_release, fleet_over};

const OLD: &[u8] = b"the image of version 1.0, which is not very long";
const OLDER: &[u8] = b"the image of version 0.9, which is not very long";

struct World {
    context: Shared,
    _folder: TempDir,
}

fn at(minutes: u64) -> Timestamp {
    START.plus(Seconds(minutes * 60))
}

/// Builds nothing, and says that it did.
fn quick(work: &Work, watch: &mut dyn FnMut(PatchStep)) -> Outcome {
    for step in PatchStep::ALL {
        watch(*step);
    }
    let mut writer = work.artifacts.create().unwrap();
    writer.write(&work.base.0).unwrap();
    Outcome::Built { stored: writer.finish().unwrap(), full: ByteCount(1_000) }
}

/// Never ends.
fn endless(_: &Work, watch: &mut dyn FnMut(PatchStep)) -> Outcome {
    watch(PatchStep::Matching);
    loop {
        std::thread::park();
    }
}

fn panics(_: &Work, _: &mut dyn FnMut(PatchStep)) -> Outcome {
    panic!("a part of the image is stranger than anybody thought")
}

impl World {
    /// A fleet of two devices with 1.0 and one with 0.9, both of which lie among the artifacts.
    async fn new(maker: Maker, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut context = fleet_over(folder.path(), Store::in_memory().await.unwrap(), &[]).await;
        let mine = Arc::get_mut(&mut context).unwrap();
        mine.patches = Patches::with(maker);
        change(&mut mine.config);
        let world = Self { context, _folder: folder };
        for image in [OLD, OLDER] {
            world.keep(image);
        }
        for (name, image, version) in [("cam-1", OLD, "1.0"), ("cam-2", OLD, "1.0"), ("cam-3", OLDER, "0.9")]
        {
            world.runs(name, hash_of(image), version).await;
        }
        world
    }

    fn keep(&self, image: &[u8]) {
        let mut writer = self.context.artifacts.create().unwrap();
        writer.write(image).unwrap();
        writer.finish().unwrap();
    }

    async fn runs(&self, name: &str, image: Sha256Digest, version: &str) {
        let mut device = device(name, "cam");
        device.confirmed = Some(Running { image, version: version.parse().unwrap() });
        self.context.store.commit(&[Write::Device(device)]).await.unwrap();
    }

    async fn refresh(&self, minutes: u64) {
        refresh(&self.context, &"cam".parse().unwrap(), at(minutes)).await.unwrap();
    }

    async fn begin(&self, minutes: u64) -> Option<PatchJob> {
        begin(&self.context, ByteCount(0), at(minutes)).await.unwrap()
    }

    /// Returns version, devices and state of each patch to 1.1.
    async fn stand(&self) -> Vec<(String, u64, PatchState)> {
        let jobs = self.context.store.patch_jobs_to(&hash_of(IMAGE)).await.unwrap();
        jobs.iter().map(|job| (job.base_version.to_string(), job.devices, job.state)).collect()
    }

    async fn job(&self, base: &[u8]) -> PatchJob {
        self.context.store.patch_job(&hash_of(base), &hash_of(IMAGE)).await.unwrap().unwrap()
    }

    async fn patches(&self) -> usize {
        self.context.store.patches_to(&hash_of(IMAGE)).await.unwrap().len()
    }

    async fn events(&self) -> Vec<String> {
        let page = self.context.store.events(&EventScope::All, &PageRequest::largest()).await.unwrap();
        page.items.into_iter().map(|event| format!("{}: {}", event.what, event.reason)).collect()
    }
}

fn stands(version: &str, devices: u64, state: PatchState) -> (String, u64, PatchState) {
    (version.to_owned(), devices, state)
}

#[tokio::test]
async fn the_queue_follows_the_fleet() {
    use PatchState::{Built, NoBase, Waiting};
    let world = World::new(quick, |_| {}).await;
    world.refresh(0).await;
    assert_eq!(world.stand().await, [stands("1.0", 2, Waiting), stands("0.9", 1, Waiting)]);
    // Two devices come back with 0.9, and one with an image that nobody has kept.
    world.runs("cam-4", hash_of(OLDER), "0.9").await;
    world.runs("cam-5", hash_of(OLDER), "0.9").await;
    world.runs("cam-6", digest(6), "0.1").await;
    world.refresh(1).await;
    let expected = [stands("0.9", 3, Waiting), stands("1.0", 2, Waiting), stands("0.1", 1, NoBase)];
    assert_eq!(world.stand().await, expected);
    let first = world.begin(1).await.unwrap();
    assert_eq!((first.base, first.attempts, first.step), (hash_of(OLDER), 1, Some(PatchStep::Reading)));
    let outcome = quick(&work_of(&world, &first), &mut |_| {});
    finish(&world.context, &first, outcome, at(2)).await.unwrap();
    assert_eq!(world.stand().await[0], stands("0.9", 3, Built));
    assert_eq!(world.job(OLDER).await.reason, "32 B instead of 1000 B (3.2 %)");
    assert_eq!(world.events().await, ["patch built: from 0.9: 32 B instead of 1000 B (3.2 %)"]);
    // A patch that is there is not built twice, not even when the queue is lost.
    let (base, result) = (hash_of(OLDER), hash_of(IMAGE));
    world.context.store.commit(&[Write::RemovePatchJob { base, result }]).await.unwrap();
    world.refresh(3).await;
    assert_eq!(world.job(OLDER).await.reason, "it was built before");
    // Without its file it is.
    let patch = world.context.store.patch(&base, &result).await.unwrap().unwrap();
    world.context.artifacts.remove(&patch.digest).unwrap();
    world.refresh(4).await;
    assert_eq!(world.job(OLDER).await.state, Waiting);
    change_release(&world.context, ReleaseState::Withdrawn).await;
    world.refresh(5).await;
    assert_eq!(world.stand().await, [], "nobody wants a patch to what was withdrawn");
}

fn work_of(world: &World, job: &PatchJob) -> Work {
    let artifacts = world.context.artifacts.clone();
    Work { artifacts, base: job.base, result: job.result, memory: world.context.config.patches.memory }
}

#[tokio::test]
async fn what_takes_too_much_memory_is_not_begun() {
    let world = World::new(quick, |config| config.patches.memory = ByteCount(400)).await;
    world.refresh(0).await;
    let job = world.job(OLD).await;
    assert_eq!(job.state, PatchState::TooLarge);
    assert!(job.reason.contains("432 B of memory, and the server may spend 400 B"), "{}", job.reason);
    assert_eq!(world.begin(0).await, None);
    // With room for one, the second waits until the first is done.
    let world = World::new(quick, |config| config.patches.memory = ByteCount(500)).await;
    world.refresh(0).await;
    assert!(world.begin(0).await.is_some());
    assert_eq!(begin(&world.context, ByteCount(432), at(0)).await.unwrap(), None);
    assert!(world.begin(0).await.is_some());
}

#[tokio::test]
async fn a_build_that_a_crash_ends_is_begun_again_three_times() {
    let world = World::new(quick, |_| {}).await;
    world.refresh(0).await;
    for attempt in 1..=3 {
        let job = world.begin(attempt).await.unwrap();
        assert_eq!((job.base, u64::from(job.attempts)), (hash_of(OLD), attempt));
        assert_eq!(world.patches().await, 0, "there is no half patch");
        recover(&world.context, at(attempt)).await.unwrap();
    }
    let job = world.job(OLD).await;
    assert_eq!(job.state, PatchState::Failed);
    assert!(job.reason.ends_with("the server went down while it was built"), "{}", job.reason);
    assert_eq!(world.begin(4).await.unwrap().base, hash_of(OLDER), "the others have their turn");
}

#[tokio::test]
async fn a_server_that_stops_puts_its_work_back() {
    let world = World::new(quick, |_| {}).await;
    world.refresh(0).await;
    for _ in 0..5 {
        assert_eq!(world.begin(0).await.unwrap().attempts, 1, "that was no attempt");
        put_back(&world.context).await.unwrap();
    }
}

#[tokio::test]
async fn a_build_that_fails_is_told_with_its_reason() {
    let world = World::new(quick, |_| {}).await;
    world.refresh(0).await;
    let job = world.begin(0).await.unwrap();
    finish(&world.context, &job, Outcome::Broken("the disk is full".to_owned()), at(1)).await.unwrap();
    world.refresh(2).await;
    assert_eq!(world.job(OLD).await.reason, "attempt 1 of 3 failed: the disk is full");
    let job = world.begin(2).await.unwrap();
    assert_eq!(job.base, hash_of(OLDER), "the other one first");
    finish(&world.context, &job, Outcome::Refused("it is odd".to_owned()), at(3)).await.unwrap();
    assert_eq!((world.job(OLDER).await.state, world.begin(3).await), (PatchState::Failed, None));
    let job = world.begin(20).await.unwrap();
    let (patch, full) = (ByteCount(90), ByteCount(80));
    finish(&world.context, &job, Outcome::NotSmaller { patch, full }, at(21)).await.unwrap();
    assert_eq!(world.stand().await[0], stands("1.0", 2, PatchState::NotSmaller));
    let events = world.events().await;
    assert_eq!(
        events,
        [
            "patch not smaller: from 1.0: the patch would take 90 B, the full image takes 80 B",
            "patch not built: from 0.9: it is odd",
            "patch not built: from 1.0: attempt 1 of 3 failed: the disk is full",
        ]
    );
    assert_eq!(world.patches().await, 0);
}

#[tokio::test]
async fn a_patch_that_nobody_can_use_goes_after_a_month() {
    const DAY: u64 = 24 * 60;
    let world = World::new(quick, |_| {}).await;
    world.refresh(0).await;
    let job = world.begin(0).await.unwrap();
    let outcome = quick(&work_of(&world, &job), &mut |_| {});
    finish(&world.context, &job, outcome, at(0)).await.unwrap();
    let digest = world.context.store.patches_to(&hash_of(IMAGE)).await.unwrap()[0].digest;
    for name in ["cam-1", "cam-2"] {
        world.runs(name, hash_of(IMAGE), "1.1").await;
    }
    world.refresh(DAY).await;
    world.refresh(30 * DAY).await;
    assert_eq!(world.job(OLD).await.state, PatchState::Built);
    // A device from a drawer starts the time anew.
    world.runs("cam-1", hash_of(OLD), "1.0").await;
    world.refresh(31 * DAY).await;
    world.runs("cam-1", hash_of(IMAGE), "1.1").await;
    world.refresh(32 * DAY).await;
    world.refresh(61 * DAY).await;
    assert_eq!(world.job(OLD).await.state, PatchState::Built);
    world.refresh(62 * DAY).await;
    assert_eq!(world.job(OLD).await.state, PatchState::Dropped);
    assert!(world.context.artifacts.exists(&digest), "devices may still be told of it");
    world.refresh(63 * DAY).await;
    assert_eq!((world.patches().await, world.context.artifacts.exists(&digest)), (0, false));
    let counted = world.context.store.setting(super::DROPPED).await.unwrap().unwrap();
    assert_eq!(counted, serde_json::json!({ "patches": 1, "bytes": 32 }));
    assert!(
        world.events().await.contains(&"patch dropped: from 1.0: no device has run it for 30 d".to_owned())
    );
}

/// Runs the worker until `done` holds, then stops it.
async fn run_until(world: &World, done: impl AsyncFn() -> bool) {
    let (stop, stopping) = watch::channel(false);
    let context = world.context.clone();
    let worker = tokio::spawn(async move { work(&context, stopping).await });
    let waited = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while !done().await {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("the worker gets there");
    stop.send(true).unwrap();
    worker.await.unwrap();
}

#[tokio::test]
async fn the_worker_builds_all_by_itself() {
    let world = World::new(quick, |config| config.patches.builds = 2).await;
    run_until(&world, async || world.patches().await == 2).await;
    assert!(world.stand().await.iter().all(|(_, _, state)| *state == PatchState::Built));
    assert!(world.job(OLD).await.ended_at.is_some());
}

#[tokio::test]
async fn a_worker_that_is_stopped_in_the_middle_leaves_nothing_begun() {
    let world = World::new(endless, |_| {}).await;
    run_until(&world, async || {
        let jobs = world.context.store.patch_jobs_in(PatchState::Building).await.unwrap();
        jobs.iter().any(|job| job.step == Some(PatchStep::Matching))
    })
    .await;
    let job = world.job(OLD).await;
    assert_eq!((job.state, job.attempts, job.step), (PatchState::Waiting, 0, None));
}

#[tokio::test]
async fn a_build_that_panics_is_a_failure_like_others() {
    let world = World::new(panics, |_| {}).await;
    run_until(&world, async || world.job_failed().await).await;
    assert_eq!(world.job(OLD).await.reason, "attempt 1 of 3 failed: the build broke off");
}

impl World {
    async fn job_failed(&self) -> bool {
        let job = self.context.store.patch_job(&hash_of(OLD), &hash_of(IMAGE)).await.unwrap();
        job.is_some_and(|job| job.again_at.is_some())
    }
}

#[tokio::test]
async fn with_building_switched_off_nothing_is_built() {
    let world = World::new(panics, |config| config.patches.builds = 0).await;
    run_until(&world, async || !world.stand().await.is_empty()).await;
    assert_eq!(world.stand().await[0], stands("1.0", 2, PatchState::Waiting));
}

#[tokio::test]
async fn the_real_builder_makes_a_patch_that_makes_the_image() {
    let world = World::new(build, |_| {}).await;
    let block = |salt: u32| {
        (0..40_000_u32).map(move |at| ((at.wrapping_mul(2_654_435_761) ^ salt) >> 11).to_le_bytes()[0])
    };
    let old: Vec<u8> = block(1).collect();
    let mut new = old.clone();
    new.splice(20_000..20_010, b"a changed sentence".iter().copied());
    world.keep(&old);
    world.keep(&new);
    let artifacts = world.context.artifacts.clone();
    let order = Work { artifacts, base: hash_of(&old), result: hash_of(&new), memory: ByteCount::mib(64) };
    let mut steps = Vec::new();
    let Outcome::Built { stored, full } = build(&order, &mut |step| steps.push(step)) else {
        panic!("no patch")
    };
    assert_eq!((steps, full), (PatchStep::ALL.to_vec(), ByteCount(40_008)));
    assert!(PerMille::of(stored.size.0, full.0).get() < 20, "{}", stored.size);
    assert!(order.artifacts.exists(&stored.digest));
    let other = Work { base: digest(99), ..order.clone() };
    assert!(matches!(build(&other, &mut |_| {}), Outcome::Broken(why) if why.contains("no artifact")));
    let tight = Work { memory: ByteCount(90_000), ..order };
    assert!(matches!(build(&tight, &mut |_| {}), Outcome::Refused(why) if why.contains("more than the")));
}
