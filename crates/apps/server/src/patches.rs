//! Patches, built in the background for the versions that the fleet runs.
//!
//! In: releases, what devices have confirmed, images among the artifacts. Out: patches among the artifacts, each applied
//! once before it counts; a queue in the store that says of each where it stands and why. Refuses to spend more memory or
//! builds than the settings allow, to try for ever, and to keep what nobody can use.
//!
//! What is kept is whole at each moment: a build that a crash ends is begun again, and after [`queue::ATTEMPTS_MAX`] times
//! given up, so that an image which brings the server down does not do so for ever.

mod build;
mod queue;
mod refresh;

use anyhow::{Context as _, Result};
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};
use warden_model::event::Event;
use warden_model::release::{Patch, PatchJob, PatchState, PatchStep, ReleaseState};
use warden_model::{ByteCount, PerMille, Sha256Digest, Stage, Timestamp};
use warden_store::Write;

use self::build::{Maker, News, Outcome, Work};
use self::refresh::memory_for;
use crate::clock::now;
use crate::context::Shared;
use crate::serve::pause;

pub(crate) use queue::{Coverage, Readiness, readiness};
pub(crate) use refresh::{DROPPED, refresh};

/// What the building of patches shares.
pub struct Patches {
    /// Held while the queue is read and written.
    lock: Mutex<()>,
    /// Wakes the worker: there may be something to build.
    pub wake: Notify,
    maker: Maker,
}

impl Default for Patches {
    fn default() -> Self {
        Self::with(build::build)
    }
}

impl Patches {
    fn with(maker: Maker) -> Self {
        Self { lock: Mutex::new(()), wake: Notify::new(), maker }
    }
}

/// Works through the queue until `stop` turns true.
pub(crate) async fn work(context: &Shared, mut stop: watch::Receiver<bool>) {
    // Nothing was told about what a crash ended.
    settle(recover(context, now()).await, "take up the builds that a crash ended");
    let mut running: JoinSet<ByteCount> = JoinSet::new();
    let mut in_use = ByteCount(0);
    while !*stop.borrow() {
        settle(refresh_all(context, now()).await, "bring the queue of patches up to date");
        let places = usize::try_from(context.config.patches.builds).unwrap_or(usize::MAX);
        while running.len() < places {
            let Some(job) = settle(begin(context, in_use, now()).await, "begin a patch").flatten() else {
                break;
            };
            let need = need(context, &job);
            in_use = ByteCount(in_use.0.saturating_add(need.0));
            let context = context.clone();
            running.spawn(async move {
                settle(one(&context, job).await, "build a patch");
                need
            });
        }
        tokio::select! {
            Some(done) = running.join_next(), if !running.is_empty() => {
                // What a task took that broke is not known; without any other the count starts anew.
                let need = done.map_or(0, |need| need.0);
                in_use = ByteCount(if running.is_empty() { 0 } else { in_use.0.saturating_sub(need) });
            }
            () = tokio::time::sleep(pause(context)) => {}
            () = context.patches.wake.notified() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    running.shutdown().await;
    settle(put_back(context).await, "put back the builds that were in work");
}

/// Logs a failure; the state is whole, and the next round tries again.
fn settle<T>(outcome: Result<T>, attempt: &str) -> Option<T> {
    outcome.map_err(|failure| error!(error = %format!("{failure:#}"), "cannot {attempt}")).ok()
}

async fn refresh_all(context: &Shared, now: Timestamp) -> Result<()> {
    for product in context.store.products().await? {
        refresh(context, &product.id, now).await?;
    }
    Ok(())
}

/// Takes up what was being built when the server went down: it waits again, as often as attempts are left.
async fn recover(context: &Shared, now: Timestamp) -> Result<()> {
    let _one_at_a_time = context.patches.lock.lock().await;
    let mut writes = Vec::new();
    for job in context.store.patch_jobs_in(PatchState::Building).await? {
        let job = if job.attempts < queue::ATTEMPTS_MAX {
            let reason = "the server went down while it was built; it waits for its turn".to_owned();
            PatchJob { state: PatchState::Waiting, step: None, reason, ..job }
        } else {
            queue::failed(job, "the server went down while it was built", now)
        };
        writes.push(Write::PatchJob(PatchJob { ended_at: Some(now), ..job }));
    }
    Ok(context.store.commit(&writes).await?)
}

/// Puts back what is being built while the server stops in good order; that was nobody's fault, and no attempt.
async fn put_back(context: &Shared) -> Result<()> {
    let _one_at_a_time = context.patches.lock.lock().await;
    let jobs = context.store.patch_jobs_in(PatchState::Building).await?;
    let waiting = |job: PatchJob| PatchJob {
        state: PatchState::Waiting,
        step: None,
        attempts: job.attempts.saturating_sub(1),
        reason: "the server was stopped while it was built; it waits for its turn".to_owned(),
        ..job
    };
    let writes: Vec<Write> = jobs.into_iter().map(|job| Write::PatchJob(waiting(job))).collect();
    Ok(context.store.commit(&writes).await?)
}

fn need(context: &Shared, job: &PatchJob) -> ByteCount {
    let size =
        |image: &Sha256Digest| context.artifacts.open_read(image).map_or(ByteCount(0), |(_, size)| size);
    memory_for(size(&job.base).max(size(&job.result)))
}

/// Takes the next patch out of the queue; nothing when there is none, or when it must wait for memory that others use.
async fn begin(context: &Shared, in_use: ByteCount, now: Timestamp) -> Result<Option<PatchJob>> {
    let _one_at_a_time = context.patches.lock.lock().await;
    let waiting = context.store.patch_jobs_in(PatchState::Waiting).await?;
    let Some(job) = queue::in_order(waiting, now).into_iter().next() else { return Ok(None) };
    // A large one is not passed by smaller ones: it would never get its turn.
    if in_use.0.saturating_add(need(context, &job).0) > context.config.patches.memory.0 && in_use.0 > 0 {
        return Ok(None);
    }
    let job = PatchJob {
        state: PatchState::Building,
        step: Some(PatchStep::Reading),
        attempts: job.attempts.saturating_add(1),
        reason: "it is being built".to_owned(),
        started_at: Some(now),
        ended_at: None,
        again_at: None,
        ..job
    };
    // Before the first byte is read: whatever this build does to the server, it has been counted.
    context.store.commit(&[Write::PatchJob(job.clone())]).await?;
    info!(product = %job.product, from = %job.base_version, devices = job.devices, "building a patch");
    Ok(Some(job))
}

/// Builds one patch and keeps what came of it.
async fn one(context: &Shared, job: PatchJob) -> Result<()> {
    let work = Work {
        artifacts: context.artifacts.clone(),
        base: job.base,
        result: job.result,
        memory: context.config.patches.memory,
    };
    // A thread that ends without a word has panicked.
    let mut outcome = Outcome::Broken("the build broke off".to_owned());
    match build::start(context.patches.maker, work) {
        Ok(mut news) => {
            while let Some(one) = news.recv().await {
                match one {
                    News::Step(step) => tell(context, &job, step).await?,
                    News::Done(done) => outcome = done,
                }
            }
        }
        Err(error) => outcome = Outcome::Broken(format!("start a thread: {error}")),
    }
    finish(context, &job, outcome, now()).await?;
    context.wake_preparation.notify_one();
    Ok(())
}

/// Keeps what is being done.
async fn tell(context: &Shared, job: &PatchJob, step: PatchStep) -> Result<()> {
    let _one_at_a_time = context.patches.lock.lock().await;
    let Some(kept) = context.store.patch_job(&job.base, &job.result).await? else { return Ok(()) };
    if kept.state != PatchState::Building || kept.step == Some(step) {
        return Ok(());
    }
    let job = PatchJob { step: Some(step), ..kept };
    Ok(context.store.commit(&[Write::PatchJob(job)]).await?)
}

/// Keeps how a build ended.
async fn finish(context: &Shared, job: &PatchJob, outcome: Outcome, now: Timestamp) -> Result<()> {
    let _one_at_a_time = context.patches.lock.lock().await;
    let kept = context.store.patch_job(&job.base, &job.result).await?;
    let Some(kept) = kept.filter(|kept| kept.state == PatchState::Building) else { return Ok(()) };
    let ended = PatchJob { step: None, ended_at: Some(now), ..kept };
    let mut writes = Vec::new();
    let job = match outcome {
        Outcome::Built { stored, full } => {
            let reason =
                format!("{} instead of {full} ({})", stored.size, PerMille::of(stored.size.0, full.0));
            let patch =
                Patch { base: job.base, result: job.result, digest: stored.digest, size: stored.size };
            writes.push(Write::Patch(patch));
            PatchJob { state: PatchState::Built, reason, ..ended }
        }
        Outcome::NotSmaller { patch, full } => {
            let reason = format!("the patch would take {patch}, the full image takes {full}");
            PatchJob { state: PatchState::NotSmaller, reason, ..ended }
        }
        Outcome::Refused(why) => PatchJob { state: PatchState::Failed, reason: why, ..ended },
        Outcome::Broken(why) => queue::failed(ended, &why, now),
    };
    writes.extend(events(context, &job, now).await?.into_iter().map(Write::Event));
    writes.push(Write::PatchJob(job));
    context.store.commit(&writes).await.context("keep the patch")
}

/// Returns what to tell of a patch, for each release that it leads to.
async fn events(context: &Shared, job: &PatchJob, now: Timestamp) -> Result<Vec<Event>> {
    let what = match job.state {
        PatchState::Built => "patch built",
        PatchState::NotSmaller => "patch not smaller",
        PatchState::Waiting | PatchState::Failed => {
            warn!(product = %job.product, from = %job.base_version, why = job.reason, "a patch could not be built");
            "patch not built"
        }
        PatchState::Building | PatchState::NoBase | PatchState::TooLarge | PatchState::Dropped => {
            return Ok(Vec::new());
        }
    };
    info!(product = %job.product, from = %job.base_version, outcome = job.reason, what);
    let mut releases = context.store.releases_of(&job.product).await?;
    releases.retain(|release| release.image == job.result && release.state != ReleaseState::Withdrawn);
    let event = |release: warden_model::release::Release| Event {
        at: now,
        stage: Stage::Delta,
        device: None,
        release: Some(release.id),
        rollout: None,
        what: what.to_owned(),
        reason: format!("from {}: {}", job.base_version, job.reason),
    };
    Ok(releases.into_iter().map(event).collect())
}

/// Says in a few words where each patch to an image stands; for the record of its release.
pub(crate) fn told(jobs: &[PatchJob]) -> String {
    let one = |job: &PatchJob| match job.state {
        PatchState::Built => format!("from {}: {}", job.base_version, job.reason),
        PatchState::NotSmaller | PatchState::NoBase | PatchState::TooLarge | PatchState::Failed => {
            format!("from {}: full image, because {}", job.base_version, job.reason)
        }
        PatchState::Waiting | PatchState::Building | PatchState::Dropped => {
            format!("from {}: {}", job.base_version, job.state)
        }
    };
    jobs.iter().filter(|job| job.devices > 0).map(one).collect::<Vec<_>>().join("; ")
}

/// Works through the queue once, as the worker does after a start; returns when nothing more can be begun.
#[cfg(test)]
pub(crate) async fn work_off(context: &Shared) {
    recover(context, now()).await.unwrap();
    refresh_all(context, now()).await.unwrap();
    while let Some(job) = begin(context, ByteCount(0), now()).await.unwrap() {
        one(context, job).await.unwrap();
    }
}

#[cfg(test)]
mod tests;
